"""What tests/python/test_distributed.py runs in 2, 4 and 8 processes: each geometry sharded in each way.

A check compares the shard of this process with that of the result of one process, bit for bit.
"""

import itertools
from datetime import timedelta
from functools import cache, partial
from typing import NamedTuple

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

import voxpool
import voxpool.distributed
from support import assert_same, special, ties
from voxpool.distributed import exchange
from voxpool.distributed.cost import cost

TIMEOUT = timedelta(seconds=100)
PAIRS = ((0, 2), (1, 0), (2, 1))


class Geometry(NamedTuple):
    size: tuple[int, ...]
    kernel: int | tuple[int, ...]
    stride: int | tuple[int, ...] | None = None
    padding: object = 0
    dilation: int | tuple[int, ...] = 1
    ceil_mode: bool = False

    @property
    def window(self) -> tuple:
        return self[1:]


GEOMETRIES = {
    "aligned": Geometry((2, 3, 16, 8, 16), 2),
    "halo in front": Geometry((2, 3, 16, 9, 8), 3, 2, 1),
    "halo on both sides": Geometry((2, 3, 9, 8, 10), 3, 1, 1),
    "wide": Geometry((1, 2, 12, 9, 8), 5, 1, 2),
    "over several neighbours": Geometry((1, 2, 8, 8, 8), 7, 1, 3),
    "misaligned": Geometry((1, 3, 17, 13, 11), 3),
    "same": Geometry((2, 2, 10, 9, 11), 3, 2, "same"),
    "same, wide": Geometry((1, 2, 9, 8, 9), (4, 5, 2), 1, "same", (1, 1, 3)),
    "pairs": Geometry((1, 3, 10, 9, 8), 3, 2, PAIRS),
    "dilated": Geometry((1, 2, 13, 12, 11), 3, 2, 1, 2),
    "ceil": Geometry((1, 2, 11, 10, 9), 3, 2, 1, 1, True),
    "gaps between windows": Geometry((1, 2, 22, 14, 16), 2, (5, 4, 3)),
    "one axis": Geometry((1, 4, 9, 9, 9), (1, 3, 1), (1, 2, 1), (0, 1, 0)),
    "fewer rows than processes": Geometry((2, 2, 3, 3, 2), 2, 1, 1),
    "one output": Geometry((1, 2, 5, 4, 5), (5, 4, 5)),
    "windows without a tap": Geometry((1, 2, 2, 2, 2), 2, 1, 1, 3),
    "many taps": Geometry((1, 1, 8, 9, 10), (6, 7, 7), 2, (3, 3, 3)),
}
D, H, W = Shard(2), Shard(3), Shard(4)
BATCH, CHANNELS, WHOLE = Shard(0), Shard(1), Replicate()
SHARDINGS = {
    2: [((2,), (p,)) for p in (D, H, W, BATCH, CHANNELS, WHOLE)],
    4: [
        ((4,), (D,)),
        ((4,), (BATCH,)),
        *(((2, 2), p) for p in ((D, H), (W, D), (BATCH, H), (WHOLE, D), (D, D), (CHANNELS, BATCH))),
    ],
    8: [
        ((8,), (D,)),
        ((8,), (W,)),
        ((2, 4), (H, D)),
        ((2, 2, 2), (D, H, W)),
        ((2, 2, 2), (BATCH, W, WHOLE)),
    ],
}
NAMES = {"D": D, "H": H, "W": W, "N": BATCH, "C": CHANNELS, "-": WHOLE}


@cache
def mesh_of(shape):
    return init_device_mesh("cpu", shape)


def shard(tensor, mesh, placements):
    """Every process takes its own part of what all of them know."""
    return distribute_tensor(tensor, mesh, placements, src_data_rank=None)


def assert_shard(actual, expected, placements):
    """A DTensor of `placements` whose shard here is that of `expected`."""
    assert isinstance(actual, DTensor)
    assert actual.placements == tuple(placements)
    assert actual.shape == expected.shape
    assert_same(actual.to_local(), shard(expected, actual.device_mesh, placements).to_local(), strides=False)


def derivatives(x, gradient, tangent, window):
    """Maxima, positions, gradient, and the derivative of the gradient."""
    x, gradient = x.detach().requires_grad_(), gradient.detach().requires_grad_()
    output, indices = voxpool.max_pool3d(x, *window, return_indices=True)
    (first,) = torch.autograd.grad(output, x, gradient, create_graph=True)
    (second,) = torch.autograd.grad(first, gradient, tangent)
    return output, indices, first, second


class Sent:
    """Counts what this process gives to others while it is entered."""

    def __enter__(self):
        self.bytes = []
        self._original = exchange.all_to_all_single

        def counted(buffer, incoming, outgoing, group):
            assert len(buffer) == sum(outgoing)
            assert outgoing[group.rank()] == 0
            self.bytes.append(len(buffer))
            return self._original(buffer, incoming, outgoing, group)

        exchange.all_to_all_single = counted
        return self

    def __exit__(self, *_):
        exchange.all_to_all_single = self._original


def predicted(geometry, mesh, placements, x):
    parts, coordinate = [1, 1, 1], [0, 0, 0]
    for dim, placement in enumerate(placements):
        if placement.is_shard() and placement.dim >= 2:
            parts[placement.dim - 2] = mesh.size(dim)
            coordinate[placement.dim - 2] = mesh.get_local_rank(dim)
    planes = x.to_local().shape[0] * x.to_local().shape[1]
    return cost(geometry.size[2:], parts, coordinate, *geometry.window, planes=planes, itemsize=x.element_size())


def check_pooling(geometry, shape, placements, dtype, values):
    mesh = mesh_of(shape)
    x = values(geometry.size, dtype)
    expected_output = voxpool.max_pool3d(x, *geometry.window)
    gradient, tangent = torch.randn_like(expected_output), torch.randn_like(x)
    expected = derivatives(x, gradient, tangent, geometry.window)
    sharded = [shard(tensor, mesh, placements) for tensor in (x, gradient, tangent)]

    with Sent() as sent:
        output = voxpool.max_pool3d(sharded[0], *geometry.window)
    assert_shard(output, expected_output, placements)
    unique = [p for p in placements if p.is_shard() and p.dim >= 2]
    if len(set(unique)) == len(unique):
        model = predicted(geometry, mesh, placements, sharded[0])
        assert sum(sent.bytes) == model.forward.sent
        if geometry.kernel == 2 and geometry.stride is None:
            assert sent.bytes == []

    with Sent() as sent:
        actual = derivatives(*sharded, geometry.window)
    for one, other in zip(actual, expected, strict=True):
        assert_shard(one.detach(), other.detach(), placements)
    if len(set(unique)) == len(unique):
        assert sum(sent.bytes) == 2 * model.forward.sent + model.backward.sent
    without_gradient = voxpool.max_pool3d(sharded[0], *geometry.window, return_indices=True)
    for one, other in zip(without_gradient, expected, strict=False):
        assert_shard(one, other.detach(), placements)


def name_of(placements):
    return "".join(name for p in placements for name, placement in NAMES.items() if p == placement)


def checks_of(count):
    checks = {}
    kinds = itertools.cycle(((torch.float32, special), (torch.float64, ties), (torch.float32, ties)))
    for (shape, placements), (name, geometry) in itertools.product(SHARDINGS[count], GEOMETRIES.items()):
        checks[f"{name}, {name_of(placements)} on {'x'.join(map(str, shape))}"] = partial(
            check_pooling, geometry, shape, placements, *next(kinds)
        )
    return checks


LAUNCHES = {f"{count} processes": (count, checks_of(count)) for count in SHARDINGS}
