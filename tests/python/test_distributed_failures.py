"""When one process fails while others wait for its rows, they raise within the timeout of the process group."""

import pytest

from distributed_failures import FAILING, LAUNCHES
from distributed_support import launch

pytestmark = pytest.mark.xdist_group("distributed")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return launch("distributed_failures", tmp_path_factory.mktemp("failures"), 200)[0]


@pytest.mark.parametrize("name", LAUNCHES)
def test_failure_of_one_is_an_error_of_the_others(found, name):
    others = {rank: errors["pooling"] for rank, errors in found[name].items() if rank != FAILING}
    assert others == {rank: None for rank in range(4) if rank != FAILING}
    if name == "error":
        assert "no memory left" in found[name][FAILING]["pooling"]
    else:
        assert FAILING not in found[name]
