"""From the sources to an environment that voxpool was installed into and removed from: `make package`.

Not in the normal run, as it compiles everything once more in another folder. Nothing is fetched.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch

import bare_environment
from test_packaging import ROOT, assert_contents

TOUR = Path(__file__).with_name("tour.py")
ENVIRONMENT = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}  # 2023-11-14


def run(*command: str | Path, ok: bool = True, **options) -> str:
    result = subprocess.run(
        [str(part) for part in command],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=ENVIRONMENT,
        **options,
    )
    assert (result.returncode == 0) == ok, result.stdout
    return result.stdout


def build_wheel(source: Path, folder: Path) -> Path:
    options = ("--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", folder)
    run(sys.executable, "-m", "pip", "wheel", *options, source)
    (wheel,) = folder.iterdir()
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from the source distribution, away from the sources."""
    folder = tmp_path_factory.mktemp("elsewhere")
    run(sys.executable, "setup.py", "-q", "sdist", "--dist-dir", folder, cwd=ROOT)
    (archive,) = folder.iterdir()
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    (source,) = (path for path in folder.iterdir() if path.is_dir())
    return build_wheel(source, folder / "wheel")


def members(wheel: Path) -> dict[str, str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}


def test_contents(wheel):
    assert_contents(set(members(wheel)))


def test_the_folder_leaves_no_trace(wheel, tmp_path):
    """Every byte is that of the wheel built where the sources are."""
    other = build_wheel(ROOT, tmp_path)
    assert wheel.name == other.name
    assert members(wheel) == members(other)
    assert wheel.read_bytes() == other.read_bytes()


def paths(environment: Path) -> set[Path]:
    """All files and folders but the bytecode of linked modules, which appears when they are imported."""
    return {path for path in environment.rglob("*") if "site-packages/__pycache__" not in str(path)}


def test_installs_runs_and_leaves_nothing_behind(wheel, tmp_path):
    python, packages = bare_environment.create(tmp_path, "torch")
    pip = (sys.executable, "-m", "pip", "--python", python)
    before = paths(tmp_path)
    run(*pip, "install", "--no-index", wheel)
    run(*pip, "check")
    assert "voxpool" in {path.name for path in packages.iterdir()}
    assert "done" in run(python, "-P", TOUR)
    print(run(python, "-P", "-m", "voxpool", "check"))
    run(*pip, "uninstall", "--yes", "voxpool")
    assert paths(tmp_path) == before


def test_pip_refuses_another_torch(wheel, tmp_path):
    python, packages = bare_environment.create(tmp_path, "torch")
    (metadata,) = packages.glob("torch-*.dist-info")
    other = shutil.copytree(metadata, packages / "torch-2.99.0.dist-info")
    metadata.unlink()
    text, count = re.subn(r"^Version: .*$", "Version: 2.99.0", (other / "METADATA").read_text(), flags=re.MULTILINE)
    assert count == 1
    (other / "METADATA").write_text(text)
    message = run(sys.executable, "-m", "pip", "--python", python, "install", "--no-index", wheel, ok=False)
    assert "torch=={}.{}.*".format(*torch.__version__.split(".")) in message
