"""Derivatives, transforms and compilation of poolings on a GPU: the values of the CPU, and the same ones every time."""

import warnings

import pytest
import torch
import torch.nn.functional as F

import voxpool
from cuda_support import DEVICE, assert_on_device, gradient, kernels, normal, on_device, skip_without_gpu
from support import EXACT_GRADIENTS, OURS, channels_last
from transforms import LAYOUTS, SIZES, TRANSFORMS, WINDOWS, tensor, values_of, values_with_indices

skip_without_gpu()

CHANNELS = [lambda x: x, channels_last]
CHANNEL_IDS = ["contiguous", "channels-last"]


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("result", [values_of, values_with_indices], ids=["values", "indices"])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_transform(dims, result, transform, capfd):
    run = TRANSFORMS[transform]
    for window in WINDOWS.values():
        f = result(OURS[dims], window)
        for layout in LAYOUTS:
            x = tensor(SIZES[dims], layout)
            # A missing rule announces itself with a warning in Python, or on stderr.
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)
                actual = run(f, on_device(x))
            assert "Warning" not in capfd.readouterr().err
            expected = run(f, x)
            assert expected.abs().sum() > 0
            torch.testing.assert_close(actual.cpu(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("padding", ["same", "valid", [(1, 0), (0, 1), (1, 1)]], ids=str)
def test_paddings_of_our_own(padding):
    x = torch.randn(2, 3, 5, 6, 16)

    def pool(x):
        return voxpool.max_pool3d(x, 3, 2, padding)

    g = torch.randn_like(pool(x))
    assert_on_device(pool(on_device(x)), pool(x))
    assert_on_device(gradient(pool, on_device(x), on_device(g)), gradient(pool, x, g))


def test_windows_without_taps():
    x = torch.randn(1, 2, 1, 1, 1)

    def pool(x):
        return voxpool.max_pool3d(x, 2, padding=1, dilation=2)

    assert pool(on_device(x)).isneginf().all()
    indices = voxpool.max_pool3d(on_device(x), 2, padding=1, dilation=2, return_indices=True)[1]
    assert (indices == -1).all()
    assert not gradient(pool, on_device(x), torch.ones(1, 2, 1, 1, 1, device=DEVICE)).any()


@pytest.mark.parametrize("kernel", [(5, 3, 17), (4, 8, 8)], ids=["255 taps", "256 taps"])
def test_taps_of_large_windows(kernel):
    x = torch.randn(1, 2, 12, 16, 40)

    def pool(x):
        return voxpool.max_pool3d(x, kernel, 2)

    g = torch.randn_like(pool(x))
    assert_on_device(gradient(pool, on_device(x), on_device(g)), gradient(pool, x, g))


@pytest.fixture
def deterministic():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("deterministic")
@pytest.mark.parametrize("layout", CHANNELS, ids=CHANNEL_IDS)
@pytest.mark.parametrize("dtype", EXACT_GRADIENTS, ids=str)
def test_deterministic_algorithms(dtype, layout):
    """Nothing is refused, and as torch then fills new memory with NaN, nothing is left unwritten."""
    x = layout(normal((2, 4, 6, 10, 16), dtype))

    def pool(x):
        return voxpool.max_pool3d(x, 3, 2, 1)

    g = torch.randn_like(pool(x))
    assert_on_device(gradient(pool, on_device(x), on_device(g)), gradient(pool, x, g))
    mine, expected = (voxpool.max_pool3d(t, 3, 2, 1, return_indices=True) for t in (on_device(x), x))
    assert_on_device(mine[0], expected[0])
    assert_on_device(mine[1], expected[1])


@pytest.mark.parametrize("layout", CHANNELS, ids=CHANNEL_IDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_backward_twice_gives_the_same_bits(dtype, layout):
    """With overlapping windows and many outputs: sums whose order depended on threads would differ in some bit."""
    x = layout(normal((4, 16, 16, 48, 48), dtype)).to(DEVICE)
    g = torch.randn_like(voxpool.max_pool3d(x, 3, 1, 1))
    first, *others = (gradient(lambda t: voxpool.max_pool3d(t, 3, 1, 1), x, g) for _ in range(4))
    bits = torch.int32 if dtype == torch.float32 else torch.int16
    for other in others:
        assert torch.equal(first.view(bits), other.view(bits))


@pytest.mark.parametrize("layout", CHANNELS, ids=CHANNEL_IDS)
def test_compile(layout):
    torch.compiler.reset()
    rectified = voxpool.nn.MaxPool3d(2, relu=True)

    def network(x):
        values, indices = voxpool.max_pool3d(F.relu(x) + 1, 3, 2, 1, return_indices=True)
        return rectified(values * 2) + 1, indices

    x = layout(torch.randn(2, 4, 12, 12, 16)).to(DEVICE)
    compiled = torch.compile(network, fullgraph=True)
    actual, expected = compiled(x), network(x)
    for mine, eager in zip(actual, expected, strict=True):
        assert mine.stride() == eager.stride()
        assert torch.equal(mine, eager)
    g = torch.randn_like(expected[0])
    mine, eager = (gradient(lambda t, f=f: f(t)[0], x, g) for f in (compiled, network))
    assert torch.equal(mine, eager)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_autocast_leaves_the_type(dims):
    x = torch.randn(1, 2, *[8] * dims, device=DEVICE)
    with torch.autocast(DEVICE, dtype=torch.bfloat16):
        assert torch.equal(OURS[dims](x, 2), OURS[dims](x, 2).float())
        assert OURS[dims](x, 2).dtype == torch.float32


def test_explain_needs_no_memory():
    """Of a tensor that only describes itself, explain() says what it says of the real one."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    mode = FakeTensorMode()
    x = torch.empty(1, 8, 4, 4, 40, device=DEVICE)
    for view in (x, x[..., :33], x[..., 8:], x[..., 1:33]):
        assert kernels(mode.from_tensor(view), 2) == kernels(view, 2)
