"""A socket as anyio's byte stream, and a server as anyio's listener.

anyio is imported here and nowhere else. It has to run on its asyncio backend: tailrace needs the
loop of asyncio, so trio cannot be had, neither through anyio nor otherwise.
"""

from __future__ import annotations

import socket as _socket
from asyncio.trsock import TransportSocket
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
from anyio.streams.tls import TLSAttribute

from .. import _runtime
from .._net.server import Server
from .._net.socket import Socket
from .._stream.framing import read_some
from ..errors import StateError
from .secure import connecting, descriptor_of, secured, serving, split

__all__ = ['ByteStream', 'Listener', 'connect', 'create_listener']


class ByteStream(anyio.abc.ByteStream):
    """anyio's byte stream on a connected socket, which it owns.

    ``receive`` gives what is there, at most ``max_bytes``; at the end it raises EndOfStream. After
    ``aclose`` calls raise ClosedResourceError; if the connection broke, BrokenResourceError with
    the OSError as its cause; two tasks in the same direction, BusyResourceError. ``send`` waits
    while more than the high-water mark is queued. ``extra`` knows SocketAttribute's family,
    local_address, local_port, remote_address, remote_port and raw_socket (a TransportSocket: the
    real one, without the methods that would read, write or close).
    """

    def __init__(self, sock: Socket) -> None:
        self.socket = sock
        self._receiving = anyio.ResourceGuard('receiving from')
        self._sending = anyio.ResourceGuard('sending to')
        self._closed = False
        # The peer's end must not end our side: anyio's streams are closed by halves.
        sock.allow_half_open = True

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """The next bytes, 1 to ``max_bytes`` of them."""
        if max_bytes <= 0:
            raise ValueError('max_bytes must be positive')
        with self._receiving:
            await anyio.lowlevel.checkpoint()
            self._check()
            sock = self.socket
            try:
                data: bytes = await read_some(sock, max_bytes)
            except (OSError, StateError) as error:
                self._check()
                raise anyio.BrokenResourceError from error
            if not data:
                raise anyio.EndOfStream
            return data

    async def send(self, item: bytes) -> None:
        """Queue ``item``; waits while the queue is above the high-water mark."""
        with self._sending:
            await anyio.lowlevel.checkpoint()
            self._check()
            sock = self.socket
            if sock.destroyed or sock.writable_ended:
                raise anyio.BrokenResourceError from sock.errored
            sock.write(item)
            try:
                await sock.drain()
            except (OSError, StateError) as error:
                self._check()
                raise anyio.BrokenResourceError from error

    async def send_eof(self) -> None:
        """Send a FIN after what is queued."""
        with self._sending:
            await anyio.lowlevel.checkpoint()
            self._check()
            self.socket.end()

    async def aclose(self) -> None:
        """Send what is queued and close. Cancelled, it closes at once."""
        self._closed = True
        sock = self.socket
        try:
            if not sock.destroyed:
                sock.on('error', _ignore)
                sock.destroy_soon()
            await sock.wait_closed()
        except BaseException:
            sock.destroy()
            raise
        await anyio.lowlevel.checkpoint()

    def _check(self) -> None:
        if self._closed:
            raise anyio.ClosedResourceError

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """What anyio's ``extra()`` can be asked for."""
        return _attributes(self.socket)


def _attributes(sock: Any) -> Mapping[Any, Callable[[], Any]]:
    out = _tls_attributes(sock)
    raw = descriptor_of(sock)
    if raw is None:
        return out
    names = anyio.abc.SocketAttribute
    ip = sock._handle.kind == 'tcp'

    def short(name: Any) -> Any:
        return name[:2] if ip else name

    out |= {
        names.family: lambda: _socket.AddressFamily(raw.family),
        names.local_address: lambda: short(raw.getsockname()),
        names.raw_socket: lambda: TransportSocket(raw),
    }
    if isinstance(sock, Socket):
        out[names.remote_address] = lambda: short(raw.getpeername())
        if ip:
            out[names.remote_port] = lambda: raw.getpeername()[1]
    if ip:
        out[names.local_port] = lambda: raw.getsockname()[1]
    return out


def _tls_attributes(sock: Any) -> dict[Any, Callable[[], Any]]:
    engine = secured(sock)
    if engine is None:
        return {}
    names: Any = TLSAttribute  # its attributes are typed as what they stand for
    inner = engine.object
    return {
        names.alpn_protocol: inner.selected_alpn_protocol,
        names.channel_binding_tls_unique: inner.get_channel_binding,
        names.cipher: inner.cipher,
        names.peer_certificate: inner.getpeercert,
        names.peer_certificate_binary: lambda: inner.getpeercert(True),
        names.server_side: lambda: inner.server_side,
        names.shared_ciphers: inner.shared_ciphers,
        names.ssl_object: lambda: inner,
        names.standard_compatible: lambda: not sock._handle.allow_truncation,
        names.tls_version: inner.version,
    }


def _ignore(_: object = None) -> None:
    """Errors after aclose() concern nobody."""


class Listener(anyio.abc.Listener[ByteStream]):
    """anyio's listener on a listening server, which it owns.

    Accepting is held back while as many connections as the server's ``max_connections`` are open
    anyway: that is the server's. ``extra`` as for ByteStream, the local names only.
    """

    def __init__(self, server: Server) -> None:
        self.server = server

    async def serve(
        self,
        handler: Callable[[ByteStream], Any],
        task_group: anyio.abc.TaskGroup | None = None,
    ) -> None:
        """Run ``handler(stream)`` as a task for each connection, until closed or cancelled."""
        async with _group(task_group) as group:
            async for sock in self.server:
                group.start_soon(handler, ByteStream(sock))

    async def aclose(self) -> None:
        """Stop listening; connections go on."""
        self.server.close()
        await anyio.lowlevel.checkpoint()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """What anyio's ``extra()`` can be asked for."""
        return _attributes(self.server)


class _group:
    """The task group given, or one of its own."""

    def __init__(self, given: anyio.abc.TaskGroup | None) -> None:
        self._given = given
        self._own = None if given is not None else anyio.create_task_group()

    async def __aenter__(self) -> anyio.abc.TaskGroup:
        if self._own is not None:
            return await self._own.__aenter__()
        assert self._given is not None
        return self._given

    async def __aexit__(self, *details: Any) -> bool | None:
        return None if self._own is None else await self._own.__aexit__(*details)


def _check_backend() -> None:
    if _runtime.running_loop() is None:
        raise RuntimeError("tailrace runs on asyncio: use anyio's asyncio backend, not trio")


async def connect(*args: Any, **options: Any) -> ByteStream:
    """Connect as :func:`tailrace.net.connect` does; gives a :class:`ByteStream`.

    With an option of TLS, such as ``ca`` or ``secure_context``, it is :func:`tailrace.tls.connect`,
    and the stream is secure; ``extra`` knows anyio's TLSAttribute then.

    Raises RuntimeError on anyio's trio backend.
    """
    _check_backend()
    return ByteStream(await connecting(args, options))


async def create_listener(*args: Any, **options: Any) -> Listener:
    """Listen as ``Server.listen`` does; gives a :class:`Listener`.

    Options of ``create_server`` are taken too; with one of TLS, such as ``cert`` or
    ``secure_context``, those of ``tls.create_server``, and streams are secure.

    Raises RuntimeError on anyio's trio backend.
    """
    _check_backend()
    own, options = split(options)
    server = serving(own)
    await server.listen(*args, **options)
    return Listener(server)
