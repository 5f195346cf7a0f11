"""Poolings drawn by Hypothesis, and the right answers: torch's where it is right, the reference's elsewhere."""

from typing import NamedTuple

import torch
from hypothesis import assume, note

import reference
import strategies
import voxpool
from support import TORCHS

MODULES = {d: getattr(voxpool.nn, f"MaxPool{d}d") for d in (1, 2, 3)}


class Pooled(NamedTuple):
    values: torch.Tensor
    indices: torch.Tensor
    torch_is_right: bool


def fits(case):
    """Whether there is a window, with a padding of 32 bits; the pooling raises where there is none."""
    pads = reference.pads_of(case.size[2:], case.window)
    return max(map(max, pads)) <= strategies.HUGE and min(reference.output_size(case.size[2:], case.window)) > 0


def torch_is_right(case):
    """torch's kernels overflow on huge arguments, and for a window without a tap give an index outside of the input."""
    window = case.window
    huge = max(*window.stride, *window.dilation) > 2**20
    return case.torch_takes and not huge and not reference.has_empty_window(case.size[2:], window)


def pooled(case, x):
    """The right answer."""
    if torch_is_right(case):
        # torch's channels-last kernels have other indices of -inf, and refuse some integers.
        return Pooled(*TORCHS[case.dims](x.contiguous(), *case.arguments, return_indices=True), True)
    batched = x if x.dim() == case.dims + 2 else x[None]
    numbers = batched.float() if x.dtype == torch.bfloat16 else batched
    values, indices = (torch.from_numpy(a) for a in reference.max_pool(numbers.numpy(), case.window))
    shape = (*x.shape[: -case.dims], *values.shape[2:])
    return Pooled(values.to(x.dtype).reshape(shape), indices.reshape(shape), False)


def draw_pooling(data, types=strategies.dtypes, **options):
    """A pooling that has windows, and its input."""
    case = data.draw(strategies.cases(data.draw(strategies.dims), **options), label="case")
    assume(fits(case))
    x = data.draw(strategies.inputs(case, types), label="input")
    note(f"{x.dtype} {tuple(x.shape)} with strides {x.stride()}")
    return case, x


def draw_gradient(data, shape, dtype, dims):
    """An incoming gradient anywhere in memory, of small integers: every partial sum is exact in 16 bits as well."""
    layout, seed = data.draw(strategies.layouts(len(shape), dims), label="gradient"), data.draw(strategies.seeds)
    torch.manual_seed(seed)
    return layout.place(shape, lambda whole: torch.randint(-3, 4, whole).to(dtype))


def flat(t, dims):
    """Spatial axes as one."""
    return t.flatten(-dims)


def scattered(gradient, indices, like, dims):
    """The definition: every gradient is added where its maximum was; -1 is nowhere."""
    inside = flat(indices >= 0, dims)
    total = torch.zeros(flat(like, dims).shape, dtype=torch.float64)
    total.scatter_add_(-1, flat(indices, dims).clamp(min=0), flat(gradient.double(), dims) * inside)
    return total.reshape(like.shape).to(like.dtype)


def gathered(source, indices, dims):
    """What the maxima are in another tensor than the one that was pooled."""
    taken = flat(source, dims).gather(-1, flat(indices, dims).clamp(min=0))
    return torch.where(indices >= 0, taken.reshape(indices.shape), 0)


def results_or_error(call):
    try:
        results = call()
    except (RuntimeError, TypeError, ValueError) as error:
        return error
    return results if isinstance(results, tuple) else (results,)
