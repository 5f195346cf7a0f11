"""Keras layers with hostile arguments and inputs, on Keras's torch backend."""

import itertools
import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

# Keras reads its settings from the environment when it is imported.
os.environ |= {"KERAS_BACKEND": "torch", "KERAS_HOME": os.devnull}

import voxpool.keras
from hostile import Case, answered, refused
from hostile_arguments import THINGS
from hostile_values import INT32, INTEGERS, words

LAYERS = {1: voxpool.keras.MaxPooling1D, 2: voxpool.keras.MaxPooling2D, 3: voxpool.keras.MaxPooling3D}
KERAS_SIZES = {1: (2, 9, 3), 2: (2, 5, 6, 3), 3: (2, 4, 5, 6, 3)}


def _layer(dims: int, **arguments: Any) -> torch.Tensor:
    return LAYERS[dims](**arguments)(torch.zeros(KERAS_SIZES[dims]))


def cases() -> Iterator[Case]:
    for dims, name, value in itertools.product(LAYERS, ("pool_size", "strides", "padding"), INTEGERS):
        arguments = {"pool_size": 2, "strides": 2, name: value}
        legal = value in {"pool_size": (1, 2, 3), "strides": range(1, INT32), "padding": (0, 1)}[name]
        if name == "pool_size" and value == 5 and dims < 3:
            legal = True
        title = f"Keras {dims}D {name} {words(value)}"
        call = partial(_layer, dims, **arguments)
        yield answered(title, call, _zeros) if legal else refused(title, call)
    for name, (thing_name, (thing, looks_like_two)) in itertools.product(
        ("pool_size", "strides", "padding"), THINGS.items()
    ):
        if looks_like_two or (name == "strides" and thing_name == "None"):
            continue
        yield refused(f"Keras {name} {thing_name}", lambda n=name, t=thing: _layer(3, **{"pool_size": 2, n: t()}))
    for shape in ((), (3,), (2, 4, 5, 6), (1,) * 6, (2, 0, 5, 6, 3), (2, 1, 1, 1, 3), (2, 4, 5, 6, 0)):
        yield refused(f"Keras 3D of {shape}", lambda s=shape: voxpool.keras.MaxPooling3D(2)(torch.zeros(s)))
    for value in INTEGERS:
        if value not in (2, 3, 5, 2**16, 2**30) and not 2 <= value <= 2**62:

            def layer(v=value):
                return voxpool.keras.MaxPooling3D(2, padding=1).compute_output_shape((None, v, 4, 4, 3))

            yield (
                answered("Keras output shape of 1", layer, partial(_is, (None, 1, 3, 3, 3)))
                if value == 1
                else refused(f"Keras output shape of {words(value)}", layer)
            )


def _is(expected: Any, result: Any) -> None:
    assert result == expected


def _zeros(result: torch.Tensor) -> None:
    assert result.numel() > 0
    assert result.count_nonzero() == 0
