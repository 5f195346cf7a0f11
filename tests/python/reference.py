"""Max-pooling as its definition reads, in plain loops over numpy arrays: what voxpool must compute where torch cannot.

Nothing here knows torch's or voxpool's code. An array is (N, C, *spatial); every per-axis argument is a list.
"""

import itertools
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Window:
    """A pooling along all spatial axes. `padding` has one (begin, end) pair per axis, or is 'same'."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...] | str
    dilation: tuple[int, ...]
    ceil_mode: bool = False


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """TensorFlow's rule: enough padding for ceil(size / stride) windows, the odd cell at the end."""
    windows = -(-size // stride)
    total = max((windows - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    return total // 2, total - total // 2


def pads_of(sizes: tuple[int, ...], window: Window) -> list[tuple[int, int]]:
    if window.padding == "same":
        return [same_padding(*axis) for axis in zip(sizes, window.kernel, window.stride, window.dilation, strict=True)]
    return list(window.padding)


def output_size(sizes: tuple[int, ...], window: Window) -> tuple[int, ...]:
    """Counts the windows one by one: as many as fit, and with ceil_mode those that start inside and only reach out."""
    result = []
    for axis, (begin, end) in enumerate(pads_of(sizes, window)):
        size, stride = sizes[axis], window.stride[axis]
        span = window.dilation[axis] * (window.kernel[axis] - 1) + 1
        count = 0
        while count * stride + span <= begin + size + end:
            count += 1
        if window.ceil_mode:
            # A last window may lack up to stride - 1 cells of its span, if it starts before the end of the input.
            reaches = count * stride + span <= begin + size + end + stride - 1
            count += reaches and count * stride < begin + size
        result.append(count)
    return tuple(result)


def taps_of(output: tuple[int, ...], sizes: tuple[int, ...], window: Window) -> list[tuple[int, ...]]:
    """Input positions a window reads, in scan order."""
    axes = []
    for axis, (begin, _) in enumerate(pads_of(sizes, window)):
        first, dilation = output[axis] * window.stride[axis] - begin, window.dilation[axis]
        positions = range(first, first + window.kernel[axis] * dilation, dilation)
        axes.append([position for position in range(sizes[axis]) if position in positions])
    return list(itertools.product(*axes))


def has_empty_window(sizes: tuple[int, ...], window: Window) -> bool:
    """Whether some window has no tap inside the input: then it has none along one of the axes."""
    return any(
        not taps_of((output,), (sizes[axis],), _along(window, axis))
        for axis, count in enumerate(output_size(sizes, window))
        for output in range(count)
    )


def _along(window: Window, axis: int) -> Window:
    padding = window.padding if window.padding == "same" else (window.padding[axis],)
    return Window((window.kernel[axis],), (window.stride[axis],), padding, (window.dilation[axis],), window.ceil_mode)


def maximum(volume: np.ndarray, taps: list[tuple[int, ...]]) -> tuple[int, ...] | None:
    """Which of the taps has the maximum, or None without any. A volume may also be a torch.Tensor."""
    best = None
    for tap in taps:
        value = volume[tap]
        if best is None or value > volume[best] or value != value:
            best = tap
    return best


def max_pool(x: np.ndarray, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Values and flat indices: the first maximum, the last NaN; -inf (or the lowest integer) and -1 without a tap."""
    sizes = x.shape[2:]
    shape = (*x.shape[:2], *output_size(sizes, window))
    lowest = -np.inf if np.issubdtype(x.dtype, np.floating) else np.iinfo(x.dtype).min
    values, indices = np.full(shape, lowest, x.dtype), np.full(shape, -1, np.int64)
    for output in itertools.product(*map(range, shape[2:])):
        taps = taps_of(output, sizes, window)
        for n, c in itertools.product(range(shape[0]), range(shape[1])):
            best = maximum(x[n, c], taps)
            if best is not None:
                values[(n, c, *output)] = x[(n, c, *best)]
                indices[(n, c, *output)] = np.ravel_multi_index(best, sizes)
    return values, indices


def backward(gradient: np.ndarray, indices: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Gradient of the input, added in float64 in ascending output order; outputs without a tap (-1) pass nothing."""
    result = np.zeros((*size[:2], int(np.prod(size[2:]))), np.float64)
    for output in np.ndindex(*gradient.shape):
        if indices[output] >= 0:
            result[output[0], output[1], indices[output]] += float(gradient[output])
    return result.reshape(size)
