"""Many threads and processes pool at once, and switches turn meanwhile: every result is that of a call made alone."""

import contextlib
import os
import re
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

import voxpool
from conftest import CAPABILITIES
from support import FLOATING, INTEGERS, OURS, Case, build_tree, channels_last, special, ties

OPS = torch.ops.voxpool
LAYOUTS = (torch.Tensor.contiguous, channels_last)
# All are large enough for several threads, and are cut in different ways: into volumes, rows, groups of channels.
CASES = (
    Case((2, 3, 9, 24, 37), 3, 2, 1),
    Case((1, 1, 24, 32, 40), 2),
    Case((1, 33, 9, 8, 6), 3, 2, 1),
    Case((1, 2, 14, 24, 33), (3, 2, 3), (2, 1, 1), (1, 1, 1), (2, 1, 3), True),
    Case((1, 2, 12, 20, 40), 7, 3, 3),
)
BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def bits(tensor):
    return tensor.view(BITS[tensor.element_size()])


def results(case, x):
    """All that voxpool computes from an input: values, taps, indices, the gradient, and what takes taps or indices."""
    window = case.arguments
    stride = case.kernel if case.stride is None else case.stride
    whole = (case.kernel, stride, case.padding, case.dilation, case.ceil_mode)
    yield voxpool.max_pool3d(x, *window)
    values, indices = voxpool.max_pool3d(x, *window, return_indices=True)
    output, taps = OPS._max_pool3d_taps(x, *whole)
    yield from (values, indices, output, taps)
    yield from OPS._max_pool3d_relu_taps(x, *whole)
    yield OPS._max_pool3d_gather(x, taps, *whole)
    yield OPS._max_pool3d_indices(taps, x.shape, *whole)
    unpooled = OPS._max_unpool3d(values, indices, x.shape[2:], not x.is_contiguous())
    yield unpooled
    yield OPS._max_unpool3d_gather(unpooled, indices)
    if x.is_floating_point():
        gradient = (torch.arange(output.numel()) % 97 / 7).to(x.dtype).view(output.shape)
        yield OPS._max_pool3d_backward(gradient, taps, x.shape, *whole)


def all_results():
    """Of every case in both layouts, in float32."""
    return [list(results(case, layout(ties(case.size, torch.float32)))) for case in CASES for layout in LAYOUTS]


def assert_equal_bits(actual, expected):
    assert len(actual) == len(expected) > 8
    for a, b in zip(actual, expected, strict=True):
        assert a.stride() == b.stride()
        assert torch.equal(bits(a), bits(b))


@contextlib.contextmanager
def threads_put_back():
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def meanwhile(turn):
    """Calls turn() over and over in a thread of its own, which began before the block and ends after it."""
    stop, started = threading.Event(), threading.Event()

    def work():
        while not stop.is_set():
            turn()
            started.set()

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("dtype", FLOATING + INTEGERS, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS, ids=["contiguous", "channels-last"])
def test_no_bit_depends_on_the_number_of_threads(layout, dtype):
    with threads_put_back():
        for case in CASES:
            x = layout(special(case.size, dtype))
            torch.set_num_threads(1)
            expected = list(results(case, x))
            for threads in range(2, 9):
                torch.set_num_threads(threads)
                assert_equal_bits(list(results(case, x)), expected)


def pool_everywhere(callers=6, rounds=3):
    """Every caller, a thread of its own, pools all cases several times, beginning with another one."""
    inputs = [(case, layout(ties(case.size, torch.float32))) for case in CASES for layout in LAYOUTS]
    expected = [list(results(case, x)) for case, x in inputs]
    together = threading.Barrier(callers)

    def call(caller):
        together.wait()
        for i in range(rounds * len(inputs)):
            at = (i + caller) % len(inputs)
            assert_equal_bits(list(results(*inputs[at])), expected[at])

    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(call, range(callers)))


def test_many_threads_pool_at_once():
    pool_everywhere()


def test_the_number_of_threads_changes_while_others_pool():
    numbers = cycle((1, 3, 2, 8))
    with threads_put_back(), meanwhile(lambda: torch.set_num_threads(next(numbers))):
        pool_everywhere()


def test_the_instruction_set_changes_while_others_pool():
    before, names = voxpool.cpu_capability(), cycle(CAPABILITIES)
    with meanwhile(lambda: voxpool.set_cpu_capability(next(names))):
        pool_everywhere()
    voxpool.set_cpu_capability(before)


def test_everything_changes_while_torchs_functions_are_called():
    """Gradients, double backward and unpooling through torch's names, with voxpool's kernels now and then."""
    voxpool.enable()  # the first call, which is to be made alone
    before, names, numbers = voxpool.cpu_capability(), cycle(CAPABILITIES), cycle((1, 4, 2))
    leaf = torch.randn(2, 3, 9, 24, 37, requires_grad=True)

    def step():
        output = F.max_pool3d(leaf, 3, 2, 1)
        (gradient,) = torch.autograd.grad(output.square().sum(), leaf, create_graph=True)
        (second,) = torch.autograd.grad(gradient.sum(), leaf)
        values, indices = F.max_pool3d(leaf.detach(), 2, return_indices=True)
        return output, gradient, second, values, indices, F.max_unpool3d(values, indices, 2, output_size=leaf.shape)

    def turn():
        voxpool.set_cpu_capability(next(names))
        torch.set_num_threads(next(numbers))
        voxpool.disable()
        voxpool.enable()
        with voxpool.enabled():
            pass

    expected = step()

    def call(_):
        for _ in range(25):
            for actual, wanted in zip(step(), expected, strict=True):
                assert torch.equal(actual, wanted)

    with threads_put_back(), meanwhile(turn), ThreadPoolExecutor(4) as pool:
        list(pool.map(call, range(4)))
    voxpool.set_cpu_capability(before)
    voxpool.disable()


def test_one_graph_is_walked_by_many_threads():
    leaf = torch.randn(2, 3, 9, 24, 37, requires_grad=True)
    output = voxpool.max_pool3d(leaf, 3, 2, 1)
    incoming = [torch.randn_like(output) for _ in range(4)]
    expected = [torch.autograd.grad(output, leaf, one, retain_graph=True)[0] for one in incoming]

    def call(i):
        for _ in range(20):
            (gradient,) = torch.autograd.grad(output, leaf, incoming[i], retain_graph=True)
            assert torch.equal(gradient, expected[i])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(call, range(4)))


def test_parsed_arguments_are_forgotten_while_others_pool():
    """More different arguments than are remembered, from several threads: the table empties under the others."""
    x = torch.arange(2000.0).view(1, 1, 2000)

    def call(caller):
        for kernel in range(1 + caller, 1800, 2):
            assert OURS[1](x, kernel, 2000).item() == kernel - 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(call, range(4)))


class Pooled(Dataset):
    """Volumes that a worker pools, with indices, and unpools again."""

    def __len__(self):
        return 4

    def __getitem__(self, i):
        x = torch.randn(3, 12, 24, 40, generator=torch.Generator().manual_seed(i))
        values, indices = voxpool.max_pool3d(x, 2, return_indices=True)
        return values, indices, voxpool.max_unpool3d(values, indices, 2)


def test_kernels_keep_nothing_between_calls() -> None:
    """No writable data and no locks, so that threads share nothing but what they are given. The exceptions hold what is
    asked of the system once: which instruction set, how large the caches and pages are."""
    objects = sorted(build_tree().glob("csrc/cpu/CMakeFiles/voxpool_kernels.dir/**/*.o"))
    assert len(objects) > 8
    for unit in objects:
        once = unit.name in {"capability.cpp.o", "streaming.cpp.o", "tile_plan.cpp.o"}
        sections = subprocess.run(["size", "-A", str(unit)], check=True, capture_output=True, text=True).stdout
        sizes = dict(line.split()[:2] for line in sections.splitlines() if line.startswith("."))
        held = {
            name for name, size in sizes.items() if re.match(r"\.(t?data|t?bss)(?!.*\.(ro|DW))", name) and int(size)
        }
        assert held == ({".bss"} if once else set()), unit
        command = ["nm", "--undefined-only", str(unit)]
        called = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        assert not re.search(r"pthread|sem_|mutex|futex|call_once", called), unit
        assert ("__cxa_guard" in called) == once, unit


@pytest.mark.parametrize(("method", "workers"), [("fork", 2), ("spawn", 1)])
def test_data_loaders_workers_pool(method, workers):
    voxpool.max_pool3d(torch.randn(4, 8, 16, 32, 32), 2)  # with all threads of this process
    data = Pooled()
    loader = DataLoader(data, batch_size=None, num_workers=workers, multiprocessing_context=method)
    loaded = list(loader)
    assert len(loaded) == len(data)
    for i, parts in enumerate(loaded):
        for actual, expected in zip(parts, data[i], strict=True):
            assert torch.equal(actual, expected)


def forked(*calls, threads, seconds=5):
    """Exit statuses of children of this process, one for each call, which pool with so many threads: 0 where the answer
    is this process's, -SIGALRM where there is none in time."""
    expected = [call() for call in calls]  # by all threads of this process, which its children do not have
    children = []
    for call, answer in zip(calls, expected, strict=True):
        child = os.fork()
        if child == 0:
            signal.alarm(seconds)
            torch.set_num_threads(threads)
            os._exit(not torch.equal(call(), answer))
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_pools_as_torch_does():
    """With one thread. With more, a child waits for threads that only its parent has, in torch's pooling as in this."""
    x = torch.randn(4, 8, 16, 32, 32)
    with threads_put_back():
        torch.set_num_threads(2)
        pools = [lambda pool=pool: pool(x, 3, 2, 1) for pool in (F.max_pool3d, voxpool.max_pool3d)]
        assert forked(*pools, threads=1, seconds=60) == [0, 0]
        theirs, ours = forked(*pools, threads=2)
    assert ours == theirs
