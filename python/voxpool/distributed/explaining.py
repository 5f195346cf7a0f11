"""voxpool.explain for a DTensor: what this rank exchanges with whom, and what its own part then runs."""

from math import prod
from typing import Any

import torch
from torch.distributed.tensor import DTensor

from voxpool import planning
from voxpool._arguments import canonical
from voxpool.distributed.cost import Traffic, tap_size, traffic_of
from voxpool.distributed.placing import SPATIAL, place_of
from voxpool.distributed.share import Share

_AXES = "dhw"


def explain(
    input: DTensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    return_indices: bool,
    requires_grad: bool,
    device: Any,
) -> str:
    """Lines for people. Communicates nothing."""
    plain = torch.empty_strided(input.shape, input.stride(), dtype=input.dtype, device="meta")
    kind = input.device.type if device is None else device
    call = (return_indices, requires_grad, kind)
    whole = planning.explain(plain, kernel_size, stride, padding, dilation, ceil_mode, *call)
    window = canonical(SPATIAL, kernel_size, stride, padding, dilation, ceil_mode)
    place = place_of(input)
    if not place.is_member:
        return "this rank is not part of the mesh"
    share = Share(place, input.shape, *window)
    local = place.sizes(input.shape)
    lines = [f"DTensor {tuple(input.shape)}, {', '.join(map(str, input.placements))}: pools {tuple(local)} here"]
    if place.placements != place.wanted:
        lines.append(f"  first redistributed to {', '.join(map(str, place.placements))}")
    planes = prod(local[:-SPATIAL])
    element, tap = planes * input.element_size(), planes * tap_size(share.plans)
    lines += _lines("forward", traffic_of(share.forward, share.parts, element), share)
    if requires_grad:
        lines += _lines("backward", traffic_of(share.backward, share.parts, element + tap), share)
    if not planes * prod(map(len, share.box.outputs)):
        return "\n".join([*lines, "no output is computed here"])
    box = torch.empty([*local[:-SPATIAL], *map(len, share.box.rows)], dtype=input.dtype, device="meta")
    if box.shape == plain.shape:
        return "\n".join([*lines, whole])
    kernel, step, pads, gaps, ceil = share.window_of(share.box)
    pairs = list(zip(pads[::2], pads[1::2], strict=True))
    return "\n".join([*lines, planning.explain(box, kernel, step, pairs, gaps, ceil, *call)])


def _lines(direction: str, traffic: Traffic, share: Share) -> list[str]:
    if not traffic.sent and not traffic.received:
        return [f"  {direction}: nothing is exchanged"]
    halos = share.forward if direction == "forward" else share.backward
    lines = [f"  {direction}: {traffic.sent} bytes sent, {traffic.received} bytes received"]
    for axis, halo, part in zip(_AXES, halos, share.parts, strict=True):
        sources, targets = halo.neighbours(part)
        if sources or targets:
            needed, owned = halo.needed[part], halo.owned[part]
            lines.append(
                f"    along {axis}: owns rows {owned.start}:{owned.stop}, needs {needed.start}:{needed.stop}; "
                f"receives from {_ranks(sources)}, sends to {_ranks(targets)}"
            )
    return lines


def _ranks(parts: list[int]) -> str:
    return "part " + ", ".join(map(str, parts)) if parts else "nobody"
