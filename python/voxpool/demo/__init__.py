"""python -m voxpool demo: pools a brain volume next to torch, draws the result, trains a small network twice."""

import argparse
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from voxpool.cli import refuse

if TYPE_CHECKING:
    from voxpool.demo.volume import Volume

_PACKAGES = ("numpy", "rich", "matplotlib")


def main(arguments: Sequence[str]) -> int:
    """Runs the demo. Returns 0, 1 if voxpool and torch disagree, 2 for input that cannot be used."""
    options = _parser().parse_args(list(arguments))
    missing = [name for name in _needed(options.volume) if importlib.util.find_spec(name) is None]
    if missing:
        return refuse("demo", f"missing {', '.join(missing)}: pip install 'voxpool[demo]'")
    problem = _unwritable(options.out)
    if problem:
        return refuse("demo", problem)

    from voxpool.demo import volume

    try:
        chosen = volume.load(options.volume)
    except volume.DemoError as error:
        return refuse("demo", error)
    return _run(volume.halved(chosen) if options.quick else chosen, options.out, options.quick)


def _run(chosen: "Volume", out: Path, quick: bool) -> int:
    from torch import nn

    import voxpool
    from voxpool.demo import compare, picture, report, train, volume

    screen = report.console()
    features = volume.features(chosen)
    screen.print(report.opening(chosen, features.size(1)), soft_wrap=True)

    repeats = 5
    with report.progress(screen) as progress:
        task = progress.add_task("pooling", total=compare.steps(repeats))
        rows = compare.rows(features, repeats, lambda: progress.advance(task))
    del features
    for pooling in compare.POOLINGS:
        screen.print(report.comparison(pooling, [row for row in rows if row.pooling is pooling]))
    screen.print(report.notes(rows), "", sep="\n")

    steps = 16 if quick else 48
    with report.progress(screen) as progress:
        task = progress.add_task("training", total=2 * steps)
        patches = train.cut(chosen)
        theirs, ours = (
            train.run(pool, patches, steps, lambda: progress.advance(task))
            for pool in (nn.MaxPool3d, voxpool.nn.MaxPool3d)
        )
    screen.print(report.training(theirs, ours))
    same_losses = theirs == ours
    screen.print(
        f"Task: does a patch of {train.PATCH}³ voxels hold more white matter (by intensity) than the median patch?\n"
        f"{ours.accuracy:.0%} right on {train.TEST} unseen patches.\n"
        f"All {steps} losses {'are equal' if same_losses else 'are NOT equal'}, digit for digit.\n"
    )

    picture.draw(out, chosen, rows)
    screen.print(f"picture  {out}", soft_wrap=True)
    return 0 if same_losses and all(row.agrees for row in rows) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m voxpool demo",
        description="Pools a T1 brain volume with torch and with voxpool, compares, draws, and trains a small 3-D CNN.",
    )
    parser.add_argument(
        "--volume",
        type=Path,
        metavar="PATH",
        help="a .nii, .nii.gz or .npy volume (default: nilearn's MNI152 template)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("voxpool-demo.png"), metavar="PNG", help="default: %(default)s"
    )
    parser.add_argument("--quick", action="store_true", help="every second voxel and a shorter training")
    return parser


def _needed(volume: Path | None) -> list[str]:
    if volume is None:
        return [*_PACKAGES, "nibabel", "nilearn"]
    return [*_PACKAGES] if volume.suffix.lower() == ".npy" else [*_PACKAGES, "nibabel"]


def _unwritable(out: Path) -> str:
    """Why the picture could not be written, before a minute of work is spent on it."""
    if out.suffix.lower() != ".png":
        return f"{out}: expected a file name that ends in .png"
    if not out.parent.is_dir():
        return f"{out}: no such directory"
    if out.is_dir() or not os.access(out if out.exists() else out.parent, os.W_OK):
        return f"{out}: cannot be written"
    return ""
