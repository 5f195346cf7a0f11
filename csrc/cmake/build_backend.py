"""setuptools' build backend, except that an isolated build gets the torch of the environment it is built for.

An extension runs only with the minor version of torch it was compiled against, while an isolated build would fetch the
newest one.
"""

import subprocess
import sys

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    build_wheel,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

# The oldest supported version, for a build whose target environment has no torch or cannot be seen.
OLDEST = "torch==2.11.*"


def target_torch() -> str:
    """The requirement that names the torch of the environment the isolated build was started from."""
    # Isolation is made with PYTHONPATH and the like; -I ignores them, so this sees the environment itself.
    query = "from importlib.metadata import version; print(version('torch'))"
    result = subprocess.run([sys.executable, "-I", "-c", query], capture_output=True, text=True, check=False)
    version = result.stdout.strip().partition("+")[0]
    return f"torch=={version}" if version else OLDEST


def get_requires_for_build_wheel(config_settings: dict | None = None) -> list[str]:
    return [*build_meta.get_requires_for_build_wheel(config_settings), target_torch()]


def get_requires_for_build_editable(config_settings: dict | None = None) -> list[str]:
    return [*build_meta.get_requires_for_build_editable(config_settings), target_torch()]
