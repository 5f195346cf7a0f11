"""Defects that others reported about max-pooling elsewhere, by their numbers, as calls of voxpool.

`pytorch`, `tensorflow` and `onnxruntime` numbers are issues or pull requests of these repositories on GitHub; those of
CVE are advisories about TensorFlow. Each is the reported call, or what it amounts to in voxpool's arguments.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

import voxpool
from hostile import Case, answered, refused
from hostile_values import INT32, INT64

OPS = torch.ops.voxpool
LARGE = {"kernel_size": 536870912, "stride": 1, "dilation": 1879048192, "ceil_mode": True}


def _equal(expected: Any, result: Any) -> None:
    results, expectations = (value if isinstance(value, tuple) else (value,) for value in (result, expected))
    for actual, wanted in zip(results, expectations, strict=True):
        assert torch.equal(actual, wanted), (actual, wanted)


def _gives(name: str, call: Any, *expected: Tensor) -> Case:
    return answered(name, call, partial(_equal, expected))


def _trained(x: Tensor, pool: Any) -> tuple[Tensor, Tensor]:
    leaf = x.clone().requires_grad_()
    y = pool(leaf)
    y.sum().backward()
    return y.detach(), leaf.grad


def _backward_batches() -> Iterator[Case]:
    x = torch.ones(1, 2, 3, 6, 5)
    window = (3, 2, 0, 1, True)

    def backward(cut_gradient, cut_taps):
        output, taps = OPS._max_pool3d_taps(x, *window)
        return OPS._max_pool3d_backward(cut_gradient(output), cut_taps(taps), x.shape, *window)

    whole, none = (lambda t: t), (lambda t: t[:0])
    yield refused("pytorch 142459: backward with taps of no batch", partial(backward, whole, none))
    yield refused("pytorch 193736: backward with a gradient of no batch", partial(backward, none, whole))

    def wider():
        image = torch.ones(5, 7, 1, 9, 9)
        output, taps = OPS._max_pool3d_taps(image, (1, 3, 3), 1, (0, 1, 1), 1, False)
        gradient = torch.ones(9, *output.shape[1:])
        return OPS._max_pool3d_backward(gradient, taps, image.shape, (1, 3, 3), 1, (0, 1, 1), 1, False)

    yield refused("pytorch 140923: backward with more gradients than inputs", wider)


def _indices_rewritten() -> Tensor:
    x = torch.ones(1, 1, 2, 4, 6, requires_grad=True)
    output, indices = voxpool.max_pool3d(x, 2, 2, return_indices=True)
    torch.from_dlpack(indices).fill_(2**32)
    output.sum().backward()
    return x.grad


def _narrow_offsets() -> tuple[Tensor, Tensor]:
    # More than 127 and more than 255 taps, the maximum at the last of them.
    results = [
        _trained(torch.arange(float(n**3)).view(1, 1, n, n, n), lambda x, n=n: voxpool.max_pool3d(x, n)) for n in (6, 7)
    ]
    return tuple(gradient.flatten()[-1] for _, gradient in results)


def _pytorch() -> Iterator[Case]:
    one = torch.full((1, 1, 1, 1, 1), 1.5e300, dtype=torch.float64)
    yield refused("pytorch 73191: large kernel and dilation", partial(voxpool.max_pool3d, one, **LARGE))
    yield refused(
        "pytorch 73192: large kernel and dilation, indices",
        partial(voxpool.max_pool3d, one, **LARGE, return_indices=True),
    )
    half = torch.full((1, 2, 3), 0.5, dtype=torch.float64)
    for number, kernel, padding in ((73190, 1250999896764, 0), (142454, 8608480567731124087, 1250999896764)):
        call = partial(voxpool.max_pool1d, half, kernel, None, padding, 1250999896764, True)
        yield refused(f"pytorch {number}: 1-D beyond 32 bits", call)
    yield refused("1-D, kernel and stride of 2**63 - 1", partial(voxpool.max_pool1d, half, INT64 - 1, INT64 - 1))
    yield refused("pytorch 4986: kernel longer than the input", partial(voxpool.max_pool1d, torch.randn(1, 1, 1), 2))
    for value in (INT64, -INT64 - 1):
        yield refused(
            f"pytorch 73840: {value}", partial(voxpool.max_pool1d, half, [value], [value], [0], [value], True)
        )
    huge = torch.empty(12, 2, 2, 2, 0, 4634247419717959497 // 16, device="meta")
    call = partial(voxpool.max_pool1d, huge, 2, 1, 1, return_indices=True)
    yield refused("pytorch 94696: 1-D with indices over six axes, one of them empty", call)
    scalar, many = torch.full([], -10000), torch.full([7, 7, 7, 4, 4, 4, 7, 7], -8695).half()
    yield refused("pytorch 78126: unpooling a scalar", partial(OPS.max_unpool3d, scalar, many, [], [7052], [-9995]))

    image = torch.arange(5.0 * 10 * 24 * 24).view(5, 10, 24, 24)
    call = partial(voxpool.max_pool2d, image, 1, None, 0, INT32 - 1, True)
    yield _gives("pytorch 189664: kernel 1, dilation 2**31 - 1, 2-D", call, image)
    volume = image.view(5, 10, 4, 12, 12)
    call = partial(voxpool.max_pool3d, volume, 1, None, 0, INT32 - 1, return_indices=True)
    places = torch.arange(576).view(4, 12, 12).expand(volume.shape)
    yield _gives("pytorch 191566: kernel 1, dilation 2**31 - 1, 3-D with indices", call, volume, places)
    small = torch.arange(8.0).view(1, 1, 2, 2, 2)
    call = partial(voxpool.max_pool3d, small, 3, INT32 - 1, 0, 2**30, ceil_mode=True)
    yield refused("a reach of 2**31 without padding fits no window", call)
    tap = partial(voxpool.max_pool3d, small, 3, INT32 - 1, ((0, INT32 - 1),) * 3, 2**30, return_indices=True)
    yield _gives(
        "the first tap inside, the others 2**30 further", tap, small[..., :1, :1, :1], torch.zeros(1, 1, 1, 1, 1).long()
    )
    whole = partial(voxpool.max_pool3d, small, 2**30, 1, 2**29, return_indices=True)
    yield _gives(
        "kernel 2**30, padding 2**29: no walk through the padding",
        whole,
        torch.full((1, 1, 3, 3, 3), 7.0),
        torch.full((1, 1, 3, 3, 3), 7),
    )

    window = {"kernel_size": 3, "stride": 6, "padding": 1, "dilation": 2, "ceil_mode": True}
    call = partial(_trained, torch.arange(1.0, 225).view(1, 1, 1, 224), partial(voxpool.max_pool2d, **window))
    lowest = torch.full((1, 1, 1, 38), -torch.inf)
    yield _gives("pytorch 114216: windows without an element", call, lowest, torch.zeros(1, 1, 1, 224))
    call = partial(voxpool.max_pool3d, torch.full((1, 1, 2, 2, 2), -torch.inf), 2, return_indices=True)
    infinite = torch.full((1, 1, 1, 1, 1), -torch.inf)
    yield _gives("pytorch 1465: nothing but -inf", call, infinite, torch.zeros(1, 1, 1, 1, 1).long())
    nan = torch.tensor([[[0.0, torch.nan, 2.0]]])
    yield answered("pytorch 7645: NaN among numbers", partial(voxpool.max_pool1d, nan, 3, return_indices=True), _is_nan)
    yield _gives(
        "pytorch 193104: indices rewritten before the backward",
        _indices_rewritten,
        torch.ones(1, 1, 2, 4, 6).mul(_corner()),
    )
    yield _gives("pytorch 131659: taps beyond a signed byte", _narrow_offsets, torch.tensor(1.0), torch.tensor(1.0))
    columns = torch.arange(400000.0).view(1, 100000, 4)
    call = partial(_trained, columns, lambda x: voxpool.max_pool1d(x, 4))
    yield _gives(
        "pytorch 38764: 1-D of 100000 channels",
        call,
        columns[..., 3:],
        (torch.arange(4) == 3).float().expand_as(columns),
    )
    for index in (2**32 + 3, -(2**32) + 3):
        indices = torch.tensor([[[[0, 1], [2, index]]]])
        call = partial(voxpool.max_unpool2d, torch.ones(1, 1, 2, 2), indices, 2, output_size=(4, 4))
        yield refused(f"pytorch 197409: the index {index} is not 3", call)


def _corner() -> Tensor:
    """Of equal elements the first gets the gradient."""
    first = torch.zeros(1, 1, 2, 4, 6)
    first[..., 0, ::2, ::2] = 1
    return first


def _is_nan(result: tuple[Tensor, Tensor]) -> None:
    assert result[0].isnan().all()
    assert result[1].item() == 1


def _others() -> Iterator[Case]:
    x = torch.rand(1, 3, 4, 10, 11)
    for number, kernel, stride in (
        (42213, 2, 0),
        (51936, (2, 2, 0), 1),
        (51936, (2, 2, -2), 1),
        (85253, 3505357736, 2230364274603370470),
        (76722, -1, 2),
        (61605, 10**38, 2),
        (53604, (1, 1, 30), 2),
    ):
        for padding in ("valid", "same") if number != 53604 else ("valid",):
            call = partial(voxpool.max_pool3d, x, kernel, stride, padding)
            yield refused(f"tensorflow {number}: kernel {kernel}, stride {stride}, {padding}", call)
    sequence = torch.ones(17, 14, 7)
    yield refused("tensorflow 85251: 1-D", partial(voxpool.max_pool1d, sequence, 3134755050008138495, 48732, "same"))
    call = partial(voxpool.max_pool3d, x, INT32 - 1, INT32 - 1, "same")
    yield _gives("tensorflow 65120: the largest kernel, 'same'", call, x.amax((2, 3, 4), keepdim=True))

    def unrelated_taps(value: int) -> Tensor:
        taps = torch.full((2, 1, 2, 2, 2), value, dtype=torch.uint8)
        return OPS._max_pool3d_backward(torch.ones(taps.shape), taps, [2, 1, 4, 4, 4], 2, 2, 0, 1, False)

    yield _gives(
        "tensorflow 61653: gradient at positions outside", partial(unrelated_taps, 200), torch.zeros(2, 1, 4, 4, 4)
    )

    def mismatched(gradient: tuple[int, ...], taps: tuple[int, ...], size: tuple[int, ...]) -> Tensor:
        taps = torch.zeros(taps, dtype=torch.uint8)
        return OPS._max_pool3d_backward(torch.ones(gradient), taps, size, 2, 2, 0, 1, False)

    pooled, size = (2, 1, 2, 2, 2), (2, 1, 4, 4, 4)
    for name, shapes in {
        "CVE-2021-37674: an empty gradient": ((0,), pooled, size),
        "CVE-2021-37674: empty taps": (pooled, (0,), size),
        "tensorflow 49060: everything empty, sizes not": ((0,) * 5, (0,) * 5, size),
        "tensorflow 49060: an input of no rows": (pooled, pooled, (2, 1, 4, 0, 4)),
        "tensorflow 49688: more gradients than the input has windows": ((2, 1, 3, 3, 3), (2, 1, 3, 3, 3), size),
    }.items():
        yield refused(name, partial(mismatched, *shapes))
    quantised = torch.quantize_per_tensor(torch.rand(1, 1, 2, 2, 2), 1.0, 0, torch.quint8)
    yield refused("CVE-2022-21739: a quantised tensor", partial(voxpool.max_pool3d, quantised, 2))

    near = torch.tensor([1.0, 1.0 + 2**-20, 1.0, 1.0]).view(1, 1, 1, 2, 2)
    only_one = torch.tensor([0.0, 1.0, 0.0, 0.0]).view(1, 1, 1, 2, 2)
    call = partial(_trained, near, partial(voxpool.max_pool3d, kernel_size=(1, 2, 2)))
    yield _gives(
        "MaxPool3DGrad of TensorFlow takes what is within 1e-5 of the maximum for it",
        call,
        near.amax().view(1, 1, 1, 1, 1),
        only_one,
    )
    dilated = torch.tensor([[[1.0, 9, 2, 8, 3, 7, 4, 6, 5]]])
    call = partial(voxpool.max_pool1d, dilated, 2, 1, [(1, 1)], 2, return_indices=True)
    values = torch.tensor([[[9.0, 2, 9, 3, 8, 4, 7, 5, 6]]])
    yield _gives(
        "onnxruntime 29637: dilation behind padding", call, values, torch.tensor([[[1, 2, 1, 4, 3, 6, 5, 8, 7]]])
    )
    for index in (INT64 - 1, 8, -2):
        places = torch.full((1, 1, 1, 1, 1), index)
        yield refused(
            f"onnxruntime 27903: writing to index {index}", partial(voxpool.max_unpool3d, places.float(), places, 2)
        )


def cases() -> Iterator[Case]:
    yield from _backward_batches()
    yield from _pytorch()
    yield from _others()
