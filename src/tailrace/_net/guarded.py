"""The limits of a server: who may connect and how often, what may wait, when accepting pauses.

What each limit means is decided by ``limiter.py`` (addresses and rates) and ``patrol.py`` (what
open connections do); this file gives them their names on a server, and keeps the reasons for which
accepting is held back. A server without limits has no ``Guard`` (``guard.py``): one test for each
connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from .._addr import BlockList
from .._handles import StreamHandle
from .._names import Record, node_names
from .._tally import Tally
from .._validate import MAX_TIMEOUT, bad_value, milliseconds, out_of_range
from . import channels
from .guard import Guard
from .limiter import Rate, count_limit
from .proxied import Proxied, ends_of

if TYPE_CHECKING:
    from .option_types import Duration
    from .server_types import RateLimit

__all__ = ['GUARD_OPTIONS', 'LOOPS', 'PRIVILEGES', 'Guarded']

#: In the order in which they are set up.
GUARD_OPTIONS: Final = (
    'max_connections_per_address',
    'max_connections_per_network',
    'max_rate_per_address',
    'max_rate_per_network',
    'max_accept_rate',
    'max_queued_bytes',
    'min_read_window',
    'min_read_rate',
)

#: Why accepting is held back, beside RATE: the program has said so; no ``async for`` waits;
#: ``tailrace.serve`` has not become another user yet.
PROGRAM: Final = 1
LOOPS: Final = 4
PRIVILEGES: Final = 8


@node_names
class Guarded(Proxied):
    """The part of :class:`Server` that limits who connects; not used by itself."""

    if TYPE_CHECKING:
        _sockets: dict[Any, bool]
        block_list: BlockList | None

    def _init_guarded(self, options: dict[str, Any]) -> None:
        self._tally = Tally()
        #: How many connections went to other processes.
        self._handed = 0
        self._guard: Guard | None = None
        #: PROGRAM, RATE, LOOPS, PRIVILEGES.
        self._held_back = 0
        #: How many connections were turned away, by the option that did it.
        self._refusals: dict[str, int] = {}
        #: The options as they were given.
        self._limits: dict[str, Any] = {}
        for name in GUARD_OPTIONS:
            if options.get(name) is not None:
                setattr(self, name, options[name])

    # -- turning away -----------------------------------------------------------------------------

    def _drop(self, handle: StreamHandle, reason: str) -> None:
        """Close a connection that is one too many, and say so."""
        self._count_rejection(reason)
        data = ends_of(handle)
        handle.close()
        if channels.server_drop.subscribers:
            channels.server_drop.publish({'server': self, 'reason': reason, 'data': data})
        if reason != 'maxConnections':
            data = Record() if data is None else data
            data['reason'] = reason
        self._announce('drop', data)

    def _blocked(self, handle: StreamHandle) -> bool:
        """Close a connection of an address in the block list; whether it was one."""
        peer = handle.get_peer_name()
        if peer is None or self.block_list is None:
            return False
        if not self.block_list.check(peer[0], peer[2].lower()):
            return False
        # Closing at once, without a word to the program, is Node's way; 'reject' is ours.
        watched = channels.server_drop.subscribers
        data = ends_of(handle) if watched or self.listener_count('reject') else None
        handle.close()
        self._count_rejection('blockList')
        if watched:
            channels.server_drop.publish({'server': self, 'reason': 'blockList', 'data': data})
        if data is not None:
            data['reason'] = 'blockList'
            self._announce('reject', data)
        return True

    def _count_rejection(self, reason: str) -> None:
        self._refusals[reason] = self._refusals.get(reason, 0) + 1

    def _let_go(self, sock: Any) -> None:
        """The connection belongs to another process now."""
        self._sockets.pop(sock, None)
        self._handed += 1
        self._tally.bytes_read += sock._counted[0]
        self._tally.bytes_written += sock._counted[1]
        if self._guard is not None:
            self._guard.closed(sock)

    def _set_full(self, full: bool) -> None:
        if self._guard is not None:
            self._guard.limiter.full = full

    # -- accepting --------------------------------------------------------------------------------

    def _hold_back(self, why: int, hold: bool) -> None:
        """Begin or end one of the reasons not to accept; the last that ends resumes it."""
        before = self._held_back
        now = self._held_back = before | why if hold else before & ~why
        handle = self._handle
        if handle is not None and (not now) is not (not before):
            if now:
                handle.pause()
            else:
                handle.resume()

    def pause_accepting(self) -> Self:
        """Leave new connections in the system's queue until :meth:`resume_accepting`.

        Connections that are open go on. What the queue has no room for (``backlog`` of
        :meth:`listen`) the system refuses or ignores. In a cluster, new connections go to other
        workers meanwhile. It counts for a later :meth:`listen` too. Returns the server.
        """
        self._hold_back(PROGRAM, True)
        return self

    def resume_accepting(self) -> Self:
        """Accept again after :meth:`pause_accepting`; returns the server.

        Not while ``max_accept_rate`` makes it rest, or no ``async for`` over the server waits.
        """
        self._hold_back(PROGRAM, False)
        return self

    @property
    def accepting(self) -> bool:
        """Whether the server listens and accepting is not held back.

        By :meth:`pause_accepting`, by ``max_accept_rate``, or because no ``async for`` over the
        server waits.
        """
        return self._handle is not None and not self._held_back

    # -- the limits -------------------------------------------------------------------------------

    def _limit(self, name: str, value: Any, off: bool) -> Guard | None:
        """Remember a limit as it was given; the guard, unless there is none and no need for one."""
        self._limits[name] = value
        if self._guard is None and not off:
            self._guard = Guard(self)
        return self._guard

    @property
    def max_connections_per_address(self) -> int | float | None:
        """How many connections one address may have open; None: no limit.

        What is beyond it is dropped: closed at once, with 'drop'. May be set at any time. An
        IPv4-mapped IPv6 address counts as its IPv4 address. Unix sockets have no address.
        """
        return self._limits.get('max_connections_per_address')

    @max_connections_per_address.setter
    def max_connections_per_address(self, value: int | float | None) -> None:
        limit = count_limit('max_connections_per_address', value)
        if guard := self._limit('max_connections_per_address', value, limit is None):
            guard.limiter.per_address = limit
            guard.recount()

    @property
    def max_connections_per_network(self) -> int | float | None:
        """As :attr:`max_connections_per_address`, for a network: /24 of IPv4, /64 of IPv6."""
        return self._limits.get('max_connections_per_network')

    @max_connections_per_network.setter
    def max_connections_per_network(self, value: int | float | None) -> None:
        limit = count_limit('max_connections_per_network', value)
        if guard := self._limit('max_connections_per_network', value, limit is None):
            guard.limiter.per_network = limit
            guard.recount()

    @property
    def max_rate_per_address(self) -> RateLimit | None:
        """How many connections may come from one address: a number a second, or (count, ms).

        ``20`` is twenty in a second, ``(20, 60_000)`` twenty in a minute; they may come all at
        once. What is beyond it is dropped and does not count. None: no limit. The last 65,536
        addresses and networks are remembered, in about 11 MB.
        """
        return self._limits.get('max_rate_per_address')

    @max_rate_per_address.setter
    def max_rate_per_address(self, value: RateLimit | None) -> None:
        rate = Rate.of('max_rate_per_address', value)
        if guard := self._limit('max_rate_per_address', value, rate is None):
            guard.limiter.address_rate = rate

    @property
    def max_rate_per_network(self) -> RateLimit | None:
        """As :attr:`max_rate_per_address`, for a network: /24 of IPv4, /64 of IPv6."""
        return self._limits.get('max_rate_per_network')

    @max_rate_per_network.setter
    def max_rate_per_network(self, value: RateLimit | None) -> None:
        rate = Rate.of('max_rate_per_network', value)
        if guard := self._limit('max_rate_per_network', value, rate is None):
            guard.limiter.network_rate = rate

    @property
    def max_accept_rate(self) -> RateLimit | None:
        """How many connections the server accepts, a number a second or (count, ms).

        Nothing is dropped: what comes faster waits in the system's queue (``backlog`` of
        :meth:`listen`). None: no limit.
        """
        return self._limits.get('max_accept_rate')

    @max_accept_rate.setter
    def max_accept_rate(self, value: RateLimit | None) -> None:
        rate = Rate.of('max_accept_rate', value)
        if guard := self._limit('max_accept_rate', value, rate is None):
            guard.pace = rate
            guard.rested()

    @property
    def max_queued_bytes(self) -> int | float | None:
        """How many bytes may wait in all connections together; None: no limit.

        What was written and not sent, and what was received and not read. Looked at twice a second:
        at the limit new connections are dropped; above it those where the most waits are destroyed,
        with ERR_SOCKET_QUEUE_LIMIT, until the rest is below it.
        """
        return self._limits.get('max_queued_bytes')

    @max_queued_bytes.setter
    def max_queued_bytes(self, value: int | float | None) -> None:
        limit = count_limit('max_queued_bytes', value)
        if guard := self._limit('max_queued_bytes', value, limit is None):
            guard.patrol.max_queued = limit
            guard.patrol.change()

    @property
    def min_read_rate(self) -> int | float | None:
        """Bytes a second that a peer has to send; None: no limit.

        A connection whose peer sends less over :attr:`min_read_window` is destroyed, with
        ERR_SOCKET_READ_RATE. It is measured while the connection is read and no written bytes wait
        in it; silence counts. For a phase in which the peer may be silent there is
        :meth:`set_min_read_rate`.
        """
        return self._limits.get('min_read_rate')

    @min_read_rate.setter
    def min_read_rate(self, value: int | float | None) -> None:
        rate = count_limit('min_read_rate', value)
        if guard := self._limit('min_read_rate', value, rate is None):
            guard.patrol.min_rate = rate
            guard.patrol.change()

    @property
    def min_read_window(self) -> Duration:
        """Over how many ms :attr:`min_read_rate` is measured (ms or a timedelta; default 10000)."""
        window: Duration = self._limits.get('min_read_window', 10_000)
        return window

    @min_read_window.setter
    def min_read_window(self, value: Duration) -> None:
        window = milliseconds('min_read_window', value)
        if not 1 <= window <= MAX_TIMEOUT:
            out_of_range('min_read_window', f'from 1 to {MAX_TIMEOUT} ms', value)
        if guard := self._limit('min_read_window', value, False):
            guard.patrol.window = window

    def set_min_read_rate(self, socket: Any, rate: int | float | None) -> Self:
        """Another :attr:`min_read_rate` for one connection of this server; returns the server.

        None or 0: its peer may be silent, while the program works on an answer for example.
        Raises ERR_INVALID_ARG_VALUE if ``socket`` is no open connection of this server,
        ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE.
        """
        limit = count_limit('rate', rate)
        if getattr(socket, '_server', None) is not self or socket.destroyed:
            bad_value('socket', 'an open connection of this server', socket)
        guard = self._guard
        if guard is None:
            guard = self._guard = Guard(self)
        guard.patrol.own_rates[socket] = limit
        # What came before does not count.
        guard.patrol.forget(socket)
        guard.patrol.change()
        return self

    if TYPE_CHECKING:  # Node's spellings; see node_names
        pauseAccepting = pause_accepting
        resumeAccepting = resume_accepting
        maxConnectionsPerAddress = max_connections_per_address
        maxConnectionsPerNetwork = max_connections_per_network
        maxRatePerAddress = max_rate_per_address
        maxRatePerNetwork = max_rate_per_network
        maxAcceptRate = max_accept_rate
        maxQueuedBytes = max_queued_bytes
        minReadRate = min_read_rate
        minReadWindow = min_read_window
        setMinReadRate = set_min_read_rate
