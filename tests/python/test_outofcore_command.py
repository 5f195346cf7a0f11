"""python -m voxpool pool, as a user runs it."""

import importlib.util
import os
import pty
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from outofcore_support import values, whole
from voxpool import cli
from voxpool.outofcore import job, pool, progress


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("in.npy", values((20, 24, 28), "u2"))
    return tmp_path


def test_a_pyramid(folder):
    command = [sys.executable, "-m", "voxpool", "pool", "in.npy", "out.npy", "--kernel", "2", "--levels", "4"]
    run = subprocess.run([*command, "--threads", "1"], capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    *results, summary = run.stdout.splitlines()
    assert results == [
        "out_1.npy  10 × 12 × 14  uint16",
        "out_2.npy  5 × 6 × 7  uint16",
        "out_3.npy  2 × 3 × 3  uint16",
        "out_4.npy  1 × 1 × 1  uint16",
    ]
    assert re.fullmatch(r"0\.00 GB in \d+\.\d s, \d+\.\d\d GB/s", summary)
    expected = np.load("in.npy")
    for level in range(1, 5):
        expected = whole(expected, 2)
        np.testing.assert_array_equal(np.load(f"out_{level}.npy"), expected)


def test_every_argument_arrives(folder, capsys):
    options = "-k 3 2 1 -s 2 1 3 -p 1 1 0 -d 1 2 1 --ceil-mode --memory 3K"
    assert cli.main(["pool", "in.npy", "out.npy", *options.split()]) == 0
    x = np.load("in.npy")
    np.testing.assert_array_equal(np.load("out.npy"), whole(x, (3, 2, 1), (2, 1, 3), (1, 1, 0), (1, 2, 1), True))
    np.save("last.npy", np.moveaxis(x[None], 0, -1))
    assert cli.main(["pool", "last.npy", "same.npy", "-k", "3", "-s", "2", "-p", "same", "--channels-last"]) == 0
    np.testing.assert_array_equal(np.load("same.npy")[..., 0], whole(x, 3, 2, "same"))
    out = capsys.readouterr().out
    assert "10 × 12 × 14" in out


@pytest.mark.parametrize(("text", "count"), [("4096", 4096), ("3k", 3 * 2**10), ("5M", 5 * 2**20), ("2G", 2**31)])
def test_memory_is_read_with_its_unit(folder, monkeypatch, text, count):
    asked = []
    right = job.prepare
    monkeypatch.setattr(job, "prepare", lambda *arguments: asked.append(arguments[8]) or right(*arguments))
    assert cli.main(["pool", "in.npy", "out.npy", "-k", "2", "--memory", text]) == 0
    assert asked == [count]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("nothing.npy out.npy -k 2", "nothing.npy: no such file"),
        ("in.npy in.npy -k 2", "cannot replace"),
        ("in.npy taken.npy -k 2", "taken.npy: is there already"),
        ("in.npy out.tiff -k 2", "expected a name that ends in"),
        ("in.npy out.npy -k 2 -p full", "--padding takes"),
        ("in.npy out.npy -k 2 -s 0", "stride should not be zero"),
        ("in.npy out.npy -k 2 --levels 9", "level 5"),
        ("in.npy out.npy -k 2 --memory 9", "memory of 9 bytes is too little"),
    ],
)
def test_refused_in_one_line(folder, arguments, message, capsys):
    (folder / "taken.npy").write_text("")
    before = sorted(folder.iterdir())
    assert cli.main(["pool", *arguments.split()]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("python -m voxpool pool: ")
    assert message in error
    assert len(error.splitlines()) == 1
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    "arguments", ["in.npy -k 2", "in.npy out.npy", "in.npy out.npy -k 2 --memory 1X", "in.npy out.npy -k 2 --threads 0"]
)
def test_usage(folder, arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["pool", *arguments.split()])
    assert stop.value.code == 2
    assert "usage: python -m voxpool pool" in capsys.readouterr().err


@pytest.mark.parametrize("package", ["numpy", "nibabel", "zarr"])
def test_a_missing_package_is_named(folder, package, monkeypatch, capsys):
    right = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else right(name))
    source = {"numpy": "in.npy", "nibabel": "in.nii", "zarr": "in.zarr"}[package]
    assert cli.main(["pool", source, "out" + source[2:], "-k", "2"]) == 2
    assert f"{package} is not installed: pip install 'voxpool[volumes]'" in capsys.readouterr().err


def test_a_run_that_fails(folder, monkeypatch, capsys):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pool, "pooled_block", full)
        assert cli.main(["pool", "in.npy", "out.npy", "-k", "2"]) == 1
    assert capsys.readouterr().err == "python -m voxpool pool: [Errno 28] No space left on device\n"
    assert not (folder / "out.npy").exists()
    assert cli.main(["pool", "in.npy", "out.npy", "-k", "2"]) == 0


def test_interrupted_and_resumed(folder, capsys):
    """Ctrl-C on a terminal, which shows how far the run is."""
    code = """
import signal, sys, time
from voxpool import cli
from voxpool.outofcore import pool
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell started the tests in the background
right = pool.pooled_block
def slow(*arguments):
    time.sleep(0.3)
    return right(*arguments)
pool.pooled_block = slow
sys.exit(cli.main(["pool", "in.npy", "out.npy", "-k", "2", "--memory", "6000"]))
"""
    ours, theirs = pty.openpty()
    run = subprocess.Popen([sys.executable, "-c", code], stderr=theirs, stdout=theirs)
    os.close(theirs)
    journal = folder / ".out.npy.journal"
    deadline = time.monotonic() + 60
    while not (journal.exists() and journal.read_bytes().endswith(b"..")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    assert run.wait(60) == 130
    shown = b""
    try:
        while text := os.read(ours, 4096):
            shown += text
    except OSError:  # nobody holds the other end any more
        pass
    os.close(ours)
    assert b"interrupted; the same command goes on" in shown
    assert b"kB" in shown or b"bytes" in shown  # of the bar
    assert not (folder / "out.npy").exists()
    done = journal.read_bytes().partition(b"\n")[2].count(b".")

    assert cli.main(["pool", "in.npy", "out.npy", "-k", "2", "--memory", "6000"]) == 0
    assert re.search(rf"; {done} of \d+ blocks were there\n", capsys.readouterr().out)
    np.testing.assert_array_equal(np.load("out.npy"), whole(np.load("in.npy"), 2))


def test_the_bar_without_rich(folder, monkeypatch, capsys):
    right = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "rich" else right(name))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert cli.main(["pool", "in.npy", "out.npy", "-k", "2", "--memory", "20000"]) == 0
    shown = [float(number) for number in re.findall(r"(\d+)%  \d+\.\d\d GB/s", capsys.readouterr().err)]
    assert len(shown) > 1
    assert shown == sorted(shown)
    assert shown[-1] == 100


def test_no_bar_where_there_is_no_terminal(capsys):
    for watch in (progress.watcher(True), progress.watcher(False)):
        with watch(100, 0) as advance:
            advance(50)
    assert capsys.readouterr() == ("", "")


def test_importing_voxpool_imports_none_of_the_formats():
    code = """
import sys
sys.modules["numpy"] = None  # as if it were not installed
import voxpool.outofcore, voxpool.outofcore.command
print(*({"nibabel", "zarr", "rich"} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert (run.stderr, run.stdout) == ("", "\n")
