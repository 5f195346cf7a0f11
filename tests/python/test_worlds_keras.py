"""Worlds 1 and 2: Keras's data and Keras's networks, brought to PyTorch as they are."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import voxpool
from allocations import allocated_bytes, nbytes

# World 1. Keras keeps (N, H, W, D, C); this view of it is what torch calls (N, C, D, H, W).
TO_TORCH = (0, 4, 3, 1, 2)
TO_KERAS = (0, 3, 4, 2, 1)


def rising(*size):
    """1, 2, 3, ...: the maximum of a window is the element that comes last in every axis."""
    return torch.arange(1.0, np.prod(size) + 1).view(size)


def test_same_padding_of_an_even_volume():
    x = rising(2, 3, 16, 32, 32)
    y = voxpool.nn.MaxPool3d(kernel_size=2, stride=2, padding="same")(x)
    # ceil(16 / 2), ceil(32 / 2), ceil(32 / 2); nothing to pad, so each window ends at an odd position.
    assert y.shape == (2, 3, 8, 16, 16)
    assert torch.equal(y, x[:, :, 1::2, 1::2, 1::2])
    # Element (d, h, w) = (1, 1, 1) of the first channel: 1 * 32 * 32 + 1 * 32 + 1, counted from 1.
    assert y[0, 0, 0, 0, 0] == 1058
    assert y[-1, -1, -1, -1, -1] == 2 * 3 * 16 * 32 * 32
    with pytest.raises(TypeError, match="padding"):
        F.max_pool3d(x, 2, 2, "same")


def test_same_padding_puts_the_odd_cell_at_the_end():
    # 5 cells, windows of 2: ceil(5 / 2) = 3 windows need 6 cells, so one is added: (0, 1), (2, 3), (4, added).
    x = torch.tensor([[[[[5.0, 1.0, 2.0, 4.0, 3.0]]]]])
    y = voxpool.nn.MaxPool3d((1, 1, 2), padding="same")(x)
    assert y.flatten().tolist() == [5, 4, 3]
    # Windows of 3, stride 2: (3 - 1) * 2 + 3 = 7 cells, two are added, one on each side.
    y = voxpool.nn.MaxPool3d((1, 1, 3), (1, 1, 2), padding="same")(x)
    assert y.flatten().tolist() == [5, 4, 4]


@pytest.mark.parametrize("size", [(2, 32, 32, 16, 3), (2, 20, 20, 10, 3)])
def test_channels_last_data_through_a_view(size):
    keras = rising(*size)
    view = keras.permute(TO_TORCH)
    assert not view.is_contiguous()
    assert not view.is_contiguous(memory_format=torch.channels_last_3d)
    pool = voxpool.nn.MaxPool3d(2)
    y = pool(view)
    # Even sizes, windows of two: the last element of each window, in the order of the Keras data.
    assert torch.equal(y.permute(TO_KERAS), keras[:, 1::2, 1::2, 1::2])
    assert y.shape == (2, 3, size[3] // 2, size[1] // 2, size[2] // 2)
    assert y.stride() == F.max_pool3d(view, 2).stride()


@pytest.mark.parametrize("size", [(2, 32, 32, 16, 3), (2, 20, 20, 10, 3)])
def test_the_view_is_not_copied(size):
    view = torch.randn(size).permute(TO_TORCH)
    pool, y = voxpool.nn.MaxPool3d(2), F.max_pool3d(view, 2)
    # The output, an eighth of the input, and nothing else; torch first copies the input.
    with torch.no_grad():
        assert allocated_bytes(lambda: pool(view)) <= nbytes(y) < nbytes(view) // 4
        assert allocated_bytes(lambda: F.max_pool3d(view, 2)) > nbytes(view)
    # Training adds one byte for each output.
    leaf = view.detach().requires_grad_()
    assert allocated_bytes(lambda: pool(leaf)) <= nbytes(y) + y.numel() < nbytes(view) // 4


def test_result_and_gradient_stay_channels_last():
    """Pooling treats the three spatial axes alike, so (N, C, H, W, D) serves as well and *is* channels_last_3d."""
    keras = rising(2, 32, 32, 16, 3).requires_grad_()
    y = voxpool.max_pool3d(keras.permute(0, 4, 1, 2, 3), 2).permute(0, 2, 3, 4, 1)
    assert y.shape == (2, 16, 16, 8, 3)
    assert y.is_contiguous()
    y.sum().backward()
    expected = torch.zeros(2, 32, 32, 16, 3)
    expected[:, 1::2, 1::2, 1::2] = 1
    assert torch.equal(keras.grad, expected)
    assert keras.grad.is_contiguous()


def test_ties_of_a_view_go_to_the_first_voxel_of_torchs_order():
    """A constant volume: the index is the first voxel of the window as (d, h, w), however the memory lies."""
    view = torch.ones(1, 4, 4, 2, 3).permute(TO_TORCH)
    _, indices = voxpool.max_pool3d(view, 2, return_indices=True)
    # d * 16 + h * 4 + w with d = 0 and h, w in (0, 2).
    assert indices[0, 0].flatten().tolist() == [0, 2, 8, 10]
    assert indices[0, 2].flatten().tolist() == [0, 2, 8, 10]


@pytest.mark.parametrize("channels_last", [False, True])
def test_custom_padding_of_one(channels_last):
    x = rising(2, 3, 16, 32, 32)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last_3d)
    y = voxpool.nn.MaxPool3d(kernel_size=2, padding=(1, 1, 1))(x)
    # (n + 2 - 2) / 2 + 1 windows; window o covers 2o - 1 and 2o where these exist, and the later one is larger.
    d, h, w = (torch.arange(n // 2 + 1).mul(2).clamp(max=n - 1) for n in (16, 32, 32))
    assert y.shape == (2, 3, 9, 17, 17)
    assert torch.equal(y, x[:, :, d][:, :, :, h][..., w])


# World 2. Keras stores a convolution as (kd, kh, kw, in, out), a dense layer as (in, out), and flattens (D, H, W, C).
EPSILON = 1e-3  # of Keras's BatchNormalization


def keras_weights(filters, kernel, pooled):
    random = np.random.default_rng(0)
    features = filters * pooled**3
    return {
        "convolution": random.normal(0, 0.2, (kernel, kernel, kernel, 1, filters)),
        "bias": random.normal(0, 0.2, filters),
        "gamma": random.uniform(0.5, 1.5, filters),
        "beta": random.normal(0, 0.2, filters),
        "moving_mean": random.normal(0, 0.2, filters),
        "moving_variance": random.uniform(0.5, 1.5, filters),
        "dense": random.normal(0, 0.01, (features, 1)),
        "dense_bias": random.normal(0, 0.2, 1),
    }


def keras_forward(x, weights, order):
    """The network in numpy, channels last from the first line to the last, as Keras computes it."""

    def convolution(x):
        windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3, 3), axis=(1, 2, 3))
        return np.einsum("ndhwiabc,abcio->ndhwo", windows, weights["convolution"], optimize=True) + weights["bias"]

    def batch_norm(x):
        scale = weights["gamma"] / np.sqrt(weights["moving_variance"] + EPSILON)
        return (x - weights["moving_mean"]) * scale + weights["beta"]

    def relu(x):
        return np.maximum(x, 0)

    x = convolution(x)
    for layer in order:
        x = {"relu": relu, "batch_norm": batch_norm}[layer](x)
    n, d, h, w, c = x.shape
    x = x.reshape(n, d // 2, 2, h // 2, 2, w // 2, 2, c).max(axis=(2, 4, 6))
    logits = x.reshape(n, -1) @ weights["dense"] + weights["dense_bias"]
    return 1 / (1 + np.exp(-logits))


def ported(weights, order):
    """The same network in PyTorch, with the weights carried over."""
    filters = weights["bias"].size
    pooled = voxpool.output_size([14, 14, 14], kernel_size=2)
    assert pooled == (7, 7, 7)
    convolution, norm = nn.Conv3d(1, filters, 3), nn.BatchNorm3d(filters, eps=EPSILON, momentum=0.01)
    dense = nn.Linear(filters * 7**3, 1)
    middle = {"relu": nn.ReLU(), "batch_norm": norm}
    net = nn.Sequential(
        convolution,
        *(middle[layer] for layer in order),
        voxpool.nn.MaxPool3d(kernel_size=2),
        nn.Flatten(),
        dense,
        nn.Sigmoid(),
    ).double()
    with torch.no_grad():
        convolution.weight.copy_(torch.from_numpy(weights["convolution"].transpose(4, 3, 0, 1, 2).copy()))
        convolution.bias.copy_(torch.from_numpy(weights["bias"]))
        norm.weight.copy_(torch.from_numpy(weights["gamma"]))
        norm.bias.copy_(torch.from_numpy(weights["beta"]))
        norm.running_mean.copy_(torch.from_numpy(weights["moving_mean"]))
        norm.running_var.copy_(torch.from_numpy(weights["moving_variance"]))
        # Keras's features count (d, h, w, c), torch's Flatten counts (c, d, h, w).
        by_feature = weights["dense"].reshape(7, 7, 7, filters).transpose(3, 0, 1, 2).reshape(1, -1)
        dense.weight.copy_(torch.from_numpy(by_feature.copy()))
        dense.bias.copy_(torch.from_numpy(weights["dense_bias"]))
    return net


ORDERS = {
    "relu only": ("relu",),
    "Keras: ReLU, BatchNorm": ("relu", "batch_norm"),
    "the port: BatchNorm, ReLU": ("batch_norm", "relu"),
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("channels_last", [False, True])
def test_ported_network_computes_what_keras_does(order, channels_last):
    weights = keras_weights(filters=32, kernel=3, pooled=7)
    data = np.random.default_rng(1).normal(size=(4, 16, 16, 16, 1))
    x = torch.from_numpy(data).permute(0, 4, 1, 2, 3)
    net = ported(weights, order).eval()
    if channels_last:
        net = net.to(memory_format=torch.channels_last_3d)
        x = x.contiguous(memory_format=torch.channels_last_3d)
    with torch.no_grad():
        actual = net(x).numpy()
    # float64 throughout; the sums over 27 and 10976 products may be taken in another order.
    np.testing.assert_allclose(actual, keras_forward(data, weights, order), rtol=1e-10)


def test_the_orders_differ():
    """Otherwise the test above would not notice a swapped order."""
    weights = keras_weights(filters=32, kernel=3, pooled=7)
    data = np.random.default_rng(1).normal(size=(2, 16, 16, 16, 1))
    first, second = (keras_forward(data, weights, ORDERS[name]) for name in list(ORDERS)[1:])
    assert np.abs(first - second).min() > 1e-3


def convolution_relu_pool(pool):
    size = voxpool.output_size([16 - 2] * 3, kernel_size=2)
    assert size == (7, 7, 7)
    return nn.Sequential(
        nn.Conv3d(1, 32, 3), nn.ReLU(), pool(2), nn.Flatten(), nn.Linear(32 * 7 * 7 * 7, 1), nn.Sigmoid()
    )


def relu_batch_norm(pool):
    return nn.Sequential(
        nn.Conv3d(1, 32, 3), nn.ReLU(), nn.BatchNorm3d(32), pool(2), nn.Flatten(), nn.Linear(32 * 7**3, 1), nn.Sigmoid()
    )


def batch_norm_relu(pool):
    return nn.Sequential(
        nn.Conv3d(1, 32, 3), nn.BatchNorm3d(32), nn.ReLU(), pool(2), nn.Flatten(), nn.Linear(32 * 7**3, 1), nn.Sigmoid()
    )


def two_convolutions(pool):
    # 16 - 2 = 14, 14 - 4 = 10, 10 / 2 = 5: counting 6 is the usual mistake in this port.
    size = voxpool.output_size([16 - 2 - 4] * 3, kernel_size=2)
    assert size == (5, 5, 5)
    return nn.Sequential(
        nn.Conv3d(1, 16, 3), nn.Conv3d(16, 32, 5), pool(2), nn.Flatten(), nn.Linear(32 * 5 * 5 * 5, 1), nn.Sigmoid()
    )


@pytest.mark.parametrize("build", [convolution_relu_pool, relu_batch_norm, batch_norm_relu, two_convolutions])
def test_training_is_that_of_torchs_module(build):
    torch.manual_seed(0)
    x = torch.randn(8, 1, 16, 16, 16)
    labels = torch.tensor([[0.0], [1.0]]).repeat(4, 1)

    def losses(pool):
        torch.manual_seed(1)
        net = build(pool)
        optimizer = torch.optim.SGD(net.parameters(), lr=1e-4)
        result = []
        for _ in range(5):
            optimizer.zero_grad()
            loss = F.binary_cross_entropy(net(x), labels)
            loss.backward()
            optimizer.step()
            result.append(loss.item())
        return result

    ours = losses(voxpool.nn.MaxPool3d)
    assert ours == losses(nn.MaxPool3d)
    assert ours[-1] < ours[0]
