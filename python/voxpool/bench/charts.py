"""The results as bars: speed-up over the best peer, fraction of a copy, and bytes kept for the backward."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from voxpool.bench import report
from voxpool.bench.report import Row

_PAPER, INK, _FAINT = "#ffffff", "#1b1f24", "#6b7280"
PEER, VOXPOOL, _BEHIND = "#c9ccd3", "#0f766e", "#b45309"
_LINE = 0.21  # of one case, in inches


@contextmanager
def page(path: Path, width: float, height: float) -> Iterator[Any]:
    """A figure of so many inches, in the style of every chart; written in the format of the file's suffix at the end.

    A Figure without pyplot needs no window system.
    """
    style: Any = {"font.size": 8.5, "text.color": INK, "axes.labelcolor": INK, "xtick.color": _FAINT}
    style |= {
        "ytick.color": INK,
        "axes.edgecolor": _FAINT,
        "svg.hashsalt": "voxpool",
        "svg.fonttype": "none",
        "axes.titlesize": 9,
    }
    with matplotlib.rc_context(style):
        figure: Any = Figure(figsize=(width, height), facecolor=_PAPER, layout="constrained")
        yield figure
        figure.savefig(path, dpi=110, facecolor=_PAPER, metadata={"Date": None} if path.suffix == ".svg" else None)


def draw(path: Path, results: dict[str, Any]) -> None:
    """Writes the chart of a benchmark of poolings."""
    rows = [row for row in report.rows(results) if row.measured]
    keeping = [row for row in rows if report.kept(row, "voxpool") is not None]
    heights = [1.3 + _LINE * max(3, len(rows)), *([1.0 + 2 * _LINE * len(keeping)] if keeping else [])]
    with page(path, 13, sum(heights)) as figure:
        top, *bottom = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False).flat
        machine = results["machine"]
        top.suptitle(
            f"voxpool {machine['voxpool']}, {report.place(machine)}, {machine['date']}. "
            "Ratios carry over to other machines.",
            x=0.01,
            ha="left",
            fontsize=10,
            fontweight="bold",
        )
        left, right = top.subplots(1, 2, sharey=True)
        _speed_up(left, rows)
        _copy(right, rows)
        for below in bottom:
            _kept(below.subplots(1, 1), keeping)


def _speed_up(axes: Any, rows: Sequence[Row]) -> None:
    ratios = [(row.ratio(row.best) or 1.0) if row.best else 1.0 for row in rows]
    _bars(axes, ratios, [VOXPOOL if ratio >= 1 else _BEHIND for ratio in ratios], begin=1.0)
    for line, (row, ratio) in enumerate(zip(rows, ratios, strict=True)):
        text = f" {ratio:.{1 if ratio >= 1 else 2}f}× {row.best}" if row.best else " no peer"
        axes.text(max(ratio, 1.0), line, text, va="center", fontsize=7.5)
    axes.set_yticks(range(len(rows)), [_label(row) for row in rows])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(min(0.5, *ratios), 2.5 * max(2.0, *ratios))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.axvline(1, color=INK, linewidth=0.8)
    axes.set_title("Speed-up over the best peer, in any layout it can run", loc="left")


def _copy(axes: Any, rows: Sequence[Row]) -> None:
    fractions = [row.of_copy for row in rows]
    _bars(axes, fractions, [VOXPOOL] * len(rows))
    for line, fraction in enumerate(fractions):
        axes.text(fraction, line, f" {fraction:.2f}", va="center", fontsize=7.5)
    axes.axvline(1, color=INK, linewidth=0.8)
    axes.set_xlim(0, 1.15 * max(1.0, *fractions))
    axes.set_title("Copy of the same bytes ÷ voxpool; 1 is the speed of memory", loc="left")


def _kept(axes: Any, rows: Sequence[Row]) -> None:
    clean(axes)
    for offset, peer, colour in ((-0.2, "voxpool", VOXPOOL), (0.2, "torch", PEER)):
        lines = [(line, report.kept(row, peer)) for line, row in enumerate(rows)]
        known = [(line, value) for line, value in lines if value is not None]
        axes.barh([line + offset for line, _ in known], [value for _, value in known], 0.36, color=colour, label=peer)
        for line, value in known:
            axes.text(value, line + offset, f" {value:.2g}", va="center", fontsize=7.5)
    axes.set_yticks(range(len(rows)), [_label(row) for row in rows])
    axes.invert_yaxis()
    axes.set_title("Kept between forward and backward, in bytes for each byte of the input", loc="left")
    axes.legend(frameon=False)


def _bars(axes: Any, values: Sequence[float], colours: Sequence[str], begin: float = 0.0) -> None:
    clean(axes)
    axes.barh(range(len(values)), [value - begin for value in values], 0.72, left=begin, color=colours)


def clean(axes: Any) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.margins(y=0.01)


def _label(row: Row) -> str:
    case = row.case
    extra = "" if case.fresh else ", memory reused"
    size = "×".join(map(str, case.shape))
    return f"{case.name} {size} {case.window} {report.type_name(case.dtype)} {case.layout} {case.operation}{extra}"
