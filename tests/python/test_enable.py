"""enable(): torch's own operators give the same with voxpool's kernels behind them, and are themselves again after."""

import io
import re
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

import voxpool
from allocations import allocated_bytes, nbytes
from routes import nodes, pools_run, runs_voxpool
from support import CASES, EXACT_GRADIENTS, FLOATING, INTEGERS, TORCHS, assert_same, channels_last, special, ties

DIMS = (1, 2, 3)
MODULES = {1: torch.nn.MaxPool1d, 2: torch.nn.MaxPool2d, 3: torch.nn.MaxPool3d}
TORCH_NODES = ("MaxPool2DWithIndicesBackward0", "MaxPool3DWithIndicesBackward0")


@pytest.fixture(autouse=True)
def _off():
    assert not voxpool.is_enabled()
    yield
    voxpool.disable()
    assert not voxpool.is_enabled()


def example(dims, **options):
    return torch.randn(2, 3, *(8, 9, 10)[:dims], **options)


def loaded(module):
    """A TorchScript module that was saved and loaded."""
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(module), buffer)
    buffer.seek(0)
    return torch.jit.load(buffer)


class Functional(torch.nn.Module):
    def __init__(self, dims):
        super().__init__()
        self.dims = dims

    def forward(self, x):
        if self.dims == 1:
            return F.max_pool1d(x, 3, 2, 1)
        if self.dims == 2:
            return F.max_pool2d(x, 3, 2, 1)
        return F.max_pool3d(x, 3, 2, 1)


ROUTES = {
    "functional": lambda dims: lambda x: TORCHS[dims](x, 3, 2, 1),
    "torch": lambda dims: lambda x: getattr(torch, f"max_pool{dims}d")(x, 3, 2, 1),
    "aten": lambda dims: lambda x: getattr(torch.ops.aten, f"max_pool{dims}d")(x, [3], [2], [1]),
    "module": lambda dims: MODULES[dims](3, 2, 1),
    "script": lambda dims: torch.jit.script(Functional(dims)),
    "loaded": lambda dims: loaded(MODULES[dims](3, 2, 1)),
    "traced": lambda dims: torch.jit.trace(MODULES[dims](3, 2, 1), example(dims)),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("dims", DIMS)
def test_every_way_to_torchs_operator(dims, route):
    call = ROUTES[route](dims)
    x, leaf = example(dims), example(dims, requires_grad=True)
    off = call(x), nodes(call(leaf)), pools_run(lambda: call(x))
    assert not any("voxpool" in name.lower() for name in off[1] + off[2])
    with voxpool.enabled():
        assert f"voxpool::max_pool{dims}d" in pools_run(lambda: call(x))
        assert "VoxpoolMaxPool3dBackward" in nodes(call(leaf))
        assert not set(TORCH_NODES) & set(nodes(call(leaf)))
        with torch.inference_mode():
            inferred = x.clone()
            names = pools_run(lambda: call(inferred))
            assert "voxpool::max_pool3d" in names
            assert not any("indices" in name for name in names)
        assert_same(call(x), off[0])
    assert_same(call(x), off[0])
    assert (nodes(call(leaf)), pools_run(lambda: call(x))) == off[1:]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_same_values_indices_gradients_and_strides(case):
    inputs = [special(case.size, torch.float32)]
    if case.dims > 1:
        inputs.append(channels_last(ties(case.size, torch.float32)))  # torch's indices of -inf are wrong there
    for layout in inputs:
        for return_indices in (False, True):

            def step(layout=layout, return_indices=return_indices):
                leaf = layout.clone().requires_grad_()
                result = TORCHS[case.dims](leaf, *case.arguments, return_indices=return_indices)
                output, *indices = result if return_indices else (result,)
                incoming = torch.linspace(-1, 1, output.numel()).view(output.shape)
                (gradient,) = torch.autograd.grad(output, leaf, incoming)
                # torch's gradient may be -0, voxpool's never is.
                return output, *indices, gradient + 0.0

            expected = step()
            with voxpool.enabled():
                actual = step()
                assert case.size[0] == 0 or runs_voxpool(step)
            for a, b in zip(actual, expected, strict=True):
                assert_same(a, b)


@pytest.mark.parametrize("dtype", FLOATING + INTEGERS, ids=str)
@pytest.mark.parametrize("dims", DIMS)
def test_every_dtype(dims, dtype):
    x = special((2, 3, *[7] * dims), dtype)
    for return_indices in (False, True):
        with voxpool.enabled():
            actual = TORCHS[dims](x, 3, 2, 1, return_indices=return_indices)
            assert runs_voxpool(lambda: TORCHS[dims](x, 3, 2, 1, return_indices=return_indices))  # noqa: B023
        if dims == 1 and not dtype.is_floating_point and not return_indices:
            with pytest.raises(NotImplementedError, match="not implemented for"):
                TORCHS[1](x, 3, 2, 1)
            assert_same(actual, voxpool.max_pool1d(x, 3, 2, 1))
            continue
        expected = TORCHS[dims](x, 3, 2, 1, return_indices=return_indices)
        for a, b in zip(actual, expected, strict=True) if return_indices else [(actual, expected)]:
            assert_same(a, b) if dtype in EXACT_GRADIENTS else torch.testing.assert_close(
                a, b, rtol=0, atol=0, equal_nan=True
            )


def saved_bytes(call):
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        output = call()
    return nbytes(*saved), output


@pytest.mark.parametrize("dims", DIMS)
def test_training_keeps_taps_and_inference_nothing(dims):
    x = torch.randn(2, 8, *[16] * dims, requires_grad=True)
    kept, output = saved_bytes(lambda: TORCHS[dims](x, 2))
    assert kept == nbytes(x) + 8 * output.numel()
    with voxpool.enabled():
        kept, output = saved_bytes(lambda: TORCHS[dims](x, 2))
        assert kept == output.numel()
        kept, _ = saved_bytes(lambda: TORCHS[dims](x, 2, return_indices=True))
        assert kept == nbytes(x) + 8 * output.numel()  # torch's derivative
        with torch.no_grad():
            assert allocated_bytes(lambda: TORCHS[dims](x, 2)) == nbytes(output)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("dims", DIMS)
def test_training_a_scripted_module_again_and_again(dims):
    """TorchScript differentiates a graph itself once it has run a few times."""
    module, results = ROUTES["script"](dims), {False: [], True: []}
    for on in (False, True):
        for seed in range(5):
            torch.manual_seed(seed)
            x = example(dims, requires_grad=True)
            if on:
                voxpool.enable()
            module(x).square().sum().backward()
            results[on].append(x.grad)
    for actual, expected in zip(results[True], results[False], strict=True):
        assert_same(actual, expected)


@pytest.mark.parametrize("dims", [2, 3])
def test_the_kernel_with_indices_is_below_autograd(dims):
    """Who calls a backend's kernel has dealt with gradients."""
    op, cpu = getattr(torch.ops.aten, f"max_pool{dims}d_with_indices").default, torch._C.DispatchKey.CPU
    leaf = example(dims, requires_grad=True)
    with voxpool.enabled():
        output, indices = op.redispatch(torch._C.DispatchKeySet(cpu), leaf, [2] * dims)
    assert not output.requires_grad
    expected = TORCHS[dims](leaf.detach(), 2, return_indices=True)
    assert_same(output, expected[0])
    assert_same(indices, expected[1])


def test_gradient_checkpointing():
    x = example(3, requires_grad=True)
    expected = torch.autograd.grad(F.max_pool3d(x, 2).square().sum(), x)[0]
    with voxpool.enabled():
        output = checkpoint(lambda x: F.max_pool3d(x, 2), x, use_reentrant=False)
        assert_same(torch.autograd.grad(output.square().sum(), x)[0], expected)


def test_a_window_without_a_tap_has_no_gradient():
    """torch's derivative of the operator with indices follows voxpool's index -1 nowhere."""
    for dims in (2, 3):
        x = torch.ones(*[1] * (dims + 2), requires_grad=True)
        with voxpool.enabled():
            output, indices = TORCHS[dims](x, 2, padding=1, dilation=2, return_indices=True)
        output.sum().backward()
        assert (output.item(), indices.item(), x.grad.item()) == (-float("inf"), -1, 0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64], ids=str)
def test_autocast_keeps_the_dtype(dtype):
    x = example(3).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        off = F.max_pool3d(x, 2)
        assert off.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        with voxpool.enabled():
            assert_same(F.max_pool3d(x, 2), voxpool.max_pool3d(x, 2))
            assert runs_voxpool(lambda: F.max_pool3d(x, 2))
            assert "VoxpoolMaxPool3dBackward" in nodes(F.max_pool3d(x.requires_grad_(), 2))
        assert_same(F.max_pool3d(x.detach(), 2), off)


DUMP = """
import torch
NAMES = [f"aten::max_pool{{d}}d{{s}}" for d in (1, 2, 3) for s in ("", "_with_indices")]
def dump(): return [torch._C._dispatch_dump(n) + torch._C._dispatch_dump_table(n) for n in NAMES]
before = dump()
import voxpool
assert dump() == before, "import"
voxpool.disable()
assert not voxpool.is_enabled() and dump() == before, "disable"
{}
assert voxpool.is_enabled() and dump() != before
"""


@pytest.mark.parametrize("first", ["voxpool.enable()", "block = voxpool.enabled(); block.__enter__()"])
def test_import_alone_changes_nothing(first):
    """And enabling for the first time warns of nothing."""
    command = [sys.executable, "-W", "error", "-c", DUMP.format(first)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not re.search("verrid", done.stderr)
