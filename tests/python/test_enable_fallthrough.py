"""What enable() leaves to torch: inputs voxpool has no kernels for, and whoever looks at torch's operators."""

from typing import ClassVar

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.testing._internal.two_tensor import TwoTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

import voxpool
from routes import pools_run, runs_voxpool
from support import TORCHS, assert_same

X = {dims: torch.randn(2, 3, *(8, 9, 10)[:dims], generator=torch.Generator().manual_seed(dims)) for dims in (1, 2, 3)}


def quantised(dims):
    return torch.quantize_per_tensor(X[dims], 0.1, 0, torch.quint8)


def nested():
    return torch.nested.nested_tensor([torch.randn(3, 9, 10), torch.randn(3, 8, 10)])


def jagged():
    return torch.nested.nested_tensor([torch.randn(3, 9), torch.randn(5, 9)], layout=torch.jagged)


CASES = {
    "mkldnn-2d": lambda: F.max_pool2d(X[2].to_mkldnn(), 2).to_dense(),
    "mkldnn-3d": lambda: F.max_pool3d(X[3].to_mkldnn(), 2).to_dense(),
    "quantised-1d": lambda: F.max_pool1d(quantised(1), 2).int_repr(),
    "quantised-2d": lambda: F.max_pool2d(quantised(2), 2).int_repr(),
    "quantised-3d": lambda: F.max_pool3d(quantised(3), 2).int_repr(),
    "sparse-2d": lambda: F.max_pool2d(X[2].to_sparse(), 2),
    "sparse-3d": lambda: F.max_pool3d(X[3].to_sparse(), 2),
    "sparse-csr": lambda: F.max_pool2d(X[2][0, 0].to_sparse_csr(), 2),
    "nested": lambda: F.max_pool2d(nested(), 2),
    "meta": lambda: F.max_pool3d(X[3].to("meta"), 2).stride(),
    "jagged": lambda: F.max_pool1d(jagged(), 2),
    **{
        f"{dtype}-{dims}d": lambda dtype=dtype, dims=dims: TORCHS[dims](X[dims].to(dtype), 2)
        for dtype in (torch.bool, torch.complex64, torch.float8_e4m3fn, torch.uint16)
        for dims in (1, 2, 3)
    },
    **{
        f"{dtype}-{dims}d-indices": lambda dtype=dtype, dims=dims: TORCHS[dims](
            X[dims].to(dtype), 2, return_indices=True
        )
        for dtype in (torch.bool, torch.complex64)
        for dims in (1, 2, 3)
    },
    **{f"pairs-{dims}d": lambda dims=dims: TORCHS[dims](X[dims], 3, padding=[0, 1] * dims) for dims in (1, 2, 3)},
    **{
        f"pairs-{dims}d-indices": lambda dims=dims: TORCHS[dims](X[dims], 3, padding=[0, 1] * dims, return_indices=True)
        for dims in (1, 2, 3)
    },
    "bool under autocast": lambda: under_autocast(X[3].bool()),
}
if hasattr(torch.Tensor, "refine_names"):  # which newer versions of torch than 2.11 have not
    CASES["names"] = lambda: torch.max_pool3d(X[3].refine_names("N", "C", "D", "H", "W"), 2).names
    CASES["names-indices"] = lambda: torch.max_pool2d(X[2].refine_names("N", "C", "H", "W"), 2).names


def under_autocast(x):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return F.max_pool3d(x, 2)


def outcome(call):
    try:
        return call()
    except (RuntimeError, TypeError, IndexError) as error:
        return type(error), str(error)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
def test_left_to_torch(case):
    expected = outcome(CASES[case])
    with voxpool.enabled():
        actual = outcome(CASES[case])
        assert not runs_voxpool(lambda: outcome(CASES[case]))
    if isinstance(expected, torch.Tensor):
        assert_same(actual, expected)
    else:
        assert actual == expected


# Arguments that describe no pooling: voxpool says so in torch's words, and adds to some of them.
WRONG = {
    "kernel": {"kernel_size": [2, 2, 2, 2]},
    "stride": {"kernel_size": 2, "stride": [2] * 5},
    "zero stride": {"kernel_size": 2, "stride": 0},
    "zero kernel": {"kernel_size": 0, "stride": 1},
    "negative padding": {"kernel_size": 2, "padding": -1},
    "too much padding": {"kernel_size": 3, "padding": 2},
    "zero dilation": {"kernel_size": 2, "dilation": 0},
    "too small": {"kernel_size": 20},
}


@pytest.mark.parametrize("return_indices", [False, True])
@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_errors_are_torchs(dims, wrong, return_indices):
    def call():
        TORCHS[dims](X[dims], return_indices=return_indices, **WRONG[wrong])

    with pytest.raises(RuntimeError) as expected:
        call()
    with voxpool.enabled(), pytest.raises(RuntimeError) as actual:
        call()
    assert type(actual.value) is type(expected.value)
    # One of the axes comes in another order in torch's own text, and some of voxpool's end with what was got.
    shorter = min(str(actual.value), str(expected.value), key=len).split(", but got k")[0]
    assert shorter in str(actual.value)
    assert shorter in str(expected.value)


class Log(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


class Wrapped(torch.Tensor):
    """A wrapper that logs what reaches it."""

    names: ClassVar[list[str]] = []

    @staticmethod
    def __new__(cls, inner):
        options = {"dtype": inner.dtype, "device": inner.device, "requires_grad": inner.requires_grad}
        self = torch.Tensor._make_wrapper_subclass(cls, inner.shape, strides=inner.stride(), **options)
        self.inner = inner
        return self

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        cls.names.append(str(func))
        args, kwargs = tree_map_only(Wrapped, lambda t: t.inner, (args, kwargs or {}))
        return tree_map_only(torch.Tensor, Wrapped, func(*args, **kwargs))


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("return_indices", [False, True])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_a_mode_sees_torchs_operators(dims, return_indices, inference):
    def log():
        with torch.inference_mode(inference):
            x = X[dims].clone()
            with Log() as mode:
                output = TORCHS[dims](x, 2, return_indices=return_indices)
        return mode.names, output[0] if return_indices else output

    expected = log()
    assert any("max_pool" in name for name in expected[0])
    with voxpool.enabled():
        actual = log()
    assert actual[0] == expected[0]
    assert_same(actual[1], expected[1])


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_a_subclass_sees_torchs_operators(dims, requires_grad):
    def log():
        Wrapped.names = []
        TORCHS[dims](Wrapped(X[dims]).requires_grad_(requires_grad), 2)
        return Wrapped.names

    expected = log()
    assert any("max_pool" in name for name in expected)
    with voxpool.enabled():
        assert log() == expected


def test_a_subclass_that_unwraps_runs_voxpool_inside():
    with voxpool.enabled():
        names = pools_run(lambda: F.max_pool3d(TwoTensor(X[3], X[3]), 2))
        assert names.count("voxpool::max_pool3d_with_indices") == 2


def test_a_subclass_without_dispatch_is_a_plain_tensor():
    class Plain(torch.Tensor):
        pass

    with voxpool.enabled():
        x = X[3].as_subclass(Plain)
        assert type(F.max_pool3d(x, 2)) is Plain
        assert runs_voxpool(lambda: F.max_pool3d(x, 2))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_tensors_without_data(dims):
    def sizes():
        with FakeTensorMode() as mode:
            fake = TORCHS[dims](mode.from_tensor(X[dims]), 3, 2, 1)
        meta = TORCHS[dims](X[dims].to("meta"), 3, 2, 1)
        return [(type(t).__name__, t.device.type, t.shape, t.stride()) for t in (fake, meta)]

    expected = sizes()
    with voxpool.enabled():
        assert sizes() == expected
