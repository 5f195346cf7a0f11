"""More than 2**31 elements, in all and in one volume: forward, indices, taps, gradients and unpooling at the far end.

Inputs are memory that nobody has touched, which reads as zeros and takes no room; random numbers stand where offsets
pass 2**31 and at the far end, so that a number read at another place shows. Windows far apart keep the outputs small,
and what an output is read from is known from the definition (`reference.py`). Results of more than 2**31 elements take
real memory: all but the smallest are left to `make large`.
"""

import itertools
import math
import mmap

import pytest
import torch

import voxpool
from reference import maximum, taps_of
from support import FLOATING, INTEGERS, Case

OPS = torch.ops.voxpool
PASSED = 2**31
# Channels-last of one channel is contiguous, so that it takes two for one volume with more than 2**31 positions.
ONE_VOLUME = {"contiguous": (1, 1, 2100, 1024, 1024), "channels-last": (1, 2, 2100, 1024, 1024)}
MANY_VOLUMES = dict.fromkeys(ONE_VOLUME, (5, 7, 64, 1024, 1024))
SIZES = {"one volume": ONE_VOLUME, "many volumes": MANY_VOLUMES}
# Kernel, stride, padding and dilation, one for each way through the kernels.
WINDOWS = (
    (2, (32, 32, 2)),
    (3, (32, 32, 1), 1),
    ((2, 3, 3), (64, 2, 2), (0, 1, 1)),
    ((3, 2, 5), (2, 64, 2), (1, 0, 2)),
    ((2, 2, 2), (64, 64, 2), 0, (40, 500, 3)),
    (7, (64, 64, 7), 3),
)
widths = pytest.mark.parametrize("dtype", [torch.int8, torch.float16, torch.float32, torch.float64], ids=str)
layouts = pytest.mark.parametrize("layout", ONE_VOLUME)
large = pytest.mark.large


def available_bytes():
    """What the system can give, and what a container may take."""
    with open("/proc/meminfo") as lines:
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    try:
        with open("/sys/fs/cgroup/memory.max") as limit, open("/sys/fs/cgroup/memory.current") as used:
            return min(free, int(limit.read()) - int(used.read()))
    except (OSError, ValueError):  # no such file, or "max"
        return free


def needs(count):
    """Skips a test that is going to fill so many bytes where there is not that much memory, and some to spare."""
    if available_bytes() < count + 2**30:
        pytest.skip(f"{count + 2**30:,} bytes of memory are needed, {available_bytes():,} available")


def untouched(size, dtype, layout):
    """Zeros without memory: the system brings pages as they are written."""
    no_reserve = 0x4000  # MAP_NORESERVE of Linux, which mmap names from Python 3.13 on
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve
    flat = torch.frombuffer(mmap.mmap(-1, math.prod(size) * dtype.itemsize, flags=flags), dtype=dtype)
    n, c, d, h, w = size
    return flat.view(size) if layout == "contiguous" else flat.view(n, d, h, w, c).permute(0, 4, 1, 2, 3)


def passing(size):
    """The plane d of the last volume in which its positions pass 2**31, or its middle."""
    return PASSED // (size[-1] * size[-2]) if math.prod(size[-3:]) > PASSED else size[-3] // 2


def hot(x):
    """Where the random numbers are: at the beginning, where positions pass 2**31, and at the far end."""
    middle = passing(x.shape)
    yield x[0, 0, :3, :40, :40]
    yield x[-1, -1, middle - 2 : middle + 6, :40, :40]
    yield x[-1, -1, -40:, -40:, -40:]


def sparse(size, dtype, layout):
    x = untouched(size, dtype, layout)
    for block in hot(x):
        block.copy_(torch.randint(1, 100, block.shape))
    return x


def sampled(case, output):
    """Outputs in the corners of the first and of the last volume, and where positions pass 2**31."""
    middle = passing(case.size) // case.window.stride[0]
    for n, c in {(0, 0), (-1, -1)}:
        for position in itertools.product(
            sorted({0, 1, middle, middle + 1, output[0] - 2, output[0] - 1} & set(range(output[0]))),
            sorted({0, 1, output[1] - 1} & set(range(output[1]))),
            sorted({0, 1, 5, output[2] - 2, output[2] - 1} & set(range(output[2]))),
        ):
            yield n, c, position


def check_samples(case, x, values, indices):
    beyond = False
    for n, c, position in sampled(case, values.shape[2:]):
        tap = maximum(x[n, c], taps_of(position, case.size[2:], case.window))
        assert values[(n, c, *position)] == x[(n, c, *tap)], (n, c, position)
        index = (tap[0] * case.size[3] + tap[1]) * case.size[4] + tap[2]
        assert indices[(n, c, *position)] == index, (n, c, position)
        beyond = beyond or index > PASSED
    assert beyond == (math.prod(case.size[2:]) > PASSED)


def check(size, window, dtype, layout):
    case = Case(size, *window)
    x = sparse(size, dtype, layout)
    assert x.numel() > PASSED
    values, indices = voxpool.max_pool3d(x, *window, return_indices=True)
    check_samples(case, x, values, indices)
    assert torch.equal(voxpool.max_pool3d(x, *window), values)
    pads = [begin for begin, _ in case.window.padding]
    whole = (case.window.kernel, case.window.stride, pads, case.window.dilation, False)
    output, taps = OPS._max_pool3d_taps(x, *whole)
    assert torch.equal(output, values)
    assert torch.equal(OPS._max_pool3d_indices(taps, size, *whole), indices)
    assert torch.equal(OPS._max_pool3d_gather(x, taps, *whole), values)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", FLOATING + INTEGERS, ids=str)
@layouts
def test_every_dtype(layout, dtype, size):
    check(SIZES[size][layout], WINDOWS[0], dtype, layout)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("window", WINDOWS[1:], ids=str)
@layouts
def test_every_window(layout, window, size):
    check(SIZES[size][layout], window, torch.int8, layout)


# Both layouts of results that take real memory: as many elements in all, in as few volumes as each layout allows.
RESULTS = {"contiguous": (1, 1, 2100, 1024, 1024), "channels-last": (1, 2, 1050, 1024, 1024)}
TAIL = 16  # planes of the output


def tail_of(x, values):
    """The planes of x that the last planes of k3 s2 p1 read, the first of those, and the window for them alone."""
    first = 2 * (values.size(2) - TAIL) - 1
    return x[:, :, first:], first, (3, 2, [0, 0, 1, 1, 1, 1], 1, False)


def bytes_of_results(dtype, per_output):
    return math.prod(RESULTS["contiguous"]) * dtype.itemsize + per_output * math.prod(RESULTS["contiguous"]) // 8


@large
@widths
@layouts
def test_every_element_is_read(layout, dtype):
    needs(bytes_of_results(dtype, dtype.itemsize + 8) - bytes_of_results(dtype, 0))
    x = sparse(RESULTS[layout], dtype, layout)
    values, indices = voxpool.max_pool3d(x, 3, 2, 1, return_indices=True)
    part, first, window = tail_of(x, values)
    expected = OPS.max_pool3d_with_indices(part, *window)
    assert torch.equal(values[:, :, -TAIL:], expected[0])
    assert torch.equal(indices[:, :, -TAIL:], expected[1] + first * x.size(3) * x.size(4))
    assert values[:, :, -TAIL:].count_nonzero() > 400


@large
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64], ids=str)
@layouts
def test_gradients_with_more_than_2_31_elements(layout, dtype):
    needs(bytes_of_results(dtype, dtype.itemsize + 1))
    size = RESULTS[layout]
    x = sparse(size, dtype, layout)
    values, taps = OPS._max_pool3d_taps(x, 3, 2, 1, 1, False)
    gradient = torch.empty_like(values).copy_((torch.arange(values.size(-1)) % 7 + 1).expand_as(values))
    actual = OPS._max_pool3d_backward(gradient, taps, size, 3, 2, 1, 1, False)
    part, _, window = tail_of(x, values)
    expected = OPS._max_pool3d_backward(gradient[:, :, -TAIL:], taps[:, :, -TAIL:], part.shape, *window)
    assert torch.equal(actual[:, :, -2 * TAIL :], expected[:, :, 1:])
    total = sum(plane.sum(dtype=torch.float64) for plane in actual.unbind(2))
    assert total == sum(plane.sum(dtype=torch.float64) for plane in gradient.unbind(2))


@layouts
def test_outputs_with_more_than_2_31_elements(layout):
    """A window of two rows, a row apart: as many outputs as inputs but for a row."""
    needs(bytes_of_results(torch.int8, 0))
    x = sparse(RESULTS[layout], torch.int8, layout)
    values = voxpool.max_pool3d(x, (1, 2, 1), 1)
    assert values.numel() > PASSED
    tail = values[:, :, -40:]
    assert torch.equal(tail, torch.maximum(x[:, :, -40:, :-1], x[:, :, -40:, 1:]))
    assert tail.count_nonzero() > 40 * 40 * 30


@large
@widths
@layouts
def test_outputs_and_taps_with_more_than_2_31_elements(layout, dtype):
    needs(bytes_of_results(dtype, 8))
    x = sparse(RESULTS[layout], dtype, layout)
    values, taps = OPS._max_pool3d_taps(x, (1, 2, 1), 1, 0, 1, False)
    assert values.numel() > PASSED
    upper, lower = x[:, :, -40:, :-1], x[:, :, -40:, 1:]
    assert torch.equal(values[:, :, -40:], torch.maximum(upper, lower))
    assert torch.equal(taps[:, :, -40:], (lower > upper).to(torch.uint8))
    assert taps[:, :, -40:].count_nonzero() > 40 * 40 * 10


@large
@widths
@layouts
def test_unpooling_to_more_than_2_31_elements(layout, dtype):
    """Elements anywhere in a volume, and the gradient that comes back from there."""
    needs(bytes_of_results(dtype, 0))
    n, c, *lengths = RESULTS[layout]
    volume = math.prod(lengths)
    near = torch.arange(4000)
    far = PASSED if volume > PASSED else volume // 2
    positions = torch.cat([near * (volume // 4000), near + far, volume - 1 - near]).unique()
    indices = torch.stack([positions[torch.randperm(len(positions))] for _ in range(c)]).view(n, c, 1, 1, -1)
    values = torch.randint(1, 100, indices.shape).to(dtype)
    restored = OPS._max_unpool3d(values, indices, lengths, layout == "channels-last")
    assert restored.numel() > PASSED
    assert torch.equal(OPS._max_unpool3d_gather(restored, indices), values)
    for channel in range(c):
        at = torch.unravel_index(indices[0, channel].view(-1), lengths)
        assert torch.equal(restored[0, channel][at], values[0, channel].view(-1))
    assert sum(int(plane.count_nonzero()) for plane in restored.unbind(2)) == indices.numel()


def test_expanded_views():
    """Every window of an expanded row is like the others; stride 0 along all axes but one."""
    row = torch.randint(-100, 100, (65,), dtype=torch.int8)
    x = row.expand(8, 8, 1024, 512, 65)
    assert x.numel() > PASSED
    values, indices = voxpool.max_pool3d(x, 3, (64, 64, 2), 1, return_indices=True)
    expected = voxpool.max_pool1d(row[None], 3, 2, 1, return_indices=True)
    assert torch.equal(values, expected[0][0].expand_as(values))
    d, h = (torch.arange(n).mul(64).sub(1).clamp(min=0) for n in values.shape[2:4])
    origin = (d[:, None] * 512 + h)[..., None] * 65
    assert torch.equal(indices, (origin + expected[1][0]).expand_as(indices))


@pytest.mark.parametrize("axis", range(3))
def test_one_axis_of_more_than_2_31(axis):
    """With windows whose taps lie 2**31 - 1 apart, and with a stride that size."""
    lengths = [1, 1, 1]
    lengths[axis] = PASSED + 10
    x = untouched((1, 1, *lengths), torch.int8, "contiguous")
    line = x.view(-1)
    line[:20], line[-20:] = torch.randint(1, 100, (2, 20), dtype=torch.int8)
    one = [1, 1, 1]
    kernel, dilation = list(one), list(one)
    kernel[axis], dilation[axis] = 2, 2**31 - 1
    values, indices = voxpool.max_pool3d(x, kernel, 1, 0, dilation, return_indices=True)
    low, high = line[:11], line[2**31 - 1 :]
    assert torch.equal(values.view(-1), torch.maximum(low, high))
    assert torch.equal(indices.view(-1), torch.arange(11) + (high > low) * (2**31 - 1))
    stride = list(one)
    stride[axis] = 2**31 - 1
    assert torch.equal(voxpool.max_pool3d(x, 1, stride).view(-1), line[:: 2**31 - 1])
    stride[axis], kernel[axis] = 2**20, 20
    values = voxpool.max_pool3d(x, kernel, stride, 0, 1).view(-1)
    assert values[0] == line[:20].max()
    assert values.count_nonzero() == 1
