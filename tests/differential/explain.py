"""Which differences from Node are decided, and which nobody has explained.

    python tests/differential/explain.py DIR     findings of a differential fuzzer

A finding is a JSON file with ``signature`` (the first entry that differs), ``details`` and
``program``. A decision in ``decided.json`` explains it when all its patterns are found:
``signature`` (the whole of it), ``details`` (one of the differences), ``program`` (its text). Each
has a reason that a user would accept and the entry of ``docs/deviations.md`` that says it (null:
the difference is not the library's). What follows a decided difference in the same program is
hidden by it. Exit code 1 if anything is left.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ['DECIDED', 'explain', 'load']

HERE = Path(__file__).resolve().parent
DECIDED = HERE / 'decided.json'


def load() -> list[dict[str, Any]]:
    """The decisions."""
    decisions: list[dict[str, Any]] = json.loads(DECIDED.read_text('utf-8'))
    return decisions


def explain(finding: Mapping[str, Any], decisions: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The first decision that explains a finding; None if there is none."""
    program = json.dumps(finding['program']['steps'], ensure_ascii=False)
    details = '\n'.join(finding.get('details') or ())
    for decision in decisions:
        if (
            re.fullmatch(decision['signature'], finding['signature'])
            and re.search(decision.get('details', ''), details, re.MULTILINE)
            and re.search(decision.get('program', ''), program)
        ):
            return decision
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
