"""Rules of one kind and one family, each exactly as it was given.

A shelf maps a rule's key, which is the whole rule as one int (for a subnet
``network << 8 | prefix``, host bits kept), to its stamp: ``serial << 1 | mark``, where the serial
number grows with every rule and the mark remembers a notation. That costs 12 to 40 bytes a rule,
finds a rule to remove it, and gives ``rules`` its order when somebody asks.

It does not know what the rules of a list cover together, nor other shelves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from .columns import Narrow, Wide
from .ip import MAPPED, text_v4, text_v6
from .sorted_blocks import SortedBlocks

__all__ = ['STAMP_BITS', 'Kind', 'Shelf']

Kind = Literal['Address', 'Subnet', 'Range']

#: A row, for sorting in bulk, is ``key << STAMP_BITS | stamp``: one int sorts three times as fast
#: as a tuple.
STAMP_BITS = 64
_STAMP = (1 << STAMP_BITS) - 1

_LAYOUTS: dict[tuple[Kind, int], Any] = {
    ('Address', 4): Narrow('I'),
    ('Address', 6): Wide('QQ'),
    ('Subnet', 4): Narrow('Q'),
    ('Subnet', 6): Wide('QQB'),
    ('Range', 4): Narrow('Q'),
    ('Range', 6): Wide('QQQQ'),
}


class Shelf:
    """The rules of a kind and family. Equal addresses are one rule, other rules may repeat."""

    __slots__ = ('_bits', '_blocks', '_text', 'family', 'kind', 'size')

    def __init__(self, kind: Kind, family: int) -> None:
        self.kind: Kind = kind
        self.family = family
        self.size = 0
        self._bits = 32 if family == 4 else 128
        self._text = text_v4 if family == 4 else text_v6
        self._blocks: SortedBlocks[Any] = SortedBlocks(_LAYOUTS[kind, family], 'Q')

    def add(self, key: int, stamp: int) -> bool:
        """Add a rule. False if it is an address that is there: then only the mark is new."""
        b, i = self._blocks.find(key)
        if self.kind == 'Address' and i >= 0 and self._blocks.key_at(b, i) == key:
            old = self._blocks.value_at(b, i)
            self._blocks.set_value(b, i, old & ~1 | stamp & 1)
            return False
        self._blocks.insert_after(b, i, key, stamp)
        self.size += 1
        return True

    def remove(self, key: int) -> bool:
        """Remove a rule, of equal ones the most recent. False if it is not there."""
        b, i = self._blocks.find(key)
        if i < 0 or self._blocks.key_at(b, i) != key:
            return False
        self._blocks.delete_at(b, i)
        self.size -= 1
        return True

    def with_rows(self, rows: list[int], first_stamp: int) -> tuple[Shelf, list[int]]:
        """A new shelf with these rows too, and the keys of the rules that are new on it.

        ``first_stamp`` is above every stamp here and not above any of the rows'.
        """
        old = [key << STAMP_BITS | stamp for key, stamp in self._blocks.entries()]
        merged = sorted(old + rows)
        del old
        keys = [row >> STAMP_BITS for row in merged]
        stamps = [row & _STAMP for row in merged]
        del merged
        if self.kind == 'Address':
            keys, stamps = _single(keys, stamps)
        out = Shelf(self.kind, self.family)
        out.size = len(keys)
        out._blocks.load(keys, stamps)
        return out, [k for k, stamp in zip(keys, stamps, strict=True) if stamp >= first_stamp]

    def span(self, key: int) -> tuple[int, int]:
        """First and last address that a rule covers."""
        if self.kind == 'Address':
            return key, key
        if self.kind == 'Range':
            return key >> self._bits, key & ((1 << self._bits) - 1)
        hosts = (1 << (self._bits - (key & 255))) - 1
        network = key >> 8
        return network & ~hosts, network | hosts

    def text(self, key: int, stamp: int) -> str:
        """The text of a rule. A marked IPv4 address was given in its IPv6 notation."""
        head = f'{self.kind}: IPv{self.family} '
        if self.kind == 'Address':
            if stamp & 1:
                return f'Address: IPv6 {text_v6(MAPPED | key)}'
            return head + self._text(key)
        if self.kind == 'Subnet':
            return f'{head}{self._text(key >> 8)}/{key & 255}'
        first, last = self.span(key)
        return f'{head}{self._text(first)}-{self._text(last)}'

    def entries(self) -> Iterator[tuple[int, int]]:
        """All (key, stamp), by key."""
        return self._blocks.entries()


def _single(keys: list[int], stamps: list[int]) -> tuple[list[int], list[int]]:
    """Of equal keys keep one, with the oldest serial number and the newest mark."""
    kept: list[int] = []
    marks: list[int] = []
    last = -1
    for key, stamp in zip(keys, stamps, strict=True):
        if key == last:
            marks[-1] = marks[-1] & ~1 | stamp & 1
        else:
            kept.append(key)
            marks.append(stamp)
            last = key
    return kept, marks
