"""Pooling on a GPU next to a copy of the same bytes, torch in both layouts, and torch.compile.

python benchmarks/gpu.py --json out.json --chart out.svg [--quick] [--limit SECONDS]
"""

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import gpu_cases
import gpu_timing
import voxpool
from voxpool.bench import peers
from voxpool.bench.cases import Case
from voxpool.bench.prepared import Prepared

OTHER_LAYOUT = {"first": "last", "last": "first"}
PEERS: dict[str, Callable[[Case, Tensor, int], Prepared]] = {
    "voxpool": peers.ours,
    "torch": peers.eager,
    "torch (other layout)": lambda case, input, threads: peers.eager(_turned(case), _lay_out(input, _turned(case)), 1),
    "compile": peers.compiled,
}
MISSING = {"cudnn": "torch has no call that reaches its pooling"}
REPEATS, QUICK_REPEATS = 100, 20


def main() -> int:
    """Returns 0, 1 if voxpool could not run a case, 2 where nothing can be measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the results, after every case")
    parser.add_argument("--chart", type=Path, metavar="PATH", help="draw them, as .png or .svg")
    parser.add_argument("--quick", action="store_true", help="the cases with a goal, a fifth of the repeats")
    parser.add_argument("--limit", type=float, metavar="SECONDS", help="leave out the cases that are left after that")
    options = parser.parse_args()
    refusal = _refusal(options.chart)
    if refusal:
        print(f"benchmarks/gpu.py: {refusal}", file=sys.stderr)
        return 2

    cases = gpu_cases.quick() if options.quick else gpu_cases.full()
    results = measure(cases, QUICK_REPEATS if options.quick else REPEATS, options.limit, options.json)
    return show(results, options.chart)


def _refusal(chart: Path | None) -> str:
    missing = [name for name in ("rich", *["matplotlib"] * (chart is not None)) if not importlib.util.find_spec(name)]
    if missing:
        return f"missing {', '.join(missing)}: pip install {' '.join(missing)}"
    if not torch.cuda.is_available():
        return "no CUDA device"
    if not voxpool.info()["cuda_architectures"]:
        return "this voxpool was built without CUDA"
    return ""


def measure(cases: Sequence[Case], repeats: int, limit: float | None, json_path: Path | None) -> dict[str, Any]:
    start = time.monotonic()
    versions = {name: voxpool.__version__ if name == "voxpool" else str(torch.__version__) for name in PEERS}
    results: dict[str, Any] = {"machine": gpu_timing.machine(), "peers": versions, "missing": MISSING, "rows": []}
    for number, case in enumerate(cases):
        elapsed = time.monotonic() - start
        if limit is not None and elapsed > limit:
            print(f"{len(cases) - number} cases left out after {elapsed:.0f} s", flush=True)
            break
        print(f"{elapsed:4.0f} s  {number + 1} of {len(cases)}  {case.label}", flush=True)
        row = {"case": case.to_dict(), "bytes": case.bytes, "results": answers(case, repeats)}
        if case in gpu_cases.GOALS:
            row["goal"] = gpu_cases.GOALS[case] / 1e6
        results["rows"].append(row)
        if json_path:
            json_path.write_text(json.dumps(results, indent=1) + "\n")
    return results


def answers(case: Case, repeats: int) -> dict[str, dict[str, Any]]:
    """What every peer takes for the case, and the copy in voxpool's answer."""
    torch.cuda.empty_cache()
    dtype: torch.dtype = getattr(torch, case.dtype)
    input = _lay_out(torch.randn(case.shape, dtype=dtype, device="cuda"), case)
    found: dict[str, dict[str, Any]] = {}
    prepared: dict[str, Prepared] = {}
    for name, prepare in PEERS.items():
        try:
            prepared[name] = prepare(case, input, 1)
            _check(case, input, prepared[name])
        except Exception as error:  # whatever a peer raises belongs into the table
            prepared.pop(name, None)
            found[name] = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
    works = {name: peer.call for name, peer in prepared.items()}
    times = gpu_timing.medians({**works, "copy": gpu_timing.copy(case.bytes)}, repeats)
    for name, peer in prepared.items():
        kept = {"kept": peer.kept} if peer.kept is not None else {}
        found[name] = {**times[name], "layout": peer.layout, **kept}
    if "seconds" in found["voxpool"]:
        found["voxpool"]["copy"] = times["copy"]["seconds"]
    return {name: found[name] for name in PEERS}


def _turned(case: Case) -> Case:
    return replace(case, layout=OTHER_LAYOUT[case.layout])


def _lay_out(input: Tensor, case: Case) -> Tensor:
    last = case.layout == "last"
    return input.contiguous(memory_format=torch.channels_last_3d if last else torch.contiguous_format)


def _check(case: Case, input: Tensor, prepared: Prepared) -> None:
    """A time only counts for the right result."""
    if prepared.values is None:
        return
    kernel, stride, padding, dilation, ceil_mode = case.arguments
    expected = F.max_pool3d(input, kernel, stride, padding, dilation, ceil_mode)
    if not torch.equal(prepared.values(prepared.call()), expected):
        raise ValueError("wrong result: values differ")


def show(results: dict[str, Any], chart: Path | None) -> int:
    from rich.console import Console

    from voxpool.bench import report

    screen = Console(highlight=False, width=240)
    lines = report.rows(results)
    screen.print(report.opening(results, results["missing"]), soft_wrap=True)
    screen.print(report.table(lines))
    screen.print(report.notes(lines, results["machine"]), soft_wrap=True)
    for line, row in zip(lines, results["rows"], strict=True):
        if "goal" in row and line.measured:
            taken, goal = 1e6 * line.ours["seconds"], 1e6 * row["goal"]
            reached = "reached" if taken <= goal else f"{taken / goal:.2f} times"
            screen.print(f"goal     {line.case.label}: {taken:.1f} of {goal:.0f} µs, {reached}", soft_wrap=True)
    if chart:
        from voxpool.bench import charts

        charts.draw(chart, results)
        screen.print(f"chart    {chart}", soft_wrap=True)
    return 0 if lines and all(line.measured for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
