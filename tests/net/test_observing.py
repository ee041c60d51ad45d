"""Channels of connections, log records, and traces to stderr."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tailrace
from tailrace import diagnostics, errors, net
from tailrace._net import channels
from tailrace._tally import observers

from .serving import client, echo, free_port, server_on, started, stopped, turns

NAMES = (
    'tracing:net.client.connect:asyncStart',
    'tracing:net.client.connect:asyncEnd',
    'tracing:net.client.connect:error',
    'net.socket.close',
    'net.server.drop',
)


@pytest.fixture
def messages() -> Iterator[list[tuple[str, Any]]]:
    out: list[tuple[str, Any]] = []

    def heard(message: Any, name: str) -> None:
        out.append((name.rpartition(':')[2], message))

    for name in NAMES:
        diagnostics.subscribe(name, heard)
    yield out
    for name in NAMES:
        assert diagnostics.unsubscribe(name, heard)
    assert observers.closed is None


def test_the_life_of_a_client_and_of_what_a_server_accepts(
    run: Any, messages: list[tuple[str, Any]]
) -> None:
    async def main() -> None:
        server, _ = server_on(max_connections=1)
        server.on('connection', echo)
        port = await started(server)
        sock = net.connect({'port': port, 'host': '127.0.0.1'})
        assert [name for name, _ in messages] == ['asyncStart']
        assert messages[0][1]['options']['port'] == port
        await sock
        assert [name for name, _ in messages] == ['asyncStart', 'asyncEnd']
        async with client(port) as other:
            assert await other.rest() == b''
        assert messages[2][0] == 'net.server.drop'
        assert messages[2][1]['reason'] == 'maxConnections'
        assert messages[2][1]['data'].remote_port == other.port
        messages.clear()
        sock.end()
        await sock.wait_closed()
        while len(messages) < 2:
            await turns()
        assert [name for name, _ in messages] == ['net.socket.close'] * 2
        assert all(message['error'] is None for _, message in messages)
        await stopped(server)

    run(main)


def test_a_connect_that_fails_or_is_given_up(run: Any, messages: list[tuple[str, Any]]) -> None:
    async def main() -> None:
        port, taken = free_port()
        taken.close()
        with pytest.raises(ConnectionRefusedError) as caught:
            await net.connect(port, '127.0.0.1')
        assert [name for name, _ in messages] == ['asyncStart', 'error', 'net.socket.close']
        assert messages[1][1]['error'] is messages[2][1]['error'] is caught.value
        messages.clear()
        sock = net.connect(port, '127.0.0.1')
        sock.destroy()
        await sock.wait_closed()
        assert [name for name, _ in messages] == ['asyncStart', 'net.socket.close']
        messages.clear()
        net.Socket().destroy()
        await turns()
        assert messages == []

    run(main)


def test_a_blocked_connection_is_told(run: Any, messages: list[tuple[str, Any]]) -> None:
    async def main() -> None:
        blocked = net.BlockList()
        blocked.add_address('127.0.0.1')
        server, _ = server_on(block_list=blocked)
        port = await started(server)
        async with client(port) as one:
            assert await one.rest() == b''
        assert messages[0][1]['reason'] == 'blockList'
        assert messages[0][1]['data'].remote_port == one.port
        await stopped(server)

    run(main)


def test_every_connection_is_logged(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger('test.connections')

    async def main() -> None:
        server, heard = server_on(max_connections=1)
        server.on('connection', echo)
        port = await started(server)
        sock = await net.connect(port, '127.0.0.1')
        accepted = await heard.until('connection')
        sock.write(b'hello')
        assert await sock.read_exactly(5) == b'hello'
        async with client(port) as other:
            assert await other.rest() == b''
        sock.destroy(ValueError('enough')).on('error', lambda: None)
        while server.stats().open:
            await turns()
        ids.extend((sock.connection_id, accepted.connectionId))
        ports.append(port)
        await stopped(server)

    ids: list[int] = []
    ports: list[int] = []
    with caplog.at_level(logging.INFO, log.name), diagnostics.log_connections(log):
        run(main)
    fields: list[Any] = [vars(record) for record in caplog.records if record.name == log.name]
    events = [one['event'] for one in fields]
    # Whether the server or the client hears first of the connection is the loop's matter.
    assert events[0] == 'connect_start'
    assert sorted(events[1:3]) == ['accept', 'connect']
    assert events[3:] == ['drop', 'close', 'close']
    start, drop, ours, theirs = (fields[at] for at in (0, 3, 4, 5))
    connect, accept = sorted(fields[1:3], key=lambda one: str(one['side']))
    assert start['connection'] == connect['connection'] == ours['connection'] == ids[0]
    assert accept['connection'] == theirs['connection'] == ids[1] != ids[0]
    assert start['target'] == connect['peer'] == accept['local'] == f'127.0.0.1:{ports[0]}'
    assert (drop['reason'], drop['peer']) == ('maxConnections', '127.0.0.1')
    assert (ours['code'], ours['bytes_read'], ours['bytes_written']) == ('ValueError', 5, 5)
    assert (theirs['code'], theirs['side'], theirs['peer']) == (None, 'server', accept['peer'])
    assert theirs['seconds'] >= 0
    text = caplog.records[-2].getMessage()
    assert text.startswith(f'connection {ids[0]} closed after 0.')
    assert text.endswith('s, 5 bytes read, 5 written, ValueError')
    assert not channels.socket_close.has_subscribers


def test_a_level_that_is_off_writes_nothing(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        with pytest.raises(ConnectionRefusedError):
            await net.connect(1, '127.0.0.1')

    log = logging.getLogger('test.connections')
    with caplog.at_level(logging.INFO, log.name), diagnostics.log_connections(log, logging.DEBUG):
        run(main)
    assert not [record for record in caplog.records if record.name == log.name]


def test_wrong_arguments() -> None:
    with pytest.raises(errors.NodeError) as caught:
        diagnostics.log_connections('tailrace')  # type: ignore[arg-type]
    assert caught.value.code == 'ERR_INVALID_ARG_TYPE'
    with pytest.raises(errors.NodeError) as caught:
        diagnostics.log_connections(level='INFO')  # type: ignore[arg-type]
    assert caught.value.code == 'ERR_INVALID_ARG_TYPE'


def test_an_id_is_given_when_it_is_asked_for() -> None:
    one, other = net.Socket(), net.Socket()
    assert one.connection_id == one.connection_id
    assert other.connection_id == one.connection_id + 1
    with pytest.raises(AttributeError):
        one.connection_id = 5  # type: ignore[misc]


PROGRAM = """
import tailrace
from tailrace import net

async def main():
    server = await net.create_server(lambda sock: sock.end()).listen(0, '127.0.0.1')
    sock = await net.connect(server.address().port, '127.0.0.1')
    await sock.wait_closed()
    await server.close_all()

tailrace.run(main)
"""


@pytest.mark.parametrize('wanted', ['net', 'tls,NET', '', 'network'])
def test_traces_to_stderr(wanted: str, tmp_path: Path) -> None:
    where = str(Path(tailrace.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, '-c', PROGRAM],
        env={'PYTHONPATH': where, 'TAILRACE_DEBUG': wanted, 'PATH': ''},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stderr.splitlines()
    if wanted in ('', 'network'):
        assert lines == []
        return
    assert all(line.startswith('NET ') for line in lines)
    told = [line.split(' ')[2 if '#' not in line.split(' ')[2] else 3] for line in lines]
    assert told.count('net.socket.close') == 2
    assert told[:2] == [
        'tracing:net.server.listen:asyncStart',
        'tracing:net.server.listen:asyncEnd',
    ]
    assert 'tracing:net.client.connect:asyncEnd' in told


def test_a_check_of_a_balancer_is_not_turned_away(
    run: Any, messages: list[tuple[str, Any]]
) -> None:
    """It ends before its header: told by 'reject' for who wants to know, and by nothing else."""

    async def main() -> None:
        server, heard = server_on(proxy_protocol='required', proxy_from='127.0.0.1')
        port = await started(server)
        for data in (b'', b'GET '):
            with socket.create_connection(('127.0.0.1', port)) as raw:
                raw.sendall(data)
        await heard.until('reject', 2)
        assert {data.error.reason for data in heard.all('reject')} == {'ended', 'invalid'}
        assert [name for name, _ in messages].count('net.server.drop') == 1
        assert server.stats().rejected == {'proxyProtocol': 1}
        await stopped(server)

    run(main)
