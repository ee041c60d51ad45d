"""The trace table: each documented item by its id, and the tests that name it.

    python tools/rows.py            every row, with its tests
    python tools/rows.py SV-12 ...  these rows

An id stands in the name of a test (``test_sv12_close_twice``) or in its text (``SV-12``).
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / 'tests'
ROWS = (TESTS / 'spec_rows.txt').read_text('ascii').split()
ID = re.compile(r'(?<![a-z])([a-z]{2,3})[-_]?([0-9]{2})(?![0-9])')


def ids_in(text: str) -> set[str]:
    """The rows that a text names, in any of the usual spellings."""
    return {'-'.join(found.groups()).upper() for found in ID.finditer(text.lower())} & set(ROWS)


def tests_of(source: str) -> Iterator[tuple[str, str]]:
    """The name and the text of every test function."""
    for node in ast.walk(ast.parse(source)):
        function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if function and node.name.startswith('test'):
            yield node.name, ast.get_source_segment(source, node) or ''


def table() -> dict[str, list[str]]:
    """The tests of each row, as ``file::test``; a row named outside of a test has its file."""
    out: dict[str, list[str]] = {row: [] for row in ROWS}
    for path in sorted(TESTS.rglob('test_*.py')):
        if path.name == 'test_spec_rows.py':
            continue
        place, source = path.relative_to(TESTS).as_posix(), path.read_text('utf-8')
        seen: set[str] = set()
        for name, text in tests_of(source):
            for row in ids_in(text):
                seen.add(row)
                out[row].append(f'{place}::{name}')
        for row in ids_in(source) - seen:
            out[row].append(place)
    return out


def main(arguments: Sequence[str]) -> None:
    """Print the table, or the rows asked for."""
    found = table()
    unknown = [row for row in arguments if row.upper() not in found]
    if unknown:
        raise SystemExit(f'no such row: {" ".join(unknown)}')
    for row in [row.upper() for row in arguments] or ROWS:
        print(row, *(found[row] or ['(no test)']), sep='\n    ')


if __name__ == '__main__':
    main(sys.argv[1:])
