"""Poolings nobody chose, on tensors nobody chose, against torch where it is right and the reference elsewhere.

In a test run the examples are the same every time; `make fuzz` goes on with others, see fuzz.py.
"""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import jvp, vmap

import reference
import strategies
import voxpool
from differential import (
    MODULES,
    draw_gradient,
    draw_pooling,
    fits,
    gathered,
    pooled,
    results_or_error,
    scattered,
    torch_is_right,
)
from strategies import HUGE, cases, dims, inputs, per_axis, tensors
from support import EXACT_GRADIENTS, OURS, TORCHS, Case, assert_same, sentence


def torchs_strides(case, x, return_indices):
    """Strides of torch's results for a tensor that lies as x does; none where torch has no such pooling."""
    extent = 1 + sum((n - 1) * step for n, step in zip(x.shape, x.stride(), strict=True))
    twin = torch.zeros(max(extent, 0)).as_strided(x.shape, x.stride()).requires_grad_(x.requires_grad)
    try:
        results = TORCHS[case.dims](twin, *case.arguments, return_indices=return_indices)
    except RuntimeError as error:
        if "Unsupported memory format" in str(error):  # 4-D in two-dimensional channels-last order
            return None
        raise
    return [t.stride() for t in (results if return_indices else (results,))]


@given(st.data())
def test_values_and_indices(data):
    case, x = draw_pooling(data)
    before = x.clone()
    voxpool.set_cpu_capability(data.draw(strategies.capabilities, label="capability"))
    try:
        values, indices = OURS[case.dims](x, *case.arguments, return_indices=True)
        plain = OURS[case.dims](x, *case.arguments)
    finally:
        voxpool.set_cpu_capability(strategies.CAPABILITIES[-1])
    expected = pooled(case, x)
    assert_same(values, expected.values, strides=False)
    assert_same(indices, expected.indices, strides=False)
    assert_same(plain, expected.values, strides=False)
    assert torch.equal(x.nan_to_num(), before.nan_to_num())  # the input is read only
    assert voxpool.output_size(case.size[2:], *case.arguments) == values.shape[-case.dims :]
    if expected.torch_is_right:
        for results in ((values, indices), (plain,)):
            strides = torchs_strides(case, x, return_indices=len(results) == 2)
            assert strides is None or [t.stride() for t in results] == strides
    if case.dims == 3:
        assert ": runs" in voxpool.explain(x, *case.arguments)


@given(st.data())
def test_gradients(data):
    case, x = draw_pooling(data, strategies.floating)
    expected = pooled(case, x)
    return_indices = data.draw(st.booleans(), label="return_indices")
    leaf = x.detach().requires_grad_()
    results = OURS[case.dims](leaf, *case.arguments, return_indices=return_indices)
    output = results[0] if return_indices else results
    assert_same(output.detach(), expected.values, strides=False)
    if return_indices:
        assert_same(results[1], expected.indices, strides=False)
    incoming = draw_gradient(data, output.shape, x.dtype, case.dims).requires_grad_()
    (gradient,) = torch.autograd.grad(output, leaf, incoming, create_graph=True)
    wanted = scattered(incoming.detach(), expected.indices, x, case.dims)
    assert_same(gradient.detach(), wanted, strides=False)
    if case.dims == 3:
        assert "backward" in voxpool.explain(x, *case.arguments, return_indices=return_indices, requires_grad=True)

    # The derivative along a tangent, and that of the gradient, which is the same gather.
    tangent = data.draw(tensors(x.shape, x.dtype, case.dims, contents=("normal",)), label="tangent")
    along = gathered(tangent, expected.indices, case.dims)
    (second,) = torch.autograd.grad(gradient, incoming, tangent)
    assert_same(second, along, strides=False)
    # torch brings a tangent into the layout of its primal, which cannot be one in which elements share memory.
    primal = x.contiguous() if 0 in x.stride() else x
    assert_same(jvp(lambda t: OURS[case.dims](t, *case.arguments), (primal,), (tangent,))[1], along, strides=False)


@given(st.data())
def test_gradients_are_torchs_to_the_last_bit(data):
    """Sums that round: the order of additions shows."""
    case, x = draw_pooling(data, st.sampled_from(EXACT_GRADIENTS), torchs=True, huge=False)
    assume(torch_is_right(case))
    expected = TORCHS[case.dims](x.contiguous(), *case.arguments)
    incoming = torch.randn(expected.shape, dtype=x.dtype)
    gradients = []
    for pool, given_x in ((OURS, x), (TORCHS, x.contiguous())):
        leaf = given_x.detach().requires_grad_()
        gradients += torch.autograd.grad(pool[case.dims](leaf, *case.arguments), leaf, incoming)
    assert_same(gradients[0], gradients[1] + 0, strides=False)  # +0: a gradient of -0 becomes +0


@given(st.data())
def test_relu(data):
    case, x = draw_pooling(data)
    kernel, stride, padding, dilation, ceil_mode = case.arguments
    pool = MODULES[case.dims](kernel, stride, padding, dilation, ceil_mode=ceil_mode, relu=True)
    expected = pooled(case, x)
    leaf = x.detach().requires_grad_(x.is_floating_point())
    output = pool(leaf)
    torch.testing.assert_close(output.detach(), expected.values.relu(), rtol=0, atol=0, equal_nan=True)
    if x.is_floating_point():
        incoming = draw_gradient(data, output.shape, x.dtype, case.dims)
        kept = torch.where(expected.values <= 0, -1, expected.indices)
        (gradient,) = torch.autograd.grad(output, leaf, incoming)
        assert_same(gradient, scattered(incoming, kept, x, case.dims), strides=False)


@given(st.data())
def test_modules(data):
    case, x = draw_pooling(data)
    kernel, stride, padding, dilation, ceil_mode = case.arguments
    for return_indices in (False, True):
        function = OURS[case.dims](x, *case.arguments, return_indices=return_indices)
        module = MODULES[case.dims](kernel, stride, padding, dilation, return_indices, ceil_mode)(x)
        operator = torch.ops.voxpool  # what tracers, TorchScript and C++ call
        name = f"max_pool{case.dims}d" + "_with_indices" * return_indices
        arguments = voxpool._arguments.canonical(case.dims, *case.arguments)
        for other in (module, getattr(operator, name)(x, *arguments)):
            for a, b in zip(other, function, strict=True) if return_indices else [(other, function)]:
                assert_same(a, b)


@given(st.data())
def test_vmap(data):
    case, x = draw_pooling(data, strategies.floating)
    extra = data.draw(st.integers(1, 3), label="vmapped")
    layout = data.draw(strategies.layouts(x.dim() + 1, case.dims), label="layout")
    batch = layout.place((extra, *x.shape), lambda size: torch.randn(size).to(x.dtype))
    at = data.draw(st.integers(0, x.dim()), label="in_dim")
    values, indices = vmap(lambda t: OURS[case.dims](t, *case.arguments, return_indices=True), in_dims=at)(
        batch.movedim(0, at)
    )
    for i in range(extra):
        one = OURS[case.dims](batch[i], *case.arguments, return_indices=True)
        assert_same(values[i], one[0], strides=False)
        assert_same(indices[i], one[1], strides=False)


@given(st.data())
def test_tensors_without_data(data):
    """Fake and meta tensors: sizes, strides and dtypes of the real ones, with a gradient too; and their errors."""
    case = data.draw(cases(data.draw(dims)), label="case")
    x = data.draw(inputs(case), label="input")
    x.requires_grad_(x.is_floating_point() and data.draw(st.booleans(), label="requires_grad"))
    return_indices = data.draw(st.booleans(), label="return_indices")

    def run(t):
        results = OURS[case.dims](t, *case.arguments, return_indices=return_indices)
        results = results if return_indices else (results,)
        if t.requires_grad:
            results += torch.autograd.grad(results[0], t, torch.ones_like(results[0]))
        return results

    real = results_or_error(lambda: run(x))
    meta = torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device="meta", requires_grad=x.requires_grad)
    with FakeTensorMode() as mode:
        fake = results_or_error(lambda: run(mode.from_tensor(x)))
    for other in (fake, results_or_error(lambda: run(meta))):
        if isinstance(real, Exception):
            assert type(other) is type(real)
            assert str(other).splitlines()[0] == str(real).splitlines()[0]
            continue
        assert not isinstance(other, Exception), other
        described = [[(t.shape, t.stride(), t.dtype) for t in results] for results in (other, real)]
        assert described[0] == described[1]


numbers = st.one_of(st.integers(-2, 5), st.sampled_from([HUGE, HUGE + 1, -HUGE - 2, 2**62, 2**63 - 1]))


@given(st.data())
def test_errors_are_torchs(data):
    """Arguments of any number and sign, on tensors of any rank: refused where torch refuses, in its words."""
    dims = data.draw(strategies.dims)

    def several(strategy):
        return st.one_of(strategy, st.lists(strategy, min_size=dims, max_size=dims).map(tuple), st.lists(strategy))

    small = st.integers(1, 4)
    kernel = data.draw(several(st.one_of(small, numbers)), label="kernel")
    stride = data.draw(st.one_of(st.none(), several(st.one_of(small, numbers))), label="stride")
    padding = data.draw(several(st.one_of(st.just(0), numbers)), label="padding")
    dilation = data.draw(several(st.one_of(st.just(1), numbers)), label="dilation")
    shape = data.draw(st.lists(st.integers(0, 5), min_size=dims, max_size=dims + 3), label="shape")
    arguments = (kernel, stride, padding, dilation, data.draw(st.booleans(), label="ceil_mode"))
    x = torch.randn(shape)
    ours = results_or_error(lambda: OURS[dims](x, *arguments, return_indices=True))
    if isinstance(padding, (tuple, list)) and len(padding) == 2 * dims and dims > 1:
        assert isinstance(ours, Exception)  # both ends of every axis: legal for the operator only
        return
    values = [v for argument in (kernel, stride, padding, dilation) for v in
              (argument if isinstance(argument, (tuple, list)) else [argument])]  # fmt: skip
    if any(v is not None and abs(v) > 2**20 for v in values):
        # There torch overflows; here it is an error, or one that the reference agrees with.
        if not isinstance(ours, Exception):
            assert voxpool.output_size(tuple(shape[-dims:]), *arguments) == ours[0].shape[-dims:]
        return
    theirs = results_or_error(lambda: TORCHS[dims](x, *arguments, return_indices=True))
    if isinstance(theirs, Exception):
        assert isinstance(ours, Exception)
        assert type(ours) is type(theirs)
        if dims > 1:
            assert sentence(theirs) in str(ours)
    else:
        assert not isinstance(ours, Exception), ours
        assert ours[0].shape == theirs[0].shape


@given(st.data())
def test_planning_fails_where_the_pooling_does(data):
    """output_size and explain: an answer for every legal call, and for the others the pooling's error."""
    dims = data.draw(strategies.dims)
    pads = st.one_of(st.sampled_from(["same", "valid"]), per_axis(st.integers(0, 3), dims),
                     st.tuples(*[st.tuples(st.integers(-1, 6), st.integers(0, 6))] * dims))  # fmt: skip
    size = data.draw(st.tuples(*[st.integers(0, 9)] * dims), label="size")
    arguments = (
        data.draw(per_axis(st.integers(0, 5), dims), label="kernel"),
        data.draw(st.one_of(st.none(), per_axis(st.integers(0, 4), dims)), label="stride"),
        data.draw(pads, label="padding"),
        data.draw(per_axis(st.integers(0, 3), dims), label="dilation"),
        data.draw(st.booleans(), label="ceil_mode"),
    )
    x = torch.randn(1, 2, *size)
    result = results_or_error(lambda: OURS[dims](x, *arguments))
    answers = [lambda: voxpool.output_size(size, *arguments)]
    if dims == 3:
        answers.append(lambda: voxpool.explain(x, *arguments, requires_grad=True))
    for answer in answers:
        other = results_or_error(answer)
        if isinstance(result, Exception):
            assert type(other) is type(result)
            if dims == 3 and 0 not in size:
                channels = "(2x", "(1x"  # output_size knows of no channels
                assert str(other).splitlines()[0].replace(*channels[::-1]) == str(result).splitlines()[0]
        else:
            assert not isinstance(other, Exception), other
            assert other == result[0].shape[2:] or "forward" in other[0]


def test_a_case_may_have_no_window():
    """The strategies reach what they are for: windows that miss the input, and sizes that no window fits."""
    missing = Case((1, 1, 1), 2, 1, 1, 2)
    assert reference.has_empty_window(missing.size[2:], missing.window)
    assert not torch_is_right(missing)
    assert not fits(Case((1, 1, 1), 3))
    with pytest.raises(RuntimeError):
        voxpool.max_pool1d(torch.ones(1, 1, 1), 3)
