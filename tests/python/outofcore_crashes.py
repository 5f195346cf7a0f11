"""Kills poolings with SIGKILL before each operation that reaches the disk, and looks at what they leave.

A program of its own, started by test_outofcore_runs.py: it forks, which a process that has used OpenMP must not.
Prints how many places a run was killed at, and after how many of them the next run found blocks that were done.
"""

import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import torch
import zarr

import voxpool
from outofcore_support import values
from voxpool.outofcore import pool

FOLDER, SUFFIX = Path(sys.argv[1]), sys.argv[2]
SOURCE, TARGET = FOLDER / f"in{SUFFIX}", FOLDER / f"out{SUFFIX}"
JOURNAL = FOLDER / f".out{SUFFIX}.journal"
FINAL = {".npy": [FOLDER / "out_1.npy", FOLDER / "out_2.npy"], ".zarr": [TARGET]}[SUFFIX]
VALUES = values((16, 16, 16), "u2")
REACH_THE_DISK = {
    ".npy": [(os, "fsync"), (os, "replace"), (os, "posix_fallocate"), (Path, "unlink"), (np.memmap, "flush")],
    # Every chunk is written to a file that Path.replace then names.
    ".zarr": [(os, "replace"), (os, "sync"), (Path, "unlink"), (Path, "replace")],
}[SUFFIX]


def start():
    return voxpool.pool_volume(SOURCE, TARGET, 2, levels=len(FINAL), memory={".npy": 8000, ".zarr": 25_000}[SUFFIX])


def in_a_child(work, *arguments):
    """The status of the child that did it: 0, or minus the signal that killed it."""
    pid = os.fork()
    if pid == 0:
        torch.set_num_threads(1)
        try:
            work(*arguments)
            os._exit(0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def make_source():
    if SUFFIX == ".npy":
        np.save(SOURCE, VALUES)
    else:
        zarr.create_array(SOURCE, shape=VALUES.shape, dtype="u2", chunks=(4, 8, 8))[:] = VALUES


def killed_before(step):
    """start() in which the given one of those operations, counted from 0, is the end."""
    left = [step]

    def counted(right):
        def call(*arguments, **keywords):
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return right(*arguments, **keywords)

        return call

    for place, name in REACH_THE_DISK:
        setattr(place, name, counted(getattr(place, name)))
    start()


def finished():
    """start(), where there is something left, that leaves the number of blocks it computed in a file. Compares."""
    expected = VALUES
    computed, right = [], pool.pooled_block
    pool.pooled_block = lambda *arguments: computed.append(0) or right(*arguments)
    if JOURNAL.exists() or not any(path.exists() for path in FINAL):
        start()
    (FOLDER / "computed").write_text(str(len(computed)))
    for path in FINAL:
        depth, height, width = (size // 2 for size in expected.shape)
        expected = expected.reshape(depth, 2, height, 2, width, 2).max((1, 3, 5))
        found = np.load(path) if SUFFIX == ".npy" else zarr.open_array(path, mode="r")[:]
        assert np.array_equal(found, expected), path
    left = {path.name for path in FOLDER.iterdir()}
    assert left == {"computed", SOURCE.name, *(path.name for path in FINAL)}, left
    assert not [*FOLDER.rglob("*.partial")]


def main():
    assert in_a_child(make_source) == 0
    assert in_a_child(finished) == 0
    every = int((FOLDER / "computed").read_text())
    helped = step = 0
    while True:
        for path in FINAL:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        status = in_a_child(killed_before, step)
        if status == 0:
            break
        assert status == -signal.SIGKILL, status
        # What has its final name is whole already: the next run, which compares, does not write it again.
        before = {path: path.stat().st_ino for path in FINAL if path.exists()}
        assert in_a_child(finished) == 0, step
        assert all(path.stat().st_ino == node for path, node in before.items()), step
        helped += int((FOLDER / "computed").read_text()) < every
        step += 1
    print(step, helped)


main()
