"""Times on the device, and what device it is."""

import statistics
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import torch

import voxpool

_WARM_UP = 3
_FLUSHED = 256 << 20  # bytes: more than the second-level cache of any GPU
_AHEAD = 1_000_000  # cycles, some 0.5 ms


def medians(works: dict[str, Callable[[], Any]], repeats: int) -> dict[str, dict[str, Any]]:
    """Median seconds of each work between two events, all works in turns, the second-level cache overwritten before.

    A slow kernel first keeps the device busy until the host has queued everything up to the second event; otherwise
    the time would be that of Python. Where the host was late nevertheless, a sample does not count.
    """
    flushed = torch.empty(_FLUSHED, dtype=torch.uint8, device="cuda")
    for work in works.values():
        for _ in range(_WARM_UP):
            work()
    torch.cuda.synchronize()
    samples: dict[str, list[tuple[torch.cuda.Event, torch.cuda.Event]]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            torch.cuda._sleep(_AHEAD)
            flushed.zero_()
            begin.record()
            work()
            end.record()
            if not begin.query():
                samples[name].append((begin, end))
    torch.cuda.synchronize()
    return {name: _median(pairs) for name, pairs in samples.items()}


def _median(pairs: list[tuple[torch.cuda.Event, torch.cuda.Event]]) -> dict[str, Any]:
    if not pairs:
        return {"error": "waits for the device, or takes the host too long"}
    milliseconds = [begin.elapsed_time(end) for begin, end in pairs]
    return {"seconds": statistics.median(milliseconds) / 1e3, "repeats": len(pairs)}


def copy(moved: int) -> Callable[[], Any]:
    """A device-to-device copy that reads and writes as many bytes as that together."""
    source = torch.ones(max(1, moved // 2), dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return lambda: target.copy_(source)


def machine() -> dict[str, Any]:
    """Everything about the GPU and its software that a time depends on."""
    gpu = torch.cuda.get_device_properties(torch.cuda.current_device())
    return {
        "gpu": gpu.name,
        "compute_capability": f"{gpu.major}.{gpu.minor}",
        "multiprocessors": gpu.multi_processor_count,
        "memory_bytes": gpu.total_memory,
        "l2_bytes": gpu.L2_cache_size,
        "driver": _driver(),
        "cuda": torch.version.cuda,
        "torch": str(torch.__version__),
        "voxpool": voxpool.__version__,
        "cuda_architectures": voxpool.info()["cuda_architectures"],
        "flushed_bytes": _FLUSHED,
        # What two events cost with nothing between them; no time here has it taken off.
        "empty_seconds": medians({"nothing": lambda: None}, 100)["nothing"].get("seconds"),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        lines = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.split()
    except (OSError, subprocess.SubprocessError):
        lines = []
    return lines[0] if lines else "unknown"
