"""Parity over torch's own sample inputs. Cases that nobody chose are in test_differential.py."""

import pytest
import torch
from torch.testing._internal.common_methods_invocations import op_db

from support import OURS, TORCHS, assert_same, sentence

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
