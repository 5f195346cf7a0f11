"""Calls that may end their process, made in processes of their own.

A table is a module with a function cases(). A server imports it once, with torch and voxpool, has one thread, so that
forking it is safe, and forks processes for its cases: they make the call, judge the outcome, and then pool once more as
anybody would. What fails a case: a signal, the limits of time and memory, an exit, an exception nobody documented, an
accepted call that should be refused, a refused one that should not, a wrong result, and a pooling afterwards that is
wrong. Where a process ends, the case it was at has failed, and the next process goes on behind it.

`python tests/python/hostile.py 1 [TABLE...]` runs all tables or some with a process for every single case; with 50 in
place of 1 as many share one, as in the tests. TABLE=WORDS are the cases whose name has these words, each with its
verdict.
"""

import gc
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

TABLES = ("arguments", "operators", "unpooling", "tensors", "memory", "autograd", "others", "keras", "named")
DOCUMENTED = (RuntimeError, TypeError, ValueError)  # NotImplementedError is a RuntimeError
CPU_SECONDS, SECONDS = 5, 300  # a busy machine makes no difference to the first
# What a process may ask for beyond what it has: results of hostile sizes do not fit, honest ones do by far.
BYTES = 1 << 30


class Case(NamedTuple):
    """`right` looks at the result and raises AssertionError; without it the call has to be refused."""

    name: str
    call: Callable[[], Any]
    right: Callable[[Any], None] | None
    may_refuse: bool
    errors: tuple[type[BaseException], ...] = DOCUMENTED


def refused(name: str, call: Callable[[], Any], errors: tuple[type[BaseException], ...] = DOCUMENTED) -> Case:
    return Case(name, call, None, True, errors)


def answered(name: str, call: Callable[[], Any], right: Callable[[Any], None]) -> Case:
    return Case(name, call, right, False)


def either(name: str, call: Callable[[], Any], right: Callable[[Any], None], errors=DOCUMENTED) -> Case:
    """Refused or right: what the caller gets is a matter of the Python type, or of memory."""
    return Case(name, call, right, True, errors)


def anything(_: Any) -> None:
    """For results that are not voxpool's, such as those of torch's own operator: only the process has to survive."""


def run(*tables: str, together: int = 50) -> dict[str, int]:
    """How many cases of some tables were refused and how many answered; AssertionError with those that failed."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, __file__, str(together), *tables]
    result = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=False, env=environment)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def judge(case: Case) -> str:
    """'refused' or 'answered', or what is wrong."""
    try:
        result = case.call()
    except case.errors as error:
        if "INTERNAL ASSERT" in str(error):
            return f"an internal assertion: {error}"
        return "refused" if case.may_refuse else f"refused, but describes a pooling: {_words(error)}"
    except BaseException as error:
        return f"undocumented: {_words(error)}"
    if case.right is None:
        return f"accepted: {result!r:.300}"
    try:
        case.right(result)
    except Exception:
        return f"wrong: {traceback.format_exc()}"
    return "answered"


def pool_as_anybody() -> None:
    import torch

    import voxpool

    x = torch.arange(64.0).view(1, 1, 4, 4, 4).requires_grad_()
    y, indices = voxpool.max_pool3d(x, 2, return_indices=True)
    corners = x.detach()[..., 1::2, 1::2, 1::2]
    assert torch.equal(y.detach(), corners)
    assert torch.equal(indices, corners.long())
    y.sum().backward()
    assert x.grad.sum() == 8
    assert x.grad[..., 1::2, 1::2, 1::2].eq(1).all()


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:300]


def _limited() -> None:
    """Makes this process one that hostile calls cannot drag the machine down with."""
    for name in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(name, signal.SIG_DFL)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, used + BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)


def _child(cases: Sequence[Case], pipe: int) -> None:
    import torch

    # As every child of a fork has to. Without it, torch's threads of autograd, which a fake tensor starts, may meet the
    # thread pool of the parent.
    torch.set_num_threads(1)
    _limited()
    for case in cases:
        signal.alarm(SECONDS)
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        verdict = judge(case)
        try:
            pool_as_anybody()
        except BaseException:
            verdict = f"{verdict}; pooling afterwards: {traceback.format_exc()}"
        os.write(pipe, json.dumps(verdict[:3000]).encode() + b"\n")


def _verdicts_of(cases: Sequence[Case]) -> list[str]:
    """The judgements of cases in one process, as far as it came, and how it ended if it did not come through."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _child(cases, theirs)
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        verdicts = [json.loads(line) for line in pipe]
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if len(verdicts) < len(cases):
        timed_out = code in (-signal.SIGALRM, -signal.SIGPROF)
        verdicts.append("takes too long" if timed_out else f"ends the process with {code}")
    return verdicts


def verdicts_of(cases: Sequence[Case], together: int) -> list[str]:
    verdicts: list[str] = []
    while len(verdicts) < len(cases):
        verdicts += _verdicts_of(cases[len(verdicts) : len(verdicts) + together])
    return verdicts


def table_of(name: str) -> list[Case]:
    cases: Iterator[Case] = importlib.import_module(name).cases()
    table = list(cases)
    names = [case.name for case in table]
    assert len(set(names)) == len(names), sorted({name for name in names if names.count(name) > 1})
    return table


def main(together: str, *tables: str) -> int:
    # What torch imports when it first needs it is imported here once, and not in every process. voxpool registers the
    # operators, which a table reaches through torch.ops.
    import torch
    import torch._meta_registrations
    import torch.fx.experimental.symbolic_shapes

    import voxpool  # noqa: F401

    torch.set_num_threads(1)
    counts, failures = {"refused": 0, "answered": 0}, 0
    for table, words in (name.partition("=")[::2] for name in tables or TABLES):
        cases = [case for case in table_of(f"hostile_{table}") if words in case.name]
        gc.freeze()
        for case, verdict in zip(cases, verdicts_of(cases, int(together)), strict=True):
            if verdict in counts:
                counts[verdict] += 1
            else:
                failures += 1
            if words or verdict not in counts:
                print(f"{table}: {case.name}: {verdict}", file=sys.stderr)
    print(json.dumps({**counts, "failures": failures}))
    return 1 if failures else 0


if __name__ == "__main__":
    # The tables import this module under its name: one set of classes.
    sys.exit(importlib.import_module("hostile").main(*sys.argv[1:]))
