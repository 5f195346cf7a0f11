"""CMake: what the build decides about CUDA, and a foreign project that uses the installed package."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import voxpool
from support import ROOT, build_tree
from voxpool import _build

TORCH = Path(torch.__file__).parent
NVCC = shutil.which("nvcc")


def environment(*, nvcc: bool) -> dict[str, str]:
    """This process's environment; without `nvcc`, as on a machine that has no CUDA toolkit."""
    env = {
        k: v for k, v in os.environ.items() if k not in {"CUDACXX", "CUDA_HOME", "CUDA_PATH", "TORCH_CUDA_ARCH_LIST"}
    }
    if not nvcc:
        folders = env["PATH"].split(os.pathsep)
        env["PATH"] = os.pathsep.join(f for f in folders if not (Path(f) / "nvcc").exists())
    return env


def run(*command: str | Path, env: dict[str, str], ok: bool = True) -> str:
    result = subprocess.run([str(c) for c in command], check=False, capture_output=True, text=True, env=env)
    text = result.stdout + result.stderr
    assert (result.returncode == 0) == ok, text
    return " ".join(text.split())


def configure(build: Path, *options: str, env: dict[str, str], ok: bool = True) -> str:
    return run("cmake", "-S", ROOT, "-B", build, f"-DPython_EXECUTABLE={sys.executable}", *options, env=env, ok=ok)


def test_cuda_auto_without_toolkit_builds_without(tmp_path: Path) -> None:
    assert "CUDA: off" in configure(tmp_path, "-DVOXPOOL_CUDA=AUTO", env=environment(nvcc=False))


def test_cuda_on_without_toolkit_refuses(tmp_path: Path) -> None:
    text = configure(tmp_path, "-DVOXPOOL_CUDA=ON", env=environment(nvcc=False), ok=False)
    assert "VOXPOOL_CUDA=ON, but" in text
    assert "install" in text


def test_cuda_takes_no_other_value(tmp_path: Path) -> None:
    text = configure(tmp_path, "-DVOXPOOL_CUDA=YES", env=environment(nvcc=False), ok=False)
    assert "expected AUTO, ON or OFF, but got 'YES'" in text


def test_missing_torch_is_named(tmp_path: Path) -> None:
    options = ["-DPython_EXECUTABLE=/usr/bin/false", f"-DTORCH_INSTALL_PREFIX={tmp_path}"]
    env = environment(nvcc=False)
    text = run("cmake", "-S", ROOT, "-B", tmp_path / "b", *options, env=env, ok=False)
    assert "torch was not found" in text
    assert "pip install torch" in text


@pytest.mark.parametrize(
    ("given", "expected"),
    [("8.0;9.0+PTX", "80-real;90"), ("7.5 9.0a", "75-real;90a-real"), ("Hopper", "expected numbers")],
)
def test_architecture_list(tmp_path: Path, given: str, expected: str) -> None:
    script = tmp_path / "parse.cmake"
    script.write_text(
        f'include({ROOT}/csrc/cmake/VoxpoolCuda.cmake)\nvoxpool_parse_architectures(a "{given}")\nmessage("${{a}}")'
    )
    text = run("cmake", "-P", script, env=environment(nvcc=False), ok=expected[0].isdigit())
    assert expected in text


def test_objects_do_not_depend_on_the_folder(tmp_path: Path) -> None:
    """With debug information, which is where paths would be. `make package` compares the whole library."""
    found = []
    for folder in (tmp_path / "a", tmp_path / "another" / "folder"):
        for part in ("csrc", "cuda"):
            shutil.copytree(ROOT / part, folder / part)
        for part in ("CMakeLists.txt", "pyproject.toml"):
            shutil.copy(ROOT / part, folder)
        options = ["-DVOXPOOL_CUDA=OFF", "-DCMAKE_CXX_FLAGS=-g", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"]
        env = environment(nvcc=False) | {"CCACHE_DISABLE": "1"}
        options.append(f"-DPython_EXECUTABLE={sys.executable}")
        run("cmake", "-S", folder, "-B", folder / "build", *options, env=env)
        commands = json.loads((folder / "build" / "compile_commands.json").read_text())
        (unit,) = (command for command in commands if command["file"].endswith("/geometry.cpp"))
        words = shlex.split(unit["command"])
        output = Path(unit["directory"]) / words[words.index("-o") + 1]
        output.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(unit["command"], shell=True, check=True, cwd=unit["directory"], env=env)
        found.append(output.read_bytes())
    assert b"geometry.cpp" in found[0]
    assert str(tmp_path).encode() not in found[0]
    assert found[0] == found[1]


def build_and_run(build: Path, *options: str, targets: list[str], env: dict[str, str]) -> None:
    run("cmake", "-S", ROOT / "tests" / "consumer", "-B", build, "-DCMAKE_BUILD_TYPE=Debug", *options, env=env)
    run("cmake", "--build", build, "--parallel", "2", "--target", *targets, env=env)
    for target in targets:
        words = {"train": "trained", "linked": "linked"}
        assert words[target] in run(build / target, env=env)


def test_consumer_of_the_wheel_without_toolkit(tmp_path: Path) -> None:
    options = [f"-DCMAKE_PREFIX_PATH={voxpool.cmake_prefix_path}", f"-DTORCH_INSTALL_PREFIX={TORCH}"]
    # A variable of the consumer's own that happens to have the name of one of ours.
    options.append("-Dkept=,/not/there.so")
    build_and_run(tmp_path, *options, targets=["train", "linked"], env=environment(nvcc=False))


def test_consumer_that_has_loaded_another_torch(tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(consumer LANGUAGES CXX)\n"
        "add_library(torch INTERFACE)\nset(Torch_VERSION 2.9.1)\nfind_package(voxpool REQUIRED)\n"
    )
    options = [f"-DCMAKE_PREFIX_PATH={voxpool.cmake_prefix_path}"]
    text = run("cmake", "-S", tmp_path, "-B", tmp_path / "b", *options, env=environment(nvcc=False), ok=False)
    assert f"built for torch {_build.TORCH_VERSION}" in text
    assert "the target torch is torch 2.9.1" in text


def test_consumer_of_a_prefix(tmp_path: Path) -> None:
    env = environment(nvcc=True)
    run("cmake", "--install", build_tree(), "--prefix", tmp_path / "prefix", env=env)
    options = [f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'}", f"-DTORCH_INSTALL_PREFIX={TORCH}"]
    build_and_run(tmp_path / "build", *options, targets=["linked"], env=env)


# torch's own CMake package loads only where its CUDA toolkit is, or where it has no CUDA.
if NVCC or torch.version.cuda is None:

    def test_consumer_that_has_loaded_torch(tmp_path: Path) -> None:
        options = [f"-DCMAKE_PREFIX_PATH={voxpool.cmake_prefix_path};{torch.utils.cmake_prefix_path}"]
        targets = ["linked"]
        build_and_run(tmp_path, *options, "-DFIND_TORCH_FIRST=ON", targets=targets, env=environment(nvcc=True))
