"""DTensors taken apart and put together: local shards in placements that can be pooled, results in those asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensor
from torch.distributed import ProcessGroup
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Placement, Replicate, Shard

from voxpool.distributed.halo import shards

Placements = tuple[Placement, ...]
SPATIAL = 3  # d, h and w are the last dimensions


@dataclass(frozen=True)
class Place:
    """Where this rank computes: its coordinate in the mesh, zeros if it is not a member, and the placements.

    `wanted` are the placements of the argument that leads; results come back in them, but for what was reduced.
    """

    mesh: DeviceMesh
    placements: Placements
    wanted: Placements
    coordinate: tuple[int, ...]
    is_member: bool

    def mesh_dim(self, dim: int) -> int | None:
        """The dimension of the mesh over which a dimension of the tensor is sharded."""
        return next((i for i, placement in enumerate(self.placements) if placement.is_shard(dim)), None)

    def sizes(self, shape: Sequence[int]) -> list[int]:
        """Of this rank's shard of a tensor; no rows on ranks outside the mesh."""
        if not self.is_member:
            return [0]
        sizes = [int(size) for size in shape]
        for mesh_dim, placement in enumerate(self.placements):
            if isinstance(placement, Shard):
                parts = shards(sizes[placement.dim], self.mesh.size(mesh_dim))
                sizes[placement.dim] = len(parts[self.coordinate[mesh_dim]])
        return sizes

    def empty(self, metas: Sequence[Tensor], like: Tensor) -> list[Tensor]:
        """Uninitialised local shards of tensors that are as large as these, on the device of `like`."""
        return [like.new_empty(self.sizes(meta.shape), dtype=meta.dtype) for meta in metas]

    def distribute(self, locals: Sequence[Tensor], metas: Sequence[Tensor]) -> Any:
        """One DTensor, or a tuple of them, that are as large as the meta tensors."""
        results = []
        for local, meta in zip(locals, metas, strict=True):
            result = DTensor.from_local(
                local, self.mesh, self.placements, run_check=False, shape=meta.shape, stride=tuple(meta.stride())
            )
            back = [b if isinstance(b, Shard) else a for a, b in zip(self.placements, self.wanted, strict=True)]
            results.append(_redistribute(result, back))
        return results[0] if len(results) == 1 else tuple(results)


def group_of(mesh: DeviceMesh, mesh_dim: int, tensor: Tensor) -> ProcessGroup:
    """The process group along one dimension of the mesh, in which a rank's number is its part.

    Groups sort their ranks, so that a mesh in another order has parts and numbers that differ. Every rank looks at the
    whole mesh, to raise where the others raise; not while a compiler records, which has no numbers to look at.
    """
    if not isinstance(tensor, FakeTensor) and not bool((mesh.mesh.diff(dim=mesh_dim) > 0).all()):
        raise NotImplementedError(
            f"voxpool.distributed: expected a mesh whose ranks ascend along dimension {mesh_dim}, but got {mesh}"
        )
    return mesh.get_group(mesh_dim)


def place_of(tensor: DTensor, *, spatial_shards: bool = True) -> Place:
    """The nearest placements in which an operator can work on shards.

    Partial values are reduced first: a maximum of sums is no sum of maxima. Each spatial axis may be sharded over one
    dimension of the mesh, where more shard it, the later ones get whole shards of the first; without `spatial_shards`
    over none.
    """
    placements: list[Placement] = []
    for placement in tensor.placements:
        keep = type(placement) is Shard
        if isinstance(placement, Shard) and placement.dim >= tensor.dim() - SPATIAL:
            keep = keep and spatial_shards and placement not in placements
        placements.append(placement if keep else Replicate())
    mesh = tensor.device_mesh
    coordinate = mesh.get_coordinate()
    at = (0,) * mesh.ndim if coordinate is None else tuple(coordinate)
    return Place(mesh, tuple(placements), tensor.placements, at, coordinate is not None)


def placed(tensor: DTensor, *, spatial_shards: bool = True) -> tuple[Tensor, Place]:
    """The place of a tensor, and its local shard there."""
    place = place_of(tensor, spatial_shards=spatial_shards)
    return place_like(tensor, place), place


def place_like(tensor: DTensor, place: Place) -> Tensor:
    """The local shard in the placements of the other arguments."""
    return _redistribute(tensor, place.placements).to_local()


def _redistribute(tensor: DTensor, placements: Sequence[Placement]) -> DTensor:
    if tensor.placements == tuple(placements):
        return tensor
    detached: DTensor = tensor.detach()  # type: ignore[assignment]
    return detached.redistribute(placements=placements)


def meta_results(op: OpOverload, *arguments: Any) -> list[Tensor]:
    """Meta tensors of what the operator gives for the whole tensors. Raises what it would raise for them."""
    metas = []
    for argument in arguments:
        if isinstance(argument, DTensor):
            strides = argument.stride()
            argument = torch.empty_strided(argument.shape, strides, dtype=argument.dtype, device="meta")
        elif isinstance(argument, Tensor):
            raise RuntimeError(
                f"{op}: got a {type(argument).__name__} among DTensors; distribute it like the others, or use "
                "DTensor.from_local"
            )
        metas.append(argument)
    return as_list(op(*metas))


def as_list(result: Any) -> list[Tensor]:
    """The tensors that an operator gave, one or several."""
    return [result] if isinstance(result, Tensor) else list(result)
