"""The table in docs/design.md that says where a method of Socket lives is true."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from tailrace import net

PAGE = (Path(__file__).parents[2] / 'docs' / 'design.md').read_text('utf-8')
TABLE = PAGE.partition('## Where a method of Socket lives')[2].partition('\n## ')[0]
ROWS = re.findall(r'^\| (`.*?) \| (.*?) \|$', TABLE, re.MULTILINE)


def module_of(name: str) -> str:
    for cls in net.Socket.__mro__:
        if name in vars(cls):
            found = vars(cls)[name]
            return str((found.fget if isinstance(found, property) else found).__module__)
    raise AssertionError(f'Socket has no {name}')


@pytest.mark.interpreted
@pytest.mark.parametrize(('names', 'places'), ROWS, ids=[names for names, _ in ROWS])
def test_a_method_is_where_the_table_says(names: str, places: str) -> None:
    first = re.findall(r'`([\w/]+)\.py`', places)[0]
    for name in re.findall(r'`(\w+)`', names):
        assert module_of(name) == f'tailrace.{first.replace("/", ".")}'
    for path, functions in re.findall(r'`([\w/]+)\.py` \(([^)]*)\)', places):
        module = importlib.import_module(f'tailrace.{path.replace("/", ".")}')
        text = Path(str(module.__file__)).with_suffix('.py').read_text('utf-8')
        for function in re.findall(r'`(\w+)`', functions):
            assert re.search(rf'def {function}\(', text), (path, function)


def test_the_table_has_what_people_look_for() -> None:
    names = {name for row, _ in ROWS for name in re.findall(r'`(\w+)`', row)}
    assert {'connect', 'write', 'pause', 'resume', 'read', 'end', 'destroy'} <= names
