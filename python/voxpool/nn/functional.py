"""Counterpart of torch.nn.functional: the same functions as in :mod:`voxpool`, under the name torch users look for."""

from voxpool.functional import max_pool1d, max_pool2d, max_pool3d
from voxpool.unpooling import max_unpool1d, max_unpool2d, max_unpool3d

__all__ = ["max_pool1d", "max_pool2d", "max_pool3d", "max_unpool1d", "max_unpool2d", "max_unpool3d"]
