"""Volumes in files, and what pooling them has to give."""

import numpy as np
import torch

import voxpool
from voxpool.outofcore import pool

UNSIGNED = ("u2", "u4", "u8")
DTYPES = ("f2", "f4", "f8", "u1", "i1", "i2", "i4", "i8", *UNSIGNED, "?", ">f4", ">i2", ">u2", ">u8", ">f8")


def values(shape, dtype, seed=0):
    """All of an integer's range with its ends, booleans, and floats with NaN, both infinities and zeros of one sign."""
    generator, kind = np.random.default_rng(seed), np.dtype(dtype)
    bits = generator.integers(0, 256, (*shape, kind.itemsize), np.uint8).view(kind.newbyteorder("="))[..., 0]
    if kind.kind == "b":
        return generator.integers(0, 40, shape) == 0
    if kind.kind == "f":
        table = np.array([np.nan, 0, -np.inf, np.inf, *range(-20, 20)])
        return table[generator.integers(0, len(table), shape)].astype(kind)
    limits = np.iinfo(kind)
    bits[generator.random(shape) < 0.3] = limits.min
    bits[generator.random(shape) < 0.01] = limits.max
    return bits.astype(kind)


def whole(array, *arguments, **keywords):
    """Pooling of all of a (..., D, H, W) array at once; of uint16 in 32 bits."""
    wide = array.astype("i4") if array.dtype.str[1:] == "u2" else np.ascontiguousarray(array)
    y = voxpool.max_pool3d(torch.from_numpy(wide).reshape(-1, *array.shape[-3:]), *arguments, **keywords)
    return y.reshape(*array.shape[:-3], *y.shape[-3:]).numpy().astype(array.dtype)


def count_blocks(monkeypatch):
    """A list that grows by one entry for each block that is computed."""
    computed, right = [], pool.pooled_block

    def counted(volume, keys, level, block):
        computed.append(block)
        return right(volume, keys, level, block)

    monkeypatch.setattr(pool, "pooled_block", counted)
    return computed
