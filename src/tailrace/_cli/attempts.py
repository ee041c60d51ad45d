"""What happened while a socket was connecting: each lookup and attempt, how long it took, how it
ended. Made of the socket's events only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .places import Place, shown

__all__ = ['Attempt', 'History', 'code_of', 'ms']


def ms(seconds: float) -> str:
    """A time as text, in milliseconds or seconds."""
    return f'{seconds * 1000:.1f} ms' if seconds < 10 else f'{seconds:.1f} s'


def code_of(error: BaseException) -> str:
    """The code of an error, or its class."""
    code = getattr(error, 'code', None)
    return code if isinstance(code, str) else type(error).__name__


class Attempt:
    """One address. ``result`` is '' while it is tried, then 'connected' or a code."""

    def __init__(self, address: str, port: int | None) -> None:
        self.address = address
        self.port = port
        self.started = time.perf_counter()
        self.took = 0.0
        self.result = ''

    def end(self, result: str) -> None:
        self.result = result
        self.took = time.perf_counter() - self.started

    def __str__(self) -> str:
        return f'{shown(self.address, self.port)}: {self.result} after {ms(self.took)}'


class History:
    """Listens to a socket that is connecting; ``say`` gets a line for each thing that happens."""

    def __init__(
        self, sock: Any, place: Place, say: Callable[[str], object] = lambda line: None
    ) -> None:
        self.sock = sock
        self.place = place
        self.started = time.perf_counter()
        self.attempts: list[Attempt] = []
        #: Seconds until the first address was known; None without a lookup.
        self.lookup: float | None = None
        #: Seconds from the connection to the end of the handshake; None without TLS.
        self.handshake: float | None = None
        self._connected = self.started
        self._say = say
        sock.on('lookup', self._looked_up)
        sock.on('connectionAttempt', self._trying)
        sock.on('connectionAttemptFailed', self._failed)
        sock.on('connectionAttemptTimeout', self._timed_out)
        sock.on('connect', self._is_connected)
        sock.on('secureConnect', self._is_secure)

    def _looked_up(self, error: Any, address: Any, family: Any, host: str) -> None:
        first, self.lookup = self.lookup is None, time.perf_counter() - self.started
        found = code_of(error) if error is not None else address
        self._say(f'{host} is {found}' + (f' after {ms(self.lookup)}' if first else ''))

    def _trying(self, address: str, port: int | None, family: Any) -> None:
        self.attempts.append(Attempt(address, port))
        self._say(f'{shown(address, port)}: trying')

    def _attempt(self, address: str | None, port: int | None) -> Attempt:
        waiting = [one for one in self.attempts if not one.result]
        same = [one for one in waiting if one.address == address]
        if same or waiting:
            return (same or waiting)[0]
        # Some are not announced: blocked ones, and Unix paths that fail at once.
        made = Attempt(address or self.place.path or '', port)
        made.started = self.started
        self.attempts.append(made)
        return made

    def _end(self, attempt: Attempt, result: str) -> None:
        attempt.end(result)
        self._say(str(attempt))

    def _failed(self, address: str, port: int | None, family: Any, error: Any) -> None:
        self._end(self._attempt(address, port), code_of(error))

    def _timed_out(self, address: str, port: int | None, family: Any) -> None:
        self._end(self._attempt(address, port), 'no answer in time')

    def _is_connected(self) -> None:
        self._connected = time.perf_counter()
        attempt = self._attempt(self.sock.remote_address, self.sock.remote_port)
        self._end(attempt, 'connected')

    def _is_secure(self) -> None:
        self.handshake = time.perf_counter() - self._connected
        known = 'verified' if self.sock.authorized else self.sock.authorization_error
        self._say(
            f'{self.sock.get_protocol()}, {self.sock.get_cipher().name}, certificate {known}, '
            f'after {ms(self.handshake)}'
        )

    def __str__(self) -> str:
        """Where it stands."""
        tried = [f'{shown(one.address, one.port)} {one.result or "…"}' for one in self.attempts]
        words = ', '.join(tried) or 'looking it up'
        return f'connecting to {self.place}: {words} ({ms(time.perf_counter() - self.started)})'

    def failed(self, error: BaseException) -> None:
        """Connecting is over: end what was still being tried."""
        for attempt in self.attempts:
            if not attempt.result:
                self._end(attempt, code_of(error))
