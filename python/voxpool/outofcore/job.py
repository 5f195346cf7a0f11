"""What a pooling in parts is made of, worked out and checked before the first byte is written."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from voxpool import _build
from voxpool._arguments import Ints, Padding
from voxpool._axis import Axis, axes_of
from voxpool.outofcore import blocks
from voxpool.outofcore.blocks import Block
from voxpool.outofcore.volume import Files, Volume, copies, files, open_volume, suffix


@dataclass(frozen=True)
class Level:
    """One pooling: from the source, or from the level before, to a file."""

    axes: list[Axis]
    steps: list[int]

    @property
    def blocks(self) -> int:
        return blocks.count(self.axes, self.steps)

    def pooled_sizes(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """Sizes of the result along these axes."""
        return tuple(self.axes[axis].outputs for axis in spatial)


@dataclass(frozen=True)
class Job:
    """All that is known before the first byte is written."""

    source: Path
    volume: Volume
    target: Path
    files: Files
    levels: list[Level]

    @property
    def bytes_read(self) -> int:
        """Of the source and of the levels between; rows that two blocks need count twice."""
        elements = sum(blocks.elements_read(level.axes, level.steps) for level in self.levels)
        return elements * self.volume.dtype.itemsize

    @property
    def blocks(self) -> int:
        return sum(level.blocks for level in self.levels)

    def work(self) -> Iterator[tuple[int, Block]]:
        """Every block of every level, with the number of its level, in the order in which they are computed."""
        for number, level in enumerate(self.levels):
            for block in blocks.blocks(level.axes, level.steps):
                yield number, block

    def task(self) -> dict[str, Any]:
        """What makes two jobs the same, so that one may finish what the other began."""
        job = {
            "voxpool": _build.VERSION,
            "source": str(self.source.resolve()),
            **_fingerprint(self.source),
            "levels": [asdict(level) for level in self.levels],
            "spatial": self.volume.spatial,
        }
        task: dict[str, Any] = json.loads(json.dumps(job))
        return task


def prepare(
    source: Path,
    target: Path,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Padding,
    dilation: Ints,
    ceil_mode: bool,
    levels: int,
    memory: int,
    channels_last: bool,
) -> Job:
    """Checks everything that can be checked without writing."""
    if levels < 1:
        raise ValueError(f"levels must be 1 or more, but got {levels}")
    volume = open_volume(source, channels_last)
    from voxpool.outofcore import order  # takes numpy, and open_volume says how to get it

    if not order.supported(volume.dtype):
        raise ValueError(f"{source}: values of dtype {volume.dtype} have no maximum")
    if suffix(target) != suffix(source) or not target.name.lower().endswith(suffix(source)):
        raise ValueError(
            f"{target}: expected a name that ends in {suffix(source)}, as the result has the source's format"
        )
    names = files(target, levels)
    for _, result in names.renames:
        if _same(source, result):
            raise ValueError(f"{result}: the result cannot replace the volume it is computed from")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{target.parent}: no such directory")

    item = volume.dtype.itemsize
    read, write = copies(source)
    sizes, unit = volume.shape, volume.unit
    plans = []
    for level in range(1, levels + 1):
        try:
            axes = _axes(sizes, volume.spatial, kernel_size, stride, padding, dilation, ceil_mode)
        except RuntimeError as error:
            raise ValueError(str(error).splitlines()[0] + f" (level {level})" * (levels > 1)) from None
        sizes = tuple(axis.outputs for axis in axes)
        unit = tuple(map(min, unit, sizes))
        steps = blocks.plan(axes, unit, memory, item * (read + order.Keys(volume.dtype).copies), item * (write + 1))
        plans.append(Level(axes, steps))
    return Job(source, volume, target, names, plans)


def _axes(sizes: Sequence[int], spatial: Sequence[int], *window: Any) -> list[Axis]:
    """Of all axes of the array in the file, the pooled ones where they are there."""
    axes = [blocks.unpooled(size) for size in sizes]
    for position, axis in zip(spatial, axes_of([sizes[axis] for axis in spatial], *window), strict=True):
        axes[position] = axis
    return axes


def _same(source: Path, target: Path) -> bool:
    return source.resolve() == target.resolve() or (target.exists() and source.samefile(target))


def _fingerprint(path: Path) -> dict[str, int]:
    """Changes when a file does; of a folder, when any file in it does."""
    found = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    stats = [file.stat() for file in found]
    return {
        "files": len(stats),
        "bytes": sum(stat.st_size for stat in stats),
        "modified": max((stat.st_mtime_ns for stat in stats), default=0),
    }
