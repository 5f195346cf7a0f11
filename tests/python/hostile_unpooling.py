"""Max-unpooling with hostile arguments, sizes and indices."""

import itertools
import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch

import voxpool
from hostile import Case, answered, either, refused
from hostile_arguments import THINGS
from hostile_values import INT32, INT64, INTEGERS, LENGTHS, TOO_MANY, spread, words
from unpool_support import MODULES, UNPOOL, last_wins

OPS = torch.ops.voxpool
SIZES = {1: (2, 3, 4), 2: (2, 3, 2, 4), 3: (2, 3, 2, 3, 4)}
HARMLESS = {"kernel_size": 2, "stride": 2, "padding": 0}


def _values(dims: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.arange(1, 1 + math.prod(SIZES[dims])).view(SIZES[dims]).to(dtype)


def _zeros(dims: int) -> torch.Tensor:
    return torch.zeros(SIZES[dims], dtype=torch.int64)


def _lengths(dims: int, arguments: dict[str, Any], output_size: Sequence[int] | None = None) -> tuple[int, ...] | None:
    """The spatial size of the result by the formula of the documentation, in exact integers; None where refused."""
    kernel, stride, padding = (spread(arguments[name], dims) for name in HARMLESS)
    if any(len(values) != dims for values in (kernel, stride, padding)):
        return None
    if not all(-INT64 <= value < INT64 for value in (*kernel, *stride, *padding)):
        return None
    lengths = tuple(
        (n - 1) * s + k - 2 * p for n, k, s, p in zip(SIZES[dims][2:], kernel, stride, padding, strict=True)
    )
    if not all(-INT64 <= value < INT64 for value in lengths):
        return None
    if output_size is not None:
        if len(output_size) == dims + 2:
            output_size = output_size[2:]
        if len(output_size) != dims:
            return None
        if not all(
            length - s < size < length + s for length, s, size in zip(lengths, stride, output_size, strict=True)
        ):
            return None
        lengths = tuple(output_size)
    if min(lengths) < 0 or (dims == 3 and min(stride) < 1):
        return None
    return lengths if math.prod(lengths) * 6 <= TOO_MANY else None


def _right(dims: int, lengths: tuple[int, ...], result: torch.Tensor) -> None:
    """All indices are 0: the last element of every channel is there, nothing elsewhere."""
    assert result.shape == (*SIZES[dims][:2], *lengths)
    if result.numel():
        flat = result.flatten(2)
        assert torch.equal(flat[..., 0], _values(dims).flatten(2)[..., -1])
        assert flat[..., 1:].count_nonzero() == 0


def _judged(title: str, dims: int, call: Any, lengths: tuple[int, ...] | None) -> Case:
    # An index of 0 is outside a result without elements.
    if lengths is None:
        return refused(title, call)
    return (
        either(title, call, partial(_right, dims, lengths))
        if 0 in lengths
        else answered(title, call, partial(_right, dims, lengths))
    )


def _arguments() -> Iterator[Case]:
    for dims, slot, value in itertools.product(SIZES, HARMLESS, INTEGERS):
        for place in ("all", "last") if dims > 1 else ("all",):
            argument = value if place == "all" else (*[HARMLESS[slot]] * (dims - 1), value)
            arguments = {**HARMLESS, slot: argument}
            lengths = _lengths(dims, arguments)
            call = partial(UNPOOL[dims], _values(dims), _zeros(dims), **arguments)
            yield _judged(f"{dims}d {slot} of {place} {words(value)}", dims, call, lengths)
            if place == "all":

                def module(dims=dims, arguments=arguments):
                    return MODULES[dims](**arguments)(_values(dims), _zeros(dims))

                yield _judged(f"{dims}d module, {slot} {words(value)}", dims, module, lengths)
    for dims, slot, length in itertools.product(SIZES, HARMLESS, LENGTHS):
        argument = (HARMLESS[slot],) * length
        arguments = {**HARMLESS, slot: None if slot == "stride" and not length else argument}
        lengths = _lengths(dims, {**HARMLESS, slot: argument} if length or slot != "stride" else HARMLESS)
        call = partial(UNPOOL[dims], _values(dims), _zeros(dims), **arguments)
        yield _judged(f"{dims}d {slot} of length {length}", dims, call, lengths)
    for (name, (thing, looks_like_two)), slot in itertools.product(THINGS.items(), HARMLESS):
        if (slot == "stride" and name in ("None", "()")) or looks_like_two:
            continue

        def call(thing=thing, slot=slot):
            return voxpool.max_unpool3d(_values(3), _zeros(3), **{**HARMLESS, slot: thing()})

        yield refused(f"{slot} {name}", call)


def _output_sizes() -> Iterator[Case]:
    for dims, axis, value, stride in itertools.product(SIZES, range(3), INTEGERS, (2, INT32, INT64 - 1, -INT64)):
        if axis >= dims:
            continue
        size = [2 * n for n in SIZES[dims][2:]]
        size[axis] = value
        arguments = {"kernel_size": 2, "stride": stride, "padding": 0}
        call = partial(UNPOOL[dims], _values(dims), _zeros(dims), **arguments, output_size=size)
        lengths = _lengths(dims, arguments, size)
        yield _judged(f"{dims}d output_size of {words(value)} at {axis}, stride {stride}", dims, call, lengths)
    for dims, length in itertools.product(SIZES, LENGTHS):
        size = [2 * n for n in SIZES[dims][2:]] if length == dims else [2] * length
        lengths = _lengths(dims, HARMLESS, size)
        call = partial(UNPOOL[dims], _values(dims), _zeros(dims), 2, output_size=size)
        yield _judged(f"{dims}d output_size of length {length}", dims, call, lengths)
    for place, value in itertools.product(range(3), INTEGERS):
        size = [value if i == place else 4 for i in range(3)]
        fits = 0 <= value < 2**30 and value * 16 * 6 <= TOO_MANY
        call = partial(OPS._max_unpool3d, _values(3), _zeros(3), size)
        yield _judged(f"raw size of {words(value)} at {place}", 3, call, tuple(size) if fits else None)
    for thing in ("same", 2.5, [2.5] * 3, ["4"] * 3, [None] * 3, {}, [[4, 4, 4]], torch.ones(3)):
        yield refused(
            f"output_size {words(thing)}", partial(voxpool.max_unpool3d, _values(3), _zeros(3), 2, output_size=thing)
        )
        yield refused(f"raw size {words(thing)}", partial(OPS._max_unpool3d, _values(3), _zeros(3), thing))


BAD_INDICES = (-2, -3, 2**31, -(2**31), 2**32, 2**32 + 3, -(2**32) + 3, 2**62, INT64 - 1, -INT64, -INT64 + 1)


def _indices() -> Iterator[Case]:
    """One index outside, anywhere: refused by unpooling, zero for its gather."""
    for dims, bad, place, dtype in itertools.product(
        SIZES, (*BAD_INDICES, "volume"), (0, 11, -1), (torch.float32, torch.float64, torch.uint8)
    ):
        volume = math.prod(2 * n for n in SIZES[dims][2:])
        indices = _zeros(dims)
        indices.view(-1)[place % indices.numel()] = volume if bad == "volume" else bad
        call = partial(UNPOOL[dims], _values(dims, dtype), indices, 2)
        yield refused(f"{dims}d index {bad} at {place}, {dtype}", call)
    for bad, last in itertools.product((*BAD_INDICES, -1, 24), (False, True)):

        def gather(bad=bad, last=last):
            source = _values(3).contiguous(memory_format=torch.channels_last_3d if last else torch.contiguous_format)
            indices = torch.full(SIZES[3], 3)
            indices[:, :, 1] = bad
            return OPS._max_unpool3d_gather(source, indices)

        yield answered(f"gather of {bad}{', channels last' if last else ''}", gather, _gathered)
    for dtype, count in itertools.product((torch.float32, torch.int64), (1, 2, 4)):

        def garbage(dtype=dtype, count=count):
            indices = torch.arange(-1, math.prod(SIZES[3]) - 1).view(SIZES[3]) * 37 % (192 * count)
            indices[0] = -1
            return OPS._max_unpool3d(_values(3, dtype), indices, [4, 6, 8 * count])

        yield answered(f"indices in disorder, {dtype}, {count}", garbage, partial(_disorder, dtype, count))


def _gathered(result: torch.Tensor) -> None:
    expected = _values(3).flatten(2)[..., 3].view(2, 3, 1, 1, 1).expand(SIZES[3]).clone()
    expected[:, :, 1] = 0
    assert torch.equal(result, expected)


def _disorder(dtype: torch.dtype, count: int, result: torch.Tensor) -> None:
    indices = torch.arange(-1, math.prod(SIZES[3]) - 1).view(SIZES[3]) * 37 % (192 * count)
    indices[0] = -1
    assert torch.equal(result.flatten(2), last_wins(_values(3, dtype), indices, 192 * count))


def _mismatches() -> Iterator[Case]:
    dtypes = sorted({value for value in vars(torch).values() if isinstance(value, torch.dtype)}, key=str)
    for dtype in dtypes:
        if dtype != torch.int64:
            call = partial(lambda d: OPS._max_unpool3d_gather(_values(3), torch.empty(SIZES[3], dtype=d)), dtype)
            yield refused(f"gather at indices of {dtype}", call)
            call = partial(lambda d: voxpool.max_unpool3d(_values(3), torch.empty(SIZES[3], dtype=d), 2), dtype)
            yield refused(f"indices of {dtype}", call)
    cuts = {"shorter": lambda t, a: t.narrow(a, 0, t.shape[a] - 1), "of 0": lambda t, a: t.narrow(a, 0, 0)}
    calls = {"": lambda *tensors: voxpool.max_unpool3d(*tensors, 2), "gather, ": OPS._max_unpool3d_gather}
    for (title, f), axis, which, (name, cut) in itertools.product(calls.items(), range(5), range(2), cuts.items()):
        if title and axis > 1:
            continue  # a gather is from any volume

        def mismatched(f=f, axis=axis, which=which, cut=cut):
            tensors = [_values(3), _zeros(3)]
            tensors[which] = cut(tensors[which], axis)
            return f(*tensors)

        yield refused(f"{title}{('input', 'indices')[which]}, axis {axis} {name}", mismatched)
    for rank, dims in itertools.product((*range(9), 64), SIZES):
        if rank not in (dims + 1, dims + 2):
            tensors = torch.ones([1] * rank), torch.zeros([1] * rank, dtype=torch.int64)
            yield refused(f"{dims}d of rank {rank}", partial(UNPOOL[dims], *tensors, 2))


def cases() -> Iterator[Case]:
    return itertools.chain(_arguments(), _output_sizes(), _indices(), _mismatches())
