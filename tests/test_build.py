"""What a wheel is made of: the decisions of hatch_build.py. Nothing heavy is compiled here."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """hatch_build.py as a module, with nothing asked for."""
    spec = importlib.util.spec_from_file_location('tailrace_build', ROOT / 'hatch_build.py')
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.delenv(module.REQUEST, raising=False)
    monkeypatch.delenv('CC', raising=False)
    return module


def hook(build: ModuleType, folder: Path, target: str = 'wheel') -> Any:
    class Hook(build.CustomBuildHook):  # type: ignore[misc, name-defined]
        target_name = target
        directory = str(folder)

        def __init__(self) -> None:
            """Without the builder that hatchling hands over."""

    return Hook()


def wheel(made: Any, version: str = 'standard') -> dict[str, Any]:
    data: dict[str, Any] = {'force_include': {}, 'pure_python': True}
    made.initialize(version, data)
    there = [path for path in data['force_include'] if not Path(path).is_file()]
    made.finalize(version, data, 'tailrace.whl')
    assert there == []
    assert not any(Path(path).exists() for path in data['force_include'])
    assert list(Path(made.directory).iterdir()) == []
    return data


PURE = {'force_include': {}, 'pure_python': True}


def test_the_request_is_one_word(build: ModuleType) -> None:
    def asked(**environment: str) -> str:
        found: str = build.request(environment)
        return found

    assert asked() == asked(TAILRACE_COMPILE='') == build.MAYBE
    assert asked(TAILRACE_COMPILE='0') == build.NEVER
    assert asked(TAILRACE_COMPILE='1') == asked(TAILRACE_COMPILE='yes') == build.ALWAYS


def test_a_compiler_needs_the_headers(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert build.compiler({'CC': 'no-such-compiler'}) is None
    assert build.compiler({'CC': str(tmp_path / 'cc')}) is None
    (tmp_path / 'cc').write_text('#!/bin/sh\n')
    (tmp_path / 'cc').chmod(0o755)
    monkeypatch.setattr(sysconfig, 'get_path', lambda name: str(tmp_path))
    assert build.compiler({'CC': str(tmp_path / 'cc')}) is None
    (tmp_path / 'Python.h').touch()
    command = build.compiler({'CC': f'{tmp_path}/cc -m64', 'CFLAGS': '-Og'})
    assert command[:2] == [f'{tmp_path}/cc', '-m64']
    assert '-Og' in command
    assert command[-1] == f'-I{tmp_path}'


def test_tools_are_fetched_only_for_a_wheel_that_may_be_compiled(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, 'compiler', lambda: ['cc'])
    unasked = hook(build, tmp_path).dependencies()
    assert [tool.split('>')[0] for tool in unasked] == ['mypy', 'setuptools']
    assert all('python_version' in tool for tool in unasked)
    assert hook(build, tmp_path, 'sdist').dependencies() == []
    monkeypatch.setenv(build.REQUEST, '0')
    assert hook(build, tmp_path).dependencies() == []
    monkeypatch.delenv(build.REQUEST)
    monkeypatch.setattr(build, 'compiler', lambda: None)
    assert hook(build, tmp_path).dependencies() == []
    monkeypatch.setenv(build.REQUEST, '1')
    assert hook(build, tmp_path).dependencies() == build.TOOLS


@pytest.mark.parametrize('word', [None, '1'])
def test_what_was_compiled_goes_into_the_wheel(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str | None
) -> None:
    def compile_into(folder: Path, required: bool) -> list[Path]:
        assert required is (word == '1')
        (folder / 'tailrace').mkdir()
        made = [folder / 'tailrace' / '_tick.so', folder / 'group.so']
        for path in made:
            path.touch()
        return made

    monkeypatch.setattr(build, 'compile_into', compile_into)
    if word is not None:
        monkeypatch.setenv(build.REQUEST, word)
    data = wheel(hook(build, tmp_path))
    assert sorted(data['force_include'].values()) == ['group.so', 'tailrace/_tick.so']
    assert data['infer_tag'] is True
    assert data['pure_python'] is False


def test_nothing_compiled_is_a_pure_wheel(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, 'compile_into', lambda folder, required: [])
    assert wheel(hook(build, tmp_path)) == PURE


def test_pure_by_request_and_where_nothing_is_compiled(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, 'compile_into', pytest.fail)
    assert wheel(hook(build, tmp_path), 'editable') == PURE
    assert wheel(hook(build, tmp_path, 'sdist')) == PURE
    monkeypatch.setenv(build.REQUEST, '0')
    assert wheel(hook(build, tmp_path)) == PURE


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob('*')
        if path.is_file()
    }


@pytest.mark.parametrize('compiled', [False, True])
def test_an_installation_leaves_nothing_behind_in_the_checkout(
    tmp_path: Path, compiled: bool
) -> None:
    """`pip install .`, with a compiler that makes empty files, and without mypyc."""
    hatchling = pytest.importorskip('hatchling')
    checkout = tmp_path / 'checkout'
    unwanted = shutil.ignore_patterns('__pycache__', '*.so')
    shutil.copytree(ROOT / 'src', checkout / 'src', ignore=unwanted)
    for name in ('pyproject.toml', 'hatch_build.py', 'README.md', 'LICENSE'):
        shutil.copy(ROOT / name, checkout)
    compiler = tmp_path / 'cc'
    last = 'for last; do :; done; : >"$last"' if compiled else 'exit 1'
    compiler.write_text(f'#!/bin/sh\n{last}\n')
    compiler.chmod(0o755)
    (tmp_path / 'first').mkdir()
    (tmp_path / 'first' / 'mypyc.py').write_text('raise ImportError\n')
    there = tmp_path / 'there'
    before = contents(checkout)
    environment = {
        **{name: value for name, value in os.environ.items() if name != 'TAILRACE_COMPILE'},
        'CC': str(compiler),
        'TMPDIR': str(tmp_path),
        'PYTHONPATH': f'{tmp_path / "first"}{os.pathsep}{Path(hatchling.__file__).parent.parent}',
    }
    done = subprocess.run(
        [
            *(sys.executable, '-m', 'pip', 'install', '--no-deps', '--no-build-isolation'),
            *('--no-index', '--quiet', '--target', str(there), '.'),
        ],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(list(there.glob('tailrace/_handles/_kernel.*.so'))) == compiled
    assert contents(checkout) == before
    assert list(tmp_path.glob('tailrace-*')) == []


def steps(build: ModuleType, monkeypatch: pytest.MonkeyPatch, *wrong: str) -> None:
    """Steps that make a file each, or fail."""

    def step(name: str) -> Any:
        def run(folder: Path) -> None:
            (folder / f'{name}.so').touch()
            if name in wrong:
                raise subprocess.CalledProcessError(1, name)

        return run

    monkeypatch.setattr(build, 'copy_into', lambda folder: None)
    for name in ('compile_kernel', 'compile_modules'):
        monkeypatch.setattr(build, name, step(name))


def test_a_failed_step_is_told_and_what_was_before_it_stays(
    build: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def made(*wrong: str, required: bool = False) -> list[str]:
        folder = tmp_path / '+'.join(('wrong', *wrong))
        folder.mkdir(exist_ok=True)
        steps(build, monkeypatch, *wrong)
        return [path.name for path in build.compile_into(folder, required)]

    assert made() == ['compile_kernel.so', 'compile_modules.so']
    assert capsys.readouterr().err == ''
    assert made('compile_modules') == ['compile_kernel.so']
    assert 'what is written in C alone is compiled' in capsys.readouterr().err
    assert made('compile_kernel') == []
    assert 'nothing is compiled' in capsys.readouterr().err
    for step in ('compile_kernel', 'compile_modules'):
        with pytest.raises(subprocess.CalledProcessError):
            made(step, required=True)


def test_no_compiler_is_a_failed_step(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, 'compiler', lambda: None)
    with pytest.raises(RuntimeError, match='no C compiler'):
        build.compile_kernel(tmp_path)


def test_the_sources_are_not_compiled_in_place(build: ModuleType) -> None:
    with pytest.raises(ValueError, match='compiled in a copy'):
        build.compile_into(ROOT / 'src')


def test_every_compiled_module_is_there(build: ModuleType) -> None:
    package = ROOT / 'src' / 'tailrace'
    for name in build.MODULES:
        assert (package / f'{name}.py').is_file(), name
    for name in build.KERNELS:
        assert (package / f'{name}.c').is_file(), name
        assert (package / f'{name}.pyi').is_file(), name


def test_types_are_checked_without_the_packages_of_the_extras() -> None:
    """A wheel is built in an environment that has none of them; compiling checks the types first.

    pytest is left out: only the plugin imports it, which no compiled module does.
    """
    found: set[str] = set()
    for path in (ROOT / 'src').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text('utf-8'))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.partition('.')[0])
    own = {'pytest', 'tailrace', 'mypy_extensions', 'typing_extensions'}  # two come with mypy
    foreign = found - sys.stdlib_module_names - own
    settings = tomllib.loads((ROOT / 'pyproject.toml').read_text('utf-8'))['tool']['mypy']
    allowed = {
        name.partition('.')[0]
        for override in settings['overrides']
        if override.get('ignore_missing_imports')
        for name in override['module']
    }
    assert foreign
    assert foreign <= allowed, 'add these to [[tool.mypy.overrides]] in pyproject.toml'
