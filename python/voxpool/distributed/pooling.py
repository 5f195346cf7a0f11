"""What voxpool's operators do with DTensors: pool the local shard, and its halo where spatial axes are sharded.

These run below autograd. The derivatives of the operators, first and second and forward, consist of the same operators,
so what is here serves them all. Every rank looks at the whole tensors first: arguments that are wrong are wrong
everywhere, before anybody waits for anybody.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._ops import OpOverload
from torch.distributed.tensor import DTensor

from voxpool._axis import Axis, axes_of
from voxpool.distributed.exchange import exchange
from voxpool.distributed.halo import Halo, ShardedAxis, sharded_axis
from voxpool.distributed.placing import SPATIAL, Place, meta_results, place_like, placed

_WITH_INDICES = (torch.ops.voxpool.max_pool3d_with_indices.default,)


def max_pool(op: OpOverload, input: DTensor, *window: Any) -> Any:
    """max_pool3d, with ReLU, with taps or with indices: all results sharded as the input is."""
    metas = meta_results(op, input, *window)
    volume, place = placed(input)
    share = Share(place, input.shape, *window)
    (box,) = share.exchange([volume], share.forward)
    results = place.empty(metas, box)
    if results[0].numel():
        results = _as_list(op(box, *share.forward_window))
        if op in _WITH_INDICES:
            results[1] = share.to_global(results[1])
    return place.distribute(results, metas)


def indices(op: OpOverload, taps: DTensor, input_size: Sequence[int], *window: Any) -> Any:
    """Positions in the whole volume from taps."""
    metas = meta_results(op, taps, input_size, *window)
    local, place = placed(taps)
    share = Share(place, input_size, *window)
    results = place.empty(metas, local)
    if local.numel():
        results = [share.to_global(op(local, [*_lead(local), *share.box], *share.forward_window))]
    return place.distribute(results, metas)


def gather(op: OpOverload, input: DTensor, taps: DTensor, *window: Any) -> Any:
    """The elements of the input at the taps: the tangent, and the derivative of the backward."""
    metas = meta_results(op, input, taps, *window)
    local_taps, place = placed(taps)
    share = Share(place, input.shape, *window)
    (box,) = share.exchange([place_like(input, place)], share.forward)
    results = place.empty(metas, box)
    if local_taps.numel():
        results = [op(box, local_taps, *share.forward_window)]
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


class Share:
    """One rank's share of a pooling: its part of every spatial axis, and the arguments for pooling it alone."""

    def __init__(
        self,
        place: Place,
        input_size: Sequence[int],
        kernel_size: Sequence[int],
        stride: Sequence[int] = (),
        padding: Sequence[int] | str = (0,),
        dilation: Sequence[int] = (1,),
        ceil_mode: bool = False,
    ) -> None:
        sizes = tuple(int(size) for size in input_size[-SPATIAL:])
        pads = padding if isinstance(padding, str) else tuple(padding)
        axes = _axes(sizes, tuple(kernel_size), tuple(stride), pads, tuple(dilation), ceil_mode)
        self._kernel, self._stride, self._dilation = kernel_size, stride, dilation
        first = len(input_size) - SPATIAL
        self._mesh_dims = [place.mesh_dim(dim) for dim in range(first, len(input_size))]
        self.place = place
        self.plans: list[ShardedAxis] = []
        self.parts: list[int] = []
        for axis, mesh_dim in zip(axes, self._mesh_dims, strict=True):
            self.plans.append(sharded_axis(axis, 1 if mesh_dim is None else place.mesh.size(mesh_dim)))
            self.parts.append(0 if mesh_dim is None else place.coordinate[mesh_dim])

    @property
    def forward(self) -> list[Halo]:
        return [plan.forward for plan in self.plans]

    @property
    def backward(self) -> list[Halo]:
        return [plan.backward for plan in self.plans]

    def exchange(self, tensors: list[Tensor], halos: list[Halo]) -> list[Tensor]:
        """The rows that are needed in the place of those that are owned, along all axes."""
        for dim, halo, part, mesh_dim in zip(range(-SPATIAL, 0), halos, self.parts, self._mesh_dims, strict=True):
            if mesh_dim is not None and self.place.is_member:
                group = self.place.mesh.get_group(mesh_dim)
                tensors = exchange(tensors, halo, part, tensors[0].dim() + dim, group)
        return tensors

    @property
    def box(self) -> list[int]:
        """Sizes of the volume that the windows of this rank read."""
        return [len(halo.needed[part]) for halo, part in zip(self.forward, self.parts, strict=True)]

    @property
    def forward_window(self) -> tuple[Any, ...]:
        """The arguments with which pooling that volume gives the outputs of this rank."""
        return self.window([plan.forward_padding(part) for plan, part in zip(self.plans, self.parts, strict=True)])

    @property
    def backward_pads(self) -> tuple[list[int], list[tuple[int, int]]]:
        """Leading rows without a window along each axis, and the padding of the other rows."""
        pads = [plan.backward_padding(part) for plan, part in zip(self.plans, self.parts, strict=True)]
        return [skip for skip, *_ in pads], [(begin, end) for _, begin, end in pads]

    def window(self, pads: list[tuple[int, int]]) -> tuple[Any, ...]:
        return self._kernel, self._stride, [pad for pair in pads for pad in pair], self._dilation, False

    def to_global(self, local: Tensor) -> Tensor:
        """Positions in the whole volume from those in the box; -1 stays."""
        if all(mesh_dim is None for mesh_dim in self._mesh_dims):
            return local
        d, h, w = (halo.needed[part].start for halo, part in zip(self.forward, self.parts, strict=True))
        _, rows, columns = self.box
        _, height, width = (plan.axis.size for plan in self.plans)
        if (rows, columns) == (height, width):
            positions = local + d * height * width
        else:
            plane, row, column = local // (rows * columns) + d, local // columns % rows + h, local % columns + w
            positions = (plane * height + row) * width + column
        return torch.where(local < 0, local, positions)


@lru_cache(maxsize=1024)
def _axes(
    sizes: tuple[int, ...],
    kernel_size: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...] | str,
    dilation: tuple[int, ...],
    ceil_mode: bool,
) -> list[Axis]:
    # The operators take pairs in one list, Python one by one.
    if not isinstance(padding, str) and len(padding) == 2 * SPATIAL:
        pairs = list(zip(padding[::2], padding[1::2], strict=True))
        return axes_of(list(sizes), kernel_size, stride, pairs, dilation, ceil_mode)
    return axes_of(list(sizes), kernel_size, stride, padding, dilation, ceil_mode)


def _lead(tensor: Tensor) -> Sequence[int]:
    """Batch and channels."""
    return tensor.shape[:-SPATIAL]


def _as_list(result: Any) -> list[Tensor]:
    return [result] if isinstance(result, Tensor) else list(result)
