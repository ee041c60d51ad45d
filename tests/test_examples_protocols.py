"""The examples that speak other people's protocols, with these people's clients, on both loops.

examples/redis_server.py with redis-cli and redis-benchmark where they are installed,
examples/socks5_proxy.py with curl; and both with bytes that no such client sends.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator

import pytest

from .test_examples_more import PATIENCE, Start, all_of, starting, until

pytestmark = pytest.mark.skipif(os.name == 'nt', reason='the examples handle POSIX signals')


@pytest.fixture
def start(loop_kind: str) -> Iterator[Start]:
    """Starts an example; none outlives the test."""
    yield from starting(loop_kind)


def converse(sock: socket.socket, *sayings: tuple[bytes, bytes]) -> None:
    """Send each first part and expect each second, to the byte."""
    for said, heard in sayings:
        sock.sendall(said)
        got = b''
        while len(got) < len(heard):
            chunk = sock.recv(len(heard) - len(got))
            assert chunk, (said, got)
            got += chunk
        assert got == heard, said


def output_of(name: str, *words: object, data: str = '') -> str:
    """What an installed client prints."""
    command = shutil.which(name)
    if command is None:
        pytest.skip(f'{name} is not installed')
    done = subprocess.run(
        [command, *map(str, words)],
        input=data,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done
    return done.stdout


# -- redis_server.py ------------------------------------------------------------------------------


def test_redis_answers_commands(start: Start) -> None:
    program = start('redis_server.py').listening()
    with program.connect() as sock:
        converse(
            sock,
            (b'PING\r\n', b'+PONG\r\n'),
            (b'*2\r\n$4\r\nECHO\r\n$5\r\na\r\nb!\r\n', b'$5\r\na\r\nb!\r\n'),
            (b'GET k\r\n', b'$-1\r\n'),
            (b'SET k v\r\n', b'+OK\r\n'),
            (b'get k\r\n', b'$1\r\nv\r\n'),
            (b'INCR n\r\nINCR n\r\nDECR n\r\n', b':1\r\n:2\r\n:1\r\n'),
            (b'DEL k n none\r\n', b':2\r\n'),
            (b'SET k v EX 100\r\n', b'+OK\r\n'),
            (b'TTL k\r\n', b':100\r\n'),
            (b'SET k v\r\nTTL k\r\nTTL none\r\n', b'+OK\r\n:-1\r\n:-2\r\n'),
            (b'EXPIRE k 0\r\nEXISTS k\r\nDBSIZE\r\n', b':1\r\n:0\r\n:0\r\n'),
            (b'NONSENSE\r\n', b"-ERR unknown command 'NONSENSE'\r\n"),
            (b'GET\r\n', b"-ERR wrong number of arguments for 'get' command\r\n"),
            (b'SET k v\r\nINCR k\r\n', b'+OK\r\n-ERR value is not an integer or out of range\r\n'),
            (b'SET k v EX\r\n', b'-ERR syntax error\r\n'),
        )
        sock.sendall(b'QUIT\r\n')
        assert all_of(sock) == b'+OK\r\n'
    program.end()


def test_redis_takes_bytes_as_they_come(start: Start) -> None:
    program = start('redis_server.py').listening()
    commands = b'*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\n\r\n\r\n\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n'
    with program.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(commands)):
            sock.sendall(commands[at : at + 1])
        assert until(sock, b'$4\r\n\r\n\r\n\r\n') == b'+OK\r\n$4\r\n\r\n\r\n\r\n'
        sock.sendall(commands * 1000)
        got = b''
        while got.count(b'+OK') < 1000 or not got.endswith(b'$4\r\n\r\n\r\n\r\n'):
            got += sock.recv(65536)
    program.end()


@pytest.mark.parametrize(
    'bad', [b'*x\r\n', b'*99999\r\n', b'*1\r\n$-5\r\n', b'*1\r\nPING\r\n', b'*1\r\n$99999999\r\n']
)
def test_redis_refuses_what_is_no_command(start: Start, bad: bytes) -> None:
    program = start('redis_server.py').listening()
    with program.connect() as sock:
        sock.sendall(b'PING\r\n' + bad)
        got = all_of(sock)
    assert got.startswith(b'-ERR Protocol error: ')
    program.end()


def test_redis_cli(start: Start) -> None:
    program = start('redis_server.py').listening()
    said = output_of(
        'redis-cli', '-p', program.port, data='set greeting "hello there"\nget greeting\nincr n\n'
    )
    assert said.split('\n')[:3] == ['OK', 'hello there', '1']
    program.end()


def test_redis_benchmark(start: Start) -> None:
    program = start('redis_server.py').listening()
    options = ['-t', 'ping,set,get,incr', '-n', 2000, '-P', 16, '-c', 20, '-q']
    said = output_of('redis-benchmark', '-p', program.port, *options)
    assert said.count('requests per second') == 5  # PING is tried in both forms
    program.end()


# -- socks5_proxy.py ------------------------------------------------------------------------------


@pytest.fixture(params=['127.0.0.1', '::1'])
def target(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ':' in request.param else socket.AF_INET
    try:
        server = socket.create_server((request.param, 0), family=family)
    except OSError:
        pytest.skip(f'this machine has no {request.param}')
    with server:
        server.settimeout(PATIENCE)
        yield server


def asking(host: str, port: int, command: int = 1) -> bytes:
    """A request, with an address or a name."""
    if ':' in host:
        where = b'\x04' + socket.inet_pton(socket.AF_INET6, host)
    elif host[0].isdigit():
        where = b'\x01' + socket.inet_aton(host)
    else:
        where = bytes([3, len(host)]) + host.encode()
    return bytes([5, command, 0]) + where + port.to_bytes(2, 'big')


def greet(sock: socket.socket, said: bytes) -> None:
    """Offer ways to say who it is; none is asked for."""
    sock.sendall(said)
    assert until(sock, b'\x00') == b'\x05\x00'


def reply_of(sock: socket.socket) -> int:
    """The code of the reply; it is read to its end."""
    head = b''
    while len(head) < 4:
        head += sock.recv(4 - len(head))
    rest = (16 if head[3] == 4 else 4) + 2
    while rest:
        rest -= len(sock.recv(rest))
    return head[1]


def test_socks_connects(start: Start, target: socket.socket) -> None:
    program = start('socks5_proxy.py').listening()
    host, port = target.getsockname()[:2]
    with program.connect() as sock:
        greet(sock, b'\x05\x02\x00\x02')
        # What follows the request before its reply belongs to the target.
        sock.sendall(asking(host, port) + b'early')
        assert reply_of(sock) == 0
        with target.accept()[0] as peer:
            peer.settimeout(PATIENCE)
            sock.sendall(b' bird')
            sock.shutdown(socket.SHUT_WR)
            assert all_of(peer) == b'early bird'
            peer.sendall(b'answer')
        assert all_of(sock) == b'answer'
    assert program.line().endswith(f'connected to {host} port {port}')
    program.end()


def test_socks_with_a_name_byte_by_byte(start: Start) -> None:
    program = start('socks5_proxy.py', '--user', 'me:secret', '--user', 'you:x').listening()
    with socket.create_server(('127.0.0.1', 0)) as target, program.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = asking('localhost', target.getsockname()[1])
        for byte in b'\x05\x01\x02\x01\x02me\x06secret' + request:
            sock.sendall(bytes([byte]))
        assert until(sock, b'\x05\x02\x01\x00') == b'\x05\x02\x01\x00'
        assert reply_of(sock) == 0
        target.accept()[0].close()
        assert all_of(sock) == b''
    program.end()


@pytest.mark.parametrize(
    ('said', 'answer'),
    [
        (b'\x04\x01\x00\x50', b''),
        (b'\x05\x01\x00', b'\x05\xff'),
        (b'\x05\x01\x02\x01\x02me\x05wrong', b'\x05\x02\x01\x01'),
        (b'\x05\x01\x02\x01\x03you\x06secret', b'\x05\x02\x01\x01'),
    ],
)
def test_socks_refuses_strangers(start: Start, said: bytes, answer: bytes) -> None:
    program = start('socks5_proxy.py', '--user', 'me:secret').listening()
    with program.connect() as sock:
        sock.sendall(said)
        assert all_of(sock) == answer
    program.end()


@pytest.mark.parametrize(
    ('request_', 'code'),
    [
        (asking('127.0.0.1', 9, command=2), 7),
        (b'\x05\x01\x00\x09', 8),
        (asking('no-such-name.invalid', 80), 4),
        (asking('127.0.0.2', 80), 2),
        (b'\x05\x01\x00\x03\x00\x00\x50', 4),
    ],
)
def test_socks_says_why_not(start: Start, request_: bytes, code: int) -> None:
    program = start('socks5_proxy.py', '--block', '127.0.0.2/32').listening()
    with program.connect() as sock:
        greet(sock, b'\x05\x01\x00')
        sock.sendall(request_)
        assert reply_of(sock) == code
        assert all_of(sock) == b''
    program.end()


def test_socks_tells_of_a_refused_connection(start: Start) -> None:
    program = start('socks5_proxy.py').listening()
    with socket.socket() as closed, program.connect() as sock:
        closed.bind(('127.0.0.1', 0))
        greet(sock, b'\x05\x01\x00')
        sock.sendall(asking('127.0.0.1', closed.getsockname()[1]))
        assert reply_of(sock) == 5
    program.end()


@pytest.mark.parametrize('kind', ['socks5', 'socks5h'])
def test_socks_with_curl(start: Start, kind: str) -> None:
    program = start('socks5_proxy.py', '--user', 'me:secret').listening()
    echo = start('redis_server.py').listening()
    said = output_of(
        'curl', '-sS', '--max-time', PATIENCE, '--proxy', f'{kind}://me:secret@127.0.0.1:{program.port}',
        f'telnet://localhost:{echo.port}', data='PING\r\nQUIT\r\n',
    )  # fmt: skip
    assert said == '+PONG\n+OK\n'
    program.end()
    echo.end()
