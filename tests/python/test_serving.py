"""Models that leave Python: AOTInductor packages and TorchScript files, and csrc/examples, which runs them."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

import voxpool

EXAMPLES = Path(__file__).parents[2] / "csrc" / "examples"
BATCHES = {"fixed": (2,), "open": (1, 2, 5)}

pytestmark = [
    # One of several processes runs all of this file, so that everything is compiled once.
    pytest.mark.xdist_group("serving"),
    # Of torch.export and the code generator, about torch's own Python.
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]


class Network(nn.Module):
    """Gives, behind its result, what its pooling got and made of it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.relu = nn.Conv3d(1, 6, 3), nn.BatchNorm3d(6), nn.ReLU()
        self.pool = voxpool.nn.MaxPool3d(3, 2, 1)
        self.linear = nn.Linear(6 * 4 * 5 * 6, 3)
        nn.init.uniform_(self.norm.running_mean, -0.1, 0.1)
        nn.init.uniform_(self.norm.running_var, 0.2, 0.4)

    def forward(self, x):
        before = self.relu(self.norm(self.conv(x)))
        pooled = self.pool(before)
        return self.linear(pooled.flatten(1)), before, pooled


def volumes(batch: int) -> torch.Tensor:
    return torch.randn(batch, 1, 10, 12, 14)


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return Network().eval()


@pytest.fixture(scope="module", params=BATCHES)
def package(request, network, tmp_path_factory) -> tuple[Path, tuple[int, ...]]:
    """A compiled model, and the batches it takes."""
    path = tmp_path_factory.mktemp(request.param) / "model.pt2"
    shapes = ({0: torch.export.Dim("batch", min=1, max=64)},) if request.param == "open" else None
    program = torch.export.export(network, (volumes(2),), dynamic_shapes=shapes)
    torch._inductor.aoti_compile_and_package(program, package_path=str(path))
    return path, BATCHES[request.param]


@pytest.fixture(scope="module")
def programs(tmp_path_factory) -> Path:
    """The folder of the examples, built by a project that knows voxpool as an installed package."""
    build = tmp_path_factory.mktemp("examples")
    paths = [f"-DCMAKE_PREFIX_PATH={voxpool.cmake_prefix_path}", f"-DTORCH_INSTALL_PREFIX={torch.__path__[0]}"]
    finished("cmake", "-S", EXAMPLES, "-B", build, *paths)
    finished("cmake", "--build", build, "--parallel", "2")
    return build


def finished(*command: str | Path) -> str:
    result = subprocess.run([str(c) for c in command], check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def infer(programs: Path, model: Path, x: torch.Tensor) -> torch.Tensor:
    input, output = model.with_name("input.pt"), model.with_name("output.pt")
    torch.save(x, input)
    assert finished(programs / "infer", model, input, output) == "result " + " ".join(map(str, (len(x), 3))) + "\n"
    return torch.load(output)


def test_package_in_python(package, network) -> None:
    """The pooling in it is voxpool's operator; convolution, normalisation and matrix product are the compiler's."""
    path, batches = package
    with zipfile.ZipFile(path) as archive:
        (calls,) = [name for name in archive.namelist() if name.endswith(".wrapper.json")]
        assert "voxpool::max_pool3d" in archive.read(calls).decode()
    model = torch._inductor.aoti_load_package(str(path))
    for batch in batches:
        x = volumes(batch)
        with torch.no_grad():
            result, before, pooled = model(x)
            expected = network(x)
        assert torch.equal(pooled, torch.nn.functional.max_pool3d(before, 3, 2, 1))
        assert pooled.stride() == expected[2].stride()
        torch.testing.assert_close((result, before, pooled), expected)


def test_package_in_a_program(package, programs) -> None:
    path, batches = package
    model = torch._inductor.aoti_load_package(str(path))
    for batch in batches:
        x = volumes(batch)
        with torch.no_grad():
            assert torch.equal(infer(programs, path, x), model(x)[0])


def test_package_needs_the_operators(package) -> None:
    """Which importing voxpool brings; nothing else of it is called."""
    path, _ = package
    code = f"""
import torch
load = lambda: torch._inductor.aoti_load_package({str(path)!r})
try:
    load()
except RuntimeError as error:
    print(error)
import voxpool
load()
"""
    assert finished(sys.executable, "-c", code).startswith("Could not find schema for voxpool::max_pool3d")


@pytest.mark.parametrize(
    "convert", [torch.jit.script, lambda model: torch.jit.trace(model, volumes(2))], ids=["script", "trace"]
)
def test_torchscript_in_a_program(convert, network, programs, tmp_path) -> None:
    layers = network.conv, network.norm, network.relu, network.pool, nn.Flatten(), network.linear
    model = nn.Sequential(*layers).eval()
    path = tmp_path / "model.pt"
    convert(model).save(path)
    x = volumes(3)
    with torch.no_grad():
        assert torch.equal(infer(programs, path, x), model(x))


def test_program_says_what_is_missing(programs, tmp_path) -> None:
    command = [programs / "infer", tmp_path / "model.pt2", tmp_path / "input.pt", tmp_path / "output.pt"]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr == f'cannot read "{tmp_path / "input.pt"}"\n'
    assert subprocess.run(command[:1], check=False, capture_output=True).returncode == 2


def test_training_program(programs) -> None:
    losses = [float(line.split()[-1]) for line in finished(programs / "train", "4").splitlines()]
    assert len(losses) == 4
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.7 * losses[0]
