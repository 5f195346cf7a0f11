"""Brings the arguments of a pooling into the one form the operators take: lists of ints.

Nothing is checked here that an operator checks: lengths, signs and bounds are refused there, with torch's sentences,
for every caller. What stays is what an operator cannot see: Python types and (begin, end) pairs.
"""

from collections.abc import Sequence
from typing import Any, SupportsIndex, TypeAlias

Ints: TypeAlias = SupportsIndex | Sequence[SupportsIndex]
Padding: TypeAlias = Ints | Sequence[tuple[SupportsIndex, SupportsIndex]] | str

_COUNTS = {2: "two ints", 3: "three ints"}
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


def canonical(
    dims: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: Any
) -> tuple[list[int], list[int], list[int] | str, list[int], bool]:
    """The arguments of a pooling over `dims` axes as the operators take them, in their order."""
    return (
        ints(kernel_size, "kernel_size", dims),
        stride_ints(stride, dims),
        paddings(padding, dims),
        ints(dilation, "dilation", dims),
        flag(ceil_mode, "ceil_mode", dims),
    )


def ints(value: Any, name: str, dims: int) -> list[int]:
    """A list of Python ints from one number or a sequence of them.

    A number counts as the int it equals, 2.0 as 2: parsed arguments are looked up by equality, and a call must not
    depend on the calls before it. Raises TypeError for anything else and RuntimeError beyond int64.
    """
    if type(value) is int:
        return [_int64(value, name, dims)]
    if isinstance(value, (list, tuple)):
        return [_int(element, name, dims) for element in value]
    return [_int(value, name, dims)]


def _int(value: Any, name: str, dims: int) -> int:
    if type(value) is int:
        return _int64(value, name, dims)
    try:
        number = int(value)
        if number == value:
            return _int64(number, name, dims)
    except (TypeError, ValueError, OverflowError):
        pass
    raise TypeError(f"max_pool{dims}d(): argument '{name}' must be an int or a tuple of ints, but got {value!r}")


def _int64(value: int, name: str, dims: int) -> int:
    if not _INT64_MIN <= value <= _INT64_MAX:
        # Not the value: Python refuses to print thousands of digits.
        raise RuntimeError(f"max_pool{dims}d: integer out of range: {name} needs {value.bit_length() + 1} bits")
    return value


def stride_ints(value: Any, dims: int) -> list[int]:
    """Empty when the stride is left out, which the operators read as "the kernel size"."""
    return [] if value is None else ints(value, "stride", dims)


def paddings(value: Any, dims: int) -> list[int] | str:
    """One int, one int per axis, or both ends of every axis (begin, end, begin, end, ...); 'same' stays a string."""
    if isinstance(value, str):
        if value not in ("valid", "same"):
            raise ValueError(f"max_pool{dims}d: padding must be a number, 'valid' or 'same', but got {value!r}")
        return value if value == "same" else [0]
    if isinstance(value, (list, tuple)):
        if any(isinstance(element, (list, tuple)) for element in value):
            return _pairs(value, dims)
        if len(value) == 2 * dims:
            # The operators read two values per axis as pairs; in Python pairs are written as pairs.
            raise _padding_error(value, dims)
    return ints(value, "padding", dims)


def _pairs(value: Sequence[Any], dims: int) -> list[int]:
    if len(value) != dims or not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in value):
        raise _padding_error(value, dims)
    return [_int(pad, "padding", dims) for pair in value for pad in pair]


def _padding_error(value: Sequence[Any], dims: int) -> RuntimeError:
    # torch's sentences, of which the one about a single axis is worded differently.
    sentence = (
        f"max_pool1d() padding must be an int, list of ints, or tuple of ints of size 1 but got size {len(value)}"
        if dims == 1
        else f"max_pool{dims}d: padding must either be a single int, or a tuple of {_COUNTS[dims]}"
    )
    return RuntimeError(f"{sentence} (or one (begin, end) pair per axis, 'valid' or 'same'): {value!r}")


def flag(value: Any, name: str, dims: int) -> bool:
    """The bool that the value equals; TypeError if there is none."""
    if value not in (False, True):
        raise TypeError(f"max_pool{dims}d(): argument '{name}' must be bool, not {type(value).__name__}")
    return bool(value)


def torch_takes(padding: list[int] | str, dims: int) -> bool:
    """Whether torch's own max-pooling has this padding: one number per axis, the same at both ends."""
    return not isinstance(padding, str) and len(padding) in (1, dims)
