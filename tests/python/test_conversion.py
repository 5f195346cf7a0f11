"""convert_max_pool: whole models before and after, and what it must leave alone."""

import copy
import logging
from collections import OrderedDict

import pytest
import torch
from torch import nn

import voxpool


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool = nn.MaxPool3d(3, 2, 1)
        self.same_pool = self.pool
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(self.pool(x)) + self.same_pool(x)


def model():
    torch.manual_seed(0)
    return nn.Sequential(
        OrderedDict(
            stem=nn.Sequential(nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), nn.ReLU(inplace=True), nn.MaxPool3d(2)),
            middle=nn.ModuleDict({"block": Block()})["block"],
            after=nn.Sequential(nn.Conv3d(4, 4, 1), nn.MaxPool3d((1, 2, 2), ceil_mode=True), nn.ReLU()),
            head=nn.Sequential(nn.Flatten(2), nn.MaxPool1d(2), nn.Unflatten(2, (1, -1)), nn.MaxPool2d((1, 2))),
        )
    )


def step(network, x):
    output = network(x)
    network.zero_grad()
    output.square().sum().backward()
    return output, [p.grad.clone() for p in network.parameters()]


def pools(network):
    return [m for m in network.modules() if isinstance(m, (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d))]


@pytest.mark.parametrize("fuse_relu", [False, True])
def test_a_model_computes_the_same(fuse_relu):
    ours, theirs = model(), model()
    before = {name: type(m).__name__ for name, m in ours.named_modules()}
    state = copy.deepcopy(ours.state_dict())
    assert voxpool.convert_max_pool(ours, fuse_relu=fuse_relu) is ours

    assert all(type(m).__module__.startswith("voxpool") for m in pools(ours))
    assert [(name, type(m).__name__) for name, m in ours.named_modules() if not isinstance(m, nn.Identity)] == [
        (name, kind) for name, kind in before.items() if not (fuse_relu and name in ("stem.2", "after.2"))
    ]
    assert all(torch.equal(a, b) for a, b in zip(ours.state_dict().values(), state.values(), strict=True))
    assert list(ours.state_dict()) == list(state)
    assert [m.relu for m in pools(ours)] == [fuse_relu, False, fuse_relu, False, False]

    x = torch.randn(2, 1, 17, 18, 19)
    for actual, expected in zip(step(ours, x), step(theirs, x), strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=0)


def test_shared_modules_stay_shared():
    block = voxpool.convert_max_pool(Block())
    assert block.pool is block.same_pool


def test_a_pooling_itself():
    pool = nn.MaxPool3d(2, padding=1, return_indices=True).eval()
    converted = voxpool.convert_max_pool(pool)
    assert type(converted) is voxpool.nn.MaxPool3d
    assert not converted.training
    assert repr(converted) == repr(pool)
    assert voxpool.convert_max_pool(converted) is converted


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_unpooling_modules(dims):
    torchs = {1: nn.MaxUnpool1d, 2: nn.MaxUnpool2d, 3: nn.MaxUnpool3d}[dims]
    block = nn.ModuleDict(
        {"down": getattr(nn, f"MaxPool{dims}d")(2, 3, return_indices=True), "up": torchs(2, 3)}
    ).eval()
    x = torch.randn(2, 3, *[11] * dims)
    expected, names = block["up"](*block["down"](x), output_size=x.shape), repr(block)
    voxpool.convert_max_pool(block)
    assert type(block["up"]) is getattr(voxpool.nn, f"MaxUnpool{dims}d")
    assert not block["up"].training
    assert repr(block) == names
    assert torch.equal(block["up"](*block["down"](x), output_size=x.shape), expected)
    assert voxpool.convert_max_pool(block["up"]) is block["up"]


def test_hooks_stay():
    network = nn.Sequential(nn.MaxPool3d(2))
    seen = []
    handle = network[0].register_forward_hook(lambda module, inputs, output: seen.append(type(module)))
    voxpool.convert_max_pool(network)
    x = torch.randn(1, 1, 2, 2, 2)
    network(x)
    assert seen == [voxpool.nn.MaxPool3d]
    handle.remove()
    network(x)
    assert len(seen) == 1


class Doubling(nn.MaxPool3d):
    def forward(self, input):
        return 2 * super().forward(input)


def hooked():
    pool = nn.MaxPool3d(2)
    pool.register_forward_hook(lambda *_: None)
    return nn.Sequential(nn.Identity(), nn.ReLU(), pool)


class Backwards(nn.Sequential):
    def forward(self, x):
        for module in reversed(self):
            x = module(x)
        return x


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (nn.Sequential(Doubling(2)), "0 left alone: Doubling is a subclass"),
        (nn.Sequential(torch.jit.script(nn.MaxPool3d(2))), "0 left alone: a ScriptModule cannot be changed"),
        (hooked(), "1 left alone: a hook looks at the tensor between"),
        (nn.Sequential(nn.ReLU(), nn.MaxPool3d(2, return_indices=True)), "0 left alone: return_indices=True"),
        (nn.Sequential(nn.ReLU(inplace=True), nn.MaxPool3d(2)), "0 left alone: the in-place ReLU changes"),
        (nn.Sequential(nn.ReLU(), nn.MaxPool3d(2, 1, 1, 5)), "0 left alone: with padding and dilation"),
        (Backwards(nn.MaxPool3d(2), nn.ReLU()), ""),
    ],
)
def test_what_is_left_alone_is_reported(network, reason, caplog):
    original = copy.deepcopy(network)
    x = torch.randn(1, 1, 6, 6, 6)
    with caplog.at_level(logging.WARNING, "voxpool"):
        voxpool.convert_max_pool(network, fuse_relu=True)
    assert [record.getMessage().startswith(reason) for record in caplog.records] == [True] * bool(reason)
    assert not any(getattr(m, "relu", False) for m in network.modules())
    actual, expected = network(x.clone()), original(x.clone())
    if isinstance(expected, torch.Tensor):
        assert torch.equal(actual, expected)
    else:
        assert all(map(torch.equal, actual, expected))


def test_a_pooling_used_elsewhere_keeps_its_sign():
    pool = nn.MaxPool3d(2)
    network = nn.ModuleList([nn.Sequential(pool, nn.ReLU()), nn.Sequential(pool)])
    voxpool.convert_max_pool(network, fuse_relu=True)
    x = -torch.ones(1, 1, 2, 2, 2)
    assert network[0](x).item() == 0
    assert network[1](x).item() == -1


def test_relu_on_both_sides():
    network = voxpool.convert_max_pool(nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.ReLU()), fuse_relu=True)
    assert [type(m).__name__ for m in network] == ["Identity", "MaxPool2d", "Identity"]
    x = torch.randn(1, 2, 6, 6)
    assert torch.equal(network(x), nn.functional.relu(nn.functional.max_pool2d(x, 2)))
