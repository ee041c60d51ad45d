"""Servers behind a balancer: no connection is presented before its PROXY protocol header is there.

From the accept to the header a connection is :class:`Awaited`: counted like any other, limited in
time, and closed when anything is wrong. Then it goes back to the server as a handle that answers
with the client's names, so that block lists, sockets, logs and TLS need not know.

This file refuses to know what a header looks like (``_proxy``) and how bytes are looked at without
taking more than the header (``_handles/proxied.py``).

The specification: a receiver must be configured to expect the header, and must not guess. Hence
there is no "optional": who may say the client's address is decided by the address that the kernel
knows, before a byte is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from .. import _runtime, _timers
from .._addr import BlockList, SocketAddress
from .._handles import PENDING, ListenHandle, StreamHandle
from .._handles.proxied import Head, named
from .._names import Record, node_names
from .._validate import MAX_TIMEOUT, bad_type, bad_value, milliseconds, out_of_range
from ..errors import MissingArgsError, ProxyProtocolError
from . import channels
from .failing import Failing, logger, place_of

if TYPE_CHECKING:
    from .._proxy import ProxyHeader
    from .socket import Socket

__all__ = ['Awaited', 'Headers', 'Proxied', 'ends_of', 'with_names']

#: ms. The specification wants at least 3 s, which cover the retransmission of a lost segment.
TIMEOUT: Final = 5000
#: Bytes looked at in one go. Senders keep a header within 536, the smallest segment.
ROOM: Final = 536
#: How peers on a Unix socket are written in ``proxy_from``; nginx writes it so.
UNIX: Final = 'unix:'
#: Seconds: refused connections are logged once, and again after this much time.
_QUIET: Final = 1.0


class Ends(Record):
    """What 'drop' carries: as Node's record where Node has the reason, its only one."""

    __slots__ = ()

    def __missing__(self, key: str) -> Any:
        return 'maxConnections' if key == 'reason' else super().__missing__(key)


def ends_of(handle: StreamHandle) -> Record | None:
    """Both addresses of a connection, for 'drop' and 'reject'; None if it has none (Unix)."""
    if handle.kind == 'pipe' and handle.get_peer_name() is None:
        return None
    out = Ends()
    for side, name in (('local', handle.get_sock_name()), ('remote', handle.get_peer_name())):
        # The peer may have reset it already: then the kernel knows no name any more.
        out[f'{side}Address'], out[f'{side}Port'], out[f'{side}Family'] = name or (None,) * 3
    return out


def with_names(handle: Any, header: ProxyHeader) -> Any:
    """The handle of a connection that speaks of the client; ``handle`` is used up.

    Of what is no TCP connection the specification lets a receiver use the real addresses.
    """
    port, family = header.source_port, str(header.family)
    if port is None or header.datagram:
        return handle
    own = str(header.destination_address), int(header.destination_port or 0), family
    return named(handle, own, (str(header.source_address), port, family))


@node_names
class Proxied(Failing):
    """The part of :class:`Server` that deals with balancers; not used by itself."""

    if TYPE_CHECKING:
        _handle: ListenHandle | None
        _connections: int
        _on_count: Callable[[], object] | None

        def _announce(self, event: str, data: Record | None) -> None: ...
        def _emit_close_if_drained(self) -> None: ...
        def _incoming(
            self, handle: StreamHandle, header: ProxyHeader | None = None
        ) -> Socket | None:
            """Defined by Server."""

    def _init_proxied(self, options: Mapping[str, Any]) -> None:
        #: None: off.
        self._headers: Headers | None = None
        self._proxy_failures = 0
        timeout = options.get('proxy_timeout')
        timeout = TIMEOUT if timeout is None else milliseconds('options.proxy_timeout', timeout)
        if not 1 <= timeout <= MAX_TIMEOUT:
            out_of_range('options.proxy_timeout', f'from 1 to {MAX_TIMEOUT} ms', timeout)
        wanted, networks = options.get('proxy_protocol'), options.get('proxy_from')
        if wanted is not None and not isinstance(wanted, str):
            bad_type('options.proxy_protocol', "'off' or 'required'", wanted)
        if wanted not in (None, 'off', 'required'):
            bad_value('options.proxy_protocol', "'off' or 'required'", wanted)
        if networks is not None:
            believed, unix = _read_networks(networks)
            if wanted is None:
                bad_value('options.proxy_from', 'left out without proxy_protocol', networks)
            if wanted == 'required':
                self._headers = Headers(self, believed, unix, timeout)
        elif wanted == 'required':
            raise MissingArgsError(
                "proxy_protocol='required' needs options.proxy_from: the peers that are believed"
            )

    @property
    def proxy_protocol(self) -> str:
        """'required' if connections begin with a header of the PROXY protocol, else 'off'."""
        return 'off' if self._headers is None else 'required'

    @property
    def proxy_from(self) -> BlockList | None:
        """The peers that are believed, as a BlockList that may be changed; None if it is off."""
        return None if self._headers is None else self._headers.networks

    @property
    def proxy_timeout(self) -> int | float:
        """How long a header is waited for, in ms."""
        return TIMEOUT if self._headers is None else self._headers.timeout

    @property
    def proxy_failures(self) -> int:
        """How many connections were refused for want of a header that is believed.

        Those that ended before are not counted: so do the checks of balancers.
        """
        return self._proxy_failures

    if TYPE_CHECKING:  # Node's spellings; see node_names
        proxyProtocol = proxy_protocol
        proxyFrom = proxy_from
        proxyTimeout = proxy_timeout
        proxyFailures = proxy_failures


def _read_networks(value: Any) -> tuple[BlockList, bool]:
    """The option ``proxy_from``: addresses, and whether peers on a Unix socket are meant."""
    if isinstance(value, BlockList):
        return value, False
    if isinstance(value, (str, SocketAddress)):
        value = [value]
    if not isinstance(value, Iterable):
        bad_type('options.proxy_from', 'addresses, subnets or a BlockList', value)
    networks = BlockList()
    unix = False
    items: list[Any] = [*value]  # pyright: ignore[reportUnknownVariableType]
    for one in items:
        if isinstance(one, SocketAddress):
            networks.add_address(one)
        elif not isinstance(one, str):
            bad_type('options.proxy_from', 'addresses and subnets as text', one)
        elif one == UNIX:
            unix = True
        elif '/' in one:
            networks.add_cidr(one)
        else:
            networks.add_address(one, 'ipv6' if ':' in one else 'ipv4')
    if not unix and not networks.size:
        bad_value('options.proxy_from', 'at least one address or subnet', items)
    return networks, unix


class Headers:
    """The connections of one server whose headers are awaited, and whom it believes."""

    __slots__ = ('_logged', '_timer', 'awaited', 'networks', 'server', 'timeout', 'unix')

    def __init__(
        self, server: Proxied, networks: BlockList, unix: bool, timeout: int | float
    ) -> None:
        self.server = server
        self.networks = networks
        self.unix = unix
        #: ms
        self.timeout = timeout
        #: In the order of their deadlines: all have the same time.
        self.awaited: dict[Awaited, None] = {}
        self._timer: Any = None
        self._logged = -_QUIET

    def take(self, handle: StreamHandle) -> None:
        """A connection was accepted: read its header, or refuse it."""
        server = self.server
        server._connections += 1
        if server._on_count is not None:
            server._on_count()
        one = Awaited(self, handle)
        if handle.kind == 'pipe':
            believed = self.unix
        else:
            peer = handle.get_peer_name()
            if peer is None:
                one.refuse('ended', 'the connection was reset before its PROXY protocol header')
                return
            believed = self.networks._check_text(peer[0])
        if believed:
            one.look()
        else:
            one.refuse('untrusted', 'this peer is none of those that proxy_from believes')

    def wait(self, one: Awaited, runtime: _runtime.Runtime) -> None:
        """There is nothing more to read yet."""
        self.awaited[one] = None
        if self._timer is None:
            self._arm(runtime, one)

    def _arm(self, runtime: _runtime.Runtime, first: Awaited) -> None:
        wait = max(1.0, (first.deadline - runtime.clock()) * 1000)
        self._timer = _timers.Timer(runtime, self._expire, wait, (runtime,), False).unref()

    def _expire(self, runtime: _runtime.Runtime) -> None:
        self._timer = None
        now = runtime.clock()
        for one in list(self.awaited):
            if one.deadline > now:
                break
            text = f'no PROXY protocol header within {self.timeout:g} ms'
            one.refuse('timeout', f'{text}, {len(one.got)} bytes of it')
        for one in self.awaited:
            if self._timer is None:
                self._arm(runtime, one)
            break

    def over(self, one: Awaited) -> None:
        """It is no longer awaited."""
        self.awaited.pop(one, None)
        if not self.awaited and self._timer is not None and self.server._handle is None:
            self._timer.close()
            self._timer = None

    def left(self) -> None:
        """One that was counted has come to no socket."""
        server = self.server
        if server._on_count is not None:
            server._on_count()
        if server._handle is None:
            server._emit_close_if_drained()

    def refused(self, data: Record | None, error: ProxyProtocolError) -> None:
        """Count, log and announce; the connection is closed already."""
        server = self.server
        # haproxy's check by TCP resets the connection as soon as it has sent its header: that is
        # not counted, and nobody was turned away.
        ended = error.reason == 'ended'
        server._proxy_failures += not ended
        if channels.server_drop.subscribers and not ended:
            channels.server_drop.publish(
                {'server': server, 'reason': 'proxyProtocol', 'data': data}
            )
        self._log(data, error)
        if server.listener_count('reject'):
            data = Record() if data is None else data
            data['reason'] = 'proxyProtocol'
            data['error'] = error
            server._announce('reject', data)

    def _log(self, data: Record | None, error: ProxyProtocolError) -> None:
        server = self.server
        host = None if data is None else data['remoteAddress']
        words = (host or 'a peer', place_of(server), error, server._proxy_failures)
        text = 'refused a connection from %s to %s: %s (%d refused so far)'
        if error.reason == 'ended':
            logger().debug(text, *words)
            return
        now = _runtime.current().clock()
        if now - self._logged >= _QUIET:
            self._logged = now
            logger().warning(text, *words)


class Awaited:
    """A connection whose header is awaited."""

    __slots__ = ('_head', '_headers', '_sock', 'deadline', 'got', 'handle')

    def __init__(self, headers: Headers, handle: StreamHandle) -> None:
        self._headers = headers
        self.handle: StreamHandle | None = handle
        self._head = Head(handle, self.look)  # type: ignore[arg-type]
        self._head.owner = headers.server
        self._sock: Socket | None = None
        #: What has come of the header.
        self.got = b''
        self.deadline = 0.0

    def look(self) -> None:
        """Read what is there. Often that is all: nothing is registered or timed then."""
        from .._proxy import parse  # a tenth of the time that importing the package takes

        head = self._head
        while True:
            data = head.peek(ROOM)
            if isinstance(data, int):
                if data != PENDING:
                    self.refuse(
                        'ended', 'the connection was reset within its PROXY protocol header'
                    )
                elif not head.watching:
                    self._wait()
                return
            if not data:
                text = (
                    f'the connection ended after {len(self.got)} bytes of a PROXY protocol header'
                )
                self.refuse('ended', text)
                return
            seen = len(self.got)
            try:
                found = parse(self.got + data)
            except ProxyProtocolError as error:
                self.refuse(error.reason, str(error))
                return
            size = seen + len(data) if found is None else found[1]
            if head.take(size - seen):
                self.refuse('ended', 'the connection was reset within its PROXY protocol header')
                return
            if found is not None:
                self._complete(found[0])
                return
            self.got += data

    def _wait(self) -> None:
        runtime = self._head.runtime
        self.deadline = runtime.clock() + self._headers.timeout / 1000
        self._head.wait()
        self._headers.wait(self, runtime)

    def _complete(self, header: ProxyHeader) -> None:
        headers, server = self._headers, self._headers.server
        handle = with_names(self._let_go(), header)
        server._connections -= 1
        try:
            self._sock = server._incoming(handle, header)
        except BaseException:
            headers.left()
            raise
        if self._sock is None:
            headers.left()

    def _let_go(self) -> StreamHandle | None:
        handle, self.handle = self.handle, None
        self._head.release()
        self._headers.over(self)
        return handle

    def refuse(self, reason: str, text: str) -> None:
        """Close the connection, and say why."""
        headers = self._headers
        handle = self._let_go()
        if handle is not None:
            data = ends_of(handle)
            handle.close()
            headers.server._connections -= 1
            headers.left()
            headers.refused(data, ProxyProtocolError(text, reason))

    def end(self) -> bool:
        """Close it for the program: the header's connection, or the socket that has come of it."""
        sock, handle = self._sock, self._let_go()
        if handle is not None:
            handle.close()
            self._headers.server._connections -= 1
            self._headers.left()
            return True
        if sock is None or sock.destroyed:
            return False
        sock.destroy()
        return True
