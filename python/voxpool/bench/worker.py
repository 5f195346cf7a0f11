"""One peer in a process of its own: python -m voxpool.bench.worker PEER --threads N, started by run.py.

Peers keep threads of their own that spin for a while after each call, so two of them in one process would disturb each
other. The worker reads a request as one line of JSON, {"case", "budget", "keep"}, and answers with one line: medians of
the call and of two copies in seconds, {"skip": reason} or {"error": text}.
"""

import argparse
import ctypes
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

import torch
import torch.nn.functional as F
from torch import Tensor

import voxpool
from voxpool.bench.cases import Case
from voxpool.bench.peers import PEERS, Peer
from voxpool.bench.prepared import CannotRunError, Prepared

_PERIOD = 1 << 20  # random values repeat after so many elements: no branch predictor learns them
_BLOCKS = 5  # turns of call and copies
_FEW_BLOCKS = 3  # where one call takes longer than all should
_SHORTEST = 50e-6  # of one sample, in seconds: below that the clock's own cost shows


def main(arguments: list[str]) -> int:
    """Answers requests until the input ends."""
    parser = argparse.ArgumentParser(prog="python -m voxpool.bench.worker")
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args(arguments)

    # Libraries print to standard output when they like; only answers may go there.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    torch.set_num_threads(options.threads)
    worker = Worker(PEERS[options.peer], options.threads)
    _answer(answers, {"ready": PEERS[options.peer].version()})
    for line in sys.stdin:
        request = json.loads(line)
        _answer(answers, worker.measure(Case.from_dict(request["case"]), request["budget"], request["keep"]))
    return 0


def _answer(answers: TextIO, value: dict[str, Any]) -> None:
    answers.write(json.dumps(value) + "\n")
    answers.flush()


class Worker:
    """A peer and the case it has prepared last, as the rounds of a case follow each other."""

    def __init__(self, peer: Peer, threads: int) -> None:
        self._peer, self._threads = peer, threads
        self._case: Case | None = None
        self._prepared: Prepared | None = None

    def measure(self, case: Case, budget: float, keep: bool) -> dict[str, Any]:
        """Times the case for about `budget` seconds. `keep` says whether its tensors may stay in memory after that."""
        try:
            reuse_memory(not case.fresh)
            if self._prepared is None or case != self._case:
                self._prepared = None  # gives its memory back before new memory is asked for
                self._prepared, self._case = self._prepare(case), case
            prepared = self._prepared
            answer = {**times(prepared.call, case.bytes, budget), "layout": prepared.layout}
            answer |= {"note": prepared.note} if prepared.note else {}
            answer |= {"kept": prepared.kept} if prepared.kept is not None else {}
        except (CannotRunError, NotImplementedError) as reason:
            answer = {"skip": _first_line(reason)}
        except Exception as error:  # whatever a peer raises belongs into the table
            answer = {"error": f"{type(error).__name__}: {_first_line(error)}"}
        if not keep or "seconds" not in answer:
            self._prepared = None
        return answer

    def _prepare(self, case: Case) -> Prepared:
        input = tensor(case)
        prepared = self._peer.prepare(case, input, self._threads)
        self._check(case, input, prepared)
        return prepared

    def _check(self, case: Case, input: Tensor, prepared: Prepared) -> None:
        """A time only counts for the right result: voxpool's is compared with torch's, the others' with voxpool's."""
        if prepared.values is None:
            return
        values = prepared.values(prepared.call())
        kernel, stride, padding, dilation, ceil_mode = case.arguments
        if self._peer.name == "voxpool":
            # In this layout torch has a kernel for every dtype.
            expected = F.max_pool3d(input.contiguous(), kernel, stride, padding, dilation, ceil_mode)
        else:
            # A padding by name fixes the size, without a ceil_mode.
            sizes = (prepared.padding, dilation) if prepared.padding else (padding, dilation, ceil_mode)
            expected = voxpool.max_pool3d(input, kernel, stride, *sizes)
        if values.shape != expected.shape:
            raise ValueError(f"wrong result: size {tuple(values.shape)} instead of {tuple(expected.shape)}")
        if not torch.equal(values.to(expected.dtype), expected):
            raise ValueError("wrong result: values differ")


def tensor(case: Case) -> Tensor:
    """Random values in the layout of the case, the same in every process."""
    dtype: torch.dtype = getattr(torch, case.dtype)
    generator = torch.Generator().manual_seed(0)
    count = torch.Size(case.shape).numel()
    period = min(count, _PERIOD)
    if dtype.is_floating_point:
        values = torch.randn(period, generator=generator).to(dtype)
    else:
        values = torch.randint(-100, 100, (period,), generator=generator).to(dtype)
    input = values.repeat(-(-count // period))[:count].view(case.shape)
    return input.contiguous(memory_format=torch.channels_last_3d) if case.layout == "last" else input


def times(call: Callable[[], Any], moved: int, budget: float) -> dict[str, Any]:
    """Median seconds of the call, of a copy that moves as many bytes, and of that copy into new memory, in turns."""
    source = torch.ones(max(1, moved // 2), dtype=torch.uint8)
    target = torch.empty_like(source)
    works: dict[str, Callable[[], Any]] = {
        "seconds": call,
        "copy": lambda: target.copy_(source),
        "fresh_copy": lambda: torch.empty_like(source).copy_(source),
    }
    target.copy_(source)  # touches its pages
    first = _sample(call, 1)
    blocks = _BLOCKS if first < budget else _FEW_BLOCKS
    if first < budget:
        call()
    samples: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(blocks):
        for name, work in works.items():
            share = budget / (blocks if name == "seconds" else 2 * blocks) / 2
            samples[name] += _block(work, share)
    return {**{name: statistics.median(values) for name, values in samples.items()}, "repeats": len(samples["seconds"])}


def _block(work: Callable[[], Any], share: float) -> list[float]:
    """Seconds of a call, as often as the share of the time allows, after calls that bring it back into the caches."""
    first = _sample(work, 1)
    if first > share:
        return [first]
    inner = max(1, round(_SHORTEST / _sample(work, 1)))
    return [_sample(work, inner) for _ in range(max(1, min(20, int(share / (inner * first)))))]


def _sample(work: Callable[[], Any], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        work()
    return (time.perf_counter() - start) / count


def reuse_memory(reuse: bool) -> None:
    """Has malloc keep freed memory for the next call, or not, as it does by itself once a program has warmed up.

    glibc gives memory of 32 MB and more back to the system at once, and the next result pays for its pages again.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    trim_threshold, mmap_threshold, mmap_max = -1, -3, -4  # malloc.h
    mallopt(mmap_threshold, 32 << 20)
    mallopt(mmap_max, 0 if reuse else 65536)
    mallopt(trim_threshold, 2**31 - 1 if reuse else 64 << 20)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
