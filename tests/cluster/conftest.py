"""Programs in processes of their own, and the promise that none of them is left running.

``program(source)`` writes a script that may use ``kit``, runs it with ``python`` in a session of
its own and on the loop under test, and gives what it and its children said. ``start`` gives the
running process for tests that talk to it. Whatever happens, the whole session is killed in the end;
a test that passed fails if that hit anybody, or if anything was written to stderr.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent.parent / 'src'
#: Seconds that a program may take.
PATIENCE = 30

HEADER = """
import os, sys, signal, socket
import tailrace
from tailrace import child_process, cluster, net, process
from kit import say, heard, go, new_loop
"""


def members(group: int) -> list[int]:
    """The living processes of a group; zombies wait for init and are none of ours."""
    if sys.platform != 'linux':
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return []
        return [group]
    out = []
    for path in Path('/proc').glob('[0-9]*/stat'):
        try:
            # proc(5): pid (comm) state ppid pgrp; comm may have spaces and parentheses.
            state, _, pgrp = path.read_text().rpartition(')')[2].split()[:3]
        except OSError:
            continue
        if int(pgrp) == group and state not in 'ZX':
            out.append(int(path.parent.name))
    return out


class Program:
    """A running script."""

    def __init__(self, path: Path, kind: str, env: dict[str, str], args: tuple[str, ...]) -> None:
        full = {
            **os.environ,
            'PYTHONPATH': os.pathsep.join([str(SOURCE), str(HERE / 'kit')]),
            'TEST_LOOP': kind,
            'PYTHONDONTWRITEBYTECODE': '1',
            **env,
        }
        self.process = subprocess.Popen(
            [sys.executable, '-X', 'dev', '-W', 'error', str(path), *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            bufsize=0,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=full,
            cwd=path.parent,
        )

    def hear(self) -> list:
        """The next line that somebody said."""
        if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
            pytest.fail('nobody says anything')
        line = self.process.stdout.readline()
        if not line:
            pytest.fail(f'the program ended: {self.process.stderr.read().decode()}')
        return json.loads(line)

    def hear_until(self, *words: object) -> list[list]:
        """All lines up to and with the one that begins with these words."""
        out = [self.hear()]
        while out[-1][: len(words)] != list(words):
            out.append(self.hear())
        return out

    def end(self, errors: bool = False, status: int = 0) -> list[list]:
        """Wait for the end; the lines that were not heard yet."""
        out, err = self.process.communicate(timeout=PATIENCE)
        if not errors:
            assert err.decode() == ''
            assert self.process.returncode == status
        self.stderr = err.decode()
        return [json.loads(line) for line in out.splitlines()]

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def sweep(self) -> bool:
        """Kill whoever is left in the session; whether there was anybody."""
        alive = self.process.poll() is None
        deadline = time.monotonic() + (0 if alive else 5)
        # Orphans close stdout a moment before they are gone.
        while (left := bool(members(self.process.pid))) and time.monotonic() < deadline:
            time.sleep(0.01)
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        if alive:
            self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            pipe.close()
        return left or alive


@pytest.fixture
def start(
    tmp_path: Path, loop_kind: str, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Program]]:
    programs: list[Program] = []

    def run(source: str, *args: str, **env: str) -> Program:
        path = tmp_path / f'program{len(programs)}.py'
        path.write_text(HEADER + textwrap.dedent(source))
        programs.append(Program(path, loop_kind, env, args))
        return programs[-1]

    yield run
    left = [program.process.pid for program in programs if program.sweep()]
    if left:
        pytest.fail(f'processes were left running in sessions {left}', pytrace=False)


@pytest.fixture
def program(start: Callable[..., Program]) -> Callable[..., list[list]]:
    def run(source: str, *args: str, **env: str) -> list[list]:
        return start(source, *args, **env).end()

    return run
