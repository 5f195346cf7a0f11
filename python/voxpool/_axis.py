"""One pooled axis, for those who pool a volume in parts: which rows which windows read.

The same six numbers and closed forms as `Axis` in csrc/core/axis.h. The numbers come from the operators' geometry, so
that no rule of sizes, paddings or rounding is written a second time.
"""

from dataclasses import dataclass

from voxpool import _C
from voxpool._arguments import Ints, Padding, canonical


@dataclass(frozen=True)
class Axis:
    """Tap t of output o reads row ``o * stride - pad_begin + t * dilation`` of `size` rows; all counts are elements."""

    size: int
    outputs: int
    kernel: int
    stride: int
    pad_begin: int
    dilation: int

    @property
    def reach(self) -> int:
        """Distance between the first and the last tap of a window."""
        return (self.kernel - 1) * self.dilation

    def start(self, output: int) -> int:
        """Row of tap 0; negative inside the leading padding."""
        return output * self.stride - self.pad_begin

    def rows(self, outputs: range) -> range:
        """The rows that these (one or more) windows span inside the input. Never empty: every window starts before
        the last row and, as a pad is smaller than the effective kernel, ends behind the first."""
        return range(max(self.start(outputs[0]), 0), min(self.start(outputs[-1]) + self.reach + 1, self.size))

    def padding(self, outputs: range, rows: range) -> tuple[int, int]:
        """The (begin, end) padding with which pooling `rows` alone gives exactly `outputs`, without ceil_mode.

        Negative where these windows do not reach the first or the last of the rows: those are to be cut off.
        """
        return rows.start - self.start(outputs[0]), self.start(outputs[-1]) + self.reach + 1 - rows.stop

    def windows(self, rows: range) -> range:
        """The outputs whose windows span one of these (one or more) rows; empty between windows with gaps."""
        first = -((self.reach - self.pad_begin - rows.start) // self.stride)
        last = (rows[-1] + self.pad_begin) // self.stride
        return range(max(first, 0), max(first, 0, min(last + 1, self.outputs)))


def axes_of(
    sizes: list[int], kernel_size: Ints, stride: Ints | None, padding: Padding, dilation: Ints, ceil_mode: bool
) -> list[Axis]:
    """The axes of a pooling of `sizes` (1 to 3 spatial sizes). Raises what the pooling itself would."""
    window = canonical(len(sizes), kernel_size, stride, padding, dilation, ceil_mode)
    return [Axis(*numbers) for numbers in _C.axes(sizes, *window)]
