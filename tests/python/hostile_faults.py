"""Cases that fail, one for each way there is: what the tables are worth depends on all of them being noticed."""

import ctypes
import os
from collections.abc import Iterator

import torch

import voxpool
from hostile import Case, answered, refused

X = torch.zeros(1, 1, 4, 4, 4)


def _read_nowhere() -> None:
    ctypes.string_at(8)


def _pool_wrong_from_now_on() -> None:
    voxpool.max_pool3d = lambda x, *_, **__: (x, x)
    raise ValueError("as documented")


def _forever() -> None:
    while True:
        pass


def _no(result: object) -> None:
    raise AssertionError("a wrong result")


def _more_than_allowed() -> torch.Tensor:
    return torch.ones(1 << 30)


def _undocumented() -> None:
    raise KeyError("surprise")


def _internal() -> None:
    raise RuntimeError("INTERNAL ASSERT FAILED")


def cases() -> Iterator[Case]:
    yield refused("signal", _read_nowhere)
    yield refused("abort", os.abort)
    yield refused("exit", lambda: os._exit(0))
    yield refused("SystemExit", lambda: exit(0))
    yield refused("no end", _forever)
    yield refused("accepted", lambda: voxpool.max_pool3d(X, 2))
    yield refused("undocumented", _undocumented)
    yield refused("internal", _internal)
    yield answered("wrong", lambda: voxpool.max_pool3d(X, 2), _no)
    yield answered("refused", lambda: voxpool.max_pool3d(X, 5), _no)
    yield answered("memory", _more_than_allowed, lambda result: None)
    yield refused("none of these", lambda: voxpool.max_pool3d(X, 5))
    yield refused("afterwards", _pool_wrong_from_now_on)
