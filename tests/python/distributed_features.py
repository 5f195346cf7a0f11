"""What tests/python/test_distributed_features.py runs in 4 processes: each way to a pooling that a user has."""

from datetime import timedelta

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard
from torch.nn.parallel import DistributedDataParallel

import voxpool
import voxpool.distributed
from distributed_cases import Sent, assert_shard, mesh_of, shard
from support import FLOATING, INTEGERS, assert_same, channels_last, special, ties

TIMEOUT = timedelta(seconds=60)
COUNT = 4
D, H, W, WHOLE = Shard(2), Shard(3), Shard(4), Replicate()
WINDOW = (3, 2, 1)


def both(size, placements, mesh_shape=(COUNT,), values=ties, dtype=torch.float32):
    x = values(size, dtype)
    return x, shard(x, mesh_of(mesh_shape), placements)


def check_every_dtype():
    for dtype in (*FLOATING, *INTEGERS):
        x, sharded = both((1, 2, 9, 6, 5), [D], values=special, dtype=dtype)
        assert_shard(voxpool.max_pool3d(sharded, *WINDOW), voxpool.max_pool3d(x, *WINDOW), [D])


def check_gradients_of_16_bits():
    for dtype in (torch.float16, torch.bfloat16):
        x, sharded = both((1, 2, 9, 6, 5), [D], dtype=dtype)
        for tensor in (x.requires_grad_(), sharded.requires_grad_()):
            output = voxpool.max_pool3d(tensor, *WINDOW)
            (output * output).sum().backward()
        assert_shard(sharded.grad, x.grad, [D])


def check_fewer_axes():
    for pool, size, placements in (
        (voxpool.max_pool1d, (2, 3, 21), [Shard(2)]),
        (voxpool.max_pool1d, (3, 21), [Shard(1)]),
        (voxpool.max_pool2d, (2, 3, 13, 9), [Shard(2)]),
        (voxpool.max_pool2d, (2, 3, 13, 9), [Shard(3)]),
        (voxpool.max_pool2d, (3, 13, 9), [Shard(1)]),
        (voxpool.max_pool3d, (3, 13, 9, 8), [Shard(1)]),
        (voxpool.max_pool3d, (3, 13, 9, 8), [Shard(0)]),
    ):
        for window in (WINDOW, (3, 2, "same")):
            x, sharded = both(size, placements)
            expected = pool(x.requires_grad_(), *window, return_indices=True)
            actual = pool(sharded.requires_grad_(), *window, return_indices=True)
            for one, other in zip(actual, expected, strict=True):
                assert_shard(one.detach(), other.detach(), placements)
            for tensor, output in ((x, expected[0]), (sharded, actual[0])):
                (output * output).sum().backward()
                assert tensor.grad is not None
            assert_shard(sharded.grad, x.grad, placements)


def check_channels_last():
    x, _ = both((2, 5, 12, 9, 8), [D])
    x = channels_last(x)
    mesh = mesh_of((COUNT,))
    local = channels_last(x.chunk(COUNT, 2)[dist.get_rank()])
    sharded = DTensor.from_local(local, mesh, [D], shape=x.shape, stride=x.stride())
    expected, output = voxpool.max_pool3d(x, *WINDOW), voxpool.max_pool3d(sharded, *WINDOW)
    assert output.stride() == expected.stride()
    local = output.to_local()
    assert local.is_contiguous(memory_format=torch.channels_last_3d) == (local.numel() > 0)
    assert_shard(output, expected, [D])


def check_modules():
    x, sharded = both((1, 2, 12, 9, 8), [D], values=special)
    relu = voxpool.nn.MaxPool3d(*WINDOW, relu=True)
    assert_shard(relu(sharded), relu(x), [D])
    net = voxpool.convert_max_pool(nn.Sequential(nn.ReLU(), nn.MaxPool3d(3, 2, 1), nn.MaxPool3d(2, ceil_mode=True)))
    assert_shard(net(sharded), net(x), [D])
    with torch.inference_mode():
        _, fresh = both((1, 2, 12, 9, 8), [D])
        expected = fresh.full_tensor()
        assert_shard(net(fresh), net(expected), [D])
        flat, images = both((2, 3, 13, 9), [Shard(2)])
        assert_shard(voxpool.max_pool2d(images, 3, 2, "same"), voxpool.max_pool2d(flat, 3, 2, "same"), [Shard(2)])


def check_sums_are_reduced_first():
    mesh = mesh_of((2, 2))
    x = ties((1, 2, 9, 6, 5), torch.float32)
    own = x * (dist.get_rank() + 1)
    rank = mesh.get_local_rank(0)
    partial = DTensor.from_local(own.chunk(2, 2)[rank], mesh, [D, Partial()], shape=x.shape, stride=x.stride())
    total = sum(x[:, :, part * 5 : part * 5 + 5] * n for part in range(1) for n in (1, 2))
    total = torch.cat([total, x[:, :, 5:] * 7], 2)
    assert_shard(voxpool.max_pool3d(partial, *WINDOW), voxpool.max_pool3d(total, *WINDOW), [D, WHOLE])


def check_gradients_in_other_placements():
    x, sharded = both((1, 2, 9, 6, 5), [D, W], (2, 2))
    weight = torch.randn_like(voxpool.max_pool3d(x, *WINDOW))
    (voxpool.max_pool3d(x.requires_grad_(), *WINDOW) * weight).sum().backward()
    output = voxpool.max_pool3d(sharded.requires_grad_(), *WINDOW)
    (output.full_tensor() * weight).sum().backward()
    assert_shard(sharded.grad, x.grad, [D, W])


def check_ranks_outside_the_mesh():
    mesh = DeviceMesh("cpu", [0, 1, 2])
    x = ties((1, 2, 9, 6, 5), torch.float32)
    sharded = shard(x, mesh, [D]).requires_grad_()
    output = voxpool.max_pool3d(sharded, *WINDOW)
    assert output.shape == (1, 2, 5, 3, 3)
    (gradient,) = torch.autograd.grad(output, sharded, torch.ones_like(output))
    if dist.get_rank() == 3:
        assert output.to_local().numel() == gradient.to_local().numel() == 0
        assert "not part of the mesh" in voxpool.explain(sharded, *WINDOW)
        with pytest.raises(ValueError, match="not part of the mesh"):
            voxpool.distributed.halo_exchange(sharded, {2: (1, 1)})
    else:
        assert_shard(output.detach(), voxpool.max_pool3d(x, *WINDOW), [D])


def check_meshes_in_another_order_are_refused_on_every_rank():
    x = shard(torch.randn(1, 2, 9, 6, 5), DeviceMesh("cpu", [0, 2, 1, 3]), [D])
    with pytest.raises(NotImplementedError, match="ranks ascend"):
        voxpool.max_pool3d(x, *WINDOW)
    with pytest.raises(NotImplementedError, match="ranks ascend"):
        voxpool.distributed.halo_exchange(x, {2: (1, 1)})


def check_unpooling():
    x, sharded = both((2, 4, 8, 6, 4), [Shard(1)])
    for given, wanted in (([Shard(1)], [Shard(1)]), ([D], [D])):
        sharded = shard(x, mesh_of((COUNT,)), given)
        output, indices = voxpool.max_pool3d(sharded.requires_grad_(), 2, return_indices=True)
        result = voxpool.max_unpool3d(output, indices, 2)
        expected_output, expected_indices = voxpool.max_pool3d(x.detach().requires_grad_(), 2, return_indices=True)
        expected = voxpool.max_unpool3d(expected_output, expected_indices, 2)
        assert_shard(result.detach(), expected.detach(), wanted)
        for top, bottom in ((result, output), (expected, expected_output)):
            bottom.retain_grad()
            (top * top).sum().backward()
        assert_shard(output.grad, expected_output.grad, wanted)


def check_errors_come_on_every_rank_before_anything_is_sent():
    x, sharded = both((1, 2, 3, 6, 5), [D])
    with Sent() as sent:
        for arguments, sentence in (
            ((5, 1), "Output size is too small"),
            ((3, 0), "stride"),
            ((3, 1, 2), "pad should be at most half"),
        ):
            with pytest.raises(RuntimeError, match=sentence) as error:
                voxpool.max_pool3d(sharded, *arguments)
            with pytest.raises(RuntimeError) as expected:
                voxpool.max_pool3d(x, *arguments)
            assert str(error.value).splitlines()[0] == str(expected.value).splitlines()[0]
        with pytest.raises(NotImplementedError, match="Bool"):
            voxpool.max_pool3d(shard(x > 0, mesh_of((COUNT,)), [D]), *WINDOW)
        _, taps = torch.ops.voxpool._max_pool3d_taps(x, 2)
        output = shard(voxpool.max_pool3d(x, 2), mesh_of((COUNT,)), [D])
        with pytest.raises(RuntimeError, match="among DTensors"):
            torch.ops.voxpool._max_pool3d_backward(output, taps, x.shape, 2)
    assert sent.bytes == []


def check_explanation():
    _, sharded = both((1, 2, 16, 8, 8), [D])
    rank = dist.get_rank()
    with Sent() as sent:
        text = voxpool.explain(sharded, *WINDOW, requires_grad=True)
        aligned = voxpool.explain(sharded, 2)
        assert "along d" in voxpool.explain(sharded, 3, 2, "same")
    assert sent.bytes == []
    plane = 2 * 8 * 8 * 4
    assert f"forward: {plane * (rank < 3)} bytes sent, {plane * (rank > 0)} bytes received" in text
    if rank == 2:
        assert "along d: owns rows 8:12, needs 7:12; receives from part 1, sends to part 3" in text
        assert "backward: 160 bytes sent, 160 bytes received" in text  # 2 planes of 4 × 4 gradients and taps
    assert "forward: nothing is exchanged" in aligned
    assert voxpool.explain(torch.empty(1, 2, 4, 8, 8, device="meta"), 2) in aligned


def check_convolution_with_rows_of_the_neighbours():
    x, sharded = both((1, 2, 11, 6, 8), [D, W], (2, 2), dtype=torch.float64)
    weight, factor = torch.randn(3, 2, 5, 3, 3, dtype=torch.float64), torch.randn(1, 2, 11, 6, 8, dtype=torch.float64)
    gradients = []
    expected = F.conv3d(x.requires_grad_(), weight, padding=(2, 1, 1))
    extended = voxpool.distributed.halo_exchange(sharded.requires_grad_(), {2: (2, 2), -1: (1, 1)})
    actual = F.conv3d(extended, weight, padding=(0, 1, 0))
    local = shard(expected.detach(), mesh_of((2, 2)), [D, W]).to_local()
    torch.testing.assert_close(actual.detach(), local)
    for output, leaf, other in ((expected, x, factor), (actual, sharded, shard(factor, mesh_of((2, 2)), [D, W]))):
        (first,) = torch.autograd.grad((output**3).sum(), leaf, create_graph=True)
        (second,) = torch.autograd.grad(first, leaf, other)
        gradients.append((first.detach(), second.detach()))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(other.full_tensor(), one)
    for rows in ({7: (1, 1)}, {2: (-1, 0)}):
        with pytest.raises(ValueError, match="expected dimensions"):
            voxpool.distributed.halo_exchange(sharded, rows)
    with pytest.raises(ValueError, match="sharded at most once"):
        voxpool.distributed.halo_exchange(shard(factor, mesh_of((2, 2)), [D, D]), {2: (1, 1)})


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv3d(1, 4, 3, padding=1), nn.Conv3d(4, 4, 3, padding=1)
        self.pool = voxpool.nn.MaxPool3d(3, 2, 1)

    def forward(self, x):
        return self.pool(self.second(self.pool(self.first(x)))).mean((1, 2, 3, 4))


def check_data_parallel_models():
    x = torch.randn(COUNT, 1, 12, 10, 8)
    torch.manual_seed(1)
    plain = Net()
    plain(x).sum().backward()
    expected = {name: parameter.grad / COUNT for name, parameter in plain.named_parameters()}
    for wrap in (DistributedDataParallel, lambda net: fully_shard(net, mesh=mesh_of((COUNT,)))):
        torch.manual_seed(1)
        net = wrap(Net())
        net(x[dist.get_rank()][None]).sum().backward()
        for name, parameter in net.named_parameters():
            gradient = parameter.grad.full_tensor() if isinstance(parameter.grad, DTensor) else parameter.grad
            torch.testing.assert_close(gradient, expected[name.removeprefix("module.")])


def check_compiled_functions():
    """In one graph where nobody exchanges rows, and else in two, with the pooling between them."""
    net = nn.Sequential(nn.ReLU(), voxpool.nn.MaxPool3d(*WINDOW), nn.Tanh())
    for placements, fullgraph in (([Shard(0)], True), ([D], False)):
        x, sharded = both((COUNT, 2, 9, 6, 5), placements)
        expected = net(x.requires_grad_())
        output = torch.compile(net, backend="aot_eager", fullgraph=fullgraph)(sharded.requires_grad_())
        assert_shard(output.detach(), expected.detach(), placements)
        for tensor in (output, expected):
            (tensor * tensor).sum().backward()
        assert_shard(sharded.grad, x.grad, placements)
    operator = torch.compile(lambda x: torch.ops.voxpool.max_pool3d(x, 3, 1), backend="aot_eager", fullgraph=True)
    for compiled in (torch.compile(net, backend="aot_eager", fullgraph=True), operator):
        with pytest.raises(Exception, match=r"voxpool\.distributed"):
            compiled(sharded.detach())


def check_tensors_that_are_not_sharded_stay_as_they_are():
    x = torch.randn(1, 2, 9, 6, 5)
    with Sent() as sent:
        assert type(voxpool.max_pool3d(x, *WINDOW)) is torch.Tensor
        _, batch = both((COUNT, 4, 9, 6, 5), [Shard(0), Shard(1)], (2, 2))
        assert_same(voxpool.max_pool3d(batch, 3, 1, 1).to_local(), voxpool.max_pool3d(batch.to_local(), 3, 1, 1))
    assert sent.bytes == []


CHECKS = {name.removeprefix("check_"): check for name, check in list(globals().items()) if name.startswith("check_")}
LAUNCHES = {"features": (COUNT, CHECKS)}
