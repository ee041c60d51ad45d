"""The list of Node's names that "Coming from Node" is made of: whole, and true of the package."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
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
    assert {row for row in extra if not row.startswith('BX-')} <= {'-'}


def own_names(text: str) -> set[tuple[str, str]]:
    """(owner, name) for all that Node says it has; see node_own.mjs."""
    lines = [line.split() for line in text.splitlines() if not line.startswith('#')]
    return {(line[0], name) for line in lines for name in line[1:]}


#: Whose names a class of Node shows among its own although they are another one's.
INHERITED = {
    'Duplex': {'Writable', 'Readable'},
    'Socket': {'Readable', 'Writable', 'Socket'},
    'Socket.own': {'Socket'},
    'Server.own': {'Server'},
    'BlockList.static': {'BlockList'},
    'SocketAddress.static': {'SocketAddress'},
    'Readable': {'Readable', 'Writable', 'EventEmitter'},
    'Readable.static': {'Readable', 'Readable.static'},
    'Writable': {'Writable', 'Readable'},
    'stream.promises': {'stream'},
    'Stream': {'Stream', 'EventEmitter'},
    'Stream.static': {'stream'},
    'Duplex.own': {'Duplex'},
    'Duplex.static': {'Duplex.static', 'Readable'},
    'TLSSocket.own': {'TLSSocket', 'Socket', 'Duplex'},
    'tls.Server.own': {'tls.Server', 'Server'},
    'SecureContext.own': {'SecureContext'},
}


def forgotten(own: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """What Node has that is neither in the table nor among the names that are not there."""
    told = {(name.owner, name.node) for name in NAMES}
    told |= {(name.owner, name.node) for name in names.absent()}
    return {
        (owner, name)
        for owner, name in own
        if not any((other, name) in told for other in {owner} | INHERITED.get(owner, set()))
    }


def test_every_name_that_node_has_is_told() -> None:
    own = own_names((HERE / 'node_own.txt').read_text('ascii'))
    assert forgotten(own) == set()
    assert forgotten({*own, ('net', 'createNothing')}) == {('net', 'createNothing')}


def test_what_is_not_there_is_not_there() -> None:
    for name in names.absent():
        owner = name.owner.removesuffix('.static')
        holder = names.Name('-', 'function', owner, name.node, name.node).holder()
        assert not hasattr(holder, name.node), name


def test_node_has_the_names_that_were_written_down() -> None:
    node = shutil.which('node')
    if node is None:
        pytest.skip('node is not installed')
    said = subprocess.run([node, HERE / 'node_own.mjs'], stdout=subprocess.PIPE, text=True).stdout
    written = (HERE / 'node_own.txt').read_text('ascii')
    if said.split()[:3] != written.split()[:3]:
        pytest.skip(f'another Node: {said.split()[2]}')
    assert said == written


def test_every_name_is_in_the_table() -> None:
    page = list(names.page())
    assert sum(line.startswith('| `') for line in page) == len(NAMES)


def test_missing_name_is_seen() -> None:
    (made_up,) = names.read('SV-15 method Server getNothing\n')
    assert made_up.missing() == 'Server has no get_nothing'
    (made_up,) = names.read('SV-15 option Server nothingAtAll\n')
    assert made_up.missing() == 'Server has no option nothing_at_all'
