"""The limits of a server on real sockets: who is dropped and why, pausing, what waits."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tailrace import Socket, errors, net
from tailrace._net import patrol
from tailrace.testing import FakeClock

from .serving import Client, Heard, client, echo, server_on, started, stopped, turns


async def dial(port: int, source: str | None = None, host: str = '127.0.0.1') -> Client:
    local = None if source is None else (source, 0)
    return Client(*await asyncio.open_connection(host, port, local_addr=local))


async def turned_away(port: int, source: str | None = None, host: str = '127.0.0.1') -> bool:
    """Whether a connection is closed without an echo."""
    one = await dial(port, source, host)
    try:
        one.writer.write(b'?')
        return await one.reader.read(1) == b''
    except ConnectionError:
        return True
    finally:
        await one.close()


async def goes_on(one: Client) -> None:
    assert await one.ask(b'still here') == b'still here'


def test_connections_of_one_address(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on(max_connections_per_address=2)
        server.on('connection', echo)
        port = await started(server)
        one, two = await dial(port), await dial(port)
        await goes_on(one)
        await goes_on(two)
        assert await turned_away(port)
        data = await heard.until('drop')
        assert data.reason == data['reason'] == 'maxConnectionsPerAddress'
        assert (data.remote_address, data.local_port) == ('127.0.0.1', port)
        other = await dial(port, '127.0.0.2')
        await goes_on(other)
        await one.close()
        while await server.get_connections() > 2:
            await turns()
        third = await dial(port)
        await goes_on(third)
        for each in (two, third, other):
            await each.close()
        await stopped(server)
        assert server._guard is not None
        assert server._guard.limiter.remembered() == 0

    run(main)


def test_connections_of_one_network(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on(maxConnectionsPerNetwork=1)
        server.on('connection', echo)
        port = await started(server)
        one = await dial(port, '127.0.0.2')
        await goes_on(one)
        assert await turned_away(port, '127.0.0.3')
        assert (await heard.until('drop')).reason == 'maxConnectionsPerNetwork'
        other = await dial(port, '127.0.1.1')
        await goes_on(other)
        await one.close()
        await other.close()
        await stopped(server)

    run(main)


def test_a_mapped_address_counts_as_its_ipv4_address(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on(max_connections_per_network=1)
        server.on('connection', echo)
        port = await started(server, {'port': 0, 'host': '::'})
        one = await dial(port, '127.0.0.2')
        await goes_on(one)
        assert heard.all('connection')[0].remote_family == 'IPv6'
        assert await turned_away(port, '127.0.0.3')
        other = await dial(port, '127.9.9.9')  # the same /64, were it an IPv6 address
        await goes_on(other)
        for each in (one, other):
            await each.close()
        await stopped(server)

    run(main)


def test_a_rate_for_each_address(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on(max_rate_per_address=(2, 60_000))
        server.on('connection', echo)
        with FakeClock() as clock:
            port = await started(server)
            assert [await turned_away(port) for _ in range(3)] == [False, False, True]
            assert (await heard.until('drop')).reason == 'maxRatePerAddress'
            assert not await turned_away(port, '127.0.0.2')
            clock.advance(30_000)
            assert [await turned_away(port) for _ in range(2)] == [False, True]
            await stopped(server)

    run(main)


def test_max_connections_is_a_reason_too(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        server, heard = server_on(max_connections=0)
        port = await started(server)
        assert await turned_away(port)
        data = await heard.until('drop')
        assert data.reason == 'maxConnections'
        assert 'reason' not in data, "Node's record has no such field"
        with pytest.raises(AttributeError):
            _ = data.other
        await stopped(server)

    run(main)


def test_limits_of_peers_leave_unix_sockets_alone(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        server, heard = server_on(max_connections_per_address=0, max_rate_per_network=0.001)
        server.on('connection', echo)
        path = str(tmp_path / 's')
        await started(server, path)
        for _ in range(3):
            async with client(path) as one:
                await goes_on(one)
        assert 'drop' not in heard.names
        await stopped(server)

    run(main)


def test_limits_are_set_and_taken_away_while_it_listens(run: Any) -> None:
    async def main() -> None:
        server, _heard = server_on()
        server.on('connection', echo)
        port = await started(server)
        one = await dial(port)
        await goes_on(one)
        server.maxConnectionsPerAddress = 1
        assert await turned_away(port), 'the one that was there counts'
        server.max_connections_per_address = None
        two = await dial(port)
        await goes_on(two)
        server.max_connections_per_address = 3
        three = await dial(port)
        await goes_on(three)
        assert await turned_away(port)
        for each in (one, two, three):
            await each.close()
        await stopped(server)
        assert server._guard is not None
        assert server._guard.limiter.remembered() == 0

    run(main)


def test_a_connection_that_is_destroyed_by_its_listener_is_released(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on(max_connections_per_address=1)
        server.on('connection', lambda sock: sock.destroy())
        port = await started(server)
        for _ in range(3):
            assert await turned_away(port)
        assert 'drop' not in heard.names
        await stopped(server)

    run(main)


def test_a_blocked_connection_is_not_counted(run: Any) -> None:
    async def main() -> None:
        blocked = net.BlockList()
        blocked.add_address('127.0.0.2')
        server, heard = server_on(max_rate_per_network=(1, 3_600_000), block_list=blocked)
        server.on('connection', echo)
        port = await started(server)
        assert await turned_away(port, '127.0.0.2')
        assert (await heard.until('reject')).reason == 'blockList'
        assert not await turned_away(port)
        await stopped(server)

    run(main)


# -- accepting ------------------------------------------------------------------------------------


def test_pausing_leaves_connections_in_the_queue(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        server.on('connection', echo)
        assert not server.accepting
        assert server.pause_accepting() is server
        port = await started(server)
        assert not server.accepting
        one = await dial(port)
        one.writer.write(b'waits')
        await turns()
        assert 'connection' not in heard.names
        assert server.resume_accepting() is server
        assert server.accepting
        assert await one.reader.readexactly(5) == b'waits'
        server.pauseAccepting()
        await goes_on(one)
        two = await dial(port)
        await turns()
        assert heard.names.count('connection') == 1
        server.resumeAccepting()
        await goes_on(two)
        for each in (one, two):
            await each.close()
        await stopped(server)

    run(main)


def test_pausing_and_async_for_are_two_reasons(run: Any) -> None:
    async def main() -> None:
        server = net.create_server()
        port = await started(server)
        server.pause_accepting()
        taken = asyncio.ensure_future(anext(aiter(server)))
        one = await dial(port)
        await turns()
        assert not taken.done()
        server.resume_accepting()
        sock = await taken
        assert not server.accepting, 'no loop waits'
        server.resume_accepting()
        assert not server.accepting
        sock.destroy()
        await one.close()
        await stopped(server)

    run(main)


def test_the_rate_of_accepting_lets_connections_wait(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on(max_accept_rate=(2, 10_000))
        server.on('connection', echo)
        with FakeClock() as clock:
            port = await started(server)
            clients = [await dial(port) for _ in range(4)]
            await heard.until('connection', 2)
            await turns()
            assert heard.names.count('connection') == 2
            assert not server.accepting
            clock.advance(5_000)
            assert server.accepting
            await heard.until('connection', 3)
            await turns()
            assert heard.names.count('connection') == 3
            server.max_accept_rate = None
            await heard.until('connection', 4)
            assert 'drop' not in heard.names
            for each in clients:
                await each.close()
            await stopped(server)

    run(main)


def test_what_is_dropped_counts_for_the_rate_of_accepting(run: Any) -> None:
    async def main() -> None:
        server, _heard = server_on(max_accept_rate=(1, 10_000), max_connections=0)
        with FakeClock() as clock:
            port = await started(server)
            assert await turned_away(port)
            assert not server.accepting
            clock.advance(10_000)
            assert server.accepting
            await stopped(server)

    run(main)


# -- what waits -----------------------------------------------------------------------------------


def test_the_fullest_queue_is_given_up_first(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on(max_queued_bytes=2_000_000)
        with FakeClock() as clock:
            port = await started(server)
            slow, light = await dial(port), await dial(port)
            first, second = [await heard.until('connection', n) for n in (1, 2)]
            told = Heard(first, 'error', 'close')
            first.write(b'x' * 20_000_000)
            second.write(b'x' * 10)
            clock.advance(patrol.PERIOD)
            await told.until('close')
            assert told.all('error')[0].code == 'ERR_SOCKET_QUEUE_LIMIT'
            assert not second.destroyed
            assert await turned_away(port)
            assert (await heard.until('drop')).reason == 'maxQueuedBytes'
            clock.advance(patrol.PERIOD)
            third = await dial(port)
            await heard.until('connection', 3)
            for each in (slow, light, third):
                await each.close()
            second.destroy()
            heard.all('connection')[2].destroy()
            await stopped(server)

    run(main)


def test_unread_bytes_count_too_and_none_is_given_up_at_the_limit(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on(max_queued_bytes=1000, pause_on_connect=True)
        with FakeClock() as clock:
            port = await started(server)
            one = await dial(port)
            sock = await heard.until('connection')
            sock.unshift(b'x' * 1000)
            clock.advance(patrol.PERIOD)
            assert not sock.destroyed
            assert await turned_away(port)
            assert sock.read(1000) == b'x' * 1000
            clock.advance(patrol.PERIOD)
            two = await dial(port)
            await heard.until('connection', 2)
            server.max_queued_bytes = None
            for each in heard.all('connection'):
                each.destroy()
            await one.close()
            await two.close()
            await stopped(server)

    run(main)


def test_the_log_is_not_flooded(run: Any) -> None:
    """A peer that is too slow is no failure of the program: no record above debug level."""

    async def main() -> None:
        async def handler(sock: Socket) -> None:
            await sock.read_line()

        server = net.create_server(handler, min_read_rate=10, min_read_window=1000)
        with FakeClock() as clock:
            port = await started(server)
            one = await dial(port)
            while not await server.get_connections():
                await turns()
            clock.advance(patrol.PERIOD)
            clock.advance(1000)
            assert await one.rest() == b''
            await one.close()
            await stopped(server)

    run(main)
    assert run.unhandled == []


def rounds(clock: FakeClock, ms: float) -> None:
    for _ in range(int(ms / patrol.PERIOD)):
        clock.advance(patrol.PERIOD)


def test_a_peer_that_dribbles_is_given_up(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on(min_read_rate=100, min_read_window=2000)
        server.on('connection', lambda sock: sock.resume())
        with FakeClock() as clock:
            port = await started(server)
            slow, quick = await dial(port), await dial(port)
            first, second = [await heard.until('connection', n) for n in (1, 2)]
            told = Heard(first, 'error', 'close')
            fast = Heard(second, 'data')
            for _ in range(5):
                clock.advance(patrol.PERIOD)
                before = second.bytes_read
                slow.writer.write(b'.')
                quick.writer.write(b'x' * 100)
                while second.bytes_read < before + 100:
                    await turns()
            error = told.all('error')[0]
            assert error.code == 'ERR_SOCKET_READ_RATE'
            assert 'less than 100 a second' in str(error)
            assert not second.destroyed
            assert fast
            second.destroy()
            for each in (slow, quick):
                await each.close()
            await stopped(server)

    run(main)


@pytest.mark.parametrize('how', ['paused', 'writing', 'told', 'told at once'])
def test_who_may_be_silent(run: Any, how: str) -> None:
    async def main() -> None:
        server, heard = server_on(min_read_rate=100, min_read_window=1000)
        with FakeClock() as clock:
            port = await started(server)
            one = await dial(port)
            sock = await heard.until('connection')
            sock.resume()
            if how == 'paused':
                sock.pause()
                sock._handle.read_stop()
            elif how == 'writing':
                sock.write(b'x' * 20_000_000)
            else:
                if how == 'told':
                    rounds(clock, 500)
                server.set_min_read_rate(sock, None)
            rounds(clock, 3000)
            assert not sock.destroyed
            if how.startswith('told'):
                told = Heard(sock, 'error')
                server.set_min_read_rate(sock, 5)
                rounds(clock, 2000)
                assert told.all('error')[0].code == 'ERR_SOCKET_READ_RATE'
            sock.destroy()
            await one.close()
            await stopped(server)

    run(main)


def test_a_rate_for_one_connection_needs_no_limit_of_the_server(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        with FakeClock() as clock:
            port = await started(server)
            one = await dial(port)
            sock = await heard.until('connection')
            told = Heard(sock, 'error', 'close')
            assert server.set_min_read_rate(sock, 1) is server
            rounds(clock, 11_000)
            await told.until('close')
            assert told.all('error')[0].code == 'ERR_SOCKET_READ_RATE'
            with pytest.raises(errors.NodeError) as caught:
                server.set_min_read_rate(sock, 1)
            assert caught.value.code == 'ERR_INVALID_ARG_VALUE'
            await one.close()
            await stopped(server)

    run(main)


def test_many_connections_are_looked_at_in_slices(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patrol, 'SLICE', 2)

    async def main() -> None:
        server, heard = server_on(max_queued_bytes=0)
        with FakeClock() as clock:
            port = await started(server)
            clients = [await dial(port) for _ in range(5)]
            await heard.until('connection', 5)
            socks = heard.all('connection')
            errors_seen = [Heard(sock, 'error') for sock in socks]
            for sock in socks:
                sock.write(b'x' * 10_000_000)
            clock.advance(patrol.PERIOD)
            assert not any(sock.destroyed for sock in socks)
            for _ in range(3):
                clock.advance(1)
            assert all(sock.destroyed for sock in socks)
            await turns()
            assert all(len(seen) == 1 for seen in errors_seen)
            for each in clients:
                await each.close()
            await stopped(server)

    run(main)


# -- arguments ------------------------------------------------------------------------------------

COUNTS = ('max_connections_per_address', 'max_connections_per_network', 'max_queued_bytes')
RATES = ('max_rate_per_address', 'max_rate_per_network', 'max_accept_rate')
NAMES = (*COUNTS, *RATES, 'min_read_rate', 'min_read_window')


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize(
    ('value', 'code'),
    [('5', 'ERR_INVALID_ARG_TYPE'), (True, 'ERR_INVALID_ARG_TYPE'), (-1, 'ERR_OUT_OF_RANGE')],
)
def test_wrong_values_are_refused_at_once(name: str, value: Any, code: str) -> None:
    def set_it() -> None:
        setattr(net.create_server(), name, value)

    call: Callable[[], Any]
    for call in (set_it, lambda: net.create_server({name: value})):
        with pytest.raises(errors.NodeError) as caught:
            call()
        assert caught.value.code == code
        assert name in str(caught.value)


@pytest.mark.parametrize('name', NAMES)
def test_an_option_is_an_attribute_as_it_was_given(name: str) -> None:
    default = 10_000 if name == 'min_read_window' else None
    assert getattr(net.create_server(), name) == default
    assert getattr(net.create_server({name: 7}), name) == 7
    if name != 'min_read_window':
        assert net.create_server({name: None})._guard is None
    if name in RATES:
        assert getattr(net.create_server({name: (3, 500)}), name) == (3, 500)


def test_without_limits_there_is_nothing(run: Any) -> None:
    server = net.create_server(max_connections_per_address=None)
    assert server._guard is None
    server.max_queued_bytes = None
    assert server._guard is None


def test_the_tables_hold_nothing_after_an_accept_that_failed(run: Any) -> None:
    """An attribute that was set to something unusable: the connection is closed and not counted."""

    async def main() -> None:
        server, _heard = server_on(max_connections_per_address=5)
        port = await started(server)
        server.keep_alive = True
        server.keep_alive_initial_delay = object()
        raw = socket.create_connection(('127.0.0.1', port))
        while not run.unhandled:
            await turns()
        run.unhandled.clear()
        raw.close()
        assert server._guard is not None
        assert server._guard.limiter.remembered() == 0
        await stopped(server)

    run(main)


def test_a_peer_that_has_reset_gets_by_no_limit(run: Any) -> None:
    """The kernel no longer knows whose connection it was."""

    async def main() -> None:
        server, heard = server_on(max_rate_per_address=(1000, 1000))
        port = await started(server)
        for number in range(20):
            raw = socket.create_connection(('127.0.0.1', port))
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
            raw.close()
            while len([name for name in heard.names if name != 'listening']) <= number:
                await turns()
        reasons = {data.reason for data in heard.all('drop')}
        assert reasons <= {'peerGone'}
        await stopped(server)

    run(main)


def test_behind_a_balancer_the_clients_count(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        server, heard = server_on(
            max_connections_per_address=1, proxy_protocol='required', proxy_from=['unix:']
        )
        server.on('connection', echo)
        path = str(tmp_path / 's')
        await started(server, path)

        async def through(address: str) -> Client:
            one = Client(*await asyncio.open_unix_connection(path))
            one.writer.write(f'PROXY TCP4 {address} 198.51.100.1 4000 80\r\n'.encode())
            return one

        first, other = await through('203.0.113.5'), await through('203.0.113.6')
        await goes_on(first)
        await goes_on(other)
        second = await through('203.0.113.5')
        assert await second.rest() == b''
        data = await heard.until('drop')
        assert (data.reason, data.remote_address) == ('maxConnectionsPerAddress', '203.0.113.5')
        await first.close()
        while await server.get_connections() > 1:
            await turns()
        third = await through('203.0.113.5')
        await goes_on(third)
        for each in (second, third, other):
            await each.close()
        await stopped(server)
        assert server._guard is not None
        assert server._guard.limiter.remembered() == 0

    run(main)


@pytest.mark.parametrize('rate', [5e-324, 1e-300, (1, 10**12), (1, 2**31), (1e-9, 1e9)])
def test_a_rate_that_is_next_to_nothing_accepts_one(run: Any, rate: Any) -> None:
    """The rest lasts longer than any timer, and no loop is asked to wait for ever."""

    async def main() -> None:
        server, heard = server_on(max_accept_rate=rate)
        port = await started(server)
        async with client(port), client(port):
            await heard.until('connection')
            await turns()
            assert server.stats().accepted == 1
            assert not server.accepting
            await server.close_all(0)

    run(main)
