"""Which parts of a pooled array are computed together, so that each fits into the memory that may be used.

Arithmetic alone: no files and no arrays. Axes that are not pooled are axes of kernel 1, so that channels, time and the
three spatial axes are cut by one rule.
"""

import itertools
import math
from collections.abc import Iterator, Sequence

from voxpool._axis import Axis

#: One range of outputs for each axis of the array, outermost first.
Block = tuple[range, ...]


def unpooled(size: int) -> Axis:
    """An axis that stays as it is."""
    return Axis(size, size, kernel=1, stride=1, pad_begin=0, dilation=1)


def plan(axes: Sequence[Axis], unit: Sequence[int], budget: int, input_bytes: int, output_bytes: int) -> list[int]:
    """Outputs of one block along each axis, such that no block needs more than `budget` bytes.

    The outermost axis is cut first, so that blocks are runs of the file; an inner one only where a single step of all
    axes outside it is still too much, as for planes larger than the memory.

    Args:
        axes: of the array, outermost first.
        unit: blocks begin at multiples of these counts: what the result's file writes as a whole.
        input_bytes, output_bytes: memory that one element of a block's input and of its output takes.

    Raises ValueError, naming the bytes needed, if the smallest block does not fit.
    """
    steps = [axis.outputs for axis in axes]

    def needed(step: int, cut: int) -> int:
        counts = [*steps[:cut], min(step, axes[cut].outputs), *steps[cut + 1 :]]
        rows = [_most_rows(axis, count) for axis, count in zip(axes, counts, strict=True)]
        return input_bytes * math.prod(rows) + output_bytes * math.prod(counts)

    for cut, axis in enumerate(axes):
        if needed(axis.outputs, cut) <= budget:
            break
        fitting, too_many = 1, -(-axis.outputs // unit[cut])  # in units; the lower one is taken even if it is too much
        while too_many - fitting > 1:
            middle = (fitting + too_many) // 2
            fitting, too_many = (middle, too_many) if needed(middle * unit[cut], cut) <= budget else (fitting, middle)
        # As many blocks, but of one size, so that the last one is no scrap.
        blocks = -(-axis.outputs // (fitting * unit[cut]))
        steps[cut] = min(-(-axis.outputs // (blocks * unit[cut])) * unit[cut], axis.outputs)
    least = needed(steps[-1], len(axes) - 1)
    if least > budget:
        raise ValueError(f"memory of {budget} bytes is too little: the smallest part of this pooling needs {least}")
    return steps


def blocks(axes: Sequence[Axis], steps: Sequence[int]) -> Iterator[Block]:
    """Every output once, in the order of the file."""
    return itertools.product(*_cuts(axes, steps))


def count(axes: Sequence[Axis], steps: Sequence[int]) -> int:
    """How many blocks there are."""
    return math.prod(-(-axis.outputs // step) for axis, step in zip(axes, steps, strict=True))


def elements_read(axes: Sequence[Axis], steps: Sequence[int]) -> int:
    """Input elements of all blocks together: rows that several blocks need are read for each of them."""
    return math.prod(
        sum(len(axis.rows(outputs)) for outputs in cuts) for axis, cuts in zip(axes, _cuts(axes, steps), strict=True)
    )


def rows(axes: Sequence[Axis], block: Block) -> Block:
    """The part of the input that a block is computed from."""
    return tuple(axis.rows(outputs) for axis, outputs in zip(axes, block, strict=True))


def _cuts(axes: Sequence[Axis], steps: Sequence[int]) -> list[list[range]]:
    return [
        [range(start, min(start + step, axis.outputs)) for start in range(0, axis.outputs, step)]
        for axis, step in zip(axes, steps, strict=True)
    ]


def _most_rows(axis: Axis, outputs: int) -> int:
    return min((outputs - 1) * axis.stride + axis.reach + 1, axis.size)
