"""What voxpool's operators do with DTensors: pool the local shard, and its halo where spatial axes are sharded.

These run below autograd. The derivatives of the operators, first and second, consist of the same operators, so what is
here serves them all. Every rank looks at the whole tensors first: arguments that are wrong are wrong everywhere, before
anybody waits for anybody.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._ops import OpOverload
from torch.distributed.tensor import DTensor

from voxpool.distributed.placing import SPATIAL, as_list, meta_results, place_like, placed
from voxpool.distributed.share import Box, Share

_WITH_INDICES = (torch.ops.voxpool.max_pool3d_with_indices.default,)


def max_pool(op: OpOverload, input: DTensor, *window: Any) -> Any:
    """max_pool3d, with ReLU, with taps or with indices: all results sharded as the input is."""
    metas = meta_results(op, input, *window)
    local, place = placed(input)
    share = Share(place, input.shape, *window)

    def pool(rows: Tensor, box: Box) -> list[Tensor]:
        results = as_list(op(rows, *share.window_of(box)))
        if op in _WITH_INDICES:
            results[1] = share.to_global(results[1], box)
        return results

    results = place.empty(metas, local)
    pooled = share.pool(local, pool if results[0].numel() else None)
    return place.distribute(pooled or results, metas)


def indices(op: OpOverload, taps: DTensor, input_size: Sequence[int], *window: Any) -> Any:
    """Positions in the whole volume from taps."""
    metas = meta_results(op, taps, input_size, *window)
    local, place = placed(taps)
    share = Share(place, input_size, *window)
    results = place.empty(metas, local)
    if local.numel():
        box = share.box
        sizes = [*_lead(local), *map(len, box.rows)]
        results = [share.to_global(op(local, sizes, *share.window_of(box)), box)]
    return place.distribute(results, metas)


def gather(op: OpOverload, input: DTensor, taps: DTensor, *window: Any) -> Any:
    """The elements of the input at the taps: the derivative of the backward."""
    metas = meta_results(op, input, taps, *window)
    local_taps, place = placed(taps)
    share = Share(place, input.shape, *window)
    (rows,) = share.exchange([place_like(input, place)], share.forward)
    results = place.empty(metas, rows)
    if local_taps.numel():
        results = [op(rows, local_taps, *share.window_of(share.box))]
    return place.distribute(results, metas)


def backward(op: OpOverload, grad_output: DTensor, taps: DTensor, input_size: Sequence[int], *window: Any) -> Any:
    """The gradient of the input rows that this rank owns, from all windows that span one of them.

    Gradients and taps of the halo come from their owners; nothing is summed across ranks, so that every sum has the
    order it has in one process.
    """
    metas = meta_results(op, grad_output, taps, input_size, *window)
    local_taps, place = placed(taps)
    share = Share(place, input_size, *window)
    gradient, local_taps = share.exchange([place_like(grad_output, place), local_taps], share.backward)
    results = [result.zero_() for result in place.empty(metas, gradient)]
    if results[0].numel() and local_taps.numel():
        skipped, pads = share.backward_pads
        sizes = [rows - skip for rows, skip in zip(results[0].shape[-SPATIAL:], skipped, strict=True)]
        result = op(gradient, local_taps, [*_lead(local_taps), *sizes], *share.window(pads))
        results = [F.pad(result, [n for skip in reversed(skipped) for n in (skip, 0)]) if any(skipped) else result]
    return place.distribute(results, metas)


def _lead(tensor: Tensor) -> Sequence[int]:
    """Batch and channels."""
    return tensor.shape[:-SPATIAL]
