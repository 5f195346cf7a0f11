"""An array inside a file, read and written part by part, without the parts staying in memory."""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from voxpool.outofcore.blocks import Block

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class MappedArray:
    """`shape` elements of `dtype`, last axis densest, from byte `offset` of the file on."""

    path: Path
    offset: int
    dtype: "np.dtype[Any]"
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        """Raises ValueError if the file does not hold all of it."""
        if self.path.stat().st_size < self.offset + nbytes(self.dtype, self.shape):
            raise ValueError("it is shorter than its header says")

    def read(self, rows: Block) -> "NDArray[Any]":
        """A view of the file. Its pages count as memory of this process until the view is gone, so each has a mapping
        of its own. The mapping is a private one: torch takes no memory that must not be written."""
        return np.asarray(self._map("c")[slices(rows)])

    def write(self, outputs: Block, values: "NDArray[Any]") -> None:
        """Returns when the values are on the disk."""
        mapping = self._map("r+")
        mapping[slices(outputs)] = values
        mapping.flush()

    def _map(self, mode: Any) -> "np.memmap[Any, Any]":
        return np.memmap(self.path, self.dtype, mode, self.offset, self.shape)


def slices(block: Block) -> tuple[slice, ...]:
    return tuple(slice(part.start, part.stop) for part in block)


def nbytes(dtype: "np.dtype[Any]", shape: Sequence[int]) -> int:
    return dtype.itemsize * math.prod(shape)


def allocate(path: Path, write_header: Callable[[BinaryIO], None], size: int) -> None:
    """Makes a file of a header and `size` bytes, and has the disk reserve all of it.

    A disk that is full is an OSError here. A write through a mapping could only report it by a signal.
    """
    with open(path, "wb") as file:
        write_header(file)
        file.flush()
        os.posix_fallocate(file.fileno(), 0, file.tell() + size)
        os.fsync(file.fileno())
