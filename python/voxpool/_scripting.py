# mypy: ignore-errors
# The annotations below are TorchScript's, not Python's.
"""What TorchScript compiles where a scripted function calls voxpool.max_pool{1,2,3}d.

TorchScript reads the source of every Python function it meets and knows neither caches nor 'try'. torch tells it which
functions stand for torch.nn.functional.max_pool3d, with and without indices, in a table; voxpool adds its own there.
As with torch's functions, return_indices must be a constant; padding is a number or one per axis.
"""

from typing import Optional

import torch
from torch import Tensor
from torch._jit_internal import BroadcastingList1, BroadcastingList2, BroadcastingList3, boolean_dispatched

from voxpool import functional


def _max_pool3d(
    input: Tensor,
    kernel_size: BroadcastingList3[int],
    stride: Optional[BroadcastingList3[int]] = None,  # noqa: UP045 - a subscript is None when Python runs it
    padding: BroadcastingList3[int] = 0,
    dilation: BroadcastingList3[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    if stride is None:
        stride = torch.jit.annotate(list[int], [])
    return torch.ops.voxpool.max_pool3d(input, kernel_size, stride, padding, dilation, ceil_mode)


def _max_pool3d_with_indices(
    input: Tensor,
    kernel_size: BroadcastingList3[int],
    stride: Optional[BroadcastingList3[int]] = None,  # noqa: UP045 - a subscript is None when Python runs it
    padding: BroadcastingList3[int] = 0,
    dilation: BroadcastingList3[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    if stride is None:
        stride = torch.jit.annotate(list[int], [])
    return torch.ops.voxpool.max_pool3d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)


def _max_pool2d(
    input: Tensor,
    kernel_size: BroadcastingList2[int],
    stride: Optional[BroadcastingList2[int]] = None,  # noqa: UP045 - a subscript is None when Python runs it
    padding: BroadcastingList2[int] = 0,
    dilation: BroadcastingList2[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    if stride is None:
        stride = torch.jit.annotate(list[int], [])
    return torch.ops.voxpool.max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode)


def _max_pool2d_with_indices(
    input: Tensor,
    kernel_size: BroadcastingList2[int],
    stride: Optional[BroadcastingList2[int]] = None,  # noqa: UP045 - a subscript is None when Python runs it
    padding: BroadcastingList2[int] = 0,
    dilation: BroadcastingList2[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    if stride is None:
        stride = torch.jit.annotate(list[int], [])
    return torch.ops.voxpool.max_pool2d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)


def _max_pool1d(
    input: Tensor,
    kernel_size: BroadcastingList1[int],
    stride: Optional[BroadcastingList1[int]] = None,  # noqa: UP045 - a subscript is None when Python runs it
    padding: BroadcastingList1[int] = 0,
    dilation: BroadcastingList1[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    if stride is None:
        stride = torch.jit.annotate(list[int], [])
    return torch.ops.voxpool.max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode)


def _max_pool1d_with_indices(
    input: Tensor,
    kernel_size: BroadcastingList1[int],
    stride: Optional[BroadcastingList1[int]] = None,  # noqa: UP045 - a subscript is None when Python runs it
    padding: BroadcastingList1[int] = 0,
    dilation: BroadcastingList1[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    if stride is None:
        stride = torch.jit.annotate(list[int], [])
    return torch.ops.voxpool.max_pool1d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)


for _function, _plain, _with_indices in (
    (functional.max_pool1d, _max_pool1d, _max_pool1d_with_indices),
    (functional.max_pool2d, _max_pool2d, _max_pool2d_with_indices),
    (functional.max_pool3d, _max_pool3d, _max_pool3d_with_indices),
):
    boolean_dispatched[_function] = {
        "if_true": _with_indices,
        "if_false": _plain,
        "index": 6,
        "default": False,
        "arg_name": "return_indices",
    }
