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


def peak_bytes(call: Callable[[], Any]) -> int:
    """By how much the memory of this process grew at most during call(), whoever asked for it."""

    def of_process(name: str) -> int:
        with open("/proc/self/status") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

    with open("/proc/self/clear_refs", "w") as peak:
        peak.write("5")  # puts the peak back to what is used now
    before = of_process("VmRSS")
    call()
    return of_process("VmHWM") - before


def nbytes(*tensors: Any) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
