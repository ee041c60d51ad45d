"""The list of decided differences is applied as it says, and each entry is in the docs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .explain import explain, load, main

DEVIATIONS = Path(__file__).parents[2] / 'docs' / 'deviations.md'

PARSE = {
    'signature': 'return parse: value',
    'details': ['lane a, entry 0: want ["return parse", {}], got ["return parse"]'],
    'program': {'steps': [{'call': 'net.SocketAddress.parse', 'args': ['1.2']}]},
}


@pytest.mark.parametrize('decision', load(), ids=lambda one: one.get('signature', one.get('entry')))
def test_each_decision_has_a_reason_and_its_entry(decision: dict[str, Any]) -> None:
    assert len(decision['reason']) > 20
    page = DEVIATIONS.read_text('utf-8').replace('`', '')
    assert decision['deviation'] is None or decision['deviation'] in page


def test_what_is_decided_is_explained_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = {**PARSE, 'signature': 'return check: value'}
    assert explain(PARSE, load()) is not None
    assert explain(other, load()) is None
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a' / '1.json').write_text(json.dumps(PARSE), 'utf-8')
    assert main(tmp_path) == 0
    (tmp_path / 'a' / '2.json').write_text(json.dumps(other), 'utf-8')
    assert main(tmp_path) == 1
    assert 'unexplained: return check: value' in capsys.readouterr().out


def test_a_decided_value_does_not_hide_what_follows() -> None:
    aborted = ['get writableAborted', None], ['get writableAborted', False]
    program = {'steps': [{'get': 's', 'props': ['writableAborted']}]}

    def finding(want: list[Any], got: list[Any]) -> dict[str, Any]:
        return {
            'signature': 'get writableAborted: value',
            'details': [],
            'program': program,
            'want': {'end': {'how': 'natural'}, 'lanes': {'s': [aborted[0], *want]}},
            'got': {'end': {'how': 'natural'}, 'lanes': {'s': [aborted[1], *got]}},
        }

    decided = explain(finding([['event end']], [['event end']]), load())
    assert decided is not None
    assert decided['deviation'] == 'writable_aborted is True or False'
    assert explain(finding([['event end']], [['event close', False]]), load()) is None
    assert explain(finding([], [['event end']]), load()) is None
