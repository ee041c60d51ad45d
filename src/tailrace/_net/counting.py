"""Figures of a server and of the process, for people and for metrics.

Nothing is counted for them while bytes move: what is open is added up when somebody asks, what is
closed was added when it was closed (``_tally.py``).
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, cast

from .._names import node_names
from .._tally import clients
from .accept_delay import enabled_accept_delay
from .delay import enabled_delay
from .guarded import Guarded
from .patrol import queued_bytes

__all__ = ['ClientStats', 'Counting', 'ProcessStats', 'Stats', 'stats']


class Figures:
    """A record of figures that does not change: equal by value, readable by name."""

    __slots__ = ()

    #: The names, in the order in which they are shown.
    _fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        cls._fields = tuple(cls.__annotations__)

    def __init__(self, **values: Any) -> None:
        for name in self._fields:
            object.__setattr__(self, name, values[name])

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f'{type(self).__name__} cannot be changed')

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f'{type(self).__name__} cannot be changed')

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        raise TypeError(f'unhashable type: {type(self).__name__!r}')  # it has dicts in it

    def __reduce__(self) -> Any:
        return _remade, (type(self), {name: getattr(self, name) for name in self._fields})

    def as_dict(self) -> dict[str, Any]:
        """The same as plain dicts, numbers and None."""
        out: dict[str, Any] = {}
        for name in self._fields:
            value = getattr(self, name)
            if isinstance(value, Figures):
                value = value.as_dict()
            out[name] = cast('dict[str, Any]', value).copy() if isinstance(value, dict) else value
        return out

    def __repr__(self) -> str:
        body = ', '.join(f'{name}={getattr(self, name)!r}' for name in self._fields)
        return f'{type(self).__name__}({body})'

    if TYPE_CHECKING:  # Node's spelling; see node_names
        asDict = as_dict


node_names(Figures)


def _remade(cls: type[Figures], values: dict[str, Any]) -> Figures:
    return cls(**values)


@node_names
class Stats(Figures):
    """Figures of a server since it was made, or of all servers of the process."""

    __slots__ = (
        'accept_failures',
        'accept_queue',
        'accepted',
        'bytes_read',
        'bytes_written',
        'errors',
        'handed_over',
        'open',
        'queued_bytes',
        'rejected',
        'resets',
        'timeouts',
    )

    #: Connections that were accepted and not turned away.
    accepted: int
    #: Those that are open now.
    open: int
    #: Those that went to child processes.
    handed_over: int
    #: Those that were turned away, by the reason that 'drop' and 'reject' give.
    rejected: dict[str, int]
    #: Failures to accept, in episodes (``server.accept_failures``).
    accept_failures: int
    #: Connections that wait in the system's queue; None where it does not tell.
    accept_queue: int | None
    #: Bytes that came in.
    bytes_read: int
    #: Bytes that were written, what is still queued included.
    bytes_written: int
    #: Bytes that wait now: written and not sent, and received and not read.
    queued_bytes: int
    #: Connections that the peer has reset.
    resets: int
    #: Idle timeouts.
    timeouts: int
    #: Connections that ended with an error, by its code (or class, if it has none).
    errors: dict[str, int]

    if TYPE_CHECKING:  # Node's spellings; see node_names
        handedOver: int
        acceptFailures: int
        acceptQueue: int | None
        bytesRead: int
        bytesWritten: int
        queuedBytes: int


@node_names
class ClientStats(Figures):
    """Figures of the connections that no server of the process has accepted."""

    __slots__ = (
        'attempts',
        'bytes_read',
        'bytes_written',
        'connected',
        'errors',
        'failed',
        'open',
        'queued_bytes',
        'resets',
        'timeouts',
    )

    #: Calls of connect().
    attempts: int
    #: Those that came to a connection.
    connected: int
    #: Those that did not.
    failed: int
    #: Those that are open now.
    open: int
    #: Bytes that came in.
    bytes_read: int
    #: Bytes that were written, what is still queued included.
    bytes_written: int
    #: Bytes that wait now: written and not sent, and received and not read.
    queued_bytes: int
    #: Connections that the peer has reset.
    resets: int
    #: Idle timeouts.
    timeouts: int
    #: Connections, and attempts to connect, that ended with an error, by its code.
    errors: dict[str, int]

    if TYPE_CHECKING:  # Node's spellings; see node_names
        bytesRead: int
        bytesWritten: int
        queuedBytes: int


@node_names
class ProcessStats(Figures):
    """Figures of the process, of all threads."""

    __slots__ = (
        'accept_delay',
        'accept_delay_max',
        'client',
        'loop_delay',
        'loop_delay_max',
        'server',
        'servers',
    )

    #: Servers that listen.
    servers: int
    #: All servers together, those that were closed included.
    server: Stats
    #: All other connections together.
    client: ClientStats
    #: Mean delay of this thread's loop in ms; None without an enabled monitor.
    loop_delay: float | None
    #: The longest delay in ms.
    loop_delay_max: float | None
    #: Mean time in ms that connections waited to be accepted; None without an enabled monitor.
    accept_delay: float | None
    #: The longest of these times in ms.
    accept_delay_max: float | None

    if TYPE_CHECKING:  # Node's spellings; see node_names
        loopDelay: float | None
        loopDelayMax: float | None
        acceptDelay: float | None
        acceptDelayMax: float | None


#: Servers that have listened and are not closed.
_servers: weakref.WeakSet[Counting] = weakref.WeakSet()


@node_names
class Counting(Guarded):
    """The part of :class:`Server` that counts; not used by itself."""

    if TYPE_CHECKING:

        @property
        def listening(self) -> bool:
            """Defined by Server."""
            raise NotImplementedError

    #: What of its figures is in those of closed servers already.
    _past: Stats | None = None

    def stats(self) -> Stats:
        """Figures of this server since it was made: a :class:`Stats`.

        Takes time for each open connection, a microsecond or less, and costs nothing until it is
        called.
        """
        tally = self._tally
        read, written, queued = tally.bytes_read, tally.bytes_written, 0
        sockets = list(self._sockets)
        for sock in sockets:
            handle = sock._handle
            if handle is not None:
                read += handle.bytes_read
                written += handle.bytes_written
                queued += queued_bytes(sock)
        rejected = dict(self._refusals)
        if self._proxy_failures:
            rejected['proxyProtocol'] = self._proxy_failures
        ask = getattr(self._handle, 'waiting', None)
        waiting = -1 if ask is None else ask()
        return Stats(
            accepted=tally.closed + len(sockets) + self._handed,
            open=len(sockets),
            handed_over=self._handed,
            rejected=rejected,
            accept_failures=self._accept_failures,
            accept_queue=waiting if waiting >= 0 else None,
            bytes_read=read,
            bytes_written=written,
            queued_bytes=queued,
            resets=tally.errors.get('ECONNRESET', 0),
            timeouts=tally.timeouts,
            errors=dict(tally.errors),
        )

    def _listens(self) -> None:
        _servers.add(self)

    def _is_over(self) -> None:
        """Closed, with all its connections: its figures become history."""
        global _over
        if self in _servers:
            now = self.stats()
            _over = _sum([_over, now], [self._past] if self._past is not None else [])
            self._past = now
            _servers.discard(self)


_NOTHING = Stats(
    accepted=0,
    open=0,
    handed_over=0,
    rejected={},
    accept_failures=0,
    accept_queue=None,
    bytes_read=0,
    bytes_written=0,
    queued_bytes=0,
    resets=0,
    timeouts=0,
    errors={},
)
_over = _NOTHING


def _sum(plus: Iterable[Stats], minus: Iterable[Stats]) -> Stats:
    """Figures added up, and others taken away; what is zero is left out of the dicts."""
    out: dict[str, Any] = _NOTHING.as_dict()
    for sign, records in ((1, plus), (-1, minus)):
        for record in records:
            for name, value in record.as_dict().items():
                if isinstance(value, dict):
                    for key, number in cast('dict[str, int]', value).items():
                        out[name][key] = out[name].get(key, 0) + sign * number
                elif value is not None:
                    out[name] = (out[name] or 0) + sign * value
    for name in ('rejected', 'errors'):
        out[name] = {key: number for key, number in out[name].items() if number}
    return Stats(**out)


def _of_clients() -> ClientStats:
    tally = clients.tally
    read, written, queued = tally.bytes_read, tally.bytes_written, 0
    sockets = clients.open()
    for sock in sockets:
        handle = sock._handle
        if handle is not None:
            read += handle.bytes_read
            written += handle.bytes_written
            queued += queued_bytes(sock)
    return ClientStats(
        attempts=clients.attempts,
        connected=clients.connected,
        failed=clients.failed,
        open=len(sockets),
        bytes_read=read,
        bytes_written=written,
        queued_bytes=queued,
        resets=tally.errors.get('ECONNRESET', 0),
        timeouts=tally.timeouts,
        errors=dict(tally.errors),
    )


def stats() -> ProcessStats:
    """Figures of the process: a :class:`ProcessStats`.

    All servers and all other connections, of all threads, since the program began. Takes time for
    each open connection, a microsecond or less, and costs nothing until it is called.
    """
    servers = list(_servers)
    delay = enabled_delay()
    waits = enabled_accept_delay()
    return ProcessStats(
        servers=len(open_servers()),
        server=_sum(
            [_over, *(server.stats() for server in servers)],
            [server._past for server in servers if server._past is not None],
        ),
        client=_of_clients(),
        loop_delay=None if delay is None else delay.mean,
        loop_delay_max=None if delay is None else delay.max,
        accept_delay=None if waits is None else waits.mean,
        accept_delay_max=None if waits is None else waits.max,
    )


def open_sockets() -> list[Any]:
    """The open connections: those of servers, then the others."""
    sockets = [sock for server in list(_servers) for sock in list(server._sockets)]
    return [sock for sock in sockets + clients.open() if not _stranded(sock)]


def open_servers() -> list[Any]:
    """The servers that listen."""
    return [server for server in list(_servers) if server.listening and not _stranded(server)]


def _stranded(one: Any) -> bool:
    """Its loop is closed: nothing can happen to it any more, and nobody can close it."""
    handle = one._handle
    loop = None if handle is None else handle.runtime.loop
    return loop is not None and bool(loop.is_closed())
