"""Large tensors: how far the memory of the process rises, and what happens where it must not rise far enough."""

import gc
import json
import os
import re
import resource
import subprocess
import sys

import pytest
import torch

import voxpool
from allocations import nbytes
from support import channels_last

MIB = 2**20
SIZE = (2, 32, 16, 224, 224)  # 196 MiB of float32, 49 of taps, 392 of indices
# Scratch of the threads, results rounded up to huge pages, and the kernel's own rounding of what it reports.
SLACK = 16 * MIB


def status(field):
    with open("/proc/self/status") as file:
        return int(re.search(rf"^{field}:\s+(\d+) kB$", file.read(), re.MULTILINE)[1]) * 1024


def rise(call):
    """Bytes by which resident memory rose at most during call(), and the result. Pages of libraries, which the system
    reads and drops as it likes, are left out."""
    # What other tests of this process left in cycles would be freed at any moment, and hide as much of the rise.
    gc.collect()
    gc.disable()
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the peak begins anew
        before, code = status("VmRSS"), status("RssFile")
        result = call()
        return status("VmHWM") - before - (status("RssFile") - code), result
    finally:
        gc.enable()


def assert_rise(call, *kept):
    """The memory that call() takes is that of its result, which it returns, and of some tensors beside it."""
    for _ in range(3):
        result = None
        risen, result = rise(call)
        taken = nbytes(*(result if isinstance(result, tuple) else (result,)))
        # The result is in memory: where less rose, another thread freed memory meanwhile, and the peak is not known.
        if risen > taken - SLACK:
            break
    assert taken - SLACK < risen < taken + nbytes(*kept) + SLACK
    return result


@pytest.fixture(scope="module")
def large():
    # The first gradient of a process imports modules of torch that take 32 MiB.
    x = torch.ones(2, requires_grad=True)
    torch.autograd.grad(x.square(), x, torch.ones(2))
    return torch.rand(SIZE)


@pytest.mark.parametrize("layout", [lambda x: x, channels_last], ids=["contiguous", "channels-last"])
@pytest.mark.parametrize("window", [((1, 2, 2),), (3, 1, ((2, 0), (0, 2), (1, 1)))], ids=str)
def test_inference_takes_the_output(large, window, layout):
    x = layout(large)
    assert_rise(lambda: voxpool.max_pool3d(x, *window))
    assert_rise(lambda: voxpool.max_pool3d(x[..., 1:-2], *window))


def test_indices_take_eight_bytes_an_output(large):
    assert_rise(lambda: voxpool.max_pool3d(large, 3, 1, 1, return_indices=True))


@pytest.mark.parametrize("layout", [lambda x: x, channels_last], ids=["contiguous", "channels-last"])
def test_training_takes_a_byte_an_output_and_the_gradient(large, layout):
    x = layout(large).detach().requires_grad_()
    taps = torch.empty(SIZE, dtype=torch.uint8, device="meta")
    y = assert_rise(lambda: voxpool.max_pool3d(x, 3, 1, 1), taps)
    dense, expanded = torch.ones_like(y), torch.ones(()).expand_as(y)
    assert_rise(lambda: torch.autograd.grad(y, x, dense, retain_graph=True)[0])
    # Any other gradient is brought into the layout of the taps first.
    assert_rise(lambda: torch.autograd.grad(y, x, expanded, retain_graph=True)[0], y)


def test_unpooling_takes_the_result(large):
    values, indices = voxpool.max_pool3d(large, 2, return_indices=True)
    assert_rise(lambda: voxpool.max_unpool3d(values, indices, 2))


@pytest.mark.parametrize("layout", ["channels-first", "channels-last"])
def test_wide_windows_take_no_tables_of_their_own(layout):
    """A table of all windows on each of the positions would be 1 GB for a tensor of 8 MB."""
    x = torch.rand(1, 8, 250_000) if layout == "channels-first" else torch.rand(1, 250_000, 8).transpose(1, 2)
    x.requires_grad_()
    y = voxpool.max_pool1d(x, 255, 1, 127)
    incoming = torch.empty_like(y).fill_(1)
    risen, _ = rise(lambda: torch.autograd.grad(y, x, incoming))
    assert risen < nbytes(x, y) + torch.get_num_threads() * 100 * x.shape[-1] + SLACK


# Blocks above 32 MiB, taps too, are mapped one by one, so that what is left of the address space decides over each.
REFUSED_SIZE = (1, 17, 32, 256, 256)
REFUSED_WINDOW = ((1, 1, 2), 1, "same")


def pooled(x):
    return voxpool.max_pool3d(x, *REFUSED_WINDOW)


def gradient(x):
    leaf = x.clone().requires_grad_()
    y = pooled(leaf)
    return lambda: torch.autograd.grad(y, leaf, torch.ones(()).expand_as(y), retain_graph=True)[0]


def unpooling(x):
    values, indices = voxpool.max_pool3d(x, 2, return_indices=True)
    return lambda: voxpool.max_unpool3d(values, indices, 2)


# What makes the call, and for how many tensors like the input memory is left: for none, or for the first of two.
REFUSALS = {
    "output": (lambda x: lambda: pooled(x), 0),
    "taps": (lambda x: lambda: pooled(x.detach().requires_grad_()), 1),
    "indices": (lambda x: lambda: voxpool.max_pool3d(x, *REFUSED_WINDOW, return_indices=True)[1], 1),
    "grad_input": (gradient, 0),
    "gradient in the layout of the taps": (gradient, 1),
    "unpooled": (unpooling, 0),
}


def refuse(x, prepare, tensors):
    """Calls with too little memory, then again with enough; says what came of it."""
    call = prepare(x)
    expected = call().detach()
    before = status("VmSize")
    limit = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (before + tensors * nbytes(x) + nbytes(x) // 4, limit[1]))
    try:
        call()
    except (RuntimeError, MemoryError) as error:
        if "allocate" not in str(error):
            raise
    else:
        return "nothing was refused"
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limit)
    if status("VmSize") > before + 4 * MIB:
        return "memory was kept"
    return "as before" if torch.equal(call(), expected) else "another result afterwards"


def test_memory_that_is_refused_is_an_exception_and_nothing_else():
    # In a process of its own: others need their address space.
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    run = subprocess.run(
        [sys.executable, __file__], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == dict.fromkeys(REFUSALS, "as before")


if __name__ == "__main__":
    x = torch.rand(REFUSED_SIZE, dtype=torch.bfloat16)
    print(json.dumps({name: refuse(x, *refusal) for name, refusal in REFUSALS.items()}))
