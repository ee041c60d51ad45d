"""Sorted unsigned ints in ``array`` columns: 4 to 32 bytes a key instead of 40 to 72.

A layout says how keys are kept. :class:`Narrow` keeps each in one machine word of a plain
``array``, so that ``bisect`` works on it directly. :class:`Wide` cuts each into several words, the
most significant first, one array for each: arrays have no 128-bit item.

A layout knows nothing of what the keys mean.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

__all__ = ['Layout', 'Narrow', 'Wide', 'Words']

if TYPE_CHECKING:
    Words = array[int]
else:
    Words = array  # Python 3.11's array takes no type argument when it runs.


B = TypeVar('B')


class Layout(Protocol[B]):
    """How a block of sorted keys, of type ``B``, is stored."""

    def make(self, keys: Sequence[int]) -> B:
        """A block of these keys."""
        ...

    def right(self, block: B, key: int, /) -> int:
        """How many keys of the block are not above ``key``, as ``bisect_right``."""
        ...

    def get(self, block: B, i: int) -> int:
        """The key at an index."""
        ...

    def insert(self, block: B, i: int, key: int) -> None:
        """Put a key before the one at an index."""
        ...

    def delete(self, block: B, i: int) -> None:
        """Drop the key at an index."""
        ...

    def cut(self, block: B, i: int) -> B:
        """Take everything from an index on out of the block, as a block of its own."""
        ...

    def join(self, block: B, other: B) -> None:
        """Append another block's keys."""
        ...

    def keys(self, block: B) -> Iterator[int]:
        """All keys in order."""
        ...


class Narrow:
    """Keys that fit one item of an array: ``'I'`` (32 bits) or ``'Q'`` (64 bits)."""

    # 'right' apart: pyright takes what is callable and named in a plain list for a method.
    __slots__ = ('_code', *('right',))

    def __init__(self, code: str) -> None:
        self._code = code
        self.right: Callable[[Words, int], int] = bisect_right

    def make(self, keys: Sequence[int]) -> Words:
        return array(self._code, keys)

    def get(self, block: Words, i: int) -> int:
        return block[i]

    def insert(self, block: Words, i: int, key: int) -> None:
        block.insert(i, key)

    def delete(self, block: Words, i: int) -> None:
        del block[i]

    def cut(self, block: Words, i: int) -> Words:
        tail = block[i:]
        del block[i:]
        return tail

    def join(self, block: Words, other: Words) -> None:
        block.extend(other)

    def keys(self, block: Words) -> Iterator[int]:
        return iter(block)


class Wide:
    """Keys of several items: ``Wide('QQ')`` has 128 bits, ``Wide('QQB')`` has 136."""

    __slots__ = ('_codes', '_parts')

    def __init__(self, codes: str) -> None:
        self._codes = codes
        #: (shift, mask) of each column, most significant first.
        self._parts: list[tuple[int, int]] = []
        shift = 0
        for code in reversed(codes):
            bits = array(code).itemsize * 8
            self._parts.insert(0, (shift, (1 << bits) - 1))
            shift += bits

    def make(self, keys: Sequence[int]) -> tuple[Words, ...]:
        return tuple(
            array(code, [key >> shift & mask for key in keys])
            for code, (shift, mask) in zip(self._codes, self._parts, strict=True)
        )

    def right(self, block: tuple[Words, ...], key: int) -> int:
        low, high = 0, len(block[0])
        for column, (shift, mask) in zip(block, self._parts, strict=True):
            part = key >> shift & mask
            high = bisect_right(column, part, low, high)
            if high == low or column[high - 1] != part:
                return high
            low = bisect_left(column, part, low, high)
        return high

    def get(self, block: tuple[Words, ...], i: int) -> int:
        key = 0
        for column, (shift, _) in zip(block, self._parts, strict=True):
            key |= column[i] << shift
        return key

    def insert(self, block: tuple[Words, ...], i: int, key: int) -> None:
        for column, (shift, mask) in zip(block, self._parts, strict=True):
            column.insert(i, key >> shift & mask)

    def delete(self, block: tuple[Words, ...], i: int) -> None:
        for column in block:
            del column[i]

    def cut(self, block: tuple[Words, ...], i: int) -> tuple[Words, ...]:
        tail = tuple(column[i:] for column in block)
        for column in block:
            del column[i:]
        return tail

    def join(self, block: tuple[Words, ...], other: tuple[Words, ...]) -> None:
        for column, more in zip(block, other, strict=True):
            column.extend(more)

    def keys(self, block: tuple[Words, ...]) -> Iterator[int]:
        shifts = [shift for shift, _ in self._parts]
        for row in zip(*block, strict=True):
            key = 0
            for part, shift in zip(row, shifts, strict=True):
                key |= part << shift
            yield key
