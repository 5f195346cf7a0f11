"""Which operators a call really runs: equal results do not tell whose kernel they are from."""

import warnings
from collections.abc import Callable
from typing import Any

from torch.profiler import ProfilerActivity, profile


def pools_run(call: Callable[[], Any]) -> list[str]:
    """Names of the pooling operators in the order they start, callers before what they call."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            call()
    events = sorted(profiler.events(), key=lambda event: event.time_range.start)
    return [event.name for event in events if "max_pool" in event.name and "::" in event.name]


def runs_voxpool(call: Callable[[], Any]) -> bool:
    return any(name.startswith("voxpool::") for name in pools_run(call))


def nodes(output: Any) -> list[str]:
    """Names of the autograd nodes behind a tensor that an operation on a leaf gave."""
    names, node = [], output.grad_fn
    while node is not None:
        names.append(node.name())
        node = node.next_functions[0][0] if node.next_functions else None
    return names
