"""Kills poolings with SIGKILL before each operation that reaches the disk, and looks at what they leave.

A program of its own, started by test_outofcore_runs.py: it forks, which a process that has used OpenMP must not.
Prints how many places a run was killed at, and after how many of them the next run found blocks that were done.
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch

import voxpool
from outofcore_support import values
from voxpool.outofcore import pool

FOLDER = Path(sys.argv[1])
SOURCE, RESULTS = FOLDER / "in.npy", [FOLDER / "out_1.npy", FOLDER / "out_2.npy"]
REACH_THE_DISK = (
    (os, "fsync"),
    (os, "replace"),
    (os, "posix_fallocate"),
    (Path, "unlink"),
    (np.memmap, "flush"),
)


def start():
    return voxpool.pool_volume(SOURCE, FOLDER / "out.npy", 2, levels=2, memory=40_000)


def in_a_child(work):
    """The status of the child that did it: 0, or minus the signal that killed it."""
    pid = os.fork()
    if pid == 0:
        torch.set_num_threads(1)
        try:
            work()
            os._exit(0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


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


def resumed():
    """start() that leaves the number of blocks it computed in a file."""
    computed, right = [], pool.pooled_block
    pool.pooled_block = lambda *arguments: computed.append(0) or right(*arguments)
    start()
    (FOLDER / "computed").write_text(str(len(computed)))


def maxima(x):
    depth, height, width = (size // 2 for size in x.shape)
    return x.reshape(depth, 2, height, 2, width, 2).max((1, 3, 5))


def main():
    x = values((32, 32, 32), "u2")
    np.save(SOURCE, x)
    expected = [maxima(x), maxima(maxima(x))]
    assert in_a_child(resumed) == 0
    every = int((FOLDER / "computed").read_text())
    helped = step = 0
    while True:
        for result in RESULTS:
            result.unlink()
        status = in_a_child(lambda step=step: killed_before(step))
        if status == 0:
            break
        assert status == -signal.SIGKILL, status
        for result, array in zip(RESULTS, expected, strict=True):
            assert not result.exists() or np.array_equal(np.load(result), array), (step, result)
        if (FOLDER / ".out.npy.journal").exists():
            assert in_a_child(resumed) == 0, step
            helped += int((FOLDER / "computed").read_text()) < every
        else:
            assert all(result.exists() for result in RESULTS), step  # nothing was left to be done
        for result, array in zip(RESULTS, expected, strict=True):
            assert np.array_equal(np.load(result), array), (step, result)
        left = sorted(path.name for path in FOLDER.iterdir())
        assert left == ["computed", "in.npy", "out_1.npy", "out_2.npy"], (step, left)
        step += 1
    print(step, helped)


main()
