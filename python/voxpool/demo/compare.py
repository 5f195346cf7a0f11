"""torch and voxpool on the same tensors: time, equality and the memory that training keeps."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import voxpool

DTYPES = (torch.float32, torch.bfloat16)
LAYOUTS = {"channels-first": torch.contiguous_format, "channels-last": torch.channels_last_3d}

Pool = Callable[..., Tensor]


@dataclass(frozen=True)
class Pooling:
    """One or more poolings, each of the result of the one before; every level is a result."""

    title: str
    arguments: dict[str, Any]
    levels: int

    def run(self, pool: Pool, input: Tensor) -> list[Tensor]:
        results = []
        for _ in range(self.levels):
            input = pool(input, **self.arguments)
            results.append(input)
        return results


OVERLAPPING = Pooling("window 3, stride 2, padding 1", {"kernel_size": 3, "stride": 2, "padding": 1}, 1)
PYRAMID = Pooling("pyramid: window 2, stride 2, four times", {"kernel_size": 2}, 4)
POOLINGS = (OVERLAPPING, PYRAMID)


@dataclass(frozen=True)
class Row:
    """A line of the table. `gradients` says with what voxpool's agree: "torch", "float64" or, if with neither, "".
    Bytes are those of the tensors that autograd holds between forward and backward."""

    pooling: Pooling
    layout: str
    dtype: torch.dtype
    backward: bool
    torch_ms: float
    voxpool_ms: float
    same_values: bool
    gradients: str
    torch_bytes: int
    voxpool_bytes: int

    @property
    def ratio(self) -> float:
        return self.torch_ms / self.voxpool_ms

    @property
    def agrees(self) -> bool:
        return self.same_values and (not self.backward or bool(self.gradients))


def rows(features: Tensor, repeats: int, advance: Callable[[], None]) -> list[Row]:
    """Measures every pooling, layout, dtype and pass; calls `advance` steps(repeats) times on the way."""
    table = []
    for pooling in POOLINGS:
        for layout, memory_format in LAYOUTS.items():
            for dtype in DTYPES:
                input = features.to(dtype).contiguous(memory_format=memory_format)
                table += _measure(pooling, layout, input, repeats, advance)
    return table


def steps(repeats: int) -> int:
    return len(POOLINGS) * len(LAYOUTS) * len(DTYPES) * 2 * (1 + repeats)


def _measure(pooling: Pooling, layout: str, input: Tensor, repeats: int, advance: Callable[[], None]) -> list[Row]:
    theirs, ours = pooling.run(F.max_pool3d, input), pooling.run(voxpool.max_pool3d, input)
    same_values = all(map(_same_bits, theirs, ours))
    # Between 0.5 and 1.5: no gradient is zero, and a float32 sum of eight such bfloat16 numbers is exact.
    weights = [
        (torch.rand(level.shape) + 0.5).to(input.dtype).contiguous(memory_format=_format(level)) for level in ours
    ]

    def forward(pool: Pool) -> None:
        with torch.no_grad():
            pooling.run(pool, input)

    def training(pool: Pool) -> Tensor:
        leaf = input.detach().requires_grad_()
        return torch.autograd.grad(pooling.run(pool, leaf), leaf, weights)[0]

    def row(backward: bool, times: tuple[float, float], gradients: str, kept: tuple[int, int]) -> Row:
        return Row(pooling, layout, input.dtype, backward, *times, same_values, gradients, *kept)

    forward_times = _alternate(forward, repeats, advance)
    gradients = _compare_gradients(pooling, input, weights, training(F.max_pool3d), training(voxpool.max_pool3d))
    kept = _kept_bytes(pooling, F.max_pool3d, input), _kept_bytes(pooling, voxpool.max_pool3d, input)
    training_times = _alternate(training, repeats, advance)
    return [row(False, forward_times, "", (0, 0)), row(True, training_times, gradients, kept)]


def _alternate(work: Callable[[Pool], object], repeats: int, advance: Callable[[], None]) -> tuple[float, float]:
    """Median milliseconds with torch and with voxpool, taken in turns so that a busy machine disturbs both."""
    times: dict[Pool, list[float]] = {F.max_pool3d: [], voxpool.max_pool3d: []}
    for repeat in range(1 + repeats):
        for pool, measured in times.items():
            start = time.perf_counter()
            work(pool)
            if repeat > 0:  # the first call warms caches and allocators
                measured.append(1e3 * (time.perf_counter() - start))
        advance()
    return statistics.median(times[F.max_pool3d]), statistics.median(times[voxpool.max_pool3d])


def _compare_gradients(pooling: Pooling, input: Tensor, weights: Sequence[Tensor], theirs: Tensor, ours: Tensor) -> str:
    if _same_bits(theirs, ours):
        return "torch"
    if pooling.levels == 1 and _same_bits(_float64_gradient(pooling, input, weights[0]), ours):
        return "float64"
    return ""


def _float64_gradient(pooling: Pooling, input: Tensor, weight: Tensor) -> Tensor:
    """torch's gradient, added up in float64 and rounded once; a channel at a time, for the sake of memory."""
    gradient = torch.empty_like(input)
    for channel in range(input.size(1)):
        leaf = input[:, channel : channel + 1].double().requires_grad_()
        output = F.max_pool3d(leaf, **pooling.arguments)
        exact = torch.autograd.grad(output, leaf, weight[:, channel : channel + 1].double())[0]
        gradient[:, channel : channel + 1] = exact
    return gradient


def _kept_bytes(pooling: Pooling, pool: Pool, input: Tensor) -> int:
    """Bytes of the tensors that the graph saves, each counted once."""
    saved: dict[tuple[int, torch.dtype], int] = {}

    def pack(tensor: Tensor) -> Tensor:
        saved[tensor.data_ptr(), tensor.dtype] = tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        graph = pooling.run(pool, input.detach().requires_grad_())
    del graph
    return sum(saved.values())


def _same_bits(a: Tensor, b: Tensor) -> bool:
    integers = torch.int32 if a.dtype == torch.float32 else torch.int16
    return a.stride() == b.stride() and torch.equal(a.view(integers), b.view(integers))


def _format(tensor: Tensor) -> torch.memory_format:
    channels_last = not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last_3d)
    return torch.channels_last_3d if channels_last else torch.contiguous_format
