"""The modules and functions as parts of Python programs: constructors, copies, scripts, tracers, subclasses, modes."""

import copy
import inspect
import io
import pickle
import sys

import pytest
import torch
import torch.nn.functional as F
from torch.fx import symbolic_trace

import voxpool
from support import OURS, TORCHS, assert_same, channels_last

MODULES = {d: getattr(voxpool.nn, f"MaxPool{d}d") for d in (1, 2, 3)}
TORCH_MODULES = {d: getattr(torch.nn, f"MaxPool{d}d") for d in (1, 2, 3)}


def example(dims, seed=0):
    return torch.randn(2, 3, *[9] * dims, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_signatures_are_torchs(dims):
    def parameters(f):
        return [(p.name, p.default) for p in inspect.signature(f).parameters.values() if p.kind != p.KEYWORD_ONLY]

    assert parameters(MODULES[dims]) == parameters(TORCH_MODULES[dims])
    # torch.nn.functional hides its own behind *args: the order is written in the documentation.
    assert [name for name, _ in parameters(OURS[dims])] == [
        "input",
        "kernel_size",
        "stride",
        "padding",
        "dilation",
        "ceil_mode",
        "return_indices",
    ]
    assert issubclass(MODULES[dims], TORCH_MODULES[dims])
    assert getattr(voxpool.nn.functional, f"max_pool{dims}d") is OURS[dims]


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_positional_arguments(dims):
    """The module takes return_indices before ceil_mode, the function after it."""
    arguments = (3, 2, 1, 1, True, True)
    x = example(dims)
    ours, theirs = MODULES[dims](*arguments), TORCH_MODULES[dims](*arguments)
    assert repr(ours) == repr(theirs)
    for actual, expected in zip(ours(x), theirs(x), strict=True):
        assert_same(actual, expected)
    for actual, expected in zip(OURS[dims](x, *arguments), TORCHS[dims](x, *arguments), strict=True):
        assert_same(actual, expected)


def test_attributes_stay_as_given():
    pool = voxpool.nn.MaxPool3d([2, 3, 2], padding=((0, 1), (1, 1), (0, 0)))
    assert pool.kernel_size == [2, 3, 2]
    assert pool.stride == [2, 3, 2]
    assert pool.padding == ((0, 1), (1, 1), (0, 0))
    assert repr(voxpool.nn.MaxPool3d(3, 2, 1, ceil_mode=True)) == (
        "MaxPool3d(kernel_size=3, stride=2, padding=1, dilation=1, ceil_mode=True)"
    )
    assert not list(pool.parameters())
    assert not pool.state_dict()


def test_changed_attributes_take_effect():
    x = example(3)
    pool = voxpool.nn.MaxPool3d(3)
    pool(x)
    for name, value in (("stride", 1), ("padding", 1), ("dilation", 2), ("kernel_size", 2), ("ceil_mode", True)):
        setattr(pool, name, value)
        arguments = (pool.kernel_size, pool.stride, pool.padding, pool.dilation, pool.ceil_mode)
        assert torch.equal(pool(x), TORCHS[3](x, *arguments))
    pool.padding = "same"
    pool.ceil_mode = False
    assert pool(x).shape == x.shape
    pool.return_indices = True
    assert len(pool(x)) == 2
    assert torch.equal(torch.jit.script(pool)(x)[1], pool(x)[1])


def test_a_refused_change_is_an_error_at_once():
    pool = voxpool.nn.MaxPool3d(2)
    with pytest.raises(TypeError, match="argument 'stride'"):
        pool.stride = "fast"


@pytest.mark.parametrize("copier", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@pytest.mark.parametrize("used", [False, True])
def test_copies(copier, used):
    x = example(3)
    for pool in (voxpool.nn.MaxPool3d(3, 2, 1), voxpool.nn.MaxPool3d((2, 2, 2), padding="same", return_indices=True)):
        if used:
            pool(x)
        twin = copier(pool)
        assert type(twin) is type(pool)
        assert repr(twin) == repr(pool)
        torch.testing.assert_close(twin(x), pool(x), rtol=0, atol=0)
        twin.stride = 1
        assert pool.stride != 1


def test_saved_whole():
    file = io.BytesIO()
    torch.save(voxpool.nn.MaxPool3d(3, 2, 1), file)
    file.seek(0)
    pool = torch.load(file, weights_only=False)
    assert torch.equal(pool(example(3)), TORCHS[3](example(3), 3, 2, 1))


SCRIPTED = {
    "plain": {},
    "indices": {"return_indices": True},
    "pairs": {"padding": True},
    "same": {"padding": "same"},
    "same and indices": {"padding": "same", "return_indices": True},
    "everything": {"stride": 1, "padding": 1, "dilation": 2, "ceil_mode": True},
}


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("options", SCRIPTED)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_script_save_and_load(dims, options):
    options = dict(SCRIPTED[options])
    if options.get("padding") is True:
        options["padding"] = ((0, 1),) * dims
    pool = MODULES[dims](3, **options)
    x = example(dims)
    scripted = torch.jit.script(torch.nn.Sequential(torch.nn.ReLU(), pool))
    file = io.BytesIO()
    torch.jit.save(scripted, file)
    file.seek(0)
    for module in (scripted, torch.jit.load(file)):
        torch.testing.assert_close(module(x), pool(x.relu()), rtol=0, atol=0)
        y = x.clone().requires_grad_()
        output = module(y)
        (output[0] if isinstance(output, tuple) else output).sum().backward()
        assert y.grad.sum() > 0


def scripted_1d(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    y = voxpool.max_pool1d(x, 3, 4, 1, 2, True, return_indices=True)
    return voxpool.max_pool1d(x, 2), voxpool.max_pool1d(x, 3, 4, 1, 2, True), y


def scripted_2d(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    y = voxpool.max_pool2d(x, 3, 4, 1, 2, True, return_indices=True)
    return voxpool.max_pool2d(x, 2), voxpool.max_pool2d(x, 3, 4, 1, 2, True), y


def scripted_3d(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    y = voxpool.max_pool3d(x, 3, 4, 1, 2, True, return_indices=True)
    return voxpool.max_pool3d(x, 2), voxpool.max_pool3d(x, 3, 4, 1, 2, True), y


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize(("dims", "function"), [(1, scripted_1d), (2, scripted_2d), (3, scripted_3d)])
def test_script_functions_that_call_voxpool(dims, function):
    """Windows for which every argument changes the result: 9 cells, stride 4, ceil_mode adds a third output."""
    x = example(dims)
    torch.testing.assert_close(torch.jit.script(function)(x), function(x), rtol=0, atol=0)
    assert function(x)[1].shape[-1] == 3


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_trace():
    pool = voxpool.nn.MaxPool3d(3, 2, 1)
    traced = torch.jit.trace(torch.nn.Sequential(torch.nn.ReLU(), pool), example(3))
    assert torch.equal(traced(example(3, 1)), pool(example(3, 1).relu()))


@pytest.mark.parametrize("return_indices", [False, True])
def test_fx(return_indices):
    network = torch.nn.Sequential(torch.nn.ReLU(), voxpool.nn.MaxPool3d(3, 2, "same", return_indices=return_indices))
    graph = symbolic_trace(network)
    assert any("voxpool" in str(node.target) for node in graph.graph.nodes if node.op == "call_function")
    torch.testing.assert_close(graph(example(3)), network(example(3)), rtol=0, atol=0)
    function = symbolic_trace(lambda x: voxpool.max_pool2d(x, 2) + 1)
    assert torch.equal(function(example(2)), voxpool.max_pool2d(example(2), 2) + 1)


class Marked(torch.Tensor):
    """A subclass that notes what is called on it."""

    calls: list = []  # noqa: RUF012

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        cls.calls.append(str(function))
        return super().__torch_function__(function, types, args, kwargs or {})


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_subclasses_see_the_call_and_stay(dims):
    x = example(dims).as_subclass(Marked)
    for call in (lambda: OURS[dims](x, 2), lambda: MODULES[dims](2)(x)):
        Marked.calls.clear()
        output = call()
        assert type(output) is Marked
        assert any("voxpool" in name for name in Marked.calls)
        assert torch.equal(output.as_subclass(torch.Tensor), TORCHS[dims](example(dims), 2))


class Noted(torch.overrides.TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.calls.append(str(function))
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_function_modes_see_the_call(dims):
    pool = MODULES[dims](2)
    pool(example(dims))
    with Noted() as mode:
        pool(example(dims))
        OURS[dims](example(dims), 2)
    assert sum("voxpool" in name for name in mode.calls) == 2


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_arguments_are_parsed_once(dims, monkeypatch):
    """The second call goes straight to the dispatcher; without that a small pooling costs several times as much."""
    x, pool = example(dims), MODULES[dims](3, 2, 1)
    expected = OURS[dims](x, 3, 2, 1), pool(x)

    def again(*_):
        raise AssertionError("the arguments were parsed again")

    for module in (sys.modules["voxpool.functional"], sys.modules["voxpool.nn.modules"]):
        monkeypatch.setattr(module, "bind_pool", again)
        monkeypatch.setattr(module, "call_operator", again)
    assert torch.equal(OURS[dims](x, 3, 2, 1), expected[0])
    assert torch.equal(pool(x), expected[1])


class Dispatched(torch.utils._python_dispatch.TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.calls.append(str(function))
        return function(*args, **(kwargs or {}))


def test_dispatch_modes_see_the_call():
    with Dispatched() as mode:
        voxpool.max_pool3d(example(3), 2)
        voxpool.nn.MaxPool2d(2)(example(2))
    assert mode.calls.count("voxpool.max_pool3d.default") == 2


def test_parameter_as_input():
    x = torch.nn.Parameter(example(3))
    voxpool.max_pool3d(x, 2).sum().backward()
    assert torch.equal(voxpool.nn.MaxPool3d(2)(x), TORCHS[3](x, 2))
    assert x.grad.sum() == 2 * 3 * 4**3


def test_hooks_run():
    pool = voxpool.nn.MaxPool3d(2)
    seen = []
    pool.register_forward_hook(lambda module, args, output: seen.append(output.shape))
    pool.register_full_backward_hook(lambda module, grad_in, grad_out: seen.append(grad_in[0].shape))
    x = example(3).requires_grad_()
    pool(x).sum().backward()
    assert seen == [(2, 3, 4, 4, 4), x.shape]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_autocast_keeps_the_dtype(dtype):
    """A maximum is exact in every dtype, so there is nothing to cast."""
    x = example(3).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert voxpool.max_pool3d(x, 2).dtype == dtype
        assert voxpool.max_pool3d(x, 2, return_indices=True)[0].dtype == dtype
        assert voxpool.nn.MaxPool2d(2)(x[0]).dtype == dtype


def test_deterministic_mode_and_inference_mode():
    x = channels_last(example(3)).requires_grad_()
    torch.use_deterministic_algorithms(True)
    try:
        voxpool.max_pool3d(x, 3, 2, 1).sum().backward()
    finally:
        torch.use_deterministic_algorithms(False)
    with torch.inference_mode():
        output = voxpool.max_pool3d(x, 2)
    assert output.is_inference()
    assert torch.equal(output, TORCHS[3](x, 2))


def test_many_different_arguments():
    """The table of parsed arguments is bounded, and emptied without harm."""
    x = torch.randn(1, 1, 2000)
    for kernel in range(1, 1500):
        assert voxpool.max_pool1d(x, kernel).shape[-1] == 2000 // kernel
    assert len(voxpool.functional._POOLS[1]) <= voxpool.functional._POOLS_LIMIT


def test_lists_as_arguments():
    x = example(3)
    assert torch.equal(
        voxpool.max_pool3d(x, [2, 3, 2], [1, 2, 1], [1, 0, 1]), F.max_pool3d(x, (2, 3, 2), (1, 2, 1), (1, 0, 1))
    )
    assert torch.equal(voxpool.max_pool3d(x, x.shape[2:]), x.amax((2, 3, 4), keepdim=True))


def test_a_refused_change_changes_nothing():
    pool = voxpool.nn.MaxPool3d(2)
    for name, value in {"stride": "fast", "padding": "full", "dilation": None, "ceil_mode": 2}.items():
        before = repr(pool)
        with pytest.raises((TypeError, ValueError)):
            setattr(pool, name, value)
        assert repr(pool) == before
