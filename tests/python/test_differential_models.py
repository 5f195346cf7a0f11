"""The rest of the public surface in the manner of test_differential.py: unpooling, the switch for torch's operators,
models that are converted, exported programs, Keras's layers."""

import copy

import torch
from hypothesis import assume, given, note, settings
from hypothesis import strategies as st
from torch import nn
from torch.export import export

import strategies
import voxpool
from differential import MODULES, draw_gradient, draw_pooling, flat, gathered, pooled, results_or_error
from reference import output_size
from strategies import CONTENTS, per_axis
from support import OURS, TORCHS, Case, assert_same
from unpool_support import TORCH_UNPOOL, UNPOOL, last_wins

TORCH_POOLS = {d: getattr(nn, f"MaxPool{d}d") for d in (1, 2, 3)}


@given(st.data())
def test_unpooling(data):
    """Any indices: in any order, several times, -1 or outside of the result."""
    dims = data.draw(strategies.dims, label="dims")
    size = data.draw(st.tuples(*[st.integers(1, 4)] * dims), label="size")
    leading = data.draw(st.sampled_from([(2, 3), (1, 1), (3,), (0, 2), (1, 9)]), label="leading")
    kernel, stride, padding = (
        data.draw(per_axis(st.integers(low, high), dims)) for low, high in ((1, 3), (1, 3), (0, 1))
    )
    per = [strategies.spread(v, dims) for v in (kernel, stride, padding)]
    lengths = [(n - 1) * s + k - 2 * p for n, k, s, p in zip(size, *per, strict=True)]
    assume(min(lengths) > 0)
    volume = torch.Size(lengths).numel()
    dtype = data.draw(strategies.dtypes, label="dtype")
    x = data.draw(strategies.tensors((*leading, *size), dtype, dims, contents=("normal", "distinct")), label="input")
    outside = data.draw(st.integers(0, 9), label="outside") == 0
    layout = data.draw(strategies.layouts(x.dim(), dims), label="indices")
    indices = layout.place(x.shape, lambda whole: torch.randint(-1, volume + outside, whole))
    note(f"{dtype} {tuple(x.shape)}, strides {x.stride()} and {indices.stride()}, to {lengths}")
    arguments = (kernel, stride, padding)
    tracked = x.detach().requires_grad_(dtype.is_floating_point)
    result = results_or_error(lambda: UNPOOL[dims](tracked, indices, *arguments))
    if (indices >= volume).any():
        assert isinstance(result, RuntimeError)
        assert "Found an invalid max index" in str(result)
        return
    assert not isinstance(result, Exception), result
    batched = (x, indices) if x.dim() == dims + 2 else (x[None], indices[None])
    expected = last_wins(*batched, volume).view(*x.shape[:-dims], *lengths)
    assert_same(result[0].detach(), expected, strides=False)
    if dtype.is_floating_point:
        if x.numel() > 0:  # torch views what is not always a view, and refuses -1
            theirs = TORCH_UNPOOL[dims](x, indices.clamp(min=0), *arguments)
            assert (result[0].shape, result[0].stride()) == (theirs.shape, theirs.stride())
        incoming = draw_gradient(data, result[0].shape, dtype, dims)
        (gradient,) = torch.autograd.grad(result[0], tracked, incoming)
        assert_same(gradient, gathered(incoming, indices, dims), strides=False)


@given(st.data())
def test_unpooling_undoes_pooling(data):
    """Windows side by side or apart: every maximum comes back to its place."""
    dims = data.draw(strategies.dims, label="dims")
    kernel = data.draw(per_axis(st.integers(1, 3), dims), label="kernel")
    size = data.draw(st.tuples(*[st.integers(3, 7)] * dims), label="size")
    x = data.draw(strategies.tensors((2, 3, *size), torch.float32, dims, contents=("distinct",)), label="input")
    values, indices = OURS[dims](x, kernel, return_indices=True)
    unpooled = UNPOOL[dims](values, indices, kernel, output_size=size)
    expected = torch.where(unpooled != 0, x, 0)
    assert_same(unpooled, expected, strides=False)
    assert torch.equal(flat(unpooled, dims).count_nonzero(-1), flat(values, dims).count_nonzero(-1))


@given(st.data())
def test_torchs_operators_while_enabled(data):
    case, x = draw_pooling(data, torchs=True)
    x.requires_grad_(x.is_floating_point() and data.draw(st.booleans(), label="requires_grad"))
    return_indices = data.draw(st.booleans(), label="return_indices")
    ours = OURS[case.dims](x, *case.arguments, return_indices=return_indices)
    with voxpool.enabled():
        theirs = TORCHS[case.dims](x, *case.arguments, return_indices=return_indices)
    for a, b in zip(theirs, ours, strict=True) if return_indices else [(theirs, ours)]:
        assert_same(a.detach(), b.detach())
    if x.requires_grad:
        output = ours[0] if return_indices else ours
        incoming = draw_gradient(data, output.shape, x.dtype, case.dims)
        gradients = [torch.autograd.grad(r[0] if return_indices else r, x, incoming)[0] for r in (theirs, ours)]
        assert_same(gradients[0] + 0, gradients[1], strides=False)  # torch's gradient of the operator with indices


@st.composite
def networks(draw, dims):
    """A Sequential of ReLUs, poolings and others, some of them in a Sequential of their own."""

    def layer():
        kind = draw(st.sampled_from(["pool", "pool", "relu", "relu", "tanh", "inner"]))
        if kind == "relu":
            return nn.ReLU(inplace=draw(st.booleans()))
        if kind == "inner":
            return nn.Sequential(*(layer() for _ in range(draw(st.integers(1, 3)))))
        if kind == "tanh":
            return nn.Tanh()
        kernel = draw(st.integers(1, 3))
        stride, dilation = draw(st.integers(1, 2)), draw(st.sampled_from([1, 1, 2]))
        # With both, a window can miss the input, and torch's gradient then writes somewhere else in memory.
        padding = draw(st.integers(0, kernel // 2)) if dilation == 1 else 0
        return TORCH_POOLS[dims](kernel, stride, padding, dilation, ceil_mode=draw(st.booleans()))

    return nn.Sequential(*(layer() for _ in range(draw(st.integers(1, 5)))))


@given(st.data())
def test_converted_models(data):
    dims = data.draw(strategies.dims, label="dims")
    network = data.draw(networks(dims), label="network")
    fuse_relu = data.draw(st.booleans(), label="fuse_relu")
    converted = voxpool.convert_max_pool(copy.deepcopy(network), fuse_relu=fuse_relu)
    pools = [m for m in converted.modules() if isinstance(m, tuple(TORCH_POOLS.values()))]
    assert all(type(m) is MODULES[dims] for m in pools)
    torch.manual_seed(data.draw(strategies.seeds))
    x = CONTENTS[data.draw(st.sampled_from(["normal", "ties", "special"]), label="content")](
        (2, 3, *[9] * dims), torch.float64
    )

    def step(model):
        leaf = x.clone().requires_grad_()
        output = model(leaf + 0)  # in-place layers change no leaf
        return output, *torch.autograd.grad(
            output, leaf, torch.linspace(-2, 2, output.numel()).view_as(output).double()
        )

    expected = results_or_error(lambda: step(network))
    actual = results_or_error(lambda: step(converted))
    if isinstance(expected, Exception):
        # A fused in-place ReLU no longer overwrites what an earlier layer has kept for its gradient.
        assert type(actual) is type(expected) or "inplace operation" in str(expected)
        return
    assert not isinstance(actual, Exception), actual
    for a, b in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)


@settings(max_examples=5)
@given(st.data())
def test_exported_programs(data):
    case, x = draw_pooling(data, huge=False)
    kernel, stride, padding, dilation, ceil_mode = case.arguments
    relu = data.draw(st.booleans(), label="relu")
    module = MODULES[case.dims](kernel, stride, padding, dilation, ceil_mode=ceil_mode, relu=relu)
    x = x.contiguous()  # a program does not take a view of something else for granted
    assert_same(export(module, (x,)).module()(x), module(x))


@given(st.data())
def test_keras_layers(data):
    import voxpool.keras  # Keras takes seconds to load, and the other tests need none of it

    dims = data.draw(strategies.dims, label="dims")
    size = data.draw(st.tuples(*[st.integers(1, 7)] * dims), label="size")
    kernel = data.draw(per_axis(st.integers(1, 3), dims), label="pool_size")
    stride = data.draw(st.one_of(st.none(), per_axis(st.integers(1, 3), dims)), label="strides")
    pads = st.tuples(*(st.integers(0, k // 2) for k in strategies.spread(kernel, dims)))
    padding = data.draw(st.one_of(st.sampled_from(["same", "valid"]), pads), label="padding")
    last = data.draw(st.booleans(), label="channels_last")
    case = Case((2, 3, *size), kernel, stride, padding)
    layer = getattr(voxpool.keras, f"MaxPooling{dims}D")(
        kernel, stride, padding, data_format="channels_last" if last else "channels_first"
    )
    torch.manual_seed(data.draw(strategies.seeds))
    x = CONTENTS[data.draw(st.sampled_from(["ties", "special"]), label="content")](case.size, torch.float32)
    given_x = x.movedim(1, -1).contiguous() if last else x
    result = results_or_error(lambda: layer(given_x))
    if min(output_size(size, case.window)) < 1:
        assert isinstance(result, Exception)
        return
    assert not isinstance(result, Exception), result
    values = result[0].movedim(-1, 1) if last else result[0]
    assert_same(values, pooled(case, x).values, strides=False)
    assert result[0].is_contiguous()
    assert tuple(layer.compute_output_shape(tuple(given_x.shape))) == tuple(result[0].shape)
