"""What is installed: files, symbols, paths, requirements, and what a wrong torch is told."""

import base64
import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import torch
from packaging.tags import sys_tags

import voxpool

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(voxpool.__file__).resolve().parent
BINARIES = sorted(PACKAGE.rglob("*.so*"))
# What a wheel of voxpool is made of, beside the Python files of the sources.
PARTS = re.compile(
    r"voxpool/(py\.typed|_C\.pyi|_build\.pyi?|_C\.[\w-]+\.so|lib/libvoxpool\.so|include/voxpool/\w+\.h"
    r"|share/cmake/voxpool/[\w-]+\.cmake)"
    r"|voxpool-[\d.]+\.dist-info/(METADATA|RECORD|WHEEL|top_level\.txt|licenses/LICENSE)"
)


def output(*command: str | Path) -> str:
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True).stdout


def defined_symbols(binary: Path) -> list[str]:
    return [line.split(maxsplit=2)[2] for line in output("nm", "-DC", "--defined-only", binary).splitlines()]


def assert_contents(names: set[str]) -> None:
    """`names`: the files of a wheel, by their paths from site-packages."""
    sources = {str(path.relative_to(ROOT / "python")) for path in (ROOT / "python" / "voxpool").rglob("*.py")}
    assert sources <= names
    assert [name for name in names - sources if not PARTS.fullmatch(name)] == []


def test_contents() -> None:
    assert [re.sub(r"_C\..*", "_C", str(b.relative_to(PACKAGE))) for b in BINARIES] == ["_C", "lib/libvoxpool.so"]
    assert (PACKAGE / "py.typed").is_file()
    assert (Path(voxpool.include_path) / "voxpool" / "voxpool.h").is_file()
    assert (Path(voxpool.cmake_prefix_path) / "voxpool" / "voxpoolConfig.cmake").is_file()


def test_record() -> None:
    """Lists every file with its hash: what is not in it would stay behind on uninstalling."""
    recorded = {}
    for file in importlib.metadata.files("voxpool") or ():
        if file.hash:
            digest = hashlib.new(file.hash.mode, file.read_binary()).digest()
            assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == file.hash.value, file
            recorded[str(file)] = file.locate()
    of_pip = {name for name in recorded if name.endswith(("/INSTALLER", "/REQUESTED", "/direct_url.json"))}
    assert_contents(recorded.keys() - of_pip | {"voxpool/_build.py"})
    there = {path for path in PACKAGE.rglob("*") if path.is_file() and path.parent.name != "__pycache__"}
    assert there <= {Path(str(path)).resolve() for path in recorded.values()}


def test_metadata() -> None:
    metadata = importlib.metadata.metadata("voxpool")
    assert metadata["Version"] == voxpool.__version__
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata["Requires-Python"] == ">=3.11"
    distribution = importlib.metadata.distribution("voxpool")
    assert distribution.read_text("licenses/LICENSE") == (ROOT / "LICENSE").read_text()
    (tag,) = re.findall(r"^Tag: (.*)$", distribution.read_text("WHEEL") or "", re.MULTILINE)
    assert tag in map(str, sys_tags())
    assert tag.startswith("cp{0}{1}-cp{0}{1}-linux_".format(*sys.version_info))


def test_library_size() -> None:
    """10 MB, and 4 MB for every architecture that has device code, PTX for later ones included."""
    architectures = len(voxpool.info()["cuda_architectures"])
    with_ptx = architectures + 1 if architectures else 0
    assert (PACKAGE / "lib" / "libvoxpool.so").stat().st_size <= 10e6 + 4e6 * with_ptx


@pytest.mark.parametrize("binary", BINARIES, ids=lambda b: b.name)
def test_search_path_is_relative(binary: Path) -> None:
    (path,) = re.findall(r"\(R(?:UN)?PATH\).*\[(.*)\]", output("readelf", "-dW", binary))
    assert all(entry.startswith("$ORIGIN") for entry in path.split(":")), path


def test_no_build_paths() -> None:
    folders = {str(ROOT), str(Path.home()), sys.prefix, os.path.dirname(torch.__file__), "/site-packages/"}
    for file in PACKAGE.rglob("*"):
        if file.suffix in {".so", ".cmake", ".h"} or file.name == "_build.py":
            found = [folder for folder in folders if folder != "/" and folder.encode() in file.read_bytes()]
            assert not found, file


def test_library_exports_only_voxpool() -> None:
    symbols = defined_symbols(PACKAGE / "lib" / "libvoxpool.so")
    assert symbols
    prefix = re.compile(r"(typeinfo (name )?for |vtable for |VTT for |guard variable for )?voxpool::")
    # A template instance starts with its return type.
    assert [s for s in symbols if not prefix.match(s) and " voxpool::" not in s] == []


def test_module_exports_only_its_entry() -> None:
    (module,) = PACKAGE.glob("_C.*.so")
    assert defined_symbols(module) == ["PyInit__C"]


def test_requirement_names_the_minor_version_of_torch() -> None:
    minor = ".".join(torch.__version__.split(".")[:2])
    assert f"torch=={minor}.*" in (importlib.metadata.requires("voxpool") or [])


def test_import_with_another_torch(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "voxpool")
    build = tmp_path / "voxpool" / "_build.py"
    text, count = re.subn(r'(TORCH_VERSION = )".*"', r'\1"2.99.0"', build.read_text())
    assert count == 1
    build.write_text(text)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import voxpool"
    result = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert result.returncode != 0
    message = result.stderr.splitlines()[-1]
    assert "ImportError" in result.stderr
    assert "2.99" in result.stderr
    assert torch.__version__.split("+")[0] in result.stderr
    assert "pip install" in result.stderr, message
    assert "undefined symbol" not in result.stderr


def test_one_openmp_runtime() -> None:
    code = """
import torch
def runtimes():
    lines = open("/proc/self/maps").read().splitlines()
    return sorted({l.split()[-1] for l in lines if "libgomp" in l or "libomp" in l or "libiomp" in l})
before = runtimes()
import voxpool
voxpool.max_pool3d(torch.zeros(1, 1, 4, 4, 4), 2)
assert runtimes() == before, (before, runtimes())
print(len(before))
"""
    assert output(sys.executable, "-c", code).strip() == "1"


def test_source_distribution_is_complete(tmp_path: Path) -> None:
    command = [sys.executable, "setup.py", "-q", "sdist", "--dist-dir", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (archive,) = tmp_path.iterdir()
    with tarfile.open(archive) as tar:
        packed = {member.name.partition("/")[2] for member in tar if member.isfile()}
    folders = (".ci", ".github", "benchmarks", "csrc", "cuda", "python/examples", "python/voxpool", "tests")
    here = {str(path.relative_to(ROOT)) for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()}
    built = re.compile(r".*__pycache__/.*|.*\.so|python/voxpool/((include|lib|share)/.*|_build\.py)")
    here = {name for name in here if not built.fullmatch(name)}
    assert here <= packed
    beside = {name for name in packed - here if "/" in name}
    assert all(name.startswith("python/voxpool.egg-info/") for name in beside), beside
    # The rest lies at the top: what builds and tests, and what setuptools adds.
    needed = {"CMakeLists.txt", "LICENSE", "Makefile", "README.md", "CONTRIBUTING.md", "pyproject.toml", "setup.py"}
    assert needed <= packed


def test_building_with_an_old_setuptools_says_so() -> None:
    code = (
        "import runpy, setuptools, sys; setuptools.__version__ = '75.8.0'; sys.argv = ['setup.py', 'build_ext']; "
        "runpy.run_path('setup.py', run_name='__main__')"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True)
    assert result.returncode != 0
    assert "setuptools >= 77, and this Python has 75.8.0" in result.stderr


def test_building_without_torch_says_so(tmp_path: Path) -> None:
    # An interpreter that sees setuptools and nothing else.
    setuptools = Path(output(sys.executable, "-c", "import setuptools; print(setuptools.__path__[0])").strip())
    for name in ("setuptools", "_distutils_hack", "pkg_resources"):
        if (setuptools.parent / name).exists():
            (tmp_path / name).symlink_to(setuptools.parent / name)
    code = (
        f"import runpy, sys; sys.path.insert(0, {str(tmp_path)!r}); "
        "sys.argv = ['setup.py', '-q', 'build_ext']; runpy.run_path('setup.py', run_name='__main__')"
    )
    command = [sys.executable, "-S", "-E", "-c", code]
    result = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert result.returncode != 0
    assert "pip install torch==2.11.0" in result.stderr, result.stderr


def test_cmake_args_reach_cmake(tmp_path: Path) -> None:
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "python" / "voxpool").mkdir(parents=True)
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(p LANGUAGES NONE)\nmessage(FATAL_ERROR ${FIRST}-${SECOND})\n"
    )
    command, env = [sys.executable, "setup.py", "build_ext"], os.environ | {"CMAKE_ARGS": "-DFIRST=1 '-DSECOND=2 3'"}
    result = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True, env=env)
    assert result.returncode != 0
    assert "1-2 3" in result.stderr, result.stderr
