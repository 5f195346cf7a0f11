"""What is refused, with which words: torch's, on the same call."""

import re

import pytest
import torch

import voxpool
from support import OURS, TORCHS, sentence

X = torch.zeros(1, 2, 6, 7, 8)

# Arguments torch refuses. Every sentence of torch's max-pooling is here, in the order in which it is checked.
REFUSED_3D = {
    "kernel_size of two": {"kernel_size": (2, 2)},
    "kernel_size of none": {"kernel_size": ()},
    "stride of two": {"kernel_size": 2, "stride": (1, 1)},
    "padding of two": {"kernel_size": 2, "padding": (1, 1)},
    "padding of six": {"kernel_size": 2, "padding": (1,) * 6},
    "dilation of four": {"kernel_size": 2, "dilation": (1,) * 4},
    "kernel beyond int32": {"kernel_size": 2**31},
    "stride beyond int32": {"kernel_size": 2, "stride": 2**31},
    "padding beyond int32": {"kernel_size": 2, "padding": 2**40},
    "dilation beyond int32": {"kernel_size": 2, "dilation": -(2**31) - 1},
    "stride 0": {"kernel_size": 2, "stride": 0},
    "stride 0 on one axis": {"kernel_size": 2, "stride": (1, 0, 1)},
    "stride -1": {"kernel_size": 2, "stride": -1},
    "padding -1": {"kernel_size": 2, "padding": -1},
    "padding over half": {"kernel_size": 3, "padding": 2},
    "padding over half of one axis": {"kernel_size": (4, 4, 3), "padding": (1, 2, 2)},
    "padding over half, dilated": {"kernel_size": 3, "padding": 2, "dilation": 2},
    "kernel 0": {"kernel_size": 0, "stride": 1},
    "kernel -1": {"kernel_size": -1, "stride": 1},
    "dilation 0": {"kernel_size": 2, "dilation": 0},
    "dilation -1": {"kernel_size": 2, "dilation": -1},
    "output too small": {"kernel_size": 9},
    "output too small on one axis": {"kernel_size": (1, 1, 9)},
    "output far too small": {"kernel_size": 3, "stride": 2, "dilation": 6},
    "output far too small, ceil": {"kernel_size": 3, "stride": 2, "dilation": 6, "ceil_mode": True},
    "huge dilation": {"kernel_size": 2, "dilation": 2**31 - 1},
    "huge kernel and dilation": {"kernel_size": 2**31 - 1, "dilation": 2**31 - 1},
    "kernel_size a float": {"kernel_size": 2.5},
    "kernel_size a string": {"kernel_size": "2"},
    "kernel_size of floats": {"kernel_size": (2.5, 2, 2)},
    "kernel_size None": {"kernel_size": None},
    "padding a float": {"kernel_size": 2, "padding": 0.5},
    "dilation None": {"kernel_size": 2, "dilation": None},
    "ceil_mode a number": {"kernel_size": 2, "ceil_mode": 2},
}


def refusal(pool, *args, **kwargs):
    with pytest.raises((RuntimeError, TypeError, ValueError)) as raised:
        pool(*args, **kwargs)
    return raised.value


@pytest.mark.parametrize("name", REFUSED_3D)
def test_arguments_3d(name):
    arguments = REFUSED_3D[name]
    theirs, ours = refusal(TORCHS[3], X, **arguments), refusal(OURS[3], X, **arguments)
    assert type(ours) is type(theirs)
    if isinstance(theirs, TypeError):
        argument = re.search(r"argument '\w+'", str(theirs))
        assert argument.group() in str(ours)
    else:
        assert sentence(theirs) in str(ours)
    # Neither indices nor a gradient change what is legal, nor does the way in.
    assert str(refusal(OURS[3], X, **arguments, return_indices=True)) == str(ours)
    assert str(refusal(OURS[3], X.clone().requires_grad_(), **arguments)) == str(ours)
    if not isinstance(theirs, TypeError) and name != "padding of six":
        assert sentence(theirs) in str(refusal(torch.ops.voxpool.max_pool3d, X, **arguments))
        assert sentence(theirs) in str(refusal(torch.ops.voxpool.max_pool3d, X.to("meta"), **arguments))
        assert sentence(theirs) in str(refusal(torch.ops.voxpool._max_pool3d_taps, X, **arguments))


@pytest.mark.parametrize("dims", [1, 2])
def test_arguments_of_fewer_axes(dims):
    x = X[0, :, 0, 0] if dims == 1 else X[:, :, 0]
    cases = [
        {"kernel_size": (2,) * (dims + 1)},
        {"kernel_size": 2, "stride": (1,) * (dims + 1)},
        {"kernel_size": 2, "padding": (0,) * (dims + 1)},
        {"kernel_size": 2, "dilation": (1,) * (dims + 1)},
        {"kernel_size": 2, "stride": 0},
        {"kernel_size": 2, "padding": -1},
        {"kernel_size": 2, "padding": 2},
        {"kernel_size": 0, "stride": 1},
        {"kernel_size": 2, "dilation": 0},
        {"kernel_size": 99},
        {"kernel_size": 3, "stride": 2, "dilation": 6},
    ]
    for arguments in cases:
        theirs, ours = refusal(TORCHS[dims], x, **arguments), refusal(OURS[dims], x, **arguments)
        assert type(ours) is type(theirs)
        assert sentence(theirs) in str(ours)


SHAPES = [
    (),
    (4,),
    (4, 4),
    (4, 4, 4),
    (1,) * 6,
    (1, 0, 4, 4, 4),
    (1, 2, 0, 4, 4),
    (1, 2, 4, 0, 4),
    (2, 4, 4, 0),
    (0, 4, 4, 4),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_input_shape(shape):
    x = torch.zeros(shape)
    theirs, ours = refusal(TORCHS[3], x, 2), refusal(OURS[3], x, 2)
    assert type(ours) is type(theirs) is RuntimeError
    assert sentence(theirs) in str(ours)


@pytest.mark.parametrize("dtype", [torch.bool, torch.complex64, torch.float8_e4m3fn, torch.uint16], ids=str)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_dtype(dims, dtype):
    x = torch.zeros(1, 2, *[4] * dims).to(dtype)
    with pytest.raises(NotImplementedError, match=rf"\"max_pool{dims}d\" not implemented for '\w+'"):
        OURS[dims](x, 2)
    with pytest.raises(NotImplementedError, match="not implemented for"):
        OURS[dims](x, 2, return_indices=True)


def test_extended_paddings():
    for padding in (((0, 1), (0, 1)), ((0, 1, 1),) * 3, (1, (0, 1), 1), ((1,),) * 3):
        assert "padding must either be a single int, or a tuple of three ints" in str(
            refusal(voxpool.max_pool3d, X, 2, padding=padding)
        )
    error = refusal(voxpool.max_pool3d, X, 3, padding=((0, 0), (0, 3), (0, 0)))
    assert "pad should be smaller than the effective kernel size" in str(error)
    assert "pad must be non-negative, but got pad: -1" in str(
        refusal(voxpool.max_pool3d, X, 3, padding=((0, 0), (-1, 0), (0, 0)))
    )
    for way in (
        lambda: voxpool.max_pool3d(X, 2, padding="full"),
        lambda: voxpool.nn.MaxPool3d(2, padding="full"),
        lambda: voxpool.output_size((4, 4, 4), 2, padding="full"),
        lambda: torch.ops.voxpool.max_pool3d(X, 2, 2, "full"),
    ):
        error = refusal(way)
        assert "'valid'" in str(error)
        assert "'same'" in str(error)
        assert "'full'" in str(error)
    with pytest.raises(RuntimeError, match="ceil_mode"):
        voxpool.max_pool3d(X, 3, 2, "same", ceil_mode=True)
    # The padding nobody gave is not blamed on its own.
    error = refusal(voxpool.max_pool1d, torch.zeros(1, 4), 5, 1, "same", 2**30)
    assert "integer out of range: padding='same' with kernel_size=5 and dilation=1073741824" in str(error)


def test_an_equal_number_is_the_same_argument():
    """Whatever was called before: parsed arguments are kept under their values, and 2.0 == 2."""
    x = torch.randn(1, 1, 4, 4, 4)
    for kernel in (2.0, 2, torch.tensor(2), (2.0, 2, 2), (2, 2, 2), [2, 2.0, 2]):
        assert torch.equal(voxpool.max_pool3d(x, kernel), TORCHS[3](x, 2))
        assert torch.equal(voxpool.nn.MaxPool3d(kernel)(x), TORCHS[3](x, 2))


def test_not_a_tensor():
    for thing in (None, 3, [[1.0]], X.numpy()):
        assert isinstance(refusal(voxpool.max_pool3d, thing, 2), (TypeError, RuntimeError))
        assert isinstance(refusal(voxpool.nn.MaxPool3d(2), thing), (TypeError, RuntimeError))


def test_output_size_refuses_what_pooling_refuses():
    for name, arguments in REFUSED_3D.items():
        ours = refusal(voxpool.output_size, (6, 7, 8), **arguments)
        assert type(ours) is type(refusal(voxpool.max_pool3d, X, **arguments)), name
    for size in ((), (1, 2, 3, 4), 0, (4, 0, 4), -1):
        assert isinstance(refusal(voxpool.output_size, size, 2), RuntimeError), size
    # The stride is added in ceil mode.
    with pytest.raises(RuntimeError, match="at most 2\\^62 elements, but got 9223372036854775807"):
        voxpool.output_size(2**63 - 1, 1, 3, ceil_mode=True)
    assert voxpool.output_size(2**61, 1, 3, ceil_mode=True) == (-(-(2**61) // 3),)
    # Padding would make something of a negative length.
    for size in ((-1, 4, 4), (4, 4, -1), (-1, 4), -1):
        pads = ((2, 2),) * (len(size) if isinstance(size, tuple) else 1)
        assert "-1" in str(refusal(voxpool.output_size, size, 3, 1, pads)), size


def test_gradient_of_another_dtype():
    x = X.clone().requires_grad_()
    output = voxpool.max_pool3d(x, 2)
    with pytest.raises(RuntimeError):
        output.grad_fn(torch.ones_like(output, dtype=torch.int64))


def test_numbers_beyond_int64():
    for value in (2**63, -(2**63) - 1):
        for arguments in ({"kernel_size": value}, {"kernel_size": 2, "padding": ((value, 0), (0, 0), (0, 0))}):
            with pytest.raises(RuntimeError, match="integer out of range"):
                voxpool.max_pool3d(X, **arguments)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_words_of_refusals_the_operators_do_not_see(dims):
    x = torch.zeros(2, 3, *[9] * dims)
    with pytest.raises(TypeError, match=rf"max_pool{dims}d\(\): argument 'padding'"):
        OURS[dims](x, 3, padding=((0.5, 1),) * dims)
    with pytest.raises(TypeError, match=rf"max_pool{dims}d\(\): argument 'kernel_size'"):
        OURS[dims](x, "2")
    with pytest.raises(ValueError, match=rf"max_pool{dims}d: padding must be .*'full'"):
        OURS[dims](x, 2, padding="full")
    # Both ends of every axis in one flat tuple: legal for the operator, refused in Python, as torch does.
    for count in {0, 2, 3, 4, 5, 6} - {1, dims}:
        theirs = refusal(TORCHS[dims], x, 2, padding=(0,) * count)
        ours = refusal(OURS[dims], x, 2, padding=(0,) * count)
        assert sentence(theirs) in str(ours), count


def test_true_is_one():
    x = torch.randn(2, 3, 9, 9, 9)
    assert torch.equal(voxpool.max_pool3d(x, True), x)
    for ceil_mode in (1, 1.0, True):
        assert voxpool.max_pool3d(x, 2, ceil_mode=ceil_mode).shape[-1] == 5


def test_a_changed_tensor_is_another_argument():
    """torch takes a tensor of one element as a number; its value, not the object, is the argument."""
    x, kernel = torch.randn(1, 1, 8, 8, 8), torch.tensor(2)
    assert torch.equal(voxpool.max_pool3d(x, kernel), TORCHS[3](x, 2))
    assert torch.equal(voxpool.max_pool3d(x, (kernel, 2, 2)), TORCHS[3](x, 2))
    kernel.fill_(4)
    assert torch.equal(voxpool.max_pool3d(x, kernel), TORCHS[3](x, 4))
    assert torch.equal(voxpool.max_pool3d(x, (kernel, 2, 2)), TORCHS[3](x, (4, 2, 2)))


def test_names_are_exact():
    for padding in ("SAME", "Valid", ""):
        assert isinstance(refusal(voxpool.max_pool3d, X, 2, padding=padding), ValueError)
    with pytest.raises(ValueError, match="baseline"):
        voxpool.set_cpu_capability("Baseline")
    assert "padding=same" in repr(voxpool.nn.MaxPool3d(2, padding="same"))
