"""The private operators with arguments that autograd never passes: sizes, shapes, dtypes and taps that do not fit."""

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

from hostile import Case, answered, refused
from hostile_values import INT32, INT64, INTEGERS, LENGTHS, words

OPS = torch.ops.voxpool
SIZE = (2, 3, 6, 7, 8)
WINDOW = (3, 2, 1, 1, False)
POOLED = (2, 3, 3, 4, 4)
SLOTS = ("kernel_size", "stride", "padding", "dilation")


def _x() -> torch.Tensor:
    return (torch.arange(2016.0) * 37 % 2016).view(SIZE)


def _legal() -> dict[str, torch.Tensor]:
    x = _x()
    output, taps = OPS._max_pool3d_taps(x, *WINDOW)
    return {"x": x, "gradient": torch.ones_like(output), "taps": taps}


def _backward(gradient=None, taps=None, size=SIZE, window=WINDOW) -> torch.Tensor:
    legal = _legal()
    return OPS._max_pool3d_backward(
        legal["gradient"] if gradient is None else gradient, legal["taps"] if taps is None else taps, size, *window
    )


def _gather(x=None, taps=None, window=WINDOW) -> torch.Tensor:
    legal = _legal()
    return OPS._max_pool3d_gather(legal["x"] if x is None else x, legal["taps"] if taps is None else taps, *window)


def _indices(taps=None, size=SIZE, window=WINDOW) -> torch.Tensor:
    return OPS._max_pool3d_indices(_legal()["taps"] if taps is None else taps, size, *window)


# The operators by the name of their tensor arguments.
CALLS = {
    "gradient": _backward,
    "taps of backward": _backward,
    "input": _gather,
    "taps of gather": _gather,
    "taps": _indices,
}
ARGUMENT = {"gradient": "gradient", "input": "x"}


def _sizes() -> Iterator[Case]:
    for place, value, (name, call) in itertools.product(
        range(5), INTEGERS, (("backward", _backward), ("indices", _indices))
    ):
        size = [value if i == place else n for i, n in enumerate(SIZE)]
        if value == SIZE[place]:
            continue
        # 5 or 6 rows have three windows, 7 or 8 have four: both describe these taps.
        if place >= 2 and (value + 1) // 2 == POOLED[place]:
            yield answered(
                f"{name}: size {words(value)} at {place}",
                partial(call, size=size),
                partial(_shaped, tuple(size) if call is _backward else POOLED),
            )
        else:
            yield refused(f"{name}: size {words(value)} at {place}", partial(call, size=size))
    for length, (name, call) in itertools.product(LENGTHS, (("backward", _backward), ("indices", _indices))):
        if length != 5:
            yield refused(f"{name}: {length} sizes", partial(call, size=(SIZE * 200)[:length]))
    for thing in (None, 6, "6", 2.5, [2.5] * 5, ["6"] * 5, [None] * 5, torch.ones(5), {}, [[2, 3, 6, 7, 8]]):
        yield refused(f"backward: size {words(thing)}", partial(_backward, size=thing))


def _windows() -> Iterator[Case]:
    """A window other than that of the taps; where it gives as many outputs, their taps may be inside it or not."""
    names = {"backward": _backward, "gather": _gather, "indices": _indices}
    for slot, value, (name, call) in itertools.product(range(4), INTEGERS, names.items()):
        window = [*WINDOW]
        window[slot] = value
        # No other of these values gives 3, 4 and 4 outputs of 6, 7 and 8.
        if value == WINDOW[slot]:
            yield answered(f"{name}: its own {SLOTS[slot]}", partial(call, window=window), partial(_as_ever, call))
        else:
            yield refused(f"{name}: {SLOTS[slot]} {words(value)}", partial(call, window=window))
    for slot, length, (name, call) in itertools.product(range(4), LENGTHS, names.items()):
        window = [*WINDOW]
        window[slot] = (WINDOW[slot],) * length
        legal = length in (1, 3) or (slot == 2 and length == 6)
        title = f"{name}: {length} values of {SLOTS[slot]}"
        if legal:
            yield answered(title, partial(call, window=window), partial(_as_ever, call))
        else:
            yield refused(title, partial(call, window=window))


def _as_ever(call: Any, result: torch.Tensor) -> None:
    assert torch.equal(result, call())


def _changed(t: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensor with a shape that is not that of the windows."""
    for axis in range(5):
        yield f"axis {axis} shorter", t.narrow(axis, 0, t.shape[axis] - 1)
        yield f"axis {axis} longer", torch.cat([t, t.narrow(axis, 0, 1)], axis)
        yield f"axis {axis} of 0", t.narrow(axis, 0, 0)
        yield f"axis {axis} of 1", t.narrow(axis, 0, 1)
    yield "no batch", t[0]
    yield "one number", t.flatten()[0]
    yield "flat", t.flatten()
    yield "six axes", t[None]
    yield "batch and channels exchanged", t.transpose(0, 1)
    yield "64 axes", t.flatten()[:1].view([1] * 64)
    yield "a huge batch", t[:1].expand(2**40, *t.shape[1:])


def _shapes() -> Iterator[Case]:
    for role, call in CALLS.items():
        argument = ARGUMENT.get(role, "taps")
        shape = SIZE if role == "input" else POOLED
        names = [name for name, _ in _changed(torch.empty(shape, device="meta"))]
        for index, name in enumerate(names):
            if role == "input" and name in ("axis 2 shorter", "axis 3 longer", "axis 4 shorter"):
                continue  # as many windows as before: legal

            def mismatched(argument=argument, call=call, index=index):
                t = _legal()[argument]
                return call(**{argument: list(_changed(t))[index][1]})

            yield refused(f"{role}: {name}", mismatched)


DTYPES = tuple(value for value in vars(torch).values() if isinstance(value, torch.dtype))


def _dtypes() -> Iterator[Case]:
    fine = {
        "gradient": {torch.float64, torch.float32, torch.float16, torch.bfloat16},
        "input": {torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.uint8, torch.int8}
        | {torch.int16, torch.int32, torch.int64},
    }
    for (role, call), dtype in itertools.product(CALLS.items(), sorted(set(DTYPES), key=str)):
        argument = ARGUMENT.get(role, "taps")

        def other(argument=argument, call=call, dtype=dtype):
            t = _legal()[argument]
            if t.dtype == dtype:
                return call()
            # Uninitialised: not every dtype can be filled, and elements are not what is looked at.
            return call(**{argument: torch.empty_like(t, dtype=dtype)})

        if dtype in fine.get(role, {torch.uint8}):
            yield answered(f"{role} of {dtype}", other, partial(_shaped, SIZE if call is _backward else POOLED))
        else:
            yield refused(f"{role} of {dtype}", other)


def _shaped(size: tuple[int, ...], result: torch.Tensor) -> None:
    assert result.shape == size


def _taps() -> Iterator[Case]:
    """Taps that are none of their window, or outside the input, are followed nowhere."""
    windows = {"u8": WINDOW, "i32": (7, 3, 3, 1, False), "i64": (1291, 1, 645, 1, False)}
    for (kind, window), fill, op in itertools.product(
        windows.items(), (0, 27, 200, 255, -1, 2**15, INT32 - 1, -INT32, 2**32, 2**62, INT64 - 1, -INT64), range(3)
    ):
        limits = torch.iinfo({"u8": torch.uint8, "i32": torch.int32, "i64": torch.int64}[kind])
        if not limits.min <= fill <= limits.max:
            continue

        def call(window=window, fill=fill, op=op):
            x = torch.ones(1, 2, 4, 5, 33)
            output, taps = OPS._max_pool3d_taps(x, *window)
            taps = torch.full_like(taps, fill)
            if op == 0:
                return OPS._max_pool3d_backward(torch.ones_like(output), taps, x.shape, *window)
            if op == 1:
                return OPS._max_pool3d_gather(x, taps, *window)
            return OPS._max_pool3d_indices(taps, x.shape, *window)

        title = f"{('backward', 'gather', 'indices')[op]}: {kind} taps of {fill}"
        yield answered(title, call, partial(_nowhere, op, window, fill))


def _nowhere(op: int, window: tuple, fill: int, result: torch.Tensor) -> None:
    """By the definition of a tap code: its position in the window, or in the input where windows are larger than
    2^31 - 1 elements."""
    kernel, stride, pad = window[:3]
    size = (4, 5, 33)
    counts = [(n + 2 * pad - kernel) // stride + 1 for n in size]
    indices = torch.full((1, 2, *counts), -1)
    for output in itertools.product(*map(range, counts)):
        starts = [o * stride - pad for o in output]
        code = fill
        if kernel**3 > INT32:
            offsets = [code // (5 * 33) - starts[0], code // 33 % 5 - starts[1], code % 33 - starts[2]]
        else:
            offsets = [code // kernel**2, code // kernel % kernel, code % kernel]
        position = [start + offset for start, offset in zip(starts, offsets, strict=True)]
        inside = all(0 <= p < n and 0 <= o < kernel for p, n, o in zip(position, size, offsets, strict=True))
        if inside and code >= 0:
            indices[:, :, *output] = (position[0] * 5 + position[1]) * 33 + position[2]
    if op == 2:
        assert torch.equal(result, indices)
    elif op == 1:
        assert torch.equal(result, (indices >= 0).float())
    else:
        found = indices.flatten(2)
        sums = torch.zeros(1, 2, 4 * 5 * 33 + 1).scatter_add_(2, found % (4 * 5 * 33 + 1), torch.ones(found.shape))
        assert torch.equal(result.flatten(2), sums[..., :-1])


def cases() -> Iterator[Case]:
    return itertools.chain(_sizes(), _windows(), _shapes(), _dtypes(), _taps())
