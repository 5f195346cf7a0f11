"""A Python environment of a package and what it requires, and nothing else, made of links: nothing is fetched."""

import importlib.metadata
import sys
import venv
from pathlib import Path

from packaging.requirements import Requirement


def distributions(name: str) -> list[importlib.metadata.Distribution]:
    """What is installed under this name, and everything that it requires."""
    found: dict[tuple[str, str], importlib.metadata.Distribution] = {}
    pending = [(name, "")]
    while pending:
        wanted = pending.pop()
        if wanted in found:
            continue
        found[wanted] = importlib.metadata.distribution(wanted[0])
        for requirement in map(Requirement, found[wanted].requires or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": wanted[1]}):
                pending += [(requirement.name, extra) for extra in ("", *requirement.extras)]
    return list(found.values())


def create(folder: Path, name: str) -> tuple[Path, Path]:
    """Returns the interpreter and the folder of its packages."""
    venv.EnvBuilder(symlinks=True).create(folder)
    packages = folder / "lib" / "python{}.{}".format(*sys.version_info) / "site-packages"
    for distribution in distributions(name):
        # What lies beside the packages, such as ../../../bin/torchrun, is not needed to import them.
        for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            if not (packages / top).exists():
                (packages / top).symlink_to(Path(str(distribution.locate_file(top))))
    return folder / "bin" / "python", packages
