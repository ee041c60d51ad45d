"""examples/balancer.py in front of real servers, run as a reader runs it, on both loops."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tailrace.proxy_protocol import ProxyHeader, build, parse

from .test_examples_more import PATIENCE, Start, all_of, starting, until


@pytest.fixture
def start(loop_kind: str) -> Iterator[Start]:
    """Starts an example; none outlives the test."""
    yield from starting(loop_kind)


class Backend:
    """A plain server in a thread: answers a line with its name and the client's address."""

    def __init__(self, name: str, port: int = 0) -> None:
        self.name = name
        self.checks = 0
        self.listener = socket.create_server(('127.0.0.1', port))
        self.port = int(self.listener.getsockname()[1])
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    @property
    def where(self) -> str:
        return f'127.0.0.1:{self.port}'

    def run(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with sock:
                sock.settimeout(PATIENCE)
                self.serve(sock)

    def serve(self, sock: socket.socket) -> None:
        data = b''
        while (found := parse(data)) is None:
            chunk = sock.recv(1)
            if not chunk:
                return
            data += chunk
        header = found[0]
        if header.local:
            self.checks += 1
            return
        line = until(sock, b'\n')
        sock.sendall(f'{self.name} {header.source_address} '.encode() + line)
        assert sock.recv(10) == b''

    def stop(self) -> None:
        # shutdown(2) ends the accept that waits in the thread; close(2) does not.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(PATIENCE)


@contextmanager
def backends(*names: str) -> Iterator[list[Backend]]:
    made = [Backend(name) for name in names]
    try:
        yield made
    finally:
        for one in made:
            if one.thread.is_alive():
                one.stop()


def ask(sock: socket.socket) -> str:
    """An answer, and the end in both directions."""
    with sock:
        sock.settimeout(PATIENCE)
        sock.sendall(b'hello\n')
        sock.shutdown(socket.SHUT_WR)
        return all_of(sock).decode()


def test_it_balances_and_tells_the_client(start: Start) -> None:
    with backends('a', 'b') as (a, b):
        program = start('balancer.py', a.where, b.where, '--check', 20).listening()
        assert {ask(program.connect()) for _ in range(4)} <= {
            'a 127.0.0.1 hello\n',
            'b 127.0.0.1 hello\n',
        }
        while not (a.checks and b.checks):
            ask(program.connect())
        program.end()


def test_a_server_that_is_gone_costs_no_client(start: Start) -> None:
    with backends('a', 'b') as (a, b):
        program = start('balancer.py', a.where, b.where, '--check', 10_000).listening()
        a.stop()
        assert {ask(program.connect()) for _ in range(4)} == {'b 127.0.0.1 hello\n'}
        assert program.line() == f'{a.where} is down: ECONNREFUSED'
        b.stop()
        with program.connect() as sock:
            sock.settimeout(PATIENCE)
            with pytest.raises(ConnectionResetError):
                sock.recv(1)
        assert program.line() == f'{b.where} is down: ECONNREFUSED'
        assert program.line() == '127.0.0.1: no server'
        program.end()


def test_checks_see_a_server_go_and_come(start: Start) -> None:
    with backends('a') as (a,):
        program = start('balancer.py', a.where, '--check', 20).listening()
        while not a.checks:
            assert ask(program.connect()) == 'a 127.0.0.1 hello\n'
        a.stop()
        assert program.line() == f'{a.where} is down: ECONNREFUSED'
        again = Backend('again', a.port)
        try:
            assert program.line() == f'{a.where} is up: connected'
            assert ask(program.connect()) == 'again 127.0.0.1 hello\n'
        finally:
            again.stop()
        program.end()


def test_behind_another_balancer(start: Start) -> None:
    header = build(
        ProxyHeader(
            source_address='192.0.2.7', source_port=5,
            destination_address='203.0.113.1', destination_port=443,
        )
    )  # fmt: skip
    with backends('a') as (a,):
        program = start('balancer.py', a.where, '--behind', '127.0.0.0/8').listening()
        sock = program.connect()
        sock.sendall(header)
        assert ask(sock) == 'a 192.0.2.7 hello\n'
        with program.connect() as sock:
            sock.settimeout(PATIENCE)
            sock.sendall(b'hello\n')
            with pytest.raises(ConnectionResetError):
                sock.recv(1)
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(PATIENCE) == 0
        program.complaints.seek(0)
        assert 'refused a connection from 127.0.0.1' in program.complaints.read()


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(start: Start, number: int) -> None:
    with backends('a') as (a,):
        start('balancer.py', a.where).listening().end(number)
