"""What a peer hands to the worker."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor


class CannotRunError(Exception):
    """The peer has nothing that computes this case; the message says why in a few words."""


@dataclass
class Prepared:
    """One call on prepared data.

    values turns a result into the (N, C, D, H, W) tensor of pooled values, to be compared; None where the call gives
    none (a backward). padding is set when the peer pads otherwise than the case asks. kept: bytes that autograd holds
    between forward and backward, where that can be seen. data: what the call reads, if nothing else keeps it alive.
    """

    call: Callable[[], Any]
    layout: str
    values: Callable[[Any], Tensor] | None = None
    note: str = ""
    padding: str | None = None
    kept: int | None = None
    data: object = None


def seconds(call: Callable[[], Any], repeats: int = 2) -> float:
    """The shortest of a few calls after one that warms up."""
    call()
    best = math.inf
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best
