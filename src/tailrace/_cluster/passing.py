"""Servers, sockets and handles on their way between processes.

What is packed is a descriptor and a few words about it; what comes out at the other end is a
working object on a descriptor of its own. And the books about connections that were sent: their
server still counts them, and waits for them when it closes. This file refuses to know the wire.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any, Protocol

from .. import _runtime
from .._handles import DONE
from .._handles.make import guess_kind, open_listener, pipe, tcp
from .._net.bound import BoundSocket
from .._net.endpoint import Endpoint
from .._net.proxied import with_names
from .._net.server import Server
from .._proxy import ProxyHeader, build, parse
from ..errors import InvalidHandleTypeError, state_error, system_error

__all__ = ['Parcel', 'Received', 'Sent', 'pack', 'unpack']

#: The longest header of the PROXY protocol that there can be.
_ANY = 65551


class Parcel:
    """Something on its way: what the receiver is told, the descriptor, and what to do after."""

    __slots__ = ('about', 'fd', 'handle', 'release', 'server')

    def __init__(self, about: dict[str, Any], fd: int, release: Callable[[], object]) -> None:
        self.about = about
        self.fd = fd
        #: Closes the sender's descriptor; called once the receiver has its own.
        self.release = release
        #: The stream handle that the sender gave up: its queued writes go out first.
        self.handle: Any = None
        #: The server that counted the connection until now.
        self.server: Server | None = None


def _copy(about: dict[str, Any], fd: int) -> Parcel:
    copy = os.dup(fd)
    return Parcel(about, copy, lambda: os.close(copy))


def pack(thing: Any, keep_open: bool) -> Parcel | None:
    """A parcel of a Server, Socket, handle, BoundSocket or ``socket.socket``.

    None if it is closed: then the message goes alone, as in Node. A Socket gives its connection up
    unless ``keep_open``. Anything else: ERR_INVALID_HANDLE_TYPE.
    """
    if isinstance(thing, Endpoint):
        return _pack_socket(thing, keep_open)
    if isinstance(thing, Server):
        inner = thing._handle
        if inner is None:
            return None
        if inner.fd < 0:
            raise InvalidHandleTypeError('a server of a cluster worker cannot be sent on')
        return _copy({'type': 'server', 'path': thing._path}, inner.fd)
    if isinstance(thing, (socket.socket, BoundSocket)) or hasattr(thing, 'runtime'):
        fd: Any
        if isinstance(thing, socket.socket):
            fd = thing.fileno()
        elif isinstance(thing, BoundSocket):
            fd = thing.fd()
        else:
            fd = getattr(thing, 'fd', None)
        if not isinstance(fd, int):
            return None
        if fd < 0:
            return None
        if guess_kind(fd) is not None:
            return _copy({'type': 'handle'}, fd)
    raise InvalidHandleTypeError(f'this cannot be sent to another process: {thing!r}')


def _pack_socket(sock: Endpoint, keep_open: bool) -> Parcel | None:
    server = sock._server
    handle = sock._handle
    if handle is None or sock._connecting:
        return None
    about: dict[str, Any] = {
        'type': 'socket',
        'half': sock.allow_half_open,
    }
    header: ProxyHeader | None = getattr(sock, 'proxy_header', None)
    if header is not None:
        # The kernel knows only the proxy.
        about['proxy'] = build(header).hex()
    if keep_open:
        parcel = _copy(about, handle.fd)
    else:
        sock._give_up()
        parcel = Parcel(about, handle.fd, handle.close)
        parcel.handle = handle
        if server is not None:
            server._let_go(sock)
    parcel.server = server
    return parcel


def unpack(about: dict[str, Any], fd: int) -> Any:
    """The object that was sent, on this descriptor, which it owns from now on."""
    # Late: the public class knows more of the package than this file does.
    from .._net.socket import Socket

    runtime = _runtime.current()
    kind = about['type']
    if kind == 'server':
        server = Server()
        handle = open_listener(runtime, fd, False)
        if isinstance(handle, int):
            os.close(fd)
            raise system_error(handle, 'listen')
        server.listen(handle)
        server._path = about.get('path')
        return server
    if kind == 'handle' and _is_listening(fd):
        return open_listener(runtime, fd, False)
    stream = tcp(runtime) if guess_kind(fd) == 'tcp' else pipe(runtime)
    code = stream.open(fd)
    if code != DONE:
        os.close(fd)
        raise system_error(code, 'open')
    if kind == 'handle':
        return stream
    found = parse(bytes.fromhex(about['proxy']), max_size=_ANY) if 'proxy' in about else None
    if found is not None:
        stream = with_names(stream, found[0])
    sock = Socket({'handle': stream, 'allow_half_open': bool(about.get('half'))})
    sock._proxy_header = None if found is None else found[0]
    return sock


def _is_listening(fd: int) -> bool:
    """SO_ACCEPTCONN (socket(7)); macOS has it too. Without a listen yet, bound is told by name."""
    sock = socket.socket(fileno=fd)
    try:
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return True
        try:
            sock.getpeername()
        except OSError:
            return bool(sock.getsockname())
        return False
    finally:
        sock.detach()


class Asker(Protocol):
    """What a list of sent connections needs of the channel."""

    @property
    def connected(self) -> bool: ...

    def _ask(
        self, request: dict[str, Any], done: Callable[[dict[str, Any] | None], object]
    ) -> None: ...


class Sent:
    """The sender's side: connections of one server that one child was sent."""

    __slots__ = ('_asker', 'key')

    def __init__(self, asker: Asker, key: int) -> None:
        self._asker = asker
        self.key = key

    def count(self, done: Callable[[Exception | None, int], object]) -> None:
        """How many of them are open there; see ``Server.get_connections``."""
        if not self._asker.connected:
            error = state_error('ERR_CHILD_CLOSED_BEFORE_REPLY')
            _runtime.current().push(done, (error, 0))
            return

        def answered(reply: dict[str, Any] | None) -> None:
            # AM-64: what ends before it answers holds nothing any more.
            done(None, 0 if reply is None else int(reply['count']))

        self._asker._ask({'act': 'sockets-count', 'key': self.key}, answered)

    def when_empty(self, done: Callable[[], object]) -> None:
        """Call ``done`` once none is open there; see ``Server.close``."""
        if not self._asker.connected:
            _runtime.current().push(done, ())
            return
        self._asker._ask({'act': 'sockets-empty', 'key': self.key}, lambda _: done())


class Received:
    """The receiver's side: the connections of one server that came here."""

    __slots__ = ('_count', '_waiting')

    def __init__(self) -> None:
        self._count = 0
        self._waiting: list[Callable[[dict[str, Any]], object]] = []

    def add(self, sock: Endpoint) -> None:
        """One more, until its 'close'."""
        self._count += 1
        sock.once('close', self._closed)

    def _closed(self) -> None:
        self._count -= 1
        if not self._count:
            waiting, self._waiting = self._waiting, []
            for answer in waiting:
                answer({})

    def count(self, answer: Callable[[dict[str, Any]], object]) -> None:
        """Answer at once."""
        answer({'count': self._count})

    def when_empty(self, answer: Callable[[dict[str, Any]], object]) -> None:
        """Answer as soon as there are none."""
        if self._count:
            self._waiting.append(answer)
        else:
            answer({})
