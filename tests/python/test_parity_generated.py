"""Parity over cases nobody chose: torch's own sample inputs, and geometries made by hypothesis."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.testing._internal.common_methods_invocations import op_db

from reference import has_empty_window, output_size
from support import OURS, TORCHS, Case, assert_same, channels_last, sentence, ties

OPERATORS = {op.name: op for op in op_db if op.name.startswith("nn.functional.max_pool")}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_torch_samples(dims, dtype):
    samples = list(OPERATORS[f"nn.functional.max_pool{dims}d"].sample_inputs("cpu", dtype, requires_grad=True))
    assert len(samples) > 20
    for sample in samples:
        x = sample.input.detach().clone(memory_format=torch.preserve_format).requires_grad_()
        expected = TORCHS[dims](sample.input, *sample.args, **sample.kwargs)
        actual = OURS[dims](x, *sample.args, **sample.kwargs)
        if isinstance(expected, tuple):
            assert_same(actual[1], expected[1])
            actual, expected = actual[0], expected[0]
        assert_same(actual, expected)
        if dtype in (torch.float64, torch.float32):
            incoming = torch.randn_like(expected)
            expected.backward(incoming)
            actual.backward(incoming)
            assert_same(x.grad, sample.input.grad)
            sample.input.grad = None


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_torch_error_samples(dims):
    """Inputs torch refuses are refused, too, with its sentence (torch's own text is the part after the function)."""
    samples = list(OPERATORS[f"nn.functional.max_pool{dims}d"].error_inputs("cpu"))
    assert samples
    for error in samples:
        x = error.sample_input.input
        arguments = {**error.sample_input.kwargs, "return_indices": False}
        with pytest.raises(error.error_type) as theirs:
            TORCHS[dims](x, *error.sample_input.args, **arguments)
        for return_indices in (False, True):
            with pytest.raises(error.error_type) as ours:
                OURS[dims](x, *error.sample_input.args, **{**arguments, "return_indices": return_indices})
            assert sentence(theirs.value) in str(ours.value)


@st.composite
def cases(draw, dims):
    """Any pooling torch should accept; sizes small enough for every combination to matter."""

    def per_axis(strategy):
        return draw(st.one_of(strategy, st.tuples(*[strategy] * dims)))

    kernel = per_axis(st.integers(1, 5))
    smallest = kernel if isinstance(kernel, int) else min(kernel)
    stride = draw(st.one_of(st.none(), st.integers(1, 4), st.tuples(*[st.integers(1, 4)] * dims)))
    padding = per_axis(st.integers(0, smallest // 2))
    dilation = per_axis(st.integers(1, 3))
    longest = {1: 90, 2: 24, 3: 12}[dims]
    size = (draw(st.integers(1, 2)), draw(st.integers(1, 5)), *draw(st.tuples(*[st.integers(1, longest)] * dims)))
    return Case(size, kernel, stride, padding, dilation, draw(st.booleans()))


@pytest.mark.parametrize("dims", [1, 2, 3])
@settings(max_examples=250)
@given(data=st.data())
def test_generated(data, dims):
    case = data.draw(cases(dims))
    dtype = data.draw(st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16]))
    x = ties(case.size, dtype)
    if dims > 1 and data.draw(st.booleans()):
        x = channels_last(x)
    if min(output_size(case.size[2:], case.window)) < 1:
        for pool in (OURS[dims], TORCHS[dims]):
            with pytest.raises(RuntimeError, match="output size"):
                pool(x, *case.arguments)
        return
    # There torch's index lies outside the input: test_reference.py has these.
    assume(not has_empty_window(case.size[2:], case.window))

    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    actual = OURS[dims](ours, *case.arguments, return_indices=True)
    expected = TORCHS[dims](theirs, *case.arguments, return_indices=True)
    # Of a window that misses the input torch returns an index outside of it: test_reference.py has those.
    assume((actual[1] >= 0).all())
    assert_same(actual[0], expected[0])
    assert_same(actual[1], expected[1])
    assert_same(OURS[dims](x, *case.arguments), expected[0])
    # Small integers: every partial sum is exact in 16 bits as well.
    incoming = torch.randint(-3, 4, expected[0].shape).to(dtype)
    actual[0].backward(incoming)
    expected[0].backward(incoming)
    assert_same(ours.grad, theirs.grad + 0)
