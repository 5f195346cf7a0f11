"""A pooling in the operators ONNX has, while torch.onnx exports a model: MaxPool, and a Relu behind it.

Plain poolings become torch's operator, which both exporters translate. What it has not got, (begin, end) pairs and
'same', becomes a MaxPool node that is written here, as ONNX has a number for each end of an axis; so does what the
exporters get wrong.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from voxpool._arguments import torch_takes

__all__ = ["max_pool"]

_is_tracing = torch._C._get_tracing_state
_ATEN: dict[int, Any] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


def max_pool(
    dims: int,
    input: Tensor,
    kernel: list[int],
    stride: list[int],
    pads: list[int] | str,
    dilation: list[int],
    ceil_mode: bool,
    return_indices: bool,
    relu: bool,
) -> Any:
    """The pooling with canonical arguments. Differs from the kernels in one case: what a runtime makes of a window
    without any tap inside the input."""
    # One number for every axis: MaxPool has no such short form, and the exporters copy what they find.
    kernel, stride, dilation = (_per_axis(value, dims) for value in (kernel, stride or kernel, dilation))
    if input.dim() == dims + 1:  # MaxPool takes batches only, and only one of the exporters makes one
        result = max_pool(dims, input.unsqueeze(0), kernel, stride, pads, dilation, ceil_mode, return_indices, relu)
        return tuple(output.squeeze(0) for output in result) if return_indices else result.squeeze(0)
    symmetric = torch_takes(pads, dims)
    pads = _per_axis(pads, dims) if symmetric else pads
    # torch.export fixes the length that torch's own 1-D pooling is given, and its exporter says ceil_mode where ONNX's
    # rule for the sizes and torch's are two.
    if symmetric and not ceil_mode and (dims > 1 or type(input.size(-1)) is int):
        result = _ATEN[dims](input, kernel, stride, pads, dilation, ceil_mode, return_indices)
    else:
        node = _TracedMaxPool.apply if _is_tracing() else _exported
        result = node(input, (kernel, stride, pads, dilation, ceil_mode), return_indices)
        if return_indices:
            # ONNX counts through batch and channels as well. Where the size is left open, the exporter of torch.export
            # divides by tensors only, and the tracing one divides by tensors in floats.
            cells = math.prod(input.size(axis) for axis in range(2, dims + 2))
            result = result[0], result[1] % (cells if _is_tracing() else torch.full((), cells))
    return F.relu(result) if relu else result


def _per_axis(value: Any, dims: int) -> Any:
    return value * dims if len(value) == 1 else value


def _attributes(sizes: Any, kernel: Any, stride: Any, pads: Any, dilation: Any, ceil_mode: Any) -> dict[str, Any]:
    """What MaxPool is given, for spatial sizes of which those that are left open are no ints."""
    attributes = {"kernel_shape": kernel, "strides": stride, "dilations": dilation, "ceil_mode": 0}
    known = [type(size) is int for size in sizes]
    reach = [step * (taps - 1) for taps, step in zip(kernel, dilation, strict=True)]
    if pads == "same":
        # A stride of 1 takes the same padding for every size.
        if not all(known[axis] or stride[axis] == 1 for axis in range(len(sizes))):
            return attributes | {"auto_pad": "SAME_UPPER"}
        totals = [
            r if s == 1 else max(0, (n - 1) // s * s + r + 1 - n) for n, s, r in zip(sizes, stride, reach, strict=True)
        ]
        begins, ends = [total // 2 for total in totals], [total - total // 2 for total in totals]
    else:
        begins, ends = (pads, pads) if len(pads) == len(sizes) else (pads[::2], pads[1::2])
    if ceil_mode and all(known):
        # As padding, because runtimes differ in whether a window may begin in the padding.
        axes = zip(sizes, stride, reach, begins, ends, strict=True)
        ends = [_end_of_last_window(*axis) for axis in axes]
    elif ceil_mode:
        attributes["ceil_mode"] = 1
    return attributes | {"pads": [*begins, *ends]}


def _end_of_last_window(size: int, stride: int, reach: int, begin: int, end: int) -> int:
    """How far beyond the input the last window of an axis reaches when its output size is rounded up."""
    last = -((reach + 1 - size - begin - end) // stride) * stride
    if last >= size + begin:
        last -= stride
    return max(0, last + reach + 1 - size - begin)


def _operator(input: Tensor, window: Any, return_indices: bool) -> Any:
    """The same from voxpool's operator, for its sizes and its errors."""
    name = f"max_pool{input.dim() - 2}d" + ("_with_indices" if return_indices else "")
    return getattr(torch.ops.voxpool, name)(input, *window)


def _exported(input: Tensor, window: Any, return_indices: bool) -> Any:
    """For the exporter that goes through torch.export."""
    expected = _operator(input, window, return_indices)
    outputs = torch.onnx.ops.symbolic_multi_out(
        "MaxPool",
        (input,),
        _attributes(input.shape[2:], *window),
        dtypes=[output.dtype for output in expected] if return_indices else [expected.dtype],
        shapes=[output.shape for output in expected] if return_indices else [expected.shape],
    )
    return tuple(outputs) if return_indices else outputs[0]


class _TracedMaxPool(torch.autograd.Function):
    """For the exporter that goes through torch.jit.trace, which keeps a call of this whole: the exporter then asks
    `symbolic` what stands for it."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, window: Any, return_indices: bool) -> Any:
        return _operator(input, window, return_indices)

    @staticmethod
    def symbolic(g: Any, input: Any, window: Any, return_indices: bool) -> Any:
        # None stands for a size that is left open, and for all of them where even their number is.
        sizes = input.type().sizes() or [None] * (len(window[0]) + 2)
        kinds = {int: "i", list: "i", str: "s"}
        attributes = {f"{key}_{kinds[type(value)]}": value for key, value in _attributes(sizes[2:], *window).items()}
        return g.op("MaxPool", input, outputs=1 + return_indices, **attributes)
