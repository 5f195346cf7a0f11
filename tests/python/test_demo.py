"""The demo on small volumes, and what it says about files it cannot use."""

import gzip
import subprocess
import sys

import nibabel
import numpy as np
import pytest
import torch

import voxpool
from voxpool import demo
from voxpool.demo import compare, volume


def head(*size):
    """A bright ellipsoid with texture on a dark ground."""
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in size), indexing="ij"))
    inside = (grid**2).sum(axis=0) < 0.8
    return (inside * (100 + 50 * np.sin(9 * grid).prod(axis=0))).astype("float32")


@pytest.fixture
def scan(tmp_path):
    path = tmp_path / "scan.npy"
    np.save(path, head(30, 34, 32))
    return path


def test_quick_run_on_a_file(scan, tmp_path, capsys):
    picture = tmp_path / "picture.png"
    assert demo.main(["--volume", str(scan), "--out", str(picture), "--quick"]) == 0
    printed = capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "30 × 34 × 32 voxels" in printed
    assert voxpool.cpu_capability() in printed
    assert "All 16 losses are equal" in printed
    assert "✗" not in printed
    # Eight lines for each of the two poolings, none of them folded.
    assert sum(" forward  " in line for line in printed.splitlines()) == 8
    assert sum(" + backward  " in line for line in printed.splitlines()) == 8
    # The path of the picture is as long as it is.
    assert max(len(line) for line in printed.splitlines() if not line.startswith("picture")) <= 80


def test_the_template_comes_without_network_or_cache(tmp_path):
    """In a process of its own, whose home is an empty directory and whose sockets do not work."""
    code = """
import socket
def refuse(*_): raise OSError("the demo must not use the network")
socket.socket.connect = refuse
from voxpool.demo import volume
template = volume.load(None)
print(template.size, template.voxel_mm, template.notes)
"""
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    assert "(189, 233, 197) (1.0, 1.0, 1.0)" in run.stdout
    assert "average of 152 brains" in run.stdout
    assert list(tmp_path.iterdir()) == []


def bad_files(directory):
    """Name of a file in `directory`, and words its refusal has to contain."""
    np.save(directory / "image.npy", np.zeros((30, 30)))
    np.save(directory / "empty.npy", np.zeros((0, 30, 30)))
    np.save(directory / "small.npy", head(8, 8, 8))
    np.save(directory / "constant.npy", np.ones((30, 30, 30)))
    np.save(directory / "complex.npy", np.ones((30, 30, 30), complex))
    np.save(directory / "objects.npy", np.array([{}]))
    (directory / "no_bytes.npy").touch()
    (directory / "text.nii").write_text("not a volume")
    (directory / "text.nii.gz").write_text("not even compressed")
    nibabel.save(nibabel.Nifti1Image(np.zeros((30, 30, 30, 2), "float32"), np.eye(4)), directory / "series.nii")
    nibabel.save(nibabel.Nifti1Image(head(30, 30, 30), np.eye(4)), directory / "whole.nii.gz")
    whole = (directory / "whole.nii.gz").read_bytes()
    (directory / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    (directory / "cut.nii").write_bytes(gzip.decompress(whole)[:5000])
    (directory / "scan.dcm").touch()
    (directory / "folder.npy").mkdir()
    return {
        "nowhere.nii.gz": "no such file",
        "folder.npy": "not a file",
        "scan.dcm": "expected a .nii, .nii.gz or .npy file",
        "image.npy": "3 dimensions, got (30, 30)",
        "series.nii": "3 dimensions, got (30, 30, 30, 2)",
        "empty.npy": "empty",
        "small.npy": "at least 24 voxels along each axis, got (8, 8, 8)",
        "constant.npy": "every voxel has the value 1",
        "complex.npy": "expected real numbers, got complex128",
        **dict.fromkeys(("objects.npy", "no_bytes.npy", "text.nii", "text.nii.gz", "cut.nii", "cut.nii.gz"), "read"),
    }


def test_bad_files_get_one_line(tmp_path, capsys):
    for name, words in bad_files(tmp_path).items():
        assert demo.main(["--volume", str(tmp_path / name)]) == 2, name
        captured = capsys.readouterr()
        assert captured.out == ""
        assert len(captured.err.splitlines()) == 1, captured.err
        assert name in captured.err
        assert words in captured.err


def test_a_picture_that_cannot_be_written(scan, tmp_path, capsys):
    for out, words in {"picture.jpg": "ends in .png", "nowhere/picture.png": "no such directory"}.items():
        assert demo.main(["--volume", str(scan), "--out", str(tmp_path / out)]) == 2
        assert words in capsys.readouterr().err


def test_a_missing_package_is_named(scan, capsys, monkeypatch):
    found = demo.importlib.util.find_spec
    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda name: None if name == "rich" else found(name))
    assert demo.main(["--volume", str(scan)]) == 2
    assert capsys.readouterr().err == "python -m voxpool demo: missing rich: pip install 'voxpool[demo]'\n"


def test_nifti_axes_become_depth_height_width(tmp_path):
    """An image stored from right to left is turned to run from left to right; slices count from the bottom."""
    data = head(26, 28, 30)
    data[0, 0, 0] = 500
    path = tmp_path / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(data, np.diag([-2.0, 3.0, 4.0, 1.0])), path)
    loaded = volume.load(path)
    assert loaded.size == (30, 28, 26)
    assert loaded.voxel_mm == (4, 3, 2)
    assert loaded.data[0, 0, -1] == 1


def test_a_large_volume_is_cropped_and_a_damaged_voxel_cleared(tmp_path, monkeypatch):
    monkeypatch.setattr(volume, "MOST_VOXELS", 24 * 30 * 40)
    data = head(24, 60, 80)
    data[12, 30, 40] = np.nan
    np.save(tmp_path / "large.npy", data)
    loaded = volume.load(tmp_path / "large.npy")
    assert loaded.size[0] == 24
    assert loaded.data.numel() <= 24 * 30 * 40
    assert loaded.data.isfinite().all()
    assert [note.split()[0] for note in loaded.notes] == ["cropped", "NaN"]


def test_kept_bytes_are_the_input_and_an_index_or_a_tap():
    x = torch.rand(1, 2, 4, 4, 4)
    # Pyramid levels of 2³ and 1³ outputs per channel; torch keeps both inputs and 8 bytes for each output.
    pyramid = compare.Pooling("", {"kernel_size": 2}, 2)
    outputs = 2 * (8 + 1)
    kept = compare._kept_bytes
    assert kept(pyramid, torch.nn.functional.max_pool3d, x) == 4 * 2 * (64 + 8) + 8 * outputs
    assert kept(pyramid, voxpool.max_pool3d, x) == outputs


def test_a_difference_is_not_called_equal():
    a = torch.tensor([0.0, 1.0])
    assert compare._same_bits(a, a.clone())
    assert not compare._same_bits(a, torch.tensor([-0.0, 1.0]))
    assert not compare._same_bits(a, torch.tensor([0.0, 1.0 + 2**-23]))


def pooled_wrong(part):
    """voxpool's function with one thing wrong."""
    right = voxpool.max_pool3d

    def values(x, *args, **kwargs):
        return right(x, *args, **kwargs) + 1

    def gradients(x, *args, **kwargs):
        y = right(x, *args, **kwargs)
        return y + (y - y.detach())

    return {"values": values, "gradients": gradients}[part]


@pytest.mark.parametrize("part", ["values", "gradients"])
def test_demo_measures_a_difference(part, monkeypatch):
    monkeypatch.setattr(voxpool, "max_pool3d", pooled_wrong(part))
    rows = compare.rows(torch.rand(1, 1, 24, 24, 24), 1, lambda: None)
    assert len(rows) == 16
    wrong = [row for row in rows if not row.agrees]
    assert len(wrong) == {"values": 16, "gradients": 8}[part]


@pytest.mark.parametrize("part", ["values", "losses"])
def test_demo_status_tells_a_difference(part, tmp_path, monkeypatch, capsys):
    np.save(tmp_path / "scan.npy", head(26, 26, 26))
    if part == "values":
        monkeypatch.setattr(voxpool, "max_pool3d", pooled_wrong("values"))
    else:
        right = voxpool.nn.MaxPool3d.forward
        monkeypatch.setattr(voxpool.nn.MaxPool3d, "forward", lambda self, x: right(self, x) * 1.01)
    out = tmp_path / "picture.png"
    assert demo.main(["--volume", str(tmp_path / "scan.npy"), "--out", str(out), "--quick"]) == 1
    printed = capsys.readouterr().out
    assert ("✗" in printed) if part == "values" else ("NOT equal" in printed)
