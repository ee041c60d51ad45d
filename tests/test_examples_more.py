"""The programs in examples/, run as a reader runs them, with real clients, on both loops.

Each prints where it listens on its first line and ends by itself on SIGINT and SIGTERM.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .programs import ROOT, environment, first_line, python_path, running

EXAMPLES = ROOT / 'examples'
#: The longest anything may take, in seconds.
PATIENCE = 20

pytestmark = pytest.mark.skipif(os.name == 'nt', reason='the examples handle POSIX signals')


class Program:
    """An example that runs."""

    def __init__(self, loop_kind: str, name: str, *arguments: object) -> None:
        self.complaints = tempfile.TemporaryFile('w+')  # noqa: SIM115  closed by dispose()
        self.process = subprocess.Popen(
            [sys.executable, '-W', 'error', EXAMPLES / name, *map(str, arguments)],
            env=environment(PYTHONPATH=python_path(loop_kind)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.complaints,
            text=True,
        )
        self.first = ''

    def line(self) -> str:
        """Its next line."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip('\n')

    def listening(self) -> Program:
        """Wait for the first line."""
        self.first = self.line()
        assert self.first.startswith('listening on '), self.first
        return self

    @property
    def port(self) -> int:
        return int(self.first.split()[2].rpartition(':')[2])

    def connect(self) -> socket.socket:
        return socket.create_connection(('127.0.0.1', self.port), PATIENCE)

    def end(self, number: int = signal.SIGTERM) -> str:
        """Send a signal; what it printed in the end. It must end well and complain of nothing."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> str:
        assert self.process.stdout is not None
        out = self.process.stdout.read()  # not communicate(): lines were read before
        self.process.wait(PATIENCE)
        self.complaints.seek(0)
        assert (self.process.returncode, self.complaints.read()) == (0, '')
        return out

    def dispose(self) -> None:
        """Leave nothing of it."""
        self.process.kill()
        self.process.communicate()
        self.complaints.close()


Start = Callable[..., Program]


def starting(loop_kind: str) -> Iterator[Start]:
    """Gives what starts an example; none outlives it."""
    running: list[Program] = []

    def begin(name: str, *arguments: object) -> Program:
        running.append(Program(loop_kind, name, *arguments))
        return running[-1]

    yield begin
    for program in running:
        program.dispose()


@pytest.fixture
def start(loop_kind: str) -> Iterator[Start]:
    """Starts an example; none outlives the test."""
    yield from starting(loop_kind)


def until(sock: socket.socket, sign: bytes) -> bytes:
    out = b''
    while not out.endswith(sign):
        chunk = sock.recv(1)
        assert chunk, out
        out += chunk
    return out


def all_of(sock: socket.socket) -> bytes:
    out = b''
    while chunk := sock.recv(65536):
        out += chunk
    return out


def converse(sock: socket.socket, *sayings: tuple[bytes, bytes]) -> None:
    """Send each first part and expect each second."""
    for said, heard in sayings:
        sock.sendall(said)
        assert until(sock, b'\n') == heard


SERVERS = [
    ('chat.py',),
    ('line_protocol.py',),
    ('tcp_proxy.py', '127.0.0.1', '9'),
    ('control_socket.py', 'serve', '{folder}/control'),
    ('file_transfer.py', 'receive', '{folder}'),
    ('graceful_restart.py',),
]


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('command', SERVERS, ids=[command[0] for command in SERVERS])
def test_signal_ends_it(
    command: tuple[str, ...], number: int, start: Start, tmp_path: Path
) -> None:
    name, *arguments = (word.format(folder=tmp_path) for word in command)
    program = start(name, *arguments).listening()
    if name == 'graceful_restart.py':
        assert program.line().endswith(' listens')
    program.end(number)
    assert list(tmp_path.iterdir()) == []


def test_every_example_says_what_it_shows() -> None:
    for path in sorted(EXAMPLES.glob('*.py')):
        text = path.read_text('utf-8')
        assert text.startswith('"""'), path.name
        assert f'examples/{path.name}' in text, path.name


# -- chat ---------------------------------------------------------------------------------------


def test_chat(start: Start) -> None:
    program = start('chat.py').listening()
    with program.connect() as one, program.connect() as two:
        assert until(one, b'\n') == b'* guest 1 is here\n'
        until(one, b'\n'), until(two, b'\n')
        converse(one, (b'/name ann\n', b'* guest 1 is ann now\n'))
        assert until(two, b'\n') == b'* guest 1 is ann now\n'
        converse(two, (b'/who\n', b'* ann, guest 2\n'), (b'/name ann\n', b'* that name is taken\n'))
        one.sendall(b'hi\n')
        assert until(two, b'\n') == b'ann: hi\n'
        two.sendall(b'/quit\n')
        assert all_of(two) == b'* goodbye\n'  # and not ended here: the server does
        assert until(one, b'\n') == b'* guest 2 has left\n'
        program.process.send_signal(signal.SIGINT)
        assert all_of(one) == b'* goodbye\n'
    assert program.ended() == ''


def test_chat_gives_up_who_does_not_read(start: Start) -> None:
    program = start('chat.py').listening()
    with socket.socket() as deaf, program.connect() as loud:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(('127.0.0.1', program.port))
        until(loud, b'2 is here\n')
        loud.settimeout(0)
        heard = b''
        deadline = time.monotonic() + PATIENCE
        while b'guest 2 has left' not in heard:
            assert time.monotonic() < deadline
            try:
                loud.send(b'x' * 999 + b'\n')
            except BlockingIOError:
                pass
            try:
                heard += loud.recv(65536)
            except BlockingIOError:
                pass
    program.end()


# -- lines --------------------------------------------------------------------------------------


def reset(sock: socket.socket) -> None:
    """Close with a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
    sock.close()


@pytest.mark.parametrize('name', ['chat.py', 'line_protocol.py'])
def test_reset_is_survived(name: str, start: Start) -> None:
    program = start(name).listening()
    reset(program.connect())
    assert 'ECONNRESET' in program.line()
    program.connect().close()
    program.end()


def test_line_protocol_ends_open_connections(start: Start) -> None:
    program = start('line_protocol.py').listening()
    with program.connect() as sock:
        converse(sock, (b'GET a\n', b'NONE\n'))
        program.end()
        assert all_of(sock) == b''


def test_line_protocol(start: Start) -> None:
    program = start('line_protocol.py').listening()
    with program.connect() as sock:
        converse(sock, (b'SET a b c\n', b'OK\n'), (b'GET a\r\n', b'VALUE b c\n'))
        converse(sock, (b'DEL a\n', b'OK\n'), (b'GET a\n', b'NONE\n'), (b'?\n', b'ERROR what?\n'))
        sock.sendall(b'SET k 1\nKEYS\nQUIT\nKEYS\n')
        assert all_of(sock) == b'OK\nVALUE k\n'
    with program.connect() as sock:
        sock.sendall(b'GET k\n' * 1000)
        sock.shutdown(socket.SHUT_WR)
        assert all_of(sock) == b'VALUE 1\n' * 1000
    with program.connect() as sock:
        sock.sendall(b'x' * 5000)
        assert all_of(sock) == b'ERROR the line is too long\n'
    program.end()


# -- proxy --------------------------------------------------------------------------------------


@pytest.fixture
def target() -> Iterator[socket.socket]:
    with socket.create_server(('127.0.0.1', 0)) as server:
        server.settimeout(PATIENCE)
        yield server


def test_proxy_passes_bytes_and_ends_both_ways(start: Start, target: socket.socket) -> None:
    program = start('tcp_proxy.py', '127.0.0.1', target.getsockname()[1]).listening()
    with program.connect() as client:
        client.sendall(b'question')
        client.shutdown(socket.SHUT_WR)
        inner, _ = target.accept()
        with inner:
            inner.settimeout(PATIENCE)
            assert all_of(inner) == b'question'  # the end came through, the other way is open
            inner.sendall(b'answer')
        assert all_of(client) == b'answer'
    program.end()


def test_proxy_holds_a_sender_back(start: Start, target: socket.socket) -> None:
    """While the target does not read, only what the buffers take is accepted."""
    program = start('tcp_proxy.py', '127.0.0.1', target.getsockname()[1]).listening()
    block = bytes(1 << 16)
    with program.connect() as client:
        client.sendall(b'x')
        inner, _ = target.accept()
        with inner:
            inner.settimeout(PATIENCE)
            client.settimeout(1)
            sent = 1
            try:
                while sent < 1 << 28:
                    sent += client.send(block)
            except TimeoutError:
                pass
            assert sent < 1 << 28
            client.settimeout(PATIENCE)
            client.shutdown(socket.SHUT_WR)
            assert len(all_of(inner)) == sent
    program.end()


def test_proxy_limits(start: Start, target: socket.socket) -> None:
    program = start('tcp_proxy.py', '127.0.0.1', target.getsockname()[1], '--max', 1).listening()
    with program.connect() as one:
        one.sendall(b'x')
        accepted, _ = target.accept()
        # With a byte unread, close(2) would send a reset, which the proxy tells of.
        assert accepted.recv(1) == b'x'
        accepted.close()
        assert all_of(one) == b''
    with program.connect() as one:
        one.sendall(b'x')
        inner, _ = target.accept()
        with inner, program.connect() as two:
            assert all_of(two) == b''
            assert program.line() == 'full: 127.0.0.1 dropped'
    program.end()


def test_proxy_blocks(start: Start) -> None:
    program = start('tcp_proxy.py', '127.0.0.1', 9, '--block', '127.0.0.0/8').listening()
    with program.connect() as client:
        assert all_of(client) == b''
    assert program.line() == 'blocked: 127.0.0.1 rejected'
    program.end()


def test_proxy_ends_what_is_idle(start: Start, target: socket.socket) -> None:
    port = target.getsockname()[1]
    program = start('tcp_proxy.py', '127.0.0.1', port, '--idle', 50).listening()
    with program.connect() as client:
        inner, _ = target.accept()
        with inner:
            inner.settimeout(PATIENCE)
            assert all_of(inner) == b''
            assert all_of(client) == b''
    assert program.line().endswith(': idle')
    program.end()


def test_proxy_without_target(start: Start) -> None:
    with socket.socket() as bound:
        bound.bind(('127.0.0.1', 0))
        program = start('tcp_proxy.py', '127.0.0.1', bound.getsockname()[1]).listening()
        with program.connect() as client:
            assert all_of(client) == b''
        assert 'ECONNREFUSED' in program.line()
    program.end()


# -- control socket -----------------------------------------------------------------------------


def test_control_socket(start: Start, tmp_path: Path) -> None:
    path = tmp_path / 'control'

    def ask(*words: str) -> str:
        return start('control_socket.py', 'ask', path, *words).ended()

    program = start('control_socket.py', 'serve', path).listening()
    assert re.fullmatch(r'\{"ok": \{"count": \d+, "pace": 1000\}\}\n', ask('status'))
    assert ask('pace', '7') == '{"ok": 7}\n'
    assert '"pace": 7' in ask('status')
    assert ask('dance').startswith('{"error"')
    second = start('control_socket.py', 'serve', path)
    assert second.ended() == f'{path} is in use\n'
    assert ask('stop') == '{"ok": "stopping"}\n'
    program.ended()
    assert not path.exists()


def test_control_socket_without_a_server(start: Start, tmp_path: Path) -> None:
    program = start('control_socket.py', 'ask', tmp_path / 'control', 'status')
    assert program.process.wait(PATIENCE) == 1
    program.complaints.seek(0)
    assert program.complaints.read().startswith('connect ENOENT ')


def test_control_socket_left_over(start: Start, tmp_path: Path) -> None:
    path = tmp_path / 'control'
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    program = start('control_socket.py', 'serve', path).listening()
    program.end()
    assert not path.exists()


# -- files --------------------------------------------------------------------------------------


def test_file_transfer(start: Start, tmp_path: Path) -> None:
    folder, source = tmp_path / 'in', tmp_path / 'data.bin'
    folder.mkdir()
    data = os.urandom(3 << 20)
    source.write_bytes(data)
    program = start('file_transfer.py', 'receive', folder).listening()
    out = start('file_transfer.py', 'send', '127.0.0.1', program.port, source).ended()
    said = out.splitlines()
    assert said[-1] == f'received {hashlib.sha256(data).hexdigest()}'
    assert 'sending data.bin: 100 %' in said
    assert (folder / 'data.bin').read_bytes() == data
    assert 'receiving data.bin: 100 %' in program.end()


def test_file_transfer_says_why_nothing_was_sent(start: Start, tmp_path: Path) -> None:
    program = start('file_transfer.py', 'send', '127.0.0.1', 9, tmp_path / 'none')
    assert program.process.wait(PATIENCE) == 1
    program.complaints.seek(0)
    assert program.complaints.read().startswith('not sent: [Errno 2] ')


def test_file_transfer_empty_and_broken(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / 'in'
    folder.mkdir()
    program = start('file_transfer.py', 'receive', folder).listening()
    with program.connect() as sock:
        sock.sendall(b'{"name": "../../none", "size": 0}\n')
        sock.shutdown(socket.SHUT_WR)
        assert all_of(sock).decode().strip() == hashlib.sha256().hexdigest()
    for text in (
        b'{"name": "a", "size": 5}\nabc',
        b'{}\n',
        b'x\n',
        b'{"name": "a", "size": 1}\nab',
    ):
        with program.connect() as sock:
            sock.sendall(text)
            sock.shutdown(socket.SHUT_WR)
            assert all_of(sock).startswith(b'error: ')
    with program.connect() as sock:
        sock.sendall(b'{"name": "b", "size": 5}\nabc')
        while not (folder / 'b.part').exists():
            time.sleep(0.01)
        program.end()
    assert [path.name for path in folder.iterdir()] == ['none']
    assert [path.name for path in tmp_path.iterdir()] == ['in']


# -- scanner ------------------------------------------------------------------------------------


def test_port_scanner_finds_its_own_servers(start: Start) -> None:
    program = start('port_scanner.py', '--events').listening()
    only_v4, both = (int(place.rpartition(':')[2]) for place in program.first.split()[2:])
    out = program.ended()
    events = [line.split(': ')[1] for line in out.splitlines() if line.startswith(f'{only_v4}: ')]
    assert events[0] == 'trying ::1'
    assert events[1].startswith('no ::1 ')
    assert events[2:] == ['trying 127.0.0.1', 'connected to 127.0.0.1']
    assert f'{only_v4} is open at 127.0.0.1\n' in out
    assert f'{both} is open at ' in out
    assert out.endswith('2 of 2 ports are open\n')


def test_port_scanner_range(start: Start, target: socket.socket) -> None:
    port = target.getsockname()[1]
    out = start('port_scanner.py', port, port).ended()
    assert out == f'{port} is open at 127.0.0.1\n1 of 1 ports are open\n'


def test_port_scanner_is_ended(start: Start) -> None:
    program = start('port_scanner.py', 1, 65535, '--events')
    assert ': trying ::1' in program.line()
    assert program.end().endswith(' of 65535 ports are open\n')


# -- restart ------------------------------------------------------------------------------------


def test_graceful_restart_loses_no_connection(start: Start) -> None:
    program = start('graceful_restart.py').listening()
    parent = int(program.first.split()[-1])
    first = program.line().split()[1]
    with program.connect() as old:
        converse(old, (b'a\n', f'{first}: a\n'.encode()))
        os.kill(parent, signal.SIGHUP)
        second = program.line().split()[1]
        assert second != first
        # The old worker goes on with its connection, the new one has the new ones.
        deadline = time.monotonic() + PATIENCE
        while True:
            with program.connect() as new:
                new.sendall(b'b\n')
                who, _, said = until(new, b'\n').decode().partition(': ')
            assert said == 'b\n'
            if who == second:
                break
            assert time.monotonic() < deadline
        converse(old, (b'c\n', f'{first}: c\n'.encode()))
    assert program.line() == f'worker {first} has ended'
    assert f'worker {second} has ended' in program.end()


# -- systemd ------------------------------------------------------------------------------------


def test_systemd_service_by_hand() -> None:
    with running([EXAMPLES / 'systemd_service.py', 0]) as process:
        host, _, port = first_line(process).rpartition(' ')[2].rpartition(':')
        with socket.create_connection((host, int(port)), timeout=20) as sock:
            converse(sock, (b'hello\n', b'hello\n'))
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output, errors) == (0, '', '')


@pytest.mark.skipif(
    shutil.which('systemd-analyze') is None
    and not (os.environ.get('CI') and sys.platform == 'linux'),
    reason='systemd-analyze is not installed',
)
def test_the_unit_files_are_right(tmp_path: Path) -> None:
    service = (EXAMPLES / 'systemd' / 'echo.service').read_text('utf-8')
    (tmp_path / 'echo.service').write_text(
        service.replace('/usr/bin/python3 /srv/echo/systemd_service.py', sys.executable)
    )
    (tmp_path / 'echo.socket').write_text((EXAMPLES / 'systemd' / 'echo.socket').read_text('utf-8'))
    units = [tmp_path / 'echo.service', tmp_path / 'echo.socket']
    done = subprocess.run(
        ['systemd-analyze', 'verify', *units], capture_output=True, text=True, timeout=60
    )
    complaints = [line for line in done.stderr.splitlines() if 'echo.s' in line]
    assert complaints == []
