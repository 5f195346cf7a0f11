"""Runs that do not end well: nothing half-written gets a final name, and what was done is not done again."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import voxpool
from outofcore_support import count_blocks, values, whole
from voxpool.outofcore import pool
from voxpool.outofcore.journal import Journal

CRASHES = Path(__file__).parent / "outofcore_crashes.py"
ARGUMENTS = {"kernel_size": 3, "stride": 2, "padding": 1, "levels": 2, "memory": 20_000}


class Stop(BaseException):
    pass


def interrupt_after(monkeypatch, count):
    """The run ends with an exception, as by Ctrl-C, when that many blocks are done."""
    right = Journal.add_block

    def add_block(journal):
        right(journal)
        if journal.blocks == count:
            raise Stop

    monkeypatch.setattr(Journal, "add_block", add_block)


@pytest.fixture
def half(tmp_path, monkeypatch):
    """A folder in which a run has done 3 blocks of its first level."""
    np.save(tmp_path / "in.npy", values((40, 30, 30), "i2"))
    with monkeypatch.context() as patch:
        interrupt_after(patch, 3)
        with pytest.raises(Stop):
            start(tmp_path)
    return tmp_path


def start(folder, **changed):
    return voxpool.pool_volume(folder / "in.npy", folder / "out.npy", **{**ARGUMENTS, **changed})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def check(folder, **changed):
    window = {name: {**ARGUMENTS, **changed}[name] for name in ("kernel_size", "stride", "padding")}
    expected = np.load(folder / "in.npy")
    for level in (1, 2):
        expected = whole(expected, **window)
        np.testing.assert_array_equal(np.load(folder / f"out_{level}.npy"), expected)
    assert names(folder) == ["in.npy", "out_1.npy", "out_2.npy"]


def blocks_of_a_whole_run(folder, monkeypatch, **changed):
    with monkeypatch.context() as patch:
        computed = count_blocks(patch)
        for path in voxpool.pool_volume(folder / "in.npy", folder / "other.npy", **{**ARGUMENTS, **changed}):
            path.unlink()
    return computed


def test_a_run_goes_on_where_the_last_one_ended(half, monkeypatch):
    assert names(half) == [".out.npy.journal", ".out.npy.part1", ".out.npy.part2", "in.npy"]
    every = blocks_of_a_whole_run(half, monkeypatch)
    assert len(every) > 5
    computed = count_blocks(monkeypatch)
    start(half)
    assert computed == every[3:]
    check(half)


@pytest.mark.parametrize(
    "change", ["kernel", "memory", "content", "time", "path", "restart", "part", "journal", "torn"]
)
def test_a_run_starts_again_when_something_has_changed(half, change, monkeypatch):
    changed = {
        "kernel": {"kernel_size": 2},
        "memory": {"memory": 15_000},
        "restart": {"restart": True},
    }.get(change, {})
    if change == "content":
        np.save(half / "in.npy", values((40, 30, 30), "i4", seed=1))
    elif change == "time":
        np.save(half / "in.npy", values((40, 30, 30), "i2", seed=1))
    elif change == "path":
        (half / "in.npy").rename(half / "moved.npy")
        (half / "in.npy").symlink_to("moved.npy")
    elif change == "part":
        (half / ".out.npy.part2").unlink()
    elif change in ("journal", "torn"):
        journal = half / ".out.npy.journal"
        head, _, _ = journal.read_bytes().partition(b"\n")
        # What may be left when power is lost: bytes that were never written, or fewer of them.
        journal.write_bytes(bytes(len(head)) + b"\n..." if change == "journal" else head)
    every = blocks_of_a_whole_run(half, monkeypatch, **{**changed, "restart": False})
    computed = count_blocks(monkeypatch)
    start(half, **changed)
    assert computed == every
    if change == "path":
        (half / "in.npy").unlink()
        (half / "moved.npy").rename(half / "in.npy")
    check(half, **changed)


def test_a_source_that_changes_meanwhile(half, monkeypatch):
    right = pool.pooled_block

    def touched(*arguments):
        os.utime(half / "in.npy")
        return right(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(pool, "pooled_block", touched)
        with pytest.raises(RuntimeError, match=r"in\.npy: changed while it was read"):
            start(half)
    assert names(half) == ["in.npy"]
    start(half)
    check(half)


def test_a_run_of_fewer_levels_removes_what_another_one_has_left(half):
    np.save(half / "out.npy", np.zeros(3))  # not one of the results of two levels
    start(half)
    (half / "out.npy").unlink()
    check(half)
    (half / "out_1.npy").unlink()
    (half / "out_2.npy").unlink()
    for part in (".out.npy.part3", ".out.npy.part"):
        (half / part).write_text("")
    (half / ".out.npy.part1.npy.part").write_text("of another target")
    start(half)
    (half / ".out.npy.part1.npy.part").unlink()
    check(half)


def test_a_result_that_appears_at_the_end_is_kept(half, monkeypatch):
    right = pool.pooled_block

    def appears(*arguments):
        (half / "out_2.npy").write_text("somebody's")
        return right(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(pool, "pooled_block", appears)
        with pytest.raises(FileExistsError, match=r"out_2\.npy"):
            start(half)
    assert (half / "out_2.npy").read_text() == "somebody's"
    assert not (half / "out_1.npy").exists()
    (half / "out_2.npy").unlink()
    computed = count_blocks(monkeypatch)
    start(half)
    assert computed == []
    check(half)


def test_a_result_that_appears_meanwhile_is_kept(half):
    (half / "out_2.npy").write_text("somebody's")
    with pytest.raises(FileExistsError, match=r"out_2\.npy"):
        start(half)
    assert (half / "out_2.npy").read_text() == "somebody's"
    (half / "out_2.npy").unlink()
    start(half)
    check(half)


def test_two_runs_at_once(half):
    with open(half / ".out.npy.journal", "rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        before = {path: path.read_bytes() for path in half.iterdir()}
        with pytest.raises(BlockingIOError, match="another process is writing this result"):
            start(half)
        with pytest.raises(BlockingIOError):
            start(half, restart=True)
        assert {path: path.read_bytes() for path in half.iterdir()} == before
    start(half)
    check(half)


def test_a_lock_on_a_journal_that_was_removed_is_worth_nothing(tmp_path, monkeypatch):
    """Another run ends between open and flock here, and a third one begins a journal of its own."""
    path, right, opened = tmp_path / ".out.npy.journal", fcntl.flock, []

    def flock(file, operation):
        opened.append(file)
        if len(opened) == 1:
            path.unlink()
            path.write_bytes(b"{}\n..")
        return right(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with Journal(tmp_path / "out.npy") as journal:
        assert journal.task == {}
        assert journal.blocks == 2
    assert len(opened) == 2


def test_a_full_disk(tmp_path):
    """The limit on the size of files stands in for it: in both cases the system refuses to make a file longer."""
    np.save(tmp_path / "in.npy", values((40, 40, 40), "f8"))
    code = """
import os, resource, voxpool
for limit in (20, 5000, 30_000, 70_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        voxpool.pool_volume("in.npy", "out.npy", 2, levels=2)
    except OSError as error:
        print(error.errno, *os.listdir())
    else:
        print("done", *sorted(os.listdir()))
"""
    # Too little for the journal, for both levels, and for the first one of them: 20³ and 10³ values.
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.stderr == ""
    refused = f"{errno.EFBIG} in.npy"
    assert run.stdout.splitlines() == [refused, refused, refused, "done in.npy out_1.npy out_2.npy"]


@pytest.mark.parametrize("suffix", [".npy", ".zarr"])
def test_killed_at_every_step(tmp_path, suffix):
    """kill -9 before each operation that reaches the disk; see outofcore_crashes.py."""
    run = subprocess.run([sys.executable, CRASHES, tmp_path, suffix], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    points, resumed = map(int, run.stdout.split())
    assert points > 8
    assert resumed > 1


def test_memory(tmp_path):
    """A sparse volume of 1 GB in 32 MB: what the process holds beyond what it held before."""
    code = """
import re, sys, numpy, torch, voxpool
from pathlib import Path
status = lambda name: int(re.search(name + r":\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
voxpool.max_pool3d(torch.zeros(1, 64, 64, 64), 4)
numpy.save("small.npy", numpy.zeros((8, 8, 8), "u2"))
voxpool.pool_volume("small.npy", "small_out.npy", 2)
Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
before = status("VmRSS")
voxpool.pool_volume("in.npy", sys.argv[1], 4, memory=32 * 2**20)
print(status("VmHWM") - before)
"""
    shape = (1024, 1024, 512)
    header = np.lib.format.header_data_from_array_1_0(np.empty((0,), "u2")) | {"shape": shape}
    with open(tmp_path / "in.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 2**30)
    command = [sys.executable, "-c", code, "out.npy"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert np.load(tmp_path / "out.npy", mmap_mode="r").shape == (256, 256, 128)
    used = int(run.stdout)
    assert 16 * 2**20 < used < 48 * 2**20
