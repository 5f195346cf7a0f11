"""Tensors and comparisons the tests share."""

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F

import voxpool
from reference import Window

ROOT = Path(__file__).resolve().parents[2]

FLOATING = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
EXACT_GRADIENTS = (torch.float64, torch.float32)  # torch adds 16-bit gradients in 16 bits, voxpool in float32

OURS = {1: voxpool.max_pool1d, 2: voxpool.max_pool2d, 3: voxpool.max_pool3d}
TORCHS = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


class Case(NamedTuple):
    """Size of the input and arguments of the pooling."""

    size: tuple[int, ...]
    kernel: int | tuple[int, ...]
    stride: int | tuple[int, ...] | None = None
    padding: int | tuple[int, ...] | tuple[tuple[int, int], ...] | str = 0
    dilation: int | tuple[int, ...] = 1
    ceil_mode: bool = False

    @property
    def dims(self) -> int:
        return len(self.size) - 2

    @property
    def arguments(self) -> tuple:
        return self[1:]

    @property
    def window(self) -> Window:
        pads = self.padding
        if self.torch_takes:
            pads = tuple((pad, pad) for pad in self._per_axis(self.padding))
        elif pads == "valid":
            pads = ((0, 0),) * self.dims
        stride = self._per_axis(self.kernel if self.stride is None else self.stride)
        return Window(self._per_axis(self.kernel), stride, pads, self._per_axis(self.dilation), self.ceil_mode)

    @property
    def torch_takes(self) -> bool:
        """Whether torch knows such a padding."""
        return isinstance(self.padding, int) or isinstance(self.padding[0], int)

    def _per_axis(self, value: int | tuple[int, ...]) -> tuple[int, ...]:
        return (value,) * self.dims if isinstance(value, int) else value

    def __str__(self) -> str:
        parts = ["x".join(map(str, self.size))]
        for letter, value in zip("kspd", self.arguments, strict=False):
            if value is not None:
                parts.append(letter + ",".join(map(str, value if isinstance(value, tuple) else (value,))))
        return "-".join(parts) + ("-ceil" if self.ceil_mode else "")


# Odd widths, 1, vector width and one more or less; windows real models use, and ones that only a general kernel runs.
CASES_3D = (
    Case((2, 3, 8, 6, 34), 2),
    Case((1, 2, 7, 9, 33), 3, 2, 1),
    Case((1, 3, 5, 6, 17), 3, 1, 1),
    Case((2, 5, 5, 8, 16), (1, 2, 2)),
    Case((1, 2, 3, 6, 31), (1, 3, 3), (1, 2, 2), (0, 1, 1)),
    Case((1, 2, 9, 10, 23), 3, 2, 1, 2, True),
    Case((1, 2, 9, 9, 17), 3, 2, 1, 3),
    Case((1, 2, 9, 9, 15), 7, 3, 3, 1, True),
    Case((1, 3, 6, 7, 9), (2, 3, 2), (2, 1, 3), (1, 0, 1), (1, 2, 3), True),
    Case((1, 2, 4, 5, 65), (1, 1, 5), (1, 1, 2), (0, 0, 2)),
    Case((1, 2, 9, 5, 4), (4, 1, 1), (2, 1, 1), (2, 0, 0)),
    Case((2, 17, 2, 3, 1), 1, 1),
    Case((1, 1, 1, 1, 1), 1, 3),
    Case((0, 2, 4, 4, 4), 2),
    Case((1, 1, 4, 4, 70), (2, 2, 65), (1, 1, 3), (1, 1, 30)),
)
CASES_2D = (
    Case((2, 3, 6, 34), 2),
    Case((1, 2, 9, 33), 3, 2, 1),
    Case((2, 5, 8, 16), (3, 2), (1, 3), (1, 0), (2, 1), True),
    Case((0, 2, 4, 4), 2),
)
CASES_1D = (
    Case((2, 3, 34), 2),
    Case((1, 2, 67), 3, 2, 1),
    Case((2, 5, 40), 5, 3, 2, 2, True),
    Case((0, 2, 8), 2),
)
CASES = CASES_3D + CASES_2D + CASES_1D


def ties(size: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Few different small integers, so that most windows hold their maximum several times."""
    low = 0 if dtype == torch.uint8 else -5
    return torch.randint(low, 6, size).to(dtype)


def special(size: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """NaN, both zeros, both infinities and few finite values; for integers the extreme ones."""
    if not dtype.is_floating_point:
        limits = torch.iinfo(dtype)
        table = torch.tensor([limits.min, limits.min, limits.min, 0, 1, limits.max], dtype=dtype)
        return table[torch.randint(0, 5 + (torch.rand(()) < 0.5), size)]
    inf = float("inf")
    table = torch.tensor([float("nan"), -0.0, 0.0, -0.0, 0.0, -inf, -inf, -inf, inf, -1.0, -2.0, -1.0], dtype=dtype)
    return table[torch.randint(0, len(table), size)]


def build_tree() -> Path:
    """CMake's build of the package."""
    command = [sys.executable, str(ROOT / "setup.py"), "--print-build-dir"]
    return Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


def channels_last(x: torch.Tensor) -> torch.Tensor:
    """The same values with channels innermost, for any rank of batched input torch has a memory format for."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return x.contiguous(memory_format=formats[x.dim()])


def views(size):
    """Inputs that are part of something larger, with the strides that come of it."""
    n, c, d, h, w = size
    whole = torch.randn(n + 1, c + 2, d + 3, h + 4, w + 5)
    last = channels_last(whole)
    yield "crop", whole[1:, 1:-1, 2:-1, 1:-3, 2:-3]
    yield "channels-last crop", last[1:, :, 2:-1, 1:-3, 2:-3]
    yield "channel crop of channels-last", last[1:, 1:-1, 2:-1, 1:-3, 2:-3]
    yield "offset", torch.randn(n * c * d * h * w + 3)[3:].view(size)
    yield "every second row", torch.randn(n, c, d, 2 * h, w)[:, :, :, ::2]
    yield "every second plane", torch.randn(n, c, 2 * d, h, w)[:, :, 1::2]
    yield "every second column", torch.randn(n, c, d, h, 2 * w)[..., ::2]
    yield "every second channel", torch.randn(n, 2 * c, d, h, w)[:, ::2]
    yield "transposed", torch.randn(n, c, w, h, d).transpose(2, 4)
    yield "N H W D C", torch.randn(n, h, w, d, c).permute(0, 4, 3, 1, 2)
    yield "expanded batch", torch.randn(1, c, d, h, w).expand(size)
    yield "expanded plane", torch.randn(n, c, 1, h, w).expand(size)
    yield "one value", torch.randn(()).expand(size)


def assert_same(actual: torch.Tensor, expected: torch.Tensor, strides: bool = True) -> None:
    """Same dtype, size, strides and values: NaN where NaN, and for fp32/fp64 the same sign of every zero."""
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    if strides:
        assert actual.stride() == expected.stride()
    torch.testing.assert_close(actual, expected, rtol=0, atol=0, equal_nan=True)
    if expected.dtype in EXACT_GRADIENTS:
        number = ~expected.isnan()
        assert torch.equal(actual.signbit()[number], expected.signbit()[number])


# Numbers torch has wrong or in an odd order: a zero length is always reported as dimension 0, and (T, W, H) comes
# instead of (T, H, W).
_NUMBERS = re.compile(r"(?<=but got kT: ).*|(?<=non-batch dimension ).*")
# What newer versions of torch say where 2.11 said, as voxpool does, the second.
_REWORDED = {
    r"value cannot be converted to type int without overflow": "integer out of range",
    r"Expected input to have non-zero size for non-batch dimensions, but input has sizes (.*) with dimension .*": (
        r"Expected input's non-batch dimensions to have positive length, but input has a shape of \1"
    ),
}


def sentence(error: BaseException) -> str:
    """torch's message, in the words of 2.11, without the C++ function in front and the stack behind."""
    text = re.sub(r"^\w+_template\(\): ", "", str(error).splitlines()[0])
    for newer, older in _REWORDED.items():
        text = re.sub(newer, older, text)
    return _NUMBERS.sub("", text)
