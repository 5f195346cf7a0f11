"""A small 3-D U-Net learns grey and white matter on the back half of a brain, and marks them in the front half.

python unet_brain.py [--steps 120] [--out unet_brain.png]: under a minute on two cores. The brain is the MNI152
template, the truth its tissue maps; both come with nilearn (pip install 'voxpool[demo]').
"""

import argparse
import importlib.util
from pathlib import Path

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import nn

import voxpool
from voxpool.demo import report, volume

TISSUES = ("other", "grey matter", "white matter")
PATCH, BATCH = 32, 4


def brain():
    """Intensities and the number of the tissue of every second voxel, each (D, H, W) with H from back to front."""
    folder = Path(importlib.util.find_spec("nilearn").origin).parent / "datasets" / "data"
    t1, grey, white = (
        volume.load(folder / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz").data[::2, ::2, ::2]
        for name in ("t1", "gm", "wm")
    )
    return t1, torch.stack([1 - grey - white, grey, white]).argmax(0)


def convolutions(inputs, outputs):
    layers = []
    for channels in (inputs, outputs):
        layers += [nn.Conv3d(channels, outputs, 3, padding=1, bias=False), nn.BatchNorm3d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    def __init__(self, filters=(8, 16, 32)):
        super().__init__()
        self.down = nn.ModuleList(convolutions(*pair) for pair in zip((1, *filters), filters, strict=False))
        self.pool = voxpool.nn.MaxPool3d(2)
        wider = list(zip(filters[:0:-1], filters[-2::-1], strict=True))  # (32, 16), (16, 8)
        self.up = nn.ModuleList(nn.ConvTranspose3d(below, here, 2, stride=2) for below, here in wider)
        self.merge = nn.ModuleList(convolutions(2 * here, here) for _, here in wider)
        self.head = nn.Conv3d(filters[0], len(TISSUES), 1)

    def forward(self, x):
        """(N, 1, D, H, W), each size a multiple of 4, to a score for each tissue: (N, 3, D, H, W)."""
        skips = []
        for level, convolve in enumerate(self.down):
            x = convolve(self.pool(x) if level > 0 else x)
            skips.append(x)
        for up, merge, skip in zip(self.up, self.merge, skips[-2::-1], strict=True):
            x = merge(torch.cat([up(x), skip], dim=1))
        return self.head(x)


def patches(t1, tissues):
    """Cubes from anywhere, (4, 1, 32, 32, 32), and their tissues."""
    corners = [[int(torch.randint(n - PATCH + 1, ())) for n in t1.shape] for _ in range(BATCH)]
    cut = [tuple(slice(begin, begin + PATCH) for begin in corner) for corner in corners]
    return torch.stack([t1[c] for c in cut])[:, None], torch.stack([tissues[c] for c in cut])


def train(model, t1, tissues, steps):
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    losses = []
    with report.progress(report.console()) as progress:
        task = progress.add_task("training", total=steps)
        for _ in range(steps):
            x, truth = patches(t1, tissues)
            loss = F.cross_entropy(model(x), truth)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            progress.update(task, advance=1, description=f"loss {loss.item():.3f}")
    return losses


def dice(found, truth, tissue):
    """Twice the common voxels, divided by those of both: 1 is perfect."""
    a, b = found == tissue, truth == tissue
    return (2 * (a & b).sum() / (a.sum() + b.sum())).item()


def draw(path, t1, truth, found, losses):
    figure = Figure(figsize=(13, 4), layout="constrained")
    *images, curve = figure.subplots(1, 4)
    middle = t1.shape[0] // 2
    pictures = {"T1, front half": t1, "truth": truth / 2, "U-Net": found / 2}
    for axes, (title, picture) in zip(images, pictures.items(), strict=True):
        axes.imshow(picture[middle].numpy(), cmap="gray", origin="lower", vmin=0, vmax=1)
        axes.set_title(title)
        axes.set_axis_off()
    curve.plot(range(1, 1 + len(losses)), losses)
    curve.set(title="cross entropy of a batch", xlabel="step", ylim=(0, None))
    figure.savefig(path, dpi=110)


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--steps", type=int, default=120)
parser.add_argument("--out", type=Path, default=Path("unet_brain.png"))
options = parser.parse_args()

torch.manual_seed(0)
t1, tissues = brain()
half = t1.shape[1] // 2
model = UNet()
losses = train(model, t1[:, :half], tissues[:, :half], options.steps)
few = max(1, len(losses) // 4)
first, last = (sum(part) / few for part in (losses[:few], losses[-few:]))
print(f"loss      {first:.2f} to {last:.2f}")

front = tuple(slice(begin, end - (end - begin) % 4) for begin, end in zip((0, half, 0), t1.shape, strict=True))
with torch.inference_mode():
    found = model.eval()(t1[front][None, None])[0].argmax(0)
for tissue in (1, 2):
    print(f"{TISSUES[tissue]:12s}  Dice {dice(found, tissues[front], tissue):.2f} in the unseen half")
draw(options.out, t1[front], tissues[front], found, losses)
print(f"picture   {options.out}")
