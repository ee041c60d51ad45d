"""Options of a server and the module functions that make servers and sockets (rows MF)."""

from __future__ import annotations

import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import tailrace
from tailrace import AbortController, net
from tailrace.errors import InvalidArgTypeError
from tailrace.stream import get_default_high_water_mark

from .serving import Heard, client, echo, kernel_option, server_on, started, stopped, turns


def test_mf01_mf08_create_server_in_every_form() -> None:
    def listener(sock: Any) -> None:
        pass

    for server in (
        net.create_server(listener),
        net.create_server({'noDelay': True}, listener),
        net.create_server(listener, no_delay=True),
        net.create_server(no_delay=True, connection_listener=listener),
        net.createServer({'no_delay': True}, connectionListener=listener),
    ):
        assert isinstance(server, net.Server)
        assert server.listeners('connection') == [listener]
    assert net.create_server(listener, no_delay=True).no_delay
    assert net.create_server().listener_count('connection') == 0


def test_gen04_mapping_and_keywords() -> None:
    options = {'allowHalfOpen': True, 'nonsense': 5}
    before = dict(options)
    assert net.create_server(options).allow_half_open
    assert net.create_server(allow_half_open=True).allowHalfOpen  # type: ignore[attr-defined]
    assert net.create_server(options, high_water_mark=3).high_water_mark == 3
    assert net.create_server(options, allow_half_open=True).allow_half_open
    assert options == before
    with pytest.raises(TypeError, match='bogus'):
        net.create_server(bogus=1)
    with pytest.raises(TypeError, match='no_delay'):
        net.create_server(nodelay=1)
    with pytest.raises(TypeError, match='two different values'):
        net.create_server(options, allow_half_open=False)


def test_mf02_pf04_half_open(run: Any) -> None:
    async def main() -> None:
        for half_open in (True, False):
            server, heard = server_on(allow_half_open=half_open)
            port = await started(server)
            async with client(port) as one:
                sock = await heard.until('connection')
                told = Heard(sock, 'end', 'finish', 'close')
                sock.resume()
                one.writer.write_eof()
                await told.until('end')
                if half_open:
                    await turns(10)
                    assert told.names == ['end']
                    assert (sock.readable, sock.writable) == (False, True)
                    assert sock.ready_state == 'writeOnly'
                    sock.end('after your end')
                assert await one.rest() == (b'after your end' if half_open else b'')
                await told.until('close')
                assert told.names == ['end', 'finish', 'close']
            await stopped(server)

    run(main)


def test_mf03_high_water_mark(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on(high_water_mark=5)
        port = await started(server)
        async with client(port):
            sock = await heard.until('connection')
            assert sock.readable_high_water_mark == sock.writable_high_water_mark == 5
            assert sock.write(b'12345') in (True, False)
            sock.destroy()
        await stopped(server)

    run(main)


def test_mf03_negative_is_the_default_and_others_are_refused() -> None:
    assert net.create_server(high_water_mark=-1).high_water_mark == get_default_high_water_mark()
    assert net.create_server().high_water_mark == get_default_high_water_mark()
    assert net.create_server(high_water_mark=0).high_water_mark == 0
    for bad in ('5', True, [], b'5'):
        with pytest.raises(InvalidArgTypeError):
            net.create_server(high_water_mark=bad)


def test_mf04_mf05_mf06_pf06_socket_options(run: Any) -> None:
    async def main() -> None:
        for delay in (5000, 5999.9, timedelta(seconds=5)):
            server, heard = server_on(
                keep_alive=True, keep_alive_initial_delay=delay, no_delay=True
            )
            port = await started(server)
            async with client(port):
                sock = await heard.until('connection')
                assert kernel_option(sock, socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
                assert kernel_option(sock, socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
                assert kernel_option(sock, socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 5
                sock.destroy()
            await stopped(server)

    run(main)


@pytest.mark.parametrize('wish', [None, False, True])
@pytest.mark.parametrize('late', [False, True])
def test_deviation_nagle_is_off_unless_asked_for(run: Any, wish: bool | None, late: bool) -> None:
    """On both ends, by option, and by the attribute of a server that listens already."""

    async def main() -> None:
        server, heard = server_on(no_delay=None if late else wish)
        port = await started(server)
        if late and wish is not None:
            server.no_delay = wish
        async with client(port):
            sock = await heard.until('connection')
            on = kernel_option(sock, socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
            assert on == (wish is not False)
            sock.destroy()
        own = await net.connect(port, '127.0.0.1', no_delay=wish)
        on = kernel_option(own, socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert on == (wish is not False)
        own.destroy()
        await own.wait_closed()
        await stopped(server)

    run(main)


def test_mf06_is_off_by_default(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        port = await started(server)
        async with client(port):
            sock = await heard.until('connection')
            assert kernel_option(sock, socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
            sock.destroy()
        await stopped(server)

    run(main)


@pytest.mark.parametrize('delay', [-5, 0, 999])
def test_mf05_below_a_second_the_system_decides(run: Any, delay: int) -> None:
    async def main() -> None:
        with socket.socket() as fresh:
            default = fresh.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        server, heard = server_on(keep_alive=True, keep_alive_initial_delay=delay)
        port = await started(server)
        async with client(port):
            sock = await heard.until('connection')
            assert kernel_option(sock, socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
            assert kernel_option(sock, socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == default
            sock.destroy()
        await stopped(server)

    run(main)


@pytest.mark.parametrize('bad', ['5', True, [], {}])
def test_mf05_not_a_number(bad: Any) -> None:
    with pytest.raises(InvalidArgTypeError):
        net.create_server(keep_alive_initial_delay=bad)


def test_mf04_socket_options_do_no_harm_on_a_path(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        server = net.create_server(
            echo, keep_alive=True, no_delay=True, keep_alive_initial_delay=5000
        )
        await started(server, str(tmp_path / 's'))
        async with client(str(tmp_path / 's')) as one:
            assert await one.ask(b'x') == b'x'
        await stopped(server)

    run(main)


def test_mf07_pause_on_connect(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on(pause_on_connect=True)
        port = await started(server)
        with socket.create_connection(('127.0.0.1', port)) as raw:
            raw.sendall(b'early')
            sock = await heard.until('connection')
            told = Heard(sock, 'data', 'close')
            await turns(20)
            assert sock.is_paused()
            assert sock.bytes_read == 0
            assert told == []
            sock.resume()
            assert await told.until('data') == b'early'
        await told.until('close')
        await stopped(server)

    run(main)


@pytest.mark.parametrize('bad', [[], '127.0.0.1', {}, True])
def test_mf09_block_list_is_a_block_list(bad: Any) -> None:
    with pytest.raises(InvalidArgTypeError):
        net.create_server(block_list=bad)


def test_mf10_mf14_gen16_create_connection(run: Any) -> None:
    async def main() -> None:
        server = net.create_server(lambda sock: sock.end())
        port = await started(server, 0)
        heard = Heard()
        for make in (
            lambda: net.create_connection(port, heard.to('connect')),
            lambda: net.create_connection(port, 'localhost', heard.to('connect')),
            lambda: net.connect(str(port), heard.to('connect')),
            lambda: net.createConnection({'port': port}, heard.to('connect')),
            lambda: net.connect(port=port, connect_listener=heard.to('connect')),
            lambda: net.connect(port=port, host='127.0.0.1', connectListener=heard.to('connect')),
        ):
            sock = make()
            assert isinstance(sock, net.Socket)
            assert sock.connecting
            assert heard == []
            told = Heard(sock.resume(), 'close')
            await told.until('close')
            assert heard.names == ['connect']
            assert sock.listener_count('connect') == 0
            heard.clear()
        await stopped(server)

    run(main)


def test_mf11_options_of_both(run: Any) -> None:
    async def main() -> None:
        controller = AbortController()
        server, heard = server_on()
        port = await started(server)
        sock = net.create_connection(
            {'port': port, 'noDelay': True, 'signal': controller.signal, 'highWaterMark': 9}
        )
        told = Heard(sock, 'connect', 'error', 'close')
        await told.until('connect')
        assert sock.readable_high_water_mark == 9
        assert kernel_option(sock, socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        controller.abort()
        assert (await told.until('error')).code == 'ABORT_ERR'
        await told.until('close')
        (await heard.until('connection')).destroy()
        await stopped(server)

    run(main)


def test_mf12_timeout_of_create_connection(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        port = await started(server)
        for options, wanted in (
            ({'timeout': 40}, 40),
            ({'timeout': 0}, None),
            ({'timeout': None}, None),
            ({}, None),
        ):
            sock = await net.create_connection(port=port, host='127.0.0.1', **options)
            assert sock.timeout == wanted
            told = Heard(sock, 'close')
            sock.destroy()
            await told.until('close')
        for sock in heard.all('connection'):
            sock.destroy()
        await stopped(server)

    run(main)


def test_mf12_timeout_fires_while_a_connect_is_pending(run: Any) -> None:
    async def main() -> None:
        with socket.create_server(('127.0.0.1', 0), backlog=0) as hole:
            where = hole.getsockname()
            fillers = [socket.socket() for _ in range(3)]
            for one in fillers:
                one.setblocking(False)
                one.connect_ex(where)
            sock = net.create_connection(port=where[1], host='127.0.0.1', timeout=20)
            told = Heard(sock, 'timeout', 'connect', 'close')
            await told.until('timeout')
            assert sock.connecting
            sock.destroy()
            await told.until('close')
            assert 'connect' not in told.names
            for one in fillers:
                one.close()

    run(main)


def test_mf13_create_connection_to_a_path(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        path = str(tmp_path / 's')
        server = net.create_server(lambda sock: sock.end('path'))
        await started(server, path)
        heard = Heard()
        sock = net.create_connection(path, heard.to('connect'))
        assert [chunk async for chunk in sock] == [b'path']
        assert heard == [('connect',)]
        await stopped(server)

    run(main)


def test_mf15_connect_is_create_connection() -> None:
    assert net.connect is net.create_connection is tailrace.connect
    assert net.createConnection is net.connect


def test_gen01_gen03_gen07_one_module() -> None:
    import tailrace.net

    assert tailrace.net is net
    # `stream` has other `promises`, so that name says nothing without its module.
    for name in set(net.__all__) - {'promises'}:
        assert getattr(tailrace, name) is getattr(net, name)
    assert not hasattr(tailrace, 'promises')
    assert tailrace.is_ip is tailrace.isIP is net.isIP
    assert tailrace.is_ipv6 is tailrace.isIPv6
    assert isinstance(tailrace.Server(), net.Server)
    assert isinstance(tailrace.Socket(), net.Socket)


def test_gen05_what_is_not_there_is_none() -> None:
    sock = net.Socket(None)
    assert sock.remote_address is None
    assert sock.timeout is None
    assert net.create_server(None, None).address() is None
    assert net.create_server(high_water_mark=None, block_list=None).block_list is None


def test_gen08_address_is_a_mapping_with_attributes(run: Any) -> None:
    import json

    async def main() -> None:
        server = net.create_server()
        await started(server)
        found = server.address()
        assert found == {'port': found.port, 'family': 'IPv4', 'address': '127.0.0.1'}
        assert set(found) == {'address', 'family', 'port'}
        assert len(found) == 3
        assert json.loads(json.dumps(dict(found))) == found
        with pytest.raises(AttributeError, match='address, family, port'):
            found.host  # noqa: B018
        await stopped(server)

    run(main)


def test_gen14_bytes_out_and_bytes_like_in(run: Any) -> None:
    async def main() -> None:
        server = net.create_server(echo)
        port = await started(server)
        sock = await net.connect(port, '127.0.0.1')
        told = Heard(sock, 'data', 'close')
        mutable = bytearray(b'snapshot')
        sock.write(mutable)
        mutable[:] = b'otherwis'
        for data in ('text', memoryview(b'view'), b'bytes'):
            sock.write(data)
        sock.end()
        await told.until('close')
        assert all(type(chunk) is bytes for chunk in told.all('data'))
        assert b''.join(told.all('data')) == b'snapshottextviewbytes'
        await stopped(server)

    run(main)


def test_gen16_chaining(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        assert server.listen(0) is server.close() is server.ref() is server.unref()
        assert server.get_connections(lambda: None) is server
        await heard.until('close')
        sock = net.Socket()
        assert sock.set_timeout(0) is sock.set_no_delay() is sock.set_keep_alive() is sock
        assert sock.pause() is sock.resume() is sock.ref() is sock.unref() is sock
        told = Heard(sock, 'close')
        assert sock.destroy() is sock
        await told.until('close')

    run(main)


def test_gen17_event_names_are_nodes() -> None:
    sock = net.Socket()
    sock.on('connectionAttempt', lambda: None)
    assert sock.listener_count('connectionAttempt') == 1
    assert sock.listener_count('connection_attempt') == 0


def test_gen19_listeners_take_what_they_declare(run: Any) -> None:
    async def main() -> None:
        seen: list[Any] = []

        class Handler:
            def method(self, sock: Any, more: Any, default: Any = 7) -> None:
                seen.append(('method', more, default))
                sock.destroy()

        handler = Handler()
        server, heard = server_on()
        server.on('connection', lambda: seen.append('none'))
        server.on('connection', handler.method)
        server.on('connection', lambda *everything: seen.append(len(everything)))
        port = await started(server)
        async with client(port) as one:
            await one.rest()
        assert seen == ['none', ('method', None, 7), 1]
        server.off('connection', handler.method)
        assert server.listener_count('connection') == 3  # two here and Heard's
        with pytest.raises(TypeError, match='keyword-only'):
            server.on('connection', lambda *, needed: None)
        server.close(lambda a, b: seen.append((a, b)))
        await heard.until('close')
        await turns()
        assert seen[-1] == (None, None)

    run(main)


def test_ex06_block_list_as_server_and_client_option(run: Any) -> None:
    async def main() -> None:
        blocked = net.BlockList()
        blocked.add_address('127.0.0.1')
        server, heard = server_on(block_list=blocked)
        port = await started(server)
        async with client(port) as one:
            assert await one.rest() == b''
        sock = net.connect({'port': port, 'host': '127.0.0.1', 'blockList': blocked})
        told = Heard(sock, 'error', 'close')
        assert (await told.until('error')).code == 'ERR_IP_BLOCKED'
        await told.until('close')
        assert 'connection' not in heard.names
        await stopped(server)

    run(main)


def test_ex10_any_free_port_and_goodbye(run: Any) -> None:
    async def main() -> None:
        server = net.createServer(lambda sock: sock.end('goodbye\n'))
        heard = Heard()
        server.listen(lambda: heard.to('at')(server.address()))
        where = await heard.until('at')
        assert where['port'] > 0
        assert where.family in ('IPv4', 'IPv6')
        async with client(where.port) as one:
            assert await one.rest() == b'goodbye\n'
        await stopped(server)

    run(main)


def test_ex14_closing_with_async_dispose(run: Any) -> None:
    async def main() -> None:
        heard = Heard()
        async with tailrace.create_server(lambda c: c.end()) as server:
            server.on('close', heard.to('close'))
            server.listen(port=0)
            await tailrace.once(server, 'listening')
        assert (server.listening, heard.names) == (False, ['close'])
        other = net.createServer()
        other.listen(0)
        await other.asyncDispose()
        assert not other.listening

    run(main)
