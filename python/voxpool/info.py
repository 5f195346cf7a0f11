"""What this copy of voxpool is, and which instruction set it uses."""

from pathlib import Path
from typing import Any

import torch

from voxpool import _C

_PACKAGE = Path(__file__).resolve().parent

#: Directory of the public headers: ``-I`` for ``#include <voxpool/voxpool.h>``.
include_path = str(_PACKAGE / "include")

#: Entry for CMAKE_PREFIX_PATH, under which ``find_package(voxpool)`` finds the CMake package.
cmake_prefix_path = str(_PACKAGE / "share" / "cmake")


def info() -> dict[str, Any]:
    """Version, torch it was built for and torch it runs with, compiler, CPU capabilities, CUDA architectures.

    Keys: those of the build (version, the torch version built for, compiler, CPU capabilities built, CUDA
    architectures, build type; the library reports them) and of this process: ``torch_running``, ``cpu_capability``,
    ``cpu_capabilities_available`` (lowest first), ``threads``, ``include_path``, ``cmake_prefix_path``.
    """
    return {
        **_C.build_info(),
        "torch_running": str(torch.__version__),
        "cpu_capability": _C.cpu_capability(),
        "cpu_capabilities_available": _C.available_cpu_capabilities(),
        "threads": torch.get_num_threads(),
        "include_path": include_path,
        "cmake_prefix_path": cmake_prefix_path,
    }


def cpu_capability() -> str:
    """The instruction set whose kernels run: 'baseline', 'avx2' or 'avx512'.

    It is the highest this processor and this build have, unless VOXPOOL_CPU_CAPABILITY or :func:`set_cpu_capability`
    chose another. Results do not depend on it.
    """
    return _C.cpu_capability()


def set_cpu_capability(name: str) -> None:
    """Chooses the instruction set for all following calls, in every thread.

    Raises ValueError, naming the available ones, for a name that is none of them.
    """
    _C.set_cpu_capability(name)
