"""Brings the arguments of a pooling into the one form the operators take: lists of ints.

Nothing is checked here that an operator checks: lengths, signs and bounds are refused there, with torch's sentences,
for every caller. What stays is what an operator cannot see: Python types and (begin, end) pairs.
"""

from collections.abc import Sequence
from operator import index
from typing import Any, SupportsIndex, TypeAlias

Ints: TypeAlias = SupportsIndex | Sequence[SupportsIndex]
Padding: TypeAlias = Ints | Sequence[tuple[SupportsIndex, SupportsIndex]] | str

_COUNTS = {2: "two ints", 3: "three ints"}
_INT64 = range(-(2**63), 2**63)


def ints(value: Any, name: str, dims: int) -> list[int]:
    """A list of Python ints from one int or a sequence of them.

    Raises TypeError for anything else (floats and bools included, as torch does) and RuntimeError beyond int64.
    """
    if type(value) is int:
        return [_int64(value, name, dims)]
    if isinstance(value, (list, tuple)):
        return [_int(element, name, dims) for element in value]
    return [_int(value, name, dims)]


def _int(value: Any, name: str, dims: int) -> int:
    if type(value) is int:
        return _int64(value, name, dims)
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(
            f"max_pool{dims}d(): argument '{name}' must be an int or a tuple of ints, not {type(value).__name__}"
        )
    return _int64(index(value), name, dims)


def _int64(value: int, name: str, dims: int) -> int:
    if value not in _INT64:
        raise RuntimeError(f"max_pool{dims}d: integer out of range: {name}={value}")
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
            raise RuntimeError(f"{_padding_form(dims)} but got {len(value)} ints: {value!r}")
    return ints(value, "padding", dims)


def _pairs(value: Sequence[Any], dims: int) -> list[int]:
    if len(value) != dims or not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in value):
        raise RuntimeError(f"{_padding_form(dims)} but got {value!r}")
    return [_int(pad, "padding", dims) for pair in value for pad in pair]


def _padding_form(dims: int) -> str:
    # torch's sentences, one of them worded on its own.
    if dims == 1:
        return (
            "max_pool1d() padding must be an int, list of ints, or tuple of ints of size 1 (or one (begin, end) pair),"
        )
    return (
        f"max_pool{dims}d: padding must either be a single int, or a tuple of {_COUNTS[dims]}"
        f" (or {dims} (begin, end) pairs, 'valid' or 'same'),"
    )


def flag(value: Any, name: str, dims: int) -> bool:
    """The value if it is a bool; TypeError otherwise, as torch does."""
    if not isinstance(value, bool):
        raise TypeError(f"max_pool{dims}d(): argument '{name}' must be bool, not {type(value).__name__}")
    return value


def torch_takes(padding: list[int] | str, dims: int) -> bool:
    """Whether torch's own max-pooling has this padding: one number per axis, the same at both ends."""
    return not isinstance(padding, str) and len(padding) in (1, dims)
