"""Arrays in zarr stores of format 2 and 3, in folders."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import zarr

from voxpool._axis import Axis
from voxpool.outofcore.blocks import Block
from voxpool.outofcore.mapped import slices
from voxpool.outofcore.ngff import multiscales
from voxpool.outofcore.volume import spatial_axes

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ZarrArray:
    """A zarr array as a :class:`voxpool.outofcore.volume.Volume`. Blocks are whole chunks (shards, where it has them)
    of the result, so that none is written twice."""

    def __init__(self, path: Path, channels_last: bool, mode: Literal["r", "r+"] = "r") -> None:
        """Raises ValueError for what is no array of three axes or more."""
        self._channels_last = channels_last
        self._array = _array(path, mode)
        self.shape = self._array.shape
        self.spatial = spatial_axes(len(self.shape), channels_last)
        self.dtype = self._array.dtype
        self.unit = self._array.shards or self._array.chunks

    def read(self, rows: Block) -> "NDArray[Any]":
        values: NDArray[Any] = self._array[slices(rows)]
        return values

    def write(self, outputs: Block, values: "NDArray[Any]") -> None:
        self._array[slices(outputs)] = values
        # A block is many files, which zarr does not wait for.
        os.sync()

    def create(self, path: Path, axes: Sequence[Axis]) -> None:
        """An array with the chunks, codecs and attributes of this one."""
        shape = tuple(axis.outputs for axis in axes)
        source, metadata = self._array, self._array.metadata
        options: dict[str, Any] = {}
        if metadata.zarr_format == 2:
            options["order"] = metadata.order
            options["chunk_key_encoding"] = {"name": "v2", "separator": metadata.dimension_separator}
        else:
            options["serializer"] = source.serializer
            options["dimension_names"] = metadata.dimension_names
            options["chunk_key_encoding"] = metadata.chunk_key_encoding
        zarr.create_array(
            path,
            shape=shape,
            dtype=self.dtype,
            chunks=source.chunks if source.shards else tuple(map(min, source.chunks, shape)),
            shards=source.shards,
            filters=source.filters or None,
            compressors=source.compressors or None,
            fill_value=source.fill_value,
            zarr_format=metadata.zarr_format,
            attributes=dict(source.attrs),
            **options,
        )

    def pooled(self, path: Path) -> "ZarrArray":
        """What :meth:`create` made there."""
        return ZarrArray(path, self._channels_last, "r+")


def create_group(path: Path, source: Path, levels: Sequence[Sequence[Axis]]) -> None:
    """The group of the arrays 0, 1, ..., with what OME-NGFF says about their voxels."""
    version = _array(source, "r").metadata.zarr_format
    try:
        described = dict(zarr.open_group(source.parent, mode="r").attrs)
    except (FileNotFoundError, ValueError):
        described = {}
    attributes = multiscales(described, source.name, levels, version)
    zarr.create_group(path, zarr_format=version, attributes=attributes)


def remove_leftovers(path: Path) -> None:
    """Removes the files that zarr had not yet given the names of chunks when a run was killed."""
    for leftover in path.rglob("*.partial"):
        leftover.unlink()


def _array(path: Path, mode: Literal["r", "r+"]) -> Any:
    try:
        found = zarr.open(path, mode=mode)
    except FileNotFoundError:
        raise ValueError("not a zarr array") from None
    if isinstance(found, zarr.Group):
        names = ", ".join(str(path / name) for name in sorted(found.array_keys())) or "none"
        raise ValueError(f"is a group: name one of its arrays ({names})")
    return found
