"""Looks at the open connections of a server now and then: bytes that wait, peers that dribble.

The two limits that no single event can tell of. Nothing is added to reading and writing: the
figures are there, and a timer reads them twice a second while a limit is set and a connection is
open. This file refuses to know who is admitted (``limiter.py``).
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from .. import _runtime, _timers
from .._validate import shown
from ..errors import state_error

__all__ = ['PERIOD', 'Patrol', 'queued_bytes']

#: How often the connections are looked at, in ms.
PERIOD: Final = 500.0
#: How many are looked at before the loop has a turn: about a millisecond.
SLICE: Final = 2048


def queued_bytes(sock: Any) -> int:
    """Bytes of a connection in this process: written and not sent, and received and not read."""
    handle = sock._handle
    written: int = sock._w_len
    # Under TLS what waits in the handle is longer than what was written.
    if handle is not None and handle.write_queue_size > written:
        written = handle.write_queue_size
    return written + int(sock._r_len)


class Patrolled(Protocol):
    """A server, as far as this file knows it."""

    _sockets: dict[Any, bool]

    def _set_full(self, full: bool) -> None:
        """Whether nobody else may come because too much waits."""


class Patrol:
    """The rounds over one server's connections."""

    __slots__ = (
        '_marks',
        '_queues',
        '_round',
        '_server',
        '_timer',
        '_total',
        'idle',
        'max_queued',
        'min_rate',
        'own_rates',
        'watching',
        'window',
    )

    def __init__(self, server: Patrolled) -> None:
        self._server = server
        #: Bytes, of all connections together.
        self.max_queued: int | float | None = None
        #: Bytes a second.
        self.min_rate: int | float | None = None
        #: ms
        self.window: int | float = 10_000
        #: Connections that have a rate of their own.
        self.own_rates: dict[Any, int | float | None] = {}
        #: Since when a connection is measured, and how much it had received by then.
        self._marks: dict[Any, tuple[float, int]] = {}
        self._timer: Any = None
        #: Whether there is a limit, and whether it is looked at by nobody yet.
        self.watching = self.idle = False
        #: What is left of the round under way, and what it has found.
        self._round: list[Any] = []
        self._total = 0
        self._queues: list[tuple[int, Any]] = []

    def change(self) -> None:
        """A limit was set or taken away."""
        limits = self.max_queued is not None or self.min_rate is not None
        self.watching = limits or bool(self.own_rates)
        self.idle = self.watching and self._timer is None
        if self.max_queued is None:
            self._server._set_full(False)
        if self.idle and self._server._sockets:
            self.begin()

    def begin(self) -> None:
        """There is a connection and a limit: look in a while."""
        if self.idle:
            self._arm(min(PERIOD, max(1.0, self.window / 2)))

    def drop(self, sock: Any) -> None:
        """It is closed."""
        self._marks.pop(sock, None)
        self.own_rates.pop(sock, None)

    def forget(self, sock: Any) -> None:
        """Measure it from now on."""
        self._marks.pop(sock, None)

    def _arm(self, ms: float) -> None:
        self.idle = False
        self._timer = _timers.Timer(_runtime.current(), self._look, ms, (), False).unref()

    def _look(self) -> None:
        self._timer = None
        now = _runtime.current().clock()
        left = self._round
        if not left:
            left.extend(self._server._sockets)
        for _ in range(min(SLICE, len(left))):
            sock = left.pop()
            if sock._handle is not None:
                self._visit(sock, now)
        if left:
            self._arm(1.0)
            return
        self._finish()
        self.idle = self.watching
        if self._server._sockets:
            self.begin()
        else:
            # Nobody is left whose bytes could wait.
            self._server._set_full(False)

    def _visit(self, sock: Any, now: float) -> None:
        size = queued_bytes(sock)
        if size:
            self._total += size
            self._queues.append((size, sock))
        rate = self.own_rates.get(sock, self.min_rate)
        if not rate:
            self._marks.pop(sock, None)
            return
        handle = sock._handle
        received = handle.bytes_read
        mark = self._marks.get(sock)
        # Not while the program has stopped reading, or the peer is still to take an answer.
        if mark is None or not handle.reading or sock._w_len:
            self._marks[sock] = now, received
            return
        since, before = mark
        if (now - since) * 1000 < self.window:
            return
        if received - before < rate * (now - since):
            text = (
                f'the peer sent {received - before} bytes in {now - since:.1f} s, '
                f'less than {shown(rate).partition(" ")[2]} a second'
            )
            sock.destroy(state_error('ERR_SOCKET_READ_RATE', text))
        else:
            self._marks[sock] = now, received

    def _finish(self) -> None:
        """All were seen: is there too much in the queues?"""
        total, self._total = self._total, 0
        queues, self._queues = self._queues, []
        limit = self.max_queued
        if limit is None:
            self._server._set_full(False)
            return
        if total > limit:
            queues.sort(key=lambda entry: entry[0])
            while queues and total > limit:
                size, sock = queues.pop()
                total -= size
                if sock._handle is not None:
                    text = f'{size} bytes waited in this connection, the most of all'
                    sock.destroy(state_error('ERR_SOCKET_QUEUE_LIMIT', text))
            self._server._set_full(True)
        else:
            self._server._set_full(total >= limit)
