"""The table of names of "Coming from Node", made from ``node_names.txt`` and the code itself.

    python docs/names.py        prints it

It knows where each kind of name is found in the package, and refuses to know what a name means:
that is the reference's business. A name that is not in the package is an error here.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailrace import _names
from tailrace._errors import state
from tailrace._net import options

HERE = Path(__file__).resolve().parent

OPTIONS = {
    'Server': options.SERVER_OPTIONS,
    'listen': options.LISTEN_OPTIONS,
    'Socket': options.SOCKET_OPTIONS,
    'connect': options.CONNECT_OPTIONS,
}
PROCESSES = ('cluster', 'child_process', 'process')
MODULES = ('net', 'stream', 'events', 'dns', 'tls', 'tailrace')
CLASSES = {
    'Server': 'net',
    'Socket': 'net',
    'BlockList': 'net',
    'SocketAddress': 'net',
    'BoundSocket': 'net',
    'Stream': 'stream',
    'Readable': 'stream',
    'Writable': 'stream',
    'Duplex': 'stream',
    'EventEmitter': 'events',
    'Worker': 'cluster',
    'ChildProcess': 'child_process',
    'TLSSocket': 'tls',
    'tls.Server': 'tls',
    'SecureContext': 'tls',
}


@dataclass(frozen=True)
class Name:
    """One documented name of Node."""

    row: str
    kind: str
    owner: str
    node: str
    python: str

    def holder(self) -> Any:
        """The module or class that has the name, or the set of options that it is in."""
        if self.kind == 'option':
            return OPTIONS[self.owner]
        if self.owner in CLASSES:
            module = importlib.import_module(f'tailrace.{CLASSES[self.owner]}')
            return getattr(module, self.owner.rpartition('.')[2])
        owner = self.owner if self.owner == 'tailrace' else f'tailrace.{self.owner}'
        return importlib.import_module(owner)

    def missing(self) -> str | None:
        """Which spelling the package lacks, in words; None if it has both."""
        if self.kind in ('event', 'flag'):
            return None
        holder = self.holder()
        if self.kind == 'option':
            return None if self.python in holder else f'{self.owner} has no option {self.python}'
        spellings = [self.python] if self.node.startswith('[') else [self.python, self.node]
        for spelling in spellings:
            if not hasattr(holder, spelling):
                return f'{self.owner} has no {spelling}'
        return None


def read(text: str | None = None) -> list[Name]:
    """The names of ``node_names.txt``."""
    if text is None:
        text = (HERE / 'node_names.txt').read_text('utf-8')
    out = []
    for line in text.splitlines():
        if line.strip() and not line.startswith('#'):
            row, kind, owner, node, *python = line.split()
            same = kind in ('event', 'flag', 'class', 'const')
            name = python[0] if python else node if same else _names.snake(node)
            out.append(Name(row, kind, owner, node, name))
    return out


@functools.cache
def known() -> frozenset[str]:
    """Every name that Node documents, in Node's spelling."""
    return frozenset(name.node for name in read())


@dataclass(frozen=True)
class Absent:
    """A name that Node has and tailrace has not."""

    owner: str
    node: str
    reason: str


def absent() -> list[Absent]:
    """The names of ``node_missing.txt``."""
    out = []
    for line in (HERE / 'node_missing.txt').read_text('utf-8').splitlines():
        if line and not line.startswith('#'):
            names, _, reason = line.partition(': ')
            owner, *nodes = names.split()
            out += [Absent(owner, node, reason) for node in nodes]
    return out


SECTIONS = {
    'Functions and classes': lambda n: n.owner in MODULES and n.kind != 'flag',
    'Server': lambda n: n.owner == 'Server' and n.kind not in ('event', 'option'),
    'Socket': lambda n: n.owner == 'Socket' and n.kind not in ('event', 'option'),
    'Streams (sockets have all of it)': lambda n: (
        n.owner in ('Stream', 'Readable', 'Writable', 'Duplex') and n.kind != 'event'
    ),
    'EventEmitter (servers and sockets have all of it)': lambda n: (
        n.owner == 'EventEmitter' and n.kind != 'event'
    ),
    'BlockList': lambda n: n.owner == 'BlockList',
    'SocketAddress': lambda n: n.owner == 'SocketAddress',
    'BoundSocket': lambda n: n.owner == 'BoundSocket',
    'TLS (sockets, servers and contexts have all of the above too)': lambda n: (
        n.owner in ('TLSSocket', 'tls.Server', 'SecureContext') and n.kind != 'event'
    ),
    'cluster, child_process and process': lambda n: (
        n.owner in (*PROCESSES, 'Worker', 'ChildProcess') and n.kind != 'event'
    ),
    'Events': lambda n: n.kind == 'event',
    'Options': lambda n: n.kind == 'option',
    'Flags of the command': lambda n: n.kind == 'flag',
}


def page() -> Iterator[str]:
    """The lines of the fragment."""
    names = read()
    lacking = [fault for name in names if (fault := name.missing())]
    if lacking:
        raise LookupError('; '.join(lacking))
    for title, wanted in SECTIONS.items():
        yield from ('', f'### {title}', '', '| Node | tailrace | of |', '|---|---|---|')
        for name in filter(wanted, names):
            node = f"`'{name.node}'`" if name.kind == 'event' else f'`{name.node}`'
            python = f"`'{name.python}'`" if name.kind == 'event' else f'`{name.python}`'
            if name.python == name.node:
                python = 'the same'
            yield f'| {node} | {python} | {name.owner} |'


def absent_page() -> Iterator[str]:
    """The lines of the table of what is not there."""
    yield from ('| Node | instead, or why not |', '|---|---|')
    groups: dict[tuple[str, str], list[str]] = {}
    for name in absent():
        groups.setdefault((name.owner.removesuffix('.static'), name.reason), []).append(name.node)
    for (owner, reason), nodes in groups.items():
        yield f'| {", ".join(f"`{owner}.{node}`" for node in nodes)} | {reason} |'


def codes() -> Iterator[str]:
    """The lines of the table of state errors, whose classes are made from a table themselves."""
    yield from ('| code | class | says |', '|---|---|---|')
    for code, (text, _) in state.STATES.items():
        yield f'| `{code}` | `{state.class_name(code)}` | {text} |'


if __name__ == '__main__':
    print('\n'.join(page()))
