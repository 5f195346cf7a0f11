"""Published networks that pool volumes, as their packages build them, and inputs of the sizes they are meant for."""

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True)
class Network:
    """`build` imports the package; `shape` is that of an input, batch first, channels where the package has them."""

    name: str
    package: str
    build: Callable[[], nn.Module]
    shape: tuple[int, ...]


def _from(module: str, name: str, **arguments: Any) -> Callable[[], nn.Module]:
    return lambda: getattr(importlib.import_module(module), name)(**arguments)


def _video(name: str, builder: str, frames: int) -> Network:
    return Network(name, "torchvision", _from("torchvision.models.video", builder), (1, 3, frames, 224, 224))


def _medical(name: str, builder: str, shape: tuple[int, ...], **arguments: Any) -> Network:
    return Network(name, "monai", _from("monai.networks.nets", builder, spatial_dims=3, **arguments), shape)


def _keras() -> nn.Module:
    """The classifier of CT scans in Keras's code examples, without its dropout."""
    os.environ["KERAS_BACKEND"] = "torch"  # read when Keras is imported
    import keras

    layers = keras.layers
    with keras.device("cpu"):  # also where Keras would choose a GPU
        model = keras.Sequential([keras.Input(_CT[1:])])
        for filters in (64, 64, 128, 256):
            model.add(layers.Conv3D(filters, 3, activation="relu"))
            model.add(layers.MaxPooling3D(2))
            model.add(layers.BatchNormalization())
        model.add(layers.GlobalAveragePooling3D())
        model.add(layers.Dense(512, activation="relu"))
        model.add(layers.Dense(1, activation="sigmoid"))
    return model


_CT = (1, 128, 128, 64, 1)
_CUBE = (1, 1, 96, 96, 96)

NETWORKS = (
    _video("S3D", "s3d", 64),
    _video("MViT v1 B", "mvit_v1_b", 16),
    _video("MViT v2 S", "mvit_v2_s", 16),
    _medical("BasicUNet", "BasicUNet", _CUBE),
    _medical("RegUNet", "RegUNet", (1, 2, 96, 96, 96), in_channels=2, num_channel_initial=32, depth=3),
    _medical("AHNet", "AHNet", (1, 1, 128, 128, 64)),
    _medical("DenseNet-121", "DenseNet121", _CUBE, in_channels=1, out_channels=2),
    _medical("ResNet-50", "resnet50", _CUBE, n_input_channels=1, num_classes=2),
    _medical("SE-ResNet-50", "SEResNet50", _CUBE, in_channels=1, num_classes=2),
    Network("CT classifier", "keras", _keras, _CT),
)
