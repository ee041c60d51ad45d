"""What happens to connections, as log records and as traces: listeners of the channels.

Nothing of this runs, and nothing is kept for it, until somebody asks. This file refuses to know who
publishes.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._tally import code_name
from .._validate import bad_type, check_int
from . import channels
from .failing import logger, place_of

if TYPE_CHECKING:
    import logging

__all__ = ['ConnectionLog', 'log_connections', 'trace']

_CHANNELS = (
    channels.client_socket,
    channels.server_socket,
    channels.listen_start,
    channels.listen_end,
    channels.listen_error,
    channels.connect_start,
    channels.connect_end,
    channels.connect_error,
    channels.socket_close,
    channels.server_drop,
)


def _place(name: Any) -> str | None:
    if name is None:
        return None
    host, port, family = name
    return f'[{host}]:{port}' if family == 'IPv6' else f'{host}:{port}'


class ConnectionLog:
    """What :func:`log_connections` has begun."""

    def __init__(self, log: logging.Logger, level: int) -> None:
        self._log = log
        self._level = level
        #: Since when a connection is open (time.monotonic), whose it is, and where it leads.
        self._open: dict[Any, tuple[float, str, str | None, str | None]] = {}
        self._heard: tuple[tuple[channels.Channel, Callable[[Any], None]], ...] = (
            (channels.server_socket, self._accepted),
            (channels.connect_start, self._connecting),
            (channels.connect_end, self._connected),
            (channels.connect_error, self._failed),
            (channels.socket_close, self._closed),
            (channels.server_drop, self._dropped),
        )
        for channel, listener in self._heard:
            channel.subscribe(listener)

    def close(self) -> None:
        """Write no more records; calling it again changes nothing."""
        for channel, listener in self._heard:
            channel.unsubscribe(listener)
        self._open.clear()

    def __enter__(self) -> ConnectionLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, event: str, text: str, **fields: Any) -> None:
        if self._log.isEnabledFor(self._level):
            self._log.log(self._level, text, extra={'event': event, **fields})

    def _opened(self, sock: Any, event: str, side: str, verb: str) -> None:
        peer, local = _place(sock._name(True)), _place(sock._name(False))
        self._open[sock] = time.monotonic(), side, peer, local
        number = sock.connection_id
        self._write(
            event,
            f'connection {number} {verb} {peer or "a Unix socket"}',
            connection=number,
            side=side,
            peer=peer,
            local=local,
        )

    def _accepted(self, message: Any) -> None:
        self._opened(message['socket'], 'accept', 'server', 'accepted from')

    def _connecting(self, message: Any) -> None:
        sock, options = message['socket'], message['options']
        path = options.get('path')
        host = options.get('host') or 'localhost'
        target = str(path) if path is not None else f'{host}:{options.get("port")}'
        number = sock.connection_id
        self._write(
            'connect_start',
            f'connection {number} connects to {target}',
            connection=number,
            side='client',
            target=target,
        )

    def _connected(self, message: Any) -> None:
        self._opened(message['socket'], 'connect', 'client', 'connected to')

    def _failed(self, message: Any) -> None:
        number, error = message['socket'].connection_id, message['error']
        self._write(
            'connect_error',
            f'connection {number} failed: {error}',
            connection=number,
            side='client',
            code=code_name(error),
        )

    def _closed(self, message: Any) -> None:
        sock, error = message['socket'], message['error']
        known = self._open.pop(sock, None)
        if known is None:
            return  # it never was open, or was before this began
        since, side, peer, local = known
        seconds = time.monotonic() - since
        read, written = sock.bytes_read, sock.bytes_written
        number = sock.connection_id
        why = '' if error is None else f', {code_name(error)}'
        self._write(
            'close',
            f'connection {number} closed after {seconds:.3f} s, '
            f'{read} bytes read, {written} written{why}',
            connection=number,
            side=side,
            peer=peer,
            local=local,
            seconds=round(seconds, 6),
            bytes_read=read,
            bytes_written=written,
            code=None if error is None else code_name(error),
        )

    def _dropped(self, message: Any) -> None:
        data, reason = message['data'], message['reason']
        host = None if data is None else data['remoteAddress']
        self._write(
            'drop',
            f'a connection from {host or "a peer"} to {place_of(message["server"])} '
            f'was turned away: {reason}',
            reason=reason,
            peer=host,
            side='server',
        )


def log_connections(log: logging.Logger | None = None, level: int = 20) -> ConnectionLog:
    """Write a log record for each connection that is opened, closed, turned away or fails.

    Of servers and clients, in the whole process, until :meth:`ConnectionLog.close`; it is a context
    manager too. ``log`` is a logger (default ``logging.getLogger('tailrace')``), ``level`` that of
    the records (default 20, INFO). A record has the fields ``event`` ('accept', 'connect_start',
    'connect', 'connect_error', 'close', 'drop'), ``connection`` (``sock.connection_id``), ``side``
    ('server', 'client'), ``peer``, ``local``, and where they apply ``code``, ``seconds``,
    ``bytes_read``, ``bytes_written``, ``reason``, ``target``. Raises ERR_INVALID_ARG_TYPE,
    ERR_OUT_OF_RANGE.
    """
    if log is not None and not hasattr(log, 'isEnabledFor'):
        bad_type('log', 'a logger', log)
    return ConnectionLog(logger() if log is None else log, check_int('level', level, 0, 2**31 - 1))


def trace(write: Callable[[str], object]) -> None:
    """Write a line for everything that is published: ``NET 4711: ...``, as NODE_DEBUG=net does."""
    pid = os.getpid()

    def told(message: Any, name: str) -> None:
        what = ' '.join(f'{key}={value!r}' for key, value in message.items() if value is not None)
        sock = message.get('socket')
        number = '' if sock is None else f' #{sock.connection_id}'
        write(f'NET {pid}:{number} {name} {what}\n')

    for channel in _CHANNELS:
        channel.subscribe(told)


def trace_if_asked() -> None:
    """TAILRACE_DEBUG=net in the environment: traces to stderr, as NODE_DEBUG=net does."""
    wanted = os.environ.get('TAILRACE_DEBUG', '')
    if 'net' in wanted.replace(',', ' ').lower().split() and not _traced:
        _traced.append(True)
        trace(lambda line: sys.stderr.write(line))


_traced: list[bool] = []
