"""NIfTI-1 and NIfTI-2 volumes in one uncompressed file."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import nibabel
import numpy as np
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from voxpool._axis import Axis
from voxpool.outofcore.blocks import Block
from voxpool.outofcore.mapped import MappedArray, allocate, nbytes
from voxpool.outofcore.volume import window_centre

if TYPE_CHECKING:
    from numpy.typing import NDArray

# By the number a header begins with: its length.
_HEADERS: dict[int, Any] = {348: nibabel.Nifti1Header, 540: nibabel.Nifti2Header}


class Nifti:
    """A .nii file as a :class:`voxpool.outofcore.volume.Volume`: axes (i, j, k, ...), i densest in the file."""

    def __init__(self, path: Path, channels_last: bool) -> None:
        """Raises ValueError for what is no NIfTI file, has fewer than three axes or negates what it stores."""
        if channels_last:
            raise ValueError("NIfTI keeps space in its first three axes: it has no channels-last volumes")
        try:
            self._header = _read_header(path)
            slope, _ = self._header.get_slope_inter()
        except (HeaderDataError, WrapStructError) as error:
            raise ValueError(error) from None
        if slope is not None and slope < 0:
            raise ValueError("its scl_slope is negative, so the largest value is the smallest one stored")
        shape = self._header.get_data_shape()
        if len(shape) < 3:
            raise ValueError(f"expected a volume of three dimensions or more, but it has {len(shape)}")
        self.shape = tuple(int(size) for size in reversed(shape))
        self.spatial = tuple(len(shape) - 1 - axis for axis in range(3))
        self.dtype = np.dtype(self._header.get_data_dtype())
        self.unit = (1,) * len(shape)
        self._data = MappedArray(path, self._header.get_data_offset(), self.dtype, self.shape)

    def read(self, rows: Block) -> "NDArray[Any]":
        return self._data.read(rows)

    def write(self, outputs: Block, values: "NDArray[Any]") -> None:
        self._data.write(outputs, values)

    def create(self, path: Path, axes: Sequence[Axis]) -> None:
        """The same header with the sizes, voxel sizes and affines of the pooled volume, and its data where they begin
        after the header's extensions."""
        header = self._header.copy()
        header.set_data_shape([axis.outputs for axis in reversed(axes)])
        _scale(header, [axes[axis] for axis in self.spatial])
        header["vox_offset"] = 0  # nibabel works it out

        def write_header(file: BinaryIO) -> None:
            header.write_to(file)

        allocate(path, write_header, nbytes(self.dtype, header.get_data_shape()))

    def pooled(self, path: Path) -> "Nifti":
        """What :meth:`create` made there."""
        return Nifti(path, channels_last=False)


def voxel_transform(axes: Sequence[Axis]) -> "NDArray[Any]":
    """The 4 × 4 matrix that takes a voxel of the pooled volume to the centre of its window in the input."""
    matrix = np.diag([*(float(axis.stride) for axis in axes), 1.0])
    matrix[:3, 3] = [window_centre(axis) for axis in axes]
    return matrix


def _scale(header: Any, axes: Sequence[Axis]) -> None:
    transform = voxel_transform(axes)
    zooms = header.get_zooms()
    # Two affines, each with a code that is 0 where it is not set. The rotation of the qform stays, its scale is that of
    # the voxels.
    sform, qform = header.get_sform(coded=True), header.get_qform(coded=True)
    header.set_zooms([*(zoom * axis.stride for zoom, axis in zip(zooms, axes, strict=False)), *zooms[3:]])
    if sform[1]:
        header.set_sform(sform[0] @ transform, sform[1])
    if qform[1]:
        header["qoffset_x"], header["qoffset_y"], header["qoffset_z"] = (qform[0] @ transform)[:3, 3]
    # When each slice was acquired: slices of different times are one now.
    for field in ("slice_code", "slice_start", "slice_end", "slice_duration"):
        header[field] = 0


def _read_header(path: Path) -> Any:
    with open(path, "rb") as file:
        length = file.read(4)
        file.seek(0)
        for size, header in _HEADERS.items():
            if length in (size.to_bytes(4, "little"), size.to_bytes(4, "big")):
                found = header.from_fileobj(file)
                if found["magic"].item()[:2] != b"n+":
                    break  # a header whose data are in another file
                return found
    raise ValueError("not a NIfTI file that holds header and data")
