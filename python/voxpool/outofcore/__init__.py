"""Pooling of volumes that are larger than the memory: from a file into a file, part by part."""

from pathlib import Path
from typing import TYPE_CHECKING

from voxpool._arguments import Ints, Padding

if TYPE_CHECKING:
    import os

#: Bytes that a pooling may use where nothing else is said. Larger parts are no faster.
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
        target: a name of the same format that is not taken. With `levels` above 1 files out_1.npy, out_2.npy, ... for
            out.npy, and for a zarr store arrays 0, 1, ... with multiscales metadata (OME-NGFF 0.4 in format 2, 0.5 in
            format 3).
        kernel_size, stride, padding, dilation, ceil_mode: as in :func:`voxpool.max_pool3d`, three ints in the order of
            the source's three axes.
        levels: how often to pool, each time the result of the time before.
        memory: bytes to use, beyond those the process has already.
        channels_last: the array is (..., D, H, W, C). Not for NIfTI.
        restart: forget what an interrupted call has left.
        progress: show a bar, if standard error is a terminal.

    Returns: the files (or zarr arrays) of the levels, of the source's dtype, byte order, axes and, for zarr, chunks.
    The voxel sizes and affines of a NIfTI header go with its voxels: each stands at its window's centre.

    A name of a result is given to it when everything is computed. Until then it is kept in hidden files next to it,
    and a call that is interrupted, even by a loss of power, is resumed by the next one with the same arguments and an
    unchanged source; with others it starts again. A few blocks at a time, so that all but the last one are kept.

    Deterministic, whatever the memory and the threads. Where the largest values of a window are zeros of both signs,
    the first one in the order of the file wins, for float16 either.

    Raises:
        ValueError: a file, dtype or argument that makes no sense, or a memory smaller than the smallest part.
        FileNotFoundError, FileExistsError: of the source; of a result. BlockingIOError: another process writes it.
        OSError: what the system reports, such as a full disk. RuntimeError: the source has changed meanwhile.
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
