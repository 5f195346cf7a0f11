"""Counterpart of torch.nn.functional: the same functions as in :mod:`voxpool`, under the name torch users look for."""

from voxpool.functional import max_pool1d, max_pool2d, max_pool3d

__all__ = ["max_pool1d", "max_pool2d", "max_pool3d"]
