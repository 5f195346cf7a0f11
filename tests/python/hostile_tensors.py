"""Every tensor argument of every entry given as every kind of tensor, and as things that are none."""

import itertools
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_leaves

import voxpool
from hostile import Case, answered, anything, either, refused
from hostile_kinds import OTHER, RAISING, SAME, Wrapper
from support import OURS, TORCHS
from unpool_support import UNPOOL

OPS = torch.ops.voxpool
SIZES = {1: (1, 3, 9), 2: (1, 3, 6, 7), 3: (1, 3, 4, 6, 7)}
WINDOW = (3, 2, 1, 1, False)


class Slot(NamedTuple):
    """One tensor argument: the tensor that belongs there, the call with it, and the tensor's dtype."""

    tensor: Callable[[], Tensor]
    call: Callable[[Any], Any]
    dtype: torch.dtype = torch.float32


def _x(dims: int) -> Tensor:
    count = torch.Size(SIZES[dims]).numel()
    return (torch.arange(count) * 37 % count + 1.0).view(SIZES[dims])


def _taps() -> Tensor:
    return OPS._max_pool3d_taps(_x(3), *WINDOW)[1]


def _gradient() -> Tensor:
    return torch.arange(1.0, 1 + _taps().numel()).view(_taps().shape)


def _indices(dims: int) -> Tensor:
    return torch.arange(_x(dims).numel()).view(SIZES[dims]) * 5 % _x(dims)[0, 0].numel()


def _trained(dims: int, x: Any) -> Any:
    leaf = x.detach().requires_grad_() if isinstance(x, Tensor) else x
    y = OURS[dims](leaf, 3, 2, 1)
    return y, torch.autograd.grad(y, leaf, torch.ones_like(y))[0]


def _unpool_trained(x: Any) -> Any:
    leaf = x.detach().requires_grad_() if isinstance(x, Tensor) else x
    y = voxpool.max_unpool3d(leaf, _indices(3), 2)
    return y, torch.autograd.grad(y, leaf, torch.ones_like(y))[0]


@cache
def _scripted() -> Any:
    return torch.jit.script(voxpool.nn.MaxPool3d(3, 2, 1))


def _slots() -> dict[str, Slot]:
    slots = {}
    for dims in SIZES:
        x = partial(_x, dims)
        slots[f"max_pool{dims}d"] = Slot(x, lambda t, d=dims: OURS[d](t, 3, 2, 1))
        slots[f"max_pool{dims}d, indices"] = Slot(x, lambda t, d=dims: OURS[d](t, 3, 2, 1, return_indices=True))
        slots[f"max_pool{dims}d, training"] = Slot(x, partial(_trained, dims))
        op = getattr(OPS, f"max_pool{dims}d")
        slots[f"operator {dims}d, 'same'"] = Slot(x, lambda t, op=op: op(t, 3, 2, "same"))
        slots[f"max_unpool{dims}d"] = Slot(x, lambda t, d=dims: UNPOOL[d](t, _indices(d), 2))
        slots[f"max_unpool{dims}d, indices"] = Slot(
            partial(_indices, dims), lambda t, d=dims: UNPOOL[d](_x(d), t, 2), torch.int64
        )
    x = partial(_x, 3)
    return slots | {
        "module": Slot(x, lambda t: voxpool.nn.MaxPool3d(3, 2, 1)(t)),
        "module with ReLU": Slot(x, lambda t: voxpool.nn.MaxPool3d(3, 2, 1, relu=True)(t)),
        "scripted module": Slot(x, lambda t: _scripted()(t)),
        "taps of": Slot(x, lambda t: OPS._max_pool3d_taps(t, *WINDOW)),
        "taps with ReLU of": Slot(x, lambda t: OPS._max_pool3d_relu_taps(t, *WINDOW)),
        "gradient": Slot(_gradient, lambda t: OPS._max_pool3d_backward(t, _taps(), SIZES[3], *WINDOW)),
        "taps of gradient": Slot(
            _taps, lambda t: OPS._max_pool3d_backward(_gradient(), t, SIZES[3], *WINDOW), torch.uint8
        ),
        "gather from": Slot(x, lambda t: OPS._max_pool3d_gather(t, _taps(), *WINDOW)),
        "gather at": Slot(_taps, lambda t: OPS._max_pool3d_gather(_x(3), t, *WINDOW), torch.uint8),
        "indices of": Slot(_taps, lambda t: OPS._max_pool3d_indices(t, SIZES[3], *WINDOW), torch.uint8),
        "unpooling, training": Slot(x, _unpool_trained),
        "raw unpooling": Slot(x, lambda t: OPS._max_unpool3d(t, _indices(3), [8, 12, 14])),
        "raw unpooling at": Slot(
            partial(_indices, 3), lambda t: OPS._max_unpool3d(_x(3), t, [8, 12, 14], True), torch.int64
        ),
        "unpooling's gather from": Slot(x, lambda t: OPS._max_unpool3d_gather(t, _indices(3))),
        "unpooling's gather at": Slot(partial(_indices, 3), lambda t: OPS._max_unpool3d_gather(_x(3), t), torch.int64),
    }


SLOTS = _slots()
ALONE = tuple(name for name in SLOTS if not any(word in name for word in ("unpool", "gradient", "gather")))


def _plain(result: Any) -> list[Tensor]:
    tensors = [t.inner if isinstance(t, Wrapper) else t for t in tree_leaves(result)]
    return [t.detach().as_subclass(Tensor).resolve_neg() for t in tensors]


def _same(slot: Slot, result: Any) -> None:
    for actual, expected in zip(_plain(result), _plain(slot.call(slot.tensor())), strict=True):
        assert torch.equal(actual, expected)
        assert actual.dtype == expected.dtype


def _same_numbers() -> Iterator[Case]:
    for (name, slot), (kind, (make, exists)) in itertools.product(SLOTS.items(), SAME.items()):
        if not exists(slot.dtype):
            continue
        if (kind, name) == ("wrapper", "scripted module"):
            continue  # TorchScript looks for the memory of what it is given
        if kind == "inference" and "training" in name:
            continue  # torch records nothing of these
        yield answered(f"{name}: {kind}", lambda s=slot, m=make: s.call(m(s.tensor())), partial(_same, slot))


def _other_kinds() -> Iterator[Case]:
    for (name, slot), (kind, make) in itertools.product(SLOTS.items(), OTHER.items()):
        if kind == "no columns" and "unpooling's gather" in name:
            continue  # all positions are outside of nothing
        yield refused(f"{name}: {kind}", lambda s=slot, m=make: s.call(_made(m, s)))
    for (name, slot), (kind, (make, error)) in itertools.product(SLOTS.items(), RAISING.items()):
        # TorchScript takes a subclass for a tensor, and operators ask no __torch_function__ of what is not theirs.
        yield refused(f"{name}: {kind}", lambda s=slot, m=make: s.call(_made(m, s)), (error, RuntimeError, TypeError))
    for name, slot in SLOTS.items():

        def wrapped(slot=slot):
            stands_alone = Wrapper(slot.tensor())
            with torch._C._DisableTorchDispatch():
                return slot.call(stands_alone)

        yield refused(f"{name}: wrapper without its dispatch", wrapped)


class NotBuiltError(Exception):
    """A case that tests nothing: its tensor could not be made."""


def _made(make: Callable[[Tensor], Any], slot: Slot) -> Any:
    try:
        return make(slot.tensor())
    except Exception as error:
        raise NotBuiltError(str(error)) from error


def _devices() -> Iterator[Case]:
    """Tensors of the meta device: alone they give a result without numbers, beside others they are refused."""
    for name, slot in SLOTS.items():

        def on_meta(s=slot):
            return s.call(s.tensor().to("meta"))

        if name in ALONE:
            yield answered(f"{name}: meta", on_meta, partial(_shapes, slot))
        else:
            yield refused(f"{name}: meta beside others", on_meta)

        def fake(slot=slot):
            with FakeTensorMode(allow_non_fake_inputs=True) as mode:
                return slot.call(mode.from_tensor(slot.tensor()))

        yield either(f"{name}: fake", fake, partial(_shapes, slot))


def _shapes(slot: Slot, result: Any) -> None:
    for actual, expected in zip(tree_leaves(result), tree_leaves(slot.call(slot.tensor())), strict=True):
        assert (actual.shape, actual.stride(), actual.dtype) == (expected.shape, expected.stride(), expected.dtype)


def _routed() -> Iterator[Case]:
    """torch's own operators under enabled(): voxpool's answer where the tensor is plain, torch's where it is not."""
    for dims, (kind, (make, exists)), indices in itertools.product(SIZES, SAME.items(), (False, True)):
        if not exists(torch.float32):
            continue

        def routed(dims=dims, make=make, indices=indices):
            with voxpool.enabled():
                return TORCHS[dims](make(_x(dims)), 3, 2, 1, return_indices=indices)

        slot = SLOTS[f"max_pool{dims}d" + (", indices" if indices else "")]
        yield answered(f"routed {dims}d{', indices' if indices else ''}: {kind}", routed, partial(_same, slot))
    for dims, (kind, make) in itertools.product(SIZES, OTHER.items()):
        if "memory" in kind or "byte" in kind:
            expect = refused
        else:
            expect = partial(either, right=anything, errors=(RuntimeError, TypeError, ValueError, AttributeError))

        def routed(dims=dims, make=make):
            with voxpool.enabled():
                return TORCHS[dims](_made(make, SLOTS[f"max_pool{dims}d"]), 3, 2, 1)

        yield expect(f"routed {dims}d: {kind}", routed)


def _explained() -> Iterator[Case]:
    for kind, make in OTHER.items():

        def call(make=make):
            return voxpool.explain(_made(make, SLOTS["max_pool3d"]), 3, 2, 1)

        # It reads sizes, strides and dtype alone.
        unseen = ("without memory", "with half of its memory", "without the last byte")
        yield answered(f"explain: {kind}", call, _text) if kind in unseen else refused(f"explain: {kind}", call)


def _text(result: Any) -> None:
    assert "runs" in result


def _warm() -> None:
    """Has torch import what the first tensor of a kind needs: once here, or in every process, for longer than its cases
    take."""
    for make in (*OTHER.values(), lambda t: Wrapper(t).neg(), FakeTensorMode().from_tensor):
        make(torch.ones(2, 2, 2, 2))
    _scripted()


def cases() -> Iterator[Case]:
    _warm()
    return itertools.chain(_same_numbers(), _other_kinds(), _devices(), _routed(), _explained())
