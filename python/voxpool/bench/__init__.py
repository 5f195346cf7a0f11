"""python -m voxpool bench: voxpool next to a copy of the same bytes and to the other ways to pool a volume."""

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxpool.cli import positive, refuse

if TYPE_CHECKING:
    from voxpool.bench.cases import Case
    from voxpool.bench.run import Effort

_INTERRUPTED = 130  # the shell's status for a program that Ctrl-C ended
_SLOW_TO_START = ("compile", "tensorflow", "jax")  # would take most of a quick run's minute


class BenchError(Exception):
    """Arguments that make no sense, in one line."""


def main(arguments: Sequence[str]) -> int:
    """Runs the benchmark. Returns 0, 1 if voxpool could not run a case, 2 for arguments that make no sense."""
    parser = _parser()
    options = parser.parse_args(list(arguments))
    needed = ["rich"] + ["matplotlib"] * (options.chart is not None)
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        return refuse("bench", f"missing {', '.join(missing)}: pip install 'voxpool[bench]'")
    try:
        return _bench(options)
    except BenchError as error:
        return refuse("bench", error)
    except KeyboardInterrupt:
        return _INTERRUPTED


def _bench(options: argparse.Namespace) -> int:
    from voxpool.bench import report
    from voxpool.bench.peers import PEERS

    for path in filter(None, (options.json, options.chart)):
        if not os.access(path.parent, os.W_OK) or path.is_dir():
            raise BenchError(f"{path}: cannot be written")
    if options.chart and options.chart.suffix.lower() not in (".png", ".svg"):
        raise BenchError(f"{options.chart}: expected a file name that ends in .png or .svg")

    own = _own_case(options)
    missing: list[str] = []
    if options.results:
        results = _load(options.results)
    else:
        chosen, missing = _peers(options)
        results = _measure(options, own, chosen)

    screen = _console()
    lines = report.rows(results)
    screen.print(
        report.opening(results, {name: f"pip install {PEERS[name].package}" for name in missing}), soft_wrap=True
    )
    screen.print(report.table(lines))
    screen.print(report.notes(lines, results["machine"]), soft_wrap=True)
    if options.chart:
        from voxpool.bench import charts

        charts.draw(options.chart, results)
        screen.print(f"chart    {options.chart}", soft_wrap=True)
    if own:
        screen.print(_explanation(own), soft_wrap=True)
    return 0 if all(row.measured for row in lines) else 1


def _measure(options: argparse.Namespace, own: "Case | None", peers: list[str]) -> dict[str, Any]:
    import torch
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from voxpool.bench import cases, run

    chosen = (own,) if own else cases.quick() if options.quick else cases.full() if options.full else cases.standard()
    threads = options.threads or torch.get_num_threads()

    def save(results: dict[str, Any]) -> None:
        # After every case, so that a long run that is ended loses nothing.
        if options.json:
            options.json.write_text(json.dumps(results, indent=1) + "\n")

    screen = _console()
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task("", total=len(chosen), completed=-1)
        return run.measure(
            chosen,
            peers,
            threads,
            _effort(options),
            lambda label: progress.update(task, advance=1, description=label),
            save,
        )


def _effort(options: argparse.Namespace) -> "Effort":
    from voxpool.bench.run import Effort

    if options.quick:
        return Effort(rounds=1, budget=0.2)
    return Effort(rounds=3, budget=1.0 if options.full else 0.5 if options.shape else 0.25)


def _peers(options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Installed peers, voxpool first, and those that are not."""
    from voxpool.bench.peers import PEERS

    names = options.peers.split(",") if options.peers else [name for name in PEERS if _included(name, options.quick)]
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        raise BenchError(f"unknown peer {unknown[0]!r}: choose from {', '.join(PEERS)}")
    names = list(dict.fromkeys(["voxpool", *names]))
    return [name for name in names if not PEERS[name].missing], [name for name in names if PEERS[name].missing]


def _included(peer: str, quick: bool) -> bool:
    return not (quick and peer in _SLOW_TO_START)


def _own_case(options: argparse.Namespace) -> "Case | None":
    """The case that --shape and the options after it describe, checked as a call would check it."""
    if options.shape is None:
        if options.kernel is not None:
            raise BenchError("--kernel needs --shape")
        return None
    if options.kernel is None:
        raise BenchError("--shape needs --kernel")
    import torch

    from voxpool.bench.cases import DTYPES, Case

    shape = _numbers(options.shape, "--shape", (5,))
    kernel = _triple(options.kernel, "--kernel")
    case = Case(
        name="own case",
        shape=(shape[0], shape[1], shape[2], shape[3], shape[4]),
        kernel=kernel,
        stride=_triple(options.stride, "--stride") if options.stride else kernel,
        padding=_triple(options.padding, "--padding"),
        dilation=_triple(options.dilation, "--dilation"),
        ceil_mode=options.ceil,
        dtype=options.dtype,
        layout=options.layout,
        operation=options.operation,
    )
    if case.dtype not in DTYPES:
        raise BenchError(f"--dtype {case.dtype}: choose from {', '.join(DTYPES)}")
    if not getattr(torch, case.dtype).is_floating_point and case.operation not in ("forward", "indices"):
        raise BenchError(f"--operation {case.operation}: {case.dtype} has no gradient")
    if min(shape) < 1:
        raise BenchError(f"--shape {options.shape}: nothing to pool")
    try:
        _explanation(case)
    except RuntimeError as error:
        raise BenchError(str(error)) from None
    return case


def _numbers(text: str, option: str, counts: tuple[int, ...]) -> tuple[int, ...]:
    try:
        values = tuple(int(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) not in counts:
        wanted = " or ".join(map(str, counts))
        raise BenchError(f"{option} takes {wanted} numbers separated by commas, but got {text!r}")
    return values


def _triple(text: str, option: str) -> tuple[int, int, int]:
    values = _numbers(text, option, (1, 3))
    return (values[0], values[0], values[0]) if len(values) == 1 else (values[0], values[1], values[2])


def _explanation(case: "Case") -> str:
    import torch

    import voxpool

    tensor = torch.empty(case.shape, dtype=getattr(torch, case.dtype), device="meta")
    if case.layout == "last":
        tensor = tensor.contiguous(memory_format=torch.channels_last_3d)
    training = case.operation in ("forward_taps", "backward", "training")
    kernel, stride, padding, dilation, ceil_mode = case.arguments
    indices = case.operation == "indices"
    return voxpool.explain(tensor, kernel, stride, padding, dilation, ceil_mode, indices, training)


def _load(path: Path) -> dict[str, Any]:
    try:
        results: dict[str, Any] = json.loads(path.read_text())
        if not results["rows"] or not results["machine"]:
            raise KeyError
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not the results of a benchmark"
        raise BenchError(f"{path}: {reason}") from None
    return results


def _console() -> Any:
    from rich.console import Console

    # A pipe gets every column; a terminal as many as it can show.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 240)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m voxpool bench",
        description="Times voxpool, a copy of the same bytes and every other installed way to pool a volume, each in "
        "a process of its own. Without options: some 60 cases of real models, under 15 minutes.",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="a few cases, one round, peers that start fast: a minute")
    size.add_argument("--full", action="store_true", help="every shape, window, dtype, layout and operation: hours")
    size.add_argument("--shape", metavar="N,C,D,H,W", help="your own case instead of the list")
    size.add_argument("--from", dest="results", type=Path, metavar="JSON", help="show earlier results, measure nothing")
    parser.add_argument("--kernel", metavar="K", help="of your own case: one number or three, as 1,2,2")
    parser.add_argument("--stride", metavar="S", help="default: the kernel size")
    parser.add_argument("--padding", metavar="P", default="0")
    parser.add_argument("--dilation", metavar="D", default="1")
    parser.add_argument("--ceil", action="store_true", help="ceil_mode")
    parser.add_argument("--dtype", default="float32", help="default: %(default)s")
    parser.add_argument("--layout", choices=("first", "last"), default="first", help="where the channels are")
    operations = ("forward", "forward_taps", "indices", "backward", "training")
    parser.add_argument("--operation", choices=operations, default="forward", help="default: %(default)s")
    parser.add_argument("--peers", metavar="A,B", help="instead of all that are installed")
    parser.add_argument("--threads", type=positive, metavar="N", help="default: torch's number")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the results")
    parser.add_argument("--chart", type=Path, metavar="PATH", help="draw them, as .png or .svg")
    return parser
