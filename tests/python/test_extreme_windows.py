"""Windows at the ends of what is legal: one tap, 255 and 256, thousands, the whole volume, and lengths near 2**31.

Values, indices and gradients, in both layouts, on every instruction set.
"""

import pytest
import torch

import voxpool
from reference import Window, backward, max_pool
from support import OURS, TORCHS, Case, assert_same, channels_last, ties

LAYOUTS = (torch.Tensor.contiguous, channels_last)
TOP = 2**31 - 1  # the largest kernel, stride, padding or dilation

# Torch knows these, and both must agree to the last bit.
TORCHS_CASES = (
    Case((2, 3, 4, 5, 6), 1),
    Case((1, 2, 4, 5, 6), 1, 3),
    Case((1, 2, 260, 3, 5), (255, 1, 1), 1),
    Case((1, 2, 260, 3, 5), (256, 1, 1), 1),
    Case((1, 2, 3, 260, 5), (1, 255, 1), (1, 2, 1), (0, 127, 0)),
    Case((1, 2, 3, 260, 5), (1, 256, 1), (1, 2, 1), (0, 128, 0)),
    Case((1, 2, 2, 3, 300), (1, 1, 255), (1, 1, 3), (0, 0, 127)),
    Case((1, 2, 2, 3, 300), (1, 1, 256), (1, 1, 3), (0, 0, 128)),
    Case((1, 2, 7, 20, 40), (3, 5, 17), 2, (1, 2, 8)),  # 255
    Case((1, 2, 7, 20, 40), (4, 8, 8), 2, (2, 4, 4)),  # 256
    Case((1, 2, 20, 18, 33), 16, 2, 8),  # 4096
    Case((1, 1, 4100, 1, 3), (4096, 1, 1), 1),
    Case((1, 2, 1, 70, 70), (1, 64, 64), (1, 3, 3), (0, 32, 32)),
    Case((1, 17, 2, 2, 4100), (1, 1, 4096), (1, 1, 2)),
    Case((2, 3, 9, 10, 33), (9, 10, 33)),  # the whole volume
    Case((1, 18, 5, 6, 7), (5, 6, 7)),
    Case((1, 2, 12, 20, 40), (2, 2, 2), 1, 0, (11, 19, 39)),  # its corners
    Case((1, 2, 12, 20, 40), (2, 3, 2), (5, 1, 7), 1, (9, 9, 37), True),
    Case((1, 3, 6, 7, 40), 2, TOP),
    Case((1, 3, 6, 7, 40), 3, (1, TOP, 2), 1),
)

# Kernel, stride, (begin, end) padding and dilation of all three axes.
HUGE = (
    (1, TOP, (0, 0), 1),
    (1, 1, (0, 0), TOP),
    (2, TOP, (0, 0), 1),
    (2, TOP, (TOP, 0), TOP),  # the last tap on the first element
    (2, 1, (2, TOP), TOP),
    (3, TOP, (TOP, TOP), TOP - 1),
    (5, 1, (2**30, 2**30), 2**29),  # the middle tap on each element
    (2**30, 2**30, (2**29, 2**29), 1),
    (TOP, 1, (2**30 - 1, 2**30 - 1), 1),
    (TOP, TOP, (2**30, 2**30), 1),
    (TOP, 2, (TOP, TOP), 2),  # every second element
)


def everything(pool, x, arguments, gradient):
    """Values, indices, and the gradient of the values."""
    leaf = x.detach().requires_grad_()
    values, indices = pool(leaf, *arguments, return_indices=True)
    output = pool(leaf, *arguments)
    assert torch.equal(output, values)
    return values.detach(), indices, torch.autograd.grad(output, leaf, gradient.view(output.shape))[0]


@pytest.mark.parametrize("case", TORCHS_CASES, ids=str)
def test_as_torch(case, capability):
    x = ties(case.size, torch.float32)
    gradient = torch.randn(TORCHS[3](x, *case.arguments).shape)
    expected = everything(TORCHS[3], x, case.arguments, gradient)
    for layout in LAYOUTS:
        actual = everything(OURS[3], layout(x), case.arguments, gradient)
        for a, b in zip(actual, expected, strict=True):
            assert_same(a, b, strides=False)


@pytest.mark.parametrize("axes", [(0, 1, 2), (0,), (1,), (2,)], ids=str)
@pytest.mark.parametrize("huge", HUGE, ids=str)
def test_lengths_near_2_31(huge, axes, capability):
    """Along all axes, or one: kernels that large have byte, int32 or int64 taps."""
    usual = (2, 1, (0, 1), 1)
    columns = zip(*(huge if axis in axes else usual for axis in range(3)), strict=True)
    kernel, stride, padding, dilation = columns
    x = ties((1, 3, 4, 5, 18), torch.float32)
    values, indices = max_pool(x.numpy(), Window(kernel, stride, padding, dilation))
    gradient = torch.randint(-9, 9, values.shape).float()
    grad_input = torch.from_numpy(backward(gradient.numpy(), indices, x.shape)).float()
    for layout in LAYOUTS:
        actual = everything(voxpool.max_pool3d, layout(x), (kernel, stride, padding, dilation), gradient)
        for a, b in zip(actual, (torch.from_numpy(values), torch.from_numpy(indices), grad_input), strict=True):
            assert_same(a, b, strides=False)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("window", [(3, 1, 1), ((1, 3, 3), 1, (0, 1, 1)), (3, 2, 1)], ids=str)
def test_empty_batches_of_enormous_volumes(window, axis, capability):
    """Lengths whose products with anything else are beyond an int64, where nothing has to be pooled."""
    size = [1, 1, 1]
    size[axis] = 2**62
    x = torch.empty(0, 1, *size)
    y = voxpool.max_pool3d(x, *window)
    size[axis] //= 2 if window[1] == 2 else 1
    assert y.shape == (0, 1, *size)
    assert capability in voxpool.explain(x, *window)
