"""ReLU and pooling in one, against torch's two steps in both orders: values, gradients and everything built on them."""

import copy
import io
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch.func import hessian, jacfwd, jvp, vmap

import voxpool
from support import CASES, FLOATING, INTEGERS, OURS, TORCHS, Case, channels_last, special, ties

MODULES = {d: getattr(voxpool.nn, f"MaxPool{d}d") for d in (1, 2, 3)}
DILATED = Case((1, 2, 4, 4, 6), 2, 1, 1, 5)  # some of its windows have no element


def fused(case):
    kernel, stride, padding, dilation, ceil_mode = case.arguments
    return MODULES[case.dims](kernel, stride, padding, dilation, ceil_mode=ceil_mode, relu=True)


def pooled(case, x):
    # torch's one-dimensional pooling has no integers; ours is compared with torch elsewhere.
    pools = TORCHS if case.dims > 1 or x.is_floating_point() else OURS
    return pools[case.dims](x, *case.arguments)


def pool_then_relu(case, x):
    return F.relu(pooled(case, x))


def relu_then_pool(case, x):
    return pooled(case, F.relu(x))


def assert_equal(actual, expected):
    """Either zero will do."""
    assert actual.dtype == expected.dtype
    assert actual.stride() == expected.stride()
    torch.testing.assert_close(actual, expected, rtol=0, atol=0, equal_nan=True)


def layouts(case, x):
    return [x, channels_last(x)] if case.dims > 1 and x.shape[0] > 0 else [x]


@pytest.mark.parametrize("values", [ties, special])
@pytest.mark.parametrize("dtype", FLOATING + INTEGERS, ids=str)
@pytest.mark.parametrize("case", [*CASES, DILATED], ids=str)
def test_values(case, dtype, values):
    torch.manual_seed(0)
    for x in layouts(case, values(case.size, dtype)):
        if dtype in (torch.int8, torch.uint8) and not x.is_contiguous():
            continue  # torch has no such kernel
        result = fused(case)(x)
        assert_equal(result, pool_then_relu(case, x))
        if case != DILATED:
            assert torch.equal(result.nan_to_num(7), relu_then_pool(case, x).nan_to_num(7))


@pytest.mark.parametrize("values", [ties, special])
@pytest.mark.parametrize("dtype", FLOATING, ids=str)
@pytest.mark.parametrize("case", [*CASES, DILATED], ids=str)
def test_gradients(case, dtype, values):
    torch.manual_seed(1)
    for x in layouts(case, values(case.size, dtype)):
        leaf = x.detach().requires_grad_()
        output = fused(case)(leaf)
        gradient = torch.randint(-3, 4, output.shape).to(dtype)  # sums of which are exact in every type
        (actual,) = torch.autograd.grad(output, leaf, gradient)
        for both in (pool_then_relu,) if case == DILATED else (pool_then_relu, relu_then_pool):
            (expected,) = torch.autograd.grad(both(case, leaf), leaf, gradient)
            torch.testing.assert_close(actual, expected, rtol=0, atol=0, equal_nan=True)
        assert actual.stride() == expected.stride()


def test_all_negative_window_has_no_gradient():
    x = torch.tensor([-1.0, -2.0, 3.0, 1.0, 0.0, -0.0]).requires_grad_()
    y = voxpool.nn.MaxPool1d(2, relu=True)(x.view(1, 1, 6))
    y.sum().backward()
    assert y.flatten().tolist() == [0, 3, 0]
    assert x.grad.tolist() == [0, 0, 1, 0, 0, 0]


def test_training_keeps_one_byte_per_output():
    kept = []
    x = torch.randn(1, 4, 8, 8, 8, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        y = voxpool.nn.MaxPool3d(2, relu=True)(x)
    assert [(t.dtype, t.numel()) for t in kept] == [(torch.uint8, y.numel())]


@pytest.mark.parametrize("padding", ["same", "valid", [(1, 0), (0, 1), (1, 1)]])
def test_paddings_of_our_own(padding):
    torch.manual_seed(2)
    x = ties((2, 3, 5, 6, 7), torch.float32)
    expected = F.relu(voxpool.max_pool3d(x, 3, 2, padding))
    assert torch.equal(voxpool.nn.MaxPool3d(3, 2, padding, relu=True)(x), expected)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("transform", ["jvp", "jacfwd", "hessian", "vmap", "forward over reverse"])
def test_transforms(dims, transform):
    torch.manual_seed(3)
    x = torch.randn(2, 2, *[5] * dims, dtype=torch.float64)
    pool = MODULES[dims](3, 2, 1, relu=True)

    def both(x):
        return F.relu(TORCHS[dims](x, 3, 2, 1))

    def run(f):
        if transform == "jvp":
            return jvp(f, (x,), (torch.ones_like(x),))[1]
        if transform == "jacfwd":
            return jacfwd(f)(x)
        if transform == "hessian":
            return hessian(lambda x: (f(x) ** 3).sum())(x)
        if transform == "vmap":
            return vmap(lambda x: f(x) ** 2, in_dims=1, out_dims=2)(x)
        return jvp(torch.func.grad(lambda x: (f(x) ** 3).sum()), (x,), (x,))[1]

    expected = run(both)
    assert expected.abs().sum() > 0
    torch.testing.assert_close(run(pool), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_copies_scripts_and_compiled_modules(dims):
    torch.manual_seed(4)
    x = torch.randn(2, 3, *[9] * dims)
    pool = MODULES[dims](3, 2, 1, relu=True)
    expected = F.relu(TORCHS[dims](x, 3, 2, 1))
    scripted = io.BytesIO()
    torch.jit.save(torch.jit.script(pool), scripted)
    scripted.seek(0)
    ways = [
        copy.deepcopy(pool),
        pickle.loads(pickle.dumps(pool)),
        torch.jit.load(scripted),
        torch.jit.trace(pool, x),
        torch.fx.symbolic_trace(pool),
        torch.compile(pool, fullgraph=True),
        torch.export.export(pool, (x,)).module(),
    ]
    for way in ways:
        assert torch.equal(way(x), expected)


def test_opcheck():
    x = torch.randn(1, 2, 5, 6, 7)
    window = ([3], [2], [1], [1], False)
    ops = torch.ops.voxpool
    for op in (ops._max_pool3d_relu, ops._max_pool3d_relu_taps):
        torch.library.opcheck(op.default, (x, *window))
        torch.library.opcheck(op.default, (x.clone().requires_grad_(), *window))
    for op in (ops._max_pool2d_relu, ops._max_pool1d_relu):
        torch.library.opcheck(op.default, (x[0, 0], *window))


def test_excludes_indices():
    sentence = "relu=True excludes return_indices=True"
    with pytest.raises(ValueError, match=sentence):
        voxpool.nn.MaxPool3d(2, return_indices=True, relu=True)
    pool = voxpool.nn.MaxPool3d(2, relu=True)
    with pytest.raises(ValueError, match=sentence):
        pool.return_indices = True
    assert not pool.return_indices
    pool.relu = False
    pool.return_indices = True
    with pytest.raises(ValueError, match=sentence):
        pool.relu = True
    with pytest.raises(TypeError, match="argument 'relu' must be bool, not str"):
        voxpool.nn.MaxPool3d(2, relu="yes")


def test_shows_in_repr_and_can_be_switched():
    pool = voxpool.nn.MaxPool3d(2, relu=True)
    assert repr(pool).endswith("ceil_mode=False, relu=True)")
    x = -torch.ones(1, 1, 2, 2, 2)
    assert pool(x).item() == 0
    pool.relu = False
    assert pool(x).item() == -1
    assert "relu" not in repr(pool)
