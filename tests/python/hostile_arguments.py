"""Hostile kernel sizes, strides, paddings and dilations, for everything that pools or says what a pooling would do."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import torch

import reference
import voxpool
from hostile import Case, answered, either, refused
from hostile_values import INPUT, INT32, INTEGERS, LENGTHS, SPATIAL, output_size, pooled, volume, window_of, words
from reference import Window
from support import OURS

OPS = torch.ops.voxpool
MODULES = {1: voxpool.nn.MaxPool1d, 2: voxpool.nn.MaxPool2d, 3: voxpool.nn.MaxPool3d}
SLOTS = ("kernel_size", "stride", "padding", "dilation")
HARMLESS = {"kernel_size": 2, "stride": 2, "padding": 0, "dilation": 1}


def _lists(arguments: dict[str, Any]) -> tuple:
    """Arguments as the operators take them: a padding of pairs is a flat list."""
    padding = arguments["padding"]
    if isinstance(padding, Sequence) and padding and isinstance(padding[0], tuple):
        padding = [pad for pair in padding for pad in pair]
    return (arguments["kernel_size"], arguments["stride"], padding, arguments["dilation"], arguments["ceil_mode"])


def _trained(dims: int, arguments: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    x = volume(dims).requires_grad_()
    y = OURS[dims](x, **arguments)
    y.backward(torch.ones_like(y))
    return y.detach(), x.grad


def _module(dims: int, arguments: dict[str, Any]) -> torch.Tensor:
    return MODULES[dims](**arguments)(volume(dims))


def _explained(dims: int, arguments: dict[str, Any]) -> str:
    return voxpool.explain(volume(dims), **arguments, requires_grad=True)


# Ways in: what is called, and which of values, indices, gradient, shape and spatial size its result is.
WAYS: dict[str, tuple[Callable[[int, dict[str, Any]], Any], str]] = {
    "function": (lambda dims, a: OURS[dims](volume(dims), **a), "values"),
    "indices": (lambda dims, a: OURS[dims](volume(dims), **a, return_indices=True), "pair"),
    "training": (_trained, "trained"),
    "operator": (lambda dims, a: getattr(OPS, f"max_pool{dims}d")(volume(dims), *_lists(a)), "values"),
    "indices operator": (
        lambda dims, a: getattr(OPS, f"max_pool{dims}d_with_indices")(volume(dims), *_lists(a)),
        "pair",
    ),
    "relu operator": (lambda dims, a: getattr(OPS, f"_max_pool{dims}d_relu")(volume(dims), *_lists(a)), "relu"),
    "meta": (lambda dims, a: getattr(OPS, f"max_pool{dims}d")(volume(dims).to("meta"), *_lists(a)), "shape"),
    "module": (_module, "values"),
    "output_size": (lambda dims, a: voxpool.output_size(SPATIAL[dims], **a), "size"),
}
WAYS_3D = WAYS | {
    "taps": (lambda _, a: OPS._max_pool3d_taps(volume(3), *_lists(a))[0], "values"),
    "meta taps": (lambda _, a: OPS._max_pool3d_relu_taps(volume(3).to("meta"), *_lists(a))[0], "shape"),
    "explain": (_explained, "text"),
}


def _right(kind: str, dims: int, window: Window, result: Any) -> None:
    """Asserts that the result is that of the definition."""
    x = volume(dims)
    size = output_size(SPATIAL[dims], window)
    if kind == "size":
        assert result == size
    elif kind == "shape":
        assert result.shape == (*x.shape[:2], *size)
    elif kind == "text":
        assert "runs" in result
    else:
        values, indices = pooled(x, window)
        got = result if kind in ("pair", "trained") else (result,)
        assert torch.equal(got[0], values.relu() if kind == "relu" else values)
        if kind == "pair":
            assert torch.equal(got[1], indices)
        if kind == "trained":
            found = indices[indices >= 0]
            assert got[1].sum() == len(found)
            assert (got[1] >= 0).all()


def judged(name: str, way: str, dims: int, arguments: dict[str, Any]) -> Case:
    """Refused exactly where the arguments describe no pooling of the input, or one too large for memory."""
    call, kind = WAYS_3D[way]
    window = window_of(dims, *(arguments[slot] for slot in SLOTS), arguments["ceil_mode"])
    size = output_size(SPATIAL[dims], window) if window else None
    computes = kind in ("values", "pair", "trained", "relu")
    if size is None or (computes and math.prod(size) * 2 > 1 << 27):
        return refused(name, partial(call, dims, arguments))
    return answered(name, partial(call, dims, arguments), partial(_right, kind, dims, window))


def _single_values() -> Iterator[Case]:
    """Every integer in every slot, for all axes and for one, the ways in taking turns."""
    turns = {dims: itertools.cycle(WAYS_3D if dims == 3 else WAYS) for dims in INPUT}
    for dims, slot, ceil_mode, value in itertools.product(INPUT, SLOTS, (False, True), INTEGERS):
        places = {"all": value}
        if dims > 1:
            axis = (INTEGERS.index(value) + ceil_mode) % dims
            places[f"axis {axis}"] = tuple(value if i == axis else HARMLESS[slot] for i in range(dims))
        for place, argument in places.items():
            way = next(turns[dims])
            arguments = {**HARMLESS, slot: argument, "ceil_mode": ceil_mode}
            ceil = ", ceil_mode" if ceil_mode else ""
            yield judged(f"{dims}d {slot} of {place} {words(value)}{ceil}: {way}", way, dims, arguments)


def _combinations() -> Iterator[Case]:
    """Several huge values at once: reach, padding and stride of windows that lie mostly outside."""
    huge = (1, 3, 2**29, 2**30, 1879048192, INT32 - 1)
    pads = (0, 1, 2**28, 2**29, 2**30 - 1)
    turns = itertools.cycle(WAYS_3D)
    for kernel, stride, padding, dilation in itertools.product(huge, (1, INT32 - 1), pads, (1, 2, 2**30, INT32 - 1)):
        if max(kernel, padding, dilation) == 1:
            continue
        way, ceil_mode = next(turns), bool((kernel ^ padding) & 1)
        arguments = dict(zip(SLOTS, (kernel, stride, padding, dilation), strict=True)) | {"ceil_mode": ceil_mode}
        yield judged(f"k{kernel} s{stride} p{padding} d{dilation} ceil {ceil_mode}: {way}", way, 3, arguments)
    for begin, end, dilation in itertools.product((0, 3, 2**30, INT32 - 1), repeat=3):
        way = next(turns)
        arguments = {"kernel_size": 3, "stride": INT32 - 1, "padding": ((begin, end),) * 3, "dilation": dilation}
        yield judged(f"pads {begin} and {end} d{dilation}: {way}", way, 3, arguments | {"ceil_mode": False})


def _lengths() -> Iterator[Case]:
    for dims, slot, length, way in itertools.product(INPUT, SLOTS, LENGTHS, ("function", "operator", "output_size")):
        values = (2 if slot == "kernel_size" else 1,) * length
        arguments = {"kernel_size": 2, "stride": 1, "padding": 0, "dilation": 1, "ceil_mode": False, slot: values}
        if way == "operator" and slot == "padding" and length == 2 * dims:
            arguments["padding"] = ((1, 1),) * dims
        if slot == "stride" and length == 0 and way != "operator":
            arguments["stride"] = None
        case = judged(f"{dims}d {slot} of length {length}: {way}", way, dims, arguments)
        yield case


class _Lies:
    """Says it is an int and is none."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __index__(self) -> int:
        return self._value()

    __int__ = __index__

    def _value(self) -> int:
        if isinstance(self.answer, type):
            raise self.answer("no number")
        return self.answer


# Not ints: `True` says that what it looks like is 2 and may be taken for it.
THINGS: dict[str, tuple[Callable[[], Any], bool]] = {
    **{words(value): (partial(lambda v: v, value), True) for value in (2.0, (2.0, 2, 2), [2, 2, 2], 2 + 0j, {2})},
    **{
        words(value): (partial(lambda v: v, value), False)
        for value in (2.5, math.nan, math.inf, -math.inf, 1e308, "2", b"2", "", (), {}, {2: 2}, object, 2.5j)
    },
    "None": (lambda: None, False),
    "numpy int": (lambda: np.int64(2), True),
    "numpy uint8": (lambda: np.uint8(2), True),
    "numpy float": (lambda: np.float32(2), True),
    "numpy array": (lambda: np.array([2, 2, 2]), True),
    "numpy array of one": (lambda: np.array([2]), True),
    "numpy array of strings": (lambda: np.array(["2"] * 3), False),
    "tensor": (lambda: torch.tensor(2), True),
    "tensor of three": (lambda: torch.tensor([2, 2, 2]), True),
    "meta tensor": (lambda: torch.tensor(2, device="meta"), False),
    "empty tensor": (lambda: torch.tensor([]), False),
    "size": (lambda: torch.Size([2, 2, 2]), True),
    "range": (lambda: range(2, 5, 3), True),
    "generator": (lambda: (2 for _ in range(3)), True),
    "Fraction": (lambda: Fraction(2), True),
    "Decimal": (lambda: Decimal("NaN"), False),
    "index of 2**64": (lambda: _Lies(2**64), False),
    "index that raises": (lambda: _Lies(ValueError), False),
    "index that is a string": (lambda: _Lies("2"), False),
    "nested": (lambda: ((2, 2), 2, 2), False),
    "deeply nested": (lambda: [[[[2]]]], False),
    "list of itself": (lambda: (lambda x: x.append(x) or x)([]), False),
    "very many": (lambda: [2] * 100_000, False),
    "names": (lambda: ["same", "same", "same"], False),
}


def _right_thing(dims: int, slot: str, result: Any) -> None:
    arguments = {
        "kernel": 4,
        "stride": 2,
        "padding": 2,
        "dilation": 1,
        ("kernel" if slot == "kernel_size" else slot): 2,
    }
    if slot == "kernel_size":
        arguments["padding"] = 0
    window = window_of(dims, **arguments)
    expected = output_size(SPATIAL[dims], window) if isinstance(result, tuple) else pooled(volume(dims), window)[0]
    assert result == expected if isinstance(result, tuple) else torch.equal(result, expected)


def _types() -> Iterator[Case]:
    for (name, (thing, looks_like_two)), slot, way in itertools.product(
        THINGS.items(), SLOTS, ("function", "operator", "module", "output_size")
    ):
        if slot == "stride" and name in ("None", "()"):
            continue  # the default
        padding = 0 if slot == "kernel_size" else 2
        arguments = {"kernel_size": 4, "stride": 2, "padding": padding, "dilation": 1, "ceil_mode": False}

        def call(slot=slot, thing=thing, way=way, arguments=arguments):
            return WAYS[way][0](3, {**arguments, slot: thing()})

        title = f"{slot} {name}: {way}"
        yield either(title, call, partial(_right_thing, 3, slot)) if looks_like_two else refused(title, call)
    for value in (2, -1, None, "", "no", math.nan, [], object):
        yield refused(f"ceil_mode {words(value)}", partial(voxpool.max_pool3d, volume(3), 2, ceil_mode=value))


def _names() -> Iterator[Case]:
    for dims, name in itertools.product(
        INPUT, ("SAME", "valid ", "", "same\0", "ſame", "s" * 10**6, "full", "0", "None")
    ):
        yield refused(f"{dims}d padding {words(name)}", partial(OURS[dims], volume(dims), 2, 2, name))
        op = getattr(OPS, f"max_pool{dims}d")
        yield refused(f"{dims}d operator's padding {words(name)}", partial(op, volume(dims), 2, 2, name))
    for slot, value in itertools.product(("kernel_size", "stride", "dilation"), INTEGERS):
        arguments = {"kernel_size": 2, "stride": 2, "dilation": 1, slot: value}
        legal = 0 < value < INT32
        call = partial(voxpool.max_pool3d, volume(3), **arguments, padding="same")
        yield (
            answered(f"same, {slot} {words(value)}", call, partial(_right_same, arguments))
            if legal
            else refused(f"same, {slot} {words(value)}", call)
        )


def _right_same(arguments: dict[str, int], result: torch.Tensor) -> None:
    kernel, stride, dilation = ((arguments[slot],) * 3 for slot in ("kernel_size", "stride", "dilation"))
    values, _ = reference.max_pool(volume(3).numpy(), Window(kernel, stride, "same", dilation))
    assert torch.equal(result, torch.from_numpy(values))


def cases() -> Iterator[Case]:
    return itertools.chain(_single_values(), _combinations(), _lengths(), _types(), _names())
