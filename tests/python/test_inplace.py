"""Results are tensors of their own, not views of another one, so that everything torch allows in place is allowed."""

import pytest
import torch

import voxpool
from support import OURS, TORCHS


def pooled(dims, batched, indices, x):
    """All results of a call, on a batch or on its first sample."""
    result = OURS[dims](x if batched else x[0], 2, return_indices=indices)
    return result if indices else (result,)


@pytest.mark.parametrize("tracked", [False, True], ids=["plain", "requires_grad"])
@pytest.mark.parametrize("indices", [False, True], ids=["values", "indices"])
@pytest.mark.parametrize("batched", [False, True], ids=["unbatched", "batched"])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_results_are_no_views(dims, batched, indices, tracked):
    x = torch.randn(2, 3, *[6] * dims, requires_grad=tracked)
    for result in pooled(dims, batched, indices, x):
        assert not result._is_view()
        result.detach_()


@pytest.mark.parametrize("batched", [False, True], ids=["unbatched", "batched"])
@pytest.mark.parametrize("indices", [False, True], ids=["values", "indices"])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_result_of_no_grad_is_changed_with_grad(dims, indices, batched):
    x = torch.randn(2, 3, *[6] * dims)
    with torch.no_grad():
        y = pooled(dims, batched, indices, x)[0]
    expected = y.clone()
    factor = torch.ones(1, requires_grad=True)
    y.mul_(factor).sum().backward()
    assert torch.equal(factor.grad, expected.sum().view(1))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_gradient_through_a_change_in_place(dims):
    x = torch.randn(2, 3, *[6] * dims, requires_grad=True)
    y = OURS[dims](x, 3, 2, 1).relu_()
    assert y.grad_fn.name() == "ReluBackward0"
    actual = torch.autograd.grad(y.square().sum(), x)[0]
    expected = torch.autograd.grad(TORCHS[dims](x, 3, 2, 1).relu().square().sum(), x)[0]
    assert torch.equal(actual, expected)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_functionalized_changes_in_place(dims):
    def f(x):
        y, indices = OURS[dims](x, 2, return_indices=True)
        return y.add_(1), indices.mul_(2), OURS[dims](x, 2, padding="same").relu_()

    x = torch.randn(2, 3, *[7] * dims)
    compiled = torch.compile(f, fullgraph=True, backend="aot_eager")
    for run in (torch.func.functionalize(f), compiled):
        for actual, expected in zip(run(x), f(x), strict=True):
            assert torch.equal(actual, expected)
    torch._dynamo.reset()


def test_named_padding_is_no_view():
    assert not voxpool.max_pool2d(torch.randn(1, 2, 7, 7), 2, padding="same")._is_view()
