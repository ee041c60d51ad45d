"""``Guard``: what a server with limits does for each connection, and the pace of accepting.

Compiled, because it is passed by every connection of such a server. It refuses to know what a limit
means (``limiter.py``, ``patrol.py``) and how a server calls it (``guarded.py``).
"""

from __future__ import annotations

from typing import Any, Final

from .. import _runtime, _timers
from .._validate import MAX_TIMEOUT
from .limiter import Limiter, Rate
from .patrol import Patrol

__all__ = ['RATE', 'Guard']

#: The pace, as a reason for which accepting is held back.
RATE: Final = 2


def _now() -> float:
    return _runtime.current().clock()


class Guard:
    """The limits of one server, and what is counted for them."""

    __slots__ = ('_next', '_peers', '_server', '_timer', 'limiter', 'pace', 'patrol')

    def __init__(self, server: Any) -> None:
        self._server: Any = server
        self.limiter = Limiter(_now)
        # Any: interpreted, so that a test can take its place.
        self.patrol: Any = Patrol(server)
        self.pace: Rate | None = None
        #: When the next connection is due at :attr:`pace`.
        self._next = 0.0
        self._timer: Any = None
        #: Open connections that count, and as whose: address and network.
        self._peers: dict[Any, tuple[bytes, bytes]] = {}

    def recount(self) -> None:
        """A limit on counts was set or taken away: count the connections that are open."""
        limiter = self.limiter
        limiter.forget()
        self._peers.clear()
        if limiter.per_address is None and limiter.per_network is None:
            return
        for sock in list(self._server._sockets):
            address: str | None = sock.remote_address
            if address is not None:
                limiter.count(address)
                self._peers[sock] = (limiter.key, limiter.network)

    def arrived(self, handle: Any) -> str | None:
        """A connection may stay: None; or the limit that forbids it."""
        key: bytes | None = None
        if self.limiter.about_peers:
            # Of a Unix socket there is one if a proxy has told it.
            key = handle.get_peer_key()
            if key is None and handle.kind != 'pipe':
                # Reset already, and the kernel knows no name any more. Nothing can be lost, and
                # nobody gets by the limits in this way.
                return 'peerGone'
        now: float = handle.runtime.clock()
        return self.limiter.admit_key(key, now)

    def keep(self, sock: Any) -> None:
        """``sock`` is the connection that was admitted last."""
        limiter = self.limiter
        if limiter.key and (limiter.per_address is not None or limiter.per_network is not None):
            self._peers[sock] = (limiter.key, limiter.network)
        if self.patrol.idle:
            self.patrol.begin()

    def undo(self) -> None:
        """No socket could be made of the connection that was admitted last."""
        self.limiter.release_key(self.limiter.key, self.limiter.network)

    def closed(self, sock: Any) -> None:
        """The connection is closed, or belongs to another process."""
        peer = self._peers.pop(sock, None)
        if peer is not None:
            self.limiter.release_key(peer[0], peer[1])
        if self.patrol.watching:
            self.patrol.drop(sock)

    # -- the pace of accepting --------------------------------------------------------------------

    def accepted(self) -> None:
        """A connection was accepted: rest if that was the last one for now."""
        pace = self.pace
        if pace is None:
            return
        now = _now()
        self._next = max(now, self._next) + pace.interval
        wait = self._next - now - pace.slack
        # Less than the clock can tell: the next one is due now.
        if wait > 1e-6:
            self._server._hold_back(RATE, True)
            if self._timer is not None:
                self._timer.close()
            # A tiny rate makes it longer than a timer can wait, or infinite.
            ms = min(max(1.0, wait * 1000), float(MAX_TIMEOUT))
            self._timer = _timers.Timer(_runtime.current(), self.rested, ms, (), False).unref()

    def rested(self) -> None:
        """Go on accepting."""
        if self._timer is not None:
            self._timer.close()
            self._timer = None
        self._server._hold_back(RATE, False)
