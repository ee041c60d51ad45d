"""The project's own commands: how they find an interpreter, and what they install."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """tools/environment.py as a module, with a project of its own in a fresh folder."""
    spec = importlib.util.spec_from_file_location('made_up', ROOT / 'tools' / 'environment.py')
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, 'ROOT', tmp_path)
    (tmp_path / 'pyproject.toml').write_text(
        '[dependency-groups]\nless = ["b>=2"]\nmore = ["a", {include-group = "less"}, "c"]\n'
    )
    return module


def test_groups_are_read_without_pip(environment: ModuleType) -> None:
    assert environment.group('more') == ['a', 'b>=2', 'c']
    with pytest.raises(KeyError):
        environment.group('unknown')


def test_stamp_changes_with_what_it_stands_for(environment: ModuleType) -> None:
    def stamp(**given: list[str]) -> str:
        found: str = environment.stamp(
            Namespace(**{'extra': [], 'group': [], 'maybe_group': [], **given})
        )
        return found

    first = stamp()
    assert stamp() == first
    assert len({first, stamp(extra=['more']), stamp(group=['more'])}) == 3
    with (environment.ROOT / 'pyproject.toml').open('a') as project:
        project.write('# changed\n')
    assert stamp() != first


@pytest.mark.skipif(os.name == 'nt', reason='the commands are shell scripts')
@pytest.mark.parametrize('command', ['run', 'test', '.ci/run'])
def test_command_refuses_an_unfit_interpreter(command: str, tmp_path: Path) -> None:
    """An interpreter that is too old is as good as none, and is not replaced in silence."""
    old = tmp_path / 'old-python'
    old.write_text('#!/bin/sh\nexit 1\n')
    old.chmod(0o755)
    done = subprocess.run(
        [ROOT / command],
        env={**os.environ, 'PYTHON': str(old)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith('tailrace needs Python 3.11 or newer')
    assert str(old) in done.stderr


@pytest.mark.skipif(os.name == 'nt', reason='the commands are shell scripts')
@pytest.mark.parametrize('broken', ['none', 'ruff', 'mypy', 'pyright', 'pytest', 'sphinx'])
def test_every_gate_runs_and_counts(broken: str, tmp_path: Path) -> None:
    """./test with an interpreter that only notes what it is asked: one failure never hides."""
    fake = tmp_path / 'python'
    fake.write_text(
        '#!/bin/sh\n'
        f'case "$*" in *environment.py*) echo "{fake}";; -c*) ;;\n'
        f'*) echo "gate: $*"; case "$2" in {broken}) exit 3;; esac;; esac\n'
    )
    fake.chmod(0o755)
    done = subprocess.run(
        [ROOT / '.ci' / 'run', '-k', 'two words'],
        env={**os.environ, 'PYTHON': str(fake)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    gates = [line for line in done.stdout.splitlines() if line.startswith('gate: -m')]
    assert gates == [
        'gate: -m ruff format --check .',
        'gate: -m ruff check .',
        'gate: -m mypy',
        f'gate: -m pyright --pythonpath {fake}',
        'gate: -m pytest -n auto --maxprocesses 4 --dist loadfile -k two words',
        'gate: -m sphinx -W --keep-going -q -b html docs build/docs',
    ]
    assert done.returncode == (0 if broken == 'none' else 1)
    assert done.stdout.count('FAILED') == {'none': 0, 'ruff': 2}.get(broken, 1)
    assert ('all gates passed' in done.stdout) == (broken == 'none')


SUITE = """
import os, pathlib

def failing_at_first(name):
    mark = pathlib.Path(__file__).with_name(name)
    if not mark.exists():
        mark.touch()
        assert False, 'the first time'

def test_good():
    pass
"""
ONCE = "def test_once():\n    failing_at_first('once')\n"
ONCE_IN_A_FIXTURE = """
import pytest
@pytest.fixture
def fixture():
    yield
    failing_at_first('fixture')
def test_with_it(fixture):
    pass
"""
ALWAYS = 'def test_always():\n    assert False\n'
LATER = 'def test_later():\n    assert False\n'
LEAVES = 'def test_leaves():\n    os._exit(1)\n'


@pytest.mark.skipif(os.name == 'nt', reason='the commands are shell scripts')
@pytest.mark.parametrize(
    ('suite', 'arguments', 'passes', 'tries'),
    [
        ('', [], True, 1),
        (ONCE, [], True, 2),
        (ONCE_IN_A_FIXTURE, [], True, 2),
        (ONCE + ONCE_IN_A_FIXTURE, [], True, 2),
        (ALWAYS, [], False, 2),
        (ONCE + ALWAYS, [], False, 2),
        (ALWAYS + ONCE, ['-k', 'once'], True, 2),
        # What stops early has not seen what comes later.
        (ONCE + LATER, ['-x'], False, 1),
        (ONCE + LATER, ['-vx'], False, 1),
        (ONCE + LATER, ['--maxfail=1'], False, 1),
        (ONCE, ['--ff'], False, 1),
        (ONCE, ['-p', 'no:cacheprovider'], False, 2),
        # Neither has what does not get to its end.
        (ONCE + LEAVES, [], False, 2),
        # Several processes tell of it as of a failure.
        ('import nowhere\n', [], False, 2),
        ('', ['-k', 'nothing'], False, 1),
    ],
)
def test_second_try_hides_no_lasting_fault(
    suite: str, arguments: list[str], passes: bool, tries: int, tmp_path: Path
) -> None:
    """The real ./test over a project of its own; the gates beside the tests always pass."""
    for name in ('test', 'tools/python.sh'):
        copy = tmp_path / name
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, copy)
    fake = tmp_path / 'python'
    fake.write_text(
        '#!/bin/sh\n'
        f'case "$*" in *environment.py*) echo "{fake}";; '
        f'"-m pytest"*) echo try; exec "{sys.executable}" "$@";; *sphinx*) exit 1;; esac\n'
    )
    fake.chmod(0o755)
    (tmp_path / 'pytest.ini').write_text('[pytest]\naddopts = -q\n')
    (tmp_path / 'test_it.py').write_text(SUITE + suite)
    # Left over from an earlier run, and good by now.
    cache = tmp_path / '.pytest_cache' / 'v' / 'cache' / 'lastfailed'
    cache.parent.mkdir(parents=True)
    cache.write_text('{"test_it.py::test_good": true}')
    done = subprocess.run(
        [tmp_path / 'test', *arguments],
        env={
            **os.environ,
            'PYTHON': str(fake),
            'PYTEST_DISABLE_PLUGIN_AUTOLOAD': '1',
            'PYTEST_PLUGINS': 'xdist.plugin',
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines().count('try') == tries
    assert done.returncode == (0 if passes else 1)
    assert ('  FAILED  tests' in done.stdout) is not passes


@pytest.mark.skipif(os.name == 'nt', reason='the commands are shell scripts')
@pytest.mark.parametrize(('missing', 'gate'), [('sphinx', 'docs'), ('pyright', 'types, pyright')])
def test_absent_tool_is_told(missing: str, gate: str, tmp_path: Path) -> None:
    """Without Sphinx or pyright the other gates count; the summary says what was left out."""
    fake = tmp_path / 'python'
    fake.write_text(
        '#!/bin/sh\n'
        f'case "$*" in *environment.py*) echo "{fake}";; -V) echo fake;;\n'
        f'-c*{missing}*) exit 1;; esac\n'
    )
    fake.chmod(0o755)
    done = subprocess.run(
        [ROOT / 'test'],
        env={**os.environ, 'PYTHON': str(fake)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert f'  absent  {gate} (' in done.stdout
    assert f'== {gate}' not in done.stdout
