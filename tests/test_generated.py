"""Files that are made by tools are what the tools make."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def tool() -> ModuleType:
    """tools/typed_events.py as a module."""
    spec = importlib.util.spec_from_file_location('typed_events', ROOT / 'tools/typed_events.py')
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_typed_events_are_up_to_date(tool: ModuleType) -> None:
    assert tool.main(['--check']) == 0


def test_a_changed_file_is_noticed_and_written_again(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = {file.path: (tool.PACKAGE / file.path).read_text() for file in tool.FILES}
    monkeypatch.setattr(tool, 'PACKAGE', tmp_path)
    for name, text in right.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert tool.main(['--check']) == 0
    changed = tmp_path / tool.FILES[0].path
    changed.write_text(changed.read_text().replace('drain', 'drained'))
    assert tool.main(['--check']) == 1
    assert tool.main([]) == 0
    assert changed.read_text() == right[tool.FILES[0].path]
