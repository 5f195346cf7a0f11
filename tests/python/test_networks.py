"""Published networks of torchvision, MONAI and Keras compute the same, to the last bit, with voxpool behind them."""

import copy
import functools
import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import pytest
import torch
from torch import Tensor, nn

import voxpool
import voxpool.keras
from routes import pools_run
from small_networks import NETWORKS, built


class Run(NamedTuple):
    results: dict[str, Tensor]
    pools: Counter


def run(work: Callable[[], dict[str, Tensor]]) -> Run:
    results = {}
    return Run(results, Counter(pools_run(lambda: results.update(work()))))


def step(model: nn.Module, x: Tensor, **options: Any) -> dict[str, Tensor]:
    """The output and every gradient of a training step, and the state after it. Dropout is the same each time."""
    x = x.clone().requires_grad_()
    torch.manual_seed(1)
    output = model(x, **options)
    output.backward(torch.randn(output.shape))
    assert x.grad.any()
    gradients = {f"gradient of {name}": p.grad.clone() for name, p in model.named_parameters() if p.requires_grad}
    return {"output": output.detach(), "gradient of the input": x.grad, **gradients, **model.state_dict()}


def inference(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    with torch.inference_mode():
        return {"output": model.eval()(x)}


def assert_same_with_voxpool(
    work: Callable[[nn.Module], dict[str, Tensor]],
    copied: Callable[[], nn.Module],
    converted: Callable[[], nn.Module],
    **tolerance: float,
) -> None:
    """Every run gets a model of its own, as running averages move. The tolerance is for converted ones alone."""
    theirs = run(lambda: work(copied()))
    count = theirs.pools["aten::max_pool3d"]
    assert count > 0
    assert theirs.pools["aten::max_pool3d_with_indices"] == count
    backward = theirs.pools["aten::max_pool3d_with_indices_backward"]
    assert theirs.pools.total() == 2 * count + backward

    exact = {"rtol": 0, "atol": 0}
    with voxpool.enabled():
        enabled = run(lambda: work(copied()))
    for ours, tolerances in ((enabled, exact), (run(lambda: work(converted())), tolerance or exact)):
        assert ours.pools["voxpool::max_pool3d"] == count
        assert ours.pools["voxpool::_max_pool3d_backward"] == backward
        assert not any("indices" in name for name in ours.pools)
        assert ours.results.keys() == theirs.results.keys()
        for name, expected in theirs.results.items():
            explained = functools.partial("{}: {}".format, name)
            torch.testing.assert_close(ours.results[name], expected, **tolerances, msg=explained)


@pytest.mark.parametrize("work", [step, inference], ids=["training", "inference"])
@pytest.mark.parametrize("name", NETWORKS)
def test_network(name, work):
    model, x = built(name)
    assert_same_with_voxpool(
        lambda model: work(model, x),
        lambda: copy.deepcopy(model),
        lambda: voxpool.convert_max_pool(copy.deepcopy(model)),
    )


@pytest.mark.parametrize("training", [True, False])
@keras.device("cpu")  # also where Keras would choose a GPU
def test_keras(training):
    """Convolution, pooling and normalisation, three times, as Keras's introductions to volumes have it."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    blocks = [
        [layers.Conv3D(filters, 3, activation="relu"), layers.MaxPooling3D(2), layers.BatchNormalization()]
        for filters in (8, 8, 16)
    ]
    head = [layers.GlobalAveragePooling3D(), layers.Dense(16, activation="relu"), layers.Dense(1)]
    model = keras.Sequential([keras.Input((33, 32, 31, 2)), *itertools.chain(*blocks), *head])
    swap = {layers.MaxPooling3D: voxpool.keras.MaxPooling3D}

    def copied(swap):
        copy = keras.models.clone_model(
            model, clone_function=lambda layer: swap.get(type(layer), type(layer)).from_config(layer.get_config())
        )
        copy.set_weights(model.get_weights())
        return copy

    x = torch.randn(2, 33, 32, 31, 2)
    # voxpool's layers leave their results lying otherwise in memory, where convolutions add in another order.
    assert_same_with_voxpool(
        lambda model: step(model, x, training=training), lambda: copied({}), lambda: copied(swap), rtol=1e-3, atol=1e-5
    )
