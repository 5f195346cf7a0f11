"""python -m voxpool, in processes of its own, as a user runs it."""

import json
import subprocess
import sys

import pytest

import voxpool
from voxpool import check, cli


def run(*arguments):
    command = [sys.executable, "-m", "voxpool", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_paths():
    assert run("--cmake-prefix-path").stdout.strip() == voxpool.cmake_prefix_path
    assert run("--include-path").stdout.strip() == voxpool.include_path


def test_info():
    assert json.loads(run("info", "--json").stdout) == voxpool.info()
    text = run("info").stdout
    for name, value in voxpool.info().items():
        assert name in text
        assert isinstance(value, list) or str(value) in text


def test_no_command_prints_help():
    result = run()
    assert result.returncode == 2
    assert "explain" in result.stderr


def test_unknown_command():
    result = run("fly")
    assert result.returncode == 2
    assert "fly" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["2", "3", "8", "8", "8", "-k", "2"],
        ["3", "8", "8", "8", "-k", "3", "-s", "2", "-p", "1", "--channels-last", "--requires-grad"],
        ["1", "1", "8", "8", "8", "-k", "1", "2", "2", "-p", "same", "--dtype", "bfloat16", "--return-indices"],
    ],
)
def test_explain(arguments, capsys):
    assert cli.main(["explain", *arguments]) == 0
    assert "runs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["8", "8", "8", "-k", "2"], "tensor expected for input"),
        (["1", "1", "8", "8", "8", "-k", "2", "-s", "0"], "stride should not be zero"),
        (["1", "1", "8", "8", "8", "-k", "2", "--dtype", "float99"], "float99"),
        (["1", "1", "8", "8", "8", "-k", "2", "-p", "full"], "full"),
        (["1", "1", "8", "8", "8", "-k", "2", "-p", "1", "x", "1"], "padding"),
    ],
)
def test_explain_refuses_in_one_line(arguments, message, capsys):
    assert cli.main(["explain", *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert len(error.splitlines()) == 1


def test_check_passes_and_says_how_much(capsys):
    before = voxpool.cpu_capability()
    assert check.main() == 0
    assert voxpool.cpu_capability() == before
    last = capsys.readouterr().out.strip().splitlines()[-1]
    held, of, total, *_ = last.split()
    assert of == "of"
    assert int(held) == int(total) > 300


def test_check_fails_when_something_differs(monkeypatch, capsys):
    right = voxpool.max_pool2d

    def wrong(x, *args, **kwargs):
        return right(-x, *args, **kwargs)

    monkeypatch.setattr(voxpool, "max_pool2d", wrong)
    assert check.main() == 1
    assert "max_pool2d" in capsys.readouterr().err
