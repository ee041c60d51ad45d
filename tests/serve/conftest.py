"""Services as programs of their own: started, listened to, signalled, and always ended."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..programs import PATIENCE, environment, python_path

HEAD = """
import asyncio, os, signal, sys
import tailrace
from tailrace import net

def say(*words):
    # One call, or the lines of several workers mix.
    os.write(1, (' '.join(map(str, words)) + '\\n').encode())

def ready(servers):
    say('ready', *(server.address().port for server in servers), os.getpid())
"""


class Program:
    """A running service; its output is read line by line."""

    def __init__(self, path: Path, env: dict[str, str], *before: str) -> None:
        self.process = subprocess.Popen(
            [*before, sys.executable, '-X', 'dev', '-W', 'error', str(path)],
            env=env,
            cwd=path.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        self.errors = ''

    def line(self) -> str:
        """The next line that it prints."""
        out = self.process.stdout
        assert out is not None
        if not select.select([out], [], [], PATIENCE)[0]:
            pytest.fail('it says nothing')
        line = out.readline().decode()
        if not line:
            pytest.fail(f'it ended: {self.process.communicate()[1].decode()}')
        return line.strip()

    def ready(self) -> int:
        """Wait until it serves: its (first) port."""
        words = self.line().split()
        assert words[0] == 'ready', words
        return int(words[1])

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, list[str]]:
        """Its status and what it has printed since; what it wrote to stderr is in ``errors``."""
        out, err = self.process.communicate(timeout=PATIENCE)
        lines = err.decode().splitlines(True)
        # asyncio's debug mode complains of a slow machine.
        self.errors = ''.join(line for line in lines if not line.startswith('Executing <'))
        return self.process.returncode, out.decode().splitlines()

    def kill(self) -> None:
        """It, and the workers it may have."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


Start = Callable[..., Program]


@pytest.fixture
def start(tmp_path: Path, loop_kind: str) -> Iterator[Start]:
    programs: list[Program] = []

    def run(source: str, *before: str, **env: str) -> Program:
        path = tmp_path / 'program.py'
        path.write_text(HEAD + textwrap.dedent(source))
        full = environment(PYTHONPATH=python_path(loop_kind), **env)
        full.pop('NOTIFY_SOCKET', None) if 'NOTIFY_SOCKET' not in env else None
        programs.append(Program(path, full, *before))
        return programs[-1]

    yield run
    for program in programs:
        program.kill()


def connect(port: int) -> socket.socket:
    return socket.create_connection(('127.0.0.1', port), PATIENCE)


def all_of(sock: socket.socket) -> bytes:
    """Everything until the other side ends, or resets."""
    out = b''
    try:
        while chunk := sock.recv(65536):
            out += chunk
    except ConnectionResetError:
        out += b'(reset)'
    return out
