"""The types that users see, checked by mypy and, where it is installed, by pyright."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import os
import re
import shutil
import site
import sys
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tailrace._names import NodeName, camel, snake

from .checkers import HERE, ROOT, SOURCE, mypy_errors, pyright, pyright_errors, run

Checker = Callable[..., dict[int, str]]

#: Checking the whole package takes a while on a busy machine.
pytestmark = pytest.mark.timeout(300)

both = pytest.mark.parametrize('errors_of', [mypy_errors, pyright_errors])

#: Modules whose classes and functions have Node's spellings too.
MODULES = (
    'tailrace',
    *(f'tailrace.{name}' for name in ('net', 'events', 'stream', 'dns', 'errors')),
)


@pytest.fixture(scope='module')
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all, because mypy keeps there what it has learnt of the package."""
    return tmp_path_factory.mktemp('checked')


# -- what users see -------------------------------------------------------------------------------


@both
def test_what_is_right_is_not_reported(errors_of: Checker, place: Path) -> None:
    assert errors_of(place, HERE / 'users.py', deprecated=True) == {}


@both
def test_the_page_on_types_is_right(errors_of: Checker, place: Path) -> None:
    page = (ROOT / 'docs/howto/types.md').read_text('utf-8')
    blocks = re.findall(r'^```python\n(.*?)^```', page, re.M | re.S)
    assert blocks
    program = place / 'page.py'
    for block in blocks:
        program.write_text(block)
        assert errors_of(place, program, deprecated=True) == {}


def test_lambdas_know_their_arguments(place: Path) -> None:
    assert pyright_errors(place, HERE / 'inferred.py', deprecated=True) == {}


@both
def test_a_wrong_expectation_is_noticed(errors_of: Checker, place: Path) -> None:
    text = (HERE / 'users.py').read_text('utf-8')
    wrong = place / 'wrong.py'
    wrong.write_text(text.replace('close_all(1000), int)', 'close_all(1000), str)'))
    assert len(errors_of(place, wrong, deprecated=True)) == 1


def marked(*marks: str) -> set[int]:
    lines = (HERE / 'mistakes.py').read_text('utf-8').splitlines()
    return {
        at for at, line in enumerate(lines, 1) if line.endswith(tuple(f'  # {m}' for m in marks))
    }


@both
def test_every_mistake_is_reported_where_it_is(errors_of: Checker, place: Path) -> None:
    """Listeners of the wrong shape included, where reports of deprecated calls are wanted."""
    expected = marked('wrong', 'misfit')
    assert len(expected) > 70
    found = errors_of(place, HERE / 'mistakes.py', deprecated=True)
    assert set(found) == expected
    texts = [found[line] for line in marked('misfit')]
    assert all('see the events of the class' in text for text in texts)


@both
def test_without_these_reports_a_misfit_is_not_an_error(errors_of: Checker, place: Path) -> None:
    """The known limit: ``on(event: str, ...)`` takes every name, and a literal is a str."""
    assert set(errors_of(place, HERE / 'mistakes.py')) == marked('wrong')


# -- Node's spellings -----------------------------------------------------------------------------


def node_spellings() -> Iterator[str]:
    """Every Node name that there is at run time, as an expression."""
    for name in MODULES:
        module = importlib.import_module(name)
        for public in module.__all__:
            if camel(public) != public and hasattr(module, camel(public)):
                yield f'{name}.{camel(public)}'
            value = getattr(module, public)
            if name != 'tailrace' and inspect.isclass(value):
                for attribute in dir(value):
                    one: Any = inspect.getattr_static(value, attribute)
                    # 'from' is a keyword in Python: it is reached by getattr only.
                    if isinstance(one, NodeName) and attribute != 'from':
                        yield f'of({name}.{public}).{attribute}'


@both
def test_every_node_name_is_known(errors_of: Checker, place: Path) -> None:
    names = sorted(set(node_spellings()))
    assert len(names) > 150
    program = place / 'names.py'
    lines = [f'import {name}' for name in MODULES]
    lines += ['from typing import TypeVar', 'T = TypeVar("T")']
    lines += ['def of(cls: type[T]) -> T: raise NotImplementedError']
    program.write_text('\n'.join([*lines, *(f'print({name})' for name in names)]) + '\n')
    assert errors_of(place, program) == {}


def declared_only() -> Iterator[tuple[str, str, str]]:
    """Module, class and name of what is assigned for type checkers only in a class."""
    for path in sorted((SOURCE / 'tailrace').rglob('*.py')):
        parts = path.relative_to(SOURCE).with_suffix('').parts
        for cls in ast.walk(ast.parse(path.read_text('utf-8'))):
            if not isinstance(cls, ast.ClassDef):
                continue
            for block in cls.body:
                if isinstance(block, ast.If) and ast.unparse(block.test) == 'TYPE_CHECKING':
                    for one in block.body:
                        targets = one.targets if isinstance(one, ast.Assign) else []
                        targets = [one.target] if isinstance(one, ast.AnnAssign) else targets
                        for name in map(ast.unparse, targets):
                            if snake(name) != name and not name.startswith('_'):
                                yield '.'.join(parts), cls.name, name


def test_every_declared_name_is_there() -> None:
    """What type checkers are told of exists: the other way round."""
    found = list(declared_only())
    assert len(found) > 80
    for module, cls, name in found:
        if module != 'tailrace._adapters.byte_stream':
            owner = getattr(importlib.import_module(module), cls)
            assert isinstance(inspect.getattr_static(owner, name), NodeName), (module, cls, name)


# -- the package ----------------------------------------------------------------------------------


def test_pyright_gate_fires(tmp_path: Path) -> None:
    """What ``./test`` asks pyright, of a package with two mistakes."""
    shutil.copy(ROOT / 'pyproject.toml', tmp_path)
    (tmp_path / 'src/tailrace').mkdir(parents=True)
    wrong = tmp_path / 'src/tailrace/__init__.py'
    wrong.write_text("def wrong(a) -> int:\n    return 'text'\n")
    done = run(*pyright(), '--pythonpath', sys.executable, cwd=tmp_path)
    assert done.returncode == 1
    assert '__init__.py:2:12 - error' in done.stdout
    assert '(reportMissingParameterType)' in done.stdout  # in strict mode only


def completeness(folder: Path, broken: bool) -> str:
    """What pyright says of the types of an installed tailrace."""
    program = pyright()
    home = folder / 'venv'
    venv.create(home, symlinks=True)
    packages = next(home.glob('lib/python*/site-packages'))
    package = packages / 'tailrace'
    shutil.copytree(SOURCE / 'tailrace', package)
    for library, *files in (
        ('anyio', 'adapters/anyio.py', '_adapters/byte_stream.py'),
        ('prometheus_client', 'adapters/prometheus.py', '_adapters/metrics.py'),
        ('opentelemetry', 'adapters/opentelemetry.py', '_adapters/spans.py'),
    ):
        if importlib.util.find_spec(library) is None:  # what derives from it is unknown then
            for name in files:
                (package / name).unlink()
    if broken:
        source = (package / 'testing.py').read_text('utf-8')
        (package / 'testing.py').write_text(source + '\n\ndef check_untyped(a):\n    return a\n')
    (packages / 'others.pth').write_text('\n'.join(site.getsitepackages()))
    path = f'{home / "bin"}{os.pathsep}{os.environ["PATH"]}'
    done = run(*program, '--verifytypes', 'tailrace', '--ignoreexternal', cwd=folder, PATH=path)
    return done.stdout


def test_every_public_type_is_known(tmp_path: Path) -> None:
    report = completeness(tmp_path, broken=False)
    assert 'Type completeness score: 100%' in report, report


def test_an_unknown_public_type_is_seen(tmp_path: Path) -> None:
    report = completeness(tmp_path, broken=True)
    assert 'Type completeness score: 99' in report, report
    assert 'check_untyped' in report
