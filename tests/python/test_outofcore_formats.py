"""NIfTI and zarr: the voxels, and all that the files say about them."""

import json

import nibabel
import numpy as np
import pytest
import zarr

import voxpool
from outofcore_support import count_blocks, values, whole
from voxpool.outofcore.ngff import multiscales

AFFINE = np.array([[0, -0.7, 0.2, 30], [0.5, 0.1, 0, -20], [0, 0.3, 1.5, 7], [0, 0, 0, 1]])
WINDOW = {"kernel_size": (2, 3, 3), "stride": (2, 3, 1), "padding": (0, 1, 1), "dilation": (1, 2, 1)}
IMAGES = {"nifti1": nibabel.Nifti1Image, "nifti2": nibabel.Nifti2Image}


@pytest.mark.parametrize("kind", IMAGES)
@pytest.mark.parametrize("dtype", ["u2", "f4"])
@pytest.mark.parametrize("frames", [(), (3,)])
def test_nifti(tmp_path, kind, dtype, frames, monkeypatch):
    x = values((11, 12, 13, *frames), dtype)
    for endian in "<>":
        image = IMAGES[kind](x, AFFINE, IMAGES[kind].header_class(endianness=endian))
        image.header.set_data_dtype(dtype)
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"kept"))
        nibabel.save(image, tmp_path / "in.nii")
        computed = count_blocks(monkeypatch)
        voxpool.pool_volume(tmp_path / "in.nii", tmp_path / "out.nii", **WINDOW, memory=400 * x.dtype.itemsize)
        assert len(computed) > 3
        result = nibabel.load(tmp_path / "out.nii")
        assert type(result) is IMAGES[kind]
        assert result.header.endianness == endian
        assert result.get_data_dtype() == np.dtype(dtype).newbyteorder(endian)
        assert result.header.extensions[0].get_content() == b"kept"
        expected = np.moveaxis(whole(np.moveaxis(x, -1, 0), **WINDOW), 0, -1) if frames else whole(x, **WINDOW)
        np.testing.assert_array_equal(np.asarray(result.dataobj), expected)
        (tmp_path / "out.nii").unlink()


def centres(shape, affine):
    """Where the voxels are, in millimetres."""
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    return grid @ affine[:3, :3].T + affine[:3, 3]


@pytest.mark.parametrize("codes", [(1, 0), (0, 1), (2, 1), (0, 0)])
def test_nifti_voxels_stand_at_the_centres_of_their_windows(tmp_path, codes):
    """The place of a voxel is the mean of the places its window reads, padding included, after two levels too."""
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0] @ np.diag([0.5, 0.75, 2.0])
    qform = np.eye(4)
    qform[:3, :3], qform[:3, 3] = rotation, (5, 6, 7)
    image = nibabel.Nifti1Image(np.zeros((12, 13, 14), "f4"), None)
    image.set_sform(AFFINE, codes[0])
    image.set_qform(qform, codes[1])
    image.header.set_zooms((0.5, 0.75, 2.0))
    image.header["slice_code"], image.header["slice_end"] = 1, 13
    nibabel.save(image, tmp_path / "in.nii")
    results = voxpool.pool_volume(tmp_path / "in.nii", tmp_path / "out.nii", **WINDOW, levels=2)

    for before, after in zip((tmp_path / "in.nii", *results), results, strict=False):
        source, result = nibabel.load(before), nibabel.load(after)
        for form, code in zip(("get_sform", "get_qform"), codes, strict=True):
            affine, kept = getattr(result, form)(coded=True)
            assert kept == code
            if not code:
                continue
            # Sizes large enough for every tap: the affine holds beyond the volume.
            places = centres((60, 60, 60), getattr(source, form)())
            for output in ((0, 0, 0), (1, 0, 0), (0, 2, 0), (2, 1, 3)):
                taps = [
                    [o * s - p + t * d for t in range(k)]
                    for o, k, s, p, d in zip(output, *(np.broadcast_to(v, 3) for v in WINDOW.values()), strict=True)
                ]
                # One voxel further in, as a tap in the padding has a negative index.
                inner = places[np.ix_(*(np.array(axis) + 1 for axis in taps))]
                step = getattr(source, form)()[:3, :3] @ (1, 1, 1)
                expected = inner.reshape(-1, 3).mean(0) - step
                np.testing.assert_allclose(centres((5, 5, 5), affine)[output], expected, atol=1e-4)
        np.testing.assert_allclose(result.header.get_zooms(), np.array(source.header.get_zooms()) * WINDOW["stride"])
        assert result.header["slice_code"] == result.header["slice_end"] == 0


def test_nifti_scaling(tmp_path):
    """The maximum of scaled values is the scaled maximum, unless the scale turns them round."""
    x = values((6, 6, 6), "i2")
    image = nibabel.Nifti1Image(x, np.eye(4))
    nibabel.save(image, tmp_path / "in.nii")
    data = bytearray((tmp_path / "in.nii").read_bytes())
    for slope, inter in ((0.5, -3.0), (0.0, 9.0), (-2.0, 0.0)):
        data[112:120] = np.array([slope, inter], "f4").tobytes()
        (tmp_path / "scaled.nii").write_bytes(data)
        if slope < 0:
            with pytest.raises(ValueError, match="scl_slope is negative"):
                voxpool.pool_volume(tmp_path / "scaled.nii", tmp_path / "out.nii", 2)
            continue
        voxpool.pool_volume(tmp_path / "scaled.nii", tmp_path / "out.nii", 2)
        source, result = (np.asarray(nibabel.load(tmp_path / name).dataobj) for name in ("scaled.nii", "out.nii"))
        np.testing.assert_array_equal(result, whole(source, 2))
        (tmp_path / "out.nii").unlink()


def test_nifti_refused(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((8, 8, 8), "f4"), np.eye(4)), tmp_path / "in.nii")
    nibabel.save(nibabel.Nifti1Image(np.zeros((8, 8), "f4"), np.eye(4)), tmp_path / "flat.nii")
    colours = np.zeros((8, 8, 8), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(colours, np.eye(4)), tmp_path / "rgb.nii")
    whole_file = (tmp_path / "in.nii").read_bytes()
    (tmp_path / "text.nii").write_text("no volume")
    (tmp_path / "head.nii").write_bytes(whole_file[:100])
    (tmp_path / "short.nii").write_bytes(whole_file[:-1])
    nibabel.save(nibabel.Nifti1Pair(np.zeros((8, 8, 8), "f4"), np.eye(4)), tmp_path / "pair.hdr")
    (tmp_path / "pair.hdr").rename(tmp_path / "pair.nii")
    for name, keywords, message in (
        ("in.nii", {"channels_last": True}, "no channels-last volumes"),
        ("flat.nii", {}, "three dimensions or more, but it has 2"),
        ("rgb.nii", {}, "dtype"),
        ("text.nii", {}, "not a NIfTI file"),
        ("head.nii", {}, "head.nii: "),
        ("short.nii", {}, "short.nii: it is shorter than its header says"),
        ("pair.nii", {}, "not a NIfTI file that holds header and data"),
    ):
        with pytest.raises(ValueError, match=message):
            voxpool.pool_volume(tmp_path / name, tmp_path / "out.nii", 2, **keywords)
        assert not (tmp_path / "out.nii").exists()


STORES = {
    "v2": {"zarr_format": 2, "chunks": (2, 5, 4, 6), "chunk_key_encoding": {"name": "v2", "separator": "/"}},
    "v2 big-endian": {"zarr_format": 2, "chunks": (1, 4, 4, 4), "dtype": ">u2", "order": "F"},
    "v3": {"zarr_format": 3, "chunks": (1, 5, 4, 6), "dimension_names": ("c", "z", "y", "x")},
    "v3 sharded": {"zarr_format": 3, "chunks": (1, 5, 3, 5), "shards": (1, 10, 6, 10)},
    "v3 uncompressed": {"zarr_format": 3, "chunks": (1, 20, 20, 20), "compressors": None, "dtype": "f4"},
}


def store(path, x, **options):
    array = zarr.create_array(path, shape=x.shape, **{"dtype": x.dtype, "attributes": {"stain": "DAPI"}, **options})
    array[:] = x
    return array


@pytest.mark.parametrize("name", STORES)
@pytest.mark.parametrize("levels", [1, 2])
def test_zarr(tmp_path, name, levels, monkeypatch):
    computed = count_blocks(monkeypatch)
    x = values((3, 17, 14, 19), "u2").astype(STORES[name].get("dtype", "u2"))
    source = store(tmp_path / "in.zarr", x, **STORES[name])
    results = voxpool.pool_volume(tmp_path / "in.zarr", tmp_path / "out.zarr", **WINDOW, levels=levels, memory=60_000)
    assert len(computed) > levels
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.zarr", "out.zarr"]
    expected = x
    for path in results:
        result, expected = zarr.open_array(path, mode="r"), whole(expected, **WINDOW)
        np.testing.assert_array_equal(result[:], expected)
        assert result.dtype == source.dtype
        assert dict(result.attrs) == {"stain": "DAPI"}
        for kept in ("compressors", "filters", "shards", "fill_value"):
            assert getattr(result, kept) == getattr(source, kept)
        for kept in ("zarr_format", "order", "dimension_separator", "dimension_names"):
            assert getattr(result.metadata, kept, None) == getattr(source.metadata, kept, None)
        if not source.shards:
            assert result.chunks == tuple(map(min, source.chunks, result.shape))
    assert (
        results == [tmp_path / "out.zarr" / str(level) for level in range(2)]
        if levels == 2
        else [tmp_path / "out.zarr"]
    )


def test_zarr_blocks_are_whole_chunks(tmp_path, monkeypatch):
    computed = count_blocks(monkeypatch)
    store(tmp_path / "in.zarr", values((30, 30, 30), "u1"), chunks=(4, 8, 8))
    voxpool.pool_volume(tmp_path / "in.zarr", tmp_path / "out.zarr", 2, memory=20_000)
    assert len(computed) > 1
    assert all(part.start % u == 0 for block in computed for part, u in zip(block, (4, 8, 8), strict=True))
    with pytest.raises(ValueError, match="memory of 3000 bytes is too little"):
        voxpool.pool_volume(tmp_path / "in.zarr", tmp_path / "other.zarr", 2, memory=3000)


def test_zarr_refused(tmp_path):
    group = zarr.create_group(tmp_path / "in.zarr")
    group.create_array("0", shape=(8, 8, 8), dtype="u1", chunks=(8, 8, 8))
    group.create_array("flat", shape=(8, 8), dtype="u1", chunks=(8, 8))
    (tmp_path / "nothing.zarr").mkdir()
    for source, target, message in (
        ("in.zarr", "out.zarr", r"is a group: name one of its arrays \(.*in.zarr/0, .*in.zarr/flat\)"),
        ("in.zarr/flat", "out.zarr", "has 2 axes"),
        ("nothing.zarr", "out.zarr", "not a zarr array"),
        ("in.zarr/0", "in.zarr/1", "ends in .zarr"),
        ("in.zarr/0", "out", "ends in .npy, .nii, .zarr"),
    ):
        with pytest.raises(ValueError, match=message):
            voxpool.pool_volume(tmp_path / source, tmp_path / target, 2)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_zarr_pyramids_keep_the_voxel_sizes(tmp_path, zarr_format):
    """An image of OME-NGFF: its axes and units are kept, its voxels grow, and stand at the centres of their windows."""
    axes = [{"name": "c", "type": "channel"}] + [
        {"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"
    ]
    transformations = [
        {"type": "scale", "scale": [1.0, 2.0, 0.5, 0.5]},
        {"type": "translation", "translation": [0.0, 10.0, 0.0, -1.0]},
    ]
    image = {"axes": axes, "datasets": [{"path": "full", "coordinateTransformations": transformations}]}
    described = {"multiscales": [{"version": "0.4", **image}]}
    if zarr_format == 3:
        described = {"ome": {"version": "0.5", "multiscales": [image]}}
    group = zarr.create_group(tmp_path / "in.zarr", zarr_format=zarr_format, attributes=described)
    group.create_array("full", shape=(2, 16, 16, 16), dtype="u2", chunks=(1, 8, 8, 8))
    window = {"kernel_size": (1, 2, 3), "stride": (1, 2, 2), "padding": (0, 0, 1)}
    voxpool.pool_volume(tmp_path / "in.zarr" / "full", tmp_path / "out.zarr", **window, levels=2)

    result = zarr.open_group(tmp_path / "out.zarr", mode="r")
    assert result.metadata.zarr_format == zarr_format
    attributes = json.loads(json.dumps(dict(result.attrs)))
    (written,) = attributes["multiscales"] if zarr_format == 2 else attributes["ome"]["multiscales"]
    version = written if zarr_format == 2 else attributes["ome"]
    assert version["version"] == {2: "0.4", 3: "0.5"}[zarr_format]
    assert written["axes"] == axes
    found = [
        (level["path"], *(t[t["type"]] for t in level["coordinateTransformations"])) for level in written["datasets"]
    ]
    # y: the window 0, 1 has its centre at 0.5 voxels, 2 and 3 voxels of that at 0.5 of a voxel twice as large.
    # x: the windows -1, 0, 1 and 1, 2, 3: their centres stay where voxels were.
    assert found == [
        ("0", [1.0, 2.0, 1.0, 1.0], [0.0, 10.0, 0.25, -1.0]),
        ("1", [1.0, 2.0, 2.0, 2.0], [0.0, 10.0, 0.75, -1.0]),
    ]


def test_zarr_pyramids_of_arrays_that_say_nothing():
    from voxpool.outofcore.blocks import unpooled

    for rank, names in ((3, "zyx"), (4, "czyx"), (5, "tczyx")):
        (image,) = multiscales({}, "0", [[unpooled(4)] * rank], 2)["multiscales"]
        assert "".join(axis["name"] for axis in image["axes"]) == names
        assert image["datasets"][0]["coordinateTransformations"][0] == {"type": "scale", "scale": [1.0] * rank}
    assert multiscales({}, "0", [[unpooled(4)] * 6], 2) == {}
