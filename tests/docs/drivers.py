"""What talks to the serving programs of the pages: real clients, by the standard library alone.

Each driver gets the running program, does what the page tells a reader to do, looks at what comes
back, and ends the program as a reader would: Ctrl-C.
"""

from __future__ import annotations

import signal
import socket
import subprocess

PORT = 8124


class Program:
    """A program of a page that runs."""

    def __init__(self, process: subprocess.Popen[str], host: str) -> None:
        self.process = process
        self.host = host

    def line(self) -> str:
        """Its next line of output."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip('\n')

    def client(self, where: str | int = PORT) -> socket.socket:
        """A connection to it, by port or path."""
        if isinstance(where, str):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(10)
            sock.connect(where)
            return sock
        return socket.create_connection((self.host, where), 10)

    def interrupt(self) -> None:
        """Ctrl-C: it ends without a traceback.

        Because ``-W error`` is on, Python may say that the process has ended with its sockets open.
        """
        self.process.send_signal(signal.SIGINT)
        _, err = self.process.communicate(timeout=20)
        rest = [line for line in err.splitlines() if 'unclosed <socket object' not in line]
        assert all(line.startswith('Exception ignored in: <socket object') for line in rest), err
        assert self.process.returncode in (0, 130, -signal.SIGINT)
        # What was looked at here is not looked at again.
        self.process.returncode = 0
        self.process.communicate = lambda *_, **__: ('', '')  # type: ignore[method-assign]


def all_of(sock: socket.socket) -> bytes:
    """Everything until the other side ends."""
    out = b''
    while chunk := sock.recv(65536):
        out += chunk
    return out


def until(sock: socket.socket, sign: bytes) -> bytes:
    """Everything up to and including ``sign``."""
    out = b''
    while not out.endswith(sign):
        chunk = sock.recv(1)
        assert chunk, out
        out += chunk
    return out


def echo(program: Program) -> None:
    """An echo server: everything comes back, then it ends."""
    program.line()
    with program.client() as sock:
        sock.sendall(b'hello\n')
        assert until(sock, b'\n') == b'hello\n'
        sock.shutdown(socket.SHUT_WR)
        assert all_of(sock) == b''
    program.interrupt()


def readme_echo(program: Program) -> None:
    """The echo server of the README, which prints who connects and when it closes."""
    assert program.line() == 'listening on 8124'
    with program.client() as sock:
        assert program.line().startswith('connected: 127.')
        sock.sendall(b'hello\n')
        assert until(sock, b'\n') == b'hello\n'
    assert program.line() == 'closed'
    program.interrupt()


def numbered(program: Program) -> None:
    """Lines come back with their numbers, however they were cut."""
    program.line()
    with program.client() as sock:
        for piece in (b'on', b'e\ntw', b'o\n\xc3', b'\xa4\n'):
            sock.sendall(piece)
        assert until(sock, b'3: \xc3\xa4\n') == b'1: one\n2: two\n3: \xc3\xa4\n'
    program.interrupt()


def talk(program: Program) -> tuple[socket.socket, socket.socket]:
    """Two guests who have met and talked."""
    program.line()
    one = program.client()
    assert until(one, b'\n') == b'* guest 1 is here\n'
    two = program.client()
    for sock in (one, two):
        assert until(sock, b'\n') == b'* guest 2 is here\n'
    one.sendall(b'hi\n')
    assert until(two, b'\n') == b'guest 1: hi\n'
    two.sendall(b'hello\n')
    assert until(one, b'\n') == b'guest 2: hello\n'
    return one, two


def chat_of_two(program: Program) -> None:
    """Two guests; one leaves."""
    one, two = talk(program)
    with one, two:
        two.shutdown(socket.SHUT_WR)
        assert all_of(two) == b''
        assert until(one, b'\n') == b'* guest 2 has left\n'
    program.interrupt()


def limits(program: Program, one: socket.socket, two: socket.socket) -> None:
    """A third guest sends too much, a fourth is not let in."""
    with program.client() as three:
        until(three, b'here\n')
        for sock in (one, two):
            until(sock, b'here\n')
        with program.client() as four:
            assert all_of(four) == b''
        assert program.line().startswith('full: dropped 127.')
        three.sendall(b'x' * 501)
        assert all_of(three) == b'* this line is too long\n'
        for sock in (one, two):
            assert until(sock, b'\n') == b'* guest 3 has left\n'


def chat_with_limits(program: Program) -> None:
    """The limits of step 5."""
    one, two = talk(program)
    with one, two:
        limits(program, one, two)
    program.interrupt()


def whole_chat(program: Program) -> None:
    """The limits, and a goodbye."""
    one, two = talk(program)
    with one, two:
        limits(program, one, two)
        program.process.send_signal(signal.SIGTERM)
        for sock in (one, two):
            assert until(sock, b'\n') == b'* goodbye\n'
            sock.close()
    assert program.line() == 'closed'


def stopped(program: Program) -> None:
    """A connection that stays is destroyed at the deadline."""
    program.line()
    with program.client() as sock:
        sock.sendall(b'hello\n')
        assert until(sock, b'\n') == b'hello\n'
        program.process.send_signal(signal.SIGTERM)
        assert program.line() == 'destroyed: 1'


def drained(program: Program) -> None:
    """The server says goodbye; the client ends, and so does the server."""
    assert program.line() == 'listening on 8124'
    with program.client() as sock:
        sock.sendall(b'hello\n')
        assert until(sock, b'\n') == b'hello\n'
        program.process.send_signal(signal.SIGINT)
        assert until(sock, b'\n') == b'going down, come back soon\n'


def production(program: Program) -> None:
    """Two workers say that they are ready; both are told of the end."""
    assert {program.line().split()[0] for _ in range(2)} == {'ready:'}
    with program.client() as one, program.client() as other:
        for sock in (one, other):
            sock.sendall(b'hello\n')
            assert until(sock, b'\n') == b'hello\n'
        program.process.send_signal(signal.SIGTERM)
        for sock in (one, other):
            assert all_of(sock) == b''


def by_hand(program: Program) -> None:
    """The service without a manager: it serves, and drains."""
    assert program.line() == 'ready'
    with program.client() as sock:
        sock.sendall(b'hello\n')
        assert until(sock, b'\n') == b'hello\n'
        program.process.send_signal(signal.SIGTERM)
        assert all_of(sock) == b''


def node_echo(program: Program) -> None:
    """The echo server of Node's documentation."""
    assert program.line() == 'bound 8124'
    with program.client() as sock:
        assert until(sock, b'\n') == b'hello\r\n'
        assert program.line() == 'client connected'
        sock.sendall(b'x\n')
        assert until(sock, b'\n') == b'x\n'
        sock.shutdown(socket.SHUT_WR)
        assert all_of(sock) == b''
    assert program.line() == 'client disconnected'
    program.interrupt()


def served(program: Program) -> None:
    """Two workers answer in turn; SIGTERM ends all."""
    said = ''
    while said.count('listens') < 2:  # the words of the two may be mixed up
        said += program.process.stdout.read(1)  # type: ignore[union-attr]
    seen = set()
    for _ in range(4):
        with program.client() as sock:
            seen.add(all_of(sock).split()[0])
    assert seen == {b'1', b'2'}
    program.process.send_signal(signal.SIGTERM)
