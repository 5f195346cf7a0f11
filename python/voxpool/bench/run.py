"""Sends every case to every peer's process, in turn and several times, and collects the answers."""

import contextlib
import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import torch

import voxpool
from voxpool import _machine
from voxpool.bench.cases import Case
from voxpool.bench.peers import PEERS

Answer = dict[str, Any]

_START_SECONDS = 120.0  # importing the largest of the packages from a cold disk
_KEPT_BYTES = 1 << 28  # tensors of larger cases are given back between two rounds, as every peer would hold its own
_HOPELESS = 5.0  # a peer this many times slower than voxpool is not measured again


@dataclass(frozen=True)
class Effort:
    """How long to measure: seconds for each peer and round of a case, and after how many a case has failed."""

    rounds: int
    budget: float
    limit: float = 120.0


class Child:
    """The process of one peer. It is started again when it dies or takes too long."""

    def __init__(self, peer: str, threads: int) -> None:
        self.peer, self._threads = peer, threads
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._process: subprocess.Popen[bytes] | None = None
        #: Of the peer's package, once the process has answered.
        self.version = ""

    def start(self) -> None:
        """Starts the process without waiting until it is ready."""
        command = [sys.executable, "-m", "voxpool.bench.worker", self.peer, "--threads", str(self._threads)]
        count = str(self._threads)
        environment = os.environ | {"OMP_NUM_THREADS": count, "NPROC": count, "TF_CPP_MIN_LOG_LEVEL": "3"}
        if not PEERS[self.peer].uses_openmp:
            # The threads of the copy, torch's, would go on spinning on the cores that the peer's threads are to use.
            environment["OMP_WAIT_POLICY"] = "passive"
        cpus = sorted(os.sched_getaffinity(0))[: self._threads]
        self._errors.truncate(0)
        # A process group of its own: Ctrl-C reaches the parent only, which then ends its children.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            start_new_session=True,
        )
        # Not every library can be told its number of threads, but all of them look at the processors they have.
        with contextlib.suppress(OSError):
            os.sched_setaffinity(self._process.pid, cpus)

    def wait(self) -> Answer:
        """Reads what a process says when it is ready; {"error"} if it does not come up."""
        answer = self._read(_START_SECONDS)
        self.version = answer.get("ready", self.version)
        return answer

    def ask(self, case: Case, budget: float, limit: float) -> Answer:
        """The worker's answer, or {"error"} if there is none in time."""
        if self._process is None:
            self.start()
            answer = self.wait()
            if "error" in answer:
                return answer
        assert self._process is not None
        assert self._process.stdin is not None
        request = {"case": case.to_dict(), "budget": budget, "keep": case.bytes <= _KEPT_BYTES}
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            return self._failed("process ended")
        return self._read(limit)

    def close(self) -> None:
        self._kill()
        self._errors.close()

    def _read(self, limit: float) -> Answer:
        assert self._process is not None
        assert self._process.stdout is not None
        # An answer is one short line, written at once: when its first byte is there, all of it is.
        if not select.select([self._process.stdout], [], [], limit)[0]:
            return self._failed(f"no answer within {limit:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            return self._failed("process ended")
        answer: Answer = json.loads(line)
        return answer

    def _failed(self, reason: str) -> Answer:
        self._kill()
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip().splitlines()[-1:]
        return {"error": ": ".join([reason, *last])[:300]}

    def _kill(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):  # a request that nobody reads any more
                pipe.close()
        self._process = None


@contextlib.contextmanager
def children(peers: Sequence[str], threads: int) -> Iterator[list[Child]]:
    """Warm processes, one for each peer, which end with the block."""
    started = [Child(peer, threads) for peer in peers]
    try:
        for child in started:
            child.start()
        for child in started:
            child.wait()
        yield started
    finally:
        for child in started:
            child.close()


def measure(
    cases: Sequence[Case],
    peers: Sequence[str],
    threads: int,
    effort: Effort,
    advance: Callable[[str], None],
    save: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """All cases with all peers. Calls advance(label) before each case and save(results so far) after it."""
    facts = machine(threads)  # the load before there are processes of our own
    with children(peers, threads) as processes:
        versions = {child.peer: child.version or "failed to start" for child in processes}
        results: dict[str, Any] = {"machine": facts, "peers": versions, "rows": []}
        for case in cases:
            advance(case.label)
            results["rows"].append(
                {"case": case.to_dict(), "bytes": case.bytes, "results": _rounds(case, processes, effort)}
            )
            save(results)
    return results


def _rounds(case: Case, processes: Sequence[Child], effort: Effort) -> dict[str, Answer]:
    answers: dict[str, list[Answer]] = {child.peer: [] for child in processes}
    for _ in range(effort.rounds):
        for child in processes:
            if not _done(answers[child.peer], answers.get("voxpool", [])):
                answers[child.peer].append(child.ask(case, effort.budget, effort.limit))
    return {peer: _median(rounds) for peer, rounds in answers.items()}


def _done(answers: Sequence[Answer], ours: Sequence[Answer]) -> bool:
    """Whether another round would tell nothing: the peer cannot run the case, or is far behind."""
    if not answers:
        return False
    if "seconds" not in answers[-1]:
        return True
    return bool(ours) and "seconds" in ours[0] and answers[0]["seconds"] > _HOPELESS * ours[0]["seconds"]


def _median(answers: Sequence[Answer]) -> Answer:
    """One answer from those of all rounds: medians of the times. One failure is a failure."""
    for answer in answers:
        if "seconds" not in answer:
            return answer
    times = {name: statistics.median(answer[name] for answer in answers) for name in ("seconds", "copy", "fresh_copy")}
    return {**answers[-1], **times, "repeats": sum(answer["repeats"] for answer in answers), "rounds": len(answers)}


def machine(threads: int) -> dict[str, Any]:
    """Everything about the machine and its software that a time depends on."""
    return {
        "processor": _machine.processor(),
        "cores": _machine.cores(),
        "threads": threads,
        "load": round(_machine.load(), 2),
        "caches": _machine.caches(),
        "transparent_hugepage": _machine.huge_pages(),
        "voxpool": voxpool.__version__,
        "torch": str(torch.__version__),
        "cpu_capability": voxpool.cpu_capability(),
        "date": datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%d"),
    }
