"""A socket as an asyncio transport: for libraries that bring an ``asyncio.Protocol``.

This file refuses to know how connections come about (``asyncio_face.py``), and what the protocol
does with its bytes.
"""

from __future__ import annotations

import asyncio
import warnings
from asyncio.trsock import TransportSocket
from collections.abc import Callable, Iterable
from typing import Any

from .._net.socket import Socket
from ..errors import state_error
from .secure import check_ready, descriptor_of, secured

__all__ = ['SocketTransport', 'transport_for']

#: asyncio's own default, bytes.
HIGH_WATER = 65536


class SocketTransport(asyncio.Transport):
    """The asyncio transport of one connected socket. Made by :func:`transport_for`.

    ``connection_made``, ``data_received`` (or the calls of a BufferedProtocol), ``eof_received``,
    ``pause_writing``, ``resume_writing`` and ``connection_lost`` are called as asyncio documents.
    ``get_extra_info`` knows 'peername', 'sockname', 'socket' (as far as there is a descriptor) and
    'tailrace' (the Socket); on a TLS socket also 'ssl_object', 'sslcontext', 'peercert', 'cipher'
    and 'compression'. ``abort`` drops what is queued; ``close`` sends it first. TLS begins with
    :func:`start_tls`. The standard library's ``loop.start_tls`` takes a transport too, and puts
    asyncio's own TLS on it; uvloop's takes none but uvloop's, and raises TypeError.
    """

    # What the standard library's loop.start_tls asks for.
    _start_tls_compatible = True

    def __init__(self, sock: Socket, protocol: asyncio.BaseProtocol, extra: Any = None) -> None:
        super().__init__(extra)
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._buffered = isinstance(protocol, asyncio.BufferedProtocol)
        self._closing = False
        #: The protocol has been asked to stop writing.
        self._full = False
        #: connection_made was called, and nothing may be read before.
        self._made = False
        self._paused = False
        #: 'close' has come.
        self._gone = False
        self._error: BaseException | None = None
        self._high, self._low = HIGH_WATER, HIGH_WATER // 4
        self._given: dict[str, Any] = extra or {}
        self._take(sock)
        self._keep_names()
        self._loop.call_soon(self._begin)

    def _take(self, sock: Socket) -> None:
        """This is the socket from now on."""
        self._sock = sock
        # eof_received decides whether the peer's end is ours too, not the socket.
        sock.allow_half_open = True
        sock.pause()
        for event, listener in self._listeners():
            sock.on(event, listener)

    def _listeners(self) -> Iterable[tuple[str, Callable[..., None]]]:
        return (
            *(('data', self._on_data), ('end', self._on_end)),
            *(('error', self._on_error), ('close', self._on_close)),
        )

    async def _secure(
        self, begin: Callable[[Socket], Socket], last: Callable[[], bytes] = bytes
    ) -> None:
        """Put TLS between: ``begin`` makes its socket. ``last`` gives bytes that belong to it."""
        sock = self._sock
        sock.pause()
        try:
            if sock.writable_length:
                await sock.drain()
            check_ready(sock)
            for event, listener in self._listeners():
                sock.off(event, listener)
            try:
                unread = last()
                if unread:
                    sock.unshift(unread)
                made = begin(sock)
            except BaseException:
                self._take(sock)
                raise
        except BaseException:
            if not self._paused:
                self.resume_reading()
            raise
        self._take(made)
        # If it fails, connection_lost follows as ever.
        await made
        self._keep_names()
        if not self._paused:
            self.resume_reading()

    def _keep_names(self) -> None:
        sock = self._sock
        raw = descriptor_of(sock)
        self._extra: dict[str, Any] = {'tailrace': sock, **self._given}
        if raw is not None:
            self._extra['socket'] = TransportSocket(raw)
            for name, ask in (('sockname', raw.getsockname), ('peername', raw.getpeername)):
                try:
                    self._extra[name] = ask()
                except OSError:
                    self._extra[name] = None
        engine = secured(sock)
        if engine is not None:
            inner = engine.object
            self._extra |= {
                'ssl_object': inner, 'sslcontext': engine.context, 'peercert': inner.getpeercert(),
                'cipher': inner.cipher(), 'compression': inner.compression(),
            }  # fmt: skip

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What is known of the connection; see the class."""
        return self._extra.get(name, default)

    def __repr__(self) -> str:
        return f'<{type(self).__name__} {"closing " if self._closing else ""}{self._sock!r}>'

    # -- reading ----------------------------------------------------------------------------------

    def _begin(self) -> None:
        # Also if the socket is gone by now: connection_lost follows, and may be waited for.
        self._made = True
        self._protocol.connection_made(self)
        if self._gone:
            self._on_close()
        elif not self._paused and not self._closing:
            self._sock.resume()

    def _on_data(self, chunk: bytes) -> None:
        if self._closing:
            return
        protocol: Any = self._protocol
        if not self._buffered:
            protocol.data_received(chunk)
            return
        left = memoryview(chunk)
        while left and not self._closing:
            buffer = protocol.get_buffer(len(left))
            size = min(len(buffer), len(left))
            if not size:
                raise RuntimeError('get_buffer() returned an empty buffer')
            buffer[:size] = left[:size]
            protocol.buffer_updated(size)
            left = left[size:]

    def _on_end(self) -> None:
        if self._closing:
            return
        protocol: Any = self._protocol
        if not protocol.eof_received():
            self.close()

    def pause_reading(self) -> None:
        """Stop ``data_received`` until :meth:`resume_reading`; the sender is slowed down."""
        self._paused = True
        self._sock.pause()

    def resume_reading(self) -> None:
        """Go on after :meth:`pause_reading`."""
        self._paused = False
        if self._made and not self._closing:
            self._sock.resume()

    def is_reading(self) -> bool:
        """Whether data is delivered."""
        return not self._paused and not self._closing

    # -- writing ----------------------------------------------------------------------------------

    def write(self, data: Any) -> None:
        """Queue ``data``; asks the protocol to pause above the high-water mark."""
        sock = self._sock
        if sock.destroyed:
            return
        if sock.writable_ended:
            raise state_error('ERR_STREAM_WRITE_AFTER_END', 'write() after write_eof()')
        if not len(data):
            return
        if sock.writable_length + len(data) > self._high:
            # The kernel may take all of it at once: only what is left then counts.
            sock.write(data, self._progress)
            if not self._full and sock.writable_length > self._high:
                self._full = True
                self._protocol.pause_writing()
        else:
            sock.write(data, self._progress if self._full else None)

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """Queue several pieces as one."""
        self.write(b''.join(list_of_data))

    def _progress(self, error: BaseException | None = None) -> None:
        if self._full and self._sock.writable_length <= self._low:
            self._full = False
            self._protocol.resume_writing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Where to pause and resume the protocol, in bytes (default 65536 and a quarter of it)."""
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f'high ({high!r}) must be >= low ({low!r}) must be >= 0')
        self._high, self._low = high, low

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """(low, high), as asyncio has it."""
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        """How many bytes wait."""
        return self._sock.writable_length

    def can_write_eof(self) -> bool:
        """True: TCP and Unix sockets can be closed by halves."""
        return True

    def write_eof(self) -> None:
        """Send a FIN after what is queued; reading goes on."""
        if not self._sock.writable_ended and not self._sock.destroyed:
            self._sock.end()

    # -- closing ----------------------------------------------------------------------------------

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give what comes in to another protocol from now on."""
        self._protocol = protocol
        self._buffered = isinstance(protocol, asyncio.BufferedProtocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol in charge."""
        return self._protocol

    def is_closing(self) -> bool:
        """Whether it is closed or about to be."""
        return self._closing or self._sock.destroyed

    def close(self) -> None:
        """Send what is queued, then close; ``connection_lost(None)`` follows."""
        if not self._closing:
            self._closing = True
            self._sock.destroy_soon()

    def abort(self) -> None:
        """Close at once, dropping what is queued; ``connection_lost(None)`` follows."""
        self._closing = True
        self._sock.destroy()

    def _force_close(self, error: BaseException | None) -> None:
        # Called by asyncio's TLS (loop.start_tls).
        self._error = error
        self.abort()

    def _on_error(self, error: BaseException) -> None:
        self._error = error

    def _on_close(self) -> None:
        self._closing = self._gone = True
        if self._made:
            error = self._error
            self._protocol.connection_lost(error if isinstance(error, Exception) else None)

    def __del__(self) -> None:
        if not self._sock.destroyed:
            warnings.warn(f'unclosed transport {self!r}', ResourceWarning, 2, self)


def transport_for(
    sock: Socket, protocol: asyncio.BaseProtocol, *, extra: dict[str, Any] | None = None
) -> SocketTransport:
    """Put a protocol of asyncio onto a connected socket; returns the transport.

    ``connection_made`` is called from the next turn of the loop. From now on the socket belongs to
    the transport: it gets listeners, and ``allow_half_open`` is switched on. ``extra`` is added to
    what ``get_extra_info`` knows. Raises ERR_SOCKET_CLOSED if the socket is not connected, or its
    TLS handshake not complete, and RuntimeError without a running loop.
    """
    check_ready(sock)
    return SocketTransport(sock, protocol, extra)
