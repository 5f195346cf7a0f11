"""A Keras 3-D CNN in PyTorch, with its weights: Conv3D(32, 3) → ReLU → MaxPooling3D(2) → Flatten → Dense(1, sigmoid).

Two things go wrong in such ports. The size of the Linear layer is counted by hand: voxpool.output_size knows it. And
Keras flattens (D, H, W, C), PyTorch (C, D, H, W), so the rows of the dense kernel have to be put in order.
"""

import numpy as np
import torch
from torch import nn

import voxpool

random = np.random.default_rng(0)
keras_weights = [  # what model.get_weights() returns
    random.normal(0, 0.1, (3, 3, 3, 1, 32)).astype("float32"),  # kd, kh, kw, in, out
    np.zeros(32, "float32"),
    random.normal(0, 0.01, (7 * 7 * 7 * 32, 1)).astype("float32"),  # d, h, w, c flattened
    np.zeros(1, "float32"),
]

convolved = [16 - 2] * 3  # a window of 3 without padding takes 2
d, h, w = voxpool.output_size(convolved, kernel_size=2)
model = nn.Sequential(
    nn.Conv3d(1, 32, 3),
    nn.ReLU(),
    voxpool.nn.MaxPool3d(kernel_size=2),
    nn.Flatten(),
    nn.Linear(32 * d * h * w, 1),
    nn.Sigmoid(),
)

kernel, bias, dense, dense_bias = map(torch.from_numpy, keras_weights)
with torch.no_grad():
    model[0].weight.copy_(kernel.permute(4, 3, 0, 1, 2))
    model[0].bias.copy_(bias)
    model[4].weight.copy_(dense.view(d, h, w, 32).permute(3, 0, 1, 2).reshape(1, -1))
    model[4].bias.copy_(dense_bias)

scans = random.normal(size=(4, 16, 16, 16, 1)).astype("float32")  # Keras data: channels last
probabilities = model(torch.from_numpy(scans).permute(0, 4, 1, 2, 3))
print(f"pooled to {d} × {h} × {w}, {model[4].in_features} features")
print("probabilities", [round(p, 3) for p in probabilities.flatten().tolist()])
