"""Pooling on a GPU: the same numbers as on the CPU, and as torch's on the GPU, whichever kernel computes them."""

import functools

import pytest
import torch
import torch.nn.functional as F

import voxpool
from cuda_support import (
    DEVICE,
    assert_on_device,
    crop,
    gradient,
    kernels,
    layouts,
    normal,
    not_numbers,
    on_device,
    pooled,
    skip_without_gpu,
)
from support import (
    CASES,
    CASES_3D,
    EXACT_GRADIENTS,
    FLOATING,
    INTEGERS,
    OURS,
    TORCHS,
    channels_last,
    special,
    ties,
    views,
)

skip_without_gpu()

MODULES = {dims: getattr(voxpool.nn, f"MaxPool{dims}d") for dims in (1, 2, 3)}

# Each window that has kernels of its own.
FIXED = {
    "k2": (2,),
    "k1,2,2": ((1, 2, 2),),
    "k1,3,3 s1,2,2": ((1, 3, 3), (1, 2, 2), (0, 1, 1)),
    "k3 s2": (3, 2, 1),
    "k3 s1": (3, 1, 1),
    "k3 s2 d3": (3, 2, 1, 3),
}
VECTORS, ODD = (2, 8, 9, 12, 32), (2, 3, 9, 11, 33)


@pytest.mark.parametrize("dtype", FLOATING + INTEGERS, ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_forward_is_the_cpus(case, dtype):
    for values in (ties, special, normal) if dtype.is_floating_point else (ties, special):
        for x in layouts(values(case.size, dtype)):
            actual = pooled(case, on_device(x), return_indices=True)
            for mine, expected in zip(actual, pooled(case, x, return_indices=True), strict=True):
                assert_on_device(mine, expected)
            assert_on_device(pooled(case, on_device(x)), pooled(case, x))


@pytest.mark.parametrize("dtype", FLOATING, ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient_is_the_cpus(case, dtype):
    pool = functools.partial(pooled, case)
    incoming = normal(pool(torch.empty(case.size)).shape, dtype)
    last = channels_last if case.dims > 1 else lambda t: t
    given = {
        "contiguous": incoming,
        "channels-last": last(incoming),
        "expanded": incoming[:1, :, :1].expand(incoming.shape) if case.size[0] else incoming,
        "one value": torch.ones((), dtype=dtype).expand(incoming.shape),
        "strided": torch.stack([incoming, incoming + 1], dim=-1)[..., 0],
        "transposed": incoming.transpose(1, -1).contiguous().transpose(1, -1),
    }
    for x in layouts(ties(case.size, dtype)):
        for g in given.values():
            assert_on_device(gradient(pool, on_device(x), on_device(g)), gradient(pool, x, g))


@pytest.mark.parametrize("case", [case for case in CASES_3D if 0 not in case.size], ids=str)
def test_views(case):
    for _, x in views(case.size):
        for mine, expected in zip(
            pooled(case, on_device(x), return_indices=True), pooled(case, x, return_indices=True), strict=True
        ):
            assert_on_device(mine, expected)
        assert_on_device(pooled(case, on_device(x)), pooled(case, x))


@pytest.mark.parametrize("case", CASES_3D[:5], ids=str)
def test_unbatched(case):
    whole = torch.randn(1, *case.size[1:])
    for x in (whole[0], channels_last(whole)[0]):
        assert_on_device(pooled(case, on_device(x)), pooled(case, x))
        g = torch.randn_like(pooled(case, x))
        pool = functools.partial(pooled, case)
        assert_on_device(gradient(pool, on_device(x), on_device(g)), gradient(pool, x, g))


@pytest.mark.parametrize("dtype", FLOATING, ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_torch_on_the_same_device(case, dtype):
    """Not special values in channels-last: the index of a window of -inf is torch's own there."""
    inputs = [special(case.size, dtype), *layouts(ties(case.size, dtype)), *layouts(normal(case.size, dtype))]
    for x in map(on_device, inputs):
        values, indices = pooled(case, x, return_indices=True)
        expected = TORCHS[case.dims](x, *case.arguments, return_indices=True)
        torch.testing.assert_close(values, expected[0], rtol=0, atol=0, equal_nan=True)
        assert torch.equal(indices, expected[1])


@pytest.mark.parametrize("dtype", EXACT_GRADIENTS, ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient_of_torch_on_the_same_device(case, dtype):
    """Not equal: torch adds in whatever order its threads come."""
    for x in map(on_device, layouts(normal(case.size, dtype))):
        g = torch.randn_like(pooled(case, x))
        expected = gradient(lambda t: TORCHS[case.dims](t, *case.arguments), x, g)
        torch.testing.assert_close(gradient(functools.partial(pooled, case), x, g), expected)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("batched", [True, False])
def test_memory_format_of_torch_on_the_same_device(dims, batched):
    """On the CPU torch's max_pool1d keeps the memory format only when it is differentiated, on a GPU always."""
    x = torch.randn(2, *[7] * dims, 4).movedim(-1, 1).to(DEVICE)
    x = x if batched else x[0]
    for tensor in (x, x.contiguous(), x.detach().requires_grad_()):
        for indices in (False, True):
            results = (pool(tensor, 3, 2, 1, return_indices=indices) for pool in (OURS[dims], TORCHS[dims]))
            ours, theirs = ((r,) if isinstance(r, torch.Tensor) else r for r in results)
            assert [r.stride() for r in ours] == [r.stride() for r in theirs]


@pytest.mark.parametrize("dtype", FLOATING + INTEGERS, ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_relu(case, dtype):
    kernel, stride, padding, dilation, ceil_mode = case.arguments
    pool = MODULES[case.dims](kernel, stride, padding, dilation, ceil_mode=ceil_mode, relu=True)
    for values in (ties, special):
        for x in layouts(values(case.size, dtype)):
            # Either zero will do, as on the CPU.
            torch.testing.assert_close(pool(on_device(x)).cpu(), pool(x), rtol=0, atol=0, equal_nan=True)
            if dtype.is_floating_point:
                g = normal(pool(x).shape, dtype)
                assert_on_device(gradient(pool, on_device(x), on_device(g)), gradient(pool, x, g))


@pytest.mark.parametrize("layout", ["contiguous", "channels-last", "crop"])
@pytest.mark.parametrize("dtype", FLOATING, ids=str)
@pytest.mark.parametrize("window", FIXED)
def test_the_kernel_of_each_window(window, dtype, layout):
    arguments = FIXED[window]

    def pool(x, **options):
        return voxpool.max_pool3d(x, *arguments, **options)

    for size, vector in ((VECTORS, {"contiguous": "columns", "channels-last": "channels"}), (ODD, {})):
        expected = "generic" if dtype == torch.float64 else vector.get(layout, "scalar")
        for values in (ties, special, not_numbers):
            x = values(size, dtype)
            x = {"contiguous": x, "channels-last": channels_last(x), "crop": crop(x)}[layout]
            mine = on_device(x)
            for options in ({}, {"return_indices": True}, {"requires_grad": True}):
                assert kernels(mine, *arguments, **options)["forward"] == expected
            assert_on_device(pool(mine), pool(x))
            for actual, right in zip(pool(mine, return_indices=True), pool(x, return_indices=True), strict=True):
                assert_on_device(actual, right)
            g = normal(pool(x).shape, dtype)
            g = channels_last(g) if layout == "channels-last" else g
            assert_on_device(gradient(pool, mine, on_device(g)), gradient(pool, x, g))


def test_every_backward_kernel_is_reached_above():
    chosen = set()
    for arguments in FIXED.values():
        for dtype in FLOATING:
            for x in (normal(VECTORS, dtype), channels_last(normal(VECTORS, dtype)), normal(ODD, dtype)):
                chosen.add(kernels(on_device(x), *arguments, requires_grad=True)["backward"])
    assert chosen == {"columns", "channels", "scalar", "generic"}


@pytest.mark.parametrize("layout", [lambda x: x, channels_last], ids=["contiguous", "channels-last"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("window", FIXED)
def test_threads_of_several_planes(window, dtype, layout):
    """So many outputs that a thread gets several of them along d, which it slides its window over."""

    def pool(x):
        return voxpool.max_pool3d(x, *FIXED[window])

    x = layout(torch.randint(-1000, 1000, (4, 64, 32, 64, 64), dtype=torch.int16).to(dtype))
    mine, expected = on_device(x), pool(x)
    assert torch.equal(pool(mine).cpu(), expected)
    g = layout(torch.randint(-9, 9, expected.shape, dtype=torch.int8).to(dtype))
    assert torch.equal(gradient(pool, mine, on_device(g)).cpu(), gradient(pool, x, g))


@pytest.mark.parametrize(
    ("size", "arguments"),
    [
        ((1, 1, 4, 4, 4), (3, 2, 2)),
        ((1, 1, 4, 4, 4), (9,)),
        ((1, 0, 4, 4, 4), (2,)),
        ((4, 4, 4), (2,)),
        ((1, 1, 4, 4, 4), (2, 0)),
        ((1, 1, 4, 4, 4), ((2, 2), 2)),
    ],
)
def test_errors_are_the_cpus(size, arguments):
    messages = []
    for device in (DEVICE, "cpu"):
        with pytest.raises(RuntimeError) as error:
            voxpool.max_pool3d(torch.empty(size, device=device), *arguments)
        messages.append(str(error.value).splitlines()[0])
    assert messages[0] == messages[1]


@pytest.mark.parametrize("dtype", [torch.bool, torch.complex64], ids=str)
def test_types_without_kernels(dtype):
    with pytest.raises(NotImplementedError, match='"max_pool3d" not implemented for'):
        voxpool.max_pool3d(torch.zeros(1, 1, 4, 4, 4, dtype=dtype, device=DEVICE), 2)


def test_indices_unpool():
    x = torch.randn(2, 3, 8, 6, 10, device=DEVICE)
    values, indices = voxpool.max_pool3d(x, 2, return_indices=True)
    restored = F.max_unpool3d(values, indices, 2)
    assert torch.equal(voxpool.max_pool3d(restored, 2), values.clamp(min=0))
