"""The times of networks as a table and as bars."""

import sys
from pathlib import Path
from statistics import geometric_mean
from typing import Any

from matplotlib.patches import Rectangle
from rich import box
from rich.console import Console
from rich.table import Table

from voxpool.bench import charts, report

_COLOURS = {"torch": charts.INK, "voxpool": charts.VOXPOOL}
_NOTES = (
    "s: median of {repeats} calls, torch and voxpool in turns in one process. pooling: share of torch's time that\n"
    "max-pooling takes, and of torch's time again that it takes with voxpool. Training is forward, backward and SGD."
)


def show(results: dict[str, Any]) -> None:
    """Prints the machine, a line for each network and work, and what they come to together."""
    screen = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    screen.print(report.opening(results, {}), soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("network", "input", "work"):
        table.add_column(name, no_wrap=True)
    for name in ("poolings", "torch\ns", "voxpool\ns", "torch ÷\nvoxpool", "pooling\ntorch", "pooling\nvoxpool"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in results["rows"]:
        table.add_row(row["network"], "×".join(map(str, row["shape"])), row.get("work", ""), *_cells(row))
    screen.print(table)
    screen.print(_NOTES.format(repeats=results["repeats"]), style="dim", soft_wrap=True)
    for work in ("inference", "training"):
        ratios = [ratio(row) for row in results["rows"] if row.get("work") == work]
        if ratios:
            screen.print(
                f"{work}: torch ÷ voxpool {geometric_mean(ratios):.2f} (geometric mean of {len(ratios)}), "
                f"{min(ratios):.2f} to {max(ratios):.2f}",
                soft_wrap=True,
            )
    for row in results["rows"]:
        if "error" in row:
            screen.print(f"{row['network']}: {row['error']}", style="red", soft_wrap=True)


def _cells(row: dict[str, Any]) -> list[str]:
    if "error" in row:
        return ["failed"]
    theirs, ours = row["results"]["torch"], row["results"]["voxpool"]
    return [
        str(theirs["pools"]) if ours["taken"] == theirs["pools"] else f"{ours['taken']} of {theirs['pools']}",
        f"{theirs['seconds']:.3g}",
        f"{ours['seconds']:.3g}",
        f"{ratio(row):.2f}",
        f"{theirs['pooling'] / theirs['seconds']:.1%}",
        f"{ours['pooling'] / theirs['seconds']:.1%}",
    ]


def ratio(row: dict[str, Any]) -> float:
    """How many times as long the network takes with torch's poolings."""
    return float(row["results"]["torch"]["seconds"] / row["results"]["voxpool"]["seconds"])


def draw(path: Path, results: dict[str, Any]) -> None:
    """Writes two bars for each row, as parts of torch's time: what pooling takes, and everything else."""
    rows = [row for row in results["rows"] if "error" not in row]
    with charts.page(path, 11, 1.6 + 0.5 * len(rows)) as figure:
        axes = figure.subplots(1, 1)
        charts.clean(axes)
        for place, row in enumerate(rows):
            whole = row["results"]["torch"]["seconds"]
            for offset, route in ((-0.19, "torch"), (0.19, "voxpool")):
                times = row["results"][route]
                rest, pooling = (times["seconds"] - times["pooling"]) / whole, times["pooling"] / whole
                axes.barh(place + offset, rest, 0.36, color=charts.PEER)
                axes.barh(place + offset, pooling, 0.36, rest, color=_COLOURS[route])
                text = f" {times['seconds']:.3g} s" + f", {ratio(row):.2f}×" * (route == "voxpool")
                axes.text(rest + pooling, place + offset, text, va="center", fontsize=7.5)
        axes.set_yticks(range(len(rows)), [f"{row['network']}, {row['work']}" for row in rows])
        axes.invert_yaxis()
        axes.set_xlim(0, 1.25)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
        axes.set_title(
            f"One call as part of torch's time; {report.place(results['machine'])}, {results['machine']['date']}",
            loc="left",
        )
        colours = {f"max-pooling by {route}": colour for route, colour in _COLOURS.items()}
        handles = [Rectangle((0, 0), 1, 1, color=colour) for colour in (*colours.values(), charts.PEER)]
        figure.legend(handles, (*colours, "everything else"), loc="outside lower left", ncols=3, frameon=False)
