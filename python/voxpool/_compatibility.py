"""Refuses to load the compiled library where it cannot serve: into another torch, or beside another copy of itself.

torch's C++ interface changes with every minor version; without this the first sign would be an undefined symbol. The
operators can be registered once in a process; without this a second library would end it, or the dynamic linker, which
goes by names, would give one package the library of the other.
"""

from pathlib import Path

import torch

_LIBRARY = Path(__file__).resolve().parent / "lib" / "libvoxpool.so"
_MAPPED_FILES = Path("/proc/self/maps")


def check(running: str = torch.__version__) -> None:
    """Raises ImportError, naming what is in the way and what to do, if the library must not be loaded."""
    _check_torch(running)
    _check_only_copy()


def _check_torch(running: str) -> None:
    try:
        from voxpool._build import TORCH_VERSION as built  # noqa: N811 - a constant there, one of two versions here
    except ModuleNotFoundError as error:
        raise ImportError(
            "voxpool's compiled library is missing: this is the source tree, not an installed voxpool. "
            "Install it with: pip install --no-build-isolation ."
        ) from error
    if _minor(built) != _minor(running):
        raise ImportError(
            f"voxpool was built for torch {built}, but torch {running} is installed. "
            "Rebuild it in its source tree: pip install --force-reinstall --no-deps --no-build-isolation . "
            f"(or install the torch it was built for: pip install torch=={built})"
        )


def _check_only_copy() -> None:
    if not torch._C._jit_get_schemas_for_operator("voxpool::max_pool3d") or not _MAPPED_FILES.is_file():
        return
    columns = (line.split(maxsplit=5) for line in _MAPPED_FILES.read_text().splitlines())
    loaded = {Path(column[5]) for column in columns if len(column) == 6}
    copies = sorted(file for file in loaded if file.name.startswith("libvoxpool"))
    # A replaced file is mapped as "libvoxpool.so (deleted)".
    if not any(file.exists() and file.samefile(_LIBRARY) for file in copies):
        raise ImportError(
            f"voxpool is loaded from {', '.join(map(str, copies)) or 'another file'}, and {_LIBRARY} would be a second "
            "copy in one process, where the operators can be registered only once. "
            "Start a new process, and keep one of the two on sys.path."
        )


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]
