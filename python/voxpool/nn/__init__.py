"""Modules and functions that take the place of torch.nn's max-pooling."""

from voxpool.nn import functional
from voxpool.nn.modules import MaxPool1d, MaxPool2d, MaxPool3d

__all__ = ["MaxPool1d", "MaxPool2d", "MaxPool3d", "functional"]
