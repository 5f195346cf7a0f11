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
    element, tap = planes * itemsize, planes * tap_size(plans)
    owned = sum(
        prod(len(rows[part]) for rows, part in zip(shards, coordinate, strict=True))
        for shards in ([plan.inputs for plan in plans], [plan.outputs for plan in plans])
    )
    return Cost(
        traffic_of([plan.forward for plan in plans], coordinate, element),
        traffic_of([plan.backward for plan in plans], coordinate, element + tap),
        owned * element,
    )


def tap_size(plans: Sequence[ShardedAxis]) -> int:
    """Bytes of a tap, as the operators choose them."""
    taps = prod(plan.axis.kernel for plan in plans)
    return 1 if taps <= 255 else 4 if taps < 2**31 else 8


def traffic_of(halos: Sequence[Halo], parts: Sequence[int], bytes_per_element: int) -> Traffic:
    """What the rank with these parts exchanges; an element has its bytes in all planes together."""
    sent = received = 0
    neighbours = []
    for dim, (halo, part) in enumerate(zip(halos, parts, strict=True)):
        before = [len(h.needed[p]) for h, p in zip(halos[:dim], parts[:dim], strict=True)]
        behind = [len(h.owned[p]) for h, p in zip(halos[dim + 1 :], parts[dim + 1 :], strict=True)]
        row = bytes_per_element * prod(before) * prod(behind)
        sources, targets = halo.neighbours(part)
        sent += row * sum(len(halo.sent(part, target)) for target in targets)
        received += row * halo.received(part)
        neighbours.append(len({*sources, *targets}) if row else 0)
    return Traffic(sent, received, tuple(neighbours))
