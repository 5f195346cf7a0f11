"""Max-unpooling as functions: what goes with ``return_indices=True``, with the arguments of torch.nn.functional."""

from typing import Any

import torch
from torch import Tensor
from torch.jit._builtins import _register_builtin

from voxpool._arguments import Ints

__all__ = ["max_unpool1d", "max_unpool2d", "max_unpool3d"]

_OPS = torch.ops.voxpool


def max_unpool3d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Any = None,
) -> Tensor:
    """Every element of a volume at its index in a larger one, zero elsewhere; torch.nn.functional.max_unpool3d.

    Args:
        input: (N, C, D, H, W) or (C, D, H, W), N may be 0, in any layout, read where it lies; all dtypes of
            :func:`voxpool.max_pool3d`, integers too.
        indices: int64 of input's shape: ``d * H * W + h * W + w`` in the result, as
            ``voxpool.max_pool3d(..., return_indices=True)`` and torch's give them. -1 is left out.
        kernel_size, stride, padding: the pooling's, one int or one per axis (d, h, w). They only say how large the
            result is: ``(n - 1) * stride + kernel_size - 2 * padding`` along each axis.
        output_size: the size of the result, with or without batch and channels in front, less than a stride away from
            that: several sizes give the same pooled one. None for that size.

    Returns: a contiguous tensor of input's dtype, whatever the layout of input, as torch gives it.

    Deterministic on the CPU: of several elements with one index, as overlapping windows give, the last in d, h, w
    order wins. On CUDA that is so under ``torch.use_deterministic_algorithms(True)``; otherwise any of them may win.

    Differentiable (also twice, in forward mode, and under torch.func), not exported to ONNX. As in torch the gradient
    is that of the result at the index, for elements that did not win too. Training keeps the indices, 8 bytes per
    element. Where windows do not overlap and ``pooled`` was computed from ``x`` in the same graph, the taps it keeps
    anyway do without them: ``torch.autograd.grad(pooled, x, input, create_graph=True)`` is the same tensor as with
    ``output_size=x.shape``.

    Raises:
        RuntimeError: shapes, dtypes or arguments that describe no unpooling, with torch's sentence; on the CPU an index
            other than -1 outside the result (on CUDA it is left out, as telling would mean to wait for the device).
        ValueError: an output_size of the wrong length or too far away.
        NotImplementedError: a dtype without a kernel, such as bool.
        Otherwise as :func:`voxpool.max_pool3d`.
    """
    return _OPS.max_unpool3d(input, indices, kernel_size, stride, padding, output_size)  # type: ignore[no-any-return]


def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Any = None,
) -> Tensor:
    """Every element of an image at its index in a larger one, zero elsewhere; torch.nn.functional.max_unpool2d.

    input is (N, C, H, W) or (C, H, W), indices are ``h * W + w``; the result of a batched channels-last input is
    channels-last. Everything else as in :func:`max_unpool3d`.
    """
    return _OPS.max_unpool2d(input, indices, kernel_size, stride, padding, output_size)  # type: ignore[no-any-return]


def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Any = None,
) -> Tensor:
    """Every element of a sequence at its index in a longer one, zero elsewhere; torch.nn.functional.max_unpool1d.

    input is (N, C, L) or (C, L), indices are positions along L. Everything else as in :func:`max_unpool3d`.
    """
    return _OPS.max_unpool1d(input, indices, kernel_size, stride, padding, output_size)  # type: ignore[no-any-return]


# In TorchScript a call of the function is a call of the operator, whose schema has the same names and defaults.
for _function in (max_unpool1d, max_unpool2d, max_unpool3d):
    _register_builtin(_function, f"voxpool::{_function.__name__}")
