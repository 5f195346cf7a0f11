"""Refuses to load the compiled library into a torch it was not built for.

torch's C++ interface changes with every minor version; without this the first sign would be an undefined symbol.
"""

import torch


def check(running: str = torch.__version__) -> None:
    """Raises ImportError, naming both versions and the command to rebuild, unless the minor versions are the same."""
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


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]
