"""Connections of a pool that nobody uses: kept while they are good, without keeping the program.

An event on such a connection (its end, or data) has nobody to handle it, so the connection is
closed; so it is when a time limit is reached. This file knows neither who waits for a connection
nor how one is made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from .. import _runtime, _timers
from .._net.failing import is_ours
from .._net.socket import Socket
from .._stream.state import R_ENDED

__all__ = ['Idle', 'Kept', 'is_clean']

#: What must not happen on a connection that nobody uses.
_UNREST: tuple[Any, ...] = ('close', 'end', 'readable')


class Kept:
    """What the pool knows of one connection."""

    __slots__ = ('born', 'idle_since', 'unrest')

    def __init__(self, born: float) -> None:
        self.born = born
        self.idle_since = born
        self.unrest: Any = None


class Idle:
    """The idle connections; ``lost(sock, reason)`` gets those that were not good for ever.

    Limits in ms; None: none.
    """

    __slots__ = ('_kept', '_lost', '_max_age', '_max_idle', '_socks', '_timer')

    def __init__(
        self,
        kept: dict[Socket, Kept],
        max_idle: float | None,
        max_age: float | None,
        lost: Callable[[Socket, str], object],
    ) -> None:
        self._kept = kept
        self._max_idle = max_idle
        self._max_age = max_age
        self._lost = lost
        #: Most recently used last.
        self._socks: deque[Socket] = deque()
        self._timer: Any = None

    def __len__(self) -> int:
        return len(self._socks)

    def add(self, sock: Socket) -> None:
        """Keep it until :meth:`take`, or until it is lost."""
        kept = self._kept[sock]
        self._socks.append(sock)
        sock.unref()

        def unrest() -> None:
            if self.remove(sock):
                self._lost(sock, 'broken')

        kept.unrest = unrest
        for event in _UNREST:
            sock.on(event, unrest)
        self._arm()

    def take(self) -> Socket:
        """The one that was used last; it is no longer idle."""
        sock = self._socks.pop()
        self._calm(sock)
        return sock

    def remove(self, sock: Socket) -> bool:
        """It is no longer idle; False if it was not."""
        if sock not in self._socks:
            return False
        self._socks.remove(sock)
        self._calm(sock)
        return True

    def _calm(self, sock: Socket) -> None:
        kept = self._kept.get(sock)
        if kept is not None and kept.unrest is not None:
            for event in _UNREST:
                sock.off(event, kept.unrest)
            kept.unrest = None

    # -- time -------------------------------------------------------------------------------------

    def outlived(self, sock: Socket, now: float) -> str:
        """The limit that it has reached, ``'age'`` or ``'idle'``; empty if none."""
        kept = self._kept[sock]
        if self.is_old(sock, now):
            return 'age'
        stale = self._max_idle is not None and (now - kept.idle_since) * 1000 >= self._max_idle
        return 'idle' if stale else ''

    def is_old(self, sock: Socket, now: float) -> bool:
        """Whether it has reached ``max_age``, which counts also while it is used."""
        return self._max_age is not None and (now - self._kept[sock].born) * 1000 >= self._max_age

    def _arm(self) -> None:
        """One timer for the idle connection that is due first."""
        self.stop()
        due: float | None = None
        for sock in self._socks:
            kept = self._kept[sock]
            for since, limit in ((kept.idle_since, self._max_idle), (kept.born, self._max_age)):
                if limit is not None and (due is None or since + limit / 1000 < due):
                    due = since + limit / 1000
        if due is not None:
            runtime = _runtime.current()
            wait = max(1, (due - runtime.clock()) * 1000)
            self._timer = _timers.Timer(runtime, self._prune, wait, (), False).unref()

    def _prune(self) -> None:
        self._timer = None
        now = _runtime.current().clock() + 0.0005
        for sock in list(self._socks):
            reason = self.outlived(sock, now)
            if reason and self.remove(sock):
                self._lost(sock, reason)
        self._arm()

    def stop(self) -> None:
        """No timer any more."""
        if self._timer is not None:
            self._timer.close()
            self._timer = None


def is_clean(sock: Socket) -> bool:
    """Whether it is as it was when it was made: nothing unread, unwritten or listened for."""
    return (
        not sock.destroyed
        and not sock._r & R_ENDED
        and sock.writable
        and not sock.readable_length
        and not sock.writable_length
        and not any(map(_is_users, sock.listeners('data')))
        and not any(map(_is_users, sock.listeners('readable')))
    )


def _is_users(listener: Callable[..., Any]) -> bool:
    # The reading helpers leave theirs until the next tick.
    return not is_ours(listener)
