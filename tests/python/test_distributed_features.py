"""Functions, modules, derivatives, wrappers and compilers with DTensors, in 4 processes: distributed_features.py."""

import pytest

from distributed_features import CHECKS, COUNT
from distributed_support import assert_nothing_found, launch

pytestmark = pytest.mark.xdist_group("distributed")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return launch("distributed_features", tmp_path_factory.mktemp("features"), 600)[0]


@pytest.mark.parametrize("check", CHECKS)
def test_feature(found, check):
    assert_nothing_found(found, "features", COUNT, check)
