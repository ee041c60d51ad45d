"""The public face: what a module says it exports is what it has, and each part is documented.

Public modules only re-export; their code lives in private ones. ``CODE`` names the exceptions.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import types
from pathlib import Path

import pytest

PACKAGE = 'tailrace'
SOURCE = Path(__file__).resolve().parent.parent / 'src' / PACKAGE

#: Public modules of the lowest layer, which hold their code themselves.
CODE = frozenset({'errors', 'events'})

PUBLIC = sorted(
    path.stem if path.is_file() else path.name
    for path in SOURCE.iterdir()
    if not path.name.startswith('_') and (path.suffix == '.py' or (path / '__init__.py').exists())
)
INNER = sorted(
    f'{path.parent.name}.{path.stem}'
    for path in SOURCE.glob('[!_]*/*.py')
    if not path.name.startswith('_')
)
MODULES = [PACKAGE, *(f'{PACKAGE}.{name}' for name in [*PUBLIC, *INNER])]

#: Public modules that need something installed.
NEEDS = {
    'tailrace.adapters.anyio': 'anyio',
    'tailrace.adapters.opentelemetry': 'opentelemetry',
    'tailrace.adapters.prometheus': 'prometheus_client',
    'tailrace.pytest_plugin': 'pytest',
}


def bound_names(tree: ast.Module) -> set[str]:
    """The public names that a module's own statements bind, imports included."""
    out: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [(alias.asname or alias.name).split('.')[0] for alias in node.names]
            if node.col_offset == 0 and getattr(node, 'module', None) != '__future__':
                out.update(names)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            out.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            out.update(
                leaf.id for target in targets for leaf in ast.walk(target) if type(leaf) is ast.Name
            )
    return {name for name in out if not name.startswith('_')}


def defined_names(tree: ast.Module) -> set[str]:
    """The public functions and classes that a module defines itself."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return {
        node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith('_')
    }


def faults(module: types.ModuleType, source: str, holds_code: bool) -> list[str]:
    """What is wrong with one public module, in words."""
    tree = ast.parse(source)
    exported = getattr(module, '__all__', None)
    if exported is None:
        return ['has no __all__']
    out = []
    if list(exported) != sorted(set(exported)):
        out.append('__all__ is not sorted or names something twice')
    names = set(exported)
    out += [f'__all__ names {name}, which is not there' for name in names - set(vars(module))]
    if holds_code:
        missing = defined_names(tree) - names
    else:
        siblings = {n for n in bound_names(tree) if inspect.ismodule(getattr(module, n, None))}
        missing = bound_names(tree) - names - siblings
        out += [f'{name} is defined here, not re-exported' for name in defined_names(tree)]
    out += [f'{name} is public but not in __all__' for name in sorted(missing)]
    for name in sorted(names & set(vars(module))):
        out += undocumented(name, getattr(module, name))
    if not (module.__doc__ or '').strip():
        out.append('the module has no docstring')
    return out


def undocumented(name: str, value: object) -> list[str]:
    """The public functions, classes, methods and properties without a docstring of their own."""
    out = []
    if inspect.isroutine(value) and not (inspect.getdoc(value) or '').strip():
        out.append(f'{name} has no docstring')
    if inspect.isclass(value):
        if not (value.__doc__ or '').strip():
            out.append(f'{name} has no docstring')
        for key, member in vars(value).items():
            if key.startswith('_') or not (inspect.isroutine(member) or type(member) is property):
                continue
            if not (inspect.getdoc(getattr(value, key)) or '').strip():
                out.append(f'{name}.{key} has no docstring')
    return out


def test_there_are_public_modules() -> None:
    assert {'errors'} <= set(PUBLIC)


@pytest.mark.interpreted
@pytest.mark.parametrize('name', MODULES)
def test_public_module_is_what_it_says(name: str) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    module = importlib.import_module(name)
    source = Path(inspect.getfile(module)).read_text('utf-8')
    assert faults(module, source, name.rpartition('.')[2] in CODE) == []


GOOD = '''"""A module."""
from os.path import join
__all__ = ['join']
'''


@pytest.mark.parametrize(
    ('source', 'complaint'),
    [
        (GOOD, None),
        (GOOD + 'import os.path as _path\nimport os\n', None),
        (GOOD.replace("['join']", "['join', 'nothing']"), 'nothing, which is not there'),
        (GOOD + 'from os.path import split\n', 'split is public but not in __all__'),
        (GOOD + 'x = 1\n', 'x is public but not in __all__'),
        (GOOD.replace("['join']", "['join', 'join']"), 'names something twice'),
        (GOOD.replace('"""A module."""', ''), 'the module has no docstring'),
        (GOOD.replace('__all__', '_all'), 'has no __all__'),
        ('"""M."""\n__all__ = ["f"]\ndef f():\n    """F."""\n', 'f is defined here'),
        (
            '"""M."""\n__all__ = ["C"]\nclass _C:\n    """C."""\n    def m(self): ...\nC = _C\n',
            'C.m',
        ),
        ('"""M."""\n__all__ = ["f"]\nf = lambda: 1\n', 'f has no docstring'),
    ],
)
def test_fault_is_seen(source: str, complaint: str | None) -> None:
    module = types.ModuleType('made_up')
    exec(compile(source, 'made_up.py', 'exec'), vars(module))
    found = faults(module, source, holds_code=False)
    if complaint is None:
        assert found == []
    else:
        assert complaint in '; '.join(found)


def test_fault_of_a_code_module_is_seen() -> None:
    source = '"""M."""\nimport os\n__all__ = []\ndef f():\n    """F."""\n'
    module = types.ModuleType('made_up')
    exec(compile(source, 'made_up.py', 'exec'), vars(module))
    assert faults(module, source, holds_code=True) == ['f is public but not in __all__']
