"""voxpool and torch on the same call: not close but equal, over geometries, dtypes, layouts and instruction sets."""

import pytest
import torch

import reference
import voxpool
from support import (
    CASES,
    CASES_2D,
    CASES_3D,
    EXACT_GRADIENTS,
    FLOATING,
    INTEGERS,
    OURS,
    TORCHS,
    Case,
    assert_same,
    channels_last,
    special,
    ties,
    views,
)


def both(case, x, return_indices=True):
    ours = OURS[case.dims](x, *case.arguments, return_indices=return_indices)
    return ours, TORCHS[case.dims](x, *case.arguments, return_indices=return_indices)


def expect_torch(case, x):
    (values, indices), expected = both(case, x)
    assert_same(values, expected[0])
    assert_same(indices, expected[1])
    plain = OURS[case.dims](x, *case.arguments)
    # A values-only path may return either zero in 16 bits, so the comparison with torch is the one that counts.
    assert_same(plain, expected[0])


@pytest.mark.parametrize("dtype", FLOATING, ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_forward(case, dtype, capability):
    expect_torch(case, ties(case.size, dtype))
    expect_torch(case, torch.randn(case.size).to(dtype))


@pytest.mark.parametrize("dtype", FLOATING, ids=str)
@pytest.mark.parametrize("case", CASES_3D + CASES_2D, ids=str)
def test_forward_channels_last(case, dtype, capability):
    expect_torch(case, channels_last(ties(case.size, dtype)))
    expect_torch(case, channels_last(torch.randn(case.size).to(dtype)))


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_forward_integers(case, dtype, capability):
    for make in (ties, special):
        x = make(case.size, dtype)
        values, indices = reference.max_pool(x.numpy(), case.window)
        layouts = [x] if case.dims == 1 else [x, channels_last(x)]
        for layout in layouts:
            ours = OURS[case.dims](layout, *case.arguments, return_indices=True)
            assert_same(ours[0], torch.from_numpy(values), strides=False)
            assert_same(ours[1], torch.from_numpy(indices), strides=False)
            assert_same(OURS[case.dims](layout, *case.arguments), ours[0])


@pytest.mark.parametrize("dtype", FLOATING, ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_special_values(case, dtype, capability):
    """NaN, zeros of both signs and infinities; torch's channels-last index of all -inf is wrong, its contiguous not."""
    x = special(case.size, dtype)
    expect_torch(case, x)
    if case.dims > 1:
        values, indices = OURS[case.dims](channels_last(x), *case.arguments, return_indices=True)
        expected = TORCHS[case.dims](x, *case.arguments, return_indices=True)
        assert_same(values, expected[0], strides=False)
        assert_same(indices, expected[1], strides=False)


def gradient(pool, case, x, incoming):
    x = x.detach().requires_grad_()
    output = pool(x, *case.arguments)
    output.backward(incoming)
    return x.grad


@pytest.mark.parametrize("dtype", EXACT_GRADIENTS, ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_backward(case, dtype, capability):
    x = torch.randn(case.size, dtype=dtype)
    incoming = torch.randn_like(TORCHS[case.dims](x, *case.arguments))
    for layout in (lambda t: t, channels_last) if case.dims > 1 else (lambda t: t,):
        expected = gradient(TORCHS[case.dims], case, layout(x), layout(incoming))
        assert_same(gradient(OURS[case.dims], case, layout(x), layout(incoming)), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_backward_16_bit(case, dtype, capability):
    """Accumulated in float32 and rounded once: equal to the rounded float64 sum, where every partial sum is exact."""
    x = ties(case.size, dtype)
    values, indices = reference.max_pool(x.to(torch.float32).numpy(), case.window)
    incoming = torch.randint(-64, 65, values.shape).to(dtype) / 8
    exact = reference.backward(incoming.to(torch.float64).numpy(), indices, case.size)
    for layout in (lambda t: t, channels_last) if case.dims > 1 else (lambda t: t,):
        assert_same(gradient(OURS[case.dims], case, layout(x), incoming), torch.from_numpy(exact).to(dtype), False)


@pytest.mark.parametrize("case", CASES_3D, ids=str)
def test_backward_takes_any_layout_of_the_gradient(case, capability):
    x = torch.randn(case.size)
    shape = TORCHS[3](x, *case.arguments).shape
    incoming = torch.randn(shape)
    gradients = {
        "contiguous": incoming,
        "channels-last": channels_last(incoming),
        "expanded": torch.randn(shape[-1]).expand(shape),
        "scalar": torch.ones(()).expand(shape),
        "strided": torch.randn(*shape[:-1], 2 * shape[-1])[..., ::2],
        "transposed": torch.randn(*shape[:2], *shape[:1:-1]).permute(0, 1, 4, 3, 2),
    }
    for layout in (x, channels_last(x)):
        for name, given in gradients.items():
            # torch is asked with contiguous tensors: what a layout means, not what torch does with it.
            expected = gradient(TORCHS[3], case, x, given.contiguous())
            actual = gradient(OURS[3], case, layout, given)
            assert_same(actual, expected, strides=False), name
            assert actual.stride() == gradient(TORCHS[3], case, layout, channels_last(given)).stride()


@pytest.mark.parametrize("case", [case for case in CASES_3D if 0 not in case.size], ids=str)
def test_views(case, capability):
    for name, x in views(case.size):
        before = x.clone()
        (values, indices), expected = both(case, x)
        assert_same(values, expected[0]), name
        assert_same(indices, expected[1]), name
        assert_same(OURS[3](x, *case.arguments), expected[0])
        incoming = torch.randn_like(expected[0])
        assert_same(
            gradient(OURS[3], case, x, incoming), gradient(TORCHS[3], case, x.contiguous(), incoming), strides=False
        )
        assert torch.equal(x, before)


@pytest.mark.parametrize("dtype", FLOATING, ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_unbatched(case, dtype):
    if case.size[0] == 0:
        case = case._replace(size=(1, *case.size[1:]))
    expect_torch(case, ties(case.size[1:], dtype))


@pytest.mark.parametrize("case", CASES_3D[:5], ids=str)
def test_unbatched_channels_last(case, capability):
    batched = channels_last(torch.randn(1, *case.size[1:]))
    expect_torch(case, batched[0])
    x = batched[0].requires_grad_()
    OURS[3](x, *case.arguments).sum().backward()
    assert x.grad is not None
    assert_same(x.grad, gradient(TORCHS[3], case, x, torch.ones_like(TORCHS[3](x, *case.arguments))))


def test_unbatched_with_channels_last_2d_strides():
    """torch refuses these strides; their meaning is that of any other."""
    x = channels_last(torch.randn(3, 4, 5, 6))
    with pytest.raises(RuntimeError, match="Unsupported memory format"):
        TORCHS[3](x, 2)
    values, indices = OURS[3](x, 2, return_indices=True)
    expected = TORCHS[3](x.contiguous(), 2, return_indices=True)
    assert_same(values, expected[0], strides=False)
    assert_same(indices, expected[1], strides=False)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_result_does_not_depend_on_threads(threads):
    case = Case((3, 4, 11, 24, 37), 3, 2, 1)
    x = torch.randn(case.size)
    incoming = torch.randn_like(TORCHS[3](x, *case.arguments))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for layout in (x, channels_last(x)):
            expect_torch(case, layout)
            assert_same(
                gradient(OURS[3], case, layout, incoming), gradient(TORCHS[3], case, x, incoming), strides=False
            )
    finally:
        torch.set_num_threads(before)


def test_indices_unpool():
    x = torch.randn(2, 3, 8, 6, 10)
    values, indices = voxpool.max_pool3d(x, 2, return_indices=True)
    restored = torch.nn.functional.max_unpool3d(values, indices, 2)
    assert torch.equal(voxpool.max_pool3d(restored, 2), values.clamp(min=0))
