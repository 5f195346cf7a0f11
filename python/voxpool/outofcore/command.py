"""python -m voxpool pool: pools a volume in a file into another file."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from voxpool.cli import padding_of, positive, refuse
from voxpool.outofcore import DEFAULT_MEMORY, job

_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def main(arguments: Sequence[str]) -> int:
    """Returns 0, 1 if the pooling failed, 2 for arguments that make no sense, 130 if it was interrupted."""
    options = _parser().parse_args(list(arguments))
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    try:
        prepared = job.prepare(
            options.source,
            options.target,
            options.kernel,
            options.stride,
            padding_of(options.padding),
            options.dilation,
            options.ceil_mode,
            options.levels,
            options.memory,
            options.channels_last,
        )
    except (ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
        return refuse("pool", error)
    return _run(prepared, options.restart)


def _run(prepared: job.Job, restart: bool) -> int:
    from voxpool.outofcore import pool, progress

    began = time.perf_counter()
    try:
        done = pool.run(prepared, restart, progress.watcher(show=True))
    except KeyboardInterrupt:
        return refuse("pool", "interrupted; the same command goes on with what is done, --restart forgets it", 130)
    except FileExistsError as error:
        return refuse("pool", error)
    except (OSError, RuntimeError, ValueError) as error:
        return refuse("pool", error, 1)
    seconds = time.perf_counter() - began
    for result, level in zip(prepared.files.results, prepared.levels, strict=True):
        print(f"{result}  {' × '.join(map(str, level.pooled_sizes(prepared.volume.spatial)))}  {prepared.volume.dtype}")
    resumed = f"; {done.resumed} of {prepared.blocks} blocks were there" if done.resumed else ""
    print(f"{done.bytes_read / 1e9:.2f} GB in {seconds:.1f} s, {done.bytes_read / 1e9 / seconds:.2f} GB/s{resumed}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m voxpool pool",
        description="Max-pools a volume in a file into another file, part by part: it may be larger than the memory. "
        "An interrupted run is resumed by the same command; results get their names when they are whole.",
    )
    parser.add_argument(
        "source", type=Path, help="a .npy, .nii or .zarr volume: (..., D, H, W), for NIfTI (i, j, k, ...)"
    )
    parser.add_argument("target", type=Path, help="a name with the same ending that is not taken")
    parser.add_argument("--kernel", "-k", type=int, nargs="+", required=True, help="one int or three")
    parser.add_argument("--stride", "-s", type=int, nargs="+", default=None, help="default: the kernel")
    parser.add_argument("--padding", "-p", nargs="+", default=["0"], help="one int, three, 'same' or 'valid'")
    parser.add_argument("--dilation", "-d", type=int, nargs="+", default=[1])
    parser.add_argument("--ceil-mode", action="store_true")
    parser.add_argument(
        "--levels",
        type=int,
        default=1,
        metavar="N",
        help="a pyramid: pool N times, into out_1.npy ... out_N.npy, or the arrays 0 ... of out.zarr",
    )
    parser.add_argument("--channels-last", action="store_true", help="the array is (..., D, H, W, C)")
    parser.add_argument(
        "--memory", type=_bytes, default=DEFAULT_MEMORY, metavar="SIZE", help="as 512M or 2G (default: 256M)"
    )
    parser.add_argument("--threads", type=positive, default=None, metavar="N", help="default: torch's choice")
    parser.add_argument("--restart", action="store_true", help="forget what an interrupted run has left")
    return parser


def _bytes(text: str) -> int:
    unit = _UNITS.get(text[-1:].upper())
    return int(text[:-1]) * unit if unit else int(text)
