"""Modules and functions that take the place of torch.nn's max-pooling and max-unpooling."""

from voxpool.nn import functional
from voxpool.nn.modules import MaxPool1d, MaxPool2d, MaxPool3d
from voxpool.nn.unpooling import MaxUnpool1d, MaxUnpool2d, MaxUnpool3d

__all__ = ["MaxPool1d", "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d", "functional"]
