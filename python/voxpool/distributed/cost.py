"""What a sharded pooling exchanges, counted from the plan of its halos: bytes of one rank, without any process.

Axes are exchanged one after the other, d, h, w: what goes along an axis has the rows that are needed of the axes before
it and the rows that are owned of those behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from voxpool._arguments import Ints, Padding
from voxpool._axis import axes_of
from voxpool.distributed.halo import Halo, ShardedAxis, sharded_axis

_BYTE_TAPS = 255  # a window with more taps stores them in 4 bytes


@dataclass(frozen=True)
class Traffic:
    """Bytes that one rank sends to others and receives from them in one call, and how many others along each axis."""

    sent: int
    received: int
    neighbours: tuple[int, ...]


@dataclass(frozen=True)
class Cost:
    """One pooling on one rank. `pooled` is what it reads and writes itself: its shards of input and output."""

    forward: Traffic
    backward: Traffic
    pooled: int


def cost(
    input_size: Sequence[int],
    parts: Sequence[int],
    coordinate: Sequence[int],
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    *,
    planes: int = 1,
    itemsize: int = 4,
) -> Cost:
    """The cost of ``voxpool.max_pool{1,2,3}d`` for the rank at `coordinate` of a grid of `parts`.

    Args:
        input_size: spatial sizes of the whole volume, (D, H, W), (H, W) or (L,).
        parts: ranks along each of these axes, 1 where it is not sharded.
        coordinate: which of them.
        kernel_size, stride, padding, dilation, ceil_mode: as in :func:`voxpool.max_pool3d`.
        planes: samples times channels on this rank.
        itemsize: bytes of one element.

    Returns: bytes and neighbours, exactly those that are sent; raises what the pooling itself would.
    """
    axes = axes_of(list(input_size), kernel_size, stride, padding, dilation, ceil_mode)
    plans = [sharded_axis(axis, count) for axis, count in zip(axes, parts, strict=True)]
    tap_bytes = 1 if prod(axis.kernel for axis in axes) <= _BYTE_TAPS else 4
    return cost_of(plans, coordinate, planes * itemsize, planes * tap_bytes)


def cost_of(plans: Sequence[ShardedAxis], parts: Sequence[int], element: int, tap: int) -> Cost:
    """:func:`cost` of axes whose plans are known; `element` and `tap` are bytes in all planes together."""
    owned = [prod(len(rows[part]) for rows, part in zip(all_rows, parts, strict=True)) for all_rows in _owned(plans)]
    return Cost(
        _traffic([plan.forward for plan in plans], parts, element),
        _traffic([plan.backward for plan in plans], parts, element + tap),
        sum(owned) * element,
    )


def _owned(plans: Sequence[ShardedAxis]) -> tuple[list[tuple[range, ...]], list[tuple[range, ...]]]:
    return [plan.inputs for plan in plans], [plan.outputs for plan in plans]


def _traffic(halos: Sequence[Halo], parts: Sequence[int], bytes_per_row: int) -> Traffic:
    sent = received = 0
    neighbours = []
    for dim, (halo, part) in enumerate(zip(halos, parts, strict=True)):
        before = [len(h.needed[p]) for h, p in zip(halos[:dim], parts[:dim], strict=True)]
        behind = [len(h.owned[p]) for h, p in zip(halos[dim + 1 :], parts[dim + 1 :], strict=True)]
        row = bytes_per_row * prod(before) * prod(behind)
        sources, targets = halo.neighbours(part)
        sent += row * sum(len(halo.sent(part, target)) for target in targets)
        received += row * halo.received(part)
        neighbours.append(len({*sources, *targets}) if row else 0)
    return Traffic(sent, received, tuple(neighbours))
