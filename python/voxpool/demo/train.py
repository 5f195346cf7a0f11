"""A small 3-D CNN, trained twice from the same seed: with torch's pooling and with voxpool's."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import voxpool
from voxpool.demo.volume import Volume

PATCH = 16
TRAIN, TEST, BATCH = 512, 256, 64
# Of the voxels brighter than the mean (the head), the brightest quarter: white matter in a T1 image.
BRIGHT = 0.75


@dataclass(frozen=True)
class Patches:
    """Cubes of 16³ voxels, (count, 1, 16, 16, 16), and whether each holds more bright voxels than the median one."""

    inputs: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Training:
    losses: list[float]
    accuracy: float  # share of the patches kept for testing that are classified correctly


def cut(volume: Volume) -> Patches:
    """Random patches with bright voxels in their centre, labelled."""
    generator = torch.Generator().manual_seed(0)
    data, half = volume.data, PATCH // 2
    head = data > data.mean()
    inside = tuple(slice(half, n - half) for n in data.shape)
    corners = head[inside].nonzero()
    if len(corners) == 0:  # everything bright lies at the border
        corners = torch.ones_like(head[inside]).nonzero()
    chosen = corners[torch.randint(len(corners), (TRAIN + TEST,), generator=generator)].tolist()
    cubes = torch.stack([data[d : d + PATCH, h : h + PATCH, w : w + PATCH] for d, h, w in chosen])

    values = data[head]
    threshold = values.kthvalue(max(1, int(BRIGHT * len(values)))).values
    share = (cubes > threshold).float().mean(dim=(1, 2, 3))
    inputs = (cubes - values.mean()) / values.std().clamp_min(1e-6)
    return Patches(inputs[:, None], (share > share.median()).float()[:, None])


def network(pool: type[nn.MaxPool3d]) -> nn.Sequential:
    """Conv3d → ReLU → pool, twice, Linear: the shape of the first 3-D CNN in many a Keras tutorial."""
    size, filters = [PATCH] * 3, (16, 32)
    for _ in filters:
        size = list(voxpool.output_size([n - 2 for n in size], kernel_size=2))
    return nn.Sequential(
        nn.Conv3d(1, filters[0], 3),
        nn.ReLU(),
        pool(2),
        nn.Conv3d(filters[0], filters[1], 3),
        nn.ReLU(),
        pool(2),
        nn.Flatten(),
        nn.Linear(filters[1] * size[0] * size[1] * size[2], 1),
    )


def run(pool: type[nn.MaxPool3d], patches: Patches, steps: int, advance: Callable[[], None]) -> Training:
    """Trains for `steps` batches and calls `advance` after each. The caller's random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = network(pool)
        optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
        losses = []
        for _ in range(steps):
            batch = torch.randint(TRAIN, (BATCH,))
            loss = F.binary_cross_entropy_with_logits(model(patches.inputs[batch]), patches.labels[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.item())
            advance()
        with torch.no_grad():
            answers = model(patches.inputs[TRAIN:]) > 0
        return Training(losses, (answers == (patches.labels[TRAIN:] > 0)).float().mean().item())
