"""Drives CMake, which describes the build, and copies what it installs into the Python package.

Environment: VOXPOOL_CUDA (AUTO, ON or OFF), TORCH_CUDA_ARCH_LIST, MAX_JOBS, CMAKE_ARGS (further options of CMake).
"""

import importlib.metadata
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import setuptools
from setuptools import Extension, setup
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext

SOURCE = Path(__file__).resolve().parent
NO_TORCH = """\
voxpool is compiled against torch >= 2.11, and this Python has none:
    {python}
Install it first (pip install torch==2.11.0), or leave out --no-build-isolation."""

OLD_SETUPTOOLS = """\
voxpool's pyproject.toml needs setuptools >= 77, and this Python has {version}:
    {python}
Upgrade it (pip install --upgrade setuptools), or leave out --no-build-isolation."""


def torch_version() -> str | None:
    """Version of the torch to build against, such as 2.11.0."""
    try:
        return importlib.metadata.version("torch").partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return None


def requirements() -> list[str]:
    """torch's C++ interface changes with every minor version, so what is built for one runs with that one."""
    version = torch_version()
    if version is None:
        return ["torch>=2.11"]
    major, minor = version.split(".")[:2]
    return [f"torch=={major}.{minor}.*"]


def cmake_dir() -> Path:
    """CMake's build tree, kept for each torch and Python so that a rebuild compiles what has changed."""
    return SOURCE / "build" / f"torch-{torch_version()}-{sys.implementation.cache_tag}"


def extras(names: list[str]) -> list[str]:
    table = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    return sorted({requirement for name in names for requirement in table[name]})


def check_setuptools() -> None:
    """Its own message, about a schema, names neither setuptools nor a version."""
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]
    spdx = isinstance(project["license"], str)
    major = int(setuptools.__version__.partition(".")[0])  # 0 where setuptools does not know its own
    if spdx and 0 < major < 77:
        sys.exit(OLD_SETUPTOOLS.format(version=setuptools.__version__, python=sys.executable))


class FreshBuild(build):
    def run(self) -> None:
        # setuptools would pack modules that were deleted since the last build.
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


class CMakeBuild(build_ext):
    def run(self) -> None:
        if torch_version() is None:
            sys.exit(NO_TORCH.format(python=sys.executable))
        torch = importlib.util.find_spec("torch")
        assert torch is not None
        assert torch.submodule_search_locations
        options = {
            "Python_EXECUTABLE": sys.executable,
            "TORCH_INSTALL_PREFIX": torch.submodule_search_locations[0],
            "VOXPOOL_BUILD_PYTHON": "ON",
            "VOXPOOL_CUDA": os.environ.get("VOXPOOL_CUDA", "AUTO").upper(),
        }
        tree = str(cmake_dir())
        configure = ["cmake", "-S", str(SOURCE), "-B", tree, *(f"-D{name}={value}" for name, value in options.items())]
        configure += shlex.split(os.environ.get("CMAKE_ARGS", ""))
        ninja = shutil.which("ninja")
        if ninja and not (cmake_dir() / "Makefile").exists():
            configure += ["-GNinja", f"-DCMAKE_MAKE_PROGRAM={ninja}"]
        jobs = os.environ.get("MAX_JOBS") or str(os.cpu_count())
        package = Path(self.get_ext_fullpath("voxpool._C")).resolve().parent

        call(configure)
        call(["cmake", "--build", tree, "--target", "voxpool", "_C", "--parallel", jobs])
        call(["cmake", "--install", tree, "--prefix", str(package), "--strip"])


def call(command: list[str]) -> None:
    # CMake's own message is what helps; a Python traceback below it is not.
    try:
        status = subprocess.run(command, check=False).returncode
    except FileNotFoundError:
        sys.exit(f"{command[0]} was not found: pip install cmake ninja, or install Debian's package cmake")
    if status != 0:
        sys.exit(f"voxpool: `{' '.join(command[:4])} ...` failed, see above")


def main() -> None:
    # What the Makefile asks, so that it is written once.
    if sys.argv[1:2] == ["--print-build-dir"]:
        print(cmake_dir())
    elif sys.argv[1:2] == ["--print-extras"]:
        print(*extras(sys.argv[2:]), sep="\n")
    else:
        check_setuptools()
        setup(
            ext_modules=[Extension("voxpool._C", sources=[])],
            cmdclass={"build": FreshBuild, "build_ext": CMakeBuild},
            install_requires=requirements(),
        )


main()
