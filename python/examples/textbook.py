"""Max-pooling on numbers one can follow by eye: two channels of 2 × 2 values."""

import torch
from torch import nn

import voxpool

x = torch.tensor([[[1.0, 3.0], [2.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]])  # C, H, W
x = x.view(1, 2, 1, 2, 2).requires_grad_()  # N, C, D, H, W: a volume of one slice

y, indices = voxpool.max_pool3d(x, kernel_size=(1, 2, 2), return_indices=True)
print("maxima   ", y.flatten().tolist())
print("positions", indices.flatten().tolist())

y.sum().backward()  # the gradient goes where the maximum was
print("gradient ", x.grad.view(2, 4).tolist())

# Padding is minus infinity, not zero: it never wins.
print("padded   ", voxpool.max_pool3d(-x, (1, 2, 2), padding=(0, 1, 1))[0, 0, 0].tolist())

net = nn.Sequential(nn.Conv3d(2, 4, 3, padding=1), voxpool.nn.MaxPool3d(2), nn.Flatten(), nn.Linear(4, 1))
print("network  ", tuple(net(torch.rand(8, 2, 2, 2, 2)).shape))
