"""ONNX: what both exporters of torch.onnx make of a pooling, and that ONNX Runtime gets the same result from it."""

import onnx
import onnxruntime
import pytest
import torch
from torch import nn

import voxpool
from support import ties

MODULES = {d: getattr(voxpool.nn, f"MaxPool{d}d") for d in (1, 2, 3)}
# `True`: a (begin, end) pair for every axis. No two alike, or the exporter makes one of them.
WINDOWS = {
    "plain": {"kernel_size": 2},
    "ceil": {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 2, "ceil_mode": True},
    "ceil but for a window that begins in the padding": {
        "kernel_size": 2,
        "stride": 3,
        "padding": 1,
        "ceil_mode": True,
    },
    "indices": {"kernel_size": 3, "stride": 2, "padding": 1, "return_indices": True},
    "relu": {"kernel_size": 3, "relu": True},
    "same": {"kernel_size": 2, "padding": "same"},
    "same at stride 1": {"kernel_size": 3, "stride": 1, "dilation": 2, "padding": "same", "return_indices": True},
    "pairs": {"kernel_size": 3, "stride": 2, "padding": True, "ceil_mode": True, "relu": True},
    "pairs, ceil": {"kernel_size": 2, "stride": 3, "padding": True, "ceil_mode": True},
    "pairs and indices": {"kernel_size": 3, "stride": 2, "padding": True, "return_indices": True},
}
# Nodes that tell indices inside a volume from those through batch and channels, and a batch from none.
HELPERS = {"Add", "Constant", "Gather", "Mod", "Mul", "Shape", "Slice", "Squeeze", "Sub", "Unsqueeze"}

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporters, about themselves and their Python


def module(dims: int, options: dict) -> nn.Module:
    options = dict(options)
    if options.get("padding") is True:
        options["padding"] = ((0, 1), (1, 1), (1, 0))[:dims]
    return MODULES[dims](**options)


class Poolings(nn.Module):
    """Every window on the same input."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.pools = nn.ModuleList(module(dims, options) for options in WINDOWS.values())

    def forward(self, x):
        results = [pool(x) for pool in self.pools]
        return tuple(y for result in results for y in (result if isinstance(result, tuple) else (result,)))


def volume(dims: int) -> torch.Tensor:
    return ties((2, 3, 9, 10, 11)[: 2 + dims], torch.float32)


def exported(model, x, path, exporter: str, open_axes: tuple[int, ...] = ()) -> onnx.ModelProto:
    open_sizes = {}
    if open_axes and exporter == "export":
        open_sizes = {"dynamic_shapes": (dict.fromkeys(open_axes, torch.export.Dim.DYNAMIC),)}
    elif open_axes:
        open_sizes = {"input_names": ["x"], "dynamic_axes": {"x": {axis: f"n{axis}" for axis in open_axes}}}
    torch.onnx.export(model, (x,), path, dynamo=exporter == "export", verbose=False, **open_sizes)
    graph = onnx.load(path)
    onnx.checker.check_model(graph, full_check=True)
    assert [imported.domain for imported in graph.opset_import] == [""]
    assert {node.domain for node in graph.graph.node} == {""}
    return graph


def run(path, x) -> list[torch.Tensor]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return [torch.from_numpy(y) for y in session.run(None, {session.get_inputs()[0].name: x.numpy()})]


def assert_equal(actual, expected) -> None:
    for ours, theirs in zip(actual, expected, strict=True):
        assert ours.dtype == theirs.dtype
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(("dims", "batched"), [(1, True), (2, False), (3, True), (3, False)])
@pytest.mark.parametrize("exporter", ["trace", "export"])
def test_poolings_become_max_pool(exporter, dims, batched, tmp_path):
    path, model = tmp_path / "model.onnx", Poolings(dims)
    x = volume(dims) if batched else volume(dims)[0]
    kinds = [node.op_type for node in exported(model, x, path, exporter).graph.node]
    # torch's own indices take a second MaxPool, of one tap.
    assert kinds.count("MaxPool") in (len(WINDOWS), len(WINDOWS) + 1)
    assert kinds.count("Relu") == 2
    assert set(kinds) <= HELPERS | {"MaxPool", "Relu"}
    assert_equal(run(path, x), model(x))


@pytest.mark.parametrize("dims", [1, 3])
@pytest.mark.parametrize("exporter", ["trace", "export"])
def test_sizes_left_open(exporter, dims, tmp_path):
    path, model = tmp_path / "model.onnx", Poolings(dims)
    exported(model, volume(dims), path, exporter, (0, *range(2, 2 + dims)))
    for more in (1, 4):
        x = torch.randn([size if axis == 1 else size + more for axis, size in enumerate(volume(dims).shape)])
        assert_equal(run(path, x), model(x))


def attributes(options: dict, path, exporter: str, open_axes: tuple[int, ...] = ()) -> dict:
    """Those of the MaxPool node of one 3-D pooling."""
    graph = exported(module(3, options), volume(3), path, exporter, open_axes).graph
    (node,) = [node for node in graph.node if node.op_type == "MaxPool"]
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


@pytest.mark.parametrize("exporter", ["trace", "export"])
def test_padding_is_the_nodes_own(exporter, tmp_path):
    """No Pad in front, which would copy the tensor: pads holds every begin, then every end."""
    path = tmp_path / "model.onnx"
    assert attributes(WINDOWS["pairs and indices"], path, exporter)["pads"] == [0, 1, 1, 1, 1, 0]
    # 9 × 10 × 11 to 5 × 5 × 6.
    assert attributes(WINDOWS["same"], path, exporter)["pads"] == [0, 0, 0, 1, 0, 1]
    left_open = attributes(WINDOWS["same"], path, exporter, (2, 3, 4))
    assert left_open["auto_pad"] == b"SAME_UPPER"
    assert "pads" not in left_open


def test_indices_are_whole_numbers_all_the_way(tmp_path):
    """Past 2**24, where float32 has no odd numbers."""
    path, model = tmp_path / "model.onnx", module(1, WINDOWS["pairs and indices"])
    x = torch.zeros(1, 3, 2**23)
    x[:, :, 1::2] = 1
    exported(model, x, path, "trace", (2,))
    assert_equal(run(path, x), model(x))


@pytest.mark.parametrize("exporter", ["trace", "export"])
def test_a_network(exporter, tmp_path):
    pool = voxpool.nn.MaxPool3d(2, padding="same", relu=True)
    network = nn.Sequential(nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), pool, nn.Flatten(), nn.Linear(4 * 4 * 4 * 5, 2))
    x = torch.randn(2, 1, 9, 10, 11)
    path = tmp_path / "model.onnx"
    kinds = [node.op_type for node in exported(network.eval(), x, path, exporter, (0,)).graph.node]
    assert kinds.count("MaxPool") == kinds.count("Relu") == 1
    with torch.no_grad():
        torch.testing.assert_close(run(path, x)[0], network(x))


@pytest.mark.parametrize("exporter", ["trace", "export"])
def test_wrong_arguments_are_refused(exporter, tmp_path):
    for options, text in (
        ({"kernel_size": (2, 2)}, "kernel_size"),
        ({"kernel_size": 2, "padding": ((9, 0),) * 3}, "pad"),
    ):
        with pytest.raises(Exception, match=text):
            exported(voxpool.nn.MaxPool3d(**options), volume(3), tmp_path / "model.onnx", exporter)
