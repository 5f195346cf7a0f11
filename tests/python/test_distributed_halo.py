"""Which rows go where when an axis is sharded, without processes: against windows counted one by one, and by pooling
every part alone."""

import random

import pytest
import torch

from support import assert_same, special
from voxpool._axis import axes_of
from voxpool.distributed.halo import Halo, sharded_axis, shards

OPS = torch.ops.voxpool
CASES = 400


def random_axis(pick):
    """Any axis that is a pooling, with gaps between windows, windows that span many parts, and more parts than rows."""
    while True:
        kernel, stride, dilation = pick.randint(1, 9), pick.randint(1, 12), pick.randint(1, 3)
        reach = (kernel - 1) * dilation
        padding = pick.choice(
            [0, pick.randint(0, kernel // 2), ((pick.randint(0, reach), pick.randint(0, reach)),), "same"]
        )
        ceil_mode = padding != "same" and pick.random() < 0.4
        try:
            (axis,) = axes_of([pick.randint(1, 30)], kernel, stride, padding, dilation, ceil_mode)
        except RuntimeError:
            continue
        return sharded_axis(axis, pick.choice([1, 2, 3, 4, 5, 8]))


def taps(axis, output):
    """The rows inside the input that one window reads."""
    rows = (output * axis.stride - axis.pad_begin + tap * axis.dilation for tap in range(axis.kernel))
    return {row for row in rows if 0 <= row < axis.size}


def span(rows):
    return set(range(min(rows), max(rows) + 1)) if rows else set()


@pytest.mark.parametrize("size", range(12))
@pytest.mark.parametrize("parts", [1, 2, 3, 4, 8])
def test_shards_are_those_of_torch_chunk(size, parts):
    chunks = [chunk.tolist() for chunk in torch.arange(size).chunk(parts)] if size else []
    assert [list(rows) for rows in shards(size, parts) if rows] == chunks
    assert len(shards(size, parts)) == parts


def test_parts_need_what_their_windows_read_and_no_more():
    pick = random.Random(1)
    for _ in range(CASES):
        plan = random_axis(pick)
        readers = [taps(plan.axis, output) for output in range(plan.axis.outputs)]
        for part in range(plan.parts):
            read = set().union(*(readers[output] for output in plan.outputs[part]))
            needed = plan.forward.needed[part]
            assert read <= set(needed)
            if plan.parts > 1 and read:  # from the first to the last: a window with dilation skips rows in between
                assert len(needed) <= max(read) - min(read) + 1 + 2 * (plan.axis.dilation - 1)
            own = set(plan.inputs[part])
            inside = [output for output in plan.outputs[part] if span(readers[output]) <= own]
            if plan.axis.dilation == 1:
                assert list(plan.interior(part)) == inside
            else:  # with dilation a window may skip its first or last row at a border of the volume
                assert set(plan.interior(part)) <= set(inside)
            touching = {output for output, rows in enumerate(readers) if rows & own}
            assert touching <= set(plan.backward.needed[part])


def test_what_is_sent_adds_up_to_what_is_needed():
    pick = random.Random(2)
    local = 0
    for _ in range(CASES):
        plan = random_axis(pick)
        for halo in (plan.forward, plan.backward):
            parts = range(plan.parts)
            for part in parts:
                assert [row for source in parts for row in halo.sent(source, part)] == list(halo.needed[part])
                assert halo.received(part) == sum(len(halo.sent(source, part)) for source in parts if source != part)
                before, after = halo.neighbours(part)
                assert before == [p for p in parts if p != part and halo.sent(p, part)]
                assert after == [p for p in parts if p != part and halo.sent(part, p)]
            sends = any(halo.neighbours(part)[1] for part in parts)
            assert halo.is_local == (not sends)
            local += halo.is_local
    assert 50 < local < 2 * CASES - 50


@pytest.mark.parametrize(
    ("size", "window", "parts", "rows"),
    [
        (16, (2, 2, 0, 1), 4, [0, 0, 0, 0]),  # aligned windows that do not overlap
        (16, (3, 3, 0, 1), 4, [2, 4, 3, 0]),  # 5 outputs: rows 0 to 5, 6 to 11, 12 to 14 and none
        (16, (3, 2, 1, 1), 4, [0, 1, 1, 1]),  # the row in front of the own ones
        (16, (3, 1, 1, 1), 4, [1, 2, 2, 1]),
        (16, (5, 1, 2, 2), 4, [5, 7, 7, 5]),  # 12 outputs: rows 0 to 8, 1 to 11, 4 to 14, 7 to 15
        (8, (3, 1, 1, 1), 8, [1, 2, 2, 2, 2, 2, 2, 1]),
        (8, (7, 1, 3, 1), 8, [3, 4, 5, 6, 6, 5, 4, 3]),  # three neighbours on each side
        (5, (2, 2, 0, 1), 8, [1, 2, 0, 0, 0, 0, 0, 0]),  # two outputs, and parts without any row
    ],
)
def test_rows_that_parts_receive(size, window, parts, rows):
    (axis,) = axes_of([size], *window, False)
    halo = sharded_axis(axis, parts).forward
    assert [halo.received(part) for part in range(parts)] == rows


def test_the_way_back_is_the_transpose():
    halo = Halo((range(4), range(4, 8)), (range(5), range(3, 8)))
    assert halo.sent(0, 1) == range(3, 4) == halo.reverse.sent(1, 0)
    assert halo.sent(1, 0) == range(4, 5) == halo.reverse.sent(0, 1)


def arguments(plan, pads):
    """Of a pooling along d."""
    axis = plan.axis
    return [axis.kernel, 1, 1], [axis.stride, 1, 1], [*pads, 0, 0, 0, 0], [axis.dilation, 1, 1], False


def test_pooling_every_part_alone_is_pooling_the_whole():
    pick = random.Random(3)
    skipped = 0
    for _ in range(CASES):
        plan = random_axis(pick)
        x = special((1, 2, plan.axis.size, 2, 3), torch.float32)
        last = plan.axis.start(plan.axis.outputs - 1) + plan.axis.reach + 1
        whole = arguments(plan, (plan.axis.pad_begin, max(last - plan.axis.size, 0)))
        expected, expected_taps = OPS._max_pool3d_taps(x, *whole)
        gradient = torch.randn_like(expected)
        expected_back = OPS._max_pool3d_backward(gradient, expected_taps, x.shape, *whole)
        expected_gather = OPS._max_pool3d_gather(x, expected_taps, *whole)

        for part in range(plan.parts):
            own, rows = plan.outputs[part], plan.forward.needed[part]
            if own:
                alone = arguments(plan, plan.forward_padding(own, rows))
                box = x[:, :, rows.start : rows.stop]
                output, taps_of_part = OPS._max_pool3d_taps(box, *alone)
                where = slice(own.start, own.stop)
                assert_same(output, expected[:, :, where], strides=False)
                assert torch.equal(taps_of_part, expected_taps[:, :, where])
                gathered = OPS._max_pool3d_gather(box, taps_of_part, *alone)
                assert_same(gathered, expected_gather[:, :, where], strides=False)
            own, windows = plan.inputs[part], plan.backward.needed[part]
            if own and windows:
                skip, *pads = plan.backward_padding(part)
                skipped += skip > 0
                where = slice(windows.start, windows.stop)
                size = [1, 2, len(own) - skip, 2, 3]
                back = OPS._max_pool3d_backward(
                    gradient[:, :, where], expected_taps[:, :, where], size, *arguments(plan, pads)
                )
                assert_same(back, expected_back[:, :, own.start + skip : own.stop], strides=False)
                assert not expected_back[:, :, own.start : own.start + skip].any()
            elif own:
                assert not expected_back[:, :, own.start : own.stop].any()
    assert skipped > 20
