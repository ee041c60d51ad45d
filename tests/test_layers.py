"""The layers of docs/design.md, held by reading the imports of every file.

Three rules: a module imports only from its own layer or below; what a layer refuses to know it
does not import; asyncio is imported by the few modules that talk to a loop. And one about size.
Imports inside functions and under TYPE_CHECKING count like all others: a reader follows them too.
"""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from .layers import ASYNCIO, LAYERS, REFUSES

PACKAGE = 'tailrace'
SOURCE = Path(__file__).resolve().parent.parent / 'src' / PACKAGE

#: No file of the package has more lines (the aim is 400), but for
LONGEST = 420
#: these, which hang together and may only get shorter.
LONGER = {
    '_handles/_kernel.c': 640,
    '_net/endpoint.py': 470,
    '_stream/read.py': 560,
    '_stream/write.py': 590,
    'events.py': 560,
}


class Import(NamedTuple):
    """One imported thing: who, what (dotted, inside the package without its name)."""

    importer: str
    imported: str
    inside: bool


def modules_of(folder: Path) -> dict[str, str]:
    """The package as {dotted name inside the package: source}."""
    out = {}
    for path in sorted(folder.rglob('*.py')):
        parts = path.relative_to(folder).with_suffix('').parts
        out['.'.join(parts[:-1] if parts[-1] == '__init__' and len(parts) > 1 else parts)] = (
            path.read_text('utf-8')
        )
    return out


def imports_of(modules: Mapping[str, str], packages: frozenset[str]) -> Iterator[Import]:
    """Every import statement of every module; ``packages`` are the names that are folders."""
    for importer, source in modules.items():
        yield from _walk(ast.parse(source), importer, importer in packages, modules)


def _walk(
    node: ast.AST, importer: str, is_package: bool, modules: Mapping[str, str]
) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield _resolve(importer, alias.name.split('.'), modules)
        elif isinstance(child, ast.ImportFrom):
            here = [PACKAGE, *([] if importer == '__init__' else importer.split('.'))]
            if child.level:
                up = child.level - (is_package or importer == '__init__')
                base = here[: len(here) - up]
            else:
                base = []
            base = base + (child.module.split('.') if child.module else [])
            for alias in child.names:
                whole = '.'.join([*base[1:], alias.name])
                inside = base[:1] == [PACKAGE] and whole in modules
                yield _resolve(importer, [*base, alias.name] if inside else base, modules)
        else:
            yield from _walk(child, importer, is_package, modules)


def _resolve(importer: str, parts: list[str], modules: Mapping[str, str]) -> Import:
    if parts[0] != PACKAGE:
        return Import(importer, parts[0], False)
    inner = '.'.join(parts[1:]) or '__init__'
    return Import(importer, inner, True)


def offences(modules: Mapping[str, str], packages: frozenset[str] = frozenset()) -> list[str]:
    """What is wrong with the imports of these modules, in words."""
    rank = {unit: i for i, layer in enumerate(LAYERS) for unit in layer.units}
    out = []
    graph: dict[str, set[str]] = {}
    for module in modules:
        if module.split('.')[0] not in rank:
            out.append(f'{module} is in no layer: give it a place in the table')
    for importer, imported, inside in imports_of(modules, packages):
        unit, other = importer.split('.')[0], imported.split('.')[0]
        if other in REFUSES.get(unit, ()):
            out.append(f'{importer} imports {imported}, which {unit} refuses to know')
        if not inside:
            if imported == 'asyncio' and not importer.startswith(ASYNCIO):
                out.append(f'{importer} imports asyncio')
        elif unit in rank and other in rank and rank[other] < rank[unit]:
            out.append(f'{importer} imports {imported}, which is above it')
        if inside and importer != imported:
            graph.setdefault(importer, set()).add(imported)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        out.append('import cycle: ' + ' -> '.join(error.args[1]))
    return out


def oversized(folder: Path, longer: Mapping[str, int] = LONGER) -> list[str]:
    """The files with more lines than a file may have, and exceptions that are none any more."""
    out = []
    for path in sorted([*folder.rglob('*.py'), *folder.rglob('*.c')]):
        name = path.relative_to(folder).as_posix()
        lines = len(path.read_text('utf-8').splitlines())
        if lines > longer.get(name, LONGEST):
            out.append(f'{name} has {lines} lines')
        elif name in longer and lines <= LONGEST:
            out.append(f'{name} has {lines} lines and needs no exception')
    return out


def packages_of(folder: Path) -> frozenset[str]:
    return frozenset(
        '.'.join(path.parent.relative_to(folder).parts)
        for path in folder.rglob('__init__.py')
        if path.parent != folder
    )


def test_imports_point_downward() -> None:
    modules = modules_of(SOURCE)
    assert len(modules) > 3
    assert offences(modules, packages_of(SOURCE)) == []


def test_every_unit_of_the_table_exists() -> None:
    units = {module.split('.')[0] for module in modules_of(SOURCE)}
    assert {unit for layer in LAYERS for unit in layer.units} == units
    assert units >= REFUSES.keys()


def test_no_file_is_too_long() -> None:
    assert oversized(SOURCE) == []
    assert all((SOURCE / name).is_file() for name in LONGER)


BASE = {'events': '', 'errors': '', '_runtime': '', '_stream': '', '_stream.duplex': ''}


@pytest.mark.parametrize(
    ('module', 'source', 'complaint'),
    [
        ('_stream.x', 'from .._net import socket', 'which is above it'),
        ('_stream.x', 'def f():\n    from .. import net', 'which is above it'),
        ('_stream.x', 'from tailrace import net', 'which is above it'),
        ('_stream.x', 'import tailrace', 'imports __init__, which is above it'),
        ('errors', 'import tailrace._stream.duplex', 'imports _stream.duplex, which is above it'),
        ('_stream.x', 'import socket', 'which _stream refuses to know'),
        ('_stream.x', 'from .._handles import tcp', 'which _stream refuses to know'),
        ('_handles.tcp', 'from ..events import EventEmitter', 'which _handles refuses to know'),
        ('_handles.tcp', 'import asyncio', '_handles.tcp imports asyncio'),
        ('_net.socket', 'from asyncio import Task', '_net.socket imports asyncio'),
        ('_net.socket', 'import asyncio.events', '_net.socket imports asyncio'),
        ('_new', '', '_new is in no layer'),
        ('_stream.duplex', 'from . import duplex2', 'import cycle: '),
        ('_stream.duplex', 'def later():\n    from . import duplex2', 'import cycle: '),
        ('_stream.duplex', 'if TYPE_CHECKING:\n    from . import duplex2', 'import cycle: '),
    ],
)
def test_offence_is_seen(module: str, source: str, complaint: str) -> None:
    modules = {**BASE, 'net': '', '_net': '', '_handles': '', '_handles.tcp': '', module: source}
    modules['_stream.duplex2'] = 'from .duplex import Duplex'
    found = offences(modules, frozenset({'_stream', '_net', '_handles'}))
    assert len(found) == 1
    assert complaint in found[0]


def test_permitted_imports_are_not_offences() -> None:
    modules = {
        **BASE,
        '__init__': 'from . import net\nfrom .net import Socket',
        'net': 'from ._net.socket import Socket',
        '_net': '',
        '_net.socket': 'from .._stream.duplex import Duplex\nfrom . import options\nimport socket',
        '_net.options': 'def later():\n    from .. import events',
        '_stream': 'from .duplex import Duplex',
        '_stream.duplex': 'from ..events import EventEmitter\nfrom .. import errors',
        '_runtime': 'import asyncio',
    }
    assert offences(modules, frozenset({'_stream', '_net'})) == []


@pytest.mark.parametrize('name', ['long.py', 'part/long.c'])
def test_long_file_is_seen(tmp_path: Path, name: str) -> None:
    (tmp_path / 'part').mkdir()
    (tmp_path / name).write_text('x\n' * LONGEST)
    assert oversized(tmp_path) == []
    (tmp_path / name).write_text('x\n' * (LONGEST + 1))
    assert oversized(tmp_path) == [f'{name} has {LONGEST + 1} lines']


def test_an_exception_has_a_limit_too_and_an_end(tmp_path: Path) -> None:
    longer = {'long.py': LONGEST + 5}
    for lines, found in (
        (LONGEST + 5, []),
        (LONGEST + 6, [f'long.py has {LONGEST + 6} lines']),
        (LONGEST, [f'long.py has {LONGEST} lines and needs no exception']),
    ):
        (tmp_path / 'long.py').write_text('x\n' * lines)
        assert oversized(tmp_path, longer) == found
