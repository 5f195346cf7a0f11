"""voxpool.keras in Keras models: trained, predicting, saved and loaded; volumes, slices and depths; and its imports."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import torch

import voxpool
import voxpool.keras

# Keras's conversion of tensors to arrays, as torch does not know the keyword `copy`.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

LAYERS = {1: voxpool.keras.MaxPooling1D, 2: voxpool.keras.MaxPooling2D, 3: voxpool.keras.MaxPooling3D}
KERAS = {1: keras.layers.MaxPooling1D, 2: keras.layers.MaxPooling2D, 3: keras.layers.MaxPooling3D}
CONVOLUTIONS = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D, 3: keras.layers.Conv3D}


@pytest.fixture(autouse=True)
def _on_the_cpu():
    """Also where Keras would choose a GPU."""
    with keras.device("cpu"):
        yield


def network(pool, padding="valid"):
    """Convolution, pooling, convolution, pooling, and one probability for each sample; weights are always the same."""
    (dims,) = (d for layers in (LAYERS, KERAS) for d, layer in layers.items() if layer is pool)
    keras.utils.set_random_seed(0)
    convolution = CONVOLUTIONS[dims]
    model = keras.Sequential(
        [
            convolution(4, 3, activation="relu"),
            pool(2, padding=padding),
            convolution(8, 2, activation="relu"),
            pool(2, strides=1, padding=padding),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer=keras.optimizers.SGD(1e-4), loss="binary_crossentropy")
    return model


VOLUMES = torch.randn(2, 10, 12, 9, 3, generator=torch.Generator().manual_seed(0))
DATA = {
    "volumes": (3, VOLUMES),
    "(N, H, W, D, C)": (3, torch.randn(2, 32, 32, 16, 3, generator=torch.Generator().manual_seed(1))),
    "(N, H, W, D, C), small": (3, torch.randn(2, 20, 20, 10, 3, generator=torch.Generator().manual_seed(2))),
    "turned volumes": (3, VOLUMES.permute(0, 3, 1, 2, 4)),
    "a range of the volumes": (3, VOLUMES[:, 1:, 1:11, :8]),
    "slices": (2, VOLUMES.flatten(0, 1)),
    "slices of some depths": (2, VOLUMES[:, 2:7].reshape(-1, 12, 9, 3)),
    "slices across": (2, VOLUMES.unbind(2)[3]),
    "along depth, a channel per column": (1, VOLUMES.flatten(2)),
    "along depth, columns": (1, VOLUMES.permute(0, 2, 3, 1, 4).flatten(0, 2)),
    "along depth, (B * H * W * C, D)": (1, VOLUMES.permute(0, 2, 3, 4, 1).reshape(-1, 10, 1)),
}


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("dims", "x"), DATA.values(), ids=DATA)
def test_training_is_that_of_keras(dims, x, padding):
    targets = (x.reshape(len(x), -1).mean(1, keepdim=True) > 0).float()
    losses, predictions = [], []
    for layers in (LAYERS, KERAS):
        model = network(layers[dims], padding)
        history = model.fit(x, targets, batch_size=64, epochs=3, shuffle=False, verbose=0)
        losses.append(history.history["loss"])
        predictions.append(model.predict(x, verbose=0))
        assert losses[-1][-1] < losses[-1][0]
    # The same maxima and gradients; but lying otherwise in memory, convolutions may take their sums in another order.
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-6)
    np.testing.assert_allclose(predictions[0], predictions[1], rtol=1e-5, atol=1e-6)


def test_prediction_pools_where_keras_does():
    """Without training there is nothing to round: equal to the last bit."""
    for dims, x in DATA.values():
        model = keras.Sequential([LAYERS[dims](3, strides=2, padding="same")])
        assert np.array_equal(model.predict(x, verbose=0), KERAS[dims](3, strides=2, padding="same")(x).numpy())


def test_slices_through_time_distributed():
    x = VOLUMES
    ours, theirs = (keras.layers.TimeDistributed(layers[2](2, padding="same"))(x) for layers in (LAYERS, KERAS))
    assert ours.shape == (2, 10, 6, 5, 3)
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("kind", ["keras", "weights", "config", "clone"])
def test_saved_and_loaded(dims, kind, tmp_path):
    x = torch.randn(2, *(8, 9, 10)[:dims], 3)
    model = network(LAYERS[dims], padding="same")
    model.fit(x, torch.ones(2, 1), verbose=0)
    if kind == "keras":
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        assert loaded.optimizer.learning_rate == model.optimizer.learning_rate
    elif kind == "weights":
        model.save_weights(tmp_path / "model.weights.h5")
        loaded = network(LAYERS[dims], padding="same")
        loaded.build(x.shape)
        loaded.load_weights(tmp_path / "model.weights.h5")
    else:
        json = model.to_json()
        loaded = keras.models.model_from_json(json) if kind == "config" else keras.models.clone_model(model)
        loaded.set_weights(model.get_weights())
    pools = [layer for layer in loaded.layers if isinstance(layer, KERAS[dims])]
    assert [type(pool) for pool in pools] == [LAYERS[dims]] * 2
    assert [(pool.pool_size, pool.strides, pool.padding) for pool in pools] == [
        ((2,) * dims, (stride,) * dims, "same") for stride in (2, 1)
    ]
    assert torch.equal(loaded(x), model(x))


def test_pairs_are_saved_and_loaded(tmp_path):
    model = keras.Sequential([keras.Input((8, 9, 10, 3)), LAYERS[3](3, padding=((0, 1), (1, 1), (2, 0)))])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].padding == ((0, 1), (1, 1), (2, 0))
    assert loaded.output_shape == model.output_shape == (None, 3, 3, 4, 3)
    x = torch.randn(2, 8, 9, 10, 3)
    assert torch.equal(loaded(x), model(x))


def test_a_keras_model_changes_its_layers():
    """What the README tells owners of a model to do."""
    x = VOLUMES
    model = network(KERAS[3])
    model(x)
    swap = {KERAS[3]: LAYERS[3]}
    converted = keras.models.clone_model(
        model, clone_function=lambda layer: swap.get(type(layer), type(layer)).from_config(layer.get_config())
    )
    converted.set_weights(model.get_weights())
    assert [type(layer) for layer in converted.layers].count(LAYERS[3]) == 2
    assert [layer.name for layer in converted.layers] == [layer.name for layer in model.layers]
    torch.testing.assert_close(converted(x), model(x))


def test_inside_a_layer_whose_shapes_keras_infers():
    """Without a compute_output_shape of its own, Keras runs the layer on meta tensors."""

    class Block(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.volume, self.slices = LAYERS[3](2, padding=((0, 1), (0, 0), (1, 1))), LAYERS[2](2)

        def call(self, x):
            return keras.ops.stack([self.slices(y) for y in keras.ops.unstack(self.volume(x), axis=1)], axis=1)

    inputs = keras.Input((7, 8, 8, 3))
    model = keras.Model(inputs, Block()(inputs))
    assert model.output_shape == (None, 4, 2, 2, 3)
    x = torch.randn(2, 7, 8, 8, 3)
    assert model(x).shape == (2, 4, 2, 2, 3)
    assert isinstance(LAYERS[2](2).call(keras.Input((8, 8, 3))), keras.KerasTensor)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("dynamic", [False, True])
def test_compiles_without_a_break(dims, dynamic):
    torch._dynamo.reset()
    layer = LAYERS[dims](3, strides=2, padding="same")
    compiled = torch.compile(layer.call, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    x = torch.randn(2, *(8, 9, 10)[:dims], 3)
    y = compiled(x)
    assert torch.equal(y, layer(x))
    assert y.is_contiguous()


def python(code, **environment):
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=os.environ | environment, check=False, capture_output=True, text=True)


def test_importing_voxpool_does_not_import_keras():
    run = python(
        "import sys, voxpool; assert 'keras' not in sys.modules; import voxpool.keras; assert 'keras' in sys.modules"
    )
    assert run.returncode == 0, run.stderr


def test_without_keras():
    run = python("import sys; sys.modules['keras'] = None; import voxpool.keras")
    assert run.stderr.splitlines()[-1] == "ImportError: voxpool.keras needs Keras 3: pip install 'voxpool[keras]'"


def test_with_keras_2(tmp_path):
    (tmp_path / "keras.py").write_text("__version__ = '2.15.0'")
    run = python(f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import voxpool.keras")
    assert "needs Keras 3, but this is 2.15.0" in run.stderr.splitlines()[-1]


def test_with_a_backend_that_is_not_installed():
    run = python("import sys; sys.modules['jax'] = None; import voxpool.keras", KERAS_BACKEND="jax")
    assert run.returncode != 0
    assert "KERAS_BACKEND when it is imported; voxpool needs 'torch'" in run.stderr.splitlines()[-1]
