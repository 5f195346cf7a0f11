"""Poolings as work of a GPU: streams, graphs, devices, what they wait for and what memory they take."""

import pytest
import torch

import voxpool
from cuda_support import assert_on_device, gradient, kernels, on_device, skip_without_gpu
from support import channels_last
from unpool_support import last_wins

skip_without_gpu()

SLOW = 400_000_000  # cycles: about 0.2 s
SIZE = (2, 8, 8, 32, 32)
WINDOWS = {"k3 s2": (3, 2, 1), "k5": (5, 2, 2)}  # with a kernel of its own, and without
LAYOUTS = {"contiguous": lambda x: x, "channels-last": channels_last}


def training(window, x, incoming):
    """Values, indices and the gradient."""
    leaf = x.detach().requires_grad_()
    values, indices = voxpool.max_pool3d(leaf, *window, return_indices=True)
    return values.detach(), indices, torch.autograd.grad(values, leaf, incoming)[0]


def inputs(window, layout="contiguous"):
    x = LAYOUTS[layout](torch.randn(SIZE))
    return x, torch.randn_like(voxpool.max_pool3d(x, *window))


def assert_all(actual, expected):
    for mine, right in zip(actual, expected, strict=True):
        assert_on_device(mine, right)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_side_stream(window, layout):
    """Behind a slow kernel on a stream of its own: in time, in order, and without waiting for it."""
    x, g = inputs(window, layout)
    values, incoming = x.cuda(), g.cuda()
    late = torch.zeros_like(values)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        training(window, late, incoming)  # loads kernels and gets memory, for which the driver may wait
        side.synchronize()
        torch.cuda._sleep(SLOW)
        late.copy_(values)
        actual = training(window, late, incoming)
        assert not side.query()
    side.synchronize()
    assert_all(actual, training(window, x, g))


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_nothing_waits_for_the_device(window):
    x, g = inputs(window)
    values, incoming = x.cuda(), g.cuda()
    training(window, values, incoming)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        torch.cuda._sleep(SLOW)
        actual = training(window, values, incoming)
        assert not torch.cuda.current_stream().query()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert_all(actual, training(window, x, g))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_graph(window, layout):
    x, g = inputs(window, layout)
    static, incoming = torch.zeros_like(x).cuda(), g.cuda()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(2):
            training(window, static, incoming)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = training(window, static, incoming)
    for values in (x, -x):
        static.copy_(values)
        graph.replay()
        assert_all(captured, training(window, values, g))


def test_another_device_than_the_current():
    """The last device of the machine, which with a single one is the current device itself."""
    last = torch.device("cuda", torch.cuda.device_count() - 1)
    window = WINDOWS["k3 s2"]
    x, g = inputs(window)
    current = torch.cuda.current_device()
    actual = training(window, x.to(last), g.to(last))
    assert torch.cuda.current_device() == current
    assert all(tensor.device == last for tensor in actual)
    assert_all(actual, training(window, x, g))


def test_tensors_of_two_devices():
    x = torch.randn(1, 1, 4, 4, 4)
    arguments = ([2], [2], [0], [1], False)
    output, taps = torch.ops.voxpool._max_pool3d_taps(x.cuda(), *arguments)
    for incoming, codes in ((output.cpu(), taps), (output, taps.cpu())):
        with pytest.raises(RuntimeError, match=r"expected grad_output and taps on one device, but got c.* and c"):
            torch.ops.voxpool._max_pool3d_backward(incoming, codes, x.shape, *arguments)
    with pytest.raises(RuntimeError, match=r"expected input and taps on one device, but got cpu and cuda:0"):
        torch.ops.voxpool._max_pool3d_gather(x, taps, *arguments)
    leaf = x.cuda().requires_grad_()
    with pytest.raises(RuntimeError, match="device"):
        voxpool.max_pool3d(leaf, 2).backward(output.cpu())


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("window", [(2,), (3, 2, 1), (3, 1, 1)], ids=str)
def test_peak_memory_of_a_training_step(window, layout):
    """Input and output, their gradients, and one byte for each output: no copies and no workspace."""
    torch.cuda.empty_cache()
    x = LAYOUTS[layout](torch.randn(2, 32, 32, 64, 64)).cuda().requires_grad_()
    output = voxpool.max_pool3d(x.detach(), *window)
    size, count = output.nbytes, output.numel()
    incoming = torch.randn_like(output)
    del output
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()  # x and incoming
    assert before >= x.nbytes + size
    torch.autograd.grad(voxpool.max_pool3d(x, *window), x, incoming)
    # The allocator cuts blocks with up to 1 MiB to spare.
    assert torch.cuda.max_memory_allocated() - before <= size + count + x.nbytes + 3 * 2**20


@pytest.fixture
def large_memory():
    """Room for what the tests below take, given back after each."""
    torch.cuda.empty_cache()
    if torch.cuda.mem_get_info()[0] < 26e9:
        pytest.skip("needs 26 GB of free GPU memory")
    yield
    torch.cuda.empty_cache()


@pytest.mark.usefixtures("large_memory")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("window", [(2,), (3, 1, 1)], ids=str)
def test_more_than_2_31_elements(window, layout):
    """Small volumes, but many: addresses beyond 32 bits with the kernels for fixed windows."""
    size = (18, 64, 32, 240, 256)  # 2.26e9 elements
    formats = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last_3d}
    x = torch.empty(size, dtype=torch.float16, device="cuda", memory_format=formats[layout]).normal_()
    expected = {"contiguous": "columns", "channels-last": "channels"}[layout]
    assert kernels(x, *window, requires_grad=True)["forward"] == expected

    def pool(x):
        return voxpool.max_pool3d(x, *window)

    leaf = x.requires_grad_()
    output = pool(leaf)
    g = torch.randn_like(output)
    (grad,) = torch.autograd.grad(output, leaf, g)
    for n, c in ((0, 0), (8, 31), (17, 63)):
        volume, incoming = (t.detach()[n : n + 1, c : c + 1].cpu().contiguous() for t in (x, g))
        assert_on_device(output.detach()[n : n + 1, c : c + 1], pool(volume), strides=False)
        assert_on_device(grad[n : n + 1, c : c + 1], gradient(pool, volume, incoming), strides=False)


@pytest.mark.usefixtures("large_memory")
def test_a_volume_of_more_than_2_31_elements():
    """Indices beyond 32 bits. Windows do not overlap, so the last planes can be pooled on their own."""
    edge = 1300
    x = torch.empty(1, 1, edge, edge, edge, dtype=torch.float16, device="cuda").normal_()
    tail = x[:, :, -4:].cpu()
    values, indices = voxpool.max_pool3d(x, 2, return_indices=True)
    right, positions = voxpool.max_pool3d(tail, 2, return_indices=True)
    assert_on_device(values[:, :, -2:], right, strides=False)
    assert_on_device(indices[:, :, -2:], positions + (edge - 4) * edge**2, strides=False)
    del indices

    leaf = x.requires_grad_()
    g = torch.randn_like(values)
    (grad,) = torch.autograd.grad(voxpool.max_pool3d(leaf, 2), leaf, g)
    expected = gradient(lambda t: voxpool.max_pool3d(t, 2), tail, g[:, :, -2:].cpu())
    assert_on_device(grad[:, :, -4:], expected, strides=False)


@pytest.mark.usefixtures("large_memory")
def test_more_than_2_31_outputs_of_one_volume():
    x = torch.randint(-128, 128, (1, 1, 1300, 1300, 1300), dtype=torch.int8, device="cuda")
    output = voxpool.max_pool3d(x, 3, 1, 1)
    right = voxpool.max_pool3d(x[:, :, -4:].cpu(), 3, 1, 1)
    assert_on_device(output[:, :, -2:], right[:, :, -2:], strides=False)


def test_unpooling_leaves_indices_outside_out():
    y = torch.randn(1, 2, 2, 2, 2)
    i = torch.tensor([0, -1, -2, 64, 63, 2**62, -(2**63), 5]).expand(1, 2, 8).reshape(y.shape)
    out = voxpool.max_unpool3d(on_device(y), on_device(i), 2).cpu().flatten(2)
    inside = (i >= 0) & (i < 64)
    expected = last_wins(y, torch.where(inside, i, -1), 64)
    assert torch.equal(out, expected)
    leaf = on_device(y).requires_grad_()
    voxpool.max_unpool3d(leaf, on_device(i), 2).sum().backward()
    assert torch.equal(leaf.grad.cpu(), inside.float())


def test_unpooling_across_devices_is_refused():
    y, i = torch.randn(1, 1, 2, 2, 2), torch.zeros(1, 1, 2, 2, 2, dtype=torch.int64)
    with pytest.raises(RuntimeError, match="on one device"):
        voxpool.max_unpool3d(on_device(y), i, 2)
