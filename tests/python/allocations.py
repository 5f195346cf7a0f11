"""How much tensor memory a call asks for: a copy of an input cannot hide from torch's allocator."""

import warnings
from collections.abc import Callable
from typing import Any

from torch.profiler import ProfilerActivity, profile


def allocated_bytes(call: Callable[[], Any]) -> int:
    """Sum of all CPU allocations during call(), freed again or not. The first run is for lazy set-up."""
    call()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            result = call()
    events = profiler.profiler.kineto_results.events()
    del result
    return sum(event.nbytes() for event in events if event.name() == "[memory]" and event.nbytes() > 0)


def nbytes(*tensors: Any) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
