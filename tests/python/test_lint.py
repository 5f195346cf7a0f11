"""What linters say of the sources. pyproject.toml fixes versions, as every version finds something else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support import ROOT

CPP = [
    str(path.relative_to(ROOT))
    for folder in ("benchmarks", "csrc", "cuda", "tests")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in {".cpp", ".h", ".cu"}
]
FLAGS = ["-std=c++20", "-Icsrc", "-I.", "-Wall", "-Wextra"]
# Not what takes minutes: `make lint` looks at the other units and at the tests.
TIDY = [
    source
    for source in CPP
    if source.startswith(("csrc/core/", "csrc/cpu/", "cuda/")) and source.endswith(".cpp") and "/avx" not in source
]


def check(tool: str, *arguments: str) -> None:
    """Runs a tool of this Python's environment, or of the system."""
    folders = [str(Path(sys.executable).parent), os.environ["PATH"]]
    command = shutil.which(tool, path=os.pathsep.join(folders))
    assert command is not None, f"{tool} is missing"
    result = subprocess.run([command, *arguments], cwd=ROOT, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_cpp_is_formatted():
    check("clang-format", "--dry-run", "--Werror", *CPP)


def test_python_is_formatted():
    check("ruff", "format", "--check")


def test_ruff():
    check("ruff", "check")


def test_types():
    check("mypy")


def test_cppcheck():
    macros = ["TORCH_LIBRARY(ns,m)", "TORCH_LIBRARY_IMPL(ns,key,m)", "PYBIND11_MODULE(name,m)"]
    defined = [f"-D{macro}=void define(Module& m)" for macro in macros]
    # It cannot read the kernels, whose lambdas have template parameters: clang-tidy has to do for those.
    units = [f"-icsrc/cpu/{unit}.cpp" for unit in ("baseline", "avx2", "avx512")]
    options = ["--quiet", "--error-exitcode=1", "--enable=warning,performance,portability", "--std=c++20"]
    check("cppcheck", *options, "-Icsrc", "-I.", *defined, *units, "csrc", "cuda")


@pytest.mark.parametrize("source", TIDY)
def test_clang_tidy(source):
    check("clang-tidy", "--quiet", source, "--", *FLAGS)
