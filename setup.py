"""Drives CMake, which describes the build, and copies what it installs into the Python package.

Environment: VOXPOOL_CUDA (AUTO, ON or OFF), TORCH_CUDA_ARCH_LIST and MAX_JOBS.
"""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SOURCE = Path(__file__).resolve().parent
NO_TORCH = """\
voxpool is compiled against torch >= 2.11, and this Python has none:
    {python}
Install it first (pip install torch==2.11.0), or leave out --no-build-isolation."""


def torch_version() -> str | None:
    """Version of the torch to build against, such as 2.11.0."""
    try:
        return importlib.metadata.version("torch").partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return None


def requirements() -> list[str]:
    version = torch_version()
    if version is None:
        return ["torch>=2.11"]
    major, minor = version.split(".")[:2]
    return [f"torch=={major}.{minor}.*"]


class CMakeBuild(build_ext):
    def run(self) -> None:
        version = torch_version()
        if version is None:
            sys.exit(NO_TORCH.format(python=sys.executable))
        torch = importlib.util.find_spec("torch")
        assert torch is not None and torch.submodule_search_locations
        # Kept between builds, one for each torch and Python, so that a rebuild compiles what has changed.
        build = SOURCE / "build" / f"torch-{version}-{sys.implementation.cache_tag}"
        options = {
            "Python_EXECUTABLE": sys.executable,
            "TORCH_INSTALL_PREFIX": torch.submodule_search_locations[0],
            "VOXPOOL_BUILD_PYTHON": "ON",
            "VOXPOOL_CUDA": os.environ.get("VOXPOOL_CUDA", "AUTO").upper(),
        }
        configure = ["cmake", "-S", str(SOURCE), "-B", str(build), *(f"-D{k}={v}" for k, v in options.items())]
        ninja = shutil.which("ninja")
        if ninja and not (build / "Makefile").exists():
            configure += ["-GNinja", f"-DCMAKE_MAKE_PROGRAM={ninja}"]
        jobs = os.environ.get("MAX_JOBS") or str(os.cpu_count())
        package = Path(self.get_ext_fullpath("voxpool._C")).resolve().parent

        self.call(configure)
        self.call(["cmake", "--build", str(build), "--target", "voxpool", "_C", "--parallel", jobs])
        self.call(["cmake", "--install", str(build), "--prefix", str(package), "--strip"])

    def call(self, command: list[str]) -> None:
        # CMake's own message is what helps; a Python traceback below it is not.
        try:
            result = subprocess.run(command, check=False).returncode
        except FileNotFoundError:
            sys.exit(f"{command[0]} was not found: pip install cmake ninja, or install Debian's cmake package")
        if result != 0:
            sys.exit(f"voxpool: `{' '.join(command[:3])} ...` failed, see above")


setup(
    ext_modules=[Extension("voxpool._C", sources=[])],
    cmdclass={"build_ext": CMakeBuild},
    install_requires=requirements(),
)
