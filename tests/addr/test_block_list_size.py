"""What a large list costs, in bytes and in work: counted, not timed."""

import gc
import random
import tracemalloc
from itertools import pairwise
from typing import Any

import pytest

from tailrace._addr import BlockList, sorted_blocks
from tailrace._addr.ip import text_v4, text_v6
from tailrace._addr.rule_set import RuleSet
from tailrace._addr.shelf import Shelf

COUNT = 8_000


def fill(bl: BlockList, kind: str, family: int, at_once: bool) -> None:
    rng = random.Random(7)
    text = text_v4 if family == 4 else text_v6
    type = f'ipv{family}'
    # Steps far apart: no two rules share one, the most expensive case.
    starts = [n * 2**8 + rng.randrange(100) for n in range(COUNT)]
    rng.shuffle(starts)
    if family == 6:
        starts = [(0x2001 << 112) + (n << 60) for n in starts]
    if kind == 'Address':
        if at_once:
            bl.add_addresses(map(text, starts), type)
        else:
            for n in starts:
                bl.add_address(text(n), type)
    elif kind == 'Subnet':
        if at_once:
            bl.add_cidrs(f'{text(n)}/{32 if family == 4 else 127}' for n in starts)
        else:
            for n in starts:
                bl.add_subnet(text(n), 32 if family == 4 else 127, type)
    elif at_once:
        bl.from_json([f'Range: IPv{family} {text(n)}-{text(n + 50)}' for n in starts])
    else:
        for n in starts:
            bl.add_range(text(n), text(n + 50), type)


@pytest.mark.parametrize('at_once', [True, False])
@pytest.mark.parametrize('family', [4, 6])
@pytest.mark.parametrize('kind', ['Address', 'Subnet', 'Range'])
def test_under_100_bytes_a_rule(kind: str, family: int, at_once: bool) -> None:
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        bl = BlockList()
        fill(bl, kind, family, at_once)
        gc.collect()
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert bl.size == COUNT
    assert used / COUNT < 100


def blocks_of(bl: BlockList) -> list[Any]:
    rules = bl._rules
    return [
        rules.cover_v4,
        rules.cover_v6,
        *(shelf._blocks for shelf in rules._shelves.values()),
    ]


@pytest.mark.parametrize('family', [4, 6])
def test_changes_of_a_loaded_list_never_rebuild_and_touch_few_blocks(
    monkeypatch: pytest.MonkeyPatch, family: int
) -> None:
    bl = BlockList()
    fill(bl, 'Range', family, True)
    fill(bl, 'Address', family, True)
    fill(bl, 'Subnet', family, True)
    made: list[int] = []

    def rebuilt(*args: object) -> None:
        raise AssertionError('rebuilt')

    for owner, name in (
        (Shelf, 'with_rows'),
        (type(bl._rules.cover_v4), 'with_intervals'),
        (type(bl._rules.cover_v6), 'with_intervals'),
        (sorted_blocks.SortedBlocks, 'load'),
    ):
        monkeypatch.setattr(owner, name, rebuilt)
    split = sorted_blocks.SortedBlocks._split
    monkeypatch.setattr(
        sorted_blocks.SortedBlocks, '_split', lambda self, b: (made.append(b), split(self, b))
    )
    base = 5 if family == 4 else 0x2001 << 112
    text = text_v4 if family == 4 else text_v6
    type_ = f'ipv{family}'
    for n in range(2000):
        address = text(base + n * 7)
        bl.add_address(address, type_)
        assert bl.check(address, type_)
    for n in range(0, 2000, 2):
        bl.remove_address(text(base + n * 7), type_)
    bl.add_subnet('::' if family == 6 else '0.0.0.0', 0, type_)
    assert bl.check('::' if family == 6 else '0.0.0.0', type_)
    bl.remove_subnet('::' if family == 6 else '0.0.0.0', 0, type_)
    assert 0 < len(made) < 50
    for blocks in blocks_of(bl):
        assert all(len(values) <= sorted_blocks.BLOCK for values in blocks._values)
    with pytest.raises(AssertionError, match='rebuilt'):
        bl.add_cidrs(['1.0.0.0/8'] * 2 * COUNT)


def test_blocks_are_joined_when_rules_go() -> None:
    bl = BlockList()
    fill(bl, 'Range', 6, True)
    full = len(bl._rules.cover_v6._values)
    rng = random.Random(3)
    rules = bl.rules
    rng.shuffle(rules)
    for rule in rules[: COUNT * 19 // 20]:
        start, end = rule.removeprefix('Range: IPv6 ').split('-')
        bl.remove_range(start, end, 'ipv6')
    assert bl.size == COUNT // 20
    for blocks in blocks_of(bl):
        sizes = [len(values) for values in blocks._values]
        assert len(sizes) <= max(2, full // 5)
        for left, right in pairwise(sizes):
            assert left + right > sorted_blocks.BLOCK // 4


def test_a_failed_commit_leaves_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    bl = BlockList()
    bl.add_cidr('1.0.0.0/8')
    rules = bl.rules

    def broken(*args: object) -> None:
        raise MemoryError

    monkeypatch.setattr(type(bl._rules.cover_v6), 'with_intervals', broken)
    with pytest.raises(MemoryError):
        bl.add_cidrs(['2.0.0.0/8'] * 100)
    assert isinstance(bl._rules, RuleSet)
    assert bl.rules == rules
    assert not bl.check('2.0.0.0')
