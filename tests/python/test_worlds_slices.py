"""World 5: volumes pooled slice by slice in 2-D and along their depth in 1-D, through views only."""

import pytest
import torch

import voxpool
from allocations import allocated_bytes, nbytes

B, D, H, W, C = 2, 6, 8, 10, 3


def rising(*size):
    """1, 2, 3, ...: the maximum of a window is the element that comes last in every axis."""
    return torch.arange(1.0, torch.Size(size).numel() + 1).view(size)


def shuffled(*size):
    return torch.randperm(torch.Size(size).numel(), generator=torch.Generator().manual_seed(0)).float().view(size)


@pytest.mark.parametrize("fold", ["slices as channels", "slices in the batch"])
def test_slices_of_a_volume(fold):
    volume = rising(B, D, H, W)
    if fold == "slices as channels":
        y = voxpool.nn.MaxPool2d(2)(volume)
    else:
        y = voxpool.nn.MaxPool2d(2)(volume.view(B * D, 1, H, W)).view(B, D, H // 2, W // 2)
    assert y.shape == (2, 6, 4, 5)
    assert torch.equal(y, volume[:, :, 1::2, 1::2])


def test_slices_of_a_channels_last_volume():
    volume = rising(B, D, H, W, C)
    view = volume.view(B * D, H, W, C).permute(0, 3, 1, 2)
    assert view.is_contiguous(memory_format=torch.channels_last)
    y = voxpool.nn.MaxPool2d(2)(view).permute(0, 2, 3, 1)
    # The result lies as the data did, so unfolding the batch is a view as well.
    assert y.is_contiguous()
    assert torch.equal(y.view(B, D, H // 2, W // 2, C), volume[:, :, 1::2, 1::2])


def test_a_slice_taken_out_of_a_volume():
    volume = shuffled(B, D, H, W)
    y = voxpool.max_pool2d(volume[:, 2:5], 2)
    assert torch.equal(y, volume[:, 2:5].reshape(B, 3, H // 2, 2, W // 2, 2).amax(dim=(3, 5)))


def test_along_the_depth():
    volume = rising(B, D, H, W)
    view = volume.view(B, D, H * W).transpose(1, 2)
    y = voxpool.nn.MaxPool1d(2)(view)
    assert y.shape == (2, 80, 3)
    assert torch.equal(y.transpose(1, 2).reshape(B, D // 2, H, W), volume[:, 1::2])


def test_along_the_depth_of_a_channels_last_volume():
    volume = shuffled(B, D, H, W, C)
    expected = volume.view(B, D // 3, 3, H, W, C).amax(dim=2)
    y = voxpool.nn.MaxPool1d(3)(volume.view(B, D, H * W * C).transpose(1, 2))
    assert torch.equal(y.transpose(1, 2).reshape(B, D // 3, H, W, C), expected)
    # As one sequence per voxel column, (B * H * W * C, D). For B > 1 it is reshape that copies here.
    y = voxpool.nn.MaxPool1d(3)(volume.permute(0, 2, 3, 4, 1).reshape(B * H * W * C, D))
    assert torch.equal(y.view(B, H, W, C, D // 3).permute(0, 4, 1, 2, 3), expected)
    # One volume: its columns are a view.
    columns = volume[0].view(D, H * W * C).t()
    assert torch.equal(voxpool.max_pool1d(columns, 3).t().reshape(D // 3, H, W, C), expected[0])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_depth_collapsed_by_one_window(layout):
    """A window of (D, 1, 1) is the maximum intensity projection."""
    volume = shuffled(B, C, D, H, W).contiguous(memory_format=layout).requires_grad_()
    y, indices = voxpool.max_pool3d(volume, (D, 1, 1), return_indices=True)
    assert y.shape == (2, 3, 1, 8, 10)
    assert torch.equal(y, volume.amax(dim=2, keepdim=True))
    assert torch.equal(indices // (H * W), volume.argmax(dim=2, keepdim=True))
    y.sum().backward()
    assert torch.equal(volume.grad, (volume == volume.amax(dim=2, keepdim=True)).float())


VIEWS = {
    "slices as channels": ((64, 16, 32, 32), lambda x: voxpool.max_pool2d(x, 2)),
    "slices in the batch": ((4, 16, 32, 32), lambda x: voxpool.max_pool2d(x.view(64, 1, 32, 32), 2)),
    "a range of slices": ((4, 16, 32, 32), lambda x: voxpool.max_pool2d(x[:, 2:14], 2)),
    "channels-last slices": (
        (4, 16, 32, 32, 3),
        lambda x: voxpool.max_pool2d(x.view(64, 32, 32, 3).permute(0, 3, 1, 2), 2),
    ),
    "depth": ((4, 16, 32, 32), lambda x: voxpool.max_pool1d(x.view(4, 16, 1024).transpose(1, 2), 2)),
    "depth, channels-last": (
        (4, 16, 32, 32, 3),
        lambda x: voxpool.max_pool1d(x.view(4, 16, 3072).transpose(1, 2), 2),
    ),
    "columns of one volume": ((16, 32, 32, 3), lambda x: voxpool.max_pool1d(x.view(16, 3072).t(), 2)),
    "depth collapsed": ((4, 3, 16, 32, 32), lambda x: voxpool.max_pool3d(x, (16, 1, 1))),
}


@pytest.mark.parametrize(("size", "pool"), VIEWS.values(), ids=VIEWS)
def test_views_are_not_copied(size, pool):
    volume = torch.randn(size)
    # At most half of the input: the output. A copy would be all of it.
    assert allocated_bytes(lambda: pool(volume)) <= nbytes(pool(volume)) <= nbytes(volume) // 2
