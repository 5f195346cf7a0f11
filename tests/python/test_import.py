"""Importing: what it brings along, what it does without, and what a second copy in the process is told."""

import ctypes
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import bare_environment
import voxpool

PACKAGE = Path(voxpool.__file__).resolve().parent
TOUR = Path(__file__).with_name("tour.py")
GO_ON_TOUR = f"import runpy; runpy.run_path({str(TOUR)!r}, run_name='__main__')"
CUDA_FOLDERS = ("CUDACXX", "CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "CUDAToolkit_ROOT", "LD_LIBRARY_PATH")


def run(code: str, python: Path | str = sys.executable, **options) -> subprocess.CompletedProcess[str]:
    # -P: the folder the tests run in is no place to import from.
    command = [str(python), "-P", "-c", code]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=300, **options)


def assert_done(result: subprocess.CompletedProcess[str]) -> None:
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "done"


def test_brings_nothing_but_torch_and_the_standard_library():
    """What torch imports in its turn is torch's."""
    code = """
import builtins, sys
found, real = set(), builtins.__import__
def spy(name, globals=None, locals=None, fromlist=(), level=0):
    if globals and globals["__name__"].partition(".")[0] == "voxpool":
        found.add(name.partition(".")[0])
    return real(name, globals, locals, fromlist, level)
builtins.__import__ = spy
import voxpool
print(*sorted(found - sys.stdlib_module_names))
"""
    assert run(code).stdout.split() == ["torch", "voxpool"]


def test_without_numpy_where_it_is_installed():
    hide = "import sys\nsys.modules['numpy'] = None\n"  # importing it raises ImportError
    assert_done(run(hide + GO_ON_TOUR))


def test_with_nothing_but_what_it_requires(tmp_path):
    """No numpy, no nvcc, no GPU."""
    python, _ = bare_environment.create(tmp_path, "voxpool")
    environment = {name: value for name, value in os.environ.items() if name not in CUDA_FOLDERS}
    environment |= {"CUDA_VISIBLE_DEVICES": "", "PATH": str(python.parent)}
    check = """
import importlib.util, shutil, torch
assert importlib.util.find_spec("numpy") is None and shutil.which("nvcc") is None and not torch.cuda.is_available()
"""
    assert_done(run(check + GO_ON_TOUR, python, env=environment))


def obey_permissions() -> None:
    """Takes from a process of root the right to write where permissions forbid it; others never had it."""
    drop_from_bounding_set, overriding_permissions = 24, 1  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE
    ctypes.CDLL(None).prctl(drop_from_bounding_set, overriding_permissions, 0, 0, 0)


def test_with_nowhere_to_write(tmp_path):
    """Neither beside the packages nor at home."""
    python, packages = bare_environment.create(tmp_path / "environment", "voxpool")
    (packages / "voxpool").unlink()
    shutil.copytree(PACKAGE, packages / "voxpool", ignore=shutil.ignore_patterns("__pycache__"))
    home = tmp_path / "home"
    home.mkdir()
    inside = list((packages / "voxpool").rglob("*"))
    folders = [home, packages, packages / "voxpool", *(path for path in inside if path.is_dir())]
    for path in folders + inside:
        path.chmod(stat.S_IRUSR | (stat.S_IXUSR if path.is_dir() else 0))
    check = f"""
import os, voxpool
for folder in ({str(home)!r}, os.path.dirname(voxpool.__file__), {str(packages)!r}):
    try:
        open(os.path.join(folder, "file"), "w")
    except PermissionError:
        continue
    raise AssertionError(folder + " can be written")
"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | {"HOME": str(home)}
    try:
        assert_done(run(check + GO_ON_TOUR, python, env=environment, cwd=home, preexec_fn=obey_permissions))
        assert not [folder for folder in folders if (folder / "__pycache__").exists()]
    finally:
        for folder in folders:
            folder.chmod(stat.S_IRWXU)


@pytest.fixture
def second(tmp_path) -> Path:
    shutil.copytree(PACKAGE, tmp_path / "voxpool", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "voxpool"


FORGET = "for name in [name for name in sys.modules if name.partition('.')[0] == 'voxpool']: del sys.modules[name]\n"


def test_a_second_package_is_refused(second):
    code = f"""
import sys, torch, voxpool
pool = voxpool.max_pool3d
{FORGET}
sys.path.insert(0, {str(second.parent)!r})
try:
    import voxpool
except ImportError as error:
    print(error)
sys.path.pop(0)
{FORGET}
import voxpool  # the one that is loaded, once more
assert pool(torch.ones(1, 1, 4, 4, 4), 2).sum() == voxpool.max_pool3d(torch.ones(1, 1, 4, 4, 4), 2).sum() == 8
print("done")
"""
    result = run(code)
    assert_done(result)
    message = result.stdout.splitlines()[0]
    assert f"voxpool is loaded from {PACKAGE / 'lib' / 'libvoxpool.so'}" in message
    assert f"{second / 'lib' / 'libvoxpool.so'} would be a second copy" in message


def test_a_package_is_refused_where_another_library_is_loaded(second):
    code = f"import torch; torch.ops.load_library({str(second / 'lib' / 'libvoxpool.so')!r}); import voxpool"
    message = run(code).stderr.splitlines()[-1]
    assert message.startswith(f"ImportError: voxpool is loaded from {second / 'lib' / 'libvoxpool.so'}, and {PACKAGE}")
    own = f"import torch; torch.ops.load_library({str(PACKAGE / 'lib' / 'libvoxpool.so')!r})\n"
    assert_done(run(own + GO_ON_TOUR))


def test_a_second_library_names_both(second):
    """It is loaded past Python, where an error ends the process, so that the message is all there is."""
    code = f"import torch, voxpool; torch.ops.load_library({str(second / 'lib' / 'libvoxpool.so')!r})"
    result = run(code)
    assert result.returncode != 0
    assert f"{PACKAGE / 'lib' / 'libvoxpool.so'}, and {second / 'lib' / 'libvoxpool.so'}" in result.stderr
    assert "TORCH_LIBRARY" not in result.stderr
