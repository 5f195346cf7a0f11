"""Max-pooling as functions, with the arguments of torch.nn.functional in the same order.

A call with a plain tensor takes the short way: `_C.bind_pool`, the arguments parsed once, straight to the dispatcher.
Everything that has to see the call happen (torch.compile, a tensor subclass, a function mode, a tracer, FX's proxies)
gets the ordinary operator from torch.ops instead. Both end in the same kernels.
"""

from collections.abc import Callable
from numbers import Number
from typing import Any

import torch
from torch import Tensor
from torch.compiler import is_dynamo_compiling
from torch.overrides import has_torch_function_unary

from voxpool import _C, _onnx
from voxpool._arguments import Ints, Padding, canonical

__all__ = ["max_pool1d", "max_pool2d", "max_pool3d"]

_is_tracing = torch._C._get_tracing_state
_VALUES = {dims: f"max_pool{dims}d" for dims in (1, 2, 3)}
_INDICES = {dims: f"max_pool{dims}d_with_indices" for dims in (1, 2, 3)}
_RELU = {dims: f"_max_pool{dims}d_relu" for dims in (1, 2, 3)}
_OPS = {name: getattr(torch.ops.voxpool, name) for names in (_VALUES, _INDICES, _RELU) for name in names.values()}

# Parsed arguments of earlier calls. Emptied when full: a program has a handful of poolings, so a full table means that
# the arguments depend on data and old entries are of no use.
_POOLS: dict[int, dict[Any, Callable[[Tensor], Any]]] = {1: {}, 2: {}, 3: {}}
_POOLS_1D, _POOLS_2D, _POOLS_3D = _POOLS[1], _POOLS[2], _POOLS[3]
_POOLS_LIMIT = 1024

# What calls the operator for tensors of other types: voxpool.distributed enters DTensor here.
CALLERS: dict[type, Callable[..., Any]] = {}


def max_pool3d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Maximum over windows of a volume; torch.nn.functional.max_pool3d bit for bit.

    Output o of an axis is the maximum of the positions ``o * stride - pad_begin + t * dilation``, t = 0 .. kernel - 1,
    that lie inside the input. The first maximum wins ties, the last NaN wins over everything; padding is -inf and
    never selected. Output length: ``floor((n + pads - dilation * (kernel - 1) - 1) / stride) + 1``; see
    :func:`voxpool.output_size`.

    Args:
        input: (N, C, D, H, W) or (C, D, H, W), N may be 0, on the CPU; float64/32/16, bfloat16, uint8, int8/16/32/64;
            contiguous, channels-last (``torch.channels_last_3d``) or strided: never copied where rows are regular.
        kernel_size: taps of the window, one int or one per axis (d, h, w). Elements, not millimetres.
        stride: step between windows; None or () means kernel_size.
        padding: one int; one int per axis (at most half of the kernel); one (begin, end) pair per axis (each smaller
            than the effective kernel ``dilation * (kernel - 1) + 1``); ``'valid'`` = 0; ``'same'`` = TensorFlow's
            rule, ``ceil(n / stride)`` outputs with the extra cell at the end (not with ceil_mode).
        dilation: step between the taps of a window.
        ceil_mode: round the output length up, as long as the last window starts inside the input or leading padding.
        return_indices: also return the position of each maximum.

    Returns:
        The pooled tensor, input's dtype and memory format; with return_indices a tuple (output, indices), indices
        int64, ``d * H * W + h * W + w`` in the unpadded input of the same (n, c); -1 (and -inf or the lowest integer)
        where a dilated window has no tap inside the input.

    Differentiable (also twice, in forward mode, and under torch.func) for floating inputs. Training stores one byte
    per output (int32 for windows of more than 255 taps, int64 above 2**31 - 1), inference nothing. Deterministic:
    gradients are gathered in ascending output order, 16-bit ones accumulated in float32.

    Raises:
        RuntimeError: an argument or size that describes no pooling, with torch's sentence; an input whose elements are
            not in memory, as its storage was resized; a result that memory has no room for.
        NotImplementedError: a dtype without a kernel, such as bool, and a sparse, nested, MKL-DNN or quantised tensor.
        TypeError: an argument of the wrong Python type. ValueError: an unknown padding string.
        What a tensor subclass or a hook raises passes through.
    """
    # Written out in each of the three functions: one more Python call would cost a tenth of the whole.
    if (
        type(input) is Tensor
        and not is_dynamo_compiling()
        and not has_torch_function_unary(input)
        and not _is_tracing()
    ):
        try:
            pool = _POOLS_3D[kernel_size, stride, padding, dilation, ceil_mode, return_indices]
        except (KeyError, TypeError):
            pool = parse_pool(3, kernel_size, stride, padding, dilation, ceil_mode, return_indices)
        return pool(input)
    return call_operator(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Maximum over windows of an image; torch.nn.functional.max_pool2d bit for bit.

    input is (N, C, H, W) or (C, H, W); ints come one for all or one per axis (h, w); indices are ``h * W + w``.
    Everything else as in :func:`max_pool3d`, whose kernels run it as a volume of depth one.
    """
    if (
        type(input) is Tensor
        and not is_dynamo_compiling()
        and not has_torch_function_unary(input)
        and not _is_tracing()
    ):
        try:
            pool = _POOLS_2D[kernel_size, stride, padding, dilation, ceil_mode, return_indices]
        except (KeyError, TypeError):
            pool = parse_pool(2, kernel_size, stride, padding, dilation, ceil_mode, return_indices)
        return pool(input)
    return call_operator(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool1d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Maximum over windows of a sequence; torch.nn.functional.max_pool1d bit for bit, and integers too.

    input is (N, C, L) or (C, L); a (begin, end) padding is written ``[(begin, end)]``; indices are positions along L.
    Everything else as in :func:`max_pool3d`, whose kernels run it as a volume of one row.
    """
    if (
        type(input) is Tensor
        and not is_dynamo_compiling()
        and not has_torch_function_unary(input)
        and not _is_tracing()
    ):
        try:
            pool = _POOLS_1D[kernel_size, stride, padding, dilation, ceil_mode, return_indices]
        except (KeyError, TypeError):
            pool = parse_pool(1, kernel_size, stride, padding, dilation, ceil_mode, return_indices)
        return pool(input)
    return call_operator(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def bind_pool(
    dims: int,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: Any,
    return_indices: Any,
    relu: bool = False,
) -> Callable[[Tensor], Any]:
    """A pooling with its arguments parsed."""
    arguments = canonical(dims, kernel_size, stride, padding, dilation, ceil_mode)
    return _C.bind_pool(_operator(dims, return_indices, relu), bool(return_indices), *arguments)


def _operator(dims: int, return_indices: Any, relu: bool) -> str:
    return (_RELU if relu else _INDICES if return_indices else _VALUES)[dims]


def parse_pool(
    dims: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: Any, return_indices: Any
) -> Callable[[Tensor], Any]:
    """A pooling with its arguments parsed, remembered under them where they can be a key."""
    pool = bind_pool(dims, kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    key = (kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    if _is_value(key):
        known = _POOLS[dims]
        if len(known) >= _POOLS_LIMIT:
            known.clear()
        known[key] = pool
    return pool


def _is_value(argument: Any) -> bool:
    """Whether the argument can be a key: a list cannot, and a tensor is still equal to itself after it has changed."""
    if isinstance(argument, tuple):
        return all(map(_is_value, argument))
    return argument is None or isinstance(argument, (Number, str))


def call_operator(
    dims: int,
    input: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: Any,
    return_indices: bool,
    relu: bool = False,
) -> Any:
    """The pooling through torch.ops, which every kind of tracing understands."""
    arguments = canonical(dims, kernel_size, stride, padding, dilation, ceil_mode)
    if torch.onnx.is_in_onnx_export():  # ONNX has no voxpool operators
        return _onnx.max_pool(dims, input, *arguments, bool(return_indices), relu)
    operator = _OPS[_operator(dims, return_indices, relu)]
    if caller := CALLERS.get(type(input)):
        return caller(dims, operator, input, *arguments)
    return operator(input, *arguments)
