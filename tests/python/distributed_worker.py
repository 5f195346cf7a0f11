"""Runs functions in several processes at once, as torchrun would: `python distributed_worker.py module out`.

`module.LAUNCHES` names launches, each a number of processes and the functions that all of them run, one after the
other. torch is imported once and every process forked from there, as importing it takes seconds. Each process writes
what it found to `out`: for every function the traceback of its error, or nothing.
"""

import contextlib
import importlib
import json
import os
import sys
import traceback
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist


def run(name: str, rank: int, count: int, checks: dict, timeout: timedelta, out: Path) -> None:
    torch.set_num_threads(1)
    store = dist.FileStore(str(out / f"{name}.store"), count)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=count, timeout=timeout)
    found: dict[str, str | None] = {}
    for check_name, check in checks.items():
        torch.manual_seed(0)
        try:
            check()
            found[check_name] = None
        except (Exception, pytest.fail.Exception):
            found[check_name] = traceback.format_exc()
    (out / f"{name}.{rank}.json").write_text(json.dumps(found))
    with contextlib.suppress(RuntimeError):  # of those who wait for a process that failed
        dist.barrier()  # whoever leaves early closes connections that the others still use
    dist.destroy_process_group()


def main(module_name: str, out: Path) -> None:
    module = importlib.import_module(module_name)
    for name, (count, checks) in module.LAUNCHES.items():
        children = []
        for rank in range(count):
            child = os.fork()
            if child == 0:
                try:
                    run(name, rank, count, checks, module.TIMEOUT, out)
                except BaseException:
                    traceback.print_exc()
                finally:
                    os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
