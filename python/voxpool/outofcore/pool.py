"""Pools a volume in a file, block by block, into other files."""

import itertools
import math
import os
import shutil
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from voxpool.functional import max_pool3d
from voxpool.outofcore import blocks
from voxpool.outofcore.blocks import Block
from voxpool.outofcore.job import Job, Level
from voxpool.outofcore.journal import Journal, sync_folder
from voxpool.outofcore.order import Keys
from voxpool.outofcore.volume import Volume, parts_of, suffix

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Watcher(Protocol):
    """Is told how far a run is."""

    def __call__(self, total: int, done: int) -> "AbstractContextManager[Advance]":
        """`total` bytes have to be read, `done` of which earlier runs have read."""


@dataclass(frozen=True)
class Done:
    """What a run had to do."""

    resumed: int  # blocks that were there already
    bytes_read: int


class Advance(Protocol):
    def __call__(self, count: int) -> None: ...


def run(job: Job, restart: bool, watch: Watcher) -> Done:
    """Computes what is not there yet and gives the results their names.

    Raises OSError, among others where the disk is full, BlockingIOError if another process writes the same target,
    FileExistsError if a result is there, RuntimeError if the source changes meanwhile.
    """
    with Journal(job.target) as journal:
        task = job.task()
        if restart or journal.task != task or journal.blocks < job.blocks:
            try:
                _check_free(result for _, result in job.files.renames)
            except FileExistsError:
                if journal.task is None:
                    journal.remove()
                raise
            if restart or journal.task != task or not all(path.exists() for path in job.files.arrays):
                _begin(job, journal, task)
            elif suffix(job.target) == ".zarr":
                from voxpool.outofcore.zarr_array import remove_leftovers

                remove_leftovers(job.files.renames[0][0])
        resumed = journal.blocks
        bytes_read = _compute(job, journal, watch) if resumed < job.blocks else 0
        if job.task() != task:
            _remove_parts(job)
            journal.remove()
            raise RuntimeError(f"{job.source}: changed while it was read")
        left = [(part, result) for part, result in job.files.renames if part.exists()]  # by a run that ended here
        _check_free(result for _, result in left)
        for part, result in left:
            os.replace(part, result)
        sync_folder(job.target)
        journal.remove()
        return Done(resumed, bytes_read)


def _begin(job: Job, journal: Journal, task: dict[str, Any]) -> None:
    journal.discard()
    try:
        _remove_parts(job)
        if suffix(job.target) == ".zarr" and len(job.levels) > 1:
            from voxpool.outofcore.zarr_array import create_group

            create_group(job.files.arrays[0].parent, job.source, [level.axes for level in job.levels])
        volume = job.volume
        for path, level in zip(job.files.arrays, job.levels, strict=True):
            volume.create(path, level.axes)
            volume = volume.pooled(path)
        journal.begin(task)
    except BaseException:
        # Nothing is computed yet, and a disk that is full should not stay so.
        _remove_parts(job)
        journal.remove()
        raise


def _compute(job: Job, journal: Journal, watch: Watcher) -> int:
    volumes = [job.volume]
    for path in job.files.arrays:
        volumes.append(volumes[-1].pooled(path))
    keys = Keys(job.volume.dtype)
    work = job.work()
    done = sum(_bytes_read(job, *item) for item in itertools.islice(work, journal.blocks))
    with watch(job.bytes_read, done) as advance:
        for number, block in work:
            values = pooled_block(volumes[number], keys, job.levels[number], block)
            volumes[number + 1].write(block, values)
            journal.add_block()
            advance(_bytes_read(job, number, block))
    return job.bytes_read - done


def pooled_block(volume: Volume, keys: Keys, level: Level, block: Block) -> "NDArray[Any]":
    """The outputs of one block, their axes in the order of the file.

    Where a window's largest values are zeros of both signs, the first one in the order of the file is taken.
    """
    rows = blocks.rows(level.axes, block)
    windows = sorted(volume.spatial)
    others = [axis for axis in range(len(level.axes)) if axis not in windows]
    moved = keys.of(volume.read(rows)).permute(*others, *windows)
    batch = moved.flatten(0, -5) if len(others) > 2 else moved if others else moved[None]
    axes = [level.axes[axis] for axis in windows]
    pooled = max_pool3d(
        batch,
        [axis.kernel for axis in axes],
        [axis.stride for axis in axes],
        [level.axes[axis].padding(block[axis], rows[axis]) for axis in windows],
        [axis.dilation for axis in axes],
    )
    pooled = pooled.reshape([len(block[axis]) for axis in (*others, *windows)])
    back = sorted(range(len(level.axes)), key=[*others, *windows].__getitem__)
    return keys.values(pooled.permute(back))


def _bytes_read(job: Job, number: int, block: Block) -> int:
    return math.prod(map(len, blocks.rows(job.levels[number].axes, block))) * job.volume.dtype.itemsize


def _remove_parts(job: Job) -> None:
    for part in parts_of(job.target):
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink()


def _check_free(results: Iterable[Path]) -> None:
    for result in results:
        if result.exists():
            raise FileExistsError(f"{result}: is there already")
