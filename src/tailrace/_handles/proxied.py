"""Connections that come through a proxy: what it says first, and the names that it gives.

:class:`Head` looks at the first bytes of a connection before a stream reads from it: they are
peeked at, and only those are taken that belong to the head, so that what follows stays in the
kernel for whoever gets the descriptor, also another process. What has been looked at is taken each
time: bytes that stay would make the descriptor ready for ever (level-triggered), and a client that
sends half a header would keep the loop busy.

This file refuses to know what a head looks like, and how long it is waited for.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any, Final

from .._addr.ip import packed
from .._runtime import Runtime
from . import DONE, PENDING, SocketAddressInfo
from .engine import READ, Watched, engine_of
from .pipe import Pipe
from .reading import RawSocket, code_of
from .stream import Stream
from .tcp import Tcp, text_of

__all__ = ['Head', 'NamedPipe', 'NamedTcp', 'named']

# recvmsg: the C module's connections have no recv with flags. Windows has no recvmsg.
_HAS_RECVMSG: Final = hasattr(RawSocket, 'recvmsg')
_PEEK: Final = int(socket.MSG_PEEK)


class NamedTcp(Tcp):
    """A TCP connection whose names a proxy has told."""

    __slots__ = ('_own', '_peer')

    def __init__(self, runtime: Runtime, own: SocketAddressInfo, peer: SocketAddressInfo) -> None:
        super().__init__(runtime)
        self._own = own
        self._peer = peer

    def get_sock_name(self) -> SocketAddressInfo | None:
        return None if self._sock is None else self._own

    def get_peer_name(self) -> SocketAddressInfo | None:
        return None if self._sock is None else self._peer

    def get_peer_key(self) -> bytes | None:
        return None if self._sock is None else packed(self._peer[0])


class NamedPipe(Pipe):
    """A Unix-domain connection from a proxy on this machine, which has told the client's names."""

    __slots__ = ('_own', '_peer')

    def __init__(self, runtime: Runtime, own: SocketAddressInfo, peer: SocketAddressInfo) -> None:
        super().__init__(runtime)
        self._own = own
        self._peer = peer

    def get_sock_name(self) -> SocketAddressInfo | None:
        return None if self._sock is None else self._own

    def get_peer_name(self) -> SocketAddressInfo | None:
        return None if self._sock is None else self._peer

    def get_peer_key(self) -> bytes | None:
        return None if self._sock is None else packed(self._peer[0])

    def describe(self) -> tuple[str, str]:
        return 'socket', text_of(self._peer)


class Head(Watched):
    """The first bytes of ``stream``, which does not read yet and stays the owner of its descriptor.

    ``on_ready()`` is called when there may be bytes, between :meth:`wait` and :meth:`release`.
    """

    __slots__ = ('_engine', '_stream', 'on_ready')

    def __init__(self, stream: Stream, on_ready: Callable[[], object]) -> None:
        Watched.__init__(self, stream.runtime)
        self._engine = engine_of(stream.runtime)
        self._stream = stream
        self.on_ready = on_ready
        self.owner = stream.owner

    def wait(self) -> None:
        """Call ``on_ready`` from now on; the program is held meanwhile."""
        self.fd = self._stream.fd
        self._engine.watch(self, READ)
        self.runtime.hold(self)

    def release(self) -> None:
        """Wait no more. The descriptor is the stream's, as ever."""
        if self.watching:
            self._engine.watch(self, 0)
            self.runtime.release(self)

    def abandon(self) -> None:
        self.release()

    def peek(self, size: int) -> bytes | int:
        """Up to ``size`` bytes that have come, without taking them.

        Empty bytes at the end of the stream; PENDING: none yet; an errno.
        """
        sock: Any = self._stream._sock
        if sock is None:
            return errno.EBADF
        try:
            if _HAS_RECVMSG:
                data: bytes = sock.recvmsg(size, 0, _PEEK)[0]
            else:
                data = sock.recv(size, _PEEK)
        except OSError as error:
            code = code_of(error)
            return PENDING if code in (errno.EAGAIN, errno.EWOULDBLOCK) else code
        return data

    def take(self, size: int) -> int:
        """Take bytes that were seen; DONE or an errno."""
        sock: Any = self._stream._sock
        try:
            while size > 0:
                got = len(sock.recv(size))
                if not got:
                    return errno.ECONNRESET
                size -= got
        except OSError as error:
            return code_of(error)
        return DONE

    def ready_to_read(self) -> None:
        self.on_ready()

    def describe(self) -> tuple[str, str]:
        """For active_resources."""
        return 'socket', self._stream.describe()[1]


def named(stream: Stream, own: SocketAddressInfo, peer: SocketAddressInfo) -> Stream:
    """The connection as a stream with these names; ``stream`` is used up."""
    made: Stream
    if stream.kind == 'tcp':
        made = NamedTcp(stream.runtime, own, peer)
    else:
        made = NamedPipe(stream.runtime, own, peer)
    made._sock = stream._sock
    made.fd = stream.fd
    stream._sock = None
    stream.fd = -1
    return made
