"""python -m voxpool check: is this voxpool right on this machine?

Every instruction set this processor has is compared with torch (values, indices and gradients equal, not close), then
gradients are compared with finite differences. About half a minute; tests/python holds the full suite.
"""

import itertools
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

import voxpool

_FLOATING = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


class _Case(NamedTuple):
    dims: int
    size: tuple[int, ...]
    arguments: dict[str, Any]


_CASES = (
    _Case(3, (2, 3, 8, 12, 34), {"kernel_size": 2}),
    _Case(3, (1, 3, 7, 9, 33), {"kernel_size": 3, "stride": 2, "padding": 1}),
    _Case(3, (1, 2, 6, 7, 19), {"kernel_size": 3, "stride": 1, "padding": 1}),
    _Case(3, (2, 2, 5, 14, 18), {"kernel_size": (1, 2, 2)}),
    _Case(3, (1, 2, 9, 10, 23), {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 2, "ceil_mode": True}),
    _Case(3, (1, 2, 9, 9, 17), {"kernel_size": 7, "stride": 3, "padding": 3}),
    _Case(3, (3, 5, 6, 9), {"kernel_size": (2, 3, 2), "stride": (2, 1, 3), "ceil_mode": True}),
    _Case(2, (2, 3, 13, 21), {"kernel_size": 3, "stride": 2, "padding": 1}),
    _Case(1, (2, 3, 67), {"kernel_size": 4, "stride": 3, "padding": 2, "ceil_mode": True}),
)


def main() -> int:
    """Prints one line per group and the total; returns 1 if anything differs, 0 otherwise."""
    before = voxpool.cpu_capability()
    mismatches: list[str] = []
    total = 0
    try:
        for capability in voxpool.info()["cpu_capabilities_available"]:
            voxpool.set_cpu_capability(capability)
            total += _run(f"equal to torch, {capability}", _parity(), mismatches)
        total += _run("gradients against finite differences", _gradients(), mismatches)
    finally:
        voxpool.set_cpu_capability(before)
    for mismatch in mismatches:
        print(f"  differs: {mismatch}", file=sys.stderr)
    print(f"{total - len(mismatches)} of {total} checks hold")
    return 1 if mismatches else 0


def _run(title: str, checks: Iterator[tuple[str, Callable[[], bool]]], mismatches: list[str]) -> int:
    count = 0
    for name, holds in checks:
        count += 1
        try:
            right = holds()
        except Exception as error:  # the report must name the check, whatever went wrong
            right, name = False, f"{name}: {type(error).__name__}: {error}"
        if not right:
            mismatches.append(f"{title}: {name}")
    print(f"{title}: {count} checks", flush=True)
    return count


def _parity() -> Iterator[tuple[str, Callable[[], bool]]]:
    for case, dtype, layout in itertools.product(_CASES, _FLOATING + _INTEGERS, ("contiguous", "channels-last")):
        if layout == "channels-last" and len(case.size) != 5:
            continue
        name = f"max_pool{case.dims}d {case.size} {dtype} {layout} {case.arguments}"
        yield name, partial(_same_as_torch, case, dtype, layout)


def _gradients() -> Iterator[tuple[str, Callable[[], bool]]]:
    for case in _CASES:
        size = (*case.size[: -case.dims], *(min(n, 6) for n in case.size[-case.dims :]))
        pool = getattr(voxpool, f"max_pool{case.dims}d")
        # A permutation keeps all values apart: a finite difference across a tie would mean nothing.
        input = _permutation(size).requires_grad_()
        for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
            name = f"{check.__name__} max_pool{case.dims}d {size} {case.arguments}"
            yield name, partial(check, partial(pool, **case.arguments), (input,), fast_mode=True)


def _permutation(size: tuple[int, ...]) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    count = torch.Size(size).numel()
    return torch.randperm(count, generator=generator).to(torch.float64).view(size)


def _same_as_torch(case: _Case, dtype: torch.dtype, layout: str) -> bool:
    # Few different values: ties everywhere.
    values = _permutation(case.size) % 29 - (0 if dtype == torch.uint8 else 14)
    ours = values.to(dtype)
    if layout == "channels-last":
        ours = ours.contiguous(memory_format=torch.channels_last_3d)
    theirs = ours.clone()
    if not dtype.is_floating_point and (case.dims == 1 or layout == "channels-last"):
        theirs = theirs.to(torch.int64 if case.dims > 1 else torch.float64)  # torch has no kernel for the others

    if dtype.is_floating_point:
        ours, theirs = ours.requires_grad_(), theirs.requires_grad_()
    mine = getattr(voxpool, f"max_pool{case.dims}d")(ours, **case.arguments, return_indices=True)
    reference = getattr(F, f"max_pool{case.dims}d")(theirs, **case.arguments, return_indices=True)
    same = torch.equal(mine[0], reference[0].to(dtype)) and torch.equal(mine[1], reference[1])
    with torch.no_grad():
        same = same and torch.equal(getattr(voxpool, f"max_pool{case.dims}d")(ours, **case.arguments), mine[0])
    if dtype in (torch.float64, torch.float32):  # 16-bit gradients: torch adds in 16 bits, voxpool does not
        gradient = (_permutation(tuple(mine[0].shape)) % 31 - 15).to(dtype)
        mine[0].backward(gradient)
        reference[0].backward(gradient)
        same = same and torch.equal(_gradient(ours), _gradient(theirs))
    return same


def _gradient(tensor: torch.Tensor) -> torch.Tensor:
    assert tensor.grad is not None
    return tensor.grad
