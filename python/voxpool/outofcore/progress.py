"""A bar on the terminal: rich's where it is installed."""

import contextlib
import importlib.util
import sys
import time
from collections.abc import Iterator

from voxpool.outofcore.pool import Advance, Watcher


def watcher(show: bool) -> Watcher:
    """The bar that fits standard error: none if it is no terminal."""
    if not show or not sys.stderr.isatty():
        return _silent
    return _rich if importlib.util.find_spec("rich") else _plain


@contextlib.contextmanager
def _silent(total: int, done: int) -> Iterator[Advance]:
    yield lambda count: None


@contextlib.contextmanager
def _rich(total: int, done: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total, completed=done)
        yield lambda count: bar.advance(task, count)


@contextlib.contextmanager
def _plain(total: int, done: int) -> Iterator[Advance]:
    began, first = time.monotonic(), done

    def advance(count: int) -> None:
        nonlocal done
        done += count
        speed = (done - first) / max(time.monotonic() - began, 1e-9)
        print(f"\r{done / total:4.0%}  {speed / 1e9:.2f} GB/s ", end="", file=sys.stderr, flush=True)

    try:
        yield advance
    finally:
        print(file=sys.stderr)
