"""One build, one documentation: compiled code has the docstrings and signatures of its sources."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import tailrace
from tailrace import events, net, stream, tls

ROOT = Path(__file__).resolve().parent.parent
PUBLIC = (
    events.EventEmitter,
    stream.Readable,
    stream.Writable,
    net.Socket,
    net.Server,
    tls.TLSSocket,
)


@pytest.fixture
def tool() -> ModuleType:
    """tools/c_docs.py as a module."""
    spec = importlib.util.spec_from_file_location('c_docs', ROOT / 'tools' / 'c_docs.py')
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('owner', PUBLIC)
def test_every_public_method_has_docstring_and_signature(owner: type) -> None:
    """Pure or compiled."""
    for name in dir(owner):
        member: Any = inspect.getattr_static(owner, name)
        if name.startswith('_') or not inspect.isroutine(member):
            continue
        method = getattr(owner, name)
        assert (inspect.getdoc(method) or '').strip(), name
        assert inspect.signature(method), name


@pytest.mark.parametrize('name', ['set_timeout', 'next_tick', 'active_resources', 'clear_timeout'])
def test_every_public_function_too(name: str) -> None:
    function = getattr(tailrace, name)
    assert inspect.getdoc(function)
    assert inspect.signature(function)


def test_the_docstring_is_that_of_the_source() -> None:
    source = (ROOT / 'src' / 'tailrace' / 'events.py').read_text('utf-8')
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and node.name == 'EventEmitter':
            for member in node.body:
                if isinstance(member, ast.FunctionDef) and not member.name.startswith('_'):
                    there = inspect.getdoc(getattr(events.EventEmitter, member.name))
                    assert there == ast.get_docstring(member), member.name


SOURCE = '''
def function(a, b=1, *rest, c=None, d=UNKNOWN, **more):
    """What it "does" \\\\ and — more."""

class Thing:
    def method(self, a, /, b=UNKNOWN):
        """Line.

        Another.
        """
    def silent(self): ...
'''
C = """
{"function",
 (PyCFunction)CPyPy_pack___module___function, METH_FASTCALL, PyDoc_STR("old(a)\\n--\\n\\n")},
{"method",
 (PyCFunction)CPyPy_pack___module___Thing___method,
 METH_FASTCALL | METH_KEYWORDS, PyDoc_STR(NULL)},
{"silent", (PyCFunction)CPyPy_pack___module___Thing___silent, METH_FASTCALL, PyDoc_STR(NULL)},
{"other", (PyCFunction)CPyPy_pack___other___function, METH_FASTCALL, PyDoc_STR(NULL)},
"""


def test_a_method_table_gets_the_docstrings(tool: ModuleType, tmp_path: Path) -> None:
    (tmp_path / 'module.py').write_text(SOURCE, 'utf-8')
    (tmp_path / 'made.c').write_text(C)
    assert tool.add([tmp_path / 'made.c'], [tmp_path / 'module.py']) == 2
    made = (tmp_path / 'made.c').read_text()
    assert '"function(a, b=1, *rest, c=None, d=..., **more)\\n--\\n\\nWhat it \\"does\\"' in made
    assert '\\342\\200\\224' in made
    assert '"method($self, a, /, b=...)\\n--\\n\\nLine.\\n\\nAnother."' in made
    assert made.count('PyDoc_STR(NULL)') == 2
