"""One rank's share of a pooling: its part of every spatial axis, the exchange of its halo, and its arguments."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from voxpool._axis import Axis, axes_of
from voxpool.distributed.exchange import Exchange, exchange
from voxpool.distributed.halo import Halo, ShardedAxis, sharded_axis
from voxpool.distributed.placing import SPATIAL, Place, group_of


class Box(NamedTuple):
    """Outputs, and the rows that their windows read, along d, h and w."""

    outputs: list[range]
    rows: list[range]


class Share:
    """The plan of a pooling for the rank at one place; the arguments after the place are the operators'."""

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
        self._place = place
        mesh_dims = [place.mesh_dim(dim) for dim in range(len(input_size) - SPATIAL, len(input_size))]
        self._mesh_dims = mesh_dims if place.is_member else [None] * SPATIAL
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

    @property
    def box(self) -> Box:
        """The outputs of this rank and all that they read."""
        pairs = list(zip(self.plans, self.parts, strict=True))
        return Box([plan.outputs[part] for plan, part in pairs], [plan.forward.needed[part] for plan, part in pairs])

    def exchange(self, tensors: list[Tensor], halos: list[Halo]) -> list[Tensor]:
        """The rows that are needed in the place of those that are owned, along all axes."""
        for axis in self._sharded:
            tensors = exchange(tensors, halos[axis], *self._channel(tensors[0], axis))
        return tensors

    def pool(self, local: Tensor, function: Callable[[Tensor, Box], list[Tensor]] | None) -> list[Tensor]:
        """What `function` gives for the box of this rank, from its shard; without a function only takes part.

        What needs nothing of the others along the last sharded axis is pooled while their rows are on their way, and
        where it lies. Only the rows of windows at the ends of the shard are copied, next to those of the neighbours.
        """
        for axis in self._sharded[:-1]:
            (local,) = exchange([local], self.forward[axis], *self._channel(local, axis))
        if not self._sharded:
            return function(local, self.box) if function else []
        axis = self._sharded[-1]
        plan, part = self.plans[axis], self.parts[axis]
        under_way = Exchange([local], plan.forward, *self._channel(local, axis))
        if function is None:
            under_way.wait()
            return []

        def pooled(outputs: range) -> list[Tensor]:
            box = self.box
            box.outputs[axis], box.rows[axis] = outputs, plan.axis.rows(outputs)
            (rows,) = under_way.rows(box.rows[axis])
            return function(rows, box)

        own, interior = plan.outputs[part], plan.interior(part)
        inner = [pooled(interior)] if interior else []
        under_way.wait()
        front, back = range(own.start, interior.start), range(interior.stop, own.stop)
        pieces = [*([pooled(front)] if front else []), *inner, *([pooled(back)] if back else [])]
        if len(pieces) == 1:
            return pieces[0]
        return [torch.cat(values, local.dim() - SPATIAL + axis) for values in zip(*pieces, strict=True)]

    def window(self, pads: Sequence[tuple[int, int]]) -> tuple[Any, ...]:
        """The arguments of the pooling with another padding, all of which is needed."""
        return self._kernel, self._stride, [pad for pair in pads for pad in pair], self._dilation, False

    def window_of(self, box: Box) -> tuple[Any, ...]:
        """The arguments with which pooling the rows of a box gives its outputs."""
        return self.window([plan.forward_padding(*ranges) for plan, *ranges in zip(self.plans, *box, strict=True)])

    @property
    def backward_pads(self) -> tuple[list[int], list[tuple[int, int]]]:
        """Leading rows without a window along each axis, and the padding of the other rows."""
        pads = [plan.backward_padding(part) for plan, part in zip(self.plans, self.parts, strict=True)]
        return [skip for skip, *_ in pads], [(begin, end) for _, begin, end in pads]

    def to_global(self, local: Tensor, box: Box) -> Tensor:
        """Positions in the whole volume from those among the rows of a box; -1 stays."""
        if not self._sharded:
            return local
        d, h, w = (rows.start for rows in box.rows)
        _, rows, columns = (len(rows) for rows in box.rows)
        _, height, width = (plan.axis.size for plan in self.plans)
        if (rows, columns) == (height, width):
            positions = local + d * height * width
        else:
            plane, row, column = local // (rows * columns) + d, local // columns % rows + h, local % columns + w
            positions = (plane * height + row) * width + column
        return torch.where(local < 0, local, positions)

    @property
    def _sharded(self) -> list[int]:
        return [axis for axis, mesh_dim in enumerate(self._mesh_dims) if mesh_dim is not None]

    def _channel(self, tensor: Tensor, axis: int) -> tuple[int, int, Any]:
        """This rank's part of an axis, the dimension of the tensor that it is, and the group that shares it."""
        mesh_dim = self._mesh_dims[axis]
        assert mesh_dim is not None
        return self.parts[axis], tensor.dim() - SPATIAL + axis, group_of(self._place.mesh, mesh_dim, tensor)


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
