"""The switch behind enable(): who turns it when, nested, by exceptions and from many threads."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F

import voxpool
from routes import nodes

TORCHS_NODE, OUR_NODE = "MaxPool3DWithIndicesBackward0", "VoxpoolMaxPool3dBackward"


@pytest.fixture(autouse=True)
def _off():
    assert not voxpool.is_enabled()
    yield
    voxpool.disable()
    assert not voxpool.is_enabled()


def node():
    return nodes(F.max_pool3d(torch.randn(1, 1, 4, 4, 4, requires_grad=True), 2))[0]


def test_enable_and_disable():
    for _ in range(2):
        voxpool.enable()
        voxpool.enable()
        assert voxpool.is_enabled()
        assert node() == OUR_NODE
        voxpool.disable()
        assert not voxpool.is_enabled()
        assert node() == TORCHS_NODE


def test_blocks_nest():
    with voxpool.enabled():
        with voxpool.enabled():
            assert node() == OUR_NODE
        assert node() == OUR_NODE
    assert node() == TORCHS_NODE


def test_one_object_entered_twice():
    both = voxpool.enabled()
    with both:
        with both:
            pass
        assert node() == OUR_NODE
    assert node() == TORCHS_NODE
    with both:
        assert node() == OUR_NODE


def test_a_block_leaves_what_enable_set():
    voxpool.enable()
    with voxpool.enabled():
        pass
    assert node() == OUR_NODE


def test_enable_inside_a_block_outlives_it():
    with voxpool.enabled():
        voxpool.enable()
    assert node() == OUR_NODE


def test_disable_inside_a_block_takes_effect_after_it():
    voxpool.enable()
    with voxpool.enabled():
        voxpool.disable()
        assert node() == OUR_NODE
    assert node() == TORCHS_NODE


def test_blocks_end_in_any_order():
    first, second = voxpool.enabled(), voxpool.enabled()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert node() == OUR_NODE
    second.__exit__(None, None, None)
    assert node() == TORCHS_NODE


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, RuntimeError])
def test_exceptions_end_a_block(error):
    block = voxpool.enabled()  # kept: a block that nobody holds any more has ended
    with pytest.raises(error), block:  # noqa: PT012
        if error is RuntimeError:
            F.max_pool3d(torch.ones(1, 1, 2, 2, 2), 3)
        raise error
    assert node() == TORCHS_NODE


def test_as_a_decorator():
    @voxpool.enabled()
    def factorial(n):
        assert node() == OUR_NODE
        return n * factorial(n - 1) if n else 1

    assert factorial(4) == 24
    assert node() == TORCHS_NODE


def test_holds_in_every_thread():
    with voxpool.enabled(), ThreadPoolExecutor(1) as pool:
        assert pool.submit(node).result() == OUR_NODE


def test_blocks_of_many_threads():
    """Each thread's block holds for all of its length, whatever the others enter and leave meanwhile."""

    def work(_):
        seen = set()
        for _ in range(300):
            with voxpool.enabled():
                seen.add(node())
        return seen

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [{OUR_NODE}] * 4
    assert node() == TORCHS_NODE


def test_the_switch_turns_while_others_pool():
    voxpool.enable()  # the first call, which is to be made alone
    x = torch.randn(2, 3, 9, 10, 11)
    leaf = x.clone().requires_grad_()
    expected, indices = F.max_pool3d(x, 3, 2, 1, return_indices=True)
    (gradient,) = torch.autograd.grad(F.max_pool3d(leaf, 3, 2, 1).sum(), leaf)
    stop, seen = threading.Event(), set()

    def pool(_):
        for _ in range(200):
            output = F.max_pool3d(leaf, 3, 2, 1)
            seen.add(nodes(output)[0])
            assert torch.equal(torch.autograd.grad(output.sum(), leaf)[0], gradient)
            assert torch.equal(output, expected)
            with torch.inference_mode():
                assert torch.equal(F.max_pool3d(x, 3, 2, 1), expected)
            assert torch.equal(F.max_pool3d(x, 3, 2, 1, return_indices=True)[1], indices)

    def flip():
        while not stop.is_set():
            voxpool.enable()
            voxpool.disable()
            with voxpool.enabled():
                pass

    flipper = threading.Thread(target=flip)
    flipper.start()
    try:
        with ThreadPoolExecutor(3) as pools:
            list(pools.map(pool, range(3)))
    finally:
        stop.set()
        flipper.join()
    assert seen == {OUR_NODE, TORCHS_NODE}
