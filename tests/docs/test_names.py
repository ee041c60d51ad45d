"""The list of Node's names that "Coming from Node" is made of: whole, and true of the package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
ROWS = (ROOT / 'tests' / 'spec_rows.txt').read_text('ascii').split()


def load() -> ModuleType:
    """docs/names.py as a module; docs/ is no package."""
    spec = importlib.util.spec_from_file_location('docs_names', ROOT / 'docs' / 'names.py')
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules['docs_names'] = module  # its dataclass asks for its module
    spec.loader.exec_module(module)
    return module


names = load()
NAMES = names.read()


@pytest.mark.parametrize('name', NAMES, ids=[f'{n.owner}-{n.kind}-{n.node}' for n in NAMES])
def test_gen02_name_is_there_in_both_spellings(name: object) -> None:
    assert name.missing() is None  # type: ignore[attr-defined]


def test_rows_are_those_of_the_list() -> None:
    extra = {name.row for name in NAMES} - set(ROWS)
    # BX: what Node has added since, which the list of documented rows leaves out.
    assert {row for row in extra if not row.startswith('BX-')} == set()


def test_every_name_is_in_the_table() -> None:
    page = list(names.page())
    assert sum(line.startswith('| `') for line in page) == len(NAMES)


def test_missing_name_is_seen() -> None:
    (made_up,) = names.read('SV-15 method Server getNothing\n')
    assert made_up.missing() == 'Server has no get_nothing'
    (made_up,) = names.read('SV-15 option Server nothingAtAll\n')
    assert made_up.missing() == 'Server has no option nothing_at_all'
