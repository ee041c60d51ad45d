"""What a user's type checker sees. Not run: checked by mypy and pyright (test_typing.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, assert_type

from tailrace import Duplex, EventEmitter, Readable, Server, Socket, errors, net, testing
from tailrace.adapters import asyncio as face


def events_of_a_socket(sock: Socket) -> None:
    assert_type(sock.on('data', lambda chunk: chunk.hex()), Socket)
    assert_type(sock.on('error', lambda error: print(error)), Socket)
    assert_type(sock.once('close', lambda had_error: print(had_error)), Socket)
    assert_type(sock.on('close', lambda: None), Socket)
    assert_type(sock.on('connectionAttempt', lambda ip, port, family: ip + str(port)), Socket)
    assert_type(sock.on('mine', lambda *anything: None), Socket)
    assert_type(sock.off('data', print), Socket)
    assert_type(sock.emit('mine', 1, 2), bool)

    @sock.on('end')
    def ended() -> int:
        return 1

    assert_type(ended(), int)

    async def slowly(chunk: bytes) -> None:
        await asyncio.sleep(1)

    sock.on('data', slowly)


def events_of_a_server(server: Server) -> None:
    server.on('connection', lambda sock: sock.end())
    server.once('listening', lambda: None)
    server.on('drop', lambda data: data and data.localPort)
    assert_type(server.on('close', lambda: None).unref(), Server)


def events_of_streams(readable: Readable, emitter: EventEmitter) -> None:
    assert_type(readable.on('end', lambda: None), Readable)
    assert_type(readable.pause().resume().set_encoding('hex'), Readable)
    emitter.on('anything', lambda *args: None)


def chains(sock: Socket) -> None:
    assert_type(sock.set_timeout(5000).set_no_delay().set_keep_alive(True, 1000), Socket)
    assert_type(sock.pause().resume().ref().unref(), Socket)
    assert_type(sock.end('bye').destroy(), Socket)
    assert_type(sock.write(b'x'), bool)


class Mine(Socket):
    """A subclass keeps its type."""

    def hello(self) -> Mine:
        return self.set_timeout(1).on('data', print).hello()


def options() -> None:
    assert_type(net.create_server(allow_half_open=True, max_connections=5), Server)
    net.create_server({'allowHalfOpen': True})
    net.create_server(lambda sock: None)
    assert_type(net.connect(port=80, host='localhost', connect_timeout=timedelta(1)), Socket)
    net.connect(80, 'localhost', lambda: None)
    assert_type(Socket(allow_half_open=True), Socket)
    net.create_server().listen(port=0, host='::1', exclusive=True)


def options_that_do_not_exist() -> None:
    # Each of these lines must be an error: the checkers complain about an ignore that is not used.
    net.create_server(allow_halfopen=True)  # type: ignore[call-arg]
    net.create_server(max_connections='5')  # type: ignore[arg-type]
    net.connect(prot=80)  # type: ignore[call-arg]
    Socket(no_delay='yes')  # type: ignore[arg-type]
    net.create_server().listen(hostname='x')  # type: ignore[call-arg]
    net.creat_server()  # type: ignore[attr-defined]


async def awaiting(server: Server) -> None:
    assert_type(await net.connect(80), Socket)
    assert_type(await server.listen(0), Server)
    assert_type(await server.close_all(1000), int)
    assert_type(await server.serve_forever(), None)
    async with net.create_server() as opened:
        assert_type(opened, Server)
    async for sock in server:
        assert_type(sock, Socket)
        async with sock as same:
            assert_type(same, Socket)
        await sock.drain()
        await sock.wait_closed()
        await sock.read_exactly(4)
        await sock.read_line(limit=None)


async def handler(sock: Socket) -> None:
    try:
        await sock.read_until(b'\r\n', limit=1000)
    except errors.IncompleteReadError as error:
        assert_type(error.expected, int | None)
    except errors.LimitOverrunError as error:
        assert_type(error.consumed, int)


def handlers() -> Server:
    fine: Callable[[Socket], Coroutine[Any, Any, None]] = handler
    return net.create_server(fine)


async def adapters(sock: Socket) -> None:
    class Protocol(asyncio.Protocol):
        pass

    transport, protocol = await face.create_connection(Protocol, 80)
    assert_type(transport, face.SocketTransport)
    assert_type(protocol, Protocol)
    reader, writer = face.streams_for(sock)
    assert_type(reader, asyncio.StreamReader)
    assert_type(writer, asyncio.StreamWriter)


def tools() -> None:
    assert_type(testing.socket_pair(testing.Faults(delay=5)), tuple[Socket, Socket])
    assert_type(testing.memory_pair(), tuple[Duplex, Duplex])
    with testing.FakeClock() as clock:
        assert_type(clock.next, float | None)
