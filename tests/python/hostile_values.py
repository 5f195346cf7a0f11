"""What the tables of hostile calls share: integers, whether they describe a pooling, and what its results are."""

import math
from collections.abc import Sequence
from typing import Any

import torch

import reference
from reference import Window

INT32, INT64 = 2**31, 2**63
# Around zero, around what fits 32 and 64 bits, and numbers that look harmless when their upper half is cut off.
INTEGERS = (
    *(0, 1, 2, 3, 5, -1, -2),
    *(2**16, 2**30, INT32 - 1, INT32, INT32 + 1, 2**32 - 1, 2**32, 2**32 + 2),
    *(2**62, INT64 - 1, INT64, 2**64 - 1, 2**64 + 2),
    *(-INT32, -INT32 - 1, -(2**32) + 2, -INT64, -INT64 - 1, -(2**64) + 2),
    *(10**100, -(10**5000)),
)
LENGTHS = (0, 1, 2, 3, 4, 5, 6, 7, 1000)
INPUT = {1: (1, 2, 9), 2: (1, 2, 5, 6), 3: (1, 2, 4, 5, 6)}
SPATIAL = {dims: size[2:] for dims, size in INPUT.items()}
# Results of more elements need more memory than a hostile process gets.
TOO_MANY = 1 << 27


def words(value: Any) -> str:
    """A value in the name of a case."""
    if isinstance(value, int) and abs(value) > 2**64 + 2:
        return f"{'-' if value < 0 else ''}10^{5000 if abs(value) > 10**100 else 100}"
    text = repr(value)
    return text if len(text) < 60 else f"{text[:40]}... of {len(text)}"


def volume(dims: int) -> torch.Tensor:
    """Distinct values, not in order."""
    count = math.prod(INPUT[dims])
    return (torch.arange(float(count)) * 37 % count).view(INPUT[dims])


def spread(values: Any, dims: int) -> tuple[int, ...]:
    values = tuple(values) if isinstance(values, Sequence) else (values,)
    return values * dims if len(values) == 1 else values


def window_of(dims: int, kernel, stride=None, padding=0, dilation=1, ceil_mode=False) -> Window | None:
    """The window that the arguments describe; None if they describe none, whatever the input. Exact, by Python's ints.

    Each is one int or one per axis; a padding may also be one (begin, end) pair per axis, which torch does not have.
    """
    pairs = isinstance(padding, Sequence) and any(isinstance(pad, Sequence) for pad in padding)
    stride = kernel if stride is None or stride == () else stride
    kernel, stride, dilation = (spread(values, dims) for values in (kernel, stride, dilation))
    pads = tuple(padding) if pairs else tuple((pad, pad) for pad in spread(padding, dims))
    if any(len(values) != dims for values in (kernel, stride, dilation, pads)):
        return None
    if not all(-INT32 <= value < INT32 for value in (*kernel, *stride, *dilation, *sum(pads, ()))):
        return None
    if min(*kernel, *stride, *dilation) < 1:
        return None
    for (begin, end), k, d in zip(pads, kernel, dilation, strict=True):
        if min(begin, end) < 0 or max(begin, end) > ((k - 1) * d if pairs else k // 2):
            return None
    return Window(kernel, stride, pads, dilation, bool(ceil_mode))


def output_size(sizes: Sequence[int], window: Window) -> tuple[int, ...] | None:
    """Numbers of windows by the formula of the documentation, in exact integers; None where an axis has none."""
    result = []
    for n, k, s, (begin, end), d in zip(
        sizes, window.kernel, window.stride, window.padding, window.dilation, strict=True
    ):
        room = n + begin + end - d * (k - 1) - 1
        count = (room + (s - 1 if window.ceil_mode else 0)) // s + 1
        if window.ceil_mode and (count - 1) * s >= n + begin:
            count -= 1
        result.append(count)
    return tuple(result) if min(result) > 0 else None


def pooled(x: torch.Tensor, window: Window | None) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Values and indices by the definition; None where the call has to be refused, for its arguments or its size."""
    size = output_size(x.shape[2:], window) if window else None
    if size is None or math.prod(x.shape[:2] + size) > TOO_MANY:
        return None
    values, indices = reference.max_pool(x.numpy(), window)
    assert values.shape[2:] == size
    return torch.from_numpy(values), torch.from_numpy(indices)
