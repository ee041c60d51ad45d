"""Server: connections, limits, address, closing, lifetime flags (rows SV)."""

from __future__ import annotations

import asyncio
import gc
import weakref
from pathlib import Path
from typing import Any

import pytest

import tailrace
from tailrace import net
from tailrace.errors import InvalidArgTypeError, StateError

from .serving import Client, Heard, client, echo, server_on, started, stopped, turns


def test_sv01_server_is_an_event_emitter() -> None:
    assert isinstance(net.create_server(), tailrace.EventEmitter)


def test_sv02_listener_in_every_place() -> None:
    def listener(sock: Any) -> None:
        pass

    for server in (
        net.Server(listener),
        net.Server({}, listener),
        net.Server(None, listener),
        net.Server(connection_listener=listener),
        net.Server({'noDelay': True}, connectionListener=listener),
    ):
        assert server.listeners('connection') == [listener]
    assert net.Server({}, 'no function').listener_count('connection') == 0


@pytest.mark.parametrize('bad', ['x', 5, 1.5, True, [1], b'x'])
def test_sv02_options_of_another_type_are_refused(bad: Any) -> None:
    with pytest.raises(InvalidArgTypeError) as caught:
        net.Server(bad)
    assert caught.value.code == 'ERR_INVALID_ARG_TYPE'


def test_sv03_close_waits_for_the_connections(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        port = await started(server)
        async with client(port) as one:
            sock = await heard.until('connection')
            sock.pipe(sock)
            server.close()
            assert await one.ask(b'still here') == b'still here'
            assert 'close' not in heard.names
        await heard.until('close')
        await turns()
        assert heard.names == ['listening', 'connection', 'close']

    run(main)


def test_sv04_one_connection_event_per_client(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        port = await started(server)
        async with client(port) as one, client(port) as two:
            await heard.until('connection', 2)
            socks = heard.all('connection')
            assert all(isinstance(sock, net.Socket) for sock in socks)
            assert {sock.remote_port for sock in socks} == {one.port, two.port}
            for sock in socks:
                sock.end()
        await stopped(server)

    run(main)


def test_sv04_a_server_holds_no_connection_that_is_gone(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        port = await started(server)
        async with client(port):
            sock = await heard.until('connection')
            told = Heard(sock, 'close')
            sock.destroy()
            await told.until('close')
        gone = weakref.ref(sock)
        heard.clear()
        del sock
        await turns()
        gc.collect()
        assert gone() is None
        await stopped(server)

    run(main)


def test_sv05_error_is_not_followed_by_close(run: Any) -> None:
    async def main() -> None:
        first, _ = server_on()
        port = await started(first)
        second, heard = server_on()
        second.listen(port=port, host='127.0.0.1')
        await heard.until('error')
        await turns(10)
        assert heard.names == ['error']
        second.close()
        await heard.until('close')
        await stopped(first)

    run(main)


def test_sv06_no_listening_after_a_close_in_the_same_tick(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        server.listen(0)
        server.close()
        await heard.until('close')
        await turns()
        assert heard.names == ['close']

    run(main)


def test_sv07_to_sv13_drop_says_who(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on(max_connections=1)
        port = await started(server)
        async with client(port) as one:
            (await heard.until('connection')).pipe(heard.all('connection')[0])
            async with client(port) as two:
                assert await two.rest() == b''
                data = await heard.until('drop')
                assert data == {
                    'localAddress': '127.0.0.1',
                    'localPort': port,
                    'localFamily': 'IPv4',
                    'remoteAddress': '127.0.0.1',
                    'remotePort': two.port,
                    'remoteFamily': 'IPv4',
                }
                assert (data.local_address, data.local_port, data.local_family) == (
                    '127.0.0.1',
                    port,
                    'IPv4',
                )
                assert (data.remoteAddress, data['remote_port']) == ('127.0.0.1', two.port)
            assert await one.ask(b'x') == b'x'
        assert heard.names.count('connection') == 1
        await stopped(server)

    run(main)


def test_sv14_drop_on_a_path_has_no_data(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        server, heard = server_on(max_connections=0)
        path = str(tmp_path / 's')
        await started(server, path)
        async with client(path) as one:
            assert await one.rest() == b''
            await heard.until('drop')
        assert heard[-1] == ('drop', None)
        await stopped(server)

    run(main)


def test_sv15_sv16_address(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        server = net.create_server()
        assert server.address() is None
        server.listen(port=0, host='127.0.0.1')
        assert server.address() is None  # 0.4: with a host it is known a tick later
        await server
        found = server.address()
        assert found == {'address': '127.0.0.1', 'family': 'IPv4', 'port': found.port}
        assert found.port > 0
        server.close()
        assert server.address() is None
        await turns()

        server.listen(0)
        assert server.address().port > 0  # 0.4: without a host at once
        await stopped(server)

        path = str(tmp_path / 's')
        await started(server, path)
        assert server.address() == path
        await stopped(server)

    run(main)


def test_sv17_close_stops_accepting_and_keeps_connections(run: Any) -> None:
    async def main() -> None:
        server = net.create_server(echo)
        port = await started(server)
        heard = Heard(server, 'close')
        async with client(port) as one:
            assert await one.ask(b'1') == b'1'
            assert server.close() is server
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection('127.0.0.1', port)
            assert await one.ask(b'2') == b'2'
        await heard.until('close')

    run(main)


def test_sv18_sv19_close_callbacks(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        server.close(heard.to('never opened'))
        error = await heard.until('never opened')
        assert isinstance(error, StateError)
        assert error.code == 'ERR_SERVER_NOT_RUNNING'
        await started(server)
        server.close(heard.to('first'))
        server.close(heard.to('second'))
        assert (await heard.until('second')).code == 'ERR_SERVER_NOT_RUNNING'
        assert ('first',) in heard
        await started(server)  # and it can be opened again
        server.close(callback=heard.to('by keyword'))
        await heard.until('by keyword')
        assert heard[-1] == ('by keyword',) or ('by keyword',) in heard
        await turns()

    run(main)


def test_sv18_close_takes_a_coroutine_function_and_ignores_what_is_no_function(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()

        async def closed(error: Any) -> None:
            await asyncio.sleep(0)
            heard.to('closed')(error)

        await started(server)
        server.close(closed)
        assert await heard.until('closed') is None
        await started(server)
        server.close('not a function')
        await heard.until('close', 2)

    run(main)


def test_sv20_async_dispose(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        await server.async_dispose()
        assert heard == []
        await started(server)
        await server.asyncDispose()
        assert heard.names == ['listening', 'close']
        async with server as same:
            assert same is server
            await started(server)
        assert heard.names == ['listening', 'close'] * 2
        assert server.listening is False

    run(main)


@pytest.mark.parametrize('host', ['127.0.0.1', 'localhost'])
def test_sv20_async_dispose_ends_a_listen_that_has_not_come_to_pass(run: Any, host: str) -> None:
    async def main() -> None:
        server, heard = server_on()
        async with server:
            server.listen(port=0, host=host)
        await turns(10)
        assert heard.names == ['close']
        assert not server.listening

    run(main)


def test_sv20_async_dispose_waits_for_connections(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        port = await started(server)
        async with client(port):
            sock = await heard.until('connection')
            disposing = asyncio.create_task(server.async_dispose())
            await turns()
            assert not disposing.done()
            again = asyncio.create_task(server.async_dispose())
            await turns()
            assert not again.done()
            sock.destroy()
            await disposing
            await again
        assert heard.names.count('close') == 1

    run(main)


def test_sv21_get_connections(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        port = await started(server)
        async with client(port) as one:
            async with client(port) as two:
                await heard.until('connection', 2)
                assert server.get_connections(heard.to('count')) is server
                assert 'count' not in heard.names
                await heard.until('count')
                assert heard[-1] == ('count', None, 2)
                assert await server.get_connections() == 2
                assert await server.getConnections() == 2
                server.get_connections(callback=heard.to('count'))
                await heard.until('count', 2)
                socks = {sock.remote_port: sock for sock in heard.all('connection')}
                ended = Heard(socks[two.port].resume(), 'close')
            await ended.until('close')
            assert await server.get_connections() == 1
            socks[one.port].destroy()
        await stopped(server)
        assert await server.get_connections() == 0

    run(main)


@pytest.mark.parametrize('bad', [1, 'x', {}, False])
def test_sv21_get_connections_wants_a_function(bad: Any) -> None:
    with pytest.raises(InvalidArgTypeError):
        net.create_server().get_connections(bad)


def test_sv22_listening(run: Any) -> None:
    async def main() -> None:
        server = net.create_server()
        assert server.listening is False
        server.listen(0)
        assert server.listening is True
        server.close()
        assert server.listening is False
        with pytest.raises(AttributeError):
            server.listening = True  # type: ignore[misc]
        await turns()

    run(main)


def test_sv23_max_connections_follows_what_is_set(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        server.maxConnections = 2
        assert server.max_connections == 2
        port = await started(server)

        async def dropped() -> bool:
            before = heard.names.count('drop'), heard.names.count('connection')
            async with client(port) as one:
                while (heard.names.count('drop'), heard.names.count('connection')) == before:
                    await asyncio.sleep(0)
                if heard.names.count('drop') > before[0]:
                    return True
                sock = heard.all('connection')[-1]
                ended = Heard(sock, 'close')
                sock.end()
                await one.rest()
            await ended.until('close')
            return False

        async with client(port), client(port):
            await heard.until('connection', 2)
            assert await dropped()
            server.max_connections = 3
            assert not await dropped()
            server.max_connections = 1  # those who are in stay in
            assert await dropped()
            assert await server.get_connections() == 2
            server.max_connections = None
            assert not await dropped()
            for sock in heard.all('connection'):
                sock.destroy()
        server.max_connections = 1
        assert not await dropped()
        await stopped(server)

    run(main)


@pytest.mark.parametrize('none', [None, float('inf'), float('nan')])
def test_sv23_am15_no_limit(none: Any) -> None:
    server = net.create_server(max_connections=3)
    server.max_connections = none
    assert server._max_connections is None


@pytest.mark.parametrize('bad', ['1', True, [], b'2', {}])
def test_sv23_am15_a_limit_is_a_number(bad: Any) -> None:
    server = net.create_server(max_connections=3)
    with pytest.raises(InvalidArgTypeError):
        server.max_connections = bad
    assert server.max_connections == 3
    with pytest.raises(InvalidArgTypeError):
        net.create_server(max_connections=bad)


@pytest.mark.parametrize('limit', [0, -1])
def test_sv24_zero_drops_everything(run: Any, limit: int) -> None:
    async def main() -> None:
        server, heard = server_on()
        server.max_connections = limit
        port = await started(server)
        for _ in range(2):
            async with client(port) as one:
                assert await one.rest() == b''
        await heard.until('drop', 2)
        assert 'connection' not in heard.names
        await stopped(server)

    run(main)


@pytest.mark.parametrize('value', [True, False])
def test_sv25_drop_max_connection_changes_nothing_outside_a_cluster(run: Any, value: bool) -> None:
    async def main() -> None:
        server, heard = server_on(max_connections=0)
        assert server.drop_max_connection is None
        server.drop_max_connection = value
        assert server.dropMaxConnection is value
        port = await started(server)
        async with client(port) as one:
            assert await one.rest() == b''
        await heard.until('drop')
        await stopped(server)

    run(main)


def test_sv26_sv27_ref_and_unref_return_the_server_and_are_remembered(run: Any) -> None:
    async def main() -> None:
        server = net.create_server()
        assert server.unref() is server.unref() is server
        await started(server)
        assert tailrace.active_resources() == []
        assert server.ref() is server.ref() is server
        (one,) = tailrace.active_resources()
        assert one.kind == 'server'
        assert one.address == f'127.0.0.1:{server.address().port}'
        server.unref()
        assert tailrace.active_resources() == []
        server.ref()
        await stopped(server)
        assert tailrace.active_resources() == []
        server.unref().ref()

    run(main)


def test_sv28_gen18_connections_is_deprecated(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        port = await started(server)
        async with client(port):
            sock = await heard.until('connection')
            with pytest.warns(DeprecationWarning, match='get_connections') as caught:
                assert server.connections == 1
            assert caught[0].filename == __file__
            sock.destroy()
        await stopped(server)

    run(main)


def test_sv29_mf09_blocked_peers_are_closed_silently(run: Any) -> None:
    async def main() -> None:
        blocked = net.BlockList()
        server, heard = server_on(block_list=blocked)
        port = await started(server, 0)  # dual stack: the peer is ::ffff:127.0.0.1
        blocked.add_address('127.0.0.1')
        async with client(port) as one:
            assert await one.rest() == b''
            data = await heard.until('reject')
        assert (data.reason, data.remote_port) == ('blockList', one.port)
        assert await server.get_connections() == 0
        server.block_list = None
        async with client(port):
            (await heard.until('connection')).destroy()
        assert heard.names == ['listening', 'reject', 'connection']
        await stopped(server)

    run(main)


def test_sv29_without_a_reject_listener_nothing_is_said(run: Any) -> None:
    async def main() -> None:
        blocked = net.BlockList()
        blocked.add_subnet('127.0.0.0', 8)
        server = net.create_server(block_list=blocked)
        heard = Heard(server, 'connection', 'drop', 'error')
        port = await started(server)
        async with client(port) as one:
            assert await one.rest() == b''
        assert heard == []
        await stopped(server)

    run(main)


def test_sv30_accepted_sockets_know_their_server(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        port = await started(server)
        async with client(port):
            sock = await heard.until('connection')
            assert sock.server is server
            sock.destroy()
        assert net.Socket().server is None
        await stopped(server)

    run(main)


def test_sv31_option_values_are_attributes_that_count_for_later_connections(run: Any) -> None:
    async def main() -> None:
        blocked = net.BlockList()
        server, heard = server_on(
            allow_half_open=True,
            pause_on_connect=True,
            no_delay=True,
            keep_alive=True,
            keep_alive_initial_delay=2000,
            high_water_mark=7,
            block_list=blocked,
        )
        assert (server.allow_half_open, server.pauseOnConnect, server.no_delay) == (True,) * 3
        assert (server.keepAlive, server.keep_alive_initial_delay) == (True, 2000)
        assert (server.high_water_mark, server.blockList) == (7, blocked)
        port = await started(server)
        async with client(port), Many() as many:
            first = await heard.until('connection')
            assert (first.allow_half_open, first.readable_high_water_mark) == (True, 7)
            assert first.is_paused()
            server.allow_half_open = server.pause_on_connect = False
            server.highWaterMark = 9
            await many.open(port)
            second = await heard.until('connection', 2)
            assert (second.allow_half_open, second.readable_high_water_mark) == (False, 9)
            assert not second.is_paused()
            first.destroy()
            second.destroy()
        await stopped(server)

    run(main)


class Many:
    """Several clients that are closed together."""

    def __init__(self) -> None:
        self.clients: list[Client] = []

    async def open(self, port: int, host: str = '127.0.0.1') -> Client:
        one = Client(*await asyncio.open_connection(host, port))
        self.clients.append(one)
        return one

    async def __aenter__(self) -> Many:
        return self

    async def __aexit__(self, *_: object) -> None:
        for one in self.clients:
            await one.close()


def test_repr_tells_what_a_server_does(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        server, heard = server_on()
        assert repr(server) == '<Server not listening, 0 connections>'
        port = await started(server)
        async with client(port):
            sock = await heard.until('connection')
            assert repr(server) == f'<Server listening on 127.0.0.1:{port}, 1 connections>'
            sock.destroy()
        await stopped(server)
        await started(server, host='::1', port=0)
        assert repr(server).startswith('<Server listening on [::1]:')
        await stopped(server)
        await started(server, str(tmp_path / 's'))
        assert repr(server) == f'<Server listening on {tmp_path / "s"}, 0 connections>'
        await stopped(server)

    run(main)


def test_gen15_await_gives_the_listening_server_after_its_listeners(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        assert await server.listen(0) is server
        assert heard.names == ['listening']
        assert await server is server
        await stopped(server)
        assert (await server.listen(port=0, host='localhost')).listening
        await stopped(server)

    run(main)


def test_gen15_await_raises_the_error_once(run: Any) -> None:
    async def main() -> None:
        first = await net.create_server().listen(port=0, host='127.0.0.1')
        second = net.create_server()
        with pytest.raises(OSError, match='EADDRINUSE'):
            await second.listen(port=first.address().port, host='127.0.0.1')
        assert second.event_names() == []
        await second.listen(0)
        await stopped(second)
        await stopped(first)

    run(main)


def test_gen15_await_does_not_wait_for_ever(run: Any) -> None:
    async def main() -> None:
        server = net.create_server()
        with pytest.raises(StateError) as caught:
            await server
        assert caught.value.code == 'ERR_SERVER_NOT_RUNNING'
        for host in ('127.0.0.1', 'localhost', None):
            waiting = asyncio.ensure_future(server.listen(port=0, host=host)._wait_listening())
            await asyncio.sleep(0)
            server.close()
            if not waiting.done():
                with pytest.raises(StateError):
                    await waiting
            await turns()

    run(main)


@pytest.mark.parametrize('host', ['127.0.0.1', 'localhost'])
def test_gen15_await_right_after_close_is_not_ended_by_its_close(run: Any, host: str) -> None:
    async def main() -> None:
        server = await net.create_server().listen(0, host)
        assert (await server.close().listen(0, host)).listening
        await stopped(server)

    run(main)


def test_gen15_async_for_gives_every_connection(run: Any) -> None:
    async def main() -> None:
        server = net.create_server()
        port = await started(server)
        seen = []

        async def talk() -> bytes:
            async with client(port) as one:
                return await one.rest()

        talking = asyncio.gather(talk(), talk(), talk())
        async for sock in server:
            seen.append(sock.remote_port)
            sock.end(b'bye')
            sock.resume()
            if len(seen) == 3:
                server.close()
        assert not server.listening
        assert await talking == [b'bye'] * 3
        assert len(set(seen)) == 3
        await turns()

    run(main)


def test_gen15_async_for_leaves_what_it_cannot_take_in_the_queue_of_the_kernel(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        port = await started(server)
        async with Many() as many:
            connections = server.__aiter__()
            waiting = asyncio.ensure_future(anext(connections))
            await turns()
            for _ in range(3):
                await many.open(port)
            await waiting
            await turns()
            assert heard.names.count('connection') == 1
            await anext(connections)
            await turns()
            assert heard.names.count('connection') == 2
            await connections.aclose()
            await heard.until('connection', 3)
            for sock in heard.all('connection'):
                sock.destroy()
        await stopped(server)

    run(main)


def test_gen15_async_for_is_shared_by_several_tasks_and_ends_for_all(run: Any) -> None:
    async def main() -> None:
        server = net.create_server()
        port = await started(server)
        seen: list[Any] = []

        async def worker() -> None:
            async for sock in server:
                seen.append(sock.remote_port)
                sock.end()
                sock.resume()

        workers = [asyncio.create_task(worker()) for _ in range(3)]
        await turns()
        for _ in range(4):
            async with client(port) as one:
                assert await one.rest() == b''
        server.close()
        await asyncio.gather(*workers)
        assert len(set(seen)) == 4
        await turns()

    run(main)


def test_gen15_async_for_needs_a_server_that_listens(run: Any) -> None:
    async def main() -> None:
        with pytest.raises(StateError) as caught:
            async for _ in net.create_server():
                pass
        assert caught.value.code == 'ERR_SERVER_NOT_RUNNING'

    run(main)


def test_gen15_async_for_leaves_nothing_behind(run: Any) -> None:
    async def main() -> None:
        server = await net.create_server(echo).listen(port=0, host='127.0.0.1')
        port = server.address().port
        async with client(port) as one:
            assert await one.ask(b'x') == b'x'
            connections = server.__aiter__()
            waiting = asyncio.ensure_future(anext(connections))
            await turns()
            async with client(port) as two:
                sock = await waiting
                assert sock.remote_port == two.port
                await connections.aclose()
                assert server.event_names() == ['connection']
                assert await two.ask(b'y') == b'y'
            async with client(port) as three:
                assert await three.ask(b'z') == b'z'
        await stopped(server)

    run(main)


def test_gen15_async_for_raises_the_server_error(run: Any) -> None:
    async def main() -> None:
        first = await net.create_server().listen(port=0, host='127.0.0.1')
        second = net.create_server()
        second.listen(port=first.address().port, host='127.0.0.1')
        with pytest.raises(OSError, match='EADDRINUSE'):
            async for _ in second:
                pass
        await stopped(first)

    run(main)
