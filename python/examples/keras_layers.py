"""A Keras 3-D CNN on torch, channels-last from end to end, with voxpool's pooling: trained, saved and loaded."""

import os
import tempfile
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"  # before Keras is imported

import keras
import torch

import voxpool.keras


def scans(count):
    """Noise of (count, H, W, D, 1), and in every second scan a faint block of 6 × 6 × 4 voxels somewhere."""
    x, y = torch.randn(count, 16, 16, 8, 1), torch.arange(count) % 2
    for scan in x[1::2]:
        h, w, d = (int(torch.randint(n, ())) for n in (11, 11, 5))
        scan[h : h + 6, w : w + 6, d : d + 4] += 1.5
    return x, y.float().unsqueeze(1)


def cnn():
    return keras.Sequential(
        [
            keras.Input((16, 16, 8, 1)),
            keras.layers.Conv3D(8, 3, activation="relu"),
            voxpool.keras.MaxPooling3D(2, padding="same"),  # 14 × 14 × 6 to 7 × 7 × 3
            keras.layers.Conv3D(16, (3, 3, 1), activation="relu"),
            voxpool.keras.MaxPooling3D((5, 5, 3)),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


keras.utils.set_random_seed(0)
with keras.device("cpu"):
    model = cnn()
    model.compile(optimizer=keras.optimizers.Adam(0.003), loss="binary_crossentropy", metrics=["accuracy"])
    x, y = scans(256)
    losses = model.fit(x, y, batch_size=32, epochs=4, verbose=0).history["loss"]
    print("loss     ", " ".join(f"{loss:.2f}" for loss in losses), "falls" if losses[-1] < losses[0] else "rises")
    print(f"accuracy  {model.evaluate(*scans(128), verbose=0)[1]:.0%} on unseen scans")

    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "cnn.keras")
        loaded = keras.saving.load_model(Path(folder) / "cnn.keras")  # knows the layers since voxpool.keras is imported
    print("loaded    predicts", "the same" if torch.equal(loaded(x), model(x)) else "something else")

    # Channels-last in, channels-last out, and nothing was copied on the way.
    pooled = voxpool.keras.MaxPooling3D(2)(torch.randn(2, 32, 32, 16, 3))
    print("result   ", tuple(pooled.shape), "contiguous" if pooled.is_contiguous() else "strided")
