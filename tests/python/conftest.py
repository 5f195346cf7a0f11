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
