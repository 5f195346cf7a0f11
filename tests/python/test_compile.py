"""torch.compile, torch.export, fake tensors and opcheck: the operators seen from torch's compilers."""

import pytest
import torch
from torch._dynamo.testing import CompileCounter
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.export import Dim, export
from torch.fx.experimental.proxy_tensor import make_fx
from torch.library import opcheck

import voxpool
from support import CASES_1D, CASES_2D, CASES_3D, OURS, TORCHS, assert_same, channels_last

OPS = torch.ops.voxpool
NAMED = ("voxpool.max_pool1d", "voxpool.max_pool2d", "voxpool.max_pool3d")


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def compiled(f, **options):
    """Traced in full and run by AOTAutograd: everything of torch.compile but the code generator, which is not ours."""
    return torch.compile(f, fullgraph=True, backend="aot_eager", **options)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_compile(dims):
    def f(x):
        output, indices = OURS[dims](x.relu(), 3, 2, 1, return_indices=True)
        same = OURS[dims](x, 2, padding="same")
        return output * 2, indices, same, OURS[dims](x, (2,) * dims, padding=((0, 1),) * dims)

    x = torch.randn(2, 3, *[9] * dims)
    for layout in (x,) if dims == 1 else (x, channels_last(x)):
        for actual, expected in zip(compiled(f)(layout), f(layout), strict=True):
            assert_same(actual, expected)


def test_compile_with_the_default_backend():
    """Once through the code generator as well, forward and backward of a small network."""
    network = torch.nn.Sequential(torch.nn.Conv3d(1, 4, 3), torch.nn.ReLU(), voxpool.nn.MaxPool3d(2))
    x = torch.randn(2, 1, 8, 8, 8)
    expected = network(x)
    expected.square().sum().backward()
    gradients = [p.grad.clone() for p in network.parameters()]
    network.zero_grad()
    actual = torch.compile(network, fullgraph=True)(x)
    actual.square().sum().backward()
    torch.testing.assert_close(actual, expected)
    for parameter, gradient in zip(network.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


@pytest.mark.parametrize("module", [voxpool.nn.MaxPool3d(3, 2, 1), voxpool.nn.MaxPool3d(2, padding="same")])
def test_compile_a_module_with_gradients(module):
    x = torch.randn(1, 2, 7, 8, 9, requires_grad=True)
    expected = torch.autograd.grad(module(x).square().sum(), x)[0]
    actual = torch.autograd.grad(compiled(module)(x).square().sum(), x)[0]
    assert_same(actual, expected)


def test_compiled_module_sees_changed_attributes():
    pool = voxpool.nn.MaxPool3d(2)
    x = torch.randn(1, 1, 8, 8, 8)
    run = compiled(pool)
    assert run(x).shape[-1] == 4
    pool.stride = 1
    assert run(x).shape[-1] == 7


def test_dynamic_sizes_compile_once():
    """No guard on size % stride in floor mode: a new remainder is no reason to compile again."""
    counter = CompileCounter()
    run = torch.compile(lambda x: voxpool.max_pool3d(x, 3, 2, 1), backend=counter, fullgraph=True, dynamic=True)
    for size in (8, 9, 10, 11, 13, 21):
        x = torch.randn(2, 3, size, size + 1, size + 5)
        assert torch.equal(run(x), TORCHS[3](x, 3, 2, 1))
    assert counter.frame_count == 1


@pytest.mark.parametrize("arguments", [(2,), (3, 2, 1), (3, 2, 1, 1, True)], ids=str)
def test_dynamic_backward(arguments):
    run = compiled(lambda x: voxpool.max_pool3d(x, *arguments), dynamic=True)
    for size in (9, 10, 12):
        x = torch.randn(1, 2, size, size + 1, size + 2, requires_grad=True)
        y = x.detach().clone().requires_grad_()
        incoming = torch.randn_like(TORCHS[3](y, *arguments))
        run(x).backward(incoming)
        TORCHS[3](y, *arguments).backward(incoming)
        assert torch.equal(x.grad, y.grad)


@pytest.mark.parametrize("strict", [False, True])
def test_export_with_dynamic_shapes(strict):
    module = voxpool.nn.MaxPool3d(3, 2, 1)
    shapes = ({0: Dim.AUTO, 2: Dim.AUTO, 3: Dim.AUTO, 4: Dim.AUTO},)
    program = export(module, (torch.randn(2, 3, 9, 10, 11),), dynamic_shapes=shapes, strict=strict)
    targets = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    assert any(target == "voxpool.max_pool3d.default" for target in targets)
    for size in ((1, 3, 8, 9, 10), (4, 3, 12, 13, 15)):
        x = torch.randn(size)
        assert torch.equal(program.module()(x), module(x))


@pytest.mark.parametrize("case", CASES_3D + CASES_2D + CASES_1D, ids=str)
def test_fake_tensors_have_the_real_sizes_and_strides(case):
    x = torch.randn(case.size)
    layouts = [x] if case.dims == 1 else [x, channels_last(x)]
    layouts += [layout[0] for layout in layouts if case.size[0]]
    for layout in layouts:
        real = OURS[case.dims](layout, *case.arguments, return_indices=True)
        with FakeTensorMode() as mode:
            fake_input = mode.from_tensor(layout)
            fake = OURS[case.dims](fake_input, *case.arguments, return_indices=True)
            plain = OURS[case.dims](fake_input, *case.arguments)
        meta = OURS[case.dims](layout.to("meta"), *case.arguments, return_indices=True)
        for a, b, c in zip(real, fake, meta, strict=True):
            assert a.shape == b.shape == c.shape
            assert a.stride() == b.stride() == c.stride()
            assert a.dtype == b.dtype == c.dtype
        assert plain.stride() == OURS[case.dims](layout, *case.arguments).stride()


OPCHECK_WINDOWS = [((2,), (), (0,), (1,), False), ((3,), (2,), (1,), (1,), True)]


@pytest.mark.parametrize("window", OPCHECK_WINDOWS, ids=["k2", "k3s2p1ceil"])
@pytest.mark.parametrize("layout", ["contiguous", "channels-last"])
@pytest.mark.parametrize("indices", ["", "_with_indices"])
def test_opcheck(indices, layout, window):
    for dims in (1, 2, 3):
        x = torch.randn(2, 3, *[6] * dims)
        if layout == "channels-last" and dims > 1:
            x = channels_last(x)
        op = getattr(OPS, f"max_pool{dims}d{indices}")
        opcheck(op.default, (x, *window))
        opcheck(op.default, (x.requires_grad_(), *window))
        if not window[-1]:
            opcheck(op.padding, (x, window[0], window[1], "same"))


@pytest.mark.parametrize("window", OPCHECK_WINDOWS, ids=["k2", "k3s2p1ceil"])
def test_opcheck_private(window):
    for x in (torch.randn(2, 3, 5, 6, 7), channels_last(torch.randn(2, 3, 5, 6, 7))):
        output, taps = OPS._max_pool3d_taps(x, *window)
        opcheck(OPS._max_pool3d_taps.default, (x.clone().requires_grad_(), *window))
        gradient = torch.randn_like(output).requires_grad_()
        opcheck(OPS._max_pool3d_backward.default, (gradient, taps, list(x.shape), *window))
        opcheck(OPS._max_pool3d_gather.default, (x.clone().requires_grad_(), taps, *window))
        opcheck(OPS._max_pool3d_indices.default, (taps, list(x.shape), *window))


@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_make_fx(mode):
    def f(x):
        return voxpool.max_pool3d(x, 3, 2, 1, return_indices=True)

    graph = make_fx(f, tracing_mode=mode)(torch.randn(1, 2, 9, 9, 9))
    assert "voxpool" in graph.code
    x = torch.randn(1, 2, 9, 9, 9)
    for actual, expected in zip(graph(x), f(x), strict=True):
        assert torch.equal(actual, expected)


def test_schemas_are_functional():
    for name in ("max_pool1d", "max_pool2d", "max_pool3d"):
        for packet in (getattr(OPS, name), getattr(OPS, f"{name}_with_indices")):
            for overload in packet.overloads():
                op = getattr(packet, overload)
                assert not op._schema.is_mutable
                assert torch.Tag.pt2_compliant_tag in op.tags
