"""What the tests of max-unpooling share: functions by number of axes, layouts, and the definition as a loop."""

import torch
import torch.nn.functional as F

import voxpool
from support import OURS, channels_last

UNPOOL = {1: voxpool.max_unpool1d, 2: voxpool.max_unpool2d, 3: voxpool.max_unpool3d}
TORCH_UNPOOL = {1: F.max_unpool1d, 2: F.max_unpool2d, 3: F.max_unpool3d}
MODULES = {1: voxpool.nn.MaxUnpool1d, 2: voxpool.nn.MaxUnpool2d, 3: voxpool.nn.MaxUnpool3d}
SIZES = {1: (2, 3, 34), 2: (2, 5, 12, 18), 3: (2, 3, 8, 6, 34)}
# Kernel, stride, padding: windows side by side, apart, on a margin.
WINDOWS = ((2, None, 0), (2, 3, 0), (3, 4, 1))


def layouts(x):
    """x in the layouts that a pooling's results have, and as a crop."""
    yield "contiguous", x
    wide = x.new_zeros((*x.shape[:-1], x.shape[-1] + 3))
    yield "crop", wide[..., 2:-1].copy_(x)
    if x.dim() > 3:
        yield "channels-last", channels_last(x)
        yield "transposed", x.transpose(-1, -2).contiguous().transpose(-1, -2)
    yield "channels innermost", innermost(x, x.dim() - 2)


def pooled(x, window):
    kernel, stride, padding = window
    return OURS[x.dim() - 2](x, kernel, stride, padding, return_indices=True)


def back(dims, window):
    """The arguments that unpool what a window made of SIZES."""
    return (*window, SIZES[dims][2:])


def innermost(x, dims):
    """The same values with channels innermost, batched or not."""
    channels = -1 - dims
    return x.movedim(channels, -1).contiguous().movedim(-1, channels)


def last_wins(values, indices, volume):
    """The definition: a loop over positions, in which later elements replace earlier ones; -1 is left out."""
    result = values.new_zeros((*values.shape[:2], volume + 1))
    for value, index in zip(values.flatten(2).unbind(-1), indices.flatten(2).unbind(-1), strict=True):
        result.scatter_(-1, torch.where(index < 0, volume, index)[..., None], value[..., None])
    return result[..., :-1]
