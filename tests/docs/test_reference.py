"""The reference is whole: every public name, and every public member of every public class.

The pages are built, and what Sphinx writes into its inventory is compared with the package. An
object that several modules offer needs one entry only.
"""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from tailrace import _names

#: Sphinx builds all pages: 20 s of processor time, and many times that on a busy machine.
pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).resolve().parent.parent.parent
MODULES = (
    *('tailrace', 'tailrace.net', 'tailrace.stream', 'tailrace.events', 'tailrace.dns'),
    *('tailrace.errors', 'tailrace.cluster', 'tailrace.child_process', 'tailrace.process'),
    *('tailrace.tls', 'tailrace.systemd', 'tailrace.framing', 'tailrace.proxy_protocol'),
    *('tailrace.clients', 'tailrace.diagnostics'),
    *('tailrace.testing', 'tailrace.adapters.asyncio', 'tailrace.adapters.anyio'),
)
NAMES = {
    'tailrace.cluster': (
        *('is_primary', 'is_worker', 'scheduling_policy', 'settings', 'worker', 'workers'),
    ),
    'tailrace.process': ('channel', 'connected', 'pid'),
}


@pytest.fixture(scope='module')
def entries(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The dotted names of the built reference."""
    for needed in ('sphinx', 'furo', 'myst_parser'):
        pytest.importorskip(needed)
    out = tmp_path_factory.mktemp('pages')
    command = [sys.executable, '-m', 'sphinx', '-W', '-q', '-b', 'html', ROOT / 'docs', out]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return inventory(out / 'objects.inv')


def inventory(path: Path) -> set[str]:
    """The names of Python things in an inventory: four lines of text, the rest compressed."""
    packed = path.read_bytes().split(b'\n', 4)[4]
    lines = zlib.decompress(packed).decode().splitlines()
    return {name for name, kind, *_ in map(str.split, lines) if kind.startswith('py:')}


def resolve(name: str) -> Any:
    """The object of a dotted name, or None if it is none."""
    parts = name.split('.')
    for cut in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module('.'.join(parts[:cut]))
        except ImportError:
            continue
        for part in parts[cut:]:
            found = inspect.getattr_static(found, part, None)
        return found
    return None


def members(cls: type) -> set[str]:
    """The methods and properties of a class, in Python's spelling."""
    return {
        name
        for owner in cls.__mro__
        if owner.__module__.startswith('tailrace')
        for name, thing in vars(owner).items()
        if not name.startswith('_') and _names.snake(name) == name
        if callable(thing) or isinstance(thing, property | staticmethod | classmethod)
    }


def missing(entries: set[str]) -> list[str]:
    """The public names without an entry."""
    known = [found for name in entries if (found := resolve(name)) is not None]
    seen = {id(found) for found in known}
    out = []
    for module in MODULES:
        if module == 'tailrace.adapters.anyio' and not importlib.util.find_spec('anyio'):
            continue
        loaded = importlib.import_module(module)
        for name in (*loaded.__all__, *NAMES.get(module, ())):
            thing = getattr(loaded, name)
            if f'{module}.{name}' in entries or id(thing) in seen or inspect.ismodule(thing):
                continue
            out.append(f'{module}.{name}')
    for cls in {id(found): found for found in known if isinstance(found, type)}.values():
        if not cls.__module__.startswith('tailrace'):
            continue
        written = {name.rpartition('.')[2] for name in entries if '.' in name}
        for name in members(cls):
            if id(inspect.getattr_static(cls, name)) not in seen and name not in written:
                out.append(f'{cls.__module__}.{cls.__qualname__}.{name}')
    return sorted(out)


def test_every_public_name_has_an_entry(entries: set[str]) -> None:
    assert missing(entries) == []


def test_missing_entry_is_seen(entries: set[str]) -> None:
    less = {name for name in entries if not name.startswith('tailrace.dns.lookup')}
    assert missing(less) == ['tailrace.dns.lookup']
