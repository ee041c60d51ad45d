"""A tailrace socket as asyncio transport and protocol, and as asyncio's streams."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from tailrace import Socket, errors, net
from tailrace.adapters import asyncio as face

from ..net.pairs import KINDS, connected, listening, place


class Recorder(asyncio.Protocol):
    """Notes what the transport calls."""

    def __init__(self, keep_open: bool = False) -> None:
        self.log: list[Any] = []
        self.data = bytearray()
        self.keep_open = keep_open
        self.lost = asyncio.get_running_loop().create_future()
        self.ended = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.log.append('made')

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> bool:
        self.log.append('eof')
        self.ended.set()
        return self.keep_open

    def pause_writing(self) -> None:
        self.log.append('pause')

    def resume_writing(self) -> None:
        self.log.append('resume')

    def connection_lost(self, error: Exception | None) -> None:
        self.log.append('lost')
        self.lost.set_result(error)


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0.001)


@pytest.mark.parametrize('kind', KINDS)
def test_a_protocol_from_beginning_to_end(run: Any, kind: str) -> None:
    async def main() -> None:
        async with listening(kind, lambda sock: sock.end('hello')) as server:
            transport, protocol = await face.create_connection(Recorder, place(server))
            assert protocol.log == ['made']
            assert not transport.is_closing()
            assert await protocol.lost is None
            assert bytes(protocol.data) == b'hello'
            assert protocol.log == ['made', 'eof', 'lost']
            assert transport.is_closing()

    run(main)


def test_half_close_both_ways(run: Any) -> None:
    async def main() -> None:
        async with connected(allow_half_open=True) as (client, accepted):
            protocol = Recorder(keep_open=True)
            transport = face.transport_for(client, protocol)
            accepted.end(b'all I have')
            await protocol.ended.wait()
            assert transport.can_write_eof()
            transport.write(b'still ')
            transport.writelines([b'he', b'', b're'])
            transport.write_eof()
            transport.write_eof()
            with pytest.raises(errors.StateError):
                transport.write(b'x')
            assert await accepted.read_exactly(10) == b'still here'
            assert await protocol.lost is None

    run(main)


def test_flow_control(run: Any) -> None:
    async def main() -> None:
        async with connected() as (client, accepted):
            protocol = Recorder()
            transport = face.transport_for(client, protocol)
            transport.set_write_buffer_limits(high=1000)
            assert transport.get_write_buffer_limits() == (250, 1000)
            with pytest.raises(ValueError, match='high'):
                transport.set_write_buffer_limits(1, 2)
            await until(lambda: protocol.log)
            transport.write(b'x' * 500)
            assert protocol.log == ['made']
            transport.write(b'x' * 20_000_000)
            transport.write(b'y' * 2000)
            assert protocol.log == ['made', 'pause']
            assert transport.get_write_buffer_size() > 1000
            rest = 20_002_500
            while rest:
                rest -= len(await accepted.read_exactly(min(rest, 500_000)))
            await until(lambda: len(protocol.log) == 3)
            assert protocol.log[2] == 'resume'
            assert transport.get_write_buffer_size() == 0
            transport.close()
            await protocol.lost

    run(main)


def test_pause_reading(run: Any) -> None:
    async def main() -> None:
        async with connected() as (client, accepted):
            protocol = Recorder()
            transport = face.transport_for(client, protocol)
            transport.pause_reading()
            assert not transport.is_reading()
            accepted.write(b'x' * 8_000_000)
            for _ in range(100):
                await asyncio.sleep(0)
            assert not protocol.data
            assert accepted.writable_length
            transport.resume_reading()
            assert transport.is_reading()
            await until(lambda: len(protocol.data) == 8_000_000)
            transport.abort()
            assert await protocol.lost is None

    run(main)


def test_close_sends_what_is_queued_and_abort_does_not(run: Any) -> None:
    async def main() -> None:
        async with connected() as (client, accepted):
            protocol = Recorder()
            transport = face.transport_for(client, protocol)
            await until(lambda: protocol.log)
            transport.write(b'x' * 5_000_000)
            transport.close()
            transport.close()
            accepted.write(b'not wanted any more')
            assert len(await accepted.read_exactly(5_000_000)) == 5_000_000
            await protocol.lost
            assert not protocol.data
        async with connected() as (client, accepted):
            protocol = Recorder()
            transport = face.transport_for(client, protocol)
            transport.write(b'x' * 5_000_000)
            transport.abort()
            with pytest.raises((EOFError, OSError)):
                await accepted.read_exactly(5_000_000)

    run(main)


def test_a_reset_is_told_to_connection_lost(run: Any) -> None:
    async def main() -> None:
        async with connected() as (client, accepted):
            protocol = Recorder()
            face.transport_for(client, protocol)
            await until(lambda: protocol.log)
            accepted.reset_and_destroy()
            assert isinstance(await protocol.lost, ConnectionResetError)

    run(main)


def test_extra_info(run: Any) -> None:
    async def main() -> None:
        async with connected() as (client, accepted):
            transport = face.transport_for(client, Recorder(), extra={'mine': 1})
            info = transport.get_extra_info
            assert info('mine') == 1
            assert info('nothing', 2) == 2
            assert info('tailrace') is client
            assert info('peername') == ('127.0.0.1', accepted.local_port)
            assert info('sockname') == ('127.0.0.1', client.local_port)
            assert info('socket').family == socket.AF_INET
            info('socket').setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            assert 'fd=' in repr(transport)

    run(main)


def test_buffered_protocol_and_set_protocol(run: Any) -> None:
    class Buffered(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.buffer = bytearray(3)
            self.data = bytearray()

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.buffer

        def buffer_updated(self, count: int) -> None:
            self.data += self.buffer[:count]

    async def main() -> None:
        async with connected() as (client, accepted):
            first = Recorder()
            transport = face.transport_for(client, first)
            accepted.write(b'one')
            await until(lambda: first.data)
            second = Buffered()
            transport.set_protocol(second)
            assert transport.get_protocol() is second
            accepted.write(b'seven7!')
            await until(lambda: len(second.data) == 7)
            assert second.data == b'seven7!'
            assert first.data == b'one'

    run(main)


def test_needs_a_connected_socket(run: Any) -> None:
    async def main() -> None:
        with pytest.raises(errors.StateError) as caught:
            face.transport_for(Socket(), Recorder())
        assert caught.value.code == 'ERR_SOCKET_CLOSED'
        with pytest.raises(ConnectionRefusedError):
            await face.create_connection(Recorder, port=1, host='127.0.0.1')

    run(main)


def test_start_server_with_protocols(run: Any) -> None:
    async def main() -> None:
        made: list[Recorder] = []

        def factory() -> Recorder:
            made.append(Recorder())
            return made[-1]

        server = await face.start_server(factory, 0, '127.0.0.1', max_connections=5)
        assert server.max_connections == 5
        client = await net.connect(port=server.address().port, host='127.0.0.1')
        client.end(b'data')
        await until(lambda: made and made[0].lost.done())
        assert bytes(made[0].data) == b'data'
        assert made[0].log == ['made', 'eof', 'lost']
        assert await server.close_all() == 0
        await client.wait_closed()

    run(main)


def test_streams_both_ends(run: Any) -> None:
    async def main() -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                writer.write(line.upper())
                await writer.drain()
            writer.close()
            await writer.wait_closed()

        server = await face.start_stream_server(
            echo, port=0, host='127.0.0.1', no_delay=True, limit=2**20
        )
        port = server.address().port
        reader, writer = await face.open_connection(port, '127.0.0.1', limit=2**20)
        writer.write(b'hello\n' + b'x' * 500_000 + b'\n')
        await writer.drain()
        assert await reader.readline() == b'HELLO\n'
        assert len(await reader.readline()) == 500_001
        writer.write_eof()
        assert await reader.read() == b''
        writer.close()
        await writer.wait_closed()
        assert await server.close_all() == 0

    run(main)


def test_failed_stream_handler_destroys_its_socket(run: Any) -> None:
    async def main() -> None:
        async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            raise KeyError('mine')

        server = await face.start_stream_server(broken, 0, '127.0.0.1')
        client = await net.connect(server.address().port, '127.0.0.1')
        await client.wait_closed()
        await server.close_all()

    run(main)
    assert [type(c['exception']) for c in run.unhandled] == [KeyError]
    run.unhandled.clear()


@pytest.mark.parametrize('how', ['close', 'abort', 'destroy', 'break'])
def test_gone_before_it_was_made_is_made_and_lost(run: Any, how: str) -> None:
    async def main() -> None:
        async with connected() as (client, _):
            protocol = Recorder()
            transport = face.transport_for(client, protocol)
            if how == 'close':
                transport.close()
            elif how == 'abort':
                transport.abort()
            else:
                client.destroy(KeyError('k') if how == 'break' else None)
            await client.wait_closed()
            assert repr(await protocol.lost) == ("KeyError('k')" if how == 'break' else 'None')
            assert protocol.log == ['made', 'lost']
            transport.write(b'x')
            transport.write_eof()

    run(main)


def test_a_writer_closed_at_once_can_be_waited_for(run: Any) -> None:
    async def main() -> None:
        async with listening() as server:
            # Twice: what is still to be done in the loop decides which end comes first.
            for _ in range(2):
                _, writer = await face.open_connection(place(server))
                writer.close()
                await writer.wait_closed()

    run(main)
