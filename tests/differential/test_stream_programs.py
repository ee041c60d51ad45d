"""Generated programs of streams and emitters do what Node does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import tailrace

from . import compare, streams

SOURCE = str(Path(tailrace.__file__).parents[1])
DEVIATIONS = Path(__file__).parents[2] / 'docs' / 'deviations.md'
LOOPS = [
    '',
    pytest.param('uvloop', marks=pytest.mark.skipif(os.name == 'nt', reason='none')),
]


@pytest.mark.parametrize('loop', LOOPS)
def test_programs_of_streams_do_what_node_does(loop: str) -> None:
    if loop:
        pytest.importorskip('uvloop')
    binary = compare.node()
    if binary is None:
        wanted = streams.kept()
        programs = {seed: streams.stream_program(seed) for seed in wanted}
    else:
        seeds = compare.todays(300)
        programs = {seed: streams.stream_program(seed) for seed in seeds}
        traces = streams.on_node(binary, list(programs.values()))
        wanted = dict(zip(programs, traces, strict=True))
    given = streams.on_tailrace(list(programs.values()), SOURCE, loop)
    different = {
        seed: found
        for (seed, program), got in zip(programs.items(), given, strict=True)
        if (found := streams.judged(program, wanted[seed], got)) is not None
        and streams.explained(program, found) is None
    }
    assert different == {}


def test_a_difference_is_found_and_made_smaller() -> None:
    program = {
        'turns': [
            [{'op': 'note', 'text': 'a'}, {'op': 'note', 'text': 'b'}],
            [{'op': 'tick', 'do': [{'op': 'note', 'text': 'c'}]}],
        ],
        'last': {},
    }
    (trace,) = streams.on_tailrace([program], SOURCE)
    assert trace == [['note', 'a'], ['note', 'b'], ['note', 'c'], ['stop', 'done']]
    wrong = [['note', 'a'], ['note', 'b'], ['note', 'x'], ['stop', 'done']]
    found = streams.judged(program, wrong, trace)
    assert found is not None
    assert found[1:] == (['note', 'x'], ['note', 'c'])

    def play(tries: list[Any]) -> tuple[list[Any], list[Any]]:
        got = streams.on_tailrace(tries, SOURCE)
        return [
            [['note', 'x'] if entry == ['note', 'c'] else entry for entry in one] for one in got
        ], got

    small = streams.shrunk(program, found[0], play)
    assert small['turns'] == [[{'op': 'note', 'text': 'c'}]]


@pytest.mark.parametrize('decision', streams.DECISIONS, ids=lambda one: one['deviation'])
def test_each_decision_has_a_reason_and_its_entry(decision: dict[str, Any]) -> None:
    assert len(decision['reason']) > 20
    page = DEVIATIONS.read_text('utf-8').replace('`', '')
    assert decision['deviation'] in page
