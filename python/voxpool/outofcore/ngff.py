"""What OME-NGFF (https://ngff.openmicroscopy.org/) writes into a group about the voxels of its arrays."""

from collections.abc import Sequence
from typing import Any

from voxpool._axis import Axis
from voxpool.outofcore.volume import window_centre

_NAMES = "tczyx"


def multiscales(
    described: dict[str, Any], name: str, levels: Sequence[Sequence[Axis]], zarr_format: int
) -> dict[str, Any]:
    """The attributes of a group whose arrays 0, 1, ... are the levels. Empty for more axes than NGFF knows.

    Args:
        described: attributes of the group of the source. Where they have multiscales with a dataset `name`, its axes,
            units and voxel sizes are taken over; elsewhere voxels are the unit, and axes are (t, c,) z, y, x.
        levels: the axes of each pooling, in the order of the array.
        zarr_format: 2 takes version 0.4, 3 version 0.5.
    """
    rank = len(levels[0])
    image = _image(described, name)
    if image is None and rank > len(_NAMES):
        return {}
    axes = image["axes"] if image else [_axis(letter) for letter in _NAMES[-rank:]]
    scale, translation = _voxels(image, name, rank)
    datasets = []
    for number, level in enumerate(levels):
        # Of an output o of this level: translation + scale * (o * stride + centre).
        translation = [t + s * window_centre(axis) for t, s, axis in zip(translation, scale, level, strict=True)]
        scale = [s * axis.stride for s, axis in zip(scale, level, strict=True)]
        transformations = [{"type": "scale", "scale": scale}, {"type": "translation", "translation": translation}]
        datasets.append({"path": str(number), "coordinateTransformations": transformations})
    entry: dict[str, Any] = {"axes": axes, "datasets": datasets, "type": "maximum"}
    if image and "coordinateTransformations" in image:
        entry["coordinateTransformations"] = image["coordinateTransformations"]  # behind those of the datasets
    if zarr_format == 2:
        return {"multiscales": [{"version": "0.4", **entry}]}
    return {"ome": {"version": "0.5", "multiscales": [entry]}}


def _axis(letter: str) -> dict[str, str]:
    return {"name": letter, "type": {"t": "time", "c": "channel"}.get(letter, "space")}


def _image(described: dict[str, Any], name: str) -> dict[str, Any] | None:
    for image in described.get("ome", described).get("multiscales", []):
        if any(dataset["path"] == name for dataset in image["datasets"]):
            return dict(image)
    return None


def _voxels(image: dict[str, Any] | None, name: str, rank: int) -> tuple[list[float], list[float]]:
    """Distance of two voxels along each axis, and the place of the first one."""
    found = {"scale": [1.0] * rank, "translation": [0.0] * rank}
    for dataset in image["datasets"] if image else []:
        if dataset["path"] == name:
            for transformation in dataset["coordinateTransformations"]:
                found[transformation["type"]] = transformation[transformation["type"]]
    return found["scale"], found["translation"]
