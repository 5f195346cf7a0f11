"""Pooling of volumes that are larger than the memory: from a file into a file, part by part."""

from pathlib import Path
from typing import TYPE_CHECKING

from voxpool._arguments import Ints, Padding

if TYPE_CHECKING:
    import os

#: Bytes that a pooling may use where nothing else is said. The same on every machine, so that a run can be resumed.
DEFAULT_MEMORY = 2**28


def pool_volume(
    source: "str | os.PathLike[str]",
    target: "str | os.PathLike[str]",
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    *,
    levels: int = 1,
    memory: int = DEFAULT_MEMORY,
    channels_last: bool = False,
    restart: bool = False,
    progress: bool = True,
) -> list[Path]:
    """Pools the volume in a file into another file, and may take volumes larger than the memory.

    The values are those of :func:`voxpool.max_pool3d` of the whole volume. The parts are as large as `memory` permits;
    the rows that windows of two parts share are read for both.

    Args:
        source: a .npy file (C or Fortran order), an uncompressed NIfTI file (.nii), or an array in a zarr store (format
            2 or 3; ``scan.zarr``, or ``scan.zarr/0`` in a group). Float64/32/16, signed and unsigned integers and bool,
            of either byte order. Shape (D, H, W) with any axes before them, such as (C, D, H, W) or (T, C, D, H, W);
            for NIfTI (i, j, k) with any axes behind.
        target: a name with the same ending. With `levels` above 1 the results are out_1.npy, out_2.npy, ... for
            out.npy, and arrays 0, 1, ... in out.zarr, with multiscales metadata (OME-NGFF 0.4 in format 2, 0.5 in 3).
        kernel_size, stride, padding, dilation, ceil_mode: as in :func:`voxpool.max_pool3d`, three ints in the order of
            the source's three axes.
        levels: how often to pool, each time the result of the time before.
        memory: bytes that the parts may take, beyond what the process has already.
        channels_last: the array is (..., D, H, W, C). Not for NIfTI.
        restart: forget what an interrupted call has left.
        progress: show a bar where standard error is a terminal.

    Returns: the paths of the levels: of the source's dtype, byte order and order of axes, for zarr with its chunks and
    codecs, for NIfTI with its header, whose voxel sizes and affines put each voxel at its window's centre.

    Results get their names when all of them are computed. Until then they are hidden files next to `target`
    (``.out.npy.part``, ``.out.npy.journal``). A call that was interrupted, also by a kill or a loss of power, is taken
    up by the next one with the same arguments and an unchanged source, at the first part that is not on the disk; one
    with others starts again.

    Deterministic, whatever the memory and the threads. Where a window's largest values are zeros of both signs, the
    first one in the order of the file wins; with float16 it may be either.

    Raises:
        ValueError: a file, dtype or argument that makes no sense, or a memory smaller than the smallest part.
        FileNotFoundError: there is no such source. FileExistsError: a result is there already; it is never replaced.
        BlockingIOError: another process is computing the same target.
        OSError: what the system reports, such as a full disk. RuntimeError: the source changed while it was read.
        ModuleNotFoundError: numpy, nibabel or zarr is missing; ``pip install 'voxpool[volumes]'`` brings them.
    """
    from voxpool.outofcore import job, pool
    from voxpool.outofcore.progress import watcher

    prepared = job.prepare(
        Path(source),
        Path(target),
        kernel_size,
        stride,
        padding,
        dilation,
        ceil_mode,
        levels,
        memory,
        channels_last,
    )
    pool.run(prepared, restart, watcher(progress))
    return prepared.files.results
