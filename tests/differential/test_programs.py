"""A bounded number of fresh programs against Node where it is installed, else of recorded ones."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

import tailrace

from . import compare

SOURCE = str(Path(tailrace.__file__).parents[1])
LOOPS = [
    'asyncio',
    pytest.param('uvloop', marks=pytest.mark.skipif(os.name == 'nt', reason='none')),
]


@pytest.mark.parametrize('loop', LOOPS)
def test_todays_programs_do_what_node_does(loop: str) -> None:
    if loop == 'uvloop':
        pytest.importorskip('uvloop')
    binary = compare.node()
    if binary is None:
        known = compare.kept()
        traces = {seed: known[seed] for seed in compare.todays(24, list(known))}
    else:
        traces = compare.traces_of_node(binary, compare.todays(12))
    print('seeds', list(traces), file=sys.stderr)
    assert traces
    assert compare.compare(traces, SOURCE, loop) == {}


def test_recorded_programs_are_what_the_seeds_make() -> None:
    known = compare.kept()
    assert len(known) >= 80
    assert json.loads(json.dumps(compare.program(7))) == compare.program(7)
    assert compare.program(7) != compare.program(10)


def test_a_difference_is_found() -> None:
    seed, trace = next(iter(compare.kept().items()))
    wrong = {**trace, 'end': {'how': 'limit'}}
    assert compare.compare({seed: wrong}, SOURCE) != {}
