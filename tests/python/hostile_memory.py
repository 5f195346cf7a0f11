"""Tensors whose last element touches a page nobody may read, in every layout, element size and instruction set.

Kernels load whole vectors past the end of a row where the tensor goes on behind it; views, overlapping elements and
expanded axes are where "goes on" is easily got wrong.
"""

import itertools
from collections.abc import Iterator
from functools import partial

import torch

import voxpool
from hostile import Case, answered
from hostile_kinds import guarded
from support import views

OPS = torch.ops.voxpool
SIZE = (2, 5, 4, 5, 33)
NARROW = (2, 3, 3, 7, 9)
WINDOWS = (
    (2, 2, 0, 1, False),
    (3, 2, 1, 1, False),
    (3, 1, 1, 1, True),
    ((1, 2, 2), (1, 2, 2), 0, 1, False),
    ((1, 3, 3), (1, 2, 2), (0, 1, 1), 1, False),
    (3, 2, 1, 2, True),
    ((2, 3, 3), (2, 3, 1), (1, 0, 1), 1, False),
    (1, 2, 0, 1, False),
)


def _overlapping(size):
    """Rows that begin one element after each other, and volumes that share all but a plane."""
    n, c, d, h, w = size
    storage = torch.randn(2 * n + 3 * c + d + h + w)
    yield "overlapping", storage.as_strided(size, (2, 3, 1, 1, 1))
    yield "expanded channels", torch.randn(n, 1, d, h, w).expand(size)
    yield "expanded rows", torch.randn(n, c, d, 1, w).expand(size)
    yield "expanded columns", torch.randn(n, c, d, h, 1).expand(size)
    yield "channels last", torch.randn(size).contiguous(memory_format=torch.channels_last_3d)


def _layouts() -> Iterator[tuple[str, tuple[int, ...], int]]:
    """Names of views, each with the size it has and its place among those of that size."""
    for size in (SIZE, NARROW):
        for place, (name, _) in enumerate(itertools.chain(views(size), _overlapping(size))):
            yield f"{name} of width {size[-1]}", size, place


def _view(size, place):
    torch.manual_seed(place)
    return next(itertools.islice(itertools.chain(views(size), _overlapping(size)), place, None))[1]


def _forward(size, place, dtype, end) -> None:
    view = _view(size, place)
    # Elements that overlap stay overlapping: the storage is converted, not the view.
    flat = torch.empty(0, dtype=view.dtype).set_(view.untyped_storage()).mul(40).to(dtype)
    plain = flat.as_strided(view.shape, view.stride(), view.storage_offset())
    x, copy = guarded(plain, end), plain.contiguous()
    for capability, window in itertools.product(voxpool.info()["cpu_capabilities_available"], WINDOWS):
        voxpool.set_cpu_capability(capability)
        values, indices = OPS.max_pool3d_with_indices(x, *window)
        expected, places = OPS.max_pool3d_with_indices(copy, *window)
        assert torch.equal(values, expected), (capability, window)
        assert torch.equal(indices, places), (capability, window)
        assert torch.equal(OPS.max_pool3d(x, *window), expected), (capability, window)
        output, taps = OPS._max_pool3d_taps(x, *window)
        assert torch.equal(output, expected), (capability, window)
        assert torch.equal(OPS._max_pool3d_gather(x, taps, *window), expected), (capability, window)


def _backward(layout, dtype, end) -> None:
    """Gradients, taps and indices at the edge too."""
    sizes = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last_3d}
    for size, window in itertools.product((SIZE, NARROW), WINDOWS):
        x = torch.randn(size).to(dtype).contiguous(memory_format=sizes[layout])
        output, taps = OPS._max_pool3d_taps(x, *window)
        gradient = torch.randn(output.shape).to(dtype).contiguous(memory_format=sizes[layout])
        for capability in voxpool.info()["cpu_capabilities_available"]:
            voxpool.set_cpu_capability(capability)
            expected = OPS._max_pool3d_backward(gradient, taps, size, *window)
            at_edge = guarded(gradient, end), guarded(taps, end)
            assert torch.equal(OPS._max_pool3d_backward(*at_edge, size, *window), expected), (capability, window)
            indices = OPS._max_pool3d_indices(taps, size, *window)
            assert torch.equal(OPS._max_pool3d_indices(at_edge[1], size, *window), indices), (capability, window)
            unpooled = OPS._max_unpool3d(output, indices, size[2:], layout == "channels last")
            at_edge = guarded(output, end), guarded(indices, end)
            again = OPS._max_unpool3d(*at_edge, size[2:], layout == "channels last")
            assert torch.equal(again, unpooled), (capability, window)
            gathered = OPS._max_unpool3d_gather(guarded(unpooled, end), at_edge[1])
            assert torch.equal(gathered, OPS._max_unpool3d_gather(unpooled, indices)), (capability, window)


def _nothing(result: None) -> None:
    assert result is None


def cases() -> Iterator[Case]:
    dtypes = (torch.float32, torch.bfloat16, torch.uint8, torch.float64, torch.int16)
    sides = {"before": True, "behind": False}
    # Types take turns with layouts; the side where vectors reach over, the end, is tried with each.
    for turn, ((name, size, place), dtype) in enumerate(itertools.product(_layouts(), dtypes)):
        yield answered(f"{name}, {dtype}, before a guard", partial(_forward, size, place, dtype, True), _nothing)
        if turn % 5 == turn // 5 % 5:
            yield answered(f"{name}, {dtype}, behind a guard", partial(_forward, size, place, dtype, False), _nothing)
    floats = (torch.float32, torch.bfloat16, torch.float64)
    for layout, dtype, (side, end) in itertools.product(("contiguous", "channels last"), floats, sides.items()):
        yield answered(f"backward, {layout}, {dtype}, {side} a guard", partial(_backward, layout, dtype, end), _nothing)
