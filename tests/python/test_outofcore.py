"""Pooling from file to file gives what pooling the whole array gives, however small the parts are."""

import itertools
import random

import numpy as np
import pytest
import torch

import voxpool
from outofcore_support import DTYPES, UNSIGNED, count_blocks, values, whole
from reference import Window, max_pool
from support import assert_same, special


def pooled(folder, array, *arguments, **keywords):
    np.save(folder / "in.npy", array)
    (result,) = voxpool.pool_volume(folder / "in.npy", folder / "out.npy", *arguments, **keywords)
    assert result == folder / "out.npy"
    assert sorted(path.name for path in folder.iterdir()) == ["in.npy", "out.npy"]
    result = np.load(folder / "out.npy")
    (folder / "out.npy").unlink()
    return result


def windows(count):
    draw = random.Random(0)
    while count:
        window = {
            "kernel_size": tuple(draw.randint(1, 4) for _ in range(3)),
            "stride": draw.choice([None, 1, 2, (1, 3, 5)]),
            "padding": draw.choice([0, 1, "same", ((0, 1), (1, 0), (1, 1))]),
            "dilation": draw.choice([1, 1, 2, (3, 1, 2)]),
            "ceil_mode": draw.random() < 0.3,
        }
        size = tuple(draw.randint(1, 18) for _ in range(3))
        leading = draw.choice([(), (), (3,), (2, 3), (2, 1, 2)])
        try:
            voxpool.output_size(size, **window)
        except RuntimeError:
            continue
        count -= 1
        yield (*leading, *size), window, draw.choice([1500, 1500, 10_000, 2**30])


def test_random_windows_and_budgets(tmp_path, monkeypatch):
    computed, cut = count_blocks(monkeypatch), 0
    for shape, window, memory in windows(60):
        x = special(shape, torch.float32)
        computed.clear()
        y = pooled(tmp_path, x.numpy(), **window, memory=memory)
        cut += len(computed) > 1
        assert_same(torch.from_numpy(y), torch.from_numpy(whole(x.numpy(), **window)))
    assert cut > 25


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(tmp_path, dtype):
    x = values((2, 9, 8, 7), dtype)
    # A window of 2 with dilation 2 and padding 1 has no tap inside an axis of one: the lowest value comes out.
    for array, window in ((x, (3, 2, 1)), (x[:, :1, :1, :1], (2, 1, 1, 2))):
        y = pooled(tmp_path, array, *window, memory=4000)
        kernel, stride, padding, *dilation = ((number,) * 3 for number in window)
        pads = tuple((pad, pad) for pad in padding)
        brute = Window(kernel, stride, pads, *(dilation or [(1, 1, 1)]))
        native = array.astype(array.dtype.newbyteorder("=") if array.dtype != bool else np.uint8)
        expected, _ = max_pool(native[None], brute)
        assert y.dtype == x.dtype
        np.testing.assert_array_equal(y, expected[0])


def test_unsigned_values_above_half_of_the_range_win(tmp_path):
    for dtype in UNSIGNED:
        top = np.iinfo(dtype).max // 2 + 1
        x = np.full((2, 2, 2), top - 1, dtype)
        x[1, 1, 0] = top
        assert pooled(tmp_path, x, 2).item() == top


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("rank", [3, 4, 5, 6])
def test_orders(tmp_path, order, channels_last, rank, monkeypatch):
    if rank == 3 and channels_last:
        shape, moved = (12, 10, 11, 1), (3, 0, 1, 2)
    else:
        shape = {3: (12, 10, 11), 4: (3, 8, 6, 7), 5: (2, 8, 6, 7, 3), 6: (2, 2, 3, 4, 6, 3)}[rank]
        axes = range(len(shape))
        moved = (*axes[:-4], axes[-1], *axes[-4:-1]) if channels_last else tuple(axes)
    computed = count_blocks(monkeypatch)
    x = values(shape, "f4")
    window = {"kernel_size": (2, 3, 1), "stride": (2, 1, 2), "padding": ((1, 0), (1, 2), (0, 0))}
    y = pooled(tmp_path, np.asarray(x, order=order), **window, channels_last=channels_last, memory=700)
    assert len(computed) > 3
    np.testing.assert_array_equal(np.transpose(y, moved), whole(np.transpose(x, moved), **window))
    assert y.flags.f_contiguous == (order == "F")


def test_planes_larger_than_the_memory(tmp_path, monkeypatch):
    computed = count_blocks(monkeypatch)
    x = values((5, 40, 50), "i2")
    y = pooled(tmp_path, x, 3, 2, 1, memory=2 * 3 * 50 * 20)
    assert all(len(block[0]) == 1 and len(block[1]) < 20 for block in computed)
    np.testing.assert_array_equal(y, whole(x, 3, 2, 1))


@pytest.mark.parametrize("window", [(2,), (3, 2, 1)])
def test_levels(tmp_path, window):
    x = values((40, 33, 35), "u2")
    np.save(tmp_path / "in.npy", x)
    results = voxpool.pool_volume(tmp_path / "in.npy", tmp_path / "out.npy", *window, levels=4, memory=20_000)
    assert [path.name for path in results] == [f"out_{level}.npy" for level in (1, 2, 3, 4)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.npy", *(path.name for path in results)]
    expected = x
    for result in results:
        expected = whole(expected, *window)
        np.testing.assert_array_equal(np.load(result), expected)


def test_levels_may_be_named_after_the_source(tmp_path):
    np.save(tmp_path / "scan.npy", np.zeros((8, 8, 8), "u2"))
    results = voxpool.pool_volume(tmp_path / "scan.npy", tmp_path / "scan.npy", 2, levels=2)
    assert [path.name for path in results] == ["scan_1.npy", "scan_2.npy"]


def test_threads_and_memory_change_nothing(tmp_path):
    x = special((20, 21, 22), torch.float32).numpy()
    before = torch.get_num_threads()
    try:
        results = []
        for threads, memory in itertools.product((1, 2), (3000, 2**20)):
            torch.set_num_threads(threads)
            results.append(pooled(tmp_path, x, 3, 2, 1, memory=memory).tobytes())
    finally:
        torch.set_num_threads(before)
    assert len(set(results)) == 1


def test_the_source_is_not_written(tmp_path):
    for dtype in (">u2", "u8", "f4"):
        np.save(tmp_path / "in.npy", values((8, 8, 8), dtype))
        (tmp_path / "in.npy").chmod(0o444)
        before = (tmp_path / "in.npy").read_bytes(), (tmp_path / "in.npy").stat().st_mtime_ns
        voxpool.pool_volume(tmp_path / "in.npy", tmp_path / "out.npy", 2, memory=3000)
        assert before == ((tmp_path / "in.npy").read_bytes(), (tmp_path / "in.npy").stat().st_mtime_ns)
        (tmp_path / "out.npy").unlink()
        (tmp_path / "in.npy").unlink()


REFUSED = [
    ("in.npy", {"kernel_size": 2, "levels": 0}, ValueError, "levels must be 1 or more"),
    ("in.npy", {"kernel_size": 2, "levels": 5}, ValueError, r"Output size is too small.*\(level 4\)"),
    ("in.npy", {"kernel_size": (2, 2)}, ValueError, "kernel_size must either be a single int"),
    ("in.npy", {"kernel_size": 2, "stride": 0}, ValueError, "stride should not be zero"),
    ("in.npy", {"kernel_size": "2"}, TypeError, "kernel_size"),
    ("in.npy", {"kernel_size": 2, "memory": 10}, ValueError, "memory of 10 bytes is too little"),
    ("in.npy", {"kernel_size": 2, "channels_last": True}, ValueError, r"\(..., D, H, W, C\), but the array has 3 axes"),
    ("flat.npy", {"kernel_size": 2}, ValueError, r"expected \(..., D, H, W\), but the array has 2 axes"),
    ("empty.npy", {"kernel_size": 2}, ValueError, "empty"),
    ("complex.npy", {"kernel_size": 2}, ValueError, "dtype complex64"),
    ("long.npy", {"kernel_size": 2}, ValueError, "dtype float128"),
    ("record.npy", {"kernel_size": 2}, ValueError, "dtype"),
    ("objects.npy", {"kernel_size": 2}, ValueError, "objects.npy: "),
    ("text.npy", {"kernel_size": 2}, ValueError, "text.npy: "),
    ("short.npy", {"kernel_size": 2}, ValueError, "short.npy: "),
    ("nothing.npy", {"kernel_size": 2}, FileNotFoundError, "nothing.npy: no such file"),
    ("in.tiff", {"kernel_size": 2}, ValueError, "in.tiff: expected a name that ends in .npy, .nii, .zarr"),
    ("in.nii.gz", {"kernel_size": 2}, ValueError, "gunzip it first"),
]


@pytest.mark.parametrize(("source", "arguments", "kind", "message"), REFUSED)
def test_refused(tmp_path, source, arguments, kind, message):
    array = np.zeros((8, 8, 8), "f4")
    np.save(tmp_path / "in.npy", array)
    np.save(tmp_path / "flat.npy", array[0])
    np.save(tmp_path / "empty.npy", array[:0])
    np.save(tmp_path / "complex.npy", array.astype("c8"))
    np.save(tmp_path / "long.npy", array.astype(np.longdouble))
    np.save(tmp_path / "record.npy", np.zeros((8, 8, 8), [("r", "u1"), ("g", "u1")]))
    np.save(tmp_path / "objects.npy", array.astype(object))
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "short.npy").write_bytes((tmp_path / "in.npy").read_bytes()[:-1])
    before = sorted(tmp_path.iterdir())
    with pytest.raises(kind, match=message):
        voxpool.pool_volume(tmp_path / source, tmp_path / "out.npy", **arguments)
    assert sorted(tmp_path.iterdir()) == before


def test_refused_targets(tmp_path):
    np.save(tmp_path / "in.npy", np.zeros((8, 8, 8), "f4"))
    np.save(tmp_path / "out_1.npy", np.ones(3))
    (tmp_path / "link.npy").symlink_to(tmp_path / "in.npy")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for target, levels, kind, message in (
        ("in.npy", 1, ValueError, "cannot replace the volume"),
        ("link.npy", 1, ValueError, "cannot replace the volume"),
        ("out_1.npy", 1, FileExistsError, "out_1.npy: is there already"),
        ("out.npy", 2, FileExistsError, "out_1.npy: is there already"),
        ("out.nii", 1, ValueError, "ends in .npy"),
        ("missing/out.npy", 1, FileNotFoundError, "no such directory"),
    ):
        with pytest.raises(kind, match=message):
            voxpool.pool_volume(tmp_path / "in.npy", tmp_path / target, 2, levels=levels)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
