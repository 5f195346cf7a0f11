"""World 3: the textbook example, small enough to check by eye."""

import pytest
import torch
from torch import nn

import voxpool

CHANNELS = [[[1.0, 3.0], [2.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]
ONE_HOT = [[[0.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 1.0]]]


def test_two_channels_of_two_by_two():
    x = torch.tensor(CHANNELS).view(1, 2, 1, 2, 2).requires_grad_()
    y = voxpool.nn.MaxPool3d((1, 2, 2))(x)
    assert y.flatten().tolist() == [4, 8]
    y.sum().backward()
    assert x.grad.view(2, 2, 2).tolist() == ONE_HOT


def test_the_same_as_images():
    x = torch.tensor([CHANNELS], requires_grad=True)
    y, indices = voxpool.max_pool2d(x, 2, return_indices=True)
    assert y.flatten().tolist() == [4, 8]
    assert indices.flatten().tolist() == [3, 3]
    # The gradient of 10 y0 + y1 arrives at the two maxima.
    y.backward(torch.tensor([10.0, 1.0]).view_as(y))
    assert x.grad[0].tolist() == [[[0, 0], [0, 10]], [[0, 0], [0, 1]]]


@pytest.mark.parametrize("place", range(8))
def test_a_volume_of_eight_gives_its_maximum(place):
    x = torch.arange(8.0).roll(place + 1)  # 7 comes to lie at `place`
    volume = x.view(1, 1, 2, 2, 2).requires_grad_()
    y, index = voxpool.max_pool3d(volume, 2, return_indices=True)
    assert y.item() == 7
    assert index.item() == place
    y.backward()
    assert volume.grad.flatten().tolist() == [float(i == place) for i in range(8)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64])
def test_a_window_of_one_is_the_identity(dtype):
    x = torch.arange(-30, 30).view(1, 2, 2, 3, 5).to(dtype)
    assert torch.equal(voxpool.nn.MaxPool3d(kernel_size=1, stride=1)(x), x)


def test_padding_is_minus_infinity_not_zero():
    """A textbook that pads with zeros would find 0 here: all values are negative."""
    x = torch.tensor([[-1.0, -3.0], [-2.0, -4.0]]).view(1, 1, 1, 2, 2)
    # With one cell around and windows of two, every window holds a single value.
    y = voxpool.max_pool3d(x, (1, 2, 2), padding=(0, 1, 1))
    assert y.view(2, 2).tolist() == [[-1, -3], [-2, -4]]
    y = voxpool.max_pool3d(x, (1, 3, 3), stride=1, padding="same")
    assert y.view(2, 2).tolist() == [[-1, -1], [-1, -1]]


def test_ties_go_to_the_first():
    x = torch.full((1, 1, 2, 2, 2), 5.0, requires_grad=True)
    voxpool.max_pool3d(x, 2).backward(torch.ones(1, 1, 1, 1, 1))
    assert x.grad.flatten().tolist() == [1, 0, 0, 0, 0, 0, 0, 0]


def test_small_network_trains():
    """Conv3d(2, 4, 3, padding=1) → pool 2 → Linear(4, 1) on volumes of 2³: a cube of one value per filter is left."""
    assert voxpool.output_size([2, 2, 2], 2) == (1, 1, 1)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv3d(2, 4, 3, padding=1), voxpool.nn.MaxPool3d(2), nn.Flatten(), nn.Linear(4, 1))
    x = torch.randn(16, 2, 2, 2, 2)
    target = x.amax(dim=(1, 2, 3, 4))[:, None]
    optimizer = torch.optim.SGD(net.parameters(), lr=0.02)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = (net(x) - target).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(parameter.grad.abs().sum() > 0 for parameter in net.parameters())
    assert losses[-1] < losses[0] / 2
