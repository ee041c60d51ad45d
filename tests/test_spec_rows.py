"""Which rows of the specification a test names, and a floor that only rises.

``spec_rows.txt`` lists the ids of every documented item. A row counts as named when its id stands
in a test file, in any of the usual spellings: ``SV-12``, ``sv12`` (as in ``test_sv12_…``) or
``sv_12``. The floor is the number of named rows; whoever names more raises it. (That a row is
named says that somebody meant to test it; what is tested, the test itself must show.)
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from .docs.test_reference import MODULES

HERE = Path(__file__).resolve().parent
ROWS = (HERE / 'spec_rows.txt').read_text('ascii').split()

#: Named rows may not become fewer than this. It only ever rises.
FLOOR = 383

_ID = re.compile(r'(?<![a-z])([a-z]{2,3})[-_]?([0-9]{2})(?![0-9])')


def texts_of_tests() -> Iterator[str]:
    """The text of every test file but this one."""
    for path in sorted(HERE.rglob('test_*.py')):
        if path != Path(__file__).resolve():
            yield path.read_text('utf-8')


def named_rows(texts: Iterable[str]) -> list[str]:
    """The rows of the specification that these texts name, in its order."""
    found = {'-'.join(m.groups()).upper() for text in texts for m in _ID.finditer(text.lower())}
    return [row for row in ROWS if row in found]


def complaint(named: list[str], floor: int) -> str | None:
    """What to say when too few rows are named; None if it is enough."""
    if len(named) >= floor:
        return None
    missing = [row for row in ROWS if row not in named]
    return f'{len(named)} rows are named, the floor is {floor}; not named: {" ".join(missing)}'


def test_the_list_is_whole() -> None:
    assert len(ROWS) == len(set(ROWS)) == 383
    assert all(re.fullmatch(r'[A-Z]{2,3}-[0-9]{2}', row) for row in ROWS)


def test_named_rows_do_not_become_fewer() -> None:
    named = named_rows(texts_of_tests())
    print(f'{len(named)} of {len(ROWS)} rows are named; the floor is {FLOOR}')
    assert complaint(named, FLOOR) is None


def test_every_spelling_counts() -> None:
    texts = ['def test_sv12_x(): ...', '"""Row CN-03."""', 'x_ls_07', 'SV-99, SV-1, xsv13, sv140']
    assert named_rows(texts) == ['SV-12', 'LS-07', 'CN-03']


def test_too_few_rows_are_seen() -> None:
    named = ROWS[:-2]
    assert complaint(named, len(named)) is None
    said = complaint(named, len(named) + 1)
    assert said is not None
    assert said.endswith(f'not named: {ROWS[-2]} {ROWS[-1]}')


def for_users() -> Iterator[tuple[str, str]]:
    """What a user reads: the public docstrings, the pages and the examples."""
    for name in MODULES:
        module = importlib.import_module(name)
        yield name, module.__doc__ or ''
        for public in module.__all__:
            thing = getattr(module, public)
            yield f'{name}.{public}', (inspect.getdoc(thing) if callable(thing) else None) or ''
            for member in dir(thing) if inspect.isclass(thing) else ():
                text = inspect.getdoc(inspect.getattr_static(thing, member)) or ''
                yield f'{name}.{public}.{member}', '' if member.startswith('_') else text
    for folder, pattern in (('docs', '*.md'), ('examples', '*.py'), ('.', '*.md')):
        files = (HERE.parent / folder).glob(pattern if folder == '.' else f'**/{pattern}')
        yield from ((str(p), p.read_text('utf-8')) for p in files if '.venv' not in str(p))


_PLAIN_ID = re.compile('|'.join(rf'\b{row}\b' for row in ROWS))


def test_users_do_not_read_ids() -> None:
    found = {where: ids for where, text in for_users() if (ids := _PLAIN_ID.findall(text))}
    assert found == {}


@pytest.mark.parametrize('text', ['as SV-12 says', '(SK-01)', 'rows CN-03, CN-04'])
def test_an_id_is_seen(text: str) -> None:
    assert _PLAIN_ID.search(text)
