"""What a user's type checker sees. Not run: checked by mypy and pyright (test_typing.py).

Nothing here may be reported, not even as deprecated: that is how a listener is that does not fit.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, assert_type

import tailrace
from tailrace import (
    BlockList,
    BoundSocket,
    Duplex,
    EventEmitter,
    Readable,
    Server,
    Socket,
    errors,
    net,
    stream,
    testing,
    tls,
)
from tailrace.adapters import asyncio as face
from tailrace.proxy_protocol import ProxyHeader, parse


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


def listeners_that_fit(sock: Socket, server: Server, other: Socket) -> None:
    chunks: list[bytes] = []
    sock.on('data', chunks.append)
    sock.on('data', print)
    sock.on('data', other.write)
    sock.on('end', other.end)
    sock.on('error', other.destroy)
    sock.on('timeout', sock.destroy)
    sock.on('error', functools.partial(print, 'failed'))
    sock.once('ready', asyncio.Event().set)
    sock.on('connectionAttempt', lambda ip: ip.upper())
    sock.on('connectionAttempt', lambda: None)
    sock.on('connectionAttemptFailed', lambda ip, port: None)
    sock.on('lookup', lambda error, address: None)
    sock.on('pipe', lambda source: source.pause())
    server.on('connection', handler)
    server.on('connection', Mine.hello_to)
    server.on('connection', lambda: None)
    anything: Any = print
    sock.on('close', anything)
    name = input()
    sock.on(name, lambda one, two: None)

    @sock.once('close')
    def closed(had_error: bool) -> str:
        return str(had_error)

    assert_type(closed(True), str)

    @server.on('connection')
    async def connected(sock: Socket) -> None:
        await sock.drain()

    @sock.on('mine')
    def mine(one: int, *, two: int = 2) -> int:
        return one

    assert_type(mine(1, two=3), int)


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

    @staticmethod
    def hello_to(sock: Socket) -> None:
        sock.write('hello')


def forms(sock: Mine, mapping: dict[str, Any], bound: BoundSocket) -> None:
    for connect in (net.connect, net.create_connection, net.createConnection):
        assert_type(connect(80), Socket)
    assert_type(net.connect('80', 'localhost'), Socket)
    assert_type(net.connect(80, lambda: None), Socket)
    assert_type(net.connect(80, 'localhost', lambda: None), Socket)
    assert_type(net.connect(80, 'localhost', no_delay=True, timeout=500), Socket)
    assert_type(net.connect('/run/a.sock'), Socket)
    assert_type(net.connect('/run/a.sock', lambda: None), Socket)
    assert_type(net.connect({'port': 80}), Socket)
    assert_type(net.connect(mapping, lambda: None), Socket)
    assert_type(net.connect(path='/run/a.sock', connect_listener=lambda: None), Socket)
    assert_type(sock.connect(80, 'localhost', sock.ref), Mine)
    assert_type(sock.connect('/run/a.sock', lambda: None), Mine)
    assert_type(sock.connect({'port': 80, 'localPort': 0}), Mine)
    assert_type(sock.connect(port=80), Mine)
    server = net.Server()
    assert_type(server.listen(), Server)
    assert_type(server.listen(lambda: None), Server)
    assert_type(server.listen(0, lambda: None), Server)
    assert_type(server.listen(0, 511), Server)
    assert_type(server.listen(0, 511, lambda: None), Server)
    assert_type(server.listen('8124', 'localhost', lambda: None), Server)
    assert_type(server.listen(0, 'localhost', 511, lambda: None), Server)
    assert_type(server.listen('/run/a.sock', lambda: None), Server)
    assert_type(server.listen('/run/a.sock', 511, lambda: None), Server)
    assert_type(server.listen({'port': 0, 'ipv6Only': True}, lambda: None), Server)
    assert_type(server.listen(server, lambda: None), Server)
    assert_type(server.listen(bound, 511, lambda: None), Server)
    assert_type(server.listen(socket.socket(), 511), Server)
    assert_type(server.listen(fd=3), Server)
    assert_type(server.listen(handle=socket.socket(), callback=lambda: None), Server)
    Socket(3)
    Socket({'fd': 3})


def both_spellings(sock: Mine, server: Server, emitter: EventEmitter, blocked: BlockList) -> None:
    assert_type(sock.setTimeout(5000).setNoDelay().setKeepAlive(True, 1000), Mine)
    assert_type(sock.addListener('close', lambda: None).removeAllListeners(), Mine)
    assert_type(sock.bytesRead, int)
    assert_type(sock.remoteAddress, str | None)
    assert_type(sock.readyState, str)
    assert_type(sock.writableLength, int)
    assert_type(sock.listenerCount('data'), int)
    assert_type(sock.eventNames(), list[Any])
    assert_type(sock.setEncoding('hex').isPaused(), bool)
    assert_type(net.createServer({'maxConnections': 5}), Server)
    assert_type(net.isIPv4('127.0.0.1'), bool)
    assert_type(tailrace.nextTick(print, 1), None)
    assert_type(blocked.toJSON(), list[str])
    sock.blockList = blocked
    server.maxConnections = 5
    server.allowHalfOpen = True
    emitter.prependListener('x', print).setMaxListeners(5)
    assert_type(emitter.getMaxListeners(), int | float)
    assert_type(stream.getDefaultHighWaterMark(), int)


def callbacks(sock: Socket, server: Server) -> None:
    assert_type(sock.write('text', 'latin1', lambda error: None), bool)
    assert_type(sock.write(bytearray(5), lambda: None), bool)
    assert_type(sock.write(memoryview(b'x')), bool)
    assert_type(sock.end(), Socket)
    assert_type(sock.end(lambda: None), Socket)
    assert_type(sock.end(b'x', lambda error: None), Socket)
    assert_type(server.get_connections(lambda error, count: print(count)), Server)
    assert_type(server.close(lambda error: None), Server)
    assert_type(sock.set_timeout(timedelta(seconds=5), sock.destroy), Socket)


def options() -> None:
    assert_type(net.create_server(allow_half_open=True, max_connections=5), Server)
    net.create_server({'allowHalfOpen': True})
    net.create_server(lambda sock: None)
    assert_type(net.connect(port=80, host='localhost', connect_timeout=timedelta(1)), Socket)
    net.connect(80, 'localhost', lambda: None)
    assert_type(Socket(allow_half_open=True), Socket)
    net.create_server().listen(port=0, host='::1', exclusive=True)
    net.create_server(proxy_protocol='required', proxy_from=['10.0.0.0/8', '::1'])
    header = ProxyHeader(source_address='::1', source_port=1, tlvs=((1, b'h2'),))
    net.connect(80, proxy_protocol=header)
    net.connect(80, proxy_protocol=2)
    assert_type(Socket().proxy_header, ProxyHeader | None)
    assert_type(ProxyHeader.of(Socket(), 1).uniqueId, bytes | None)
    assert_type(parse(b''), tuple[ProxyHeader, int] | None)
    assert_type(tailrace.serve(net.create_server(), 8124, '::1', workers=2), None)
    tailrace.serve([net.create_server().listen(0)], drain_timeout=None, reload=lambda: None)
    tailrace.serve(lambda: net.create_server(), port=0, on_ready=lambda servers: print(servers))


async def awaiting(server: Server) -> None:
    assert_type(await net.connect(80), Socket)
    assert_type(await server.listen(0), Server)
    assert_type(await server.close_all(1000), int)
    assert_type(await server.get_connections(), int)
    assert_type(await server.closeAll(deadline=1000), int)
    assert_type(await server.serve_forever(), None)
    async with net.create_server() as opened:
        assert_type(opened, Server)
    async for sock in server:
        assert_type(sock, Socket)
        async with sock as same:
            assert_type(same, Socket)
        await sock.drain()
        await sock.wait_closed()
        assert_type(await sock.read_exactly(4), bytes | Any)
        line = await sock.read_line(limit=None)
        assert_type(line, bytes | Any)
        assert_type(line.split(b' '), list[bytes] | Any)
        assert_type(await sock.read_until(b'\n'), bytes)
        assert_type(await sock.read_until('\n'), str)


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


async def secure(port: int) -> None:
    server = tls.create_server(lambda sock: sock.end(), cert='cert.pem', key='key.pem')
    server.on('secureConnection', lambda sock: print(sock.authorized))
    server.on('tlsClientError', lambda error, sock: print(error.args, sock.remote_address))
    server.once('close', lambda: print('closed'))
    sock = await tls.connect(port, ca='ca.pem')
    assert_type(sock, tls.TLSSocket)
    sock.on('secureConnect', lambda: print(sock.get_protocol()))
    sock.on('session', lambda session: print(session.id))
    sock.on('close', lambda had_error: print(had_error))
    assert_type(sock.authorized, bool)
