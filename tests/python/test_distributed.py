"""Poolings of sharded volumes in 2, 4 and 8 processes are those of one process, bit for bit, and send what is
predicted: every geometry of distributed_cases.py in every sharding."""

import pytest

from distributed_cases import LAUNCHES
from distributed_support import assert_nothing_found, launch

pytestmark = pytest.mark.xdist_group("distributed")
CHECKS = [(name, count, check) for name, (count, checks) in LAUNCHES.items() for check in checks]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return launch("distributed_cases", tmp_path_factory.mktemp("distributed"), 900)[0]


@pytest.mark.parametrize(("name", "count", "check"), CHECKS)
def test_sharded_pooling(found, name, count, check):
    assert_nothing_found(found, name, count, check)
