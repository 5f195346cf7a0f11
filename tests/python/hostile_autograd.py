"""What happens around a backward that nobody plans: hooks, changed tensors, nodes called by hand, transforms."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
import torch.autograd.forward_ad as fwAD
from torch import Tensor

import voxpool
from hostile import Case, answered, anything, either, refused
from hostile_kinds import OTHER, Raises
from hostile_values import LENGTHS
from unpool_support import UNPOOL

OPS = torch.ops.voxpool
SIZE = (1, 2, 4, 5, 6)
WINDOW = (3, 2, 1, 1, False)


class TornError(Exception):
    """Raised by a hook of the test."""


def _x() -> Tensor:
    return (torch.arange(240.0) * 37 % 240).view(SIZE).requires_grad_()


def _pool(x: Tensor) -> Tensor:
    return voxpool.max_pool3d(x, 3, 2, 1)


def _pool_indices(x: Tensor) -> Tensor:
    return voxpool.max_pool3d(x, 3, 2, 1, return_indices=True)[0]


def _unpool(x: Tensor) -> Tensor:
    return voxpool.max_unpool3d(x, _positions(), 2)


def _positions() -> Tensor:
    return (torch.arange(240) * 7 % 120).view(SIZE)


def _pool_2d(x: Tensor) -> Tensor:
    return voxpool.max_pool2d(x[0], 3, 2, 1)


def _derived(f: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The gradient, as a function with a graph of its own: the nodes of the second derivative."""

    def gradient(x: Tensor) -> Tensor:
        y = f(x)
        incoming = torch.ones_like(y).requires_grad_()
        (result,) = torch.autograd.grad(y, x, incoming, create_graph=True)
        return result

    return gradient


FUNCTIONS = {
    "pooling": _pool,
    "pooling with indices": _pool_indices,
    "2-D": _pool_2d,
    "unpooling": _unpool,
    "gradient": _derived(_pool),
    "gradient of unpooling": _derived(_unpool),
}


def _raise(*_: Any) -> None:
    raise TornError("from a hook")


TORCHS_OWN = ("bool", "without memory", "with half of its memory")


def _nodes() -> Iterator[Case]:
    """Nodes called by hand, past the engine's own checks."""
    for name, f in FUNCTIONS.items():

        def node_called(f=f, change=None):
            y = f(_x())
            return y.grad_fn(*change(torch.ones(y.shape)))

        refusals: dict[str, Callable[[Tensor], tuple]] = {
            "nothing": lambda g: (),
            "two": lambda g: (g, g),
            "too few channels": lambda g: (g[:, :1],),
            "too many channels": lambda g: (torch.cat([g, g], 1),),
            "another batch": lambda g: (torch.cat([g, g]),),
            "no batch": lambda g: (g[0],),
            "one number": lambda g: (g.sum(),),
            "meta": lambda g: (g.to("meta"),),
        }
        for kind in (
            "sparse",
            "quantised",
            "MKL-DNN",
            "bool",
            "without memory",
            "with half of its memory",
            "None",
            "list",
        ):
            refusals[kind] = lambda g, kind=kind: (OTHER[kind](g),)
        for change_name, change in refusals.items():
            call = partial(node_called, change=change)
            if f is _pool_2d or (name == "gradient of unpooling" and change_name in TORCHS_OWN):
                continue  # a node of torch's, of a squeeze; a derivative by torch's operators
            if change_name == "None":
                yield answered(f"node of {name}: None", call, _no_gradient)
            else:
                yield refused(f"node of {name}: {change_name}", call)

        def twice(f=f):
            y = f(_x())
            y.sum().backward()
            y.sum().backward()

        yield refused(f"{name}: backward twice", twice)


def _no_gradient(result: Any) -> None:
    assert result is None or result == (None,)


def _hooks() -> Iterator[Case]:
    for name, f in FUNCTIONS.items():
        for place in ("input", "output", "node before", "node after", "accumulated"):
            if "gradient" in name and place in ("input", "accumulated"):
                continue  # a gradient is linear: it does not depend on the values of the input

            def torn(f=f, place=place):
                x = _x()
                y = f(x)
                if place == "input":
                    x.register_hook(_raise)
                elif place == "output":
                    y.register_hook(_raise)
                elif place == "node before":
                    y.grad_fn.register_prehook(_raise)
                elif place == "node after":
                    y.grad_fn.register_hook(_raise)
                else:
                    x.register_post_accumulate_grad_hook(_raise)
                y.sum().backward()

            yield refused(f"{name}: hook of {place} raises", torn, (TornError,))
        junk: dict[str, Callable[[Tensor], Any]] = {
            "None": lambda saved: None,
            "a number": lambda saved: 3,
            "no batch": lambda saved: saved[0],
            "floats": lambda saved: saved.float(),
            "half": lambda saved: saved[:, :1],
            "meta": lambda saved: saved.to("meta"),
            "sparse": lambda saved: saved.to_sparse(),
            "without memory": OTHER["without memory"],
            "raising wrapper": Raises,
        }
        for kind, unpack in junk.items():

            def saved(f=f, unpack=unpack):
                with torch.autograd.graph.saved_tensors_hooks(lambda t: t, unpack):
                    y = f(_x())
                y.sum().backward()

            errors = (RuntimeError, TypeError, ValueError, ZeroDivisionError)
            yield refused(f"{name}: saved tensor comes back as {kind}", saved, errors)

        def packing(f=f):
            with torch.autograd.graph.saved_tensors_hooks(_raise, lambda t: t):
                return f(_x())

        yield refused(f"{name}: saving raises", packing, (TornError,))


def _gradient_of(f: Callable, result: Tensor) -> None:
    x = _x()
    f(x).sum().backward()
    assert torch.equal(result, x.grad)


def _changes() -> Iterator[Case]:
    """What a caller does between forward and backward."""

    def changed_indices(alias: bool) -> Tensor:
        x = _x()
        y, indices = voxpool.max_pool3d(x, 3, 2, 1, return_indices=True)
        (torch.from_dlpack(indices) if alias else indices).fill_(2**32)
        y.sum().backward()
        return x.grad

    for alias in (False, True):
        title = f"indices filled with 2**32{' through DLPack' if alias else ''}"
        yield answered(title, partial(changed_indices, alias), partial(_gradient_of, _pool))

    def changed_input() -> Tensor:
        x = _x()
        y = _pool(x)
        x.data.fill_(float("nan"))
        y.sum().backward()
        return x.grad

    yield answered("input overwritten", changed_input, partial(_gradient_of, _pool))

    def freed_input() -> Tensor:
        x = _x()
        y = _pool(x)
        x.untyped_storage().resize_(0)
        y.sum().backward()
        return x.grad

    yield answered("input's memory given back", freed_input, partial(_gradient_of, _pool))

    def changed_positions(value: int) -> Tensor:
        x, positions = _x(), _positions()
        y = voxpool.max_unpool3d(x, positions, 2)
        torch.from_dlpack(positions).fill_(value)
        y.sum().backward()
        return x.grad

    for value in (-1, -2, 960, 2**32, 2**63 - 1, -(2**63)):
        yield answered(f"unpooling's indices become {value}", partial(changed_positions, value), _zero)


def _zero(result: Tensor) -> None:
    assert result.shape == SIZE
    assert result.count_nonzero() == 0


def _gradients() -> Iterator[Case]:
    for name, f in FUNCTIONS.items():
        for kind, make in {
            "too small": lambda g: g[..., :1],
            "complex": lambda g: g.to(torch.complex64),
            "without batch": lambda g: g[0],
            "a number": lambda g: 1.0,
            "meta": lambda g: g.to("meta"),
            "without memory": OTHER["without memory"],
            "with half of its memory": OTHER["with half of its memory"],
        }.items():
            if "memory" in kind and (f is _pool_2d or f is FUNCTIONS["gradient of unpooling"]):
                continue  # torch's own operators come first

            def backward(f=f, make=make):
                x = _x()
                y = f(x)
                return torch.autograd.grad(y, x, make(torch.ones(y.shape)))

            yield refused(f"{name}: a gradient {kind}", backward)

        def tangent(f=f, change=None):
            with fwAD.dual_level():
                return fwAD.unpack_dual(f(fwAD.make_dual(_x().detach(), change(torch.ones(SIZE)))))

        for kind, make in {
            "too small": lambda t: t[..., :1],
            "integer": lambda t: t.long(),
            "meta": lambda t: t.to("meta"),
        }.items():
            if "gradient" not in name:
                yield refused(f"{name}: a tangent {kind}", partial(tangent, change=make))


def _transforms() -> Iterator[Case]:
    for length in LENGTHS:
        if length not in (5, 6):
            yield refused(
                f"vmap over rank {length}", partial(lambda n: torch.vmap(_pool)(torch.zeros([2] * min(n, 60))), length)
            )
    raw = {
        "gradient": lambda g, t: OPS._max_pool3d_backward(g, t, SIZE, *WINDOW),
        "gather": lambda g, t: OPS._max_pool3d_gather(torch.zeros(SIZE), t, *WINDOW) + g.sum(),
        "unpooling": lambda g, t: OPS._max_unpool3d(g, t.long(), [4, 5, 6]),
    }
    for name, f in raw.items():
        for kind, change in {
            "no batch": lambda t: t[:, 0],
            "another batch": lambda t: torch.cat([t, t], 1),
            "no channels": lambda t: t[:, :, :0],
            "another depth": lambda t: t[:, :, :, :1],
        }.items():

            def mixed(f=f, change=change):
                output, taps = OPS._max_pool3d_taps(_x().detach(), *WINDOW)
                return torch.vmap(f)(output.expand(3, *output.shape), change(taps.expand(3, *taps.shape)))

            yield refused(f"vmap of {name}, taps of {kind}", mixed)
    for size in ((2, 4, 5, 6), (1, 2, 4, 5), (2**62, 2, 4, 5, 6), (2**62 + 1, 2, 4, 5, 6), (-1, 2, 4, 5, 6), ()):

        def sized(size=size):
            output, taps = OPS._max_pool3d_taps(_x().detach(), *WINDOW)

            def f(g, t):
                return OPS._max_pool3d_backward(g, t, size, *WINDOW)

            return torch.vmap(f)(output.expand(4, *output.shape), taps.expand(4, *taps.shape))

        yield refused(f"vmap of gradient, size {size}", sized)

    def escaped(how: Callable) -> Tensor:
        kept = []
        how(lambda x: kept.append(x) or x.sum())(_x().detach())
        return _pool(kept[0]) + 0

    for name, how in (("vmap", torch.vmap), ("grad", torch.func.grad)):
        yield either(f"tensor escaped from {name}", partial(escaped, how), anything)
    for dims, f in UNPOOL.items():

        def in_vmap(dims=dims, f=f):
            return torch.vmap(lambda t: f(t, t.long(), 2))(torch.full((3, 1, 2, *[2] * dims), -7.0))

        yield refused(f"vmap of unpooling {dims}d at -7", in_vmap)


def cases() -> Iterator[Case]:
    return itertools.chain(_nodes(), _hooks(), _changes(), _gradients(), _transforms())
