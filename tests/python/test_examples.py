"""The examples run, the long one for a few steps, and print what the README quotes."""

import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest
import torch

import voxpool

EXAMPLES = Path(__file__).parents[2] / "python" / "examples"
PRINTED = {
    "keras_port.py": ["pooled to 7 × 7 × 7, 10976 features", "probabilities ["],
    "keras_layers.py": [
        "falls\n",
        "predicts the same",
        "result    (2, 16, 16, 8, 3) contiguous",
    ],
    "channels_last_pipeline.py": [
        "torch's order  (2, 3, 8, 16, 16)",
        "Keras's order  (2, 16, 16, 8, 3) contiguous",
        "slices         (16, 16, 16)",
        "along depth    (8, 32, 32)",
    ],
    "textbook.py": [
        "maxima    [4.0, 8.0]",
        "positions [3, 3]",
        "gradient  [[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0]]",
        # Minus 1, 3, 2, 4, one in each window; a padding of zeros would give zeros.
        "padded    [[-1.0, -3.0], [-2.0, -4.0]]",
        "network   (8, 1)",
    ],
    "unet_sharded.py": ["pools (1, 1, 8, 24, 24) here", "one process differs by "],
    "unet_brain.py": ["white matter  Dice 0.", "picture   unet_brain.png"],
}
# What would take long as it stands.
ARGUMENTS = {"unet_brain.py": ["--steps", "8"], "unet_sharded.py": ["--steps", "3"]}


def test_no_example_is_forgotten():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(PRINTED)


@pytest.mark.parametrize("name", PRINTED)
def test_example(name, tmp_path):
    # Keras makes arrays of tensors with a keyword that torch does not know.
    warnings = ["-W", "error", "-W", "ignore:__array__ implementation:DeprecationWarning"]
    command = [sys.executable, *warnings, EXAMPLES / name, *ARGUMENTS.get(name, [])]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8")
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    for line in PRINTED[name]:
        assert line in run.stdout
    if name == "unet_brain.py":
        first, last = map(float, re.search(r"loss +(\S+) to (\S+)", run.stdout).groups())
        assert last < 0.8 * first  # patches are random: without learning, too, the last may be easier than the first
        assert (tmp_path / "unet_brain.png").read_bytes().startswith(b"\x89PNG")


README = Path(__file__).parents[2] / "README.md"


@keras.device("cpu")  # also where Keras would choose a GPU
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_readme_python_runs_and_gives_the_sizes_in_its_comments():
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) >= 5
    for block in blocks:
        if "(...)" in block:  # the list of signatures
            continue
        scope = {"torch": torch, "voxpool": voxpool}
        for line in block.splitlines():
            code, _, comment = line.partition("#")
            exec(code.strip(), scope)
            size = re.search(r"(?<!\w)\((?:\d+, )+\d+\)", comment)  # not the numbers of "Conv3d(1, 16, 3)"
            if size:
                name, assigned, _ = code.partition(" = ")
                value = scope[name] if assigned else eval(code, scope)
                assert size.group() == str(tuple(getattr(value, "shape", value))), line
