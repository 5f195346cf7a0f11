"""One of four processes fails in the middle of a pooling, after the others have begun to wait for its rows."""

import os
import time
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

import voxpool
import voxpool.distributed
from voxpool.distributed import exchange

TIMEOUT = timedelta(seconds=4)
SLACK = 8  # seconds, on a machine that has other things to do
FAILING = 2


def pool_while_one_fails(fail):
    mesh = init_device_mesh("cpu", (4,))
    x = distribute_tensor(torch.randn(1, 2, 16, 8, 8), mesh, [Shard(2)], src_data_rank=None)
    assert voxpool.max_pool3d(x, 3, 2, 1).shape == (1, 2, 8, 4, 4)  # together once, so that all are connected
    if dist.get_rank() == FAILING:
        exchange.all_to_all_single = fail
    begin = time.monotonic()
    if dist.get_rank() == FAILING:
        voxpool.max_pool3d(x, 3, 2, 1)
    else:
        with pytest.raises(RuntimeError):
            voxpool.max_pool3d(x, 3, 2, 1)
    assert time.monotonic() - begin < TIMEOUT.seconds + SLACK


def leave(*_):
    os._exit(3)


def error(*_):
    raise RuntimeError("no memory left")


def sleep(*_):
    time.sleep(TIMEOUT.seconds + SLACK)
    os._exit(3)


LAUNCHES = {
    fail.__name__: (4, {"pooling": lambda fail=fail: pool_while_one_fails(fail)}) for fail in (leave, error, sleep)
}
