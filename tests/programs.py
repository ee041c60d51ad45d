"""Programs as subprocesses, with the package under test; always ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / 'src'
#: A folder whose presence on the path makes uvloop the loop of a program.
HOOK = ROOT / 'tests' / 'on_uvloop'
#: The longest a program may take, in seconds.
PATIENCE = 50


def python_path(loop_kind: str = 'asyncio') -> str:
    """PYTHONPATH for a program that is to run on this loop, whatever it says itself."""
    return f'{SOURCE}{os.pathsep}{HOOK}' if loop_kind == 'uvloop' else str(SOURCE)


def environment(**more: str) -> dict[str, str]:
    base = {name: value for name, value in os.environ.items() if name != 'TAILRACE_OPTIONS'}
    return {**base, 'PYTHONPATH': python_path(), 'PYTHONDONTWRITEBYTECODE': '1', **more}


def python(
    arguments: Sequence[Any], cwd: Path | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run the interpreter to the end of the program; warnings are errors in it."""
    return subprocess.run(
        [sys.executable, '-W', 'error', *map(str, arguments)],
        env=environment(**more),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


@contextmanager
def running(arguments: Sequence[Any], **more: str) -> Iterator[subprocess.Popen[str]]:
    """Start the interpreter; killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, '-W', 'error', *map(str, arguments)],
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def first_line(process: subprocess.Popen[str]) -> str:
    """The first line that the program prints; fails with its errors if it prints none."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line:
        raise AssertionError(f'it ended without a line: {process.communicate()[1]}')
    return line
