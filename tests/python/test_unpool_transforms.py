"""Max-unpooling differentiated, batched and compiled in every way torch has; values are compared throughout."""

import warnings

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import gradcheck, gradgradcheck
from torch.export import Dim, export
from torch.func import vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.library import opcheck

import voxpool
from support import OURS, assert_same, channels_last
from transforms import LAYOUTS, SIZES, TRANSFORMS, CountOperators, tensor
from unpool_support import MODULES, TORCH_UNPOOL, UNPOOL, layouts

OPS = torch.ops.voxpool


def indices_for(size):
    """As a pooling by 2 has them, another one for every channel and sample."""
    _, indices = OURS[len(size) - 2](
        tensor((*size[:2], *(2 * n for n in size[2:])), "contiguous"), 2, return_indices=True
    )
    return indices


def unpool(dims, unpool):
    """A function of one tensor, batched or not, for the table of transforms."""
    indices = indices_for(SIZES[dims])
    return lambda x: unpool[dims](x, indices if x.dim() == dims + 2 else indices[0], 2)


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_transform(dims, layout, transform, capfd):
    run, x = TRANSFORMS[transform], tensor(SIZES[dims], layout)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        actual = run(unpool(dims, UNPOOL), x)
    assert "Warning" not in capfd.readouterr().err  # such as: no batching rule
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch itself has none
        expected = run(unpool(dims, TORCH_UNPOOL), x)
    assert expected.abs().sum() > 0
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_vmap_is_one_call(dims):
    i = indices_for(SIZES[dims])
    with CountOperators() as count:
        vmap(lambda x: vmap(lambda t: UNPOOL[dims](t, i, 2))(x))(torch.randn(2, 3, *i.shape))
    assert count.calls == 1


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_vmap_over_indices(dims):
    x = tensor(SIZES[dims], "contiguous")
    every = torch.stack([indices_for(SIZES[dims]).roll(k, 0) for k in range(3)])
    for xs, in_dims in ((torch.stack([x, -x, x + 1]), 0), (x, (None, 0))):
        actual = vmap(lambda a, b: UNPOOL[dims](a, b, 2), in_dims)(xs, every)
        for k in range(3):
            assert torch.equal(actual[k], TORCH_UNPOOL[dims](xs[k] if in_dims == 0 else x, every[k], 2))
    assert vmap(lambda a, b: UNPOOL[dims](a, b, 2))(x[:0, None], every[:0, :1]).shape[0] == 0


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_gradcheck(dims):
    i = indices_for(SIZES[dims])
    for layout in LAYOUTS:
        x = tensor(SIZES[dims], layout).requires_grad_()
        options = {"check_forward_ad": True, "check_batched_grad": True, "check_batched_forward_grad": True}
        assert gradcheck(lambda t: UNPOOL[dims](t, i, 2), x, **options)
        assert gradgradcheck(lambda t: UNPOOL[dims](t, i, 2), x, check_fwd_over_rev=True, check_rev_over_rev=True)


def test_gradcheck_of_the_gather():
    """With equal indices and -1: the gather is linear whatever they are, and its derivative a sum."""
    source = torch.randn(1, 2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    indices = torch.randint(-1, 60, (1, 2, 2, 3, 4))
    indices[..., 0] = 7
    assert gradcheck(OPS._max_unpool3d_gather, (source, indices), check_forward_ad=True)
    assert gradgradcheck(OPS._max_unpool3d_gather, (source, indices))


def test_double_backward_with_equal_indices_is_torchs():
    i = torch.randint(0, 64, (1, 2, 2, 2, 2)) // 16
    results = []
    for f in (UNPOOL[3], TORCH_UNPOOL[3]):
        torch.manual_seed(1)
        y = torch.randn(i.shape, dtype=torch.float64, requires_grad=True)
        g = torch.randn(1, 2, 4, 4, 4, dtype=torch.float64, requires_grad=True)
        (first,) = torch.autograd.grad(f(y, i, 2), y, g, create_graph=True)
        results.append((first, torch.autograd.grad(first.pow(2).sum(), g)[0]))
    for actual, expected in zip(*results, strict=True):
        torch.testing.assert_close(actual, expected)


def test_a_gradient_that_is_a_view():
    """Expanded, cropped, transposed, channels-last: what reaches the backward is seldom contiguous."""
    i = indices_for((2, 3, 4, 5, 6))
    y = torch.randn(i.shape, requires_grad=True)
    size = (2, 3, 8, 10, 12)
    crop = torch.randn(2, 3, 9, 11, 13)[..., 1:, 1:, 1:]
    for g in (torch.ones(()).expand(size), torch.randn(1, 3, 1, 1, 12).expand(size), crop, channels_last(crop)):
        gradients = [torch.autograd.grad(f(y, i, 2), y, g)[0] for f in (UNPOOL[3], TORCH_UNPOOL[3])]
        assert_same(*gradients)


@pytest.mark.parametrize("layout", ["contiguous", "channels-last"])
def test_opcheck(layout):
    for dims in (1, 2, 3):
        i = indices_for((2, 3, *[3] * dims))
        y = torch.randn(i.shape)
        if layout == "channels-last" and dims > 1:
            y, i = channels_last(y), channels_last(i)
        op = getattr(OPS, f"max_unpool{dims}d").default
        opcheck(op, (y, i, [2]))
        opcheck(op, (y.clone().requires_grad_(), i, [2], [2], [0], [7] * dims))
    for last in (False, True):
        opcheck(OPS._max_unpool3d.default, (y.clone().requires_grad_(), i, [6, 6, 6], last))
    source = torch.randn(2, 3, 6, 6, 6)
    source = channels_last(source) if layout == "channels-last" else source
    opcheck(OPS._max_unpool3d_gather.default, (source.requires_grad_(), i))


def test_fake_tensors_have_the_real_sizes_and_strides():
    for dims, size in {1: (2, 3, 4), 2: (2, 3, 4, 5), 3: (2, 3, 4, 5, 6)}.items():
        i = indices_for(size)
        for _, y in layouts(torch.randn(size)):
            for t, index in ((y, i), (y[0], i[0])):
                real = UNPOOL[dims](t, index, 2)
                with FakeTensorMode() as mode:
                    fake = UNPOOL[dims](mode.from_tensor(t), mode.from_tensor(index), 2)
                meta = UNPOOL[dims](t.to("meta"), index.to("meta"), 2)
                assert real.shape == fake.shape == meta.shape
                assert real.stride() == fake.stride() == meta.stride()


def test_errors_without_data():
    y, i = torch.randn(1, 2, 3, 3, 3, device="meta"), torch.zeros(1, 2, 3, 3, 3, dtype=torch.int64, device="meta")
    with pytest.raises(RuntimeError, match="type int64"):
        voxpool.max_unpool3d(y, i.int(), 2)
    with pytest.raises(RuntimeError, match="Expected shape of indices"):
        voxpool.max_unpool3d(y, i[0], 2)
    with pytest.raises(RuntimeError, match="negative length"):
        voxpool.max_unpool3d(y, i, 2, 1, 9)
    with pytest.raises(RuntimeError, match="on one device"):
        voxpool.max_unpool3d(torch.randn(y.shape), i, 2)
    for shape in ((1, 2, 3, 3), (1, 3, 3, 3, 3), (2, 2, 3, 3, 3)):
        with pytest.raises(RuntimeError, match="_max_unpool3d_gather: expected a source"):
            OPS._max_unpool3d_gather(torch.randn(shape), torch.zeros(1, 2, 3, 3, 3, dtype=torch.int64))


@pytest.fixture
def _fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.usefixtures("_fresh_compiler")
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_compile(dims):
    pool = {1: voxpool.nn.MaxPool1d, 2: voxpool.nn.MaxPool2d, 3: voxpool.nn.MaxPool3d}[dims](2, return_indices=True)
    module = MODULES[dims](2)

    def f(x):
        y, i = pool(x)
        return module(y * 2, i, output_size=x.shape), UNPOOL[dims](y, i, 2, output_size=x.shape[2:])

    run = torch.compile(f, fullgraph=True, backend="aot_eager")
    x = torch.randn(2, 3, *[9] * dims)
    for layout in (x,) if dims == 1 else (x, channels_last(x)):
        for actual, expected in zip(run(layout), f(layout), strict=True):
            assert_same(actual, expected)
        leaves = [layout.clone().requires_grad_() for _ in range(2)]
        for leaf, g in zip(leaves, (run, f), strict=True):
            sum(t.square().sum() for t in g(leaf)).backward()
        assert torch.equal(leaves[0].grad, leaves[1].grad)


@pytest.mark.usefixtures("_fresh_compiler")
def test_compile_with_the_default_backend_and_dynamic_sizes():
    def f(x):
        y, i = voxpool.max_pool3d(x, 2, return_indices=True)
        return voxpool.max_unpool3d(y + 1, i, 2, output_size=x.shape) * 2

    run = torch.compile(f, fullgraph=True, dynamic=True)
    for n in (6, 7, 10):
        x = torch.randn(2, 3, n, n + 1, n + 3)
        assert_same(run(x), f(x))


def test_export_with_dynamic_shapes():
    shapes = ({0: Dim.AUTO, 2: Dim.AUTO, 3: Dim.AUTO, 4: Dim.AUTO},) * 2
    i = indices_for((2, 3, 4, 5, 6))
    program = export(MODULES[3](2), (torch.randn(i.shape), i), dynamic_shapes=shapes)
    assert any("voxpool" in str(node.target) for node in program.graph.nodes)
    for size in ((1, 3, 5, 3, 4), (3, 3, 2, 6, 7)):
        i, y = indices_for(size), torch.randn(size)
        assert torch.equal(program.module()(y, i), voxpool.max_unpool3d(y, i, 2))


@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_make_fx(mode):
    i = indices_for((1, 2, 4, 4, 4))
    y = torch.randn(i.shape)
    graph = make_fx(lambda a, b: voxpool.max_unpool3d(a, b, 2), tracing_mode=mode)(y, i)
    assert "voxpool" in graph.code
    assert torch.equal(graph(y, i), voxpool.max_unpool3d(y, i, 2))


def test_symbolic_trace():
    graph = torch.fx.symbolic_trace(lambda a, b: voxpool.max_unpool3d(a, b, 2))
    i = indices_for((1, 2, 4, 4, 4))
    y = torch.randn(i.shape)
    assert torch.equal(graph(y, i), voxpool.max_unpool3d(y, i, 2))
