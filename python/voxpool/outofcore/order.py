"""Every real dtype as one that voxpool has a kernel for, with the same order, so that its maxima are exact.

Unsigned integers: x ^ 0x8000 maps 0 .. 65535 to 0x8000 .. 0x7fff, which read as int16 is -32768 .. 32767 in the same
order, and the padding, the lowest int16, comes back as 0. Booleans are the bytes 0 and 1.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DIRECT = ("f2", "f4", "f8", "u1", "i1", "i2", "i4", "i8")
_SHIFTED = ("u2", "u4", "u8")


def supported(dtype: "np.dtype[Any]") -> bool:
    """Whether arrays of this dtype can be pooled, in either byte order."""
    return dtype.kind + str(dtype.itemsize) in (*_DIRECT, *_SHIFTED, "b1")


def copied(dtype: "np.dtype[Any]") -> bool:
    """Whether a part of an array has to be copied before it can be pooled."""
    return not dtype.isnative or _is_shifted(dtype)


def keys(values: "NDArray[Any]") -> "NDArray[Any]":
    """The values as numbers that voxpool pools; a view of `values` unless ``copied(values.dtype)``."""
    dtype = values.dtype
    if dtype.kind == "b":
        return values.view(np.uint8)
    if not copied(dtype):
        return values
    native = values.astype(dtype.newbyteorder("="))
    return _flipped(native).view(_signed(native.dtype)) if _is_shifted(dtype) else native


def values(keys: "NDArray[Any]", dtype: "np.dtype[Any]") -> "NDArray[Any]":
    """What :func:`keys` was given, `dtype` in native byte order. May change `keys`."""
    native = dtype.newbyteorder("=")
    return _flipped(keys.view(native)) if _is_shifted(dtype) else keys.view(native)


def _is_shifted(dtype: "np.dtype[Any]") -> bool:
    return dtype.kind == "u" and dtype.itemsize > 1


def _signed(dtype: "np.dtype[Any]") -> "np.dtype[Any]":
    return np.dtype(f"i{dtype.itemsize}")


def _flipped(words: "NDArray[Any]") -> "NDArray[Any]":
    words ^= words.dtype.type(1 << (8 * words.dtype.itemsize - 1))
    return words
