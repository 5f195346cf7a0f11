"""How a pooling is cut into parts: every output once, none of the parts above the budget."""

import random

import pytest

from voxpool._axis import axes_of
from voxpool.outofcore import blocks

INPUT_BYTES, OUTPUT_BYTES = 4, 8


def geometries(count):
    draw = random.Random(0)
    while count:
        window = {
            "kernel_size": [draw.randint(1, 4) for _ in range(3)],
            "stride": [draw.randint(1, 5) for _ in range(3)],
            "padding": draw.choice([0, 1, "same", ((0, 1), (1, 0), (1, 1))]),
            "dilation": [draw.randint(1, 3) for _ in range(3)],
            "ceil_mode": draw.random() < 0.3,
        }
        sizes = [draw.randint(1, 17) for _ in range(3)]
        try:
            axes = axes_of(sizes, **window)
        except RuntimeError:
            continue
        count -= 1
        leading = [blocks.unpooled(draw.randint(1, 4)) for _ in range(draw.randint(0, 2))]
        unit = [draw.choice([1, 1, 2, 3, 8]) for _ in (*leading, *axes)]
        yield [*leading, *axes], unit, draw


def needed(axes, block):
    inputs = outputs = 1
    for axis, part in zip(axes, block, strict=True):
        inputs *= len(axis.rows(part))
        outputs *= len(part)
    return INPUT_BYTES * inputs + OUTPUT_BYTES * outputs


def smallest(axes, unit):
    """What the smallest blocks need where their windows lie inside the input."""
    inputs = outputs = 1
    for axis, count in zip(axes, unit, strict=True):
        count = min(count, axis.outputs)
        inputs *= min((count - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1, axis.size)
        outputs *= count
    return INPUT_BYTES * inputs + OUTPUT_BYTES * outputs


def test_every_output_once_and_no_block_above_the_budget():
    cut = refused = 0
    for axes, unit, draw in geometries(400):
        budget = int(10 ** draw.uniform(1.5, 5))
        least = smallest(axes, unit)
        if least > budget:
            with pytest.raises(ValueError, match=f"memory of {budget} bytes is too little.* needs {least}"):
                blocks.plan(axes, unit, budget, INPUT_BYTES, OUTPUT_BYTES)
            refused += 1
            continue
        steps = blocks.plan(axes, unit, budget, INPUT_BYTES, OUTPUT_BYTES)
        every = list(blocks.blocks(axes, steps))
        assert len(every) == blocks.count(axes, steps)
        cut += len(every) > 1
        seen = {}
        for block in every:
            assert needed(axes, block) <= budget
            for part, u, axis in zip(block, unit, axes, strict=True):
                assert part.start % u == 0
                assert part.stop % u == 0 or part.stop == axis.outputs
            for output in _product(block):
                seen[output] = seen.get(output, 0) + 1
        assert seen == dict.fromkeys(_product([range(axis.outputs) for axis in axes]), 1)
        read = sum(_size(blocks.rows(axes, block)) for block in every)
        assert blocks.elements_read(axes, steps) == read
    assert cut > 100
    assert refused > 10


def _product(parts):
    outputs = [()]
    for part in parts:
        outputs = [(*output, position) for output in outputs for position in part]
    return outputs


def _size(parts):
    size = 1
    for part in parts:
        size *= len(part)
    return size


def test_the_outermost_axis_is_cut_first():
    axes = [blocks.unpooled(4), *axes_of([64, 64, 64], 2, None, 0, 1, False)]
    item = 64**3 * INPUT_BYTES + 32**3 * OUTPUT_BYTES
    plan = blocks.plan
    assert plan(axes, [1] * 4, 4 * item, INPUT_BYTES, OUTPUT_BYTES) == [4, 32, 32, 32]
    assert plan(axes, [1] * 4, 4 * item - 1, INPUT_BYTES, OUTPUT_BYTES) == [2, 32, 32, 32]
    assert plan(axes, [1] * 4, item, INPUT_BYTES, OUTPUT_BYTES) == [1, 32, 32, 32]
    assert plan(axes, [1] * 4, item // 2, INPUT_BYTES, OUTPUT_BYTES) == [1, 16, 32, 32]
    # 11 planes fit: three parts of 11 as well, and not 11, 11 and 10 of another size.
    assert plan(axes, [1] * 4, item * 12 // 32, INPUT_BYTES, OUTPUT_BYTES) == [1, 11, 32, 32]
    assert plan(axes, [1, 8, 8, 8], item * 12 // 32, INPUT_BYTES, OUTPUT_BYTES) == [1, 8, 32, 32]
    assert plan(axes, [1] * 4, item // 64, INPUT_BYTES, OUTPUT_BYTES) == [1, 1, 16, 32]
    one = 8 * INPUT_BYTES + OUTPUT_BYTES
    assert plan(axes, [1] * 4, one, INPUT_BYTES, OUTPUT_BYTES) == [1, 1, 1, 1]
    with pytest.raises(ValueError, match=f"memory of {one - 1} bytes .* needs {one}"):
        plan(axes, [1] * 4, one - 1, INPUT_BYTES, OUTPUT_BYTES)
