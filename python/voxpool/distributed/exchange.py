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

from voxpool.distributed.halo import NO_ROWS, Halo, overlap


def exchange(tensors: list[Tensor], halo: Halo, part: int, dim: int, group: ProcessGroup) -> list[Tensor]:
    """Turns the rows ``halo.owned[part]`` of each tensor, along `dim`, into the rows ``halo.needed[part]``.

    Tensors may differ in dtype and in everything but the rows along `dim`. Returns views where a rank owns all it
    needs, copies in the memory format of the tensor where it does not.
    """
    exchange = Exchange(tensors, halo, part, dim, group)
    exchange.wait()
    return exchange.rows(halo.needed[part])


class Exchange:
    """An exchange under way: begun when it is made, and to be waited for, also by those who need nothing of it."""

    def __init__(self, tensors: list[Tensor], halo: Halo, part: int, dim: int, group: ProcessGroup) -> None:
        self._tensors, self._dim, self._owned = tensors, dim, halo.owned[part]
        self._arriving = None if halo.is_local else _Arriving(tensors, halo, part, dim, group)
        self._pieces: list[tuple[range, list[Tensor]]] = []

    def wait(self) -> None:
        """Returns when what other parts own has come."""
        if self._arriving is not None:
            self._pieces = self._arriving.pieces()

    def rows(self, wanted: range) -> list[Tensor]:
        """Any of the needed rows of each tensor; before :meth:`wait` only owned ones."""
        own = overlap(self._owned, wanted)
        if len(own) == len(wanted):
            return [_rows(tensor, self._dim, self._owned, wanted) for tensor in self._tensors]
        results = [_empty(tensor, self._dim, len(wanted)) for tensor in self._tensors]
        for present, values in [(self._owned, self._tensors), *self._pieces]:
            common = overlap(present, wanted)
            if common:
                for result, value in zip(results, values, strict=True):
                    _rows(result, self._dim, wanted, common).copy_(_rows(value, self._dim, present, common))
        return results


def give_back(tensor: Tensor, halo: Halo, part: int, dim: int, group: ProcessGroup) -> Tensor:
    """The transpose of :func:`exchange`: from the rows ``halo.needed[part]`` to the rows ``halo.owned[part]``.

    A row is the sum of what all who needed it have for it, in ascending order of their parts.
    """
    back = halo.reverse
    pieces = [] if halo.is_local else _Arriving([tensor], back, part, dim, group).pieces()
    own = halo.sent(part, part)
    pieces.append((own, [_rows(tensor, dim, halo.needed[part], own)]))
    result = _empty(tensor, dim, len(halo.owned[part])).zero_()
    for rows, (value,) in sorted(pieces, key=lambda piece: piece[0].start):
        _rows(result, dim, halo.owned[part], rows).add_(value)
    return result


class _Arriving:
    """What the other parts send to this one, after it has given them what they need."""

    def __init__(self, tensors: list[Tensor], halo: Halo, part: int, dim: int, group: ProcessGroup) -> None:
        if isinstance(tensors[0], FakeTensor):
            # The compiler drops or repeats a collective whose result a rank does not need; the others wait for ever.
            raise NotImplementedError(
                "voxpool.distributed: the exchange of a halo cannot be compiled; compile without fullgraph=True, and "
                "call the functions or modules of voxpool, which leave the graph for it"
            )
        parts = range(len(halo.owned))
        self._tensors, self._dim = tensors, dim
        self._incoming = [halo.sent(other, part) if other != part else NO_ROWS for other in parts]
        outgoing = [halo.sent(part, other) if other != part else NO_ROWS for other in parts]
        row_bytes = sum(tensor.element_size() * prod(_shape(tensor, dim, 1)) for tensor in tensors)
        packed = [_bytes(_rows(t, dim, halo.owned[part], rows)) for rows in outgoing if rows for t in tensors]
        self._bytes = all_to_all_single(
            torch.cat(packed) if packed else torch.empty(0, dtype=torch.uint8, device=tensors[0].device),
            [row_bytes * len(rows) for rows in self._incoming],
            [row_bytes * len(rows) for rows in outgoing],
            group,
        )

    def pieces(self) -> list[tuple[range, list[Tensor]]]:
        """Waits; the rows of each part that has sent some, and those rows of each tensor. In the order of the parts."""
        arrived = self._bytes.wait() if isinstance(self._bytes, AsyncCollectiveTensor) else self._bytes
        pieces = []
        position = 0
        for rows in filter(None, self._incoming):
            values = []
            for tensor in self._tensors:
                shape = _shape(tensor, self._dim, len(rows))
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
