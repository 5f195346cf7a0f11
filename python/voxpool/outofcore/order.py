"""Every real dtype as one that voxpool has a kernel for, with the same order, so that its maxima are exact.

Unsigned integers: x ^ 0x8000 maps 0 .. 65535 to 0x8000 .. 0x7fff, which read as int16 is -32768 .. 32767 in the same
order, and the padding, the lowest int16, comes back as 0. Booleans are the bytes 0 and 1.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DIRECT = ("f2", "f4", "f8", "u1", "i1", "i2", "i4", "i8")
_SHIFTED = ("u2", "u4", "u8")


def supported(dtype: "np.dtype[Any]") -> bool:
    """Whether arrays of this dtype can be pooled, in either byte order."""
    return dtype.kind + str(dtype.itemsize) in (*_DIRECT, *_SHIFTED, "b1")


class Keys:
    """Turns values of one dtype into the numbers that are pooled, and the maxima back into values."""

    def __init__(self, dtype: "np.dtype[Any]") -> None:
        self._value = dtype.newbyteorder("=")
        self._shifted = dtype.kind == "u" and dtype.itemsize > 1
        self._key = np.dtype("u1" if dtype.kind == "b" else f"i{dtype.itemsize}" if self._shifted else self._value)
        self._swapped = not dtype.isnative
        #: Whether the values have to be copied.
        self.copies = self._shifted or self._swapped
        # One copy for all blocks, so that its memory is not new, and to be zeroed, for each of them.
        self._scratch = torch.empty(0)

    def of(self, values: "NDArray[Any]") -> Tensor:
        """The values' keys, until the next call: a view of `values` unless :attr:`copies`."""
        words = values.view(self._key.newbyteorder("S") if self._swapped else self._key)
        if not self.copies:
            return torch.from_numpy(words)
        if self._scratch.numel() < words.size:
            self._scratch = torch.empty(words.size, dtype=torch.from_numpy(np.empty(0, self._key)).dtype)
        keys = self._scratch[: words.size].view(words.shape)
        if self._swapped:
            np.copyto(keys.numpy(), words)
        if self._shifted:
            torch.bitwise_xor(keys if self._swapped else torch.from_numpy(words), self._lowest(), out=keys)
        return keys

    def values(self, keys: Tensor) -> "NDArray[Any]":
        """The values of these keys, in native byte order. May change `keys`."""
        if self._shifted:
            keys ^= self._lowest()
        return keys.numpy().view(self._value)

    def _lowest(self) -> int:
        return int(np.iinfo(self._key).min)
