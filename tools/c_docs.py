"""Gives compiled functions their docstrings: mypyc leaves them out.

``add(sources, files)`` edits the C files that mypyc has written, before they are compiled: each
entry of a method table gets the docstring of the function that it was made of, and, where mypyc
found no way to write the signature down, that too (a default that is no literal is shown as
``...``). What is not found is left alone. Used by ``hatch_build.py``; it refuses to know what is
compiled, and why.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ['add', 'functions', 'signature']

#: A row of a method table: the name, the C function, flags, and the docstring.
_ROW = re.compile(
    r'(\{"(?P<name>\w+)",\s*\(PyCFunction\)CPyPy_(?P<function>\w+),[^{}]*?)'
    r'PyDoc_STR\((?P<doc>NULL|"(?:[^"\\]|\\.)*")\)'
)

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(module: str, source: str) -> Iterator[tuple[str, _Function]]:
    """The functions and methods of a module, by the end of mypyc's names for them."""
    for node in ast.parse(source).body:
        if isinstance(node, _Function):
            yield f'{module}___{node.name}', node
        elif isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, _Function):
                    yield f'{module}___{node.name}___{member.name}', member


def signature(node: _Function) -> str:
    """The parameters, as ``inspect`` reads them from ``__text_signature__``."""
    given = node.args
    parts: list[str] = []
    positional = [*given.posonlyargs, *given.args]
    first = len(positional) - len(given.defaults)
    for at, one in enumerate(positional):
        text = '$self' if at == 0 and one.arg == 'self' else one.arg
        if at >= first:
            text += f'={_default(given.defaults[at - first])}'
        parts.append(text)
        if given.posonlyargs and at == len(given.posonlyargs) - 1:
            parts.append('/')
    if given.vararg is not None:
        parts.append(f'*{given.vararg.arg}')
    elif given.kwonlyargs:
        parts.append('*')
    for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        parts.append(one.arg if default is None else f'{one.arg}={_default(default)}')
    if given.kwarg is not None:
        parts.append(f'**{given.kwarg.arg}')
    return f'({", ".join(parts)})'


def _default(node: ast.expr) -> str:
    try:
        return repr(ast.literal_eval(node))
    except ValueError:
        return '...'


def _quoted(text: str) -> str:
    """A C string literal; other characters than ASCII as the octal bytes of UTF-8."""
    out = []
    for byte in text.encode():
        char = chr(byte)
        if char == '\n':
            out.append('\\n')
        elif char in '"\\?':
            out.append('\\' + char)
        elif 32 <= byte < 127:
            out.append(char)
        else:
            out.append(f'\\{byte:03o}')
    return f'"{"".join(out)}"'


def add(sources: Iterable[Path], files: Iterable[Path]) -> int:
    """Edit the C files ``sources``, made of the Python ``files``; how many docstrings went in."""
    known = {}
    for file in files:
        module = file.parent.name if file.stem == '__init__' else file.stem
        known.update(functions(module, file.read_text('utf-8')))
    count = 0

    def replaced(row: re.Match[str]) -> str:
        nonlocal count
        name = row['function']
        while name not in known and '___' in name:
            name = name.partition('___')[2]  # without the packages before the module
        node = known.get(name)
        doc = ast.get_docstring(node, clean=False) if node is not None else None
        if node is None or not doc:
            return row[0]
        count += 1
        text = f'{row["name"]}{signature(node)}\n--\n\n{inspect.cleandoc(doc)}'
        return f'{row[1]}PyDoc_STR({_quoted(text)})'

    for path in sources:
        before = path.read_text('utf-8')
        after = _ROW.sub(replaced, before)
        if after != before:
            path.write_text(after, 'utf-8')
    return count
