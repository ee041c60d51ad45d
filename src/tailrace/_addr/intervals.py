"""How many intervals of ints cover a point: the structure behind ``BlockList.check``.

Choice of the structure. A check must cost O(log n) however rules overlap and nest, a rule
must come and go without a rebuild, and a rule may cost some tens of bytes. An interval tree or
a trie of Python objects costs 200 bytes a rule and more; a sorted union of the intervals is
small and fast but forgets what lies beneath a rule that is removed.

So this keeps the *count*: the number of intervals over a point, as a function of the point, is a
staircase. It is stored as the sorted points where it changes and its height from each point
on (``sorted_blocks``). Adding or removing an interval is the same act with +1 or -1: cut the
staircase at both ends, raise what lies between, and forget an end where the height no longer
changes (two adjacent subnets share no step). Duplicates, nesting and order need no thought.

An interval that spans whole blocks does not touch their entries: each block has a ``base`` that
is added to its heights. So the longest update walks two blocks and one number a block.

Costs, with n intervals: a point needs two binary searches. An interval has at most two
steps, of 8 bytes (IPv4) or 20 (IPv6) each, beside 10% for blocks and spare room.

It does not know addresses, rules or families; the caller hands in ints below ``1 << bits`` and
removes only what it added.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Any, TypeVar

from .columns import Layout, Narrow, Wide, Words
from .sorted_blocks import SortedBlocks

try:
    from ._search import covers_v4 as _found

    covers_v4: Any = _found
except ImportError:
    #: ``covers_v4(address, lists)``: whether a CoverageV4 covers an address, text or bytes.
    #: None where the optional C module is not built.
    covers_v4 = None

__all__ = ['Coverage', 'CoverageV4', 'CoverageV6', 'covers_v4']

B = TypeVar('B')
_LOW = (1 << 64) - 1


class Coverage(SortedBlocks[B]):
    """The staircase. The step at 0 is always there, so every point has a step at or below it."""

    __slots__ = ('_bases', '_limit', 'lists')

    def __init__(self, layout: Layout[B], bits: int) -> None:
        self._limit = 1 << bits
        self._bases: list[int] = []
        super().__init__(layout, 'i')
        self._load_steps([0], [0])

    def _load_steps(self, keys: list[int], heights: list[int]) -> None:
        self.load(keys, heights)
        self._bases = [0] * len(self._firsts)
        #: For the C module: changed in place until the next load.
        self.lists = (self._firsts, self._keys, self._values, self._bases)

    def covers(self, point: int) -> bool:
        """Whether any interval holds the point."""
        raise NotImplementedError

    def change(self, first: int, last: int, delta: int) -> None:
        """Add (+1) or remove (-1) the interval from ``first`` to ``last``, both inclusive."""
        stop = last + 1
        self._cut(first)
        if stop < self._limit:
            self._cut(stop)
            end, end_i = self.find(stop)
        else:
            end, end_i = len(self._firsts), 0
        b, i = self.find(first)
        if b == end:
            _raise(self._values[b], i, end_i, delta)
        else:
            if i:
                _raise(self._values[b], i, len(self._values[b]), delta)
                b += 1
            self._bases[b:end] = [base + delta for base in self._bases[b:end]]
            if end_i:
                _raise(self._values[end], 0, end_i, delta)
        self._heal(first)
        if stop < self._limit:
            self._heal(stop)

    def _cut(self, point: int) -> None:
        """Make a step at the point, of no height change if there is none yet."""
        b, i = self.find(point)
        if self.key_at(b, i) != point:
            self.insert_after(b, i, point, self._values[b][i])

    def _heal(self, point: int) -> None:
        """Forget the step at the point if the height does not change there."""
        b, i = self.find(point)
        height = self._values[b][i]
        if i:
            if height == self._values[b][i - 1]:
                self.delete_at(b, i)
        elif b and height + self._bases[b] == self._values[b - 1][-1] + self._bases[b - 1]:
            self.delete_at(b, i)

    def with_intervals(self, intervals: Iterable[tuple[int, int]]) -> Coverage[B]:
        """A new staircase with these intervals, both ends inclusive, added to what is here.

        For bulk: sorts all steps once instead of finding a place for each interval.
        """
        # An event is twice the point, plus 1 if an interval starts there.
        events: list[int] = []
        height = 0
        for b, base in enumerate(self._bases):
            for key, value in zip(self._layout.keys(self._keys[b]), self._values[b], strict=True):
                step = value + base - height
                height += step
                events.extend([2 * key + 1] * step if step > 0 else [2 * key] * -step)
        limit = self._limit
        starts: list[int] = []
        for first, last in intervals:
            starts.append(2 * first + 1)
            if last + 1 < limit:
                events.append(2 * last + 2)
        events += starts
        events.sort()
        keys, heights = [0], [0]
        height = before = 0
        point = 0
        for event in events:
            if event >> 1 != point:
                if height != before:
                    if point:
                        keys.append(point)
                        heights.append(height)
                    else:
                        heights[0] = height
                    before = height
                point = event >> 1
            height += 1 if event & 1 else -1
        if height != before:
            if point:
                keys.append(point)
                heights.append(height)
            else:
                heights[0] = height
        out = type(self).__new__(type(self))
        out._layout, out._right, out._code = self._layout, self._right, self._code
        out._limit = limit
        out._load_steps(keys, heights)
        return out

    def _split(self, b: int) -> None:
        super()._split(b)
        self._bases.insert(b + 1, self._bases[b])

    def _join(self, b: int) -> None:
        shift = self._bases[b + 1] - self._bases[b]
        if shift:
            _raise(self._values[b + 1], 0, len(self._values[b + 1]), shift)
        super()._join(b)

    def _drop(self, b: int) -> None:
        super()._drop(b)
        del self._bases[b]


def _raise(heights: Words, i: int, end: int, delta: int) -> None:
    for j in range(i, end):
        heights[j] += delta


class CoverageV4(Coverage[Words]):
    """The staircase over IPv4 addresses."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(Narrow('I'), 32)

    def covers(self, point: int) -> bool:
        b = bisect_right(self._firsts, point) - 1
        height = self._values[b][bisect_right(self._keys[b], point) - 1]
        return height + self._bases[b] > 0


class CoverageV6(Coverage[tuple[Words, ...]]):
    """The staircase over IPv6 addresses."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(Wide('QQ'), 128)

    def covers(self, point: int) -> bool:
        # What Wide.right does, written out for two columns: 0.8 us less.
        b = bisect_right(self._firsts, point) - 1
        high, low = self._keys[b]
        part = point >> 64
        i = bisect_right(high, part)
        if i and high[i - 1] == part:
            i = bisect_right(low, point & _LOW, bisect_left(high, part, 0, i), i)
        return self._values[b][i - 1] + self._bases[b] > 0
