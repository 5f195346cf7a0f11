"""Who sends which rows to whom when an axis is sharded: integers only, no tensors and no processes.

An axis is cut into parts, one per rank along one dimension of a mesh. A part owns rows and needs rows; what it needs
and does not own is its halo. Volumes that are sharded along several axes exchange along one after the other, and the
rows that arrived along the first travel on along the next, which brings the corners where they belong.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

from voxpool._axis import Axis

NO_ROWS = range(0)


def shards(size: int, parts: int) -> tuple[range, ...]:
    """The rows of each part by the rule of torch.chunk, which is DTensor's: equal parts, the last ones less or none."""
    length = -(-size // parts)
    return tuple(range(min(part * length, size), min((part + 1) * length, size)) for part in range(parts))


def overlap(a: range, b: range) -> range:
    """The rows in both; empty where there are none."""
    start = max(a.start, b.start)
    return range(start, max(start, min(a.stop, b.stop)))


@dataclass(frozen=True)
class Halo:
    """Part p has the rows ``owned[p]`` and wants exactly ``needed[p]``. The owned rows ascend without gaps."""

    owned: tuple[range, ...]
    needed: tuple[range, ...]

    def sent(self, source: int, target: int) -> range:
        """The rows that `source` owns and `target` needs."""
        return overlap(self.owned[source], self.needed[target])

    @cached_property
    def is_local(self) -> bool:
        """Whether every part owns what it needs, so that nobody has to send anything."""
        return all(len(overlap(*rows)) == len(rows[1]) for rows in zip(self.owned, self.needed, strict=True))

    @property
    def reverse(self) -> "Halo":
        """The same rows on their way back: parts have what they needed and give it to its owners."""
        return Halo(self.needed, self.owned)

    def neighbours(self, part: int) -> tuple[list[int], list[int]]:
        """The parts that `part` receives rows from, and those it sends rows to."""
        others = [other for other in range(len(self.owned)) if other != part]
        return [p for p in others if self.sent(p, part)], [p for p in others if self.sent(part, p)]

    def received(self, part: int) -> int:
        """Rows that `part` needs and others own."""
        return len(self.needed[part]) - len(self.sent(part, part))


@dataclass(frozen=True)
class ShardedAxis:
    """A pooled axis whose input and output are both sharded over the same parts, each by the rule of :func:`shards`.

    So the output is a DTensor like any other; a part computes the outputs it owns, and forward needs the input rows
    that their windows read. Backward it computes the gradient of the input rows it owns, and needs the gradients and
    taps of all outputs that may have chosen one of them.
    """

    axis: Axis
    parts: int

    @cached_property
    def inputs(self) -> tuple[range, ...]:
        return shards(self.axis.size, self.parts)

    @cached_property
    def outputs(self) -> tuple[range, ...]:
        return shards(self.axis.outputs, self.parts)

    @cached_property
    def forward(self) -> Halo:
        if self.parts == 1:  # Whole rows stay whole, also those that no window reads: cutting them off helps nobody.
            return Halo(self.inputs, self.inputs)
        return Halo(self.inputs, tuple(self.axis.rows(own) if own else NO_ROWS for own in self.outputs))

    @cached_property
    def backward(self) -> Halo:
        return Halo(self.outputs, tuple(self.axis.windows(own) if own else NO_ROWS for own in self.inputs))

    def interior(self, part: int) -> range:
        """The owned outputs whose windows read owned rows alone: they need not wait for the halo."""
        owned, outputs = self.inputs[part], self.outputs[part]
        first, stop = outputs.start, outputs.stop
        while first < stop and not self._is_inside(first, owned):
            first += 1
        while first < stop and not self._is_inside(stop - 1, owned):
            stop -= 1
        return range(first, stop)

    def _is_inside(self, output: int, rows: range) -> bool:
        read = self.axis.rows(range(output, output + 1))
        return rows.start <= read.start and read.stop <= rows.stop

    def forward_padding(self, outputs: range, rows: range) -> tuple[int, int]:
        """The padding with which pooling the rows that these windows read gives them."""
        begin, end = self.axis.padding(outputs, rows)
        return begin, max(end, 0)

    def backward_padding(self, part: int) -> tuple[int, int, int]:
        """Leading rows without any window, and the padding with which the needed windows lie on the others.

        Rows without a window at the end need no care: they are less than a stride.
        """
        begin, end = self.axis.padding(self.backward.needed[part], self.inputs[part])
        return max(-begin, 0), max(begin, 0), max(end, 0)


@lru_cache(maxsize=1024)
def sharded_axis(axis: Axis, parts: int) -> ShardedAxis:
    """The plan of an axis, made once: its ranges are computed when they are first asked for."""
    return ShardedAxis(axis, parts)
