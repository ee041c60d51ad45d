"""Fenced code blocks of the documentation, and the directives that say how each is tested.

A directive is an HTML comment right above the fence: ``<!-- test: file=echo.py drive=echo -->``.

* ``file=NAME``: the block is saved under NAME, for itself and for later blocks of its page.
* ``drive=NAME``: it is a program that serves; ``drivers.NAME`` talks to it until it is ended.
* ``with=NAME``: it is a fragment; it replaces the line ``# BLOCK`` of ``preambles/NAME.py``.
* ``output=yes``: what it prints is the next ``text`` block.
* ``exits=N``: its exit status, 0 if nothing is said.
* ``skip="REASON"``: it cannot be run, for a reason that is told.

Python and shell blocks without a directive are whole programs that end by themselves. Other
languages are not run. This file knows Markdown and refuses to know processes.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ['ROOT', 'Block', 'blocks_of', 'pages']

ROOT = Path(__file__).resolve().parent.parent.parent
#: Languages that are run.
RUN = ('python', 'sh')
KNOWN = frozenset({'drive', 'exits', 'file', 'output', 'skip', 'with'})

_FENCE = re.compile(r'^(?P<fence>`{3,}|:{3,})\s*(?P<language>[^\s`]*)')
_DIRECTIVE = re.compile(r'^<!-- test: (?P<words>.*) -->$')


@dataclass
class Block:
    """One fenced block."""

    page: str
    line: int
    language: str
    text: str
    directive: dict[str, str] = field(default_factory=dict)
    #: The text block that follows it directly, if there is one.
    output: str | None = None

    @property
    def name(self) -> str:
        """Where it is, for the name of its test."""
        return f'{self.page}:{self.line}'


def pages(root: Path = ROOT) -> list[Path]:
    """Every page that a reader is shown."""
    inside = [path for path in (root / 'docs').rglob('*.md') if '_' not in path.parent.name[:1]]
    return [root / 'README.md', *sorted(inside)]


def read_directive(words: str, where: str) -> dict[str, str]:
    """``file=a drive=b`` as a dict. An unknown key, or a skip without a reason, is an error."""
    out = dict(word.partition('=')[::2] for word in shlex.split(words))
    if unknown := out.keys() - KNOWN:
        raise ValueError(f'{where}: unknown directive {min(unknown)!r}')
    if len(out.get('skip', 'a good reason').split()) < 3:
        raise ValueError(f'{where}: a block is skipped without a reason')
    return out


def blocks_of(text: str, page: str) -> list[Block]:
    """All fenced blocks of one page, in order."""
    out: list[Block] = []
    lines = text.splitlines()
    directive: dict[str, str] = {}
    at = 0
    while at < len(lines):
        line = lines[at]
        if found := _DIRECTIVE.match(line):
            if directive:
                raise ValueError(f'{page}:{at + 1}: the directive above belongs to no block')
            directive = read_directive(found['words'], f'{page}:{at + 1}')
        elif found := _FENCE.match(line):
            end = at + 1
            while end < len(lines) and lines[end].rstrip() != found['fence']:
                end += 1
            if end == len(lines):
                raise ValueError(f'{page}:{at + 1}: the block has no end')
            body = '\n'.join(lines[at + 1 : end]) + '\n'
            block = Block(page, at + 1, found['language'], body, directive)
            if block.language == 'text' and out and out[-1].output is None:
                out[-1].output = body
            out.append(block)
            directive = {}
            at = end
        elif line.strip() and directive:
            raise ValueError(f'{page}:{at + 1}: the directive above belongs to no block')
        at += 1
    return out
