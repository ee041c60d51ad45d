"""Rows that no other file names: options of connect on the wire, plain properties, Windows."""

from __future__ import annotations

import socket
import sys
from typing import Any

import pytest

from tailrace import AggregateError, events, net, next_tick

WINDOWS = pytest.mark.skipif(sys.platform != 'win32', reason='named pipes are Windows only')


def option(sock: Any, level: int, name: int) -> int:
    with socket.socket(fileno=socket.dup(sock._handle.fd)) as copy:
        return copy.getsockopt(level, name)


async def pair(**options: Any) -> tuple[Any, Any, Any]:
    """A listening server, the client connected to it, and the server's side."""
    server = await net.create_server().listen(0, '127.0.0.1')
    port = server.address().port
    arrived = events.once(server, 'connection')
    client = net.connect(port=port, host='127.0.0.1', **options)
    (conn,) = await arrived
    await client
    return server, client, conn


async def closed(*things: Any) -> None:
    for thing in things:
        thing.destroy() if hasattr(thing, 'destroy') else thing.close()
    for thing in things:
        await thing.wait_closed()


def test_cn11_cn12_cn16_options_of_connect_are_set_on_the_wire(run: Any) -> None:
    async def main() -> None:
        options = {'keep_alive': True, 'keep_alive_initial_delay': 5_500, 'no_delay': True}
        server, client, conn = await pair(**options)
        assert option(client, socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
        assert option(client, socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        if hasattr(socket, 'TCP_KEEPIDLE'):
            assert option(client, socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 5
        assert option(conn, socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        await closed(client, conn, server)

    run(main)


def test_sk17_sk25_sk31_sk47_sk50_properties_of_a_connection(run: Any) -> None:
    async def main() -> None:
        server, client, conn = await pair()
        assert client.local_port == conn.remote_port
        assert conn.local_port == server.address().port == client.remote_port
        assert client.remote_family == conn.remote_family == 'IPv4'
        assert client.timeout is None
        assert client.set_timeout(3_000).timeout == 3_000
        assert client.write(b'0123456789') is True  # idle and small: the kernel took it
        assert await conn.read_exactly(10) == b'0123456789'
        assert conn.bytes_read == 10
        conn.destroy()
        assert conn.bytes_read == 10
        await closed(client, conn, server)

    run(main)


def test_se14_events_of_a_duplex_are_events_of_a_socket(run: Any) -> None:
    async def main() -> None:
        server, client, conn = await pair()
        seen: list[str] = []
        for name in ('pause', 'resume', 'prefinish', 'finish'):
            client.on(name, lambda name=name: seen.append(name))
        conn.on('unpipe', lambda _: seen.append('unpipe'))
        conn.on('pipe', lambda source: seen.append('pipe' if source is client else '?'))
        client.pipe(conn)
        client.unpipe(conn)
        client.resume()
        client.end()
        await events.once(client, 'finish')
        assert seen.index('pipe') < seen.index('unpipe')
        assert seen[-2:] == ['prefinish', 'finish']
        assert {'pause', 'resume'} <= set(seen)
        await closed(client, conn, server)

    run(main)


def test_sv08_to_sv13_drop_tells_both_ends(run: Any) -> None:
    """SV-08 SV-09 SV-10 SV-11 SV-12 SV-13"""

    async def main() -> None:
        server = await net.create_server(max_connections=0).listen(0, '127.0.0.1')
        dropped: list[Any] = []
        server.on('drop', dropped.append)
        client = await net.connect(server.address().port, '127.0.0.1')
        name = client.address()
        await client.resume().wait_closed()
        (data,) = dropped
        assert (data.local_address, data.local_port) == ('127.0.0.1', server.address().port)
        assert (data.remote_address, data.remote_port) == (name.address, name.port)
        assert data['localFamily'] == data['remoteFamily'] == 'IPv4'
        await closed(server)

    run(main)


def test_ls24_text_that_is_no_number_is_a_path(run: Any, tmp_path: Any) -> None:
    async def main() -> None:
        path = str(tmp_path / 'eight.sock')
        server = await net.create_server().listen(path)
        assert server.address() == path
        await closed(server)

    run(main)


def dead_and_live(dead: list[str], live: list[str]) -> Any:
    def lookup(host: str, options: Any, callback: Any) -> None:
        assert options['all'] is True  # AF-02
        found = [*dead, *live]
        answers = [{'address': a, 'family': 6 if ':' in a else 4} for a in found]
        next_tick(callback, None, answers)

    return lookup


def test_af02_af07_ex13_sk14_a_dead_address_is_hidden_by_a_live_one(run: Any) -> None:
    async def main() -> None:
        server = await net.create_server(lambda sock: sock.end()).listen(0, '127.0.0.1')
        port = server.address().port
        client = net.connect(
            port=port, host='x.example', lookup=dead_and_live(['127.0.0.9'], ['127.0.0.1'])
        )
        seen: list[Any] = []
        client.on('error', seen.append)
        client.on('connectionAttemptFailed', lambda ip, *_: seen.append(ip))
        await events.once(client, 'connect')
        assert client.auto_select_family_attempted_addresses == [
            f'127.0.0.9:{port}',
            f'127.0.0.1:{port}',
        ]
        assert seen == ['127.0.0.9']
        await closed(client, server)

    run(main)


def test_af06_pf07_se05_one_attempt_at_a_time_each_given_up_in_its_turn(run: Any) -> None:
    """The attempt timeout of 1 ms counts as 10; a full listener never answers."""

    async def main() -> None:
        holes = [hole() for _ in range(2)]
        # Two full listeners on one port: loopback addresses that never answer.
        port = holes[0].getsockname()[1]
        client = net.connect(
            port=port,
            host='x.example',
            lookup=dead_and_live(['127.0.0.1'], ['127.0.0.9']),
            auto_select_family_attempt_timeout=1,
        )
        seen: list[tuple[str, str]] = []
        for name in ('', 'Failed', 'Timeout'):
            client.on(f'connectionAttempt{name}', lambda ip, *_, name=name: seen.append((name, ip)))
        (error,) = await events.once(client, 'error')
        assert seen == [
            ('', '127.0.0.1'),
            ('Timeout', '127.0.0.1'),
            ('', '127.0.0.9'),
            ('Failed', '127.0.0.9'),
        ]
        assert isinstance(error, AggregateError)
        assert [e.code for e in error.errors] == ['ETIMEDOUT', 'ECONNREFUSED']
        await client.wait_closed()
        for one in holes:
            one.close()

    def hole() -> socket.socket:
        listener = socket.create_server(('127.0.0.1', 0), backlog=0)
        listener.setblocking(False)
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
        return listener

    fillers: list[socket.socket] = []
    try:
        run(main)
    finally:
        for filler in fillers:
            filler.close()


def test_sa08_sa09_family_and_flow_label() -> None:
    plain = net.SocketAddress()
    assert (plain.family, plain.flowlabel) == ('ipv4', 0)
    six = net.SocketAddress(family='ipv6', flowlabel=12345)
    assert (six.family, six.flowlabel) == ('ipv6', 12345)


@WINDOWS
def test_ex12_ipc11_ipc12_ipc13_pf08_named_pipes_refuse_with_a_code(run: Any) -> None:
    """EX-12 IPC-11 IPC-12 IPC-13 PF-08, until somebody can test them (design, section 6)."""

    async def main() -> None:
        with pytest.raises(OSError, match='ENOTSUP'):
            await net.create_server().listen(r'\\.\pipe\tailrace-test')

    run(main)
