"""Tells DTensor what to do with voxpool's operators.

DTensor's own rules (torch.distributed.tensor.experimental.register_sharding) choose placements and then call the
operator on the shards as they are. An operator that needs rows of its neighbours is not within their reach, so all of
them are handled here, below autograd, by the table in which torch keeps convolutions.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch._ops import OpOverload
from torch.distributed.tensor import DTensor, Shard

from voxpool import functional
from voxpool.distributed import pooling, unpooling

_OPS = torch.ops.voxpool
_HANDLERS: dict[Any, Callable[..., Any]] = {
    _OPS.max_pool3d: pooling.max_pool,
    _OPS._max_pool3d_relu: pooling.max_pool,
    _OPS._max_pool3d_taps: pooling.max_pool,
    _OPS._max_pool3d_relu_taps: pooling.max_pool,
    _OPS.max_pool3d_with_indices: pooling.max_pool,
    _OPS._max_pool3d_indices: pooling.indices,
    _OPS._max_pool3d_gather: pooling.gather,
    _OPS._max_pool3d_backward: pooling.backward,
    _OPS._max_unpool3d: unpooling.unpool,
    _OPS._max_unpool3d_gather: unpooling.unpool,
}


def register() -> None:
    """Enters the table above into DTensor's dispatcher; twice is as good as once."""
    functional.CALLERS[DTensor] = _call
    handlers = DTensor._op_dispatcher._custom_op_handlers
    for packet, handler in _HANDLERS.items():
        handlers[packet.default] = partial(_run, handler)


def _run(handler: Callable[..., Any], op: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    with torch.no_grad():  # derivatives are the operators' own, which brought us here
        return handler(op, *args, **kwargs)


def _call(dims: int, operator: Any, input: DTensor, *arguments: Any) -> Any:
    """The operator, outside of the graph that torch.compile may be recording if ranks have to exchange rows."""
    for placement in input.placements:
        if isinstance(placement, Shard) and placement.dim >= input.dim() - dims:
            return _outside_of_graphs(operator, input, *arguments)
    return operator(input, *arguments)


@torch.compiler.disable(reason="voxpool.distributed exchanges rows with other ranks")  # type: ignore[no-untyped-call, untyped-decorator]
def _outside_of_graphs(operator: Any, input: DTensor, *arguments: Any) -> Any:
    return operator(input, *arguments)
