"""The picture: slices before and after pooling, the pyramid, and the table as bars."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

import voxpool
from voxpool.demo.compare import OVERLAPPING, PYRAMID, Pooling, Row
from voxpool.demo.report import type_name
from voxpool.demo.volume import Volume

_PAPER, _INK, _FAINT = "#ffffff", "#1b1f24", "#6b7280"
_TORCH, _VOXPOOL = "#c9ccd3", "#0f766e"
_WIDTH, _CAPTIONS = 14.0, 0.95  # of the page and of what stands above and below a row of images, in inches
_PLANES = ("sagittal", "coronal", "axial")


def draw(path: Path, volume: Volume, rows: Sequence[Row]) -> None:
    """Writes the picture as PNG. A Figure without pyplot draws into memory (Agg): no window system needed."""
    style: Any = {"font.size": 10, "text.color": _INK, "axes.labelcolor": _INK, "xtick.color": _FAINT}
    style |= {"ytick.color": _INK, "axes.edgecolor": _FAINT, "axes.titlesize": 10}
    up, along, across = _extent(volume)
    # Each row of images is as high as its width asks for, within what still looks like a page.
    heights = [
        _CAPTIONS + min(max(_WIDTH * max(up, along) / (2 * along + 4 * across), 1.5), 4.0),
        _CAPTIONS + min(max(_WIDTH * along / (5 * across), 1.5), 4.0),
        7.2,
    ]
    with matplotlib.rc_context(style):
        figure: Any = Figure(figsize=(_WIDTH, sum(heights)), facecolor=_PAPER, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
        slices, levels, bars = figure.subfigures(3, 1, height_ratios=heights)
        _slices(slices, volume)
        _levels(levels, volume)
        _bars(bars, rows)
        figure.savefig(path, dpi=110, facecolor=_PAPER, bbox_inches="tight", pad_inches=0.25)


def _title(figure: Any, text: str) -> None:
    figure.suptitle(text, x=0.012, ha="left", fontsize=13, fontweight="bold")


def _slices(figure: Any, volume: Volume) -> None:
    pooled = OVERLAPPING.run(voxpool.max_pool3d, volume.data[None, None])[0][0, 0]
    _title(figure, f"{volume.name}: three slices before and after max-pooling ({OVERLAPPING.title})")
    _, along, across = _extent(volume)
    widths = [along, along, across, across, across, across]
    for column, axes in enumerate(figure.subplots(1, 6, gridspec_kw={"width_ratios": widths})):
        plane = column // 2
        if column % 2 == 0:
            _show(axes, volume.data, volume, plane)
        else:
            # Output o is the maximum around voxel 2o, so its pixel reaches from half a voxel before that one.
            _show(axes, pooled, volume, plane, step=2, begin=-0.5)
        axes.set_anchor("S")
        axes.set_title(f"{_PLANES[plane]}, {('before', 'after')[column % 2]}", pad=4)


def _levels(figure: Any, volume: Volume) -> None:
    levels = [volume.data, *(level[0, 0] for level in PYRAMID.run(voxpool.max_pool3d, volume.data[None, None]))]
    _title(figure, "The pyramid: a voxel of each level is the maximum of 2 × 2 × 2 voxels of the level before")
    for number, (axes, level) in enumerate(zip(figure.subplots(1, len(levels)), levels, strict=True)):
        _show(axes, level, volume, plane=2, step=2**number)
        axes.set_title("the volume" if number == 0 else f"level {number}", pad=4)
        axes.set_xlabel(" × ".join(map(str, level.shape)) + " voxels", color=_FAINT, labelpad=3)


def _extent(volume: Volume) -> tuple[float, float, float]:
    """Lengths of the volume along depth, height and width, in millimetres where these are known, else in voxels."""
    (d, h, w), (up, along, across) = volume.size, volume.voxel_mm or (1.0, 1.0, 1.0)
    return d * up, h * along, w * across


def _show(axes: Any, data: Tensor, volume: Volume, plane: int, step: int = 1, begin: float = 0.0) -> None:
    """Draws the middle slice across axis 2 - plane where it belongs in the volume; a voxel of data is `step` wide."""
    axis = 2 - plane
    image = data.select(axis, data.size(axis) // 2)
    lengths = [length for i, length in enumerate(_extent(volume)) if i != axis]
    units = [length / size for length, size in zip(lengths, _without(volume.size, axis), strict=True)]
    (bottom, top), (left, right) = (
        (begin * unit, (begin + step * count) * unit) for unit, count in zip(units, image.shape, strict=True)
    )
    box = (left, right, bottom, top)
    axes.imshow(image.numpy(), cmap="gray", vmin=0, vmax=1, origin="lower", interpolation="nearest", extent=box)
    axes.set(xticks=[], yticks=[], xlim=(0, lengths[1]), ylim=(0, lengths[0]), facecolor="black")
    axes.set_xlabel(" × ".join(map(str, image.shape)), color=_FAINT, labelpad=3)
    axes.spines[:].set_visible(False)


def _without(values: Sequence[int], axis: int) -> list[int]:
    return [value for i, value in enumerate(values) if i != axis]


def _bars(figure: Any, rows: Sequence[Row]) -> None:
    threads = torch.get_num_threads()
    _title(
        figure,
        f"Median time in ms, {threads} thread{'s' * (threads > 1)}, {voxpool.cpu_capability()} kernels; "
        "memory that training keeps, in MB",
    )
    grid = figure.subplots(2, 3, gridspec_kw={"width_ratios": (1, 1, 0.85)})
    for line, pooling in zip(grid, (OVERLAPPING, PYRAMID), strict=True):
        for axes, backward in zip(line, (False, True), strict=False):
            chosen = [row for row in rows if row.pooling is pooling and row.backward == backward]
            _pairs(axes, chosen, [(row.torch_ms, row.voxpool_ms) for row in chosen], "ms", ("faster", "slower"))
            axes.set_title(f"{_short(pooling)}: forward{' + backward' * backward}", loc="left", pad=6)
        _pairs(
            line[2],
            chosen,
            [(row.torch_bytes / 1e6, row.voxpool_bytes / 1e6) for row in chosen],
            "MB",
            ("less", "more"),
        )
        line[2].set_title(f"{_short(pooling)}: kept for backward", loc="left", pad=6)
        line[1].set_yticklabels([])
        line[2].set_yticklabels([])
    handles = [Rectangle((0, 0), 1, 1, color=color) for color in (_TORCH, _VOXPOOL)]
    figure.legend(handles, ("torch", "voxpool"), loc="outside upper right", ncols=2, frameon=False, fontsize=11)


def _short(pooling: Pooling) -> str:
    return "pyramid" if pooling.levels > 1 else pooling.title


def _pairs(
    axes: Any, rows: Sequence[Row], values: Sequence[tuple[float, float]], unit: str, words: tuple[str, str]
) -> None:
    """Two bars for each row, with their values and what voxpool's is of torch's; words for less and more."""
    most = max(max(pair) for pair in values)
    for place, (theirs, ours) in enumerate(values):
        axes.barh(place - 0.19, theirs, 0.34, color=_TORCH)
        axes.barh(place + 0.19, ours, 0.34, color=_VOXPOOL)
        axes.text(theirs + 0.015 * most, place - 0.19, _amount(theirs, unit), va="center", color=_FAINT, fontsize=9)
        label = _amount(ours, unit) + (f"  {_times(theirs, ours, words)}" if ours else "")
        axes.text(
            ours + 0.015 * most,
            place + 0.19,
            label,
            va="center",
            color=_VOXPOOL,
            fontsize=9,
            fontweight="bold",
        )
    axes.set_yticks(range(len(rows)), [f"{row.layout}\n{type_name(row.dtype)}" for row in rows])
    axes.set(xlim=(0, 1.32 * most), xticks=[])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "bottom"]].set_visible(False)


def _times(theirs: float, ours: float, words: tuple[str, str]) -> str:
    if 0.95 < ours / theirs < 1.05:
        return "as much"
    return f"{theirs / ours:.1f}× {words[0]}" if ours < theirs else f"{ours / theirs:.1f}× {words[1]}"


def _amount(value: float, unit: str) -> str:
    return f"{value:.0f} {unit}" if value >= 10 else f"{value:.2g} {unit}"
