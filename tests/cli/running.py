"""The command in a process of its own, with pipes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..programs import PATIENCE, environment, python_path

__all__ = ['Command', 'command', 'words']


def words(*arguments: object) -> list[str]:
    """The command line."""
    return [sys.executable, '-W', 'error', '-m', 'tailrace', *map(str, arguments)]


class Command:
    """A command that runs."""

    def __init__(
        self, loop_kind: str, arguments: tuple[object, ...], given: dict[str, Any]
    ) -> None:
        self.process = subprocess.Popen(
            words(*arguments),
            env=environment(PYTHONPATH=python_path(loop_kind)),
            stdin=given.get('stdin', subprocess.PIPE),
            stdout=given.get('stdout', subprocess.PIPE),
            stderr=subprocess.PIPE,
            bufsize=0,  # communicate() must find what follows a line
        )

    def say(self, data: bytes, end: bool = False) -> None:
        """Give it input."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        if end:
            self.process.stdin.close()

    def line(self, name: str = 'stdout') -> str:
        """Its next line."""
        line: bytes = getattr(self.process, name).readline()
        return line.decode().rstrip('\n')

    def listening(self, name: str = 'stdout') -> Any:
        """Where it listens, by its first line: a port, or the path."""
        line = self.line(name)
        assert line.startswith('listening on '), line + self.errors()
        place = line.removeprefix('listening on ')
        return place if '/' in place else int(place.rpartition(':')[2])

    def errors(self) -> str:
        """What it complains of, once it has ended."""
        self.process.wait(PATIENCE)
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()

    def ended(self, data: bytes = b'') -> tuple[int, bytes, str]:
        """Give it its last input; status, output and complaints."""
        if self.process.stdin is not None and self.process.stdin.closed:
            self.process.stdin = None
        out, errors = self.process.communicate(data, timeout=PATIENCE)
        return self.process.returncode, out, errors.decode()

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, list[str], str]:
        """Send a signal; status, lines of output and complaints."""
        self.process.send_signal(number)
        status, out, errors = self.ended()
        return status, out.decode().splitlines(), errors


@contextmanager
def command(*arguments: object, loop_kind: str = 'asyncio', **given: Any) -> Iterator[Command]:
    """Start the command; killed at the end if it still runs."""
    made = Command(loop_kind, arguments, given)
    try:
        yield made
    finally:
        process = made.process
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None and not pipe.closed:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass  # input that nobody has read
