# ruff: noqa: N999 - the name of the compiled module
from collections.abc import Callable
from typing import Any

from torch import Tensor

def bind_pool(
    op: str,
    returns_pair: bool,
    kernel_size: list[int],
    stride: list[int],
    padding: list[int] | str,
    dilation: list[int],
    ceil_mode: bool,
) -> Callable[[Tensor], Any]:
    """torch.ops.voxpool's `op` as a function of one tensor, its arguments parsed once.

    Calls go through torch's dispatcher without the GIL.
    """

def explain(
    sizes: list[int],
    strides: list[int],
    storage_offset: int,
    dtype: str,
    device: str,
    kernel_size: list[int],
    stride: list[int],
    padding: list[int] | str,
    dilation: list[int],
    ceil_mode: bool,
    requires_grad: bool,
    return_indices: bool,
) -> str: ...
def axes(
    input_size: list[int],
    kernel_size: list[int],
    stride: list[int],
    padding: list[int] | str,
    dilation: list[int],
    ceil_mode: bool,
) -> list[tuple[int, int, int, int, int, int]]:
    """Per axis: rows, outputs, kernel, stride, leading padding, dilation."""

def build_info() -> dict[str, object]: ...
def cpu_capability() -> str: ...
def available_cpu_capabilities() -> list[str]: ...
def set_cpu_capability(name: str) -> None: ...
def enable() -> None: ...
def disable() -> None: ...
def is_enabled() -> bool: ...
def set_stands_for_plain(predicate: Callable[[Tensor], bool]) -> None:
    """Which tensors with __torch_dispatch__ only stand for plain ones, and are routed."""

class EnabledGuard:
    """Keeps torch's operators routed as long as it lives."""
