"""tools/release.py: what it refuses, and what it makes of the version and the changelog."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOG = '# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A thing.\n\n## [0.1.0] - 2026-01-01\n'


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tool as a module, for a repository of its own."""
    spec = importlib.util.spec_from_file_location('release_tool', ROOT / 'tools' / 'release.py')
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, 'ROOT', tmp_path)
    git = ('git', '-c', 'user.name=a', '-c', 'user.email=a@example.org')
    (tmp_path / 'pyproject.toml').write_text('[project]\nversion = "0.1.0"\n')
    (tmp_path / 'CHANGELOG.md').write_text(LOG)
    for command in (('init', '-q'), ('add', '.'), ('commit', '-q', '-m', 'x'), ('tag', 'v0.1.0')):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    return module


def test_the_unreleased_part_gets_version_and_date(release: ModuleType) -> None:
    made = release.dated(LOG, '0.2.0', '2026-02-03')
    assert made == LOG.replace('[Unreleased]\n', '[Unreleased]\n\n## [0.2.0] - 2026-02-03\n')


@pytest.mark.parametrize(
    'changelog',
    ['', LOG * 2, '## [Unreleased]\n\n## [0.1.0]\n', '## [Unreleased]\n', LOG + '## [0.2.0]\n'],
)
def test_a_changelog_that_says_nothing_is_refused(release: ModuleType, changelog: str) -> None:
    with pytest.raises(release.Refused, match=r'CHANGELOG'):
        release.dated(changelog, '0.2.0', '2026-02-03')


def test_the_version_is_replaced_once(release: ModuleType) -> None:
    project = 'version = "0.9.0"\ntarget-version = "py311"\n'
    assert release.with_version(project, '0.10.0').startswith('version = "0.10.0"\n')


@pytest.mark.parametrize('version', ['0.0.9', '1', '1.2', 'v1.2.3', '1.2.3rc1', ''])
def test_what_is_no_later_version_is_refused(release: ModuleType, version: str) -> None:
    with pytest.raises(release.Refused):
        release.with_version('version = "0.1.0"\n', version)


def test_nothing_is_done_for_a_version_that_is_tagged(release: ModuleType) -> None:
    with pytest.raises(release.Refused, match='tag'):
        release.release('0.1.0', tests=False, commit=True)


def test_nothing_is_done_with_changes_that_are_not_committed(
    release: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / 'new').touch()
    with pytest.raises(release.Refused, match='not committed'):
        release.release('0.2.0', tests=False, commit=True)
    assert 'version = "0.1.0"' in (tmp_path / 'pyproject.toml').read_text()


def test_a_failed_gate_changes_nothing(release: ModuleType, tmp_path: Path) -> None:
    (tmp_path / 'test').write_text('#!/bin/sh\nexit 3\n')
    (tmp_path / 'test').chmod(0o755)
    (tmp_path / '.gitignore').write_text('test\n.gitignore\n')
    with pytest.raises(release.Refused, match='status 3'):
        release.release('0.2.0', tests=True, commit=True)
    assert (tmp_path / 'CHANGELOG.md').read_text() == LOG
