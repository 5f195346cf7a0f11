"""Poolings of volumes larger than one machine: ``import voxpool.distributed`` and give them a DTensor.

From then on all functions, modules and operators of voxpool take ``torch.distributed.tensor.DTensor``, also sharded
along D, H and W, over meshes of any number of dimensions and with any window; results, indices and gradients are those
of one process, bit for bit, and come in the placements of the input. Ranks exchange the rows that their windows need
and no others; windows that do not overlap and fit the shards exchange nothing.

The page next to this file (README.md) says who owns which output, what is exchanged when, and what it costs.
"""

from torch.distributed.tensor import DTensor

from voxpool import planning
from voxpool.distributed.cost import Cost, Traffic, cost
from voxpool.distributed.explaining import explain
from voxpool.distributed.extending import halo_exchange
from voxpool.distributed.rules import register

__all__ = ["Cost", "Traffic", "cost", "halo_exchange"]

register()
planning.EXPLAINERS[DTensor] = explain
