"""Inference and training steps of one network, with torch's poolings and with voxpool's in turns."""

import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

import voxpool

ROUTES: dict[str, Callable[[], AbstractContextManager[None]]] = {"torch": nullcontext, "voxpool": voxpool.enabled}
_PROFILED = 2  # runs that pooling's own time is the median of
_OURS = {f"voxpool::max_pool{dims}d" for dims in (1, 2, 3)}


def inference(model: nn.Module, x: Tensor) -> Callable[[], Any]:
    model.eval()

    def work() -> Tensor:
        with torch.inference_mode():
            return model(x)

    return work


def training(model: nn.Module, x: Tensor) -> Callable[[], Any]:
    """Forward, backward and a step of SGD. One so small that the weights, which are random, stay as they are."""
    model.train()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=1e-9)
    # Keras's layers ask the call, not the module, whether they are in training.
    options = {"training": True} if type(model).__module__.startswith("keras") else {}

    def work() -> None:
        optimizer.zero_grad()
        model(x, **options).square().mean().backward()
        optimizer.step()

    return work


WORKS = {"inference": inference, "training": training}


def check(model: nn.Module, x: Tensor) -> None:
    """A time only counts for the right result. Raises ValueError if voxpool's is another than torch's."""
    work = inference(model, x)
    expected = work()
    with voxpool.enabled():
        if not torch.equal(work(), expected):
            raise ValueError("wrong result: with voxpool the output is another one")


def measure(work: Callable[[], Any], repeats: int) -> dict[str, dict[str, Any]]:
    """For both routes: median seconds, those spent in max-pooling, and how many poolings voxpool took of all."""
    samples: dict[str, list[float]] = {route: [] for route in ROUTES}
    poolings: dict[str, list[dict[str, Any]]] = {route: [] for route in ROUTES}
    for repeat in range(1 + repeats):
        for route, context in ROUTES.items():
            with context():
                start = time.perf_counter()
                work()
                if repeat > 0:  # the first call is for what is set up once
                    samples[route].append(time.perf_counter() - start)
    for _ in range(_PROFILED):
        for route, context in ROUTES.items():
            with context():
                poolings[route].append(_poolings(work))
    return {
        route: {
            "seconds": statistics.median(samples[route]),
            "pooling": statistics.median(run["seconds"] for run in poolings[route]),
            "pools": poolings[route][0]["pools"],
            "taken": poolings[route][0]["taken"],
        }
        for route in ROUTES
    }


def _poolings(work: Callable[[], Any]) -> dict[str, Any]:
    events = profiled(work)
    poolings = outermost(events)
    return {
        "seconds": sum(event.time_range.elapsed_us() for event in poolings) / 1e6,
        "pools": sum("::max_pool" in event.name for event in poolings),
        "taken": sum(event.name in _OURS for event in events),
    }


def profiled(work: Callable[[], Any]) -> list[Any]:
    """The operators and nodes of autograd that ran."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            work()
        return list(profiler.events())


def outermost(events: list[Any]) -> list[Any]:
    """Max-poolings, forward and backward, without those that another one calls, whose time is in that one's."""
    return [event for event in events if _pools(event) and not any(map(_pools, _callers(event)))]


def _callers(event: Any) -> Iterator[Any]:
    while event.cpu_parent is not None:
        event = event.cpu_parent
        yield event


def _pools(event: Any) -> bool:
    """Whether this is an operator or a node of autograd for max-pooling, torch's or voxpool's."""
    return "maxpool" in event.name.lower().replace("_", "")
