"""The way out of a connection that its program is done with.

An accepted socket whose coroutine handler has returned, or waits in ``wait_closed()``, has nobody
left who reads, ends or closes it. What was written goes out, then a FIN; what comes in is read and
dropped (bytes that are unread at close(2) make the kernel send a reset, which takes written data
from the peer); the peer's FIN closes the connection, and if it does not come, time does. This file
refuses to know who calls and why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from .. import _runtime, _timers
from .._stream.state import R_ENDED, R_FLOW, W_ENDING, W_FINISHED

if TYPE_CHECKING:
    from .endpoint import Endpoint

__all__ = ['LINGER', 'STALL', 'Leavers', 'Patience', 'has_ended', 'has_reader', 'is_left']

#: ms: the default of ``Server.linger``.
LINGER: Final = 2000
#: ms: a peer that takes nothing of what was written for so long is given up.
STALL: Final = 30_000
#: ms: how long ``wait_closed()`` leaves unread data to a reader that was there before.
PATIENCE: Final = 1000

#: Listening for these alone lets nothing happen on a socket.
_IDLE: Final = frozenset({'error', 'close', 'serverClosing'})


def has_ended(sock: Endpoint) -> bool:
    """Whether the program or the peer has ended the connection."""
    return bool(sock._w & W_ENDING or sock._r & R_ENDED)


def _events(sock: Endpoint) -> set[Any]:
    """What somebody listens for: not the socket itself, nor a reading helper between two calls."""
    reader = sock._framing
    if reader is not None and not reader.busy:
        reader._leave()
    found: set[Any] = set(sock._events)
    if sock.listener_count('end') == 1:
        found.discard('end')  # its own
    return found


def has_reader(sock: Endpoint) -> bool:
    """Whether somebody takes what comes in, or flowing drops it."""
    return bool(sock._r & R_FLOW or not _events(sock) <= _IDLE)


def is_left(sock: Endpoint) -> bool:
    """Whether nothing was left behind by which the connection goes on."""
    found = _events(sock)
    if not found <= _IDLE:
        return False
    # Flowing, and told when it closes: something else writes to it (a broadcast).
    return has_ended(sock) or not (sock._r & R_FLOW and 'close' in found)


class Lingering(Protocol):
    """A server, as far as this file knows it."""

    #: ms
    linger: int | float


class Leavers:
    """The connections of one server that are on their way out, and the time they have."""

    __slots__ = ('_left', '_server', '_timer')

    def __init__(self, server: Lingering) -> None:
        self._server = server
        #: In the order of their deadlines: (deadline, bytes still queued, since when so many).
        self._left: dict[Endpoint, tuple[float, int, float]] = {}
        self._timer: Any = None

    def add(self, sock: Endpoint) -> None:
        """Finish ``sock``; asking twice changes nothing."""
        if sock in self._left or sock.destroyed:
            return
        if not sock._w & W_ENDING:
            sock.end()
        sock.resume()
        self._wait(sock, -1, 0.0)

    def drop(self, sock: Endpoint) -> None:
        """It is closed."""
        self._left.pop(sock, None)

    def _wait(self, sock: Endpoint, queued: int, since: float) -> None:
        now = _runtime.current().clock()
        self._left[sock] = now + self._server.linger / 1000, queued, since or now
        if self._timer is None:
            self._arm()

    def _arm(self) -> None:
        runtime = _runtime.current()
        for deadline, _, _ in self._left.values():
            ms = max(1.0, (deadline - runtime.clock()) * 1000)
            self._timer = _timers.Timer(runtime, self._look, ms, (), False).unref()
            break

    def _look(self) -> None:
        self._timer = None
        now = _runtime.current().clock() + 0.0005
        for sock, (deadline, queued, since) in list(self._left.items()):
            if deadline > now:
                break
            del self._left[sock]
            self._expired(sock, queued, since, now)
        if self._timer is None:
            self._arm()

    def _expired(self, sock: Endpoint, queued: int, since: float, now: float) -> None:
        handle = sock._handle
        if handle is None:
            return
        if sock._w & W_FINISHED:
            if queued == 0:
                sock.destroy()
            else:  # the FIN went out meanwhile: the peer's time begins
                self._wait(sock, 0, now)
            return
        left = max(1, handle.write_queue_size + sock.writable_length)
        if left != queued:
            self._wait(sock, left, now)
        elif (now - since) * 1000 >= STALL:
            sock.destroy()
        else:
            self._wait(sock, left, since)


class Patience:
    """While a task waits in ``wait_closed()``: no unread data may keep an ended socket open.

    It is dropped once it has lain there for a while and nobody waits for it: another task may be
    between two reads.
    """

    __slots__ = ('_seen', '_sock', '_timer')

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        #: Bytes taken by readers when it was last looked at; -1: not to be compared.
        self._seen = sock.bytes_read - sock.readable_length
        runtime = _runtime.current()
        self._timer = _timers.Timer(runtime, self._look, PATIENCE, (), False).unref()

    def _look(self) -> None:
        sock = self._sock
        if sock.destroyed:
            return
        unread = sock.readable_length
        if sock._w & W_ENDING and unread and not has_reader(sock):
            if sock.bytes_read - unread == self._seen:
                sock.resume()
                return
            self._seen = sock.bytes_read - unread
        else:
            self._seen = -1
        self._timer.restart(PATIENCE)

    def stop(self) -> None:
        """Nobody waits any more."""
        self._timer.close()
