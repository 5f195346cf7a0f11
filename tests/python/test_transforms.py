"""Every way torch has to differentiate or batch a function, over 1, 2 and 3 axes, values and indices, both layouts.

Values are compared, not only that nothing raises: a missing rule can turn a hessian into silent zeros.
"""

import warnings

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call, grad, vmap

import voxpool
from support import OURS, TORCHS
from transforms import (
    LAYOUTS,
    SIZES,
    TRANSFORMS,
    WINDOWS,
    CountOperators,
    batch,
    tensor,
    values_of,
    values_with_indices,
)


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("result", [values_of, values_with_indices], ids=["values", "indices"])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_transform(dims, result, layout, transform, capfd):
    run = TRANSFORMS[transform]
    for window in WINDOWS.values():
        x = tensor(SIZES[dims], layout)
        # A fallback to zeros announces itself with a warning in Python, one to a loop over the samples on stderr.
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            actual = run(result(OURS[dims], window), x)
        assert "Warning" not in capfd.readouterr().err
        expected = run(derivable(dims, window), x)
        assert expected.abs().sum() > 0
        torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("padding", [0, "same"])
@pytest.mark.parametrize("indices", [False, True])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_vmap_is_one_call(dims, indices, padding):
    x = batch(tensor(SIZES[dims], "contiguous"))
    with CountOperators() as count:
        vmap(vmap(lambda t: OURS[dims](t, 2, 1, padding, return_indices=indices)))(x)
    assert count.calls == 1


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_vmap_refuses_the_ranks_eager_refuses(dims):
    """A vmapped axis is never taken for the channels."""
    for x in (torch.randn(3, *[4] * dims), torch.randn(3, 1, 1, 1, *[4] * dims)):
        with pytest.raises(RuntimeError) as eager:
            OURS[dims](x[0], 2)
        with pytest.raises(RuntimeError) as batched:
            vmap(lambda t: OURS[dims](t, 2))(x)
        assert str(batched.value).splitlines()[0] == str(eager.value).splitlines()[0]


def test_vmap_of_private_operators_refuses_ranks():
    ops = torch.ops.voxpool
    taps, gradient = torch.zeros(3, 2, 2, 2, dtype=torch.uint8), torch.zeros(3, 2, 2, 2)
    for call in (
        lambda g, t: ops._max_pool3d_backward(g, t, [4, 4, 4], 2),
        lambda g, t: ops._max_pool3d_gather(g, t, 1),
        lambda g, t: ops._max_pool3d_indices(t, [4, 4, 4], 2),
    ):
        with pytest.raises(RuntimeError, match="non-empty 4D or 5D"):
            vmap(call)(gradient, taps)


def derivable(dims, window):
    """The same pooling out of operators torch can differentiate and batch in every way: pad, unfold, amax."""
    kernel, stride, padding = (*window, window[0], 0)[:3] if len(window) < 3 else window

    def pool(x):
        x = torch.nn.functional.pad(x, (padding, padding) * dims, value=float("-inf"))
        for axis in range(-dims, 0):
            # Every unfold appends its window axis at the end, behind the spatial axes that are left.
            x = x.movedim(axis, -1).unfold(-1, kernel, stride).amax(-1).movedim(-1, axis)
        return x

    return pool


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_the_derivable_pooling_is_torchs(dims):
    for window in WINDOWS.values():
        x = tensor(SIZES[dims], "contiguous")
        assert torch.equal(derivable(dims, window)(x), TORCHS[dims](x, *window))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_indices_under_vmap(dims):
    x = batch(tensor(SIZES[dims], "contiguous"))
    actual = vmap(lambda t: OURS[dims](t, 3, 2, 1, return_indices=True)[1])(x)
    assert torch.equal(actual, torch.stack([TORCHS[dims](t, 3, 2, 1, return_indices=True)[1] for t in x]))


GRADIENT_WINDOWS = {
    "k2": (2,),
    "k3s2p1": (3, 2, 1),
    "k3s1p1d2": (3, 1, 1, 1),
    "ceil": (2, 3, 1, 1, True),
    "same": (3, 2, "same"),
    "dilated": (2, 1, 0, 2),
}


@pytest.mark.parametrize("window", GRADIENT_WINDOWS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("result", [values_of, values_with_indices], ids=["values", "indices"])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_gradcheck(dims, result, layout, window):
    x = tensor(SIZES[dims], layout).requires_grad_()
    f = result(OURS[dims], GRADIENT_WINDOWS[window])
    assert gradcheck(f, (x,), fast_mode=True, check_forward_ad=True, check_batched_grad=True)
    assert gradgradcheck(f, (x,), fast_mode=True, check_fwd_over_rev=True, check_batched_grad=True)


def test_gradcheck_slow_and_complete():
    """Every element of the Jacobian, also of windows that miss the input and with an expanded gradient."""
    x = tensor((1, 2, 2, 3, 2), "contiguous").requires_grad_()

    def missing(t):
        return torch.nan_to_num(voxpool.max_pool3d(t, 2, 1, 1, 3), neginf=0.0)

    assert gradcheck(missing, (x,), check_forward_ad=True)
    assert gradcheck(lambda t: voxpool.max_pool3d(t, 3, 1, 1).sum(), (x,), check_forward_ad=True)
    assert gradgradcheck(lambda t: voxpool.max_pool3d(t, 3, 1, 1) ** 2, (x,))


def test_indices_are_not_differentiable():
    x = torch.randn(1, 1, 4, 4, 4, requires_grad=True)
    output, indices = voxpool.max_pool3d(x, 2, return_indices=True)
    assert output.requires_grad
    assert not indices.requires_grad
    assert indices.grad_fn is None


def test_changed_indices_do_not_change_the_gradient():
    x = torch.randn(1, 2, 4, 4, 4, requires_grad=True)
    output, indices = voxpool.max_pool3d(x, 2, return_indices=True)
    indices.fill_(10**9)
    output.sum().backward()
    expected = torch.autograd.grad(TORCHS[3](x, 2).sum(), x)[0]
    assert torch.equal(x.grad, expected)


def test_backward_after_the_input_changed():
    """The gradient needs the taps, not the input, so writing to the input is fine (torch refuses it)."""
    x = torch.randn(1, 2, 4, 4, 4, requires_grad=True)
    y = x * 1
    output = voxpool.max_pool3d(y, 2)
    expected = torch.autograd.grad(TORCHS[3](x, 2).sum(), x)[0]
    y.detach().zero_()
    output.sum().backward()
    assert torch.equal(x.grad, expected)


def test_backward_twice_needs_retain_graph():
    x = torch.randn(1, 1, 4, 4, 4, requires_grad=True)
    output = voxpool.max_pool3d(x, 2)
    output.sum().backward(retain_graph=True)
    output.sum().backward()
    assert torch.equal(x.grad.sum(), torch.tensor(16.0))
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        output.sum().backward()


def test_functional_call_of_a_network():
    network = torch.nn.Sequential(torch.nn.Conv3d(1, 2, 3), voxpool.nn.MaxPool3d(2), torch.nn.Flatten())
    twin = torch.nn.Sequential(network[0], torch.nn.MaxPool3d(2), torch.nn.Flatten())
    x = torch.randn(3, 1, 6, 6, 6)
    parameters = dict(network.named_parameters())

    def loss(model):
        return lambda p, sample: functional_call(model, p, (sample[None],)).square().sum()

    ours = vmap(grad(loss(network)), in_dims=(None, 0))(parameters, x)
    theirs = [grad(loss(twin))(parameters, sample) for sample in x]
    for name, gradient in ours.items():
        torch.testing.assert_close(gradient, torch.stack([g[name] for g in theirs]), rtol=1e-4, atol=1e-4)
