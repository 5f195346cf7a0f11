"""The private operators called with what autograd would never pass: refused or harmless, never out of bounds."""

import subprocess
import sys

import pytest
import torch

OPS = torch.ops.voxpool
SIZE = [2, 3, 6, 7, 8]
WINDOW = (3, 2, 1, 1, False)


def legal():
    x = torch.randn(SIZE)
    output, taps = OPS._max_pool3d_taps(x, *WINDOW)
    return x, torch.randn_like(output), taps


def backward(gradient, taps, size=SIZE, window=WINDOW):
    return OPS._max_pool3d_backward(gradient, taps, size, *window)


def test_legal_call():
    x, gradient, taps = legal()
    x.requires_grad_()
    OPS.max_pool3d(x, *WINDOW).backward(gradient)
    assert torch.equal(backward(gradient, taps), x.grad)


@pytest.mark.parametrize("change", ["batch", "channels", "depth", "width", "rank"])
def test_shapes_that_do_not_fit_are_both_named(change):
    _, gradient, taps = legal()
    cut = {
        "batch": lambda t: t[:1],
        "channels": lambda t: t[:, :2],
        "depth": lambda t: t[:, :, :-1],
        "width": lambda t: t[..., :-1],
        "rank": lambda t: t[0],
    }[change]
    expected, got = str(list(gradient.shape)), str(list(cut(gradient).shape))
    for arguments in ((cut(gradient), taps), (gradient, cut(taps))):
        with pytest.raises(RuntimeError) as error:
            backward(*arguments)
        assert expected in str(error.value)
        assert got in str(error.value)
    with pytest.raises(RuntimeError):
        OPS._max_pool3d_gather(torch.randn(SIZE), cut(taps), *WINDOW)
    with pytest.raises(RuntimeError):
        OPS._max_pool3d_indices(cut(taps), SIZE, *WINDOW)


def test_batch_of_the_size():
    _, gradient, taps = legal()
    for size in ([1, *SIZE[1:]], [3, *SIZE[1:]], SIZE[1:], [*SIZE, 1], [], [2, 3, -6, 7, 8], [2, 3, 0, 7, 8]):
        with pytest.raises(RuntimeError):
            backward(gradient, taps, size)


NEGATIVE_SIZES = [[1, 1, -1, 4, 4], [1, 1, 4, 4, -1], [1, -1, 4, 4, 4], [-1, 1, 4, 4, 4], [-1, 4, 4, 4]]


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("size", NEGATIVE_SIZES, ids=str)
def test_negative_sizes(size, device):
    """Padding of (2, 2) turns a length of -1 into one output: only a check of the lengths refuses it."""
    window = (3, 1, (2,) * 6, 1)
    pooled = [length + 2 if i >= len(size) - 3 else abs(length) for i, length in enumerate(size)]
    taps = torch.zeros(pooled, dtype=torch.uint8, device=device)
    with pytest.raises(RuntimeError, match="-1"):
        OPS._max_pool3d_indices(taps, size, *window)
    with pytest.raises(RuntimeError, match="-1"):
        OPS._max_pool3d_backward(taps.float(), taps, size, *window)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_the_order_of_checks_is_that_of_the_real_kernels(device):
    """dtype, dtype of the taps, shapes: each call has all of the later mistakes too."""
    x, gradient, taps = (t.to(device) for t in legal())
    short = taps[:1]
    with pytest.raises(RuntimeError, match="for `gradOutput` but got dtype Long"):
        backward(gradient.long(), short.int())
    with pytest.raises(RuntimeError, match="for `taps` of this window but got dtype Int"):
        backward(gradient[:1], short.int())
    with pytest.raises(RuntimeError, match="expected grad_output of shape"):
        backward(gradient[:1], short)
    with pytest.raises(NotImplementedError, match="\"_max_pool3d_gather\" not implemented for 'Bool'"):
        OPS._max_pool3d_gather(x.bool(), short.int(), *WINDOW)
    with pytest.raises(RuntimeError, match="for `taps` of this window but got dtype Int"):
        OPS._max_pool3d_gather(x, short.int(), *WINDOW)
    with pytest.raises(RuntimeError, match="for `taps` of this window but got dtype Int"):
        OPS._max_pool3d_indices(short.int(), SIZE, *WINDOW)


def test_dtypes():
    _, gradient, taps = legal()
    with pytest.raises(RuntimeError, match=r"expected dtype .* for `gradOutput` but got dtype Long"):
        backward(gradient.long(), taps)
    for dtype in (torch.int8, torch.int32, torch.int64, torch.float32):
        with pytest.raises(RuntimeError, match="taps"):
            backward(gradient, taps.to(dtype))


def test_devices():
    _, gradient, taps = legal()
    with pytest.raises((RuntimeError, NotImplementedError)):
        backward(gradient.to("meta"), taps)
    with pytest.raises((RuntimeError, NotImplementedError)):
        backward(gradient, taps.to("meta"))


# Run in a process of its own: were a tap followed out of bounds, it is that process that would end.
HOSTILE = """
import itertools
import torch
import voxpool
ops = torch.ops.voxpool
windows = [(3, 2, 1, 1, False), (2, 2, 0, 1, False), (3, 1, 1, 1, True),
           ((2, 3, 4), (1, 2, 3), (1, 1, 2), (3, 1, 2), True),
           (7, 3, 3, 1, False), (1, 1, 0, 1, False), ((1, 2, 2), (1, 2, 2), 0, 1, False), (1291, 1, 645, 1, False)]
memory = [torch.contiguous_format, torch.channels_last_3d]
count = 0
for capability in voxpool.info()["cpu_capabilities_available"]:
    voxpool.set_cpu_capability(capability)
    for window, format, dtype in itertools.product(windows, memory, [torch.float32, torch.float64, torch.bfloat16]):
        x = torch.randn(1, 5, 4, 9, 33, dtype=torch.float32).to(dtype).contiguous(memory_format=format)
        output, taps = ops._max_pool3d_taps(x, *window)
        limits = torch.iinfo(taps.dtype)
        for fill in (limits.min, limits.max, limits.max - 1, limits.max // 2, 200, None):
            if fill is None:
                bad = torch.randint(limits.min, limits.max, taps.shape, dtype=torch.int64).to(taps.dtype)
            else:
                bad = torch.full_like(taps, fill)
            gradient = ops._max_pool3d_backward(torch.ones_like(output), bad, list(x.shape), *window)
            assert gradient.shape == x.shape
            assert (gradient >= 0).all() and gradient.float().sum() <= output.numel(), (window, fill)
            assert ops._max_pool3d_gather(x, bad, *window).shape == output.shape
            indices = ops._max_pool3d_indices(bad, list(x.shape), *window)
            assert (indices >= -1).all() and (indices < 4 * 9 * 33).all(), (window, fill)
            count += 1
print(count, "hostile calls")
"""


def test_garbage_taps_are_never_followed():
    result = subprocess.run([sys.executable, "-c", HOSTILE], capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    assert "hostile calls" in result.stdout
