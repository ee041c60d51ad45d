"""The staircase of counts against a plain array of counts, with blocks that split and join."""

import random

import pytest

from tailrace._addr import sorted_blocks
from tailrace._addr.intervals import CoverageV4, CoverageV6

SPACE = 400


@pytest.mark.parametrize('make', [CoverageV4, CoverageV6])
@pytest.mark.parametrize('at_end', [False, True])
@pytest.mark.parametrize('seed', range(6))
def test_counts_through_growth_and_decay(
    monkeypatch: pytest.MonkeyPatch, make: type[CoverageV4 | CoverageV6], at_end: bool, seed: int
) -> None:
    monkeypatch.setattr(sorted_blocks, 'BLOCK', 12)
    joins = []
    join = sorted_blocks.SortedBlocks._join
    monkeypatch.setattr(
        sorted_blocks.SortedBlocks, '_join', lambda self, b: (joins.append(b), join(self, b))
    )
    rng = random.Random(seed)
    cover: CoverageV4 | CoverageV6 = make()
    top = 2 ** (32 if make is CoverageV4 else 128)
    offset = top - SPACE if at_end else 0
    counts = [0] * SPACE
    held: list[tuple[int, int]] = []
    for step in range(900):
        growing = step < 450
        if held and rng.random() > (0.75 if growing else 0.25):
            first, last = held.pop(rng.randrange(len(held)))
            delta = -1
        elif growing or rng.random() < 0.3:
            first = rng.randrange(SPACE)
            last = min(SPACE - 1, first + rng.choice((0, 0, 1, 3, 60, 400)))
            held.append((first, last))
            delta = 1
        else:
            continue
        cover.change(first + offset, last + offset, delta)
        for i in range(first, last + 1):
            counts[i] += delta
        if step % 10 == 0:
            assert [cover.covers(i + offset) for i in range(SPACE)] == [c > 0 for c in counts]
            heights = [
                cover._values[b][i] + cover._bases[b] for b, i in map(cover.find, range(SPACE))
            ]
            assert at_end or heights == counts
    bulk = make().with_intervals((a + offset, b + offset) for a, b in held)
    assert [bulk.covers(i + offset) for i in range(SPACE)] == [c > 0 for c in counts]
    for first, last in held:
        cover.change(first + offset, last + offset, -1)
    assert [key for key, _ in cover.entries()] == [0]
    assert joins
