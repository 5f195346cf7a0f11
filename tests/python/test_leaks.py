"""Thousands of steps leave nothing behind, neither on the heap nor among the objects of Python."""

import ctypes
import gc
import itertools
import pickle
import sys

import pytest
import torch

import voxpool
from support import channels_last


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keep",
        )
    ]


def in_use():
    """Bytes that malloc has given out, tensors among them, and blocks of Python's own allocator."""
    gc.collect()
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = _Mallinfo2
    info = mallinfo2()
    return info.uordblks + info.hblkhd, sys.getallocatedblocks()


# What malloc keeps of freed memory for each thread, and the tables of Python, torch and pytest settle within these.
HEAP_SLACK = 64 * 1024
BLOCKS_SLACK = 500


def assert_nothing_grows(step, steps=2000):
    """Fails where each step loses 33 bytes, or each fourth an object of Python: a tensor or a node takes far more."""
    for _ in range(steps // 4):
        step()
    heap, blocks = in_use()
    for _ in range(steps):
        step()
    heap_after, blocks_after = in_use()
    assert heap_after - heap < HEAP_SLACK
    assert blocks_after - blocks < BLOCKS_SLACK


X = torch.arange(2 * 3 * 4 * 6 * 10, dtype=torch.float32).sin().view(2, 3, 4, 6, 10)
MODULE = voxpool.nn.MaxPool3d(3, 2, 1)


def training():
    x = X.clone().requires_grad_()
    MODULE(x).square().sum().backward()


def training_channels_last():
    x = channels_last(X).requires_grad_()
    voxpool.max_pool3d(x, 2, padding="same").sum().backward()


def double_backward():
    x = X.clone().requires_grad_()
    (first,) = torch.autograd.grad(MODULE(x).square().sum(), x, create_graph=True)
    first.square().sum().backward()


def indices_and_unpooling():
    x = X.clone().requires_grad_()
    values, indices = voxpool.max_pool3d(x, 2, return_indices=True)
    voxpool.max_unpool3d(values, indices, 2, output_size=x.shape).square().sum().backward()


def graph_without_backward():
    x = X.clone().requires_grad_()
    MODULE(x).square()


def modules():
    module = voxpool.nn.MaxPool3d(2, relu=True)
    module(X)
    pickle.loads(pickle.dumps(module))(X)
    voxpool.convert_max_pool(torch.nn.Sequential(torch.nn.MaxPool3d(2)))(X)


def torchs_own_operators():
    with voxpool.enabled():
        x = X.clone().requires_grad_()
        torch.nn.functional.max_pool3d(x, 2).sum().backward()


def bad_arguments():
    with pytest.raises(RuntimeError):
        voxpool.max_pool3d(X, 2, padding=2)
    with pytest.raises(TypeError):
        voxpool.max_pool3d(X, "two")
    with pytest.raises(NotImplementedError):
        voxpool.max_pool3d(X > 0, 2)


def bad_indices():
    values, indices = voxpool.max_pool3d(X, 2, return_indices=True)
    with pytest.raises(RuntimeError, match="invalid max index"):
        voxpool.max_unpool3d(values, indices + 10**6, 2)


def second_backward():
    x = X.clone().requires_grad_()
    total = MODULE(x).sum()
    total.backward()
    with pytest.raises(RuntimeError, match="second time"):
        total.backward()


@pytest.mark.parametrize(
    "step",
    [
        training,
        training_channels_last,
        double_backward,
        indices_and_unpooling,
        graph_without_backward,
        modules,
        torchs_own_operators,
        bad_arguments,
        bad_indices,
        second_backward,
    ],
    ids=lambda step: step.__name__,
)
def test_a_step_leaves_nothing(step):
    assert_nothing_grows(step)


@pytest.mark.parametrize("transform", [torch.func.grad, torch.func.hessian], ids=lambda f: f.__name__)
def test_a_transform_leaves_nothing(transform):
    x = X[:1, :1, :2, :2, :2].clone()
    call = transform(lambda x: voxpool.max_pool3d(x, 2).pow(3).sum())
    assert_nothing_grows(lambda: call(x), steps=200)


def test_arguments_that_never_repeat_leave_nothing():
    """The table of parsed arguments is emptied when full: what it holds at a time is bounded."""
    windows = itertools.product(range(1, 5), range(1, 7), range(1, 11), range(1, 100))
    x = X[:1, :1]

    def step():
        *kernel, stride = next(windows)
        voxpool.max_pool3d(x, tuple(kernel), stride)

    # The table holds 1024 of them: it is as full after the warm-up as at the end.
    assert_nothing_grows(step, steps=4 * 1024)


def test_a_network_trains_for_thousands_of_steps():
    net = torch.nn.Sequential(
        torch.nn.Conv3d(3, 4, 1), voxpool.nn.MaxPool3d(2, relu=True), torch.nn.Flatten(), torch.nn.LazyLinear(1)
    )
    net(X)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
    target = torch.tensor([[0.0], [1.0]])

    def step():
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(net(X), target).backward()
        optimizer.step()

    assert_nothing_grows(step)
