"""What has been counted of connections that are closed, and who wants to hear that one is.

A connection counts its own bytes while it is open; here they are added when it is closed, so
counting costs nothing until then. This file refuses to know sockets and servers: it is given
numbers, and keeps weak references to what others call a client.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any, Final

__all__ = ['Clients', 'Observers', 'Tally', 'clients', 'code_name', 'observers']


def code_name(error: BaseException) -> str:
    """How an error is counted: by its code, or else its class."""
    code: Any = getattr(error, 'code', None)
    return code if isinstance(code, str) else type(error).__name__


class Tally:
    """Totals of connections that are closed."""

    __slots__ = ('bytes_read', 'bytes_written', 'closed', 'errors', 'timeouts')

    def __init__(self) -> None:
        self.closed: int = 0
        self.bytes_read: int = 0
        self.bytes_written: int = 0
        #: Idle timeouts ('timeout'), also of connections that are open.
        self.timeouts: int = 0
        self.errors: dict[str, int] = {}

    def add(self, read: int, written: int, error: BaseException | None) -> None:
        """A connection is closed."""
        self.closed += 1
        self.bytes_read += read
        self.bytes_written += written
        if error is not None:
            self.failed(error)

    def failed(self, error: BaseException) -> None:
        """Count an error."""
        name = code_name(error)
        self.errors[name] = self.errors.get(name, 0) + 1


class Clients:
    """The connections of the process that no server has accepted, in all threads."""

    __slots__ = ('attempts', 'connected', 'failed', 'lock', 'sockets', 'tally')

    def __init__(self) -> None:
        self.lock: Any = threading.Lock()
        self.attempts: int = 0
        self.connected: int = 0
        self.failed: int = 0
        self.tally = Tally()
        #: Those that are open.
        self.sockets: Any = weakref.WeakSet()

    def starts(self) -> None:
        """One begins to connect."""
        with self.lock:
            self.attempts += 1

    def opened(self, sock: Any) -> None:
        """One is connected."""
        with self.lock:
            self.connected += 1
            self.sockets.add(sock)

    def gave_up(self, error: BaseException) -> None:
        """One could not be connected."""
        with self.lock:
            self.failed += 1
            self.tally.failed(error)

    def closed(self, sock: Any, read: int, written: int, error: BaseException | None) -> None:
        """One is closed, if it was one."""
        with self.lock:
            if sock in self.sockets:
                self.sockets.discard(sock)
                self.tally.add(read, written, error)

    def open(self) -> list[Any]:
        """Those that are open now."""
        with self.lock:
            return list(self.sockets)


class Observers:
    """Whom to tell; None costs one test."""

    __slots__ = ('closed',)

    def __init__(self) -> None:
        #: ``closed(socket, error_or_None)``: a socket that was connected or connecting is closed.
        self.closed: Any = None


clients: Final = Clients()
observers: Final = Observers()
