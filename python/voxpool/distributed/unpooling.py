"""Unpooling of DTensors: batch and channels stay sharded; of spatial axes every rank gets the whole.

An index may point anywhere in the volume, so there is no halo that would be enough.
"""

from typing import Any

from torch._ops import OpOverload
from torch.distributed.tensor import DTensor

from voxpool.distributed.placing import meta_results, place_like, placed


def unpool(op: OpOverload, values: DTensor, indices: DTensor, *arguments: Any) -> Any:
    """Every element at its index, or the elements at the indices: both take the two tensors first."""
    metas = meta_results(op, values, indices, *arguments)
    local, place = placed(indices, spatial_shards=False)
    local_values = place_like(values, place)
    results = place.empty(metas, local_values)
    if results[0].numel():
        results = [op(local_values, local, *arguments)]
    return place.distribute(results, metas)
