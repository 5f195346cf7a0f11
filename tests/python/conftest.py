"""Settings every test shares: reproducible examples, Keras on torch, and the instruction set put back after a test."""

import os

import hypothesis
import pytest
import torch

import voxpool

# Keras reads these once, when a test imports it. Its home would be where it keeps settings of the user.
os.environ["KERAS_BACKEND"] = "torch"
os.environ["KERAS_HOME"] = os.devnull

hypothesis.settings.register_profile("voxpool", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("voxpool")

CAPABILITIES = voxpool.info()["cpu_capabilities_available"]
HAS_CUDA = bool(voxpool.info()["cuda_architectures"])

# A build without CUDA has no kernels there to test; that it says so is tested in test_info.py.
collect_ignore_glob = [] if HAS_CUDA else ["test_cuda*.py"]


def pytest_report_header():
    return "voxpool: " + ("with CUDA" if HAS_CUDA else "built without CUDA, test_cuda*.py do not belong to this build")


def pytest_terminal_summary(terminalreporter):
    """How many cases a test consists of, for tests that say so."""
    for report in terminalreporter.getreports("passed"):
        for name, value in getattr(report, "user_properties", ()):
            if name == "cases":
                terminalreporter.write_line(value)


@pytest.fixture(autouse=True)
def _reproducible():
    torch.manual_seed(0)


@pytest.fixture(params=CAPABILITIES)
def capability(request):
    """Runs the test once for each instruction set of this machine."""
    before = voxpool.cpu_capability()
    voxpool.set_cpu_capability(request.param)
    yield request.param
    voxpool.set_cpu_capability(before)


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
