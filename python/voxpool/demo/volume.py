"""The volume the demo pools: a brain template from an installed package, or a file of the user's."""

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# Four halvings must leave something, and the training patches of 16³ voxels need room to differ.
SMALLEST_SIDE = 24
# The template has 8.7 million voxels; eight float32 channels of it, their gradient and torch's copies take 1 GB.
MOST_VOXELS = 9_000_000

_TEMPLATE = "datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"


class DemoError(Exception):
    """Something the user can put right; the message is one line."""


@dataclass(frozen=True)
class Volume:
    """Intensities scaled to 0 .. 1, axes (D, H, W) = (bottom to top, back to front, left to right) where known."""

    data: Tensor
    name: str
    notes: tuple[str, ...]
    voxel_mm: tuple[float, float, float] | None

    @property
    def size(self) -> tuple[int, int, int]:
        depth, height, width = self.data.shape
        return depth, height, width


def load(path: Path | None) -> Volume:
    """Reads a .nii, .nii.gz or .npy file, or nilearn's template for None. Raises DemoError."""
    if path is None:
        template = _template()
        array, voxel_mm = _read(template)
        name = "MNI152 T1 template"
        notes = ["from nilearn: an average of 152 brains, not one person's scan"]
    else:
        array, voxel_mm = _read(path)
        name, notes = path.name, []
    return _checked(array, name, notes, voxel_mm)


def halved(volume: Volume) -> Volume:
    """Every second voxel of each axis that stays long enough."""
    steps = [2 if length >= 2 * SMALLEST_SIDE else 1 for length in volume.size]
    data = volume.data[:: steps[0], :: steps[1], :: steps[2]].contiguous()
    mm = volume.voxel_mm
    spacing = None if mm is None else (mm[0] * steps[0], mm[1] * steps[1], mm[2] * steps[2])
    return Volume(data, volume.name, (*volume.notes, "every second voxel (--quick)"), spacing)


def features(volume: Volume) -> Tensor:
    """Eight channels that a first layer might compute, (1, 8, D, H, W): intensity, inverse, blur, detail, edges."""
    intensity = volume.data[None, None]
    blur = F.avg_pool3d(intensity, 3, 1, 1, count_include_pad=False)
    edges = [(intensity - intensity.roll(1, axis)).abs() for axis in (2, 3, 4)]
    magnitude = sum((edge.square() for edge in edges), torch.zeros(())).sqrt()
    # Adding zero turns -0 into +0: which zero a values-only pooling of 16-bit numbers returns is not promised.
    return torch.cat([intensity, 1 - intensity, blur, intensity - blur, *edges, magnitude], dim=1) + 0.0


def _template() -> Path:
    # Located without importing nilearn, which takes seconds and would be free to look for data elsewhere.
    spec = importlib.util.find_spec("nilearn")
    if spec is None or spec.origin is None:
        raise DemoError("nilearn, which brings the brain template, is not installed: pip install 'voxpool[demo]'")
    template = Path(spec.origin).parent / _TEMPLATE
    if not template.is_file():
        raise DemoError("this nilearn has no T1 template file; give a volume with --volume PATH")
    return template


def _read(path: Path) -> tuple[Any, tuple[float, float, float] | None]:
    name = path.name.lower()
    if not name.endswith((".nii", ".nii.gz", ".npy")):
        raise DemoError(f"{path}: expected a .nii, .nii.gz or .npy file")
    if not path.is_file():
        raise DemoError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
    try:
        return _read_npy(path) if name.endswith(".npy") else _read_nifti(path)
    except DemoError:
        raise
    except Exception as error:  # readers fail in many ways on damaged files, and all of them mean the same here
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DemoError(f"{path}: cannot be read ({reason})") from None


def _read_npy(path: Path) -> tuple[Any, None]:
    import numpy

    return numpy.load(path, allow_pickle=False), None


def _read_nifti(path: Path) -> tuple[Any, tuple[float, float, float] | None]:
    import numpy

    nibabel: Any = importlib.import_module("nibabel")  # only half of it has types
    image = nibabel.load(path)
    if len(image.shape) == 4 and image.shape[3] == 1:
        image = nibabel.squeeze_image(image)
    if len(image.shape) != 3:
        raise DemoError(f"{path}: expected a volume of 3 dimensions, got {tuple(image.shape)}")
    image = nibabel.as_closest_canonical(image)
    across, along, up = (float(length) for length in image.header.get_zooms()[:3])
    # Scanner axes run left to right, back to front, bottom to top; slices of a volume count from the bottom.
    return numpy.asarray(image.dataobj).transpose(2, 1, 0), (up, along, across)


def _checked(array: Any, name: str, notes: list[str], voxel_mm: tuple[float, float, float] | None) -> Volume:
    if array.dtype.kind not in "buif":
        raise DemoError(f"{name}: expected real numbers, got {array.dtype}")
    if array.size == 0:
        raise DemoError(f"{name}: the volume is empty, its size is {tuple(array.shape)}")
    if array.ndim != 3:
        raise DemoError(f"{name}: expected a volume of 3 dimensions, got {tuple(array.shape)}")
    if min(array.shape) < SMALLEST_SIDE:
        raise DemoError(f"{name}: expected at least {SMALLEST_SIDE} voxels along each axis, got {tuple(array.shape)}")
    if array.size > MOST_VOXELS:
        array = _centre(array)
        notes.append("cropped to the centre, {} × {} × {} voxels".format(*array.shape))
    data = torch.from_numpy(array.astype("float32"))
    if not data.isfinite().all():
        data = data.nan_to_num(0.0, 0.0, 0.0)
        notes.append("NaN and infinite voxels set to 0")
    low, high = data.aminmax()
    if low == high:
        raise DemoError(f"{name}: every voxel has the value {low.item():g}")
    return Volume((data - low) / (high - low), name, tuple(notes), voxel_mm)


def _centre(array: Any) -> Any:
    """The middle of an array, all axes shortened by one factor, of at most MOST_VOXELS."""
    factor = (MOST_VOXELS / array.size) ** (1 / 3)
    kept = [min(length, max(SMALLEST_SIDE, int(length * factor))) for length in array.shape]
    # Where a short axis stayed as it was, the others give more.
    while kept[0] * kept[1] * kept[2] > MOST_VOXELS:
        kept[kept.index(max(kept))] -= 1
    return array[tuple(slice((n - k) // 2, (n - k) // 2 + k) for n, k in zip(array.shape, kept, strict=True))]
