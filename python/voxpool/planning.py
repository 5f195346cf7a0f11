"""What a pooling will do, without doing it: its output size and the kernel that will run."""

from collections.abc import Callable, Sequence
from typing import SupportsIndex

import torch
from torch import Tensor

from voxpool import _C
from voxpool._arguments import Ints, Padding, canonical, ints
from voxpool._axis import axes_of

# What explains tensors of other types: voxpool.distributed enters DTensor here.
EXPLAINERS: dict[type, Callable[..., str]] = {}


def output_size(
    input_size: SupportsIndex | Sequence[SupportsIndex],
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
) -> tuple[int, ...]:
    """Spatial output size of a pooling, in elements.

    Per axis ``floor((n + pads - dilation * (kernel - 1) - 1 + (stride - 1 if ceil_mode)) / stride) + 1``; with
    ceil_mode one less if the last window would start beyond the input; ``ceil(n / stride)`` for padding ``'same'``
    (TensorFlow, tf.nn "Notes on padding").

    Args:
        input_size: spatial sizes only, (D, H, W), (H, W) or (L,); a single int is one axis.
        kernel_size, stride, padding, dilation, ceil_mode: as in :func:`voxpool.max_pool3d`.

    Returns: as many ints as input_size has. The same function computes the sizes for the operators.

    Raises RuntimeError where the pooling itself would (sentences of torch), TypeError for a wrong Python type.

    >>> voxpool.output_size((16, 16, 16), 2)
    (8, 8, 8)
    """
    sizes = ints(input_size, "input_size", 3)
    dims = len(sizes)
    if not 1 <= dims <= 3:
        raise RuntimeError(f"output_size: input_size must have 1 to 3 spatial sizes, but got {dims}: {tuple(sizes)}")
    axes = axes_of(sizes, kernel_size, stride, padding, dilation, ceil_mode)
    return tuple(axis.outputs for axis in axes)


def explain(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    requires_grad: bool = False,
    device: str | torch.device | None = None,
) -> str:
    """Which kernel :func:`voxpool.max_pool3d` would run on this tensor, and why each better one was refused.

    Args:
        input: (N, C, D, H, W) or (C, D, H, W); only its size, strides, offset and dtype are read, so a meta
            tensor will do. A DTensor, after ``import voxpool.distributed``, is explained for this rank: what it
            exchanges with whom, and the kernel for its own part.
        requires_grad: explain the training call (which also keeps taps) and its backward.
        device: 'cpu' or 'cuda', no device of which need exist; by default the input's, and 'cpu' for a meta tensor.
        The others as in :func:`voxpool.max_pool3d`.

    Returns: lines of text for people. The wording may change between versions.

    Raises: what the call itself would, but for elements that are not in memory, as it reads none; NotImplementedError
    for a device of another kind.
    """
    if explainer := EXPLAINERS.get(type(input)):
        arguments = kernel_size, stride, padding, dilation, ceil_mode, return_indices, requires_grad, device
        return explainer(input, *arguments)
    if not isinstance(input, Tensor):
        raise TypeError(f"explain(): argument 'input' must be Tensor, not {type(input).__name__}")
    named = any(getattr(input, "names", ()))  # newer versions of torch than 2.11 have no named tensors
    if input.layout is not torch.strided or named:
        names = " with names" if named else ""
        raise NotImplementedError(f"explain: expected a strided tensor, but got a {input.layout} one{names}")
    kind = torch.device(input.device if device is None else device).type
    return _C.explain(
        list(input.shape),
        list(input.stride()),
        int(input.storage_offset()),
        str(input.dtype),
        "cpu" if kind == "meta" else kind,
        *canonical(3, kernel_size, stride, padding, dilation, ceil_mode),
        requires_grad,
        return_indices,
    )
