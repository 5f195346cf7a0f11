"""Volumes in NumPy's own format, C and Fortran order."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from voxpool._axis import Axis
from voxpool.outofcore.blocks import Block
from voxpool.outofcore.mapped import MappedArray, allocate, nbytes
from voxpool.outofcore.volume import spatial_axes

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Npy:
    """A .npy file as a :class:`voxpool.outofcore.volume.Volume`."""

    def __init__(self, path: Path, channels_last: bool) -> None:
        """Raises ValueError for a file that is no array or cannot be mapped, such as one of Python objects."""
        mapping = np.lib.format.open_memmap(path, mode="r")
        self._channels_last = channels_last
        self._fortran = bool(mapping.flags.f_contiguous and not mapping.flags.c_contiguous)
        self.dtype = mapping.dtype
        spatial = spatial_axes(mapping.ndim, channels_last)
        # In Fortran order the first axis is the densest one.
        self.spatial = tuple(mapping.ndim - 1 - axis for axis in spatial) if self._fortran else spatial
        self.shape = mapping.shape[::-1] if self._fortran else mapping.shape
        self.unit = (1,) * mapping.ndim
        self._data = MappedArray(path, int(mapping.offset), self.dtype, self.shape)

    def read(self, rows: Block) -> "NDArray[Any]":
        return self._data.read(rows)

    def write(self, outputs: Block, values: "NDArray[Any]") -> None:
        self._data.write(outputs, values)

    def create(self, path: Path, axes: Sequence[Axis]) -> None:
        """An array of what pooling this one along `axes` gives, without its values."""
        stored = [axis.outputs for axis in axes]
        shape = tuple(stored[::-1] if self._fortran else stored)
        header = {
            "descr": np.lib.format.dtype_to_descr(self.dtype),
            "fortran_order": self._fortran,
            "shape": shape,
        }

        def write_header(file: BinaryIO) -> None:
            np.lib.format.write_array_header_1_0(file, header)

        allocate(path, write_header, nbytes(self.dtype, shape))

    def pooled(self, path: Path) -> "Npy":
        """What :meth:`create` made there."""
        return Npy(path, self._channels_last)
