"""What pooling in parts asks of a file format, and which format a file has."""

import importlib
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from voxpool._axis import Axis
from voxpool.outofcore.blocks import Block

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Volume(Protocol):
    """An array in a file. Its axes are taken in the order of the file, outermost first, whatever the format calls
    first."""

    shape: tuple[int, ...]
    #: Where in `shape` the three pooled axes are, in the order of kernel_size.
    spatial: tuple[int, ...]
    dtype: "np.dtype[Any]"
    #: What a written part has to begin and, but for the end of the axis, to end at multiples of.
    unit: tuple[int, ...]

    def read(self, rows: Block) -> "NDArray[Any]": ...

    def write(self, outputs: Block, values: "NDArray[Any]") -> None:
        """Returns when the values are on the disk."""

    def create(self, path: Path, axes: Sequence[Axis]) -> None:
        """A file for what pooling this volume along `axes` gives, with all that the format says about a volume."""

    def pooled(self, path: Path) -> "Volume":
        """What :meth:`create` made there."""


class Files(NamedTuple):
    """Where a run writes: nothing carries its final name before all of it is written."""

    arrays: list[Path]  # one for each level, with the name it has while it is written
    renames: list[tuple[Path, Path]]  # from the name while it is written to the final one
    results: list[Path]  # the arrays under their final names


class _Format(NamedTuple):
    module: str
    type: str
    package: str
    memory: tuple[int, int]  # copies of a block that reading and writing it hold at once


_FORMATS = {
    ".npy": _Format("npy", "Npy", "numpy", (1, 1)),
    ".nii": _Format("nifti", "Nifti", "nibabel", (1, 1)),
    ".zarr": _Format("zarr_array", "ZarrArray", "zarr", (2, 2)),
}


def open_volume(path: Path, channels_last: bool) -> Volume:
    """The volume in a file, by the ending of its name.

    Raises FileNotFoundError, ModuleNotFoundError for a package that the format needs, and ValueError for anything that
    is no volume.
    """
    known = _FORMATS[suffix(path)]
    for package in ("numpy", known.package):
        if importlib.util.find_spec(package) is None:
            raise ModuleNotFoundError(f"{path}: {package} is not installed: pip install 'voxpool[volumes]'")
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    module = importlib.import_module(f"voxpool.outofcore.{known.module}")
    try:
        volume: Volume = getattr(module, known.type)(path, channels_last)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if 0 in volume.shape:
        raise ValueError(f"{path}: the volume is empty")
    return volume


def copies(path: Path) -> tuple[int, int]:
    """How often a block's input and its output are in memory while the format reads and writes them."""
    return _FORMATS[suffix(path)].memory


def suffix(path: Path) -> str:
    """The format's: of the file, or of the zarr store that holds the array. Raises ValueError for other names."""
    name = path.name.lower()
    if name.endswith(".nii.gz"):
        raise ValueError(f"{path}: a compressed file has to be read from its start for every part: gunzip it first")
    for known in _FORMATS:
        if name.endswith(known) or (known == ".zarr" and any(p.name.lower().endswith(known) for p in path.parents)):
            return known
    raise ValueError(f"{path}: expected a name that ends in {', '.join(_FORMATS)}")


def files(target: Path, levels: int) -> Files:
    """The names of the results: `target` for one level; for more out_1.npy, out_2.npy, ... for out.npy, and for a zarr
    store the arrays 0, 1, ... in it."""
    if suffix(target) == ".zarr":
        part = part_of(target)
        inside = [Path()] if levels == 1 else [Path(str(level)) for level in range(levels)]
        return Files([part / name for name in inside], [(part, target)], [target / name for name in inside])
    if levels == 1:
        return Files([part_of(target)], [(part_of(target), target)], [target])
    results = [target.with_stem(f"{target.stem}_{level}") for level in range(1, levels + 1)]
    parts = [part_of(target, level) for level in range(1, levels + 1)]
    return Files(parts, list(zip(parts, results, strict=True)), results)


def part_of(target: Path, level: int | None = None) -> Path:
    """A name that belongs to this target alone: another run may have out_1.npy for its target."""
    return target.with_name(f".{target.name}.part{'' if level is None else level}")


def parts_of(target: Path) -> list[Path]:
    """Everything that runs of any number of levels have left."""
    name = re.compile(re.escape(part_of(target).name) + r"\d*")
    return [path for path in target.parent.iterdir() if name.fullmatch(path.name)]


def window_centre(axis: Axis) -> float:
    """How many elements of the input the centre of the first window lies behind the first element.

    Output o reads the positions ``o * stride - pad_begin + t * dilation`` for t = 0 .. kernel - 1, whose centre is
    ``o * stride + (kernel - 1) * dilation / 2 - pad_begin``. For kernel 2 that is half an element.
    """
    return axis.reach / 2 - axis.pad_begin


def spatial_axes(rank: int, channels_last: bool) -> tuple[int, ...]:
    """The last three axes, or the three before the last one. Raises ValueError if there are none."""
    if rank < 3 + channels_last:
        raise ValueError(
            f"expected {'(..., D, H, W, C)' if channels_last else '(..., D, H, W)'}, but the array has {rank} axes"
        )
    return tuple(range(rank - 3 - channels_last, rank - channels_last))
