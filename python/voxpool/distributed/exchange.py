"""Moves the rows of a halo between the ranks of a process group: one all-to-all for each sharded axis.

Tensors travel together and as bytes, so that one message goes from one rank to another and every dtype can travel.
Ranks that need nothing of each other send nothing. All ranks of the group have to make the same calls with the same
halo; where nobody needs anything, none is made. Nothing here is differentiable.
"""

from math import prod

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.distributed import ProcessGroup
from torch.distributed._functional_collectives import AsyncCollectiveTensor, all_to_all_single

from voxpool.distributed.halo import NO_ROWS, Halo


def exchange(tensors: list[Tensor], halo: Halo, part: int, dim: int, group: ProcessGroup) -> list[Tensor]:
    """Turns the rows ``halo.owned[part]`` of each tensor, along `dim`, into the rows ``halo.needed[part]``.

    Tensors may differ in dtype and in everything but the rows along `dim`. Returns views where a rank owns all it
    needs, copies in the memory format of the tensor where it does not.
    """
    owned, needed = halo.owned[part], halo.needed[part]
    pieces = [] if halo.is_local else _send(tensors, halo, part, dim, group)
    own = halo.sent(part, part)
    if len(own) == len(needed):
        return [_rows(tensor, dim, owned, needed) for tensor in tensors]
    results = [_empty(tensor, dim, len(needed)) for tensor in tensors]
    pieces.append((own, [_rows(tensor, dim, owned, own) for tensor in tensors]))
    for rows, values in pieces:
        for result, value in zip(results, values, strict=True):
            _rows(result, dim, needed, rows).copy_(value)
    return results


def give_back(tensor: Tensor, halo: Halo, part: int, dim: int, group: ProcessGroup) -> Tensor:
    """The transpose of :func:`exchange`: from the rows ``halo.needed[part]`` to the rows ``halo.owned[part]``.

    A row is the sum of what all who needed it have for it, in ascending order of their parts.
    """
    back = halo.reverse
    pieces = [] if halo.is_local else _send([tensor], back, part, dim, group)
    own = halo.sent(part, part)
    pieces.append((own, [_rows(tensor, dim, halo.needed[part], own)]))
    result = _empty(tensor, dim, len(halo.owned[part])).zero_()
    for rows, (value,) in sorted(pieces, key=lambda piece: piece[0].start):
        _rows(result, dim, halo.owned[part], rows).add_(value)
    return result


def _send(
    tensors: list[Tensor], halo: Halo, part: int, dim: int, group: ProcessGroup
) -> list[tuple[range, list[Tensor]]]:
    """Gives the other parts what they need, and returns what came from each: its rows, and those rows of each tensor.

    In ascending order of the parts.
    """
    if isinstance(tensors[0], FakeTensor):
        # The compiler drops or repeats a collective whose result a rank does not need, and the others wait for ever.
        raise NotImplementedError(
            "voxpool.distributed: the exchange of a halo cannot be compiled; compile without fullgraph=True, and call "
            "the functions or modules of voxpool, which leave the graph for it"
        )
    parts = range(len(halo.owned))
    incoming = [halo.sent(other, part) if other != part else NO_ROWS for other in parts]
    outgoing = [halo.sent(part, other) if other != part else NO_ROWS for other in parts]
    row_bytes = sum(tensor.element_size() * prod(_shape(tensor, dim, 1)) for tensor in tensors)
    packed = [_bytes(_rows(t, dim, halo.owned[part], rows)) for rows in outgoing if rows for t in tensors]
    arrived = all_to_all_single(
        torch.cat(packed) if packed else torch.empty(0, dtype=torch.uint8, device=tensors[0].device),
        [row_bytes * len(rows) for rows in incoming],
        [row_bytes * len(rows) for rows in outgoing],
        group,
    )
    if isinstance(arrived, AsyncCollectiveTensor):
        arrived = arrived.wait()
    pieces = []
    position = 0
    for rows in filter(None, incoming):
        values = []
        for tensor in tensors:
            shape = _shape(tensor, dim, len(rows))
            size = tensor.element_size() * prod(shape)
            # A copy begins at an address that any dtype may have.
            values.append(arrived.narrow(0, position, size).clone().view(tensor.dtype).view(shape))
            position += size
        pieces.append((rows, values))
    return pieces


def _shape(tensor: Tensor, dim: int, rows: int) -> list[int]:
    return [*tensor.shape[:dim], rows, *tensor.shape[dim + 1 :]]


def _rows(tensor: Tensor, dim: int, present: range, rows: range) -> Tensor:
    """The given ones of the rows that are present, as a view."""
    if len(rows) == len(present):
        return tensor
    return tensor.narrow(dim, rows.start - present.start if rows else 0, len(rows))


def _bytes(tensor: Tensor) -> Tensor:
    # A clone has the strides of its sizes; a view of one element may have any.
    return tensor.clone(memory_format=torch.contiguous_format).view(-1).view(torch.uint8)


def _empty(like: Tensor, dim: int, rows: int) -> Tensor:
    """Memory for another number of rows, with the channels innermost where `like` has them there."""
    channels_last = like.dim() == 5 and like.is_contiguous(memory_format=torch.channels_last_3d)
    memory_format = torch.channels_last_3d if channels_last and not like.is_contiguous() else torch.contiguous_format
    return torch.empty(_shape(like, dim, rows), dtype=like.dtype, device=like.device, memory_format=memory_format)
