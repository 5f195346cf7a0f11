"""Hypothesis strategies for poolings, and for tensors of any dtype, content and place in memory."""

import math
from typing import NamedTuple

import torch
from hypothesis import strategies as st

import voxpool
from support import FLOATING, INTEGERS, Case, special, ties

HUGE = 2**31 - 1
CAPABILITIES = tuple(voxpool.info()["cpu_capabilities_available"])
# Long enough for several windows; short enough for the reference, which goes from tap to tap.
LONGEST = {1: 24, 2: 8, 3: 5}

dims = st.integers(1, 3)
dtypes = st.sampled_from(FLOATING + INTEGERS)
floating = st.sampled_from(FLOATING)
capabilities = st.sampled_from(CAPABILITIES)
seeds = st.integers(0, 2**16)


def per_axis(strategy, dims):
    """One value for all axes, or one for each."""
    return st.one_of(strategy, st.tuples(*[strategy] * dims))


def spread(value, dims):
    return (value,) * dims if isinstance(value, int) else value


@st.composite
def cases(draw, dims, torchs=False, huge=True):
    """A pooling whose arguments are legal; `torchs`: torch knows its padding. There may be no window that fits."""
    extremes = [HUGE, 2**30] if huge else [7]
    kernel = draw(per_axis(st.integers(1, 4), dims))
    strides = st.one_of(st.integers(1, 4), st.sampled_from([5, *extremes]))
    stride = draw(st.one_of(st.none(), per_axis(strides, dims)))
    dilation = draw(per_axis(st.one_of(st.just(1), st.integers(1, 3), st.sampled_from([9, *extremes])), dims))
    rule = draw(st.sampled_from(["numbers"] if torchs else ["numbers", "pairs", "same", "valid"]))
    ceil_mode = rule != "same" and draw(st.booleans())
    padding = rule
    if rule == "numbers":
        if isinstance(kernel, int) and draw(st.booleans()):
            padding = draw(st.integers(0, kernel // 2))
        else:
            padding = draw(st.tuples(*(st.integers(0, k // 2) for k in spread(kernel, dims))))
    elif rule == "pairs":
        most = [min(5, d * (k - 1)) for k, d in zip(spread(kernel, dims), spread(dilation, dims), strict=True)]
        padding = draw(st.tuples(*(st.tuples(st.integers(0, pad), st.integers(0, pad)) for pad in most)))
    lengths = draw(st.tuples(*[st.integers(1, LONGEST[dims])] * dims))
    # More channels than fit a vector, where that costs little.
    channels = draw(st.sampled_from([1, 2, 3, 5, 17] if math.prod(lengths) < 20 else [1, 2, 3]))
    return Case((draw(st.sampled_from([1, 2, 0])), channels, *lengths), kernel, stride, padding, dilation, ceil_mode)


class Layout(NamedTuple):
    """A view of something larger: the axes in memory order, outermost first; per axis what is cut off in front, the
    step, and whether one element stands for all."""

    order: tuple[int, ...]
    cut: tuple[int, ...]
    step: tuple[int, ...]
    expanded: tuple[bool, ...]

    def place(self, size, fill):
        """A view of this size into a tensor that `fill` makes."""
        whole = [1 if one else cut + n * step for n, cut, step, one in zip(size, *self[1:], strict=True)]
        memory = fill(tuple(whole[axis] for axis in self.order))
        x = memory.permute([self.order.index(axis) for axis in range(len(size))])
        for axis, (n, cut, step, one) in enumerate(zip(size, *self[1:], strict=True)):
            x = x.expand(*x.shape[:axis], n, *x.shape[axis + 1 :]) if one else x.narrow(axis, cut, n * step)
            x = x if one else x[(slice(None),) * axis + (slice(None, None, step),)]
        return x


def _plain(order):
    rank = len(order)
    return Layout(order, (0,) * rank, (1,) * rank, (False,) * rank)


@st.composite
def layouts(draw, rank, dims):
    """Contiguous, channels-last or any view, of a tensor with `dims` spatial axes at the end."""
    axes = tuple(range(rank))
    channels = rank - dims - 1
    last = (*axes[:channels], *axes[channels + 1 :], channels)
    kind = draw(st.sampled_from(["contiguous", "channels-last", "view"]))
    if kind != "view":
        return _plain(axes if kind == "contiguous" else last)
    order = draw(st.one_of(st.sampled_from([axes, last]), st.permutations(axes).map(tuple)))
    return Layout(
        order,
        draw(st.tuples(*[st.sampled_from([0, 0, 1, 3])] * rank)),
        draw(st.tuples(*[st.sampled_from([1, 1, 1, 2])] * rank)),
        draw(st.tuples(*[st.sampled_from([False] * 7 + [True])] * rank)),
    )


def _distinct(size, dtype):
    return torch.randperm(math.prod(size)).view(size).to(dtype)


def _normal(size, dtype):
    return (torch.randn(size) * 5).to(dtype)


def _lowest(size, dtype):
    return torch.full(size, -math.inf if dtype.is_floating_point else torch.iinfo(dtype).min, dtype=dtype)


CONTENTS = {"ties": ties, "special": special, "distinct": _distinct, "normal": _normal, "lowest": _lowest}


@st.composite
def tensors(draw, size, dtype, dims, contents=tuple(CONTENTS)):
    """A tensor of this size somewhere in memory. Batched or not, as the size is."""
    make, seed = CONTENTS[draw(st.sampled_from(contents))], draw(seeds)
    layout = draw(layouts(len(size), dims))
    torch.manual_seed(seed)
    return layout.place(size, lambda whole: make(whole, dtype))


@st.composite
def inputs(draw, case, types=dtypes, **options):
    """A tensor for a pooling, without a batch every now and then."""
    size = case.size[1:] if case.size[0] == 1 and draw(st.booleans()) else case.size
    return draw(tensors(size, draw(types), case.dims, **options))
