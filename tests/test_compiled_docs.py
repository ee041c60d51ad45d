"""One build, one documentation: compiled code has the docstrings and signatures of its sources."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import pydoc
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import tailrace
from tailrace import events, net, stream, tls

ROOT = Path(__file__).resolve().parent.parent
MODULES = (
    *('', '.net', '.stream', '.events', '.dns', '.errors', '.cluster', '.child_process', '.tls'),
    *('.systemd', '.framing', '.proxy_protocol', '.clients', '.diagnostics', '.testing'),
)
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


def public_methods() -> Iterator[tuple[type, str, Any]]:
    """Every method of every public class, once; Node's spellings are found by name only."""
    seen = set()
    for module in MODULES:
        names = importlib.import_module(f'tailrace{module}')
        for cls in (getattr(names, name) for name in names.__all__):
            if not inspect.isclass(cls) or cls in seen:
                continue
            seen.add(cls)
            for name in dir(cls):
                if not name.startswith('_') and inspect.isroutine(
                    inspect.getattr_static(cls, name)
                ):
                    yield cls, name, getattr(cls, name)


def test_everything_public_has_its_own_name() -> None:
    """Pure or compiled: ``help(Socket.write)`` speaks of ``write``."""
    methods = list(public_methods())
    assert len(methods) > 500
    wrong = [
        (cls, name, method.__qualname__)
        for cls, name, method in methods
        if method.__name__ != name or method.__qualname__.rpartition('.')[2] != name
    ]
    assert wrong == []


def test_help_has_no_inner_names() -> None:
    text = pydoc.plain(pydoc.render_doc(net.Socket))
    for name in ('write', 'push', 'unshift'):
        assert re.search(rf'^ \|  {name}\(self', text, re.MULTILINE), name
    assert not re.search(r' = _\w+\(', text)
    # Taken from their class, which is also that of streams that cannot write.
    assert not hasattr(stream.Readable, 'write')
    assert not hasattr(stream.Writable, 'push')


def compiled_sources() -> list[str]:
    spec = importlib.util.spec_from_file_location('tailrace_build', ROOT / 'hatch_build.py')
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    return [name.replace('/', '.').removesuffix('.__init__') for name in build.MODULES]


def documented(owner: Any, tree: ast.Module | ast.ClassDef) -> Iterator[tuple[Any, Any]]:
    """What is in ``owner`` under a public name, and its node in the source."""
    for node in tree.body:
        # mypyc's coroutine functions are objects without a docstring; none of them is public.
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        setters = [one for one in node.decorator_list if isinstance(one, ast.Attribute)]
        if node.name.startswith('_') or setters or not ast.get_docstring(node):
            continue
        found = inspect.getattr_static(owner, node.name)
        yield found, node
        if isinstance(node, ast.ClassDef):
            yield from documented(found, node)


@pytest.mark.parametrize('name', compiled_sources())
def test_the_documentation_is_that_of_the_source(name: str) -> None:
    """Docstrings of classes, functions, methods and properties, and their parameters."""
    path = ROOT / 'src' / 'tailrace' / name.replace('.', '/')
    path = path / '__init__.py' if path.is_dir() else path.with_suffix('.py')
    module = importlib.import_module(f'tailrace.{name}')
    for found, node in documented(module, ast.parse(path.read_text('utf-8'))):
        assert inspect.getdoc(found) == ast.get_docstring(node), node.name
        if isinstance(found, classmethod | staticmethod):
            found = found.__func__
        if isinstance(node, ast.ClassDef) or not callable(found):
            continue
        given = node.args
        parameters = inspect.signature(found).parameters
        expected = [one.arg for one in (*given.posonlyargs, *given.args)]
        expected += [given.vararg.arg] if given.vararg else []
        expected += [one.arg for one in given.kwonlyargs]
        expected += [given.kwarg.arg] if given.kwarg else []
        assert list(parameters) == expected, node.name
        for one in given.posonlyargs[1:]:
            assert parameters[one.arg].kind is inspect.Parameter.POSITIONAL_ONLY, node.name
        for one in given.kwonlyargs:
            assert parameters[one.arg].kind is inspect.Parameter.KEYWORD_ONLY, node.name
        optional = [one for one in parameters.values() if one.default is not one.empty]
        defaults = [one for one in (*given.defaults, *given.kw_defaults) if one is not None]
        assert len(optional) == len(defaults), node.name


SOURCE = '''
def function(a, b=1, *rest, c=None, d=UNKNOWN, **more):
    """What it "does" \\\\ and — more."""

class Thing:
    """A "thing"."""
    @property
    def size(self):
        """How big."""
    @size.setter
    def size(self, value): ...
    def method(self, a, /, b=UNKNOWN):
        """Line.

        Another.
        """
    def silent(self): ...
    def _inner(self, a):
        """Has another name."""
'''
C = """
{"function",
 (PyCFunction)CPyPy_pack___module___function, METH_FASTCALL, PyDoc_STR("old(a)\\n--\\n\\n")},
{"method",
 (PyCFunction)CPyPy_pack___module___Thing___method,
 METH_FASTCALL | METH_KEYWORDS, PyDoc_STR(NULL)},
{"silent", (PyCFunction)CPyPy_pack___module___Thing___silent, METH_FASTCALL, PyDoc_STR(NULL)},
{"_inner", (PyCFunction)CPyPy_pack___module___Thing____inner, METH_FASTCALL, PyDoc_STR(NULL)},
{"size",
 (getter)module___Thing_get_size, (setter)module___Thing_set_size,
 NULL, NULL},
{"plain",
 (getter)module___Thing_get_plain,
 NULL, NULL, NULL},
    .tp_doc = PyDoc_STR("Thing(a)\\n--\\n\\n"),
};
static PyTypeObject *CPyType_pack___module___Thing_template = &it;
{"other", (PyCFunction)CPyPy_pack___other___function, METH_FASTCALL, PyDoc_STR(NULL)},
"""


def test_a_method_table_gets_the_docstrings(tool: ModuleType, tmp_path: Path) -> None:
    (tmp_path / 'module.py').write_text(SOURCE, 'utf-8')
    (tmp_path / 'made.c').write_text(C)
    (tmp_path / 'public.py').write_text("inner = public_name(Thing, '_inner', 'outer')\n")
    files = [tmp_path / 'module.py'], [tmp_path / 'public.py']
    assert tool.add([tmp_path / 'made.c'], *files) == 5
    made = (tmp_path / 'made.c').read_text()
    assert '"function(a, b=1, *rest, c=None, d=..., **more)\\n--\\n\\nWhat it \\"does\\"' in made
    assert '\\342\\200\\224' in made
    assert '"method($self, a, /, b=...)\\n--\\n\\nLine.\\n\\nAnother."' in made
    assert '"_inner($self, a)\\n--\\n\\nHas another name.")},\n{"outer", (PyCFunction)' in made
    assert '"outer($self, a)\\n--\\n\\nHas another name.")}' in made
    assert '(setter)module___Thing_set_size,\n PyDoc_STR("How big."), NULL}' in made
    assert '(getter)module___Thing_get_plain,\n NULL, NULL, NULL}' in made
    assert 'PyDoc_STR("Thing(a)\\n--\\n\\nA \\"thing\\".")' in made
    assert made.count('PyDoc_STR(NULL)') == 2
