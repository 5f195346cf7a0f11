"""Results as tables: what the machine is, one line per case, and the reasons behind empty cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from statistics import geometric_mean
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from voxpool.bench.cases import Case

_DTYPES = {"float32": "fp32", "float64": "fp64", "float16": "fp16", "bfloat16": "bf16"}
_OPERATIONS = {"forward_taps": "forward*"}
_BEHIND = 0.95  # a peer's time over ours: less than that is more than noise

_CPU_NOTES = (
    "ms: median wall time of one call, new output included; outputs of 32 MB and more come from the system, and",
    "each call pays for their pages again. of a copy: time of torch's copy_ of as many bytes as the case has to",
    "move, divided by voxpool's: 1 is the speed of memory; into existing memory, and into new memory.",
    "* with what the backward needs.  † memory of the call before reused.  ° in the peer's own layout.",
)
_GPU_NOTES = (
    "ms: median time on the device between two events around one call, the L2 cache overwritten before it. of a copy:",
    "time of a device-to-device copy of as many bytes as the case has to move, in turns with it, divided by voxpool's:",
    "1 is the speed of memory.  * with what the backward needs.  ° in the peer's own layout.",
)


@dataclass(frozen=True)
class Row:
    """One case of the results, and what follows from its times."""

    case: Case
    bytes: int
    results: dict[str, dict[str, Any]]

    @cached_property
    def ours(self) -> dict[str, Any]:
        return self.results.get("voxpool", {})

    @property
    def measured(self) -> bool:
        return "seconds" in self.ours

    @property
    def gigabytes_per_second(self) -> float:
        return float(self.bytes / self.ours["seconds"] / 1e9)

    @property
    def of_copy(self) -> float:
        """1 is as fast as a copy of the same bytes into existing memory, 2 twice as fast."""
        return float(self.ours["copy"] / self.ours["seconds"])

    @property
    def of_fresh_copy(self) -> float | None:
        """The same with a copy into new memory; None on a GPU, whose memory the allocator keeps."""
        return float(self.ours["fresh_copy"] / self.ours["seconds"]) if "fresh_copy" in self.ours else None

    def ratio(self, peer: str) -> float | None:
        """How many times as long the peer takes; None if it has no time."""
        if not self.measured or "seconds" not in self.results.get(peer, {}):
            return None
        return float(self.results[peer]["seconds"] / self.ours["seconds"])

    @cached_property
    def best(self) -> str | None:
        """The fastest peer in any layout it can run."""
        return min(self._ratios, key=self._ratios.__getitem__, default=None)

    @cached_property
    def smallest_ratio_in_layout(self) -> float | None:
        """That of the fastest peer in the layout of the case."""
        return min((ratio for peer, ratio in self._ratios.items() if self.in_layout(peer)), default=None)

    def in_layout(self, peer: str) -> bool:
        return bool(self.results[peer].get("layout", self.case.layout) == self.case.layout)

    @cached_property
    def _ratios(self) -> dict[str, float]:
        return {peer: ratio for peer in self.results if peer != "voxpool" and (ratio := self.ratio(peer)) is not None}


def rows(results: dict[str, Any]) -> list[Row]:
    return [Row(Case.from_dict(row["case"]), row["bytes"], row["results"]) for row in results["rows"]]


def place(machine: dict[str, Any]) -> str:
    """What was measured on, in a few words."""
    if "gpu" in machine:
        return f"{machine['gpu']}, driver {machine['driver']}"
    return f"{machine['threads']} threads of {machine['processor']}, {machine['cpu_capability']} kernels"


def opening(results: dict[str, Any], missing: dict[str, str]) -> Text:
    """The machine, the versions of peers or of the packages that networks are from, and what is missing."""
    machine = results["machine"]
    lines = _gpu(machine) if "gpu" in machine else _cpu(machine)
    for key, title in (("peers", "peers    "), ("packages", "networks ")):
        if key in results:
            versions = [f"{name} {version}" for name, version in results[key].items() if name != "voxpool"]
            lines.append((title, ", ".join(versions) or "none"))
    lines += [("missing  ", f"{name}: {remedy}") for name, remedy in missing.items()]
    return Text("\n").join(Text.assemble((name, "bold"), text) for name, text in lines)


def _cpu(machine: dict[str, Any]) -> list[tuple[str, str]]:
    caches = ", ".join(f"{name} {size}" for name, size in machine["caches"].items())
    lines = [
        ("machine  ", f"{machine['processor']}, {machine['threads']} of {machine['cores']} cores, {caches}"),
        ("         ", f"transparent huge pages: {machine['transparent_hugepage']}"),
        ("software ", f"voxpool {machine['voxpool']} on {machine['cpu_capability']} kernels, torch {machine['torch']}"),
    ]
    if machine.get("load", 0) > machine["cores"] / 2:
        # A thread that waits for one that is not running makes a short call take a time slice.
        lines.append(("busy     ", f"load {machine['load']}: other programs compete for the cores, times mean little"))
    return lines


def _gpu(machine: dict[str, Any]) -> list[tuple[str, str]]:
    size = f"{machine['multiprocessors']} multiprocessors, {machine['memory_bytes'] / 1e9:.0f} GB"
    caches = f"L2 {machine['l2_bytes'] / 1e6:.0f} MB"
    built = ", ".join(machine["cuda_architectures"])
    return [
        ("machine  ", f"{machine['gpu']}, {size}, {caches}, driver {machine['driver']}"),
        ("software ", f"voxpool {machine['voxpool']} for {built}, torch {machine['torch']}, CUDA {machine['cuda']}"),
    ]


def table(lines: Sequence[Row]) -> Table:
    """One line per case. A peer's column says how many times as long as voxpool it takes."""
    peers = list(dict.fromkeys(peer for row in lines for peer in row.results if peer != "voxpool"))
    result = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("case", "input", "window"):
        result.add_column(name, no_wrap=True)
    for name in ("type", "layout", "operation"):
        result.add_column(name, no_wrap=True)
    fresh = any(row.measured and row.of_fresh_copy is not None for row in lines)
    figures = ["voxpool\nms", "GB/s", "of a\ncopy", *(["of a\nfresh copy"] if fresh else [])]
    for name in (*figures, *(f"{peer}\n÷ voxpool" for peer in peers)):
        result.add_column(name, justify="right", no_wrap=True)
    result.add_column("best peer", no_wrap=True)
    for row in lines:
        case = row.case
        times = ["failed", *[""] * (len(figures) - 1)]
        if row.measured:
            times[:3] = milliseconds(row.ours["seconds"]), f"{row.gigabytes_per_second:.1f}", f"{row.of_copy:.2f}"
            times[3:] = [f"{row.of_fresh_copy:.2f}"] if row.of_fresh_copy is not None else [""] * fresh
        result.add_row(
            case.name,
            "×".join(map(str, case.shape)),
            case.window,
            type_name(case.dtype),
            case.layout,
            _OPERATIONS.get(case.operation, case.operation) + ("" if case.fresh else " †"),
            *times,
            *(_cell(row, peer) for peer in peers),
            row.best or "",
        )
    return result


def notes(lines: Sequence[Row], machine: dict[str, Any]) -> Text:
    """How to read the table, why cells are empty, and the sum of it."""
    text = list(_GPU_NOTES if "gpu" in machine else _CPU_NOTES)
    best = [ratio for row in lines if row.best and (ratio := row.ratio(row.best)) is not None]
    if best:
        behind = sum(ratio < _BEHIND for ratio in best)
        in_layout = [row.smallest_ratio_in_layout for row in lines if row.smallest_ratio_in_layout is not None]
        text.append(
            f"Best peer ÷ voxpool: {geometric_mean(best):.1f} (geometric mean of {len(best)}), "
            f"smallest {min(best):.2f}; slower than a peer by more than 5 % in {behind}, "
            f"than one in the same layout in {sum(ratio < _BEHIND for ratio in in_layout)}."
        )
    return Text("\n".join([*text, *_reasons(lines)]), style="dim")


def _cell(row: Row, peer: str) -> Text:
    ratio = row.ratio(peer)
    if ratio is not None:
        mark = "" if row.in_layout(peer) else "°"
        style = "red" if ratio < _BEHIND else "bold" if peer == row.best else ""
        return Text(f"{ratio:.1f}{mark}" if ratio >= 10 else f"{ratio:.2f}{mark}", style=style)
    return Text("failed", style="red") if "error" in row.results.get(peer, {}) else Text("–", style="dim")


def _reasons(lines: Sequence[Row]) -> list[str]:
    """Each reason once for each peer, with the number of cases it is about."""
    counts: dict[str, int] = {}
    for row in lines:
        for peer, answer in row.results.items():
            for kind, word in (("skip", "cannot run"), ("error", "failed in")):
                if kind in answer:
                    reason = f"{peer}: {answer[kind]} ({word} {{}})"
                    counts[reason] = counts.get(reason, 0) + 1
    return [reason.replace("{}", f"{count} case{'s' * (count > 1)}") for reason, count in counts.items()]


def kept(row: Row, peer: str) -> float | None:
    """Bytes kept for the backward for each byte of the input."""
    answer = row.results.get(peer, {})
    return answer["kept"] / (prod(row.case.shape) * row.case.itemsize) if answer.get("kept") else None


def type_name(dtype: str) -> str:
    return _DTYPES.get(dtype, dtype)


def milliseconds(seconds: float) -> str:
    """Three digits that matter, from nanoseconds to minutes."""
    value = 1e3 * seconds
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}" if value >= 0.1 else f"{value:.4f}"
