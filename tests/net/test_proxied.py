"""Servers that ask for a PROXY protocol header, and sockets that send one."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import tailrace
from tailrace import active_resources, net
from tailrace._handles import PENDING
from tailrace._net import connect_report
from tailrace._timers import soon
from tailrace.errors import NodeError
from tailrace.proxy_protocol import ProxyHeader, ProxyProtocolError, build, parse

from .serving import Client, Heard, client, echo, server_on, started, stopped, turns

HEADER = ProxyHeader(
    source_address='192.0.2.7', source_port=51234,
    destination_address='203.0.113.1', destination_port=443, tlvs=((1, b'h2'),),
)  # fmt: skip
SIX = ProxyHeader(
    version=1, source_address='2001:db8::7', source_port=1, destination_address='::1',
    destination_port=2,
)  # fmt: skip
HERE: dict[str, Any] = {'proxy_protocol': 'required', 'proxy_from': ['127.0.0.1', '::1', 'unix:']}


async def refused(heard: Heard, count: int = 1) -> Any:
    """The data of a 'reject', and the error in it."""
    data = await heard.until('reject', count)
    assert data.reason == 'proxyProtocol'
    assert isinstance(data.error, ProxyProtocolError)
    return data


# -- options ------------------------------------------------------------------------------------


def test_options_are_attributes() -> None:
    off = net.create_server()
    assert (off.proxy_protocol, off.proxy_from, off.proxy_failures) == ('off', None, 0)
    assert net.create_server(proxy_protocol='off', proxy_from='::1').proxyProtocol == 'off'
    server = net.create_server(
        {'proxyProtocol': 'required', 'proxyFrom': ['10.0.0.0/8', '::1'], 'proxyTimeout': 10}
    )
    assert (server.proxy_protocol, server.proxy_timeout) == ('required', 10)
    assert server.proxy_from is not None
    assert server.proxy_from.rules == ['Address: IPv6 ::1', 'Subnet: IPv4 10.0.0.0/8']
    networks = net.BlockList()
    server = net.create_server(proxy_protocol='required', proxy_from=networks)
    assert server.proxy_from is networks
    assert server.proxy_timeout == 5000
    one = net.create_server(
        proxy_protocol='required', proxy_from='10.0.0.1', proxy_timeout=timedelta(seconds=1)
    )
    assert one.proxy_from is not None
    assert one.proxy_from.check('10.0.0.1')
    assert one.proxy_timeout == 1000


@pytest.mark.parametrize(
    ('options', 'code'),
    [
        ({'proxy_protocol': True}, 'ERR_INVALID_ARG_TYPE'),
        ({'proxy_protocol': 'optional'}, 'ERR_INVALID_ARG_VALUE'),
        ({'proxy_protocol': 'required'}, 'ERR_MISSING_ARGS'),
        ({'proxy_from': '10.0.0.1'}, 'ERR_INVALID_ARG_VALUE'),
        ({**HERE, 'proxy_from': []}, 'ERR_INVALID_ARG_VALUE'),
        ({**HERE, 'proxy_from': 5}, 'ERR_INVALID_ARG_TYPE'),
        ({**HERE, 'proxy_from': [5]}, 'ERR_INVALID_ARG_TYPE'),
        ({**HERE, 'proxy_from': ['localhost']}, 'ERR_INVALID_ADDRESS'),
        ({**HERE, 'proxy_from': ['10.0.0.0/33']}, 'ERR_OUT_OF_RANGE'),
        ({**HERE, 'proxy_timeout': 0}, 'ERR_OUT_OF_RANGE'),
        ({**HERE, 'proxy_timeout': 2**31}, 'ERR_OUT_OF_RANGE'),
        ({**HERE, 'proxy_timeout': '5'}, 'ERR_INVALID_ARG_TYPE'),
    ],
)
def test_bad_options(options: dict[str, Any], code: str) -> None:
    with pytest.raises(NodeError) as caught:
        net.create_server(**options)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ('value', 'code'),
    [
        (True, 'ERR_INVALID_ARG_TYPE'),
        ('1', 'ERR_INVALID_ARG_TYPE'),
        (3, 'ERR_INVALID_ARG_VALUE'),
        (float('nan'), 'ERR_INVALID_ARG_VALUE'),
    ],
)
def test_bad_option_of_connect(run: Any, value: Any, code: str) -> None:
    async def main() -> None:
        sock = net.Socket()
        with pytest.raises(NodeError) as caught:
            sock.connect(1, '127.0.0.1', proxy_protocol=value)
        assert caught.value.code == code
        sock.destroy()

    run(main)


# -- a header that is believed ----------------------------------------------------------------


@pytest.mark.parametrize('header', [HEADER, SIX], ids=['v2', 'v1'])
def test_the_connection_speaks_of_the_client(run: Any, header: ProxyHeader) -> None:
    async def main() -> None:
        server, heard = server_on(**HERE)
        server.on('connection', echo)
        port = await started(server)
        async with client(port) as one:
            one.writer.write(build(header) + b'hello')
            assert await one.reader.readexactly(5) == b'hello'
            (sock,) = heard.all('connection')
            assert sock.proxy_header == sock.proxyHeader == header
            assert (sock.remote_address, sock.remote_port, sock.remote_family) == (
                header.source_address, header.source_port, header.family,
            )  # fmt: skip
            assert (sock.local_address, sock.local_port) == (
                header.destination_address,
                header.destination_port,
            )
            assert sock.address().address == header.destination_address
            assert str(header.source_address) in repr(sock)
            assert sock.bytes_read == 5
            (mine,) = [one for one in active_resources() if getattr(one, 'peer', None)]
            assert str(header.source_address) in mine.peer
            assert await server.get_connections() == 1
        await stopped(server)
        assert sock.remote_address == header.source_address
        assert sock.proxy_header == header

    run(main)


@pytest.mark.parametrize('size', [1, 2, 15])
def test_a_header_in_pieces(run: Any, size: int) -> None:
    async def main() -> None:
        server, heard = server_on(**HERE)
        server.on('connection', echo)
        port = await started(server)
        for header in (HEADER, SIX):
            data = build(header) + b'and this'
            async with client(port) as one:
                for at in range(0, len(data), size):
                    one.writer.write(data[at : at + size])
                    await turns(2)
                assert await one.reader.readexactly(8) == b'and this'
                assert heard.all('connection')[-1].proxy_header == header
        await stopped(server)

    run(main)


@pytest.mark.parametrize(
    'data',
    [build(ProxyHeader(local=True)), b'PROXY UNKNOWN\r\n', build(ProxyHeader()),
     build(ProxyHeader(source_address='/a', destination_address='/b')),
     build(ProxyHeader(source_address='1.2.3.4', source_port=1, destination_address='1.2.3.5',
                       destination_port=2, datagram=True))],
    ids=['local', 'unknown', 'unspec', 'unix', 'udp'],
)  # fmt: skip
def test_without_a_tcp_client_the_real_addresses_count(run: Any, data: bytes) -> None:
    async def main() -> None:
        server, heard = server_on(**HERE)
        server.on('connection', echo)
        port = await started(server)
        async with client(port) as one:
            one.writer.write(data + b'x')
            assert await one.reader.readexactly(1) == b'x'
            (sock,) = heard.all('connection')
            assert (sock.remote_address, sock.remote_port) == ('127.0.0.1', one.port)
            assert (sock.local_address, sock.local_port) == ('127.0.0.1', port)
            found = parse(data)
            assert found is not None
            assert sock.proxy_header == found[0]
        await stopped(server)

    run(main)


def test_on_a_unix_socket(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        server, heard = server_on(**HERE)
        server.on('connection', echo)
        path = str(tmp_path / 's')
        await started(server, path)
        async with client(path) as one:
            one.writer.write(build(HEADER) + b'x')
            assert await one.reader.readexactly(1) == b'x'
            (sock,) = heard.all('connection')
            assert (sock.remote_address, sock.local_port) == ('192.0.2.7', 443)
        async with client(path) as one:
            one.writer.write(build(ProxyHeader(local=True)) + b'x')
            assert await one.reader.readexactly(1) == b'x'
            assert heard.all('connection')[1].remote_address is None
        await stopped(server)
        other, heard = server_on(proxy_protocol='required', proxy_from='127.0.0.1')
        await started(other, path)
        async with client(path) as one:
            assert await one.rest() == b''
        assert (await refused(heard)).error.reason == 'untrusted'
        await stopped(other)

    run(main)


def test_nothing_of_what_follows_is_read_with_the_header(run: Any) -> None:
    """``pause_on_connect`` leaves everything to whoever gets the descriptor."""

    async def main() -> None:
        server, heard = server_on(pause_on_connect=True, **HERE)
        port = await started(server)
        for _ in range(2):
            async with client(port) as one:
                one.writer.write(build(HEADER) + b'mine')
                sock = await heard.until('connection', len(heard.all('connection')) + 1)
                while len(peeked := peek(sock)) < 4:
                    await asyncio.sleep(0)
                assert peeked == b'mine'
                assert sock.bytes_read == 0
                sock.destroy()
        await stopped(server)

    run(main)


def peek(sock: Any) -> bytes:
    """What is in the kernel for a socket."""
    raw = socket.socket(fileno=sock._handle.fd)
    try:
        return raw.recv(100, socket.MSG_PEEK)
    except BlockingIOError:
        return b''
    finally:
        raw.detach()


def test_async_for(run: Any) -> None:
    async def main() -> None:
        server = net.create_server(**HERE)
        await server.listen(0, '127.0.0.1')
        port = server.address().port
        seen = []
        async with client(port) as first, client(port) as second:
            second.writer.write(build(SIX))

            async def serve() -> None:
                async for sock in server:
                    seen.append(sock.remote_address)
                    sock.destroy()
                    if len(seen) == 2:
                        return

            task = asyncio.ensure_future(serve())
            while not seen:
                await asyncio.sleep(0)
            first.writer.write(build(HEADER))
            await task
        assert seen == ['2001:db8::7', '192.0.2.7']
        await stopped(server)

    run(main)


# -- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('data', 'reason'),
    [
        (b'GET / HTTP/1.1\r\n\r\n', 'invalid'),
        (b'PROXY TCP4 1.2.3.4 1.2.3.5 1 99999\r\n', 'invalid'),
        (b'PROXY UNKNOWN ' + b'x' * 100, 'tooLong'),
        (build(ProxyHeader(tlvs=((4, bytes(4096)),))), 'tooLong'),
        (build(ProxyHeader(tlvs=((3, b''),)))[:-1] + b'\0', 'invalid'),
    ],
)
def test_lies(run: Any, data: bytes, reason: str) -> None:
    async def main() -> None:
        server, heard = server_on(**HERE)
        port = await started(server)
        async with client(port) as one:
            one.writer.write(data)
            assert await one.rest() == b''
            found = await refused(heard)
            assert found.error.reason == reason
            assert (found.remote_address, found.remote_port) == ('127.0.0.1', one.port)
        assert server.proxy_failures == 1
        assert await server.get_connections() == 0
        await stopped(server)
        assert heard.all('connection') == []
        (record,) = [one for one in run.logged if one.levelno == logging.WARNING]
        assert 'refused a connection from 127.0.0.1' in record.getMessage()

    run(main)


@pytest.mark.parametrize('sent', [b'', build(HEADER)[:20]], ids=['nothing', 'half'])
@pytest.mark.parametrize('how', ['end', 'reset'])
def test_an_end_before_the_header_is_complete(run: Any, sent: bytes, how: str) -> None:
    async def main() -> None:
        server, heard = server_on(**HERE)
        port = await started(server)
        with socket.create_connection(('127.0.0.1', port)) as raw:
            raw.sendall(sent)
            while not server._connections:
                await asyncio.sleep(0)
            await turns()
            if how == 'reset':
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
        assert (await refused(heard)).error.reason == 'ended'
        # That is how a balancer without the protocol checks a server: nothing to warn of.
        assert [one for one in run.logged if one.levelno == logging.WARNING] == []
        await stopped(server)

    run(main)


def test_a_connection_that_is_reset_before_it_is_accepted(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on(**HERE)
        port = await started(server)
        with socket.create_connection(('127.0.0.1', port)) as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
        assert (await refused(heard)).error.reason == 'ended'
        await stopped(server)

    run(main)


def connected(port: int, data: bytes) -> socket.socket:
    """A blocking client that has sent ``data``."""
    raw = socket.create_connection(('127.0.0.1', port))
    raw.sendall(data)
    return raw


@pytest.mark.parametrize('sent', [b'', b'PROXY TCP4', build(HEADER)[:15]])
def test_a_header_that_does_not_come_in_time(run: Any, sent: bytes) -> None:
    async def main() -> None:
        server, heard = server_on(**HERE, proxy_timeout=20)
        port = await started(server)
        # Blocking sockets: what they send is there before the loop accepts them.
        with connected(port, sent) as one, connected(port, build(HEADER)):
            sock = await heard.until('connection')
            data = await refused(heard)
            assert data.remote_port == one.getsockname()[1]
            assert data.error.reason == 'timeout'
            assert str(data.error) == (
                f'no PROXY protocol header within 20 ms, {len(sent)} bytes of it'
            )
            # Another one later has a timer too.
            with connected(port, sent):
                await refused(heard, 2)
            assert not sock.destroyed
            sock.destroy()
        assert server.proxy_failures == 2
        await stopped(server)

    run(main)


def test_a_peer_that_is_not_believed_is_not_read(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on(proxy_protocol='required', proxy_from=['192.0.2.0/24'])
        port = await started(server)
        async with client(port) as one:
            one.writer.write(build(HEADER))
            assert await one.rest() == b''
        assert (await refused(heard)).error.reason == 'untrusted'
        # The list may change while the server runs.
        assert server.proxy_from is not None
        server.proxy_from.add_address('127.0.0.1')
        async with client(port) as one:
            one.writer.write(build(HEADER))
            (await heard.until('connection')).destroy()
            await one.rest()
        await stopped(server)

    run(main)


def test_on_a_dual_stack_server_a_mapped_address_is_the_ipv4_one(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on(proxy_protocol='required', proxy_from='127.0.0.1')
        port = await started(server, 0, '::')
        async with client(port) as one:
            one.writer.write(build(HEADER))
            (await heard.until('connection')).destroy()
            await one.rest()
        await stopped(server)

    run(main)


def test_block_list_is_asked_for_the_client(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        blocked = net.BlockList()
        blocked.add_address('192.0.2.7')
        server, heard = server_on(**HERE, block_list=blocked)
        port = await started(server)
        path = str(tmp_path / 's')
        unix, told = server_on(**HERE, block_list=blocked)
        await started(unix, path)
        async with client(port) as one, client(path) as two:
            for each in (one, two):
                each.writer.write(build(HEADER))
                assert await each.rest() == b''
        for each in (heard, told):
            data = await each.until('reject')
            assert (data.reason, data.remote_address) == ('blockList', '192.0.2.7')
        assert server.proxy_failures == 0
        async with client(port) as one:
            one.writer.write(build(SIX))
            (await heard.until('connection')).destroy()
            await one.rest()
        assert await server.get_connections() == 0
        await stopped(server)
        await stopped(unix)

    run(main)


def test_limits_count_the_clients_and_not_the_balancer(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on(**HERE, max_connections_per_address=1)
        port = await started(server)
        async with client(port) as one, client(port) as two, client(port) as three:
            one.writer.write(build(HEADER))
            await heard.until('connection')
            two.writer.write(build(SIX))
            await heard.until('connection', 2)
            three.writer.write(build(HEADER))
            assert await three.rest() == b''
            data = await heard.until('drop')
            assert (data.reason, data.remote_address) == ('maxConnectionsPerAddress', '192.0.2.7')
            assert await server.get_connections() == 2
            for sock in heard.all('connection'):
                sock.destroy()
        await stopped(server)
        assert server.proxy_failures == 0

    run(main)


def test_listeners_of_reject_may_raise(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on(**HERE)

        def fail(_: Any) -> None:
            raise ZeroDivisionError

        server.on('reject', fail)
        port = await started(server)
        async with client(port) as one:
            one.writer.write(b'x')
            assert await one.rest() == b''
        await refused(heard)
        (told,) = run.unhandled
        run.unhandled.clear()
        assert isinstance(told['exception'], ZeroDivisionError)
        assert await server.get_connections() == 0
        await stopped(server)

    run(main)


# -- counting and closing -----------------------------------------------------------------------


def test_waiting_connections_count(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on(**HERE, max_connections=1)
        port = await started(server)
        async with client(port) as one:
            while await server.get_connections() != 1:
                pass
            async with client(port) as two:
                assert await two.rest() == b''
            assert (await heard.until('drop')).remote_address == '127.0.0.1'
            one.writer.write(build(HEADER))
            sock = await heard.until('connection')
            assert await server.get_connections() == 1
            sock.destroy()
        await stopped(server)

    run(main)


def test_what_was_accepted_is_served_after_close(run: Any) -> None:
    """The balancer has given its client to this server: closing it now would lose a request."""

    async def main() -> None:
        server, heard = server_on(**HERE)
        server.on('connection', echo)
        port = await started(server)
        async with client(port) as one:
            while not server._connections:
                await asyncio.sleep(0)
            server.close()
            await turns()
            assert 'close' not in heard.names
            one.writer.write(build(HEADER) + b'still')
            assert await one.reader.readexactly(5) == b'still'
        await heard.until('close')
        assert heard.names.count('close') == 1

    run(main)


def test_closing_waits_no_longer_than_the_header_may_take(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on(**HERE, proxy_timeout=20)
        port = await started(server)
        async with client(port) as one:
            while not server._connections:
                await asyncio.sleep(0)
            server.close()
            await heard.until('close')
            assert await one.rest() == b''
        assert heard.names.count('close') == 1
        assert (await refused(heard)).error.reason == 'timeout'

    run(main)


@pytest.mark.parametrize('deadline', [0, 20])
def test_close_all_ends_what_waits(run: Any, deadline: int) -> None:
    async def main() -> None:
        server, heard = server_on(**HERE)
        port = await started(server)
        async with client(port) as one, client(port) as two:
            one.writer.write(build(HEADER))
            await heard.until('connection')
            while server._connections < 2:
                await asyncio.sleep(0)
            assert await server.close_all(deadline) == 2
            assert await one.rest() == await two.rest() == b''
        assert heard.names.count('close') == 1
        assert heard.all('reject') == []

    run(main)


def test_close_all_ends_what_had_its_header_after_the_close(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on(**HERE)
        port = await started(server)
        async with client(port) as one:
            while not server._connections:
                await asyncio.sleep(0)
            closing = asyncio.ensure_future(server.close_all(30))
            await turns()
            one.writer.write(build(HEADER))
            await heard.until('connection')
            assert await closing == 1
            assert await one.rest() == b''

    run(main)


def test_nobody_takes_what_has_its_header_after_the_loops_end(run: Any) -> None:
    async def main() -> None:
        server = net.create_server(**HERE)
        await server.listen(0, '127.0.0.1')

        async def serve() -> None:
            async for sock in server:
                sock.destroy()

        task = asyncio.ensure_future(serve())
        async with client(server.address().port) as one:
            while not server._connections:
                await asyncio.sleep(0)
            heard = Heard(server, 'close')
            server.close()
            await task
            one.writer.write(build(HEADER))
            assert await one.rest() == b''
            await heard.until('close')

    run(main)


def test_a_program_is_held_while_a_header_is_awaited(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on(**HERE)
        port = await started(server)
        async with client(port) as one:
            while not server._connections:
                await asyncio.sleep(0)
            (waiting,) = [x for x in active_resources() if x.kind == 'socket']
            assert waiting.address == f'127.0.0.1:{one.port}'
            server.close()
            one.writer.write(b'x')
            await heard.until('close')

    run(main)


def test_half_a_header_does_not_keep_the_loop_busy(run: Any) -> None:
    """What has been looked at is taken: else the descriptor would be ready for ever."""

    async def main() -> None:
        server, heard = server_on(**HERE)
        port = await started(server)
        for data in (build(HEADER), build(SIX)):
            with connected(port, data[:14]) as one:
                while not (server._headers and server._headers.awaited):
                    await asyncio.sleep(0)
                (waiting,) = server._headers.awaited
                assert waiting.got == data[:14]
                raw = socket.socket(fileno=waiting.handle.fd)  # type: ignore[union-attr]
                with pytest.raises(BlockingIOError):
                    raw.recv(1, socket.MSG_PEEK)
                raw.detach()
                one.sendall(data[14:])
                (await heard.until('connection', len(heard.all('connection')) + 1)).destroy()
        await stopped(server)

    run(main)


def test_a_program_that_fails_leaves_nothing_that_waits(loop_factory: Any) -> None:
    async def main() -> None:
        server, _ = server_on(**HERE)
        with connected(await started(server), b'PROXY'):
            while not (server._headers and server._headers.awaited):
                await asyncio.sleep(0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        tailrace.run(main, loop_factory=loop_factory)


def test_an_unusable_attribute_costs_one_connection(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on(**HERE, keep_alive=True)
        server.keep_alive_initial_delay = object()
        port = await started(server)
        async with client(port) as one:
            one.writer.write(build(HEADER))
            assert await one.rest() == b''
        assert len(run.unhandled) == 1
        run.unhandled.clear()
        assert await server.get_connections() == 0
        server.keep_alive = False
        async with client(port) as one:
            one.writer.write(build(HEADER))
            (await heard.until('connection')).destroy()
            await one.rest()
        await stopped(server)

    run(main)


# -- sending --------------------------------------------------------------------------------------


class Receiver:
    """A plain server that keeps what it is sent."""

    async def __aenter__(self) -> Receiver:
        self.came = asyncio.Queue[Client]()
        self.server = await asyncio.start_server(
            lambda r, w: self.came.put_nowait(Client(r, w)), '127.0.0.1', 0
        )
        self.port = int(self.server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        await self.server.wait_closed()


def test_the_header_comes_first(run: Any) -> None:
    async def main() -> None:
        async with Receiver() as receiver:
            for header in (HEADER, SIX, ProxyHeader(local=True)):
                sock = net.connect(receiver.port, '127.0.0.1', proxy_protocol=header)
                sock.write('early')
                sock.once('connect', lambda sock=sock: sock.end(' connected'))
                one = await receiver.came.get()
                data = await one.rest()
                await one.close()
                assert data == build(header) + b'early connected'
                assert sock.bytes_written == len(b'early connected')
                await sock.wait_closed()

    run(main)


def test_a_version_alone_sends_the_own_ends(run: Any) -> None:
    async def main() -> None:
        async with Receiver() as receiver:
            for version in (1, 2):
                sock = await net.connect(receiver.port, '127.0.0.1', proxy_protocol=version)
                own = ('127.0.0.1', sock.local_port)
                sock.end()
                one = await receiver.came.get()
                found = parse(await one.rest())
                await one.close()
                assert found is not None
                header = found[0]
                assert header.version == version
                assert (header.source_address, header.source_port) == own
                assert header.destination_port == receiver.port
                await sock.wait_closed()

    run(main)


def test_a_version_alone_on_a_unix_socket(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        server, heard = server_on(**HERE)
        server.on('connection', echo)
        path = str(tmp_path / 's')
        await started(server, path)
        for version in (1, 2):
            sock = await net.connect(path, proxy_protocol=version)
            sock.write('x')
            assert await sock.read_exactly(1) == b'x'
            sock.end()
            await sock.wait_closed()
            assert heard.all('connection')[-1].proxy_header == ProxyHeader(
                version=version, local=version == 2
            )
        await stopped(server)

    run(main)


def test_a_proxy_passes_its_client_on(run: Any) -> None:
    """Two of ours in front of a third: the client's addresses and fields come through."""

    async def main() -> None:
        last, heard = server_on(**HERE)
        last.on('connection', echo)
        port = await started(last)

        def forward(sock: Any) -> None:
            header = ProxyHeader.of(sock, tlvs=sock.proxy_header.tlvs)
            upstream = net.connect(port, '127.0.0.1', proxy_protocol=header)
            sock.pipe(upstream)
            upstream.pipe(sock)

        proxy = net.create_server(forward, **HERE)
        async with client(await started(proxy)) as one:
            one.writer.write(build(HEADER))
            assert await one.ask(b'through') == b'through'
            assert heard.all('connection')[0].proxy_header == HEADER
        await stopped(proxy)
        await stopped(last)

    run(main)


@pytest.mark.parametrize('later', [False, True])
def test_a_header_that_cannot_be_sent_ends_the_socket(
    run: Any, monkeypatch: pytest.MonkeyPatch, later: bool
) -> None:
    def fail(handle: Any, what: Any, done: Any) -> int:
        if later:
            soon(handle.runtime, done, errno.EPIPE)
            return PENDING
        return errno.EPIPE

    monkeypatch.setattr(connect_report, 'introduce', fail)

    async def main() -> None:
        async with Receiver() as receiver:
            sock = net.connect(receiver.port, '127.0.0.1', proxy_protocol=HEADER)
            heard = Heard(sock, 'connect', 'error', 'close')
            sock.write('never')
            one = await receiver.came.get()
            assert await one.rest() in (b'', b'never')
            await one.close()
            await heard.until('close')
            (error,) = heard.all('error')
            assert (error.code, error.syscall) == ('EPIPE', 'write')
            assert heard.names == [*(['connect'] * later), 'error', 'close']

    run(main)


def test_connecting_again_sends_only_what_is_asked_for_then(run: Any) -> None:
    async def main() -> None:
        async with Receiver() as receiver:
            sock = await net.connect(receiver.port, '127.0.0.1', proxy_protocol=HEADER)
            sock.end()
            one = await receiver.came.get()
            assert await one.rest() == build(HEADER)
            await one.close()
            await sock.wait_closed()
            sock.connect(receiver.port, '127.0.0.1')
            sock.end('again')
            one = await receiver.came.get()
            assert await one.rest() == b'again'
            await one.close()
            await sock.wait_closed()

    run(main)
