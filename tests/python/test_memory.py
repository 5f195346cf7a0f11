"""What a pooling asks memory for: the output, and in training one tap per output. Counted, not estimated."""

import pytest
import torch

import voxpool
from allocations import allocated_bytes, nbytes, peak_bytes
from support import OURS, channels_last

SIZE = (2, 4, 16, 16, 32)


def saved(call):
    """Tensors that autograd keeps for the backward of call()."""
    kept = []

    def pack(tensor):
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = call()
    return kept, output


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("layout", [lambda x: x, channels_last], ids=["contiguous", "channels-last"])
@pytest.mark.parametrize("return_indices", [False, True])
def test_training_keeps_one_byte_per_output(return_indices, layout, dtype):
    x = layout(torch.randn(SIZE).to(dtype)).requires_grad_()
    kept, output = saved(lambda: voxpool.max_pool3d(x, 3, 2, 1, return_indices=return_indices))
    output = output[0] if return_indices else output
    assert [tensor.dtype for tensor in kept] == [torch.uint8]
    assert nbytes(*kept) == output.numel()


@pytest.mark.parametrize(("kernel", "dtype"), [((5, 3, 17), torch.uint8), ((4, 8, 8), torch.int32)])
def test_more_than_255_taps_take_four_bytes(kernel, dtype):
    x = torch.randn(1, 1, 16, 16, 32, requires_grad=True)
    kept, output = saved(lambda: voxpool.max_pool3d(x, kernel, 4))
    assert [tensor.dtype for tensor in kept] == [dtype]
    assert kept[0].numel() == output.numel()


@pytest.mark.parametrize("dims", [1, 2])
def test_fewer_axes_keep_as_little(dims):
    x = torch.randn(SIZE[: dims + 2], requires_grad=True)
    kept, output = saved(lambda: OURS[dims](x, 2))
    assert nbytes(*kept) == output.numel()


@pytest.mark.parametrize("layout", [lambda x: x, channels_last], ids=["contiguous", "channels-last"])
@pytest.mark.parametrize("window", [(2,), (3, 2, 1), (5, 1, 2, 1, True)], ids=str)
def test_inference_allocates_the_output(window, layout):
    x = layout(torch.randn(SIZE))
    output = voxpool.max_pool3d(x, *window)
    assert allocated_bytes(lambda: voxpool.max_pool3d(x, *window)) == nbytes(output)
    with torch.no_grad():
        x.requires_grad_()
        assert allocated_bytes(lambda: voxpool.max_pool3d(x, *window)) == nbytes(output)


def test_indices_are_the_only_addition():
    x = torch.randn(SIZE)
    output, indices = voxpool.max_pool3d(x, 2, return_indices=True)
    call = allocated_bytes(lambda: voxpool.max_pool3d(x, 2, return_indices=True))
    assert call == nbytes(output, indices)


@pytest.mark.parametrize("window", [(2,), (3, 2, 1)], ids=str)
def test_training_allocates_taps_and_the_gradient(window):
    x = torch.randn(SIZE, requires_grad=True)
    output = voxpool.max_pool3d(x, *window)
    assert allocated_bytes(lambda: voxpool.max_pool3d(x, *window)) == nbytes(output) + output.numel()
    incoming = torch.ones_like(output)
    gradient = allocated_bytes(lambda: torch.autograd.grad(output, x, incoming, retain_graph=True))
    assert gradient == nbytes(x)


def test_views_are_not_copied():
    """Crops and slices with whole rows, and paddings of every kind, cost no more than the output."""
    whole = torch.randn(3, 6, 20, 20, 40)
    for x in (
        whole[1:, 1:-1, 2:-2, 1:-1, 3:-3],
        whole[:, ::2],
        whole[:, :, ::2, ::2],
        channels_last(whole)[:, :, 1:-2, 2:],
    ):
        for padding in (1, "same", ((1, 0), (0, 1), (1, 1))):
            output = voxpool.max_pool3d(x, 2, 2, padding)
            assert allocated_bytes(lambda x=x, padding=padding: voxpool.max_pool3d(x, 2, 2, padding)) == nbytes(output)


def test_the_input_is_let_go():
    x = torch.randn(SIZE, requires_grad=True)
    y = x * 1
    output = voxpool.max_pool3d(y, 2)
    pointer = torch.utils.weak.WeakTensorKeyDictionary({y: True})
    del y
    assert len(pointer) == 0
    output.sum().backward()
    assert x.grad.sum() == output.numel()


@pytest.mark.parametrize(
    ("size", "kernel"),
    [((1, 1, 2**24, 1, 1), (2, 1, 1)), ((1, 1, 1, 2**24, 1), (1, 2, 1)), ((1, 2, 1, 1, 2**23), (1, 1, 3))],
    ids=str,
)
def test_a_long_axis_takes_no_tables_larger_than_the_volume(size, kernel, one_thread):
    """Tables of an axis are for volumes; of a signal they would be many times its size, in every thread."""
    x = torch.zeros(size, dtype=torch.int8)
    x = channels_last(x) if size[1] == 2 else x
    output = voxpool.max_pool3d(x, kernel)
    assert peak_bytes(lambda: voxpool.max_pool3d(x, kernel)) <= nbytes(output) + 2**26 + 2**23
    x, whole = x.half(), (kernel, kernel, 0, 1, False)
    output, taps = torch.ops.voxpool._max_pool3d_taps(x, *whole)
    backward = peak_bytes(lambda: torch.ops.voxpool._max_pool3d_backward(output, taps, size, *whole))
    assert backward <= nbytes(x) + 2**26 + 2**23
