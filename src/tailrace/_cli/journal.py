"""What a server tells of its connections: lines, JSON objects in lines, or a live table."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, TextIO

from .._timers import clear_interval, set_interval
from .attempts import code_of, ms
from .console import LiveTable
from .places import shown

__all__ = ['Journal', 'who']

#: ms between two drawings of the live table.
EVERY = 500


def who(sock: Any) -> str:
    """The name of the peer."""
    return shown(sock.remote_address, sock.remote_port)


class _Entry:
    """A connection that is open. ``received`` and ``sent`` are seen from the server."""

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        self.name = who(sock)
        self.started = time.perf_counter()
        self.error: str | None = None

    @property
    def age(self) -> float:
        return time.perf_counter() - self.started


class Journal:
    """Tells on ``output``; with a ``table`` the connections are shown in that instead."""

    def __init__(self, output: TextIO, as_json: bool, table: LiveTable | None = None) -> None:
        #: Set when whatever read the lines has closed its end.
        self.no_reader = asyncio.Event()
        self._output = output
        self._json = as_json
        self._table = table
        self._open: dict[Any, _Entry] = {}
        self._where = ''
        self._total = self._refused = self._received = self._sent = 0
        self._timer = None if table is None else set_interval(self._draw, EVERY).unref()

    def listening(self, place: str) -> None:
        """The server listens."""
        self._where = place
        self._tell('listening', f'listening on {place}', address=place)
        self._draw()

    def opened(self, sock: Any) -> None:
        """A connection; from now on its end is told too."""
        entry = self._open[sock] = _Entry(sock)
        self._total += 1
        sock.on('close', lambda: self._closed(entry))
        self._tell('open', f'{entry.name}: open', peer=entry.name)

    def failed(self, sock: Any, error: BaseException) -> None:
        """Why a connection is about to be closed."""
        entry = self._open.get(sock)
        if entry is not None and entry.error is None:
            entry.error = code_of(error)

    def refused(self, name: str, reason: str) -> None:
        """A connection that never got through."""
        self._refused += 1
        self._tell('refused', f'{name}: refused, {reason}', peer=name, reason=reason)

    def _closed(self, entry: _Entry) -> None:
        sock = entry.sock
        del self._open[sock]
        received, sent = sock.bytes_read, sock.bytes_written
        self._received += received
        self._sent += sent
        why = '' if entry.error is None else f', {entry.error}'
        self._tell(
            'close',
            f'{entry.name}: closed after {ms(entry.age)}, received {received} bytes, '
            f'sent {sent}{why}',
            peer=entry.name,
            received=received,
            sent=sent,
            ms=round(entry.age * 1000, 3),
            error=entry.error,
        )

    def _tell(self, event: str, line: str, **data: Any) -> None:
        if self._table is not None:
            return
        if self._json:
            line = json.dumps({'event': event, 'time': round(time.time(), 3), **data})
        try:
            print(line, file=self._output, flush=True)
        except BrokenPipeError:
            # Not here: it would count as the failure of the connection that is told of.
            self.no_reader.set()

    def _draw(self) -> None:
        table = self._table
        if table is None:
            return
        entries = list(self._open.values())
        rows = [
            (one.name, ms(one.age), _size(one.sock.bytes_read), _size(one.sock.bytes_written))
            for one in entries[-table.room :]
        ]
        received = self._received + sum(one.sock.bytes_read for one in entries)
        sent = self._sent + sum(one.sock.bytes_written for one in entries)
        hidden = len(entries) - len(rows)
        table.draw(
            rows,
            f'{self._where}: {len(entries)} open'
            + (f' ({hidden} not shown)' if hidden else '')
            + f', {self._total} in all, {self._refused} refused, '
            f'received {_size(received)}, sent {_size(sent)}',
        )

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._table is not None:
            clear_interval(self._timer)
            self._draw()
            self._table.close()


def _size(count: float) -> str:
    if count < 1000:
        return f'{count:.0f} B'
    for unit in ('kB', 'MB'):
        count /= 1000
        if count < 1000:
            return f'{count:.1f} {unit}'
    return f'{count / 1000:.1f} GB'
