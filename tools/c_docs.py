"""Gives compiled code the documentation of its sources, which mypyc leaves out.

``add(sources, files, package)`` edits the C files that mypyc has written, before they are compiled:
each method, property and class gets the docstring of what it was made of, and, where mypyc found no
way to write a signature down, that too (a default that is no literal is shown as ``...``). A method
that has a public name elsewhere in the package (``public_name(Class, '_inner', 'name')``) gets a
twin of that name. What is not found is left alone. Used by ``hatch_build.py``; it refuses to know
what is compiled, and why.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ['add', 'functions', 'public_names', 'signature']

#: A row of a method table: the name, the C function, flags, and the docstring.
_ROW = re.compile(
    r'(\{"(?P<name>\w+)",\s*\(PyCFunction\)CPyPy_(?P<function>\w+),[^{}]*?)'
    r'PyDoc_STR\((?P<doc>NULL|"(?:[^"\\]|\\.)*")\)'
)

#: A row of a table of properties: name, getter, setter; then the docstring, and a pointer.
_PROPERTY = re.compile(
    r'(\{"\w+",\s*\(getter\)(?P<function>\w+),\s*(?:NULL|\(setter\)\w+),\s*)NULL(,\s*NULL\})'
)
#: The docstring of a class, which has no text after its signature, and the name of the class.
_CLASS = re.compile(
    r'(\.tp_doc = PyDoc_STR\("(?:[^"\\]|\\.)*)("\),\s*\};\s*'
    r'static PyTypeObject \*CPyType_(?P<name>\w+)_template\b)'
)
_PUBLIC_NAME = re.compile(r"\bpublic_name\(\w+, '(\w+)', '(\w+)'\)")

_Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(module: str, source: str) -> Iterator[tuple[str, _Documented]]:
    """Functions, classes, methods and getters of a module, by the end of mypyc's names for them."""
    for node in ast.parse(source).body:
        if isinstance(node, _Function):
            yield f'{module}___{node.name}', node
        elif isinstance(node, ast.ClassDef):
            yield f'{module}___{node.name}', node
            for member in node.body:
                if not isinstance(member, _Function):
                    continue
                if not any(isinstance(one, ast.Attribute) for one in member.decorator_list):
                    yield f'{module}___{node.name}___{member.name}', member
                    yield f'{module}___{node.name}_get_{member.name}', member


def public_names(package: Iterable[Path]) -> dict[str, str]:
    """Methods that the package offers under another name: {inner name: public name}."""
    return {
        inner: name
        for file in package
        for inner, name in _PUBLIC_NAME.findall(file.read_text('utf-8'))
    }


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


def add(sources: Iterable[Path], files: Iterable[Path], package: Iterable[Path] = ()) -> int:
    """Edit the C files ``sources``, made of the Python ``files``; how many docstrings went in.

    ``package``: where to look for public names.
    """
    known: dict[str, _Documented] = {}
    for file in files:
        module = file.parent.name if file.stem == '__init__' else file.stem
        known.update(functions(module, file.read_text('utf-8')))
    public = public_names(package)
    count = 0

    def found(name: str) -> tuple[_Documented | None, str]:
        while name not in known and '___' in name:
            name = name.partition('___')[2]  # without the packages before the module
        node = known.get(name)
        doc = ast.get_docstring(node) if node is not None else None
        return node, doc or ''

    def method(row: re.Match[str]) -> str:
        nonlocal count
        node, doc = found(row['function'])
        if not isinstance(node, _Function) or not doc:
            return row[0]
        count += 1

        def written(name: str) -> str:
            start = row[1].replace(f'{{"{row["name"]}"', f'{{"{name}"', 1)
            text = f'{name}{signature(node)}\n--\n\n{doc}'
            return f'{start}PyDoc_STR({_quoted(text)})'

        twin = public.get(row['name'])
        both = '' if twin is None else '},\n' + written(twin)
        return written(row['name']) + both

    def other(row: re.Match[str]) -> str:
        nonlocal count
        is_class = 'name' in row.re.groupindex
        _, doc = found(row['name' if is_class else 'function'])
        if not doc:
            return row[0]
        count += 1
        if is_class:
            return row[1] + _quoted(doc)[1:-1] + row[2]
        return f'{row[1]}PyDoc_STR({_quoted(doc)}){row[3]}'

    for path in sources:
        before = path.read_text('utf-8')
        after = _CLASS.sub(other, _PROPERTY.sub(other, _ROW.sub(method, before)))
        if after != before:
            path.write_text(after, 'utf-8')
    return count
