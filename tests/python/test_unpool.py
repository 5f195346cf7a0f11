"""Max-unpooling against torch's: values, strides, gradients, sizes and errors; and what is different on purpose."""

import copy
import pickle
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import voxpool
from support import FLOATING, INTEGERS, OURS, TORCHS, assert_same, channels_last
from unpool_support import MODULES, SIZES, TORCH_UNPOOL, UNPOOL, WINDOWS, back, innermost, last_wins, layouts, pooled

TORCH_MODULES = {
    1: (nn.MaxPool1d, nn.MaxUnpool1d),
    2: (nn.MaxPool2d, nn.MaxUnpool2d),
    3: (nn.MaxPool3d, nn.MaxUnpool3d),
}
POOLS = {1: voxpool.nn.MaxPool1d, 2: voxpool.nn.MaxPool2d, 3: voxpool.nn.MaxPool3d}


def gradients(dims, values, indices, arguments, g):
    """Ours and torch's, which raises for indices that are neither contiguous nor channels-last."""
    for f, i in ((UNPOOL[dims], indices), (TORCH_UNPOOL[dims], indices.contiguous())):
        yield torch.autograd.grad(f(values, i, *arguments), values, g)[0]


@pytest.mark.parametrize("dtype", FLOATING, ids=str)
@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_parity(dims, window, dtype):
    values, indices = pooled(torch.randn(SIZES[dims]).to(dtype), window)
    arguments = back(dims, window)
    for name, y in layouts(values):
        for other, i in layouts(indices):
            if "contiguous" not in (name, other) and name != other:
                continue
            for mine, positions in ((y, i), (y[0], i[0])):
                leaf = mine.detach().requires_grad_()
                expected = TORCH_UNPOOL[dims](leaf, positions, *arguments)
                assert_same(UNPOOL[dims](leaf, positions, *arguments), expected)
                incoming = torch.randn(expected.shape).to(dtype)
                for g in (incoming, innermost(incoming, dims)):
                    assert_same(*gradients(dims, leaf, positions, arguments, g))


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_the_last_of_equal_indices_wins(dims):
    """Windows that overlap name a position several times, a decoder's values differ: torch's loop keeps the last."""
    _, indices = pooled(torch.randn(SIZES[dims]), (3, 1, 1))
    values = torch.randn(indices.shape, requires_grad=True)
    for _, i in layouts(indices):
        expected = TORCH_UNPOOL[dims](values, i, 3, 1, 1)
        assert_same(UNPOOL[dims](values, i, 3, 1, 1), expected)
        assert_same(*gradients(dims, values, i, (3, 1, 1), torch.randn(expected.shape)))


def test_torchs_gradient_wants_contiguous_indices():
    y, i = pooled(torch.randn(SIZES[3]), (2, None, 0))
    out = F.max_unpool3d(y.requires_grad_(), i.transpose(-1, -2).contiguous().transpose(-1, -2), 2)
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        out.sum().backward()


@pytest.mark.parametrize("size", [(1, 1, 10, 24, 48), (1, 40, 4, 12, 24), (2, 3, 16, 16, 16)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int32, torch.uint8], ids=str)
def test_results_do_not_depend_on_threads(dtype, size):
    """Large enough that volumes are cut into ranges; indices anywhere, and near where a pooling would have them."""
    values = torch.randint(1, 100, size).to(dtype)
    positions = values[0, 0].numel()
    volume = 8 * positions
    near = torch.arange(positions).view(size[2:]) * 8 + torch.randint(-40, 40, size)
    before = torch.get_num_threads()
    for indices in (torch.randint(-1, volume, size), near.clamp(-1, volume - 1)):
        expected = last_wins(values, indices, volume).view(*size[:2], *[2 * n for n in size[2:]])
        for threads in (1, 2, 3, 16):
            torch.set_num_threads(threads)
            for layout in (torch.Tensor.contiguous, channels_last):
                for last in (False, True):
                    actual = torch.ops.voxpool._max_unpool3d(layout(values), layout(indices), expected.shape[2:], last)
                    assert_same(actual, layout(expected) if not last else channels_last(expected), strides=False)
                    assert actual.is_contiguous(
                        memory_format=torch.channels_last_3d if last else torch.contiguous_format
                    )
    torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integers_too(dtype):
    """torch's CPU kernel has floating dtypes only."""
    x = torch.randint(1, 100, SIZES[3]).to(dtype)
    y, i = voxpool.max_pool3d(x, 2, return_indices=True)
    expected = F.max_unpool3d(y.double(), i, 2).to(dtype)
    assert_same(voxpool.max_unpool3d(y, i, 2), expected)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_output_size(dims):
    y, i = pooled(torch.randn(2, 3, *[9] * dims), (2, None, 0))
    i = i.clamp(max=7**dims - 1)  # inside all sizes
    for size in ([9] * dims, (2, 3, *[9] * dims), (7, 7, *[8] * dims), torch.Size([9] * dims)):
        expected = TORCH_UNPOOL[dims](y, i, 2, output_size=list(size))
        assert_same(UNPOOL[dims](y, i, 2, output_size=size), expected)
    smaller = [7] * dims
    assert_same(UNPOOL[dims](y, i, 2, output_size=smaller), TORCH_UNPOOL[dims](y, i, 2, output_size=smaller))
    for size in ((10,) * dims, (6,) * dims, (), (1,) * (dims + 1)):
        messages = []
        for f in (UNPOOL[dims], TORCH_UNPOOL[dims]):
            with pytest.raises(ValueError, match="output_size") as error:
                f(y, i, 2, output_size=size)
            messages.append(str(error.value).splitlines()[0])
        assert messages[0] == messages[1]


def test_sizes_follow_torch():
    y = torch.randn(1, 2, 3, 4, 5)
    i = torch.zeros(y.shape, dtype=torch.int64)
    for arguments in ((3,), (3, 2), (3, 2, 1), ((1, 2, 3), (3, 2, 1), (0, 1, 1)), (2, 2, -1), (5, 1, 3)):
        assert voxpool.max_unpool3d(y, i, *arguments).shape == F.max_unpool3d(y, i, *arguments).shape


@pytest.mark.parametrize("size", [(0, 2, 4, 4, 4), (0, 4, 4, 4)])
def test_empty(size):
    y = torch.randn(size, requires_grad=True)
    i = torch.zeros(size, dtype=torch.int64)
    actual, expected = voxpool.max_unpool3d(y, i, 2), F.max_unpool3d(y, i, 2)
    assert_same(actual, expected)
    actual.sum().backward()
    assert y.grad.shape == size


def test_no_room_in_the_output():
    y = torch.randn(1, 2, 1, 1, 1, requires_grad=True)
    i = torch.zeros(y.shape, dtype=torch.int64)
    out = voxpool.max_unpool3d(y, i, 2, 2, 1)
    assert out.shape == F.max_unpool3d(y, i, 2, 2, 1).shape == (1, 2, 0, 0, 0)
    assert torch.autograd.grad(out.sum(), y, retain_graph=True)[0].eq(0).all()
    assert torch.autograd.grad(out, y, torch.zeros(out.shape))[0].eq(0).all()  # a gradient that is dense


INVALID = (
    ("dtype of indices", lambda f, y, i: f(y, i.int(), 2)),
    ("shape of indices", lambda f, y, i: f(y, i[:, :1], 2)),
    ("rank of indices", lambda f, y, i: f(y, i[0], 2)),
    ("empty", lambda f, y, i: f(y[:, :0], i[:, :0], 2)),
    ("rank", lambda f, y, i: f(y[None, None], i[None, None], 2)),
    ("index too large", lambda f, y, i: f(y, i + 4**6, 2)),
    ("index below -1", lambda f, y, i: f(y, i - 4**6, 2)),
    ("huge index", lambda f, y, i: f(y, i + 2**62, 2)),
    ("bool", lambda f, y, i: f(y.bool(), i, 2)),
)


@pytest.mark.parametrize(("name", "call"), INVALID, ids=[name for name, _ in INVALID])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_errors_are_torchs(dims, name, call):
    y = torch.randn(2, 3, *[2] * dims)
    i = torch.zeros(y.shape, dtype=torch.int64)
    messages = []
    for f in (UNPOOL[dims], TORCH_UNPOOL[dims]):
        with pytest.raises((RuntimeError, NotImplementedError)) as error:
            call(f, y, i)
        # Sizes are those of a volume here, of an image there; torch names a C++ function and no dtype.
        text = re.sub(r"\(output volumes.*|^\w+\(\): | but got: Int", "", str(error.value).splitlines()[0])
        # What newer versions of torch say where 2.11 said, as voxpool does, "but got".
        text = re.sub(r"but input has sizes (.* being empty)$", r"but got \1.", text)
        messages.append((type(error.value), text))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("stride", [0, -1, (1, 0, 1)])
def test_strides_are_positive(stride):
    y, i = torch.randn(1, 1, 2, 2, 2), torch.zeros(1, 1, 2, 2, 2, dtype=torch.int64)
    for f in (voxpool.max_unpool3d, F.max_unpool3d):
        with pytest.raises(RuntimeError, match="strides should be greater than zero"):
            f(y, i, 2, stride)


def test_arguments_of_the_wrong_length_and_beyond_bounds():
    y, i = torch.randn(1, 1, 2, 2, 2), torch.zeros(1, 1, 2, 2, 2, dtype=torch.int64)
    for arguments in (((2, 2),), ((2,) * 4,), (2, (2, 2)), (2, 2, (0, 0)), (2, 2, (0,) * 4)):
        with pytest.raises(RuntimeError, match="elements"):
            voxpool.max_unpool3d(y, i, *arguments)
    for arguments in ((2, 2, 5), (2**62, 2**62), (2**62,), (1, 1, 2**62), (1, 2**62)):
        with pytest.raises(RuntimeError):
            voxpool.max_unpool3d(y, i, *arguments)
    with pytest.raises(RuntimeError, match="4d Tensor, but got a tensor with 1 dim"):
        voxpool.max_unpool2d(torch.randn(3), torch.zeros(3, dtype=torch.int64), 2)


def test_minus_one_is_left_out():
    """What voxpool.max_pool3d gives for a window without a tap; torch refuses it."""
    x = torch.randn(1, 2, 2, 2, 2)
    values, indices = voxpool.max_pool3d(x, 2, 1, ((1, 2),) * 3, 3, return_indices=True)
    assert indices.eq(-1).sum() == 14
    assert indices.eq(0).sum() == 2
    values = torch.arange(1.0, 1 + values.numel()).view(values.shape).requires_grad_()
    out = voxpool.max_unpool3d(values, indices, 1)
    (gradient,) = torch.autograd.grad(out, values, torch.ones_like(out))
    assert_same(out.flatten(2), last_wins(values, indices, out[0, 0].numel()), strides=False)
    assert torch.equal(gradient, (indices >= 0).to(gradient.dtype))
    with pytest.raises(RuntimeError, match="Found an invalid max index: -1"):
        F.max_unpool3d(values, indices, 1)


def test_an_index_outside_raises_wherever_it_is():
    y = torch.randn(1, 1, 20, 48, 48)
    for threads in (1, 4):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        for at in (0, 12345, y.numel() - 1):
            i = torch.arange(y.numel()).view(y.shape).clone()
            i.view(-1)[at] = 8 * y.numel()
            with pytest.raises(RuntimeError, match=rf"Found an invalid max index: {8 * y.numel()} .*40x96x96"):
                voxpool.max_unpool3d(y, i, 2)
        torch.set_num_threads(before)


def test_deterministic_algorithms_are_satisfied():
    y, i = voxpool.max_pool3d(torch.randn(SIZES[3]), 2, return_indices=True)
    expected = F.max_unpool3d(y, i, 2)
    torch.use_deterministic_algorithms(True)
    try:
        assert_same(voxpool.max_unpool3d(y, i, 2), expected)
        with pytest.raises(RuntimeError, match="does not have a deterministic implementation"):
            F.max_unpool3d(y, i, 2)
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("last", [False, True])
def test_unpooling_from_taps(last):
    """Where windows do not overlap, the gradient of the pooling puts values where the maxima were, without indices."""
    x = torch.randn(2, 3, 8, 6, 10)
    x = (channels_last(x) if last else x).requires_grad_()
    y, i = voxpool.max_pool3d(x, 2, return_indices=True)
    values = torch.randn(y.shape, requires_grad=True)
    (unpooled,) = torch.autograd.grad(y, x, values, create_graph=True)
    expected = voxpool.max_unpool3d(values, i, 2)
    assert torch.equal(unpooled, expected)
    g = torch.randn(unpooled.shape)
    assert torch.equal(*(torch.autograd.grad(u, values, g)[0] for u in (unpooled, expected)))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_modules(dims):
    theirs = TORCH_MODULES[dims][1]
    y, i = pooled(torch.randn(SIZES[dims]), (2, 2, 0))
    module, reference = MODULES[dims](2), theirs(2)
    assert isinstance(module, theirs)
    assert repr(module) == repr(reference)
    for other in (module, copy.deepcopy(module), pickle.loads(pickle.dumps(module)), torch.jit.script(module)):
        assert_same(other(y, i), reference(y, i))
        size = [n + 1 for n in reference(y, i).shape[2:]]
        assert_same(other(y, i, output_size=size), reference(y, i, output_size=size))


def test_torchscript_functions():
    def f(y: torch.Tensor, i: torch.Tensor):
        return (
            voxpool.max_unpool3d(y, i, 2),
            voxpool.max_unpool3d(y, i, [2, 2, 2], stride=2, output_size=[9, 7, 34]),
            voxpool.nn.functional.max_unpool3d(y, i, kernel_size=2, stride=None, padding=0),
        )

    y, i = pooled(torch.randn(SIZES[3]), (2, None, 0))
    for actual, expected in zip(torch.jit.script(f)(y, i), f(y, i), strict=True):
        assert_same(actual, expected)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("tracked", [False, True])
def test_results_are_no_views(tracked, dims):
    y, i = pooled(torch.randn(SIZES[dims]), (2, None, 0))
    for t, index in ((y, i), (y[0], i[0])):
        result = UNPOOL[dims](t.detach().requires_grad_(tracked), index, 2)
        assert not result._is_view()
        result.detach_()


def test_changed_indices_are_noticed():
    y, i = pooled(torch.randn(SIZES[3]), (2, None, 0))
    out = voxpool.max_unpool3d(y.requires_grad_(), i, 2)
    i.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


class SegNet(nn.Module):
    """Encoder and decoder that share indices, two levels deep."""

    def __init__(self, dims, pool, unpool):
        super().__init__()
        conv = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dims]
        self.pool, self.unpool = pool(2, 2, return_indices=True), unpool(2, 2)
        self.down = nn.ModuleList([conv(2, 4, 3, padding=1), conv(4, 6, 3, padding=1)])
        self.up = nn.ModuleList([conv(6, 4, 3, padding=1), conv(4, 2, 3, padding=1)])

    def forward(self, x):
        kept = []
        for conv in self.down:
            size = x.shape
            x, indices = self.pool(conv(x).relu())
            kept.append((indices, size))
        for conv in self.up:
            indices, size = kept.pop()
            x = conv(self.unpool(x, indices, output_size=size[2:]))
        return x


@pytest.mark.parametrize(("dims", "last"), [(1, False), (2, False), (2, True), (3, False), (3, True)])
def test_segnet(dims, last):
    """Sizes that the levels do not divide evenly, so that output_size matters."""
    theirs = SegNet(dims, *TORCH_MODULES[dims])
    ours = SegNet(dims, POOLS[dims], MODULES[dims])
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 2, *[11, 9, 13][:dims])
    x = channels_last(x) if last else x
    results = []
    for net in (ours, theirs):
        leaf = x.clone(memory_format=torch.preserve_format).requires_grad_()
        y = net(leaf)
        y.square().sum().backward()
        results.append([y, leaf.grad, *(p.grad for p in net.parameters())])
    for actual, expected in zip(*results, strict=True):
        torch.testing.assert_close(actual, expected)


def test_indices_of_torch_and_of_voxpool_are_the_same_thing():
    x = torch.randn(SIZES[3])
    (y, i), (z, j) = (f(x, 2, return_indices=True) for f in (OURS[3], TORCHS[3]))
    assert_same(voxpool.max_unpool3d(z, j, 2), F.max_unpool3d(y, i, 2))
