"""enable() seen from torch.compile, torch.export, FX, TorchScript's tracer and torch.func."""

import pytest
import torch
import torch.nn.functional as F
from functorch.compile import make_boxed_func
from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.utils import counters
from torch._inductor.utils import fresh_cache
from torch.export import export
from torch.func import functionalize, grad, hessian, jacfwd, jvp, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.testing._internal.two_tensor import TwoTensor

import voxpool
from routes import pools_run
from support import TORCHS, assert_same

# What reaches a compiler: the operator itself, or what its derivative is made of.
OURS, TORCHS_OWN = "voxpool.max_pool3d.default", "aten.max_pool3d_with_indices.default"
OUR_TAPS, OUR_BACKWARD = "voxpool._max_pool3d_taps.default", "voxpool._max_pool3d_backward.default"


@pytest.fixture(autouse=True)
def _fresh():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()
    voxpool.disable()


def pool(x):
    return F.max_pool3d(x.relu(), 3, 2, 1)


def example(**options):
    return torch.randn(2, 3, 8, 9, 10, **options)


def pool_nodes(graph):
    return [str(n.target) for n in graph.graph.nodes if n.op == "call_function" and "max_pool" in str(n.target)]


def compiled(function, dynamic=False):
    """The compiled function, and a list of the pooling operators of each graph that it will have been traced to."""
    graphs = []

    def compiler(graph, inputs):
        graphs.append(pool_nodes(graph))
        return make_boxed_func(graph.forward)

    backend = aot_autograd(fw_compiler=compiler)
    return torch.compile(function, backend=backend, fullgraph=True, dynamic=dynamic), graphs


@pytest.mark.parametrize("dynamic", [False, True])
def test_compile_takes_the_route_that_is_set(dynamic):
    x, leaf = example(), example(requires_grad=True)
    expected = pool(x), torch.autograd.grad(pool(leaf).square().sum(), leaf)[0]
    for on in (False, True, False):
        (voxpool.enable if on else voxpool.disable)()
        for inference in (False, True):
            torch._dynamo.reset()
            run, graphs = compiled(pool, dynamic)
            with torch.inference_mode(inference):
                assert_same(run(x), expected[0])
            assert graphs == [[OURS if on else TORCHS_OWN]]
        torch._dynamo.reset()
        run, graphs = compiled(pool, dynamic)
        assert_same(torch.autograd.grad(run(leaf).square().sum(), leaf)[0], expected[1])
        assert graphs == (
            [[OUR_TAPS], [OUR_BACKWARD]] if on else [[TORCHS_OWN], ["aten.max_pool3d_with_indices_backward.default"]]
        )


@pytest.mark.parametrize("on", [False, True])
def test_a_compiled_function_keeps_its_route_until_reset(on):
    def switch(on):
        (voxpool.enable if on else voxpool.disable)()

    x = example()
    run, graphs = compiled(pool)
    switch(on)
    expected = run(x)
    switch(not on)
    assert_same(run(x), expected)
    assert graphs == [[OURS if on else TORCHS_OWN]]
    torch._dynamo.reset()
    assert_same(run(x), expected)
    assert graphs[1:] == [[TORCHS_OWN if on else OURS]]


def test_what_was_traced_to_an_operator_with_indices_goes_by_the_switch():
    x = example()
    run, _ = compiled(pool)
    run(x)
    assert "voxpool::max_pool3d_with_indices" not in pools_run(lambda: run(x))
    with voxpool.enabled():
        assert "voxpool::max_pool3d_with_indices" in pools_run(lambda: run(x))


def test_the_default_backend_and_its_caches_on_disk():
    """A graph that was kept on disk under one setting does not come back under the other."""
    x, seen = example(), []
    tag = torch.compiler.config.cache_key_tag
    with fresh_cache():
        for on in (False, True, False):
            (voxpool.enable if on else voxpool.disable)()
            torch._dynamo.reset()
            counters.clear()
            run = torch.compile(pool, fullgraph=True)
            assert_same(run(x), pool(x))
            seen.append((OURS.split(".")[0] in str(pools_run(lambda: run(x))), counters["aot_autograd"]["ok"]))  # noqa: B023
            hits = counters["aot_autograd"]["autograd_cache_hit"]
    assert [ours for ours, _ in seen] == [False, True, False]
    assert hits == 1  # the third is the first
    assert torch.compiler.config.cache_key_tag == tag


def test_the_cache_tag_of_a_user_stays():
    with torch.compiler.config.patch(cache_key_tag="mine"):
        with voxpool.enabled():
            assert torch.compiler.config.cache_key_tag.startswith("mine")
            assert torch.compiler.config.cache_key_tag != "mine"
        assert torch.compiler.config.cache_key_tag == "mine"


def test_a_block_inside_a_compiled_function():
    @torch.compile(backend="aot_eager")
    def run(x):
        with voxpool.enabled():
            return F.max_pool3d(x, 2)

    x = example()
    assert "voxpool::max_pool3d" in pools_run(lambda: run(x))
    assert not voxpool.is_enabled()


def test_a_compiled_subclass_sees_torchs_operators():
    """TwoTensor passes on what it gets, so what is traced for its halves is what reached it."""
    run, graphs = compiled(lambda x: F.max_pool3d(x, 2))
    x = TwoTensor(example(), example())
    with voxpool.enabled():
        output = run(x)
    assert graphs == [[TORCHS_OWN, TORCHS_OWN]]
    assert_same(output.b, F.max_pool3d(x.b, 2))


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("on", [False, True])
def test_export_keeps_torchs_operators(on, strict):
    voxpool.enable()  # at some time
    if not on:
        voxpool.disable()
    x = example()
    program = export(torch.nn.MaxPool3d(2), (x,), strict=strict)
    assert pool_nodes(program) == ["aten.max_pool3d.default"]
    # An operator with a kernel of its own for the CPU would stay whole here.
    assert pool_nodes(program.run_decompositions()) == [TORCHS_OWN]
    assert ("voxpool::max_pool3d" in pools_run(lambda: program.module()(x))) is on


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_make_fx_takes_the_route_that_is_set(mode, inference):
    def trace():
        with torch.inference_mode(inference):
            return pool_nodes(make_fx(pool, tracing_mode=mode)(example()))

    with voxpool.enabled():
        assert trace() == [OURS]
    assert trace() == [TORCHS_OWN]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_jit_trace_keeps_torchs_operator(dims):
    x = torch.randn(2, 3, *[9] * dims)
    with voxpool.enabled():
        traced = torch.jit.trace(lambda x: TORCHS[dims](x, 2), x)
        assert f"voxpool::max_pool{dims}d" in pools_run(lambda: traced(x))
    assert f"aten::max_pool{dims}d" in str(traced.graph)
    assert "voxpool" not in str(traced.graph)
    assert f"voxpool::max_pool{dims}d" not in pools_run(lambda: traced(x))


TRANSFORMS = {
    "vmap": lambda f: vmap(f),
    "vmap of vmap": lambda f: vmap(vmap(f)),
    "grad": lambda f: grad(lambda x: f(x).square().sum()),
    "vmap of grad": lambda f: vmap(grad(lambda x: f(x).square().sum())),
    "grad of vmap": lambda f: grad(lambda x: vmap(f)(x).square().sum()),
    "jvp": lambda f: lambda x: jvp(f, (x,), (x,))[1],
    "jacfwd": lambda f: jacfwd(f),
    "hessian": lambda f: hessian(lambda x: f(x).pow(3).sum()),
    "functionalize": lambda f: functionalize(f),
}


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_transforms(dims, transform):
    x = torch.randn(2, 2, *[4] * dims, dtype=torch.float64)
    x = x.unsqueeze(0) if transform == "vmap of vmap" else x
    run = TRANSFORMS[transform](lambda x: TORCHS[dims](x, 2))
    expected = run(x)
    assert expected.count_nonzero() > 0
    with voxpool.enabled():
        assert any("voxpool::" in name for name in pools_run(lambda: run(x)))
        actual = run(x)
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)
