"""The types that users see, checked by mypy and, where it is installed, by pyright."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent.parent / 'src'

#: Checking the whole package takes a while on a busy machine.
pytestmark = pytest.mark.timeout(300)


def run(*command: object, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        check=False,
    )


def pyright() -> str:
    """The program; a first call may fetch it, so one that does not start is as good as none."""
    beside = Path(sys.executable).with_name('pyright')
    found = str(beside) if beside.exists() else shutil.which('pyright')
    if found is None or run(found, '--version').returncode:
        pytest.skip('pyright is not installed')
    return found


def test_mypy_sees_what_users_should_see(tmp_path: Path) -> None:
    pytest.importorskip('mypy')
    done = run(
        *(sys.executable, '-m', 'mypy', '--strict', '--config-file=', '--follow-imports=silent'),
        *('--python-version=3.11', f'--cache-dir={tmp_path}', HERE / 'users.py'),
        MYPYPATH=str(SOURCE),
    )
    assert (done.stdout, done.returncode) == (
        'Success: no issues found in 1 source file\n',
        0,
    ), done.stderr


def test_mypy_notices_a_wrong_expectation(tmp_path: Path) -> None:
    pytest.importorskip('mypy')
    text = (HERE / 'users.py').read_text('utf-8')
    wrong = tmp_path / 'wrong.py'
    wrong.write_text(text.replace('close_all(1000), int)', 'close_all(1000), str)'))
    done = run(
        *(sys.executable, '-m', 'mypy', '--strict', '--config-file=', '--follow-imports=silent'),
        *('--python-version=3.11', f'--cache-dir={tmp_path}', wrong),
        MYPYPATH=str(SOURCE),
    )
    assert 'not "str"' in done.stdout


def test_pyright_sees_what_users_should_see(tmp_path: Path) -> None:
    program = pyright()
    config = tmp_path / 'pyrightconfig.json'
    files = [str(HERE / name) for name in ('users.py', 'inferred.py')]
    config.write_text(
        json.dumps(
            {
                'include': files,
                'extraPaths': [str(SOURCE)],
                'pythonVersion': '3.11',
                'reportUnnecessaryTypeIgnoreComment': 'error',
            }
        )
    )
    done = run(program, '-p', config)
    assert done.returncode == 0, done.stdout


def test_every_public_type_is_known(tmp_path: Path) -> None:
    program = pyright()
    home = tmp_path / 'venv'
    venv.create(home, symlinks=True)
    packages = next(home.glob('lib/python*/site-packages'))
    shutil.copytree(SOURCE / 'tailrace', packages / 'tailrace')
    if importlib.util.find_spec('anyio') is None:  # what derives from it is unknown then
        (packages / 'tailrace/adapters/anyio.py').unlink()
        (packages / 'tailrace/_adapters/byte_stream.py').unlink()
    (packages / 'others.pth').write_text('\n'.join(site.getsitepackages()))
    path = f'{home / "bin"}{os.pathsep}{os.environ["PATH"]}'
    command = [program, '--verifytypes', 'tailrace', '--ignoreexternal']
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, 'PATH': path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 'Type completeness score: 100%' in done.stdout, done.stdout
