"""voxpool.keras: the layers next to Keras's own, exactly; what they do beyond them; and that they copy nothing."""

import inspect
import itertools
import json

import keras
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

import voxpool
import voxpool.keras
from allocations import allocated_bytes, nbytes
from support import TORCHS, ties

SPATIAL = {1: (11,), 2: (9, 11), 3: (5, 9, 6)}
FORMATS = ("channels_last", "channels_first")
WINDOWS = {  # pool_size and strides, of which a 2-D layer takes the first two
    "defaults": (None, None),
    "2": (2, None),
    "3 by 2": (3, 2),
    "3 by 1": (3, 1),
    "2 by 3": (2, 3),
    "per axis": ((2, 4, 3), (1, 3, 2)),
    "a list": ([3, 2, 1], None),
}
CASES = list(itertools.product((1, 2, 3), FORMATS, ("valid", "same"), WINDOWS))


@pytest.fixture(autouse=True)
def _on_the_cpu():
    """Also where Keras would choose a GPU."""
    with keras.device("cpu"):
        yield


def theirs(dims, **arguments):
    return getattr(keras.layers, f"MaxPooling{dims}D")(**arguments)


def ours(dims, **arguments):
    return getattr(voxpool.keras, f"MaxPooling{dims}D")(**arguments)


def window(name, dims):
    cut = (value[:dims] if isinstance(value, (tuple, list)) else value for value in WINDOWS[name])
    return {key: value for key, value in zip(("pool_size", "strides"), cut, strict=True) if value is not None}


def shape_of(batch, spatial, channels, data_format):
    return (batch, *spatial, channels) if data_format == "channels_last" else (batch, channels, *spatial)


def distinct(*size):
    return torch.randperm(torch.Size(size).numel()).float().view(size)


def pooled_with_gradient(layer, x):
    """The result and the gradient of x. Incoming gradients are small integers, whose sums are exact in any order."""
    leaf = x.clone().requires_grad_()
    y = layer(leaf)
    y.backward(torch.arange(y.numel()).remainder(13).add(1.0).view(y.shape))
    return y.detach(), leaf.grad


def error_of(call):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the tests compare it
        call()
    return caught.type, str(caught.value)


@pytest.mark.parametrize(("dims", "data_format", "padding", "name"), CASES)
def test_values_and_gradients_are_those_of_keras(dims, data_format, padding, name):
    arguments = window(name, dims) | {"padding": padding, "data_format": data_format}
    size = shape_of(2, SPATIAL[dims], 3, data_format)
    for x in (distinct(*size), ties(size, torch.float32)):
        actual, expected = (pooled_with_gradient(layer(dims, **arguments), x) for layer in (ours, theirs))
        assert actual[0].shape == expected[0].shape
        assert torch.equal(actual[0], expected[0])
        assert torch.equal(actual[1], expected[1])


@pytest.mark.parametrize(("dims", "data_format", "padding", "name"), CASES)
def test_config_and_symbolic_shapes_are_those_of_keras(dims, data_format, padding, name):
    arguments = window(name, dims) | {"padding": padding, "data_format": data_format}
    arguments |= {"name": "pool", "dtype": "float16", "trainable": False}
    config = ours(dims, **arguments).get_config()
    layer, expected = ours(dims, **json.loads(json.dumps(config))), theirs(dims, **arguments)
    assert config == layer.get_config() == expected.get_config()
    assert layer.name == "pool"
    for spatial in (SPATIAL[dims], (None,) * dims, (*SPATIAL[dims][1:], None)):
        shape = shape_of(None, spatial, 3, data_format)
        assert layer.compute_output_shape(shape) == expected.compute_output_shape(shape)
        symbolic, reference = (pool(keras.KerasTensor(shape)) for pool in (layer, expected))
        assert isinstance(symbolic, keras.KerasTensor)
        assert (symbolic.shape, symbolic.dtype) == (reference.shape, reference.dtype)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_signature_and_kind_are_those_of_keras(dims):
    signatures = [inspect.signature(type(layer(dims))) for layer in (ours, theirs)]
    described = [[(p.name, p.kind, p.default) for p in signature.parameters.values()] for signature in signatures]
    assert described[0] == described[1]
    assert isinstance(ours(dims), type(theirs(dims)))
    assert ours(dims, padding="SAME").padding == "same"
    assert keras.saving.get_registered_name(type(ours(dims))) == f"voxpool>MaxPooling{dims}D"


def test_data_format_of_the_configuration():
    keras.config.set_image_data_format("channels_first")
    try:
        assert ours(3)(torch.zeros(1, 3, 8, 8, 8)).shape == (1, 3, 4, 4, 4)
    finally:
        keras.config.set_image_data_format("channels_last")


def test_nan_and_infinities_are_those_of_keras():
    x = ties((2, 5, 9, 6, 3), torch.float32)
    for value, share in ((float("-inf"), 0.7), (float("inf"), 0.02), (float("nan"), 0.02)):
        x[torch.rand(x.shape) < share] = value
    actual, expected = (pooled_with_gradient(layer(3, pool_size=2, padding="same"), x) for layer in (ours, theirs))
    torch.testing.assert_close(actual, expected, rtol=0, atol=0, equal_nan=True)
    assert actual[0].isnan().any()
    assert actual[0].isneginf().any()


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64", "float32"])
@pytest.mark.parametrize("given", [torch.float32, torch.float64, torch.int32])
def test_dtypes_are_those_of_keras(policy, given):
    x = distinct(2, 4, 6, 6, 3).to(given)
    actual, expected = (layer(3, dtype=policy)(x) for layer in (ours, theirs))
    assert actual.dtype == expected.dtype
    assert torch.equal(actual, expected)


def small(*size):
    return torch.zeros(size)


def symbolic(*size):
    return keras.KerasTensor(size, name="x")


REFUSED = {
    "no window": lambda layer: layer(3, pool_size=0),
    "two of three axes": lambda layer: layer(3, pool_size=(2, 2)),
    "no number": lambda layer: layer(2, pool_size=(2, "a")),
    "negative stride": lambda layer: layer(2, strides=-1),
    "data format": lambda layer: layer(1, data_format="NCL"),
    "unknown argument": lambda layer: layer(3, dilation=2),
    "stride of zero": lambda layer: layer(3, strides=0, name="p")(small(1, 4, 4, 4, 1)),
    "wrong rank": lambda layer: layer(3, name="p")(small(1, 4, 4, 1)),
    "not a tensor": lambda layer: layer(3, name="p")("volume"),
    "unknown padding, symbolic": lambda layer: layer(2, padding="full", name="p")(symbolic(None, 4, 4, 1)),
    "too small, symbolic": lambda layer: layer(3, pool_size=5, name="p")(symbolic(None, 4, 8, 8, 1)),
    "too small, 3-D": lambda layer: layer(3, pool_size=5, name="p")(small(1, 4, 8, 8, 1)),
    "too small, 2-D": lambda layer: layer(2, pool_size=5, name="p")(small(1, 4, 8, 1)),
    "too small, 1-D": lambda layer: layer(1, pool_size=5, name="p")(small(1, 4, 2)),
}


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
def test_errors_are_those_of_keras(call):
    assert error_of(lambda: call(ours)) == error_of(lambda: call(theirs))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_unknown_padding_is_refused_by_the_call_too(dims):
    layer = ours(dims, padding="full")
    with pytest.raises(ValueError, match=r"must be either 'valid' or 'same'\. Received: padding=full"):
        layer(small(1, *SPATIAL[dims], 1))


PADDINGS = {  # padding -> its (begin, end) pairs
    (1, 1): [(1, 1)],
    (1, ((1, 2),)): [(1, 2)],
    (2, 1): [(1, 1), (1, 1)],
    (2, (0, 1)): [(0, 0), (1, 1)],
    (2, ((0, 2), (1, 0))): [(0, 2), (1, 0)],
    (3, 0): [(0, 0), (0, 0), (0, 0)],
    (3, (1, 0, 1)): [(1, 1), (0, 0), (1, 1)],
    (3, ((0, 1), (2, 2), (1, 0))): [(0, 1), (2, 2), (1, 0)],
}


@pytest.mark.parametrize(("given", "pairs"), PADDINGS.items(), ids=str)
@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("strides", [1, 2])
def test_padding_by_numbers_is_minus_infinity(given, pairs, data_format, strides):
    dims, padding = given
    layer = ours(dims, pool_size=3, strides=strides, padding=padding, data_format=data_format)
    assert layer.padding == padding
    # As it comes out of JSON, tuples as lists.
    layer = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
    assert layer.padding == padding

    def padded(x):
        x = x.movedim(-1, 1) if data_format == "channels_last" else x
        y = TORCHS[dims](F.pad(x, [n for pair in reversed(pairs) for n in pair], value=-torch.inf), 3, strides)
        return y.movedim(1, -1) if data_format == "channels_last" else y

    size = shape_of(2, SPATIAL[dims], 3, data_format)
    x = distinct(*size) - 10_000  # zeros as padding would win
    actual, expected = pooled_with_gradient(layer, x), pooled_with_gradient(padded, x)
    assert torch.equal(actual[0], expected[0])
    assert torch.equal(actual[1], expected[1])
    assert layer.compute_output_shape(size) == actual[0].shape
    unknown = [None if n == SPATIAL[dims][-1] else n for n in size]
    expected_shape = [None if m is None else n for n, m in zip(actual[0].shape, unknown, strict=True)]
    assert layer(keras.KerasTensor(unknown)).shape == tuple(expected_shape)


@pytest.mark.parametrize(
    "padding", [-1, 2, (1, 1), (0, 3, 0), ((0, 3), (0, 0), (0, 0)), 1.5, None, ((1, 1),) * 2, [[1]]]
)
def test_padding_by_numbers_that_does_not_fit(padding):
    with pytest.raises(ValueError, match=r"^Argument `padding` must be 'valid', 'same', an int.* Received: padding="):
        ours(3, pool_size=3, padding=padding)


def test_padded_input_that_is_too_small():
    layer = ours(2, pool_size=3, padding=((0, 1), (0, 0)))
    with pytest.raises(ValueError, match="Computed output size would be zero or negative"):
        layer(symbolic(None, 2, 2, 1))
    with pytest.raises(RuntimeError, match="Output size is too small"):
        layer(small(1, 2, 2, 1))


# Memory: which views are pooled where they lie, and what the result looks like. Each view is made from dense memory by
# a permutation, which undone must give dense memory again.
VIEWS = {
    "3-D": (3, "channels_last", (2, 8, 16, 12, 5), (0, 1, 2, 3, 4)),
    "3-D of one channel": (3, "channels_last", (2, 8, 16, 12, 1), (0, 1, 2, 3, 4)),
    "3-D (N, H, W, D, C) data": (3, "channels_last", (2, 32, 32, 16, 3), (0, 1, 2, 3, 4)),
    "3-D, channels first in memory": (3, "channels_last", (2, 5, 8, 16, 12), (0, 2, 3, 4, 1)),
    "3-D, channels first": (3, "channels_first", (2, 5, 8, 16, 12), (0, 1, 2, 3, 4)),
    "3-D, channels last in memory": (3, "channels_first", (2, 8, 16, 12, 5), (0, 4, 1, 2, 3)),
    "2-D": (2, "channels_last", (2, 16, 12, 5), (0, 1, 2, 3)),
    "2-D, channels first": (2, "channels_first", (2, 5, 16, 12), (0, 1, 2, 3)),
    "1-D": (1, "channels_last", (2, 16, 5), (0, 1, 2)),
    "1-D of one channel": (1, "channels_last", (2, 16, 1), (0, 1, 2)),
    "1-D, as Keras's Conv1D returns it": (1, "channels_last", (2, 5, 16), (0, 2, 1)),
    "1-D, channels first": (1, "channels_first", (2, 5, 16), (0, 1, 2)),
}
TURNED = {  # spatial axes in another order than in memory
    "(N, H, W, D, C) as (N, D, H, W, C)": (3, "channels_last", (2, 32, 32, 16, 3), (0, 3, 1, 2, 4)),
    "(N, H, W, D, C) as (N, C, D, H, W)": (3, "channels_first", (2, 20, 20, 10, 3), (0, 4, 3, 1, 2)),
    "(N, D, W, H, C) as (N, D, H, W, C)": (3, "channels_last", (2, 6, 8, 10, 5), (0, 1, 3, 2, 4)),
    "(N, W, H, D, C) as (N, D, H, W, C)": (3, "channels_last", (2, 12, 8, 10, 5), (0, 3, 2, 1, 4)),
    "(N, W, H, C) as (N, H, W, C)": (2, "channels_last", (2, 12, 16, 5), (0, 2, 1, 3)),
    "(N, C, W, H) as (N, H, W, C)": (2, "channels_last", (2, 5, 12, 16), (0, 3, 2, 1)),
}


class Computations(TorchDispatchMode):
    """The operators that ran, but for those that only make views, and the memory their first tensor lies in."""

    def __init__(self):
        super().__init__()
        self.names, self.addresses = [], []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if not function.is_view:
            self.names.append(function.name())
            self.addresses.append(args[0].data_ptr() if isinstance(args[0], torch.Tensor) else None)
        return function(*args, **(kwargs or {}))


def undone(permutation):
    return tuple(permutation.index(axis) for axis in range(len(permutation)))


@pytest.mark.parametrize("padding", ["valid", "same", 1])
@pytest.mark.parametrize(("dims", "data_format", "size", "permutation"), (VIEWS | TURNED).values(), ids=VIEWS | TURNED)
def test_nothing_is_copied_and_the_memory_order_stays(dims, data_format, size, permutation, padding):
    layer = ours(dims, pool_size=3, strides=2, padding=padding, data_format=data_format)
    x = distinct(*size).permute(permutation)
    with Computations() as computations:
        y = layer(x)
    assert computations.names == ["voxpool::max_pool3d"]
    assert computations.addresses == [x.data_ptr()]
    assert y.permute(undone(permutation)).is_contiguous()
    assert allocated_bytes(lambda: layer(x)) == nbytes(y)
    assert torch.equal(y, layer(x.contiguous()))


@pytest.mark.parametrize(("dims", "data_format", "size", "permutation"), VIEWS.values(), ids=VIEWS)
def test_training_copies_nothing_either(dims, data_format, size, permutation):
    layer = ours(dims, pool_size=2, padding="same", data_format=data_format)
    x = distinct(*size).permute(permutation).requires_grad_()
    with Computations() as computations:
        y = layer(x)
    assert computations.names == ["voxpool::_max_pool3d_taps"]
    assert y.permute(undone(permutation)).is_contiguous()
    # One byte per output is all that is kept.
    assert allocated_bytes(lambda: layer(x)) == nbytes(y) + y.numel()
    gradient = torch.ones_like(y)
    with Computations() as computations:
        (result,) = torch.autograd.grad(y, x, gradient)
    assert computations.names == ["voxpool::_max_pool3d_backward"]
    assert result.permute(undone(permutation)).is_contiguous()


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_a_new_axis_does_not_hide_the_memory_order(axis):
    x = torch.from_numpy(distinct(2, 8, 9, 3).numpy()[(slice(None),) * axis + (np.newaxis,)])
    assert x.stride()[axis] == 0
    assert x.is_contiguous()
    y = ours(3, pool_size=2, padding="same")(x)
    assert y.is_contiguous()
    assert torch.equal(y, theirs(3, pool_size=2, padding="same")(x))


def test_a_copy_would_be_seen():
    """Otherwise the two tests above could not fail."""
    x = distinct(2, 8, 16, 12, 5)
    with Computations() as computations:
        y = voxpool.max_pool3d(x.movedim(-1, 1).contiguous(), 2).movedim(1, -1)
    assert computations.names == ["aten::clone", "voxpool::max_pool3d"]
    assert computations.addresses[1] != x.data_ptr()
    assert not y.is_contiguous()
    assert allocated_bytes(lambda: x.movedim(-1, 1).contiguous()) == nbytes(x)


@pytest.mark.parametrize(("dims", "data_format", "size", "permutation"), TURNED.values(), ids=TURNED)
@pytest.mark.parametrize("padding", ["same", "per axis", "pairs"])
def test_turned_views_pool_the_right_axes(dims, data_format, size, permutation, padding):
    """Each axis with a window, a stride and a padding of its own, and ties as in the order of the axes."""
    numbers = {"per axis": (1, 0, 1)[:dims], "pairs": ((0, 1), (1, 0), (2, 1))[:dims]}
    arguments = {"pool_size": (2, 3, 4)[:dims], "strides": (1, 3, 2)[:dims], "data_format": data_format}
    layer = ours(dims, padding=numbers.get(padding, padding), **arguments)
    x = ties(size, torch.float32).permute(permutation)
    dense = pooled_with_gradient(layer, x.contiguous())
    assert torch.equal(layer(x), dense[0])
    leaf = x.detach().requires_grad_()
    y = layer(leaf)
    assert torch.equal(y, dense[0])
    y.backward(torch.arange(y.numel()).remainder(13).add(1.0).view(y.shape))
    assert torch.equal(leaf.grad, dense[1])


# Other backends: Keras's own layer.
def test_on_another_backend_the_layer_is_keras_own(monkeypatch):
    x = distinct(2, 5, 9, 6, 3)
    expected = theirs(3, padding="same")(x)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with Computations() as computations:
        assert torch.equal(ours(3, padding="same")(x), expected)
    assert "aten::max_pool3d_with_indices" in computations.names
    assert "voxpool::max_pool3d" not in computations.names
    with pytest.raises(ValueError, match=r"'valid' or 'same' on Keras's backend 'jax'.* Received: padding=1"):
        ours(3, padding=1)
