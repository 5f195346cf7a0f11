"""What is measured: poolings of real models, and shapes that find the weak spots of a kernel.

Sizes are those at the pooling layer, for the input its paper or reference code uses.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from math import prod
from typing import Any, TypeAlias

import torch

import voxpool

Triple: TypeAlias = tuple[int, int, int]

OPERATIONS = ("forward", "forward_taps", "indices", "backward", "training")
DTYPES = ("float32", "bfloat16", "float16", "float64", "int8", "int64")
LAYOUTS = ("first", "last")


@dataclass(frozen=True)
class Case:
    """One pooling of one tensor, and what of it is timed.

    shape is (N, C, D, H, W) whatever the layout; "last" keeps it as torch.channels_last_3d. Operations: "forward"
    (values), "forward_taps" (the forward of a training step, with what it keeps), "indices" (values and int64
    positions), "backward", "training" (forward and backward). fresh=False measures with an allocator that hands back
    the memory of the call before, so that a large output costs no page faults.
    """

    name: str
    shape: tuple[int, int, int, int, int]
    kernel: Triple
    stride: Triple
    padding: Triple = (0, 0, 0)
    dilation: Triple = (1, 1, 1)
    ceil_mode: bool = False
    dtype: str = "float32"
    layout: str = "first"
    operation: str = "forward"
    fresh: bool = True

    @property
    def arguments(self) -> tuple[Triple, Triple, Triple, Triple, bool]:
        """kernel_size, stride, padding, dilation, ceil_mode, in the order of torch's functions."""
        return self.kernel, self.stride, self.padding, self.dilation, self.ceil_mode

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (*self.shape[:2], *voxpool.output_size(self.shape[2:], *self.arguments))

    @property
    def bytes(self) -> int:
        """Bytes that have to be moved: every input read once, every result written once.

        A training forward also writes one byte per output (four above 255 taps in a window), which its backward reads.
        """
        item, inputs, outputs = self.itemsize, prod(self.shape), prod(self.output_shape)
        tap = 1 if prod(self.kernel) <= 255 else 4
        forward = item * (inputs + outputs)
        taps = tap * outputs
        return {
            "forward": forward,
            "forward_taps": forward + taps,
            "indices": forward + 8 * outputs,
            "backward": forward + taps,  # reads the gradient of the output and the taps, writes that of the input
            "training": 2 * (forward + taps),
        }[self.operation]

    @property
    def itemsize(self) -> int:
        dtype: torch.dtype = getattr(torch, self.dtype)
        return dtype.itemsize

    @property
    def window(self) -> str:
        """The window in short: k3 s2 p1 d2 ceil, with what is left at its default left out."""
        parts = [f"k{_short(self.kernel)}", f"s{_short(self.stride)}"]
        parts += [f"p{_short(self.padding)}"] if any(self.padding) else []
        parts += [f"d{_short(self.dilation)}"] if self.dilation != (1, 1, 1) else []
        return " ".join([*parts, "ceil"] if self.ceil_mode else parts)

    @property
    def label(self) -> str:
        """Different for any two cases of a list."""
        size = "×".join(map(str, self.shape))
        memory = "" if self.fresh else " reused"
        return f"{self.name} {size} {self.window} {self.dtype} {self.layout} {self.operation}{memory}"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Case":
        """The case that asdict() and JSON, which has no tuples, made these values of."""
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return cls(**fields)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


# So that replace() forgets the window of the case it starts from.
_DEFAULTS: dict[str, Any] = {"padding": (0, 0, 0), "dilation": (1, 1, 1), "ceil_mode": False}

K2: dict[str, Any] = {"kernel": (2, 2, 2), "stride": (2, 2, 2)}
K122: dict[str, Any] = {"kernel": (1, 2, 2), "stride": (1, 2, 2)}
K133: dict[str, Any] = {"kernel": (1, 3, 3), "stride": (1, 2, 2), "padding": (0, 1, 1)}
K3S2: dict[str, Any] = {"kernel": (3, 3, 3), "stride": (2, 2, 2), "padding": (1, 1, 1)}
K3S1: dict[str, Any] = {"kernel": (3, 3, 3), "stride": (1, 1, 1), "padding": (1, 1, 1)}
K3_CEIL: dict[str, Any] = {"kernel": (3, 3, 3), "stride": (2, 2, 2), "ceil_mode": True}
K3_DILATED: dict[str, Any] = {**K3S2, "dilation": (3, 3, 3)}


def _case(name: str, shape: tuple[int, ...], window: dict[str, Any], **rest: Any) -> Case:
    values: dict[str, Any] = {"name": name, "shape": shape, **window, **rest}
    return Case(**values)


C3D_1 = _case("C3D pool1", (1, 64, 16, 112, 112), K122)
C3D_2 = _case("C3D pool2", (2, 128, 16, 56, 56), K2)
C3D_5 = _case("C3D pool5", (4, 512, 2, 7, 7), {**K2, "padding": (0, 1, 1)})
S3D_1 = _case("S3D pool1", (1, 64, 32, 112, 112), K133)
I3D_3 = _case("I3D pool3", (2, 480, 16, 28, 28), K3S2)
I3D_4 = _case("I3D pool4", (2, 832, 16, 14, 14), K2)
I3D_BRANCH = _case("I3D branch", (2, 192, 16, 28, 28), K3S1)
SLOW = _case("SlowFast slow stem", (2, 64, 8, 112, 112), K133)
FAST = _case("SlowFast fast stem", (2, 8, 32, 112, 112), K133)
MVIT = _case("MViT skip", (4, 96, 8, 56, 56), K133)
UNET_1 = _case("3D U-Net level 1", (1, 32, 64, 128, 128), K2)
UNET_3 = _case("3D U-Net level 3", (1, 128, 16, 32, 32), K2)
NNUNET = _case("nnU-Net thick slices", (1, 32, 20, 256, 256), K122)
DENSENET = _case("MONAI DenseNet stem", (2, 64, 48, 48, 48), K3S2)
SENET = _case("MONAI SENet stem", (2, 64, 48, 48, 48), K3_CEIL)
COSMOFLOW = _case("CosmoFlow pool1", (1, 16, 128, 128, 128), K2, layout="last")
KERNELBENCH = _case("KernelBench 43", (16, 32, 128, 128, 128), K3_DILATED)
LARGE = _case("large", (2, 64, 32, 112, 112), K2)  # 205 MB: beyond every cache
SAME_SIZE = _case("same size", (2, 64, 16, 56, 56), K3S1)
CACHED = _case("in cache", (1, 32, 8, 28, 28), K2)
ODD = _case("odd widths", (1, 8, 80, 170, 170), K2)
SCAN = _case("scan, one channel", (1, 1, 160, 224, 224), K2)
VIDEO = _case("video, three channels", (2, 3, 16, 224, 224), K133)
C17 = _case("seventeen channels", (2, 17, 16, 57, 59), K3S2)
FIVE = _case("window of 125", (1, 32, 16, 56, 56), {"kernel": (5, 5, 5), "stride": (2, 2, 2), "padding": (2, 2, 2)})
TINY = _case("tiny: cost of a call", (1, 1, 4, 4, 4), K2)

MODELS = (
    *(C3D_1, C3D_2, C3D_5, S3D_1, I3D_3, I3D_4, I3D_BRANCH, SLOW, FAST, MVIT, UNET_1, UNET_3, NNUNET),
    *(DENSENET, SENET, COSMOFLOW),
)
SHAPES = (LARGE, SAME_SIZE, CACHED, ODD, SCAN, VIDEO, C17, FIVE, TINY)


def quick() -> tuple[Case, ...]:
    """A taste of everything, in under a minute."""
    return (
        TINY,
        CACHED,
        replace(SLOW, shape=(1, 64, 8, 56, 56)),
        replace(DENSENET, shape=(1, 64, 24, 48, 48)),
        replace(DENSENET, shape=(1, 64, 24, 48, 48), layout="last"),
        replace(C3D_2, shape=(1, 128, 16, 56, 56), dtype="bfloat16"),
        replace(C17, operation="indices"),
        replace(UNET_3, operation="training"),
    )


def standard() -> tuple[Case, ...]:
    """The list the charts are drawn from: at most 60 rows."""
    return tuple(_unique(_standard()))


def full() -> tuple[Case, ...]:
    """Every shape with every window, layout and operation, in fp32, and the main operations in every dtype: hours."""
    return tuple(_unique(_full()))


def _standard() -> Iterator[Case]:
    yield from MODELS
    yield from SHAPES
    yield replace(KERNELBENCH, shape=(1, *KERNELBENCH.shape[1:]))  # a sixteenth of its batch
    for case in (C3D_1, S3D_1, DENSENET, SAME_SIZE, FAST, C17, VIDEO):
        yield replace(case, layout="last")
    for dtype in DTYPES[1:]:
        yield replace(C3D_2, dtype=dtype)
    yield replace(C3D_2, dtype="bfloat16", layout="last")
    for dtype in ("bfloat16", "int8"):
        yield replace(DENSENET, dtype=dtype)
    yield replace(DENSENET, dtype="float16", layout="last")
    for case in (C3D_2, DENSENET):
        for operation in OPERATIONS[1:]:
            yield replace(case, operation=operation)
    for case in (UNET_3, SAME_SIZE, replace(DENSENET, layout="last"), replace(DENSENET, dtype="bfloat16"), TINY):
        yield replace(case, operation="training")
    # The same large tensor with new memory for every result, which is what a user gets, and without.
    for operation in ("forward", "training"):
        for fresh in (True, False):
            yield replace(LARGE, operation=operation, fresh=fresh)


def _full() -> Iterator[Case]:
    yield from _standard()
    windows = (K2, K122, K133, K3S2, K3S1, K3_CEIL, K3_DILATED)
    bases = [
        *MODELS,
        *SHAPES,
        _case("CosmoFlow pool2", (1, 32, 64, 64, 64), K2),
        _case("3D U-Net level 2", (1, 64, 32, 64, 64), K2),
        _case("one row", (1, 1, 1, 1, 1 << 20), K2),
        _case("flat", (1, 3, 1, 512, 512), K2),
    ]
    for base, window, dtype, layout, operation in itertools.product(bases, windows, DTYPES, LAYOUTS, OPERATIONS):
        case = replace(base, **{**_DEFAULTS, **window}, dtype=dtype, layout=layout, operation=operation)
        if _makes_sense(case):
            yield case
    for layout in LAYOUTS:
        yield replace(KERNELBENCH, layout=layout)


def _makes_sense(case: Case) -> bool:
    differentiable = getattr(torch, case.dtype).is_floating_point
    if case.dtype != "float32" and case.operation not in (("forward", "training") if differentiable else ("forward",)):
        return False
    try:
        return prod(case.output_shape) > 0
    except RuntimeError:  # the window does not fit
        return False


def _unique(cases: Iterable[Case]) -> Iterator[Case]:
    seen = set()
    for case in cases:
        if case.label not in seen:
            seen.add(case.label)
            yield case


def _short(values: tuple[int, ...]) -> str:
    return str(values[0]) if len(set(values)) == 1 else ",".join(map(str, values))
