"""What the demo prints: the machine, the volume, the table of the comparison and the two trainings."""

import io
import sys
from collections.abc import Sequence

import torch
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

import voxpool
from voxpool._machine import processor
from voxpool.demo.compare import Pooling, Row
from voxpool.demo.train import Training
from voxpool.demo.volume import Volume

_WIDTH = 80  # of the tables and notes


def console() -> Console:
    """Standard output. A pipe gets the width that the table needs, and no colours."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without × or ✓ shows a question mark
    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)


def progress(out: Console) -> Progress:
    """A bar on the terminal that goes when its work is done; a pipe gets none."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=out, transient=True, disable=not out.is_terminal)


def opening(volume: Volume, channels: int) -> Text:
    size = " × ".join(map(str, volume.size))
    spacing = "" if volume.voxel_mm is None else " of {:.3g} × {:.3g} × {:.3g} mm".format(*volume.voxel_mm)
    threads = torch.get_num_threads()
    lines = [
        ("machine  ", f"{processor()}, {threads} thread{'s' * (threads > 1)}"),
        (
            "software ",
            f"voxpool {voxpool.__version__} on {voxpool.cpu_capability()} kernels, torch {torch.__version__}",
        ),
        ("volume   ", f"{volume.name}, {size} voxels{spacing}"),
        ("         ", f"{channels} channels computed from it: intensity, blur, detail, edges ..."),
        *[("         ", note) for note in volume.notes],
    ]
    return Text("\n").join(Text.assemble((name, "bold"), text) for name, text in lines)


def comparison(pooling: Pooling, rows: Sequence[Row]) -> Table:
    """The lines of one pooling. All columns have fixed widths, so that two tables stand in line."""
    table = Table(box=box.SIMPLE_HEAD, title=pooling.title, title_style="bold", title_justify="left", padding=0)
    table.add_column("\nchannels", width=8)
    table.add_column("\ntype", width=4)
    table.add_column("\npass", width=10)
    for name in ("torch\nms", "voxpool\nms", "torch ÷\nvoxpool"):
        table.add_column(name, justify="right", width=7)
    for name in ("values\nequal", "grads\nequal"):
        table.add_column(name, justify="center", width=6)
    for name in ("torch\nkeeps", "voxpool\nkeeps"):
        table.add_column(name, justify="right", width=8)
    for row in rows:
        table.add_row(
            "" if row.backward else row.layout.removeprefix("channels-"),
            "" if row.backward else type_name(row.dtype),
            "+ backward" if row.backward else "forward",
            f"{row.torch_ms:.1f}",
            f"{row.voxpool_ms:.1f}",
            Text(f"{row.ratio:.1f}×", style="bold green" if row.ratio >= 1 else "bold red"),
            _mark(row.same_values),
            _gradients(row) if row.backward else "",
            _megabytes(row.torch_bytes) if row.backward else "",
            _megabytes(row.voxpool_bytes) if row.backward else "",
        )
    return table


def notes(rows: Sequence[Row]) -> Text:
    lines = [
        "ms: median wall time. equal: bit for bit. keeps: what autograd holds between",
        "forward and backward (1 MB = 10⁶ bytes): torch the input and an int64 index for",
        "each output, voxpool one byte for each output.",
    ]
    if any(row.gradients == "float64" for row in rows):
        lines += [
            "¹ torch adds bfloat16 gradients of overlapping windows in bfloat16; voxpool's",
            "  are bit for bit the sums in float64, rounded once.",
        ]
    return Text("\n".join(lines), style="dim")


def training(theirs: Training, ours: Training) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="a small 3-D CNN, trained twice from one seed", title_style="bold")
    table.add_column("step", justify="right")
    table.add_column("loss with\ntorch.nn.MaxPool3d", justify="right")
    table.add_column("loss with\nvoxpool.nn.MaxPool3d", justify="right")
    table.add_column("equal")
    last = len(theirs.losses) - 1
    for step in sorted({*range(0, last + 1, max(1, (last + 1) // 8)), last}):
        a, b = theirs.losses[step], ours.losses[step]
        table.add_row(str(step + 1), f"{a:.6f}", f"{b:.6f}", _mark(a == b))
    return table


def type_name(dtype: torch.dtype) -> str:
    return {torch.float32: "fp32", torch.bfloat16: "bf16"}[dtype]


def _gradients(row: Row) -> Text:
    return Text("✓ ¹", style="green") if row.gradients == "float64" else _mark(bool(row.gradients))


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


def _mark(right: bool) -> Text:
    return Text("✓", style="green") if right else Text("✗", style="bold red")
