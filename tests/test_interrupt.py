"""Ctrl-C at a terminal: what a user and the shell see, what a caller of run() may rely on."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from .programs import PATIENCE, environment, first_line, running

SERVER = """
from tailrace import net
def main():
    net.create_server().listen(0, lambda: print('up', flush=True))
"""
RUN = 'import tailrace\n' + SERVER + 'tailrace.run(main)\n'
CTRL_C = b'\x03'


class Terminal:
    """A program that has a terminal of its own."""

    def __init__(self, pid: int, fd: int) -> None:
        self.pid = pid
        self.fd = fd
        self.status: int | None = None
        self._said = b''

    def _more(self) -> bytes:
        if not select.select([self.fd], [], [], PATIENCE)[0]:
            raise AssertionError(f'silent for {PATIENCE} s after {self._said!r}')
        try:
            return os.read(self.fd, 4096)
        except OSError:  # EIO on Linux: nobody has the other end open any more
            return b''

    def until(self, sign: str) -> None:
        """Wait until the program has printed ``sign``."""
        while sign.encode() not in self._said:
            chunk = self._more()
            assert chunk, self._said
            self._said += chunk

    @property
    def said(self) -> str:
        """Everything that was shown so far."""
        return self._said.decode()

    def press(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def rest(self) -> str:
        """Everything that was shown, once the program has ended."""
        while chunk := self._more():
            self._said += chunk
        _, status = os.waitpid(self.pid, 0)
        self.status = os.waitstatus_to_exitcode(status)
        return self._said.decode().replace('\r\n', '\n')


@contextmanager
def terminal(words: Sequence[object]) -> Iterator[Terminal]:
    argv = [str(word) for word in words]
    pid, fd = pty.fork()
    if pid == 0:
        try:
            os.execve(argv[0], argv, environment(PS1='$ '))
        finally:
            os._exit(127)
    made = Terminal(pid, fd)
    try:
        yield made
    finally:
        if made.status is None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(fd)


def ways(folder: Path) -> dict[str, list[object]]:
    own, script, module = folder / 'own.py', folder / 'script.py', folder / 'service.py'
    own.write_text(RUN)
    script.write_text(SERVER + 'main()\n')
    module.write_text(SERVER + 'main()\n')
    root = Path(__file__).resolve().parent.parent
    command = (
        f'import sys; sys.argv[0] = "tailrace"; sys.path.insert(0, {str(root / "src")!r});'
        'from tailrace.__main__ import main; sys.exit(main())'
    )
    return {
        'run()': [sys.executable, own],
        'python -m tailrace': [sys.executable, '-m', 'tailrace', script],
        'python -m tailrace -m': [sys.executable, '-m', 'tailrace', '-m', 'service'],
        'tailrace': [sys.executable, '-c', command, script],
    }


@pytest.mark.parametrize(
    'way', ['run()', 'python -m tailrace', 'python -m tailrace -m', 'tailrace']
)
def test_ctrl_c_at_a_terminal_shows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    words = ways(tmp_path)[way]
    monkeypatch.chdir(tmp_path)
    with terminal(words) as screen:
        screen.until('up\r\n')
        screen.press(CTRL_C)
        assert screen.rest() == 'up\n^C'
        assert screen.status == -signal.SIGINT


def test_a_shell_sees_that_it_was_interrupted(tmp_path: Path) -> None:
    shell = shutil.which('sh')
    assert shell is not None
    (tmp_path / 'own.py').write_text(RUN)
    # Without the trap the shell ends too: it does after a program that died of SIGINT.
    line = f'trap : INT; {sys.executable} {tmp_path / "own.py"}; echo "status $?"'
    with terminal([shell, '-c', line]) as screen:
        screen.until('up\r\n')
        screen.press(CTRL_C)
        lines = screen.rest().splitlines()
        assert [line.strip() for line in lines if line.strip()] == ['up', '^Cstatus 130']


def interrupted(folder: Path, text: str) -> tuple[int, str, str]:
    """Status, output after the first line, and errors of a program that got one SIGINT."""
    path = folder / 'program.py'
    path.write_text(text)
    with running(['-W', 'ignore::ResourceWarning', path]) as process:
        assert first_line(process) == 'up'
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=PATIENCE)
        return process.returncode, output, errors


def test_a_caller_gets_keyboard_interrupt(tmp_path: Path) -> None:
    text = (
        'import tailrace\n' + SERVER + 'try:\n    tailrace.run(main)\n'
        'except KeyboardInterrupt as error:\n'
        '    print(type(error) is KeyboardInterrupt, error.args, error.__traceback__ is not None)\n'
        'print(tailrace.run(lambda: "once more"))\n'
    )
    assert interrupted(tmp_path, text) == (0, 'True () True\nonce more\n', '')


def test_a_caller_that_raises_it_again_stays_quiet(tmp_path: Path) -> None:
    text = (
        'import tailrace\n' + SERVER + 'try:\n    tailrace.run(main)\n'
        'finally:\n    print("bye", flush=True)\n'
    )
    assert interrupted(tmp_path, text) == (-signal.SIGINT, 'bye\n', '')


def test_what_follows_is_shown_as_ever(tmp_path: Path) -> None:
    text = (
        'import tailrace\n' + SERVER + 'try:\n    tailrace.run(main)\n'
        'except KeyboardInterrupt:\n    pass\n'
    )
    status, _, errors = interrupted(tmp_path, text + 'raise ValueError("mine")\n')
    assert status == 1
    assert errors.startswith('Traceback')
    assert errors.endswith('ValueError: mine\n')
    status, _, errors = interrupted(tmp_path, text + 'raise KeyboardInterrupt("another")\n')
    assert status == -signal.SIGINT
    assert errors.endswith('KeyboardInterrupt: another\n')


def test_an_excepthook_of_the_program_is_called(tmp_path: Path) -> None:
    text = (
        'import sys, tailrace\n' + SERVER + 'sys.excepthook = lambda *it: print(it[0].__name__)\n'
        'tailrace.run(main)\n'
    )
    assert interrupted(tmp_path, text) == (-signal.SIGINT, 'KeyboardInterrupt\n', '')


def test_cleaning_up_is_done_before_it_ends(tmp_path: Path) -> None:
    text = (
        'import asyncio, tailrace\n'
        'async def main():\n    print("up", flush=True)\n'
        '    try:\n        await asyncio.Event().wait()\n'
        '    finally:\n        print("cleaned up", flush=True)\n'
        'tailrace.run(main)\n'
    )
    assert interrupted(tmp_path, text) == (-signal.SIGINT, 'cleaned up\n', '')


def test_a_second_ctrl_c_shows_where_the_program_hangs(tmp_path: Path) -> None:
    text = (
        'import asyncio, signal, tailrace\n'
        'async def main():\n'
        '    try:\n'
        '        print("up", flush=True)\n        await asyncio.Event().wait()\n'
        '    finally:\n'
        '        print("cleaning", flush=True)\n        hang()\n'
        'def hang():\n    signal.pause()\n'
        'tailrace.run(main)\n'
    )
    path = tmp_path / 'program.py'
    path.write_text(text)
    with terminal([sys.executable, path]) as screen:
        screen.until('up\r\n')
        screen.press(CTRL_C)
        screen.until('cleaning\r\n')
        screen.press(CTRL_C)
        shown = screen.rest()
        assert 'in main\n' in shown
        assert screen.status == -signal.SIGINT
