"""What gpu.py measures: the poolings with a goal in every operation, then shapes that find weak spots of a kernel."""

from collections.abc import Iterator
from dataclasses import replace

from voxpool.bench.cases import (
    C3D_1,
    C3D_2,
    C17,
    K2,
    K3_CEIL,
    K3S1,
    K3S2,
    KERNELBENCH,
    LARGE,
    LAYOUTS,
    ODD,
    S3D_1,
    SAME_SIZE,
    Case,
)

C3D = replace(C3D_1, shape=(8, 64, 16, 112, 112), dtype="float16")
C3D_LATER = replace(C3D_2, shape=(4, 128, 16, 56, 56), dtype="float16")
# With padding 1 and ceil_mode, unlike SENet's, which has none.
CEIL = replace(LARGE, name="3×3×3, ceil_mode", **{**K3_CEIL, "padding": (1, 1, 1)}, dtype="bfloat16")

# Microseconds on one H200, of channels-first tensors.
GOALS = {
    C3D: 71,
    replace(C3D, operation="indices"): 118,
    replace(C3D, operation="training"): 150,
    C3D_LATER: 17,
    CEIL: 40,
    KERNELBENCH: 1200,
}

_OTHERS = (
    SAME_SIZE,
    replace(SAME_SIZE, dtype="float16"),
    replace(C17, shape=(16, *C17.shape[1:]), dtype="float16"),
    ODD,
    replace(C3D, name="odd widths", shape=(8, 64, 16, 113, 113)),
    *(
        replace(C3D_LATER, name=f"small maps, {size}³", shape=(64, channels, size, size, size))
        for size, channels in ((7, 512), (4, 512), (2, 1024))
    ),
    # 205 MB and more.
    *(replace(LARGE, **window) for window in (K2, K3S2, K3S1)),
    *(replace(LARGE, shape=(4, *LARGE.shape[1:]), dtype="bfloat16", **window) for window in (K2, K3S2, K3S1)),
    replace(S3D_1, shape=(4, *S3D_1.shape[1:]), dtype="float16"),
)


def quick() -> tuple[Case, ...]:
    """The cases with a goal, and their backward."""
    return (*GOALS, *(replace(base, operation="backward") for base in (C3D, C3D_LATER, CEIL)))


def full() -> tuple[Case, ...]:
    return tuple(dict.fromkeys(_full()))


def _full() -> Iterator[Case]:
    # Those with a goal first: whoever ends the run early has them.
    yield from quick()
    for layout in LAYOUTS:
        for base in (C3D, C3D_LATER, CEIL, KERNELBENCH):
            for operation in ("forward", "forward_taps", "indices", "backward"):
                yield replace(base, operation=operation, layout=layout)
    for operation in ("forward", "backward"):
        for base in _OTHERS:
            for layout in LAYOUTS:
                yield replace(base, operation=operation, layout=layout)
