"""The page of events against the table from which the types of listeners are made."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / 'docs' / 'reference' / 'every-event.md'


def load() -> ModuleType:
    """tools/typed_events.py as a module; tools/ is no package."""
    path = ROOT / 'tools' / 'typed_events.py'
    spec = importlib.util.spec_from_file_location('tools_typed_events', path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules['tools_typed_events'] = module
    spec.loader.exec_module(module)
    return module


def on_the_page(text: str) -> dict[str, list[str]]:
    """Each event of the page's tables, with the names of its arguments."""
    out: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("| '"):
            names, arguments = (cell.strip() for cell in line.split('|')[1:3])
            for name in re.findall(r"'(\w+)'", names):
                # A server's 'close' has none, a socket's has one.
                out[name] = max(out.get(name, []), re.findall(r'\w+', arguments), key=len)
    return out


def in_the_table() -> dict[str, list[str]]:
    """Each event that has types, with the names of its arguments."""
    out: dict[str, list[str]] = {}
    for file in load().FILES:
        for event in file.events:
            for name in event.names:
                out[name] = re.findall(r'(\w+):', event.arguments)
        for name in file.plain:
            out.setdefault(name, [])
    return out


def test_every_event_is_on_the_page_with_its_arguments() -> None:
    assert on_the_page(PAGE.read_text('utf-8')) == in_the_table()


def test_an_event_that_is_missing_is_seen() -> None:
    text = PAGE.read_text('utf-8')
    without = '\n'.join(line for line in text.splitlines() if not line.startswith("| 'drop'"))
    assert set(in_the_table()) - set(on_the_page(without)) == {'drop'}
