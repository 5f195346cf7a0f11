"""The benchmark of networks: what it measures, and what it makes of the times. No test looks at a time."""

import json

import pytest
import torch
from torch import nn

import network_cases
import network_timing
import networks
import voxpool
from network_cases import Network
from voxpool.bench import run

TINY = Network(
    "tiny",
    "torch",
    lambda: nn.Sequential(nn.Conv3d(1, 2, 3), nn.MaxPool3d(2), nn.ReLU(), nn.MaxPool3d(3, 2, 1), nn.Conv3d(2, 1, 1)),
    (1, 1, 12, 12, 12),
)


class Noise(nn.Module):
    def forward(self, x):
        return nn.functional.max_pool3d(x, 2) + torch.rand(())


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("network", network_cases.NETWORKS, ids=lambda network: network.name)
def test_every_network_takes_its_input(network):
    """Without computing anything: torch's sizes alone on the meta device, Keras's when the model is built."""
    if network.package == "keras":
        assert network.build().output_shape == (None, 1)
        return
    with torch.device("meta"):
        model = network.build().eval()
        assert model(torch.empty(network.shape)).numel() > 0
    assert any(isinstance(module, nn.MaxPool3d) for module in model.modules())


def test_both_routes_are_measured(tmp_path):
    path = tmp_path / "results.json"
    results = networks.measure([TINY], threads=1, repeats=2, json_path=path)
    assert json.loads(path.read_text()) == json.loads(json.dumps(results))
    assert [row["work"] for row in results["rows"]] == ["inference", "training"]
    for row in results["rows"]:
        theirs, ours = row["results"]["torch"], row["results"]["voxpool"]
        assert (theirs["pools"], theirs["taken"]) == (2, 0)
        assert (ours["pools"], ours["taken"]) == (2, 2)
        assert all(times["seconds"] > 0 and times["pooling"] > 0 for times in (theirs, ours))
    assert not voxpool.is_enabled()


@pytest.mark.parametrize(
    ("route", "node"), [("torch", "MaxPool3DWithIndicesBackward0"), ("voxpool", "VoxpoolMaxPool3dBackward")]
)
def test_pooling_is_counted_once_and_with_its_gradient(route, node):
    """Neither the operator that another one calls nor that inside the node of autograd adds its time again."""
    x = torch.randn(1, 1, 4, 4, 4, requires_grad=True)
    with network_timing.ROUTES[route]():
        events = network_timing.profiled(lambda: nn.functional.max_pool3d(x, 2).sum().backward())
    names = [event.name for event in network_timing.outermost(events)]
    assert names == ["aten::max_pool3d", f"autograd::engine::evaluate_function: {node}"]


def test_a_wrong_result_has_no_time():
    results = networks.measure([Network("noise", "torch", Noise, (1, 1, 4, 4, 4)), TINY], 1, 1, None)
    assert results["rows"][0]["error"] == "ValueError: wrong result: with voxpool the output is another one"
    assert [row["network"] for row in results["rows"]] == ["noise", "tiny", "tiny"]


def handmade(*rows):
    machine = {**run.machine(2), "processor": "a processor"}
    return {"machine": machine, "packages": {"monai": "1.0"}, "repeats": 5, "rows": list(rows)}


def row(name, work, theirs, ours):
    results = {
        route: {"seconds": seconds, "pooling": pooling, "pools": 4, "taken": taken}
        for route, (seconds, pooling, taken) in (("torch", (*theirs, 0)), ("voxpool", (*ours, 4)))
    }
    return {"network": name, "package": "monai", "shape": [1, 1, 8, 8, 8], "work": work, "results": results}


RESULTS = handmade(
    row("one", "inference", (2.0, 1.2), (1.0, 0.1)),
    row("one", "training", (6.0, 1.5), (5.0, 0.3)),
    row("two", "inference", (0.9, 0.09), (0.8, 0.009)),
)


def test_results_are_shown_and_drawn_again(tmp_path, capsys):
    path, chart = tmp_path / "results.json", tmp_path / "chart.svg"
    path.write_text(json.dumps(RESULTS))
    assert networks.main(["--from", str(path), "--chart", str(chart)]) == 0
    printed = capsys.readouterr().out
    lines = [line.split() for line in printed.splitlines()]
    assert ["one", "1×1×8×8×8", "inference", "4", "2", "1", "2.00", "60.0%", "5.0%"] in lines
    assert ["one", "1×1×8×8×8", "training", "4", "6", "5", "1.20", "25.0%", "5.0%"] in lines
    assert "inference: torch ÷ voxpool 1.50 (geometric mean of 2), 1.12 to 2.00" in printed
    assert "training: torch ÷ voxpool 1.20 (geometric mean of 1)" in printed
    assert "networks monai 1.0" in printed
    drawn = chart.read_text()
    assert "one, training" in drawn
    assert "2.00×" in drawn
    assert "2 threads of a processor" in drawn


def test_a_failure_and_a_pooling_not_taken_are_shown(tmp_path, capsys):
    path = tmp_path / "results.json"
    partial = row("one", "inference", (2.0, 1.2), (1.0, 0.1))
    partial["results"]["voxpool"]["taken"] = 3
    failed = {"network": "two", "package": "monai", "shape": [1], "error": "ValueError: no"}
    path.write_text(json.dumps(handmade(partial, failed)))
    assert networks.main(["--from", str(path)]) == 1
    printed = capsys.readouterr().out
    assert " 3 of 4 " in printed
    assert "two: ValueError: no" in printed


def test_what_cannot_be_measured_is_refused_in_one_line(capsys, monkeypatch):
    absent = Network("absent", "no_such_package", nn.Identity, (1,))
    monkeypatch.setattr(network_cases, "NETWORKS", (absent,))
    assert networks.main(["--only", "absent,LeNet"]) == 2
    assert "unknown network 'LeNet': choose from absent" in capsys.readouterr().err
    assert networks.main([]) == 2
    assert capsys.readouterr().err == (
        "benchmarks/networks.py: missing no_such_package: pip install 'voxpool[models]'\n"
    )
