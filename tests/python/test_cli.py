"""python -m voxpool, in processes of its own, as a user runs it."""

import json
import subprocess
import sys

import pytest
import torch

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


@pytest.mark.parametrize("batched", [False, True])
def test_explain_of_the_command_line_is_that_of_python(batched, capsys):
    size = ["2"] * batched + ["3", "9", "8", "7"]
    options = ["-k", "3", "2", "2", "-s", "2", "-p", "1", "0", "1", "-d", "2", "1", "1", "--ceil-mode"]
    for flags, arguments in (
        ([], {}),
        (["--requires-grad"], {"requires_grad": True}),
        (["--return-indices"], {"return_indices": True}),
    ):
        assert cli.main(["explain", *size, *options, "--channels-last", "--dtype", "float64", *flags]) == 0
        x = torch.empty([2, *map(int, size[-4:])], dtype=torch.float64).contiguous(memory_format=torch.channels_last_3d)
        expected = voxpool.explain(x if batched else x[0], (3, 2, 2), 2, (1, 0, 1), (2, 1, 1), True, **arguments)
        assert capsys.readouterr().out.strip() == expected.strip()


@pytest.mark.parametrize("part", ["indices", "gradients", "capability"])
def test_check_compares(part, monkeypatch, capsys):
    right = voxpool.max_pool2d

    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, y):
            return y.clone()

        @staticmethod
        def backward(ctx, gradient):
            return 2 * gradient

    def wrong(x, *args, return_indices=False, **kwargs):
        result = right(x, *args, return_indices=return_indices, **kwargs)
        if not return_indices:
            return result
        values, indices = result
        if part == "indices":
            return values, indices + 1
        if part == "gradients":
            return Doubled.apply(values), indices
        last = voxpool.info()["cpu_capabilities_available"][0]
        return values, indices + (voxpool.cpu_capability() == last)

    monkeypatch.setattr(voxpool, "max_pool2d", wrong)
    monkeypatch.setattr(check, "_CASES", [case for case in check._CASES if case.dims == 2])
    assert check.main() == 1
    error = capsys.readouterr().err
    assert "max_pool2d" in error
    if part == "capability":
        assert "equal to torch, baseline" in error
