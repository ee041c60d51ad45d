"""tools/mutate.py makes the mistakes that it says, and tells those that no test notices."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = b'''
LIMIT = 5

class Thing:
    size = 3

    def grow(self, by: int = 1) -> bool:
        """How it grows."""
        self.size += by
        if self.size < LIMIT and not self.full:
            tell(self.size | 2)
            return True
        return (self.size) == (LIMIT)
'''
EXPECTED = [
    'pass',
    'if not (self.size < LIMIT and not self.full):',
    'if self.size <= LIMIT and not self.full:',
    'if self.size < LIMIT or not self.full:',
    'if self.size < LIMIT and (self.full):',
    'pass',
    'tell(self.size & 2)',
    'tell(self.size | 3)',
    'return False',
]


@pytest.fixture
def tool() -> ModuleType:
    """tools/mutate.py as a module."""
    spec = importlib.util.spec_from_file_location('mutate', ROOT / 'tools' / 'mutate.py')
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_mistakes_are_made_in_code_one_at_a_time(tool: ModuleType) -> None:
    found = []
    for mistake in tool.mistakes(SOURCE):
        changed = mistake.applied(SOURCE)
        compile(changed, 'changed', 'exec')
        before, after = SOURCE.splitlines(), changed.splitlines()
        assert len(before) == len(after)
        (line,) = [n for n, pair in enumerate(zip(before, after, strict=True)) if len({*pair}) > 1]
        assert mistake.line == line + 1
        found.append(after[line].decode().strip())
    assert sorted(found) == sorted(EXPECTED)


def test_a_seed_and_lines_choose(tool: ModuleType) -> None:
    found = tool.mistakes(SOURCE)
    assert tool.wanted(found, None, 3, 1) == tool.wanted(found, None, 3, 1)
    assert len(tool.wanted(found, None, 3, 1)) == 3
    assert tool.wanted(found, None, 100, 1) == found
    assert [one.line for one in tool.wanted(found, '9-9', 100, 0)] == [9]
    assert {one.line for one in tool.wanted(found, '10', 100, 0)} == {10}


def test_what_is_not_noticed_is_shown(
    tool: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    package = tmp_path / 'src' / 'tailrace'
    package.mkdir(parents=True)
    for name in ('tests', 'tools', 'docs', 'examples'):
        (tmp_path / name).mkdir()
    (tmp_path / 'hatch_build.py').touch()
    (tmp_path / 'pyproject.toml').write_text('[tool.pytest.ini_options]\npythonpath = ["src"]\n')
    for name in ('__init__.py', 'pytest_plugin.py'):  # what pytest loads where it is installed
        (package / name).write_text('')
    functions = 'def add(a, b):\n    return a + b\n\n\ndef more():\n    return 1\n'
    (package / 'sum.py').write_text(functions)
    test = 'from tailrace.sum import add\n\ndef test_add():\n    assert add(1, 2) == 3\n'
    (tmp_path / 'tests' / 'test_sum.py').write_text(test)
    monkeypatch.setattr(tool, 'ROOT', tmp_path)
    assert tool.main(['sum.py', 'tests']) == 0
    out = capsys.readouterr().out
    assert out == ('sum.py:6\n    - return 1\n    + return 2\n2 mistakes, 1 not noticed\n')


def test_tests_that_fail_anyhow_are_no_measure(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, 'copied', lambda folder: folder)

    def noticed(*_: Any) -> bool:
        return True

    monkeypatch.setattr(tool, 'is_noticed', noticed)
    with pytest.raises(SystemExit, match='without any mistake'):
        tool.main(['_tick.py', 'tests/test_tick.py'])
