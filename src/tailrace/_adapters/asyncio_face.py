"""The functions of asyncio's network interface, with tailrace below them.

They take what tailrace's ``connect`` and ``listen`` take (happy eyeballs, block lists, ms), also of
``tls``, and give what asyncio's give. This file refuses to know how a transport works
(``transport.py``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from .. import _runtime
from .._net.server import Server
from .._net.socket import Socket
from .._validate import bad_type, bad_value
from .secure import beginning, connecting, serving, split
from .transport import SocketTransport, transport_for

__all__ = [
    'create_connection',
    'open_connection',
    'start_server',
    'start_stream_server',
    'start_tls',
    'streams_for',
]

_P = TypeVar('_P', bound=asyncio.BaseProtocol)
StreamPair = tuple[asyncio.StreamReader, asyncio.StreamWriter]

#: asyncio's limit of a line, bytes.
LIMIT = 65536


async def create_connection(
    protocol_factory: Callable[[], _P], *args: Any, **options: Any
) -> tuple[SocketTransport, _P]:
    """Connect, and run a protocol of asyncio on the connection: ``(transport, protocol)``.

    Arguments after ``protocol_factory`` and errors are those of :func:`tailrace.net.connect`; with
    an option of TLS, such as ``ca`` or ``secure_context``, those of :func:`tailrace.tls.connect`,
    and the connection is secure. Cancelling it closes the connection.
    """
    sock = await connecting(args, options)
    protocol = protocol_factory()
    transport = transport_for(sock, protocol)
    try:
        await asyncio.sleep(0)  # connection_made is called
    except BaseException:
        transport.abort()
        raise
    return transport, protocol


async def open_connection(*args: Any, limit: int = LIMIT, **options: Any) -> StreamPair:
    """Connect, for code written for asyncio's streams: ``(reader, writer)``.

    ``limit`` (bytes, default 65536) is the reader's; the rest as for ``tailrace.net.connect``, or
    with an option of TLS for ``tailrace.tls.connect``.
    """
    return streams_for(await connecting(args, options), limit=limit)


class _StreamProtocol(asyncio.StreamReaderProtocol):
    """Keeps the writing side open after the peer's end, also with TLS, where asyncio's does not."""

    def eof_received(self) -> bool:
        super().eof_received()
        return True


class _StreamWriter(asyncio.StreamWriter):
    """Its ``start_tls`` is ours: it works on every loop, and keeps what the reader has read."""

    async def start_tls(
        self,
        sslcontext: Any,
        *,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> None:
        if ssl_shutdown_timeout is not None:
            bad_value('ssl_shutdown_timeout', 'left out', ssl_shutdown_timeout)
        begin = beginning(sslcontext, None, server_hostname, ssl_handshake_timeout)
        me: Any = self
        transport: Any = me._transport
        unread: bytearray = me._reader._buffer

        def last() -> bytes:
            data = bytes(unread)
            unread.clear()
            return data

        await transport._secure(begin, last)


async def start_tls(
    transport: SocketTransport,
    protocol: asyncio.BaseProtocol,
    sslcontext: Any,
    *,
    server_side: bool | None = None,
    server_hostname: str | None = None,
    ssl_handshake_timeout: float | None = None,
) -> SocketTransport:
    """Begin TLS on a transport of this module: ``loop.start_tls``, for every loop.

    Returns when the handshake is complete. ``protocol`` gets what is decrypted, without another
    ``connection_made``; the transport returned is the same one. ``server_side`` is by default
    whether the connection was accepted, ``ssl_handshake_timeout`` (seconds) 120. ``sslcontext`` is
    an ``ssl.SSLContext`` or a SecureContext. ``writer.start_tls(sslcontext, ...)`` of the streams
    does the same; bytes that their reader has already belong to TLS.

    If the handshake fails, or this is cancelled, the connection is closed and ``connection_lost``
    called. Raises what ``tls.start_tls`` raises, and TypeError for other transports.
    """
    if not isinstance(transport, SocketTransport):
        bad_type('transport', 'a transport of tailrace', transport)
    begin = beginning(sslcontext, server_side, server_hostname, ssl_handshake_timeout)
    transport.set_protocol(protocol)
    await transport._secure(begin)
    return transport


def streams_for(sock: Socket, *, limit: int = LIMIT) -> StreamPair:
    """asyncio's ``(StreamReader, StreamWriter)`` on a connected socket, which they own from then.

    Raises what :func:`transport_for` raises.
    """
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=limit, loop=loop)
    protocol = _StreamProtocol(reader, loop=loop)
    transport = transport_for(sock, protocol)
    writer = _StreamWriter(transport, protocol, reader, loop)
    return reader, writer


async def start_server(
    protocol_factory: Callable[[], asyncio.BaseProtocol], *args: Any, **options: Any
) -> Server:
    """Serve with a protocol of asyncio for each connection; returns the listening tailrace server.

    Arguments after ``protocol_factory`` are those of ``Server.listen``, keywords also those of
    ``create_server``; with an option of TLS, such as ``cert`` or ``secure_context``, those of
    ``tls.create_server``, and connections are secure. The counterpart of asyncio's
    ``loop.create_server``.
    """
    own, options = split(options)

    def connected(sock: Socket) -> None:
        transport_for(sock, protocol_factory())

    server = serving(own, connected)
    await server.listen(*args, **options)
    return server


async def start_stream_server(
    client_connected_cb: Callable[
        [asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None
    ],
    *args: Any,
    limit: int = LIMIT,
    **options: Any,
) -> Server:
    """Serve with asyncio's streams; returns the listening tailrace server.

    ``client_connected_cb(reader, writer)`` is called for each connection, as by
    ``asyncio.start_server``; a coroutine runs as a task, whose failure is reported to the loop's
    exception handler and destroys the socket. The rest as for :func:`start_server`.
    """
    own, options = split(options)

    def connected(sock: Socket) -> None:
        reader, writer = streams_for(sock, limit=limit)

        def failed(error: Exception) -> None:
            writer.transport.abort()
            raise error

        result = client_connected_cb(reader, writer)
        if asyncio.iscoroutine(result):
            _runtime.spawn(result, failed)

    server = serving(own, connected)
    await server.listen(*args, **options)
    return server
