"""All rules of a block list: six shelves that remember them, two staircases that answer.

What is IPv4 and what is IPv6 is settled here, once, by Node's table (``tests/addr/node_table.py``).
``::ffff:0:0/96`` holds the IPv4 addresses. An IPv4 rule counts for both notations. An IPv6 rule
counts for IPv4 if it speaks of those addresses: an address or a range with both ends there, or a
subnet that lies there or contains them all; a range that only passes over them does not. So a
check of IPv4 asks one staircase; of a mapped address both.

It takes numbers and keys that are valid; it checks no argument and reads no text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from .columns import Words
from .intervals import Coverage, CoverageV4, CoverageV6
from .ip import MAPPED, MASK32
from .shelf import STAMP_BITS, Kind, Shelf

__all__ = ['Batch', 'RuleSet']

#: The order in which ``rules`` shows the kinds, as Node does.
_KINDS: tuple[Kind, ...] = ('Address', 'Subnet', 'Range')
_STAMP = (1 << STAMP_BITS) - 1


class Batch:
    """Rules that are to be added together, in order. ``serial`` is the next serial number."""

    __slots__ = ('first', 'rows', 'serial')

    def __init__(self, serial: int) -> None:
        self.first = self.serial = serial
        self.rows: dict[tuple[Kind, int], list[int]] = {}

    def put(self, kind: Kind, family: int, key: int) -> None:
        """Add a rule. An IPv4-mapped address is the IPv4 address, with a mark."""
        mark = 0
        if kind == 'Address' and family == 6 and key >> 32 == 0xFFFF:
            family, key, mark = 4, key & MASK32, 1
        row = (key << STAMP_BITS) | self.serial << 1 | mark
        self.serial += 1
        self.rows.setdefault((kind, family), []).append(row)


class RuleSet:
    """The rules and what they cover."""

    __slots__ = ('_serial', '_shelves', 'cover_v4', 'cover_v6')

    def __init__(self) -> None:
        self._serial = 0
        self.clear()

    def clear(self) -> None:
        """Remove every rule."""
        self._shelves = {
            (kind, family): Shelf(kind, family) for kind in _KINDS for family in (4, 6)
        }
        self.cover_v4: Coverage[Words] = CoverageV4()
        self.cover_v6: Coverage[tuple[Words, ...]] = CoverageV6()

    @property
    def size(self) -> int:
        """How many rules there are."""
        return sum(shelf.size for shelf in self._shelves.values())

    def add(self, kind: Kind, family: int, key: int) -> None:
        """Add one rule."""
        batch = Batch(self._serial)
        batch.put(kind, family, key)
        self.commit(batch)

    def batch(self) -> Batch:
        """A batch to fill for :meth:`commit`; nothing happens before that."""
        return Batch(self._serial)

    def commit(self, batch: Batch) -> None:
        """Add all rules of a batch.

        A batch of more than a third of what is there is merged in by sorting, about 4 us for
        each rule of both, else each rule is put in its place, about 12 us (measured on the machine
        of ``bench/results``). The new parts replace the old when all is ready.
        """
        count = batch.serial - batch.first
        first_stamp = self._serial << 1
        # Rules that came while the batch was filled (its source may add some) are older.
        shift = (self._serial - batch.first) << 1
        if shift:
            batch.rows = {
                place: [row + shift for row in rows] for place, rows in batch.rows.items()
            }
        self._serial += count
        if count < 32 or count * 3 < self.size:
            for place, rows in batch.rows.items():
                shelf = self._shelves[place]
                for row in rows:
                    if shelf.add(row >> STAMP_BITS, row & _STAMP):
                        self._cover(shelf, row >> STAMP_BITS, 1)
            return
        shelves = dict(self._shelves)
        new: list[tuple[Shelf, list[int]]] = []
        for place, rows in batch.rows.items():
            shelves[place], keys = shelves[place].with_rows(rows, first_stamp)
            new.append((shelves[place], keys))
        cover_v4 = self.cover_v4.with_intervals(_spans(4, new))
        cover_v6 = self.cover_v6.with_intervals(_spans(6, new))
        self._shelves, self.cover_v4, self.cover_v6 = shelves, cover_v4, cover_v6

    def remove(self, kind: Kind, family: int, key: int) -> None:
        """Remove the rule that was given exactly so; nothing happens if there is none."""
        if kind == 'Address' and family == 6 and key >> 32 == 0xFFFF:
            family, key = 4, key & MASK32
        shelf = self._shelves[kind, family]
        if shelf.remove(key):
            self._cover(shelf, key, -1)

    def _cover(self, shelf: Shelf, key: int, delta: int) -> None:
        first, last = shelf.span(key)
        if shelf.family == 4:
            self.cover_v4.change(first, last, delta)
            return
        self.cover_v6.change(first, last, delta)
        if _speaks_of_v4(shelf.kind, first, last):
            self.cover_v4.change(*_mapped_part(first, last), delta)

    def texts(self) -> list[str]:
        """The rules as text: addresses, subnets, ranges, of each the most recent first."""
        out: list[str] = []
        for kind in _KINDS:
            rows = sorted(
                chain.from_iterable(
                    [(stamp, key, family) for key, stamp in self._shelves[kind, family].entries()]
                    for family in (4, 6)
                ),
                reverse=True,
            )
            out += [self._shelves[kind, family].text(key, stamp) for stamp, key, family in rows]
        return out


def _speaks_of_v4(kind: Kind, first: int, last: int) -> bool:
    """Whether an IPv6 rule from ``first`` to ``last`` counts for IPv4 addresses."""
    if kind == 'Subnet':
        return last >= MAPPED and first <= MAPPED | MASK32
    return first >= MAPPED and last <= MAPPED | MASK32


def _mapped_part(first: int, last: int) -> tuple[int, int]:
    """The IPv4 addresses in an IPv6 interval that meets ``::ffff:0:0/96``."""
    low = first & MASK32 if first >= MAPPED else 0
    high = last & MASK32 if last <= MAPPED | MASK32 else MASK32
    return low, high


def _spans(family: int, new: Iterable[tuple[Shelf, list[int]]]) -> Iterator[tuple[int, int]]:
    """What new rules cover in one family."""
    for shelf, keys in new:
        if shelf.family == family:
            yield from map(shelf.span, keys)
        elif shelf.family == 6:
            for first, last in map(shelf.span, keys):
                if _speaks_of_v4(shelf.kind, first, last):
                    yield _mapped_part(first, last)
