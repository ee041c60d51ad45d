"""Every parameter makes of every kind of value what Node makes of it, or what is decided."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tailrace

from . import arguments, compare

HERE = Path(__file__).resolve().parent
SOURCE = str(Path(tailrace.__file__).parents[1])
DEVIATIONS = HERE.parents[1] / 'docs' / 'deviations.md'
DECISIONS = json.loads(arguments.DECIDED.read_text('utf-8'))
#: Methods of Node's that take nothing, or whose arguments are no business of tailrace's.
WITHOUT = frozenset(
    {
        *('address', 'ref', 'unref', 'pause', 'resume', 'destroySoon', 'resetAndDestroy'),
        *('getTypeOfService', 'cork', 'uncork', 'clear', 'toJSON', 'isPaused', 'emit'),
        *('eventNames', 'getMaxListeners', '[Symbol.asyncDispose]', '[Symbol.asyncIterator]'),
    }
)


@pytest.mark.parametrize('loop', ['asyncio', 'uvloop'])
def test_every_parameter_does_what_node_does(loop: str, tmp_path: Path) -> None:
    if loop == 'uvloop':
        pytest.importorskip('uvloop')
    said = subprocess.run(
        [sys.executable, HERE / 'arguments.py', '--loop', loop],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': SOURCE},
    )
    assert said.returncode == 0, said.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_table_is_that_of_the_cases() -> None:
    table = arguments.recorded()
    assert list(table) == list(arguments.CASES)
    assert all(list(arguments.VALUES) == sorted(row, key=_place) for row in table.values())
    binary = compare.node()
    if binary is not None:
        some = list(arguments.CASES)[:5]
        fresh = arguments.record(binary, some)
        assert {name: fresh[name] for name in some} == {
            name: json.loads(arguments.TABLE.read_text('utf-8'))[name] for name in some
        }


def _place(label: str) -> int:
    return list(arguments.VALUES).index(label)


def test_no_method_of_net_is_forgotten() -> None:
    lines = (HERE.parents[1] / 'docs' / 'node_names.txt').read_text('utf-8').splitlines()
    rows = [line.split() for line in lines if line and not line.startswith('#')]
    asked = {(kind, fn) for kind, fn, _, _ in arguments.CASES.values()}
    missing = {
        (owner, name)
        for _, kind, owner, name, *_ in rows
        if kind == 'method' and owner in ('Server', 'Socket', 'BlockList') and name not in WITHOUT
    } - asked
    assert missing == set()


def test_a_difference_is_seen() -> None:
    wrong = ['gives', 3]
    assert arguments.decided('net.isIP(@)', "'x'", wrong, ['gives', 0]) is None
    assert arguments.decided('Socket.read(@)', '[]', wrong, ['throws', 'ERR_INVALID_ARG_TYPE'])


@pytest.mark.parametrize('decision', DECISIONS, ids=lambda one: one['deviation'])
def test_each_decision_has_a_reason_and_its_entry(decision: dict[str, Any]) -> None:
    assert len(decision['reason']) > 20
    assert decision['deviation'] in DEVIATIONS.read_text('utf-8').replace('`', '')
