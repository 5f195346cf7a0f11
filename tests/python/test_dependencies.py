"""What voxpool depends on: bounded where it builds, listed with a reason in CONTRIBUTING.md, and used."""

import ast
import functools
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
TORCH = Path(torch.__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
BUILD = [Requirement(text) for text in PROJECT["build-system"]["requires"]]
# Which extras a file may import from, by the first place it lies in.
PLACES = {
    "python/voxpool/keras.py": ("keras",),
    "python/voxpool/demo": ("demo",),
    "python/voxpool/bench": ("bench-all",),
    "python/voxpool/outofcore": ("volumes", "demo"),
    "python/voxpool": (),
    "python/examples": ("demo", "keras"),
    "benchmarks": ("models",),
    "tests/python": ("test", "demo"),
}
# What is not imported here but by torch, or runs by its name.
USERS = {
    "expecttest": (TORCH / "testing" / "_internal", "import expecttest"),
    "onnxscript": (TORCH / "onnx", "import onnxscript"),
    "pytest-xdist": (ROOT / "Makefile", "--numprocesses"),
    "clang-format": (ROOT / "tests" / "python" / "test_lint.py", 'check("clang-format"'),
    "mypy": (ROOT / "tests" / "python" / "test_lint.py", 'check("mypy"'),
    "ruff": (ROOT / "tests" / "python" / "test_lint.py", 'check("ruff"'),
    "pre-commit": (ROOT / ".github" / "workflows", "pre-commit/action"),
}
DISTRIBUTIONS = importlib.metadata.packages_distributions()


def required(extra: str) -> set[str]:
    """Names of the packages an extra brings, those of the extras it names included."""
    names: set[str] = set()
    for requirement in map(Requirement, EXTRAS[extra]):
        if requirement.name == "voxpool":
            names.update(*map(required, requirement.extras))
        else:
            names.add(canonicalize_name(requirement.name))
    return names


@functools.cache
def imported(file: Path) -> set[str]:
    """Names of the packages that a file imports, torch's and this project's left out."""
    modules = set()
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Import(names=names):
                modules |= {alias.name for alias in names}
            case ast.ImportFrom(module=str(module), level=0):
                modules.add(module)
            case ast.Call(func=ast.Attribute(attr="find_spec" | "import_module"), args=[ast.Constant(str(module)), *_]):
                modules.add(module)
    tops = {module.partition(".")[0] for module in modules}
    ours = {path.stem for folder in ("tests/python", "benchmarks") for path in (ROOT / folder).glob("*.py")}
    tops -= sys.stdlib_module_names | ours | {"torch", "functorch", "voxpool"}
    return {canonicalize_name(name) for top in tops for name in DISTRIBUTIONS.get(top, [top])}


def files() -> dict[Path, tuple[str, ...]]:
    """Every file, and the extras it may import from."""
    found: dict[Path, tuple[str, ...]] = {}
    for place, extras in PLACES.items():
        path = ROOT / place
        for file in path.rglob("*.py") if path.is_dir() else (path,):
            found.setdefault(file, extras)
    return found


def test_imports_are_required() -> None:
    for file, extras in files().items():
        allowed = set().union(*map(required, extras))
        assert imported(file) <= allowed, file.relative_to(ROOT)


def contains(place: Path, words: str) -> bool:
    texts = [*place.rglob("*.py"), *place.rglob("*.yml")] if place.is_dir() else [place]
    return any(words in text.read_text() for text in texts)


@pytest.mark.parametrize("extra", EXTRAS)
def test_requirements_are_used(extra: str) -> None:
    imports = set().union(*map(imported, files()))
    for name in required(extra) - imports:
        assert name in USERS, name
        assert contains(*USERS[name]), name


def test_requirements_are_listed_with_their_reason() -> None:
    section = (ROOT / "CONTRIBUTING.md").read_text().partition("\n## Dependencies\n")[2].partition("\n## ")[0]
    rows = [row.split("|")[1:3] for row in section.splitlines() if row.startswith("| `")]
    listed = [name for names, _ in rows for name in re.findall(r"`([\w-]+)`", names)]
    everything = set().union(*map(required, EXTRAS), (requirement.name for requirement in BUILD), ["torch"])
    assert sorted(listed) == sorted(everything)
    assert all(len(reason.split()) > 2 for _, reason in rows)


def test_torch_is_all_that_running_requires() -> None:
    requirements = map(Requirement, importlib.metadata.requires("voxpool") or ())
    at_run_time = [r for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]
    assert [requirement.name for requirement in at_run_time] == ["torch"]


def test_what_builds_is_bounded() -> None:
    tools = re.search(r"^TOOLS = (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert tools
    pins = dict(pin.split("==") for pin in tools[1].split())
    assert "pip" in pins
    for requirement in BUILD:
        assert {"<", ">="} <= {part.operator for part in requirement.specifier}, requirement
        assert requirement.specifier.contains(pins[requirement.name]), requirement


def test_what_runs_in_ci_is_named_by_commit() -> None:
    """A tag can be moved to other code."""
    named = re.findall(r"^ *-? uses: .*@(.*)$", (ROOT / ".github" / "workflows" / "ci.yml").read_text(), re.MULTILINE)
    assert len(named) > 1
    for commit in named:
        assert re.fullmatch(r"[0-9a-f]{40}  # v[\d.]+", commit), commit


def test_hooks_before_a_commit_are_the_linters_of_the_tests() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert "rev:" not in hooks
    pins = re.findall(r"additional_dependencies: \[(.+)\]", hooks)
    assert len(pins) > 1
    assert set(pins) <= set(EXTRAS["test"])
