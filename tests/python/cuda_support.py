"""What the GPU tests share: the device, tensors that lie on it as they lie on the CPU, and comparisons across."""

import pytest
import torch

import voxpool
from support import OURS, assert_same, channels_last

# "cpu" runs what needs no GPU: test_cuda.py and test_cuda_autograd.py, when it is they that are worked on.
DEVICE = "cuda"

_BITS = {torch.float32: torch.int32, torch.float64: torch.int64}


def skip_without_gpu():
    """Skips the module that calls it where there is no GPU to run its tests on."""
    if DEVICE == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device", allow_module_level=True)


def on_device(x):
    """x with the same strides, offset and surroundings: the whole storage moves, not only what x shows of it."""
    count = x.untyped_storage().nbytes() // x.element_size()
    return x.as_strided((count,), (1,), 0).to(DEVICE).as_strided(x.shape, x.stride(), x.storage_offset())


def crop(x, to_layout=lambda t: t):
    """x as the inside of something larger, around which is what no maximum may see."""
    outside = float("nan") if x.is_floating_point() else torch.iinfo(x.dtype).max
    whole = to_layout(torch.full((*x.shape[:2], *(size + 3 for size in x.shape[2:])), outside, dtype=x.dtype))
    inside = whole[(..., *(slice(1, size + 1) for size in x.shape[2:]))]
    return inside.copy_(x)


def layouts(x):
    """The values of x contiguous, channels-last, and as a crop of each."""
    if x.dim() == 3:
        return [x, crop(x)]
    return [x, channels_last(x), crop(x), crop(x, channels_last)]


def normal(size, dtype):
    return torch.randn(size).to(dtype)


def not_numbers(size, dtype):
    """Normal values between NaNs of many bit patterns, all quiet; which one a window keeps can be told."""
    x = normal(size, dtype)
    if dtype in _BITS:
        bits = x.view(_BITS[dtype])
        pattern = torch.tensor(float("nan"), dtype=dtype).view(_BITS[dtype])
        chosen = torch.rand(size) < 0.1
        bits[chosen] = pattern + torch.arange(1, 1 + int(chosen.sum()), dtype=_BITS[dtype])
    return x


def pooled(case, x, **options):
    return OURS[case.dims](x, *case.arguments, **options)


def gradient(pool, x, incoming):
    x = x.detach().requires_grad_()
    return torch.autograd.grad(pool(x), x, incoming)[0]


def assert_on_device(actual, expected, strides=True):
    """The result of the GPU is that of the CPU, bit for bit: NaN and zeros too, except those of 16-bit floats."""
    assert actual.device.type == DEVICE
    if strides:
        assert actual.stride() == expected.stride()
    assert_same(actual.cpu(), expected, strides=False)
    if expected.dtype in _BITS:
        bits = _BITS[expected.dtype]
        assert torch.equal(actual.cpu().view(bits), expected.view(bits))


def kernels(x, *arguments, **options):
    """The kernel that explain() names for each part of a call: {"forward": "columns", "backward": "generic"}."""
    chosen, part = {}, ""
    for line in voxpool.explain(x, *arguments, **options).splitlines():
        name, _, rest = line.partition(":")
        if not line.startswith(" ") and not rest:
            part = name
        elif rest.startswith(" runs"):
            chosen[part] = name.strip()
    return chosen
