"""Which differences from Node are decided, and which nobody has explained.

    python tests/differential/explain.py DIR     findings of a differential fuzzer

A finding is a JSON file with ``signature`` (the first entry that differs), ``details``, ``program``
and the two traces, ``want`` and ``got``. A decision in ``decided.json`` explains it when all its
patterns are found: ``signature`` (the whole of it), ``details`` (one of the differences),
``program`` (its text). What follows such a difference in the same program is hidden by it.

A decision about a value has ``entry`` in the place of ``signature``: the whole of ``WANT -> GOT``.
Such entries count as equal, and the rest of the program is compared all the same.

Each decision has a reason that a user would accept and the entry of ``docs/deviations.md`` that
says it (null: the difference is not the library's). Exit code 1 if anything is left.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / 'conformance')]

from play import player  # type: ignore[import-not-found]  # noqa: E402

__all__ = ['DECIDED', 'explain', 'load']

DECIDED = HERE / 'decided.json'


def load() -> list[dict[str, Any]]:
    """The decisions."""
    decisions: list[dict[str, Any]] = json.loads(DECIDED.read_text('utf-8'))
    return decisions


def explain(finding: Mapping[str, Any], decisions: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The first decision that explains a finding; None if there is none."""
    program = json.dumps(finding['program']['steps'], ensure_ascii=False)
    signature: str | None = finding['signature']
    details = list(finding.get('details') or ())
    about_value: dict[str, Any] | None = None
    if finding.get('want') and finding.get('got'):
        replay = player()
        want, got = replay.soften(finding['want']), replay.soften(finding['got'])
        about_value = _equalise(want, got, program, decisions)
        if about_value is not None:
            signature, details = _signature(want, got), replay.compare(want, got)
    if signature is None:
        return about_value
    for decision in decisions:
        if (
            'entry' not in decision
            and re.fullmatch(decision['signature'], signature)
            and re.search(decision.get('details', ''), '\n'.join(details), re.MULTILINE)
            and re.search(decision.get('program', ''), program)
        ):
            return decision
    return None


def _equalise(
    want: Any, got: Any, program: str, decisions: list[dict[str, Any]]
) -> dict[str, Any] | None:
    """Make entries equal whose values are decided to differ; the first such decision."""
    values = [
        decision
        for decision in decisions
        if 'entry' in decision and re.search(decision.get('program', ''), program)
    ]
    first = None
    for lane, entries in got['lanes'].items():
        wanted = want['lanes'].get(lane) or []
        for at, (here, there) in enumerate(zip(wanted, entries, strict=False)):
            if here == there:
                continue
            pair = f'{json.dumps(here)} -> {json.dumps(there)}'
            for decision in values:
                if re.fullmatch(decision['entry'], pair):
                    entries[at] = here
                    first = first or decision
                    break
    return first


def _signature(want: Any, got: Any) -> str | None:
    """What differs first, as the fuzzer says it; None if nothing does."""
    best: tuple[int, Any, Any] | None = None
    for lane in sorted({*want['lanes'], *got['lanes']}):
        here, there = want['lanes'].get(lane) or [], got['lanes'].get(lane) or []
        for at in range(max(len(here), len(there))):
            a = here[at] if at < len(here) else None
            b = there[at] if at < len(there) else None
            if a != b:
                if best is None or at < best[0]:
                    best = at, a, b
                break
    if best is None:
        ends = want['end']['how'], got['end']['how']
        return None if want['end'] == got['end'] else f'end {ends[0]} -> {ends[1]}'
    a, b = (['(nothing)'] if entry is None else entry for entry in best[1:])
    if a[0] != b[0]:
        return f'{a[0]} -> {b[0]}'
    codes = [_code(entry) for entry in (a, b)]
    if codes[0] == codes[1]:
        return f'{a[0]}: value'
    return f'{a[0]}: {codes[0] or "no error"} -> {codes[1] or "no error"}'


def _code(entry: list[Any]) -> str | None:
    """The code of the first error in an entry."""
    for value in entry[1:]:
        if isinstance(value, dict) and isinstance(value.get('error'), dict):
            return value['error'].get('code') or 'no code'
    return None


def main(folder: Path) -> int:
    decisions = load()
    known: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for path in sorted(folder.glob('*/*.json')):
        if path.parent.name == 'flaky':
            continue
        finding = json.loads(path.read_text('utf-8'))
        decision = explain(finding, decisions)
        if decision is None:
            left[finding['signature']] += 1
            print(f'unexplained: {finding["signature"]}  ({path})')
        else:
            known[decision['reason']] += 1
    for reason, count in known.most_common():
        print(f'{count:5} decided: {reason}')
    print(f'{sum(known.values())} decided, {sum(left.values())} unexplained')
    return 1 if left else 0


if __name__ == '__main__':
    sys.exit(main(Path(sys.argv[1])))
