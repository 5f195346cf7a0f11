"""Halos for layers of other libraries: the local shard with rows of its neighbours around it, differentiable."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributed.tensor import DTensor, Shard

from voxpool.distributed.exchange import exchange, give_back
from voxpool.distributed.halo import NO_ROWS, Halo, shards
from voxpool.distributed.placing import Place, group_of, placed

Rows = tuple[tuple[int, tuple[int, int]], ...]


def halo_exchange(input: DTensor, rows: Mapping[int, tuple[int, int]]) -> Tensor:
    """The local shard of `input` with so many rows of its neighbours in front of it and behind it.

    For layers that know nothing of shards. A convolution with kernel 3, stride 1 and padding 1 of a volume sharded
    along D, for instance, is on every rank ``F.conv3d(halo_exchange(x, {2: (1, 1)}), weight, padding=(0, 1, 1))``.

    Args:
        input: a DTensor in Shard and Replicate, each dimension sharded over one dimension of the mesh at most; shards
            are those of torch.chunk, as DTensor's always are.
        rows: for each dimension how many rows in front and behind, also more than a neighbour has. Outside the volume
            they are zero. Ranks without rows of their own get none.

    Returns: a plain tensor; every rank of the mesh has to make the call. Differentiable any number of times: the
    gradients of rows that other ranks own are added to theirs, in the order of the ranks, so that each call gives the
    same sums. A replicated dimension is extended by zeros alone.

    Raises ValueError for other placements, dimensions that do not exist, negative numbers of rows, and on ranks that
    are not part of the mesh.
    """
    extents = tuple((dim % max(input.dim(), 1), (int(a), int(b))) for dim, (a, b) in sorted(rows.items()))
    if any(not -input.dim() <= dim < input.dim() for dim in rows) or any(n < 0 for _, pair in extents for n in pair):
        raise ValueError(f"halo_exchange: expected dimensions of the input and numbers of rows, but got {dict(rows)}")
    if input.device_mesh.get_coordinate() is None:
        raise ValueError("halo_exchange: this rank is not part of the mesh of the input")
    dims = [placement.dim if type(placement) is Shard else None for placement in input.placements]
    plain = all(type(p) is Shard or p.is_replicate() for p in input.placements)
    if not plain or any(dims.count(dim) > 1 for dim in dims if dim is not None):
        raise ValueError(
            "halo_exchange: expected Shard and Replicate, each dimension sharded at most once, "
            f"but got {input.placements}"
        )
    return _Extend.apply(input, extents)  # type: ignore[no-untyped-call, no-any-return]


class _Extend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, input: DTensor, extents: Rows) -> Tensor:
        local, place = placed(input)
        ctx.size, ctx.strides, ctx.place, ctx.extents = input.shape, input.stride(), place, extents
        for dim, (before, after) in extents:
            halo, part, group = _halo(place, input.shape[dim], local, dim, before, after)
            if group is not None:
                (local,) = exchange([local], halo, part, dim, group)
            if halo.owned[part]:
                local = F.pad(local, _pads(local.dim(), dim, _outside(halo, part, before, after)))
        return local.clone() if local is input.to_local() else local

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, None]:
        return _Shrink.apply(gradient, ctx.size, ctx.strides, ctx.place, ctx.extents), None  # type: ignore[no-untyped-call]


class _Shrink(torch.autograd.Function):
    """The transpose of _Extend."""

    @staticmethod
    def forward(ctx: Any, local: Tensor, size: torch.Size, strides: Any, place: Place, extents: Rows) -> DTensor:
        ctx.place, ctx.extents = place, extents
        for dim, (before, after) in reversed(extents):
            halo, part, group = _halo(place, size[dim], local, dim, before, after)
            if halo.owned[part]:
                front, back = _outside(halo, part, before, after)
                local = local.narrow(dim, front, local.shape[dim] - front - back)
            if group is not None:
                local = give_back(local, halo, part, dim, group)
        return DTensor.from_local(local, place.mesh, place.placements, run_check=False, shape=size, stride=strides)

    @staticmethod
    def backward(ctx: Any, gradient: DTensor) -> tuple[Any, None, None, None, None]:
        if gradient.placements != ctx.place.placements:
            gradient = gradient.redistribute(placements=ctx.place.placements)
        return _Extend.apply(gradient, ctx.extents), None, None, None, None  # type: ignore[no-untyped-call]


def _halo(place: Place, size: int, local: Tensor, dim: int, before: int, after: int) -> tuple[Halo, int, Any]:
    mesh_dim = place.mesh_dim(dim)
    if mesh_dim is None:
        return Halo((range(size),), (range(size),)), 0, None
    owned = shards(size, place.mesh.size(mesh_dim))
    needed = tuple(range(max(o.start - before, 0), min(o.stop + after, size)) if o else NO_ROWS for o in owned)
    return Halo(owned, needed), place.coordinate[mesh_dim], group_of(place.mesh, mesh_dim, local)


def _outside(halo: Halo, part: int, before: int, after: int) -> tuple[int, int]:
    """Rows of the extent that lie outside the volume."""
    owned, needed = halo.owned[part], halo.needed[part]
    return before - (owned.start - needed.start), after - (needed.stop - owned.stop)


def _pads(ndim: int, dim: int, pads: tuple[int, int]) -> list[int]:
    return [0, 0] * (ndim - 1 - dim) + list(pads)
