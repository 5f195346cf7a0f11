"""Max-unpooling on a GPU: the CPU's results there, gradients, strides and equal indices."""

import pytest
import torch

import voxpool
from cuda_support import assert_on_device, on_device, skip_without_gpu
from support import FLOATING, INTEGERS, channels_last
from unpool_support import SIZES, UNPOOL, WINDOWS, back, innermost, last_wins, layouts, pooled

skip_without_gpu()


@pytest.fixture
def deterministic():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("dtype", FLOATING + INTEGERS, ids=str)
@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_the_cpus_results(dims, window, dtype):
    values, indices = pooled(torch.randint(0, 100, SIZES[dims]).to(dtype), window)
    for (_, y), (_, i) in zip(layouts(values), layouts(indices), strict=True):
        for t, index in ((y, i), (y[0], i[0]), (y, indices)):
            expected = UNPOOL[dims](t, index, *back(dims, window))
            assert_on_device(UNPOOL[dims](on_device(t), on_device(index), *back(dims, window)), expected)
            if dtype.is_floating_point:
                g = torch.randn(expected.shape).to(dtype)
                for incoming in (g, innermost(g, dims), g.new_ones(()).expand(g.shape)):
                    gradients = []
                    for move in (on_device, lambda x: x):
                        leaf = move(t).detach().requires_grad_()
                        out = UNPOOL[dims](leaf, move(index), *back(dims, window))
                        gradients.append(torch.autograd.grad(out, leaf, move(incoming))[0])
                    assert_on_device(*gradients)


@pytest.mark.usefixtures("deterministic")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64, torch.uint8], ids=str)
def test_the_last_of_equal_indices_wins_where_asked_for(dtype):
    size = (2, 5, 8, 24, 32)
    volume = 8 * 8 * 24 * 32
    values = torch.randint(1, 100, size).to(dtype)
    for limit in (volume, 50):
        indices = torch.randint(-1, limit, size)
        expected = last_wins(values, indices, volume).contiguous().view(2, 5, 16, 48, 64)
        for (_, y), (_, i) in zip(layouts(values), layouts(indices), strict=True):
            for last in (False, True):
                out = torch.ops.voxpool._max_unpool3d(on_device(y), on_device(i), [16, 48, 64], last)
                assert_on_device(out, channels_last(expected) if last else expected)


def test_any_of_equal_indices_wins_otherwise():
    y, i = torch.randint(1, 9, (1, 3, 8, 8, 8)).float(), torch.randint(0, 100, (1, 3, 8, 8, 8))
    out = voxpool.max_unpool3d(on_device(y), on_device(i), 2).cpu().flatten(2)
    taken = torch.zeros_like(out).scatter_(-1, i.flatten(2), 1.0)
    assert torch.equal(out != 0, taken != 0)


def test_a_volume_beyond_32_bits():
    """4.3 GB of bytes: positions of the output need 64 bits."""
    y = torch.arange(1, 9, dtype=torch.uint8).view(1, 1, 2, 2, 2)
    size = [2, 2**15, 2**16 + 16]
    last = size[0] * size[1] * size[2] - 1
    i = torch.tensor([0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, last - 1, last]).view(y.shape)
    out = torch.ops.voxpool._max_unpool3d(on_device(y), on_device(i), size).flatten()
    assert torch.equal(out[on_device(i).flatten()].cpu(), y.flatten())
    assert out.count_nonzero().item() == 8
