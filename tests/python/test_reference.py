"""What torch has not got, or gets wrong, against the brute-force reference."""

import numpy as np
import pytest
import torch

import voxpool
from reference import Window, backward, max_pool, same_padding
from support import OURS, TORCHS, assert_same, channels_last, ties


def expect(x, window, padding, dims):
    """Values, indices, gradient and output_size of voxpool against the reference, in both memory formats."""
    arguments = (window.kernel, window.stride, padding, window.dilation, window.ceil_mode)
    values, indices = max_pool(x.numpy(), window)
    assert voxpool.output_size(tuple(x.shape[2:]), *arguments) == values.shape[2:]
    incoming = torch.randint(-8, 9, values.shape).to(torch.float64)
    gradient = torch.from_numpy(backward(incoming.numpy(), indices, tuple(x.shape)))
    for layout in (x,) if dims == 1 else (x, channels_last(x)):
        tracked = layout.clone().requires_grad_() if x.is_floating_point() else layout
        actual = OURS[dims](tracked, *arguments, return_indices=True)
        assert_same(actual[0].detach(), torch.from_numpy(values), strides=False)
        assert_same(actual[1], torch.from_numpy(indices), strides=False)
        assert_same(OURS[dims](layout, *arguments), torch.from_numpy(values), strides=False)
        if x.is_floating_point():
            actual[0].backward(incoming.to(x.dtype))
            assert_same(tracked.grad, gradient.to(x.dtype), strides=False)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "pads"),
    [(5, 2, 2, 1, (0, 1)), (4, 2, 2, 1, (0, 0)), (5, 3, 1, 1, (1, 1)), (7, 4, 2, 1, (1, 2)), (6, 3, 2, 2, (1, 2))],
)
def test_same_padding_by_hand(size, kernel, stride, dilation, pads):
    """ceil(5/2) = 3 windows of 2 need 6 cells, one more than there are, so (0, 1); and so on."""
    assert same_padding(size, kernel, stride, dilation) == pads
    x = torch.randn(1, 2, size)
    same = voxpool.max_pool1d(x, kernel, stride, "same", dilation)
    assert same.shape[-1] == -(-size // stride)
    assert torch.equal(same, voxpool.max_pool1d(x, kernel, stride, [pads], dilation))


def test_valid_is_no_padding():
    x = torch.randn(2, 3, 7, 8, 9)
    assert torch.equal(voxpool.max_pool3d(x, 3, 2, "valid"), voxpool.max_pool3d(x, 3, 2, 0))
    assert torch.equal(voxpool.max_pool3d(x, 3, 2, "valid", 1, True), TORCHS[3](x, 3, 2, 0, 1, True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int16, torch.uint8], ids=str)
def test_window_without_taps(dtype):
    """With dilation > n a window can miss the input: -inf or the lowest integer, index -1, no gradient."""
    x = ties((1, 2, 1, 1, 1), dtype)
    assert max_pool(x.numpy(), Window((2,) * 3, (2,) * 3, ((1, 1),) * 3, (2,) * 3))[1].tolist() == [
        [[[[-1]]], [[[-1]]]]
    ]
    expect(x, Window((2,) * 3, (2,) * 3, ((1, 1),) * 3, (2,) * 3), 1, 3)
    x = ties((2, 3, 2, 1, 4), dtype)
    expect(x, Window((2, 2, 3), (1, 1, 2), ((1, 1),) * 3, (3, 2, 2)), 1, 3)
    x = ties((1, 1, 2), dtype)
    expect(x, Window((2,), (1,), ((1, 1),), (3,)), 1, 1)


def test_more_than_255_taps():
    """Taps no longer fit a byte: int32."""
    x = ties((1, 2, 9, 9, 9), torch.float64)
    for kernel in ((7, 7, 7), (8, 8, 4), (1, 5, 51), (5, 51, 1)):
        window = Window(kernel, (1, 2, 3), tuple(((k - 1) // 2, k // 2) for k in kernel), (1,) * 3)
        expect(x, window, window.padding, 3)


def test_more_taps_than_an_int32_counts():
    """kernel 1291 has 2151685171 > 2^31 - 1 taps on 4^3 voxels: every window sees the whole input or a corner of it."""
    x = torch.randn(1, 1, 4, 4, 4, dtype=torch.float64, requires_grad=True)
    values, indices = voxpool.max_pool3d(x, 1291, 1, 645, return_indices=True)
    assert values.shape == (1, 1, 4, 4, 4)
    assert (values == x.max()).all()
    assert (indices == x.argmax()).all()
    values.sum().backward()
    expected = torch.zeros(64, dtype=torch.float64)
    expected[x.argmax()] = 64
    assert torch.equal(x.grad.view(-1), expected)


def test_huge_arguments_give_the_right_answer():
    x = torch.randn(1, 1, 4, 4, 4)
    assert torch.equal(voxpool.max_pool3d(x, 1, 1, 0, 2**31 - 1), x)
    assert torch.equal(voxpool.max_pool3d(x, 2, 2**31 - 1), x[:, :, :2, :2, :2].amax((2, 3, 4), keepdim=True))
    # The only window starts at the first voxel, its other taps lie far outside.
    assert torch.equal(voxpool.max_pool3d(x, 3, 2**31 - 1, 0, 2**30, ceil_mode=True), x[:, :, :1, :1, :1])
    # 2^30 taps per axis, nearly all of them padding: work is bounded by what lies inside.
    everything = voxpool.max_pool3d(x, 2**30, 2**30, 2**29)
    assert torch.equal(everything.flatten().max(), x.max())


def test_channels_last_integers_torch_refuses():
    for dtype, low, high in ((torch.int8, -128, 128), (torch.uint8, 0, 256)):
        x = torch.randint(low, high, (1, 19, 6, 7, 8)).to(dtype)
        values, indices = max_pool(x.numpy(), Window((3,) * 3, (2,) * 3, ((1, 1),) * 3, (1,) * 3))
        actual = voxpool.max_pool3d(channels_last(x), 3, 2, 1, return_indices=True)
        np.testing.assert_array_equal(actual[0].numpy(), values)
        np.testing.assert_array_equal(actual[1].numpy(), indices)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_16_bit_gradients_are_accumulated_in_float32(dtype):
    """2048 + 27 ones: adding in float16 (or bfloat16) one by one would stay at 2048 (256)."""
    x = torch.zeros(1, 1, 15, 15, 15, dtype=dtype)
    x[0, 0, 7, 7, 7] = 1
    x.requires_grad_()
    output = voxpool.max_pool3d(x, 15, 1, 7)
    output.backward(torch.ones_like(output))
    assert x.grad[0, 0, 7, 7, 7] == torch.tensor(15.0**3).to(dtype)
