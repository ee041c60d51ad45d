"""The commands at a real pseudo-terminal, with rich and without."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from ..programs import PATIENCE
from ..test_interrupt import CTRL_C, Terminal, terminal

pytestmark = pytest.mark.skipif(os.name == 'nt', reason='Windows has no pty')

CTRL_D = b'\x04'
WITHOUT_RICH = (
    'import sys; sys.modules["rich"] = sys.modules["rich.console"] = None;'
    'from tailrace.__main__ import main; sys.exit(main())'
)


def screen(*arguments: object, rich: bool = True) -> AbstractContextManager[Terminal]:
    """The command in a terminal."""
    how = ['-m', 'tailrace'] if rich else ['-c', WITHOUT_RICH]
    env = shutil.which('env')
    assert env is not None
    return terminal([env, 'TERM=xterm-256color', sys.executable, '-W', 'error', *how, *arguments])


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(('127.0.0.1', 0)) as made:
        made.settimeout(PATIENCE)
        yield made


def place_of(server: socket.socket) -> str:
    return f'127.0.0.1:{server.getsockname()[1]}'


def plain(text: str) -> str:
    """Without what moves the cursor and colours the text."""
    return re.sub(r'\x1b\[[0-9;?]*[A-Za-z]', '', text)


def test_lines_are_sent_as_they_are_typed(server: socket.socket) -> None:
    with screen('connect', place_of(server)) as shown, server.accept()[0] as peer:
        shown.press(b'hello\n')
        assert peer.recv(100) == b'hello\n'
        peer.sendall(b'and hello\n')
        shown.until('and hello\r\n')
        shown.press(CTRL_D)
        assert peer.recv(100) == b''
        peer.sendall(b'bye\n')
        peer.close()
        assert shown.rest().endswith('bye\n')
        assert shown.status == 0


def test_the_peers_end_ends_it(server: socket.socket) -> None:
    with screen('connect', place_of(server)) as shown, server.accept()[0] as peer:
        peer.sendall(b'bye\n')
        peer.shutdown(socket.SHUT_WR)
        assert shown.rest() == 'bye\n'
        assert shown.status == 0


@pytest.mark.parametrize('name', ['connect', 'listen', 'proxy'])
def test_ctrl_c_shows_nothing(name: str, server: socket.socket) -> None:
    place = place_of(server)
    places = {'connect': [place], 'listen': ['127.0.0.1:0'], 'proxy': ['127.0.0.1:0', place]}
    with screen(name, *places[name]) as shown:
        if name == 'connect':
            peer = server.accept()[0]
            peer.sendall(b'up\n')
            shown.until('up\r\n')
        else:
            shown.until('127.0.0.1:')
        shown.press(CTRL_C)
        assert 'Traceback' not in shown.rest()
        assert shown.status == -signal.SIGINT
        if name == 'connect':
            peer.close()


def test_proxy_shows_a_table(server: socket.socket) -> None:
    pytest.importorskip('rich')
    with screen('proxy', '127.0.0.1:0', place_of(server)) as shown:
        shown.until(': 0 open, 0 in all')
        port = int(re.findall(r'127\.0\.0\.1:(\d+): 0 open', plain(shown.said))[0])
        with socket.create_connection(('127.0.0.1', port), PATIENCE) as client:
            target = server.accept()[0]
            client.sendall(b'x' * 1234)
            shown.until('1.2 kB')
            shown.until(f'127.0.0.1:{client.getsockname()[1]}')
            target.close()
        shown.until(': 0 open, 1 in all')
        os.kill(shown.pid, signal.SIGTERM)
        rest = shown.rest()
        assert shown.status == 0
        assert rest.rindex('\x1b[?25h') > rest.rindex('\x1b[?25l')  # the cursor is back


@pytest.mark.parametrize('way', ['--lines', '--json', 'without rich'])
def test_proxy_shows_lines(way: str, server: socket.socket) -> None:
    options = [way] if way.startswith('--') else []
    with screen('proxy', '127.0.0.1:0', place_of(server), *options, rich=bool(options)) as shown:
        shown.until('\r\n')
        os.kill(shown.pid, signal.SIGTERM)
        said = shown.rest()
        assert '\x1b' not in said
        assert said.startswith('{"event": "listening"' if way == '--json' else 'listening on ')
        assert shown.status == 0


@pytest.mark.parametrize('rich', [True, False])
def test_check_shows_a_table(rich: bool, server: socket.socket) -> None:
    if rich:
        pytest.importorskip('rich')
    place = place_of(server)
    with screen('check', place, rich=rich) as shown:
        said = shown.rest()
        assert shown.status == 0
    assert ('\x1b[32m' in said) is rich
    assert ('address' in said) is rich
    assert plain(said).split()[-5 if rich else 0 :][:3] == [place, '127.0.0.1', 'connected']


def test_a_connect_that_takes_long_says_where_it_is() -> None:
    pytest.importorskip('rich')
    with socket.socket() as full, socket.socket() as one, socket.socket() as two:
        # A queue for one connection, and two in it: the next handshake gets no answer.
        full.bind(('127.0.0.1', 0))
        full.listen(0)
        for filler in (one, two):
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        place = place_of(full)
        with screen('connect', place) as shown:
            shown.until(f'connecting to {place}: {place}')
            shown.press(CTRL_C)
            rest = shown.rest()
            assert shown.status == -signal.SIGINT
            assert '\x1b[?25h' in rest  # the cursor is back
            assert 'Traceback' not in rest


def test_what_moves_is_counted_where_it_is_not_seen(server: socket.socket, tmp_path: Path) -> None:
    pytest.importorskip('rich')
    place, into = place_of(server), tmp_path / 'received'
    command = f'exec {sys.executable} -W error -m tailrace connect {place} > {into}'
    env, shell = shutil.which('env'), shutil.which('sh')
    words = [env, 'TERM=xterm-256color', shell, '-c', command]
    with terminal(words) as shown, server.accept()[0] as peer:
        peer.sendall(b'x' * 1234)
        shown.until('sent 0 bytes, received 1,234')
        peer.shutdown(socket.SHUT_WR)
        shown.rest()
        assert shown.status == 0
    assert into.read_bytes() == b'x' * 1234
