"""Connections as spans of OpenTelemetry, by the semantic conventions of network attributes.

opentelemetry-api is imported here and nowhere else; without an SDK it does nothing. This file
refuses to know how connections are made: it listens to the channels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry import context, trace
from opentelemetry.trace import SpanKind, StatusCode

from .._compiled import version
from .._net import channels
from .._tally import code_name

__all__ = ['Instrumentation', 'instrument']


class Instrumentation:
    """What :func:`instrument` has begun."""

    def __init__(self, tracer_provider: Any) -> None:
        self._tracer = trace.get_tracer('tailrace', version(), tracer_provider)
        #: Sockets that connect, their spans and the context these were begun in.
        self._connecting: dict[Any, tuple[Any, Any]] = {}
        self._open: dict[Any, Any] = {}
        self._heard: tuple[tuple[channels.Channel, Callable[[Any], None]], ...] = (
            (channels.connect_start, self._starts),
            (channels.connect_end, self._connected),
            (channels.connect_error, self._failed),
            (channels.server_socket, self._accepted),
            (channels.socket_close, self._closed),
        )
        for channel, listener in self._heard:
            channel.subscribe(listener)

    def close(self) -> None:
        """Begin no more spans, and end those that are open; calling it again changes nothing."""
        for channel, listener in self._heard:
            channel.unsubscribe(listener)
        for span, _ in self._connecting.values():
            span.end()
        for span in self._open.values():
            span.end()
        self._connecting.clear()
        self._open.clear()

    def __enter__(self) -> Instrumentation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _starts(self, message: Any) -> None:
        sock, options = message['socket'], message['options']
        attributes: dict[str, Any] = {}
        if options.get('path') is not None:
            attributes['network.transport'] = 'unix'
            attributes['server.address'] = str(options['path'])
        else:
            attributes['network.transport'] = 'tcp'
            attributes['server.address'] = str(options.get('host') or 'localhost')
            port = str(options.get('port'))
            if port.isdecimal():
                attributes['server.port'] = int(port)
        here = context.get_current()
        span = self._tracer.start_span('connect', here, SpanKind.CLIENT, attributes)
        self._connecting[sock] = span, here

    def _connected(self, message: Any) -> None:
        sock = message['socket']
        found = self._connecting.pop(sock, None)
        attributes = _ends(sock)
        here = None
        if found is not None:
            span, here = found
            span.set_attributes(attributes)
            span.end()
        self._open[sock] = self._tracer.start_span('connection', here, SpanKind.CLIENT, attributes)

    def _failed(self, message: Any) -> None:
        found = self._connecting.pop(message['socket'], None)
        if found is not None:
            _fail(found[0], message['error'])
            found[0].end()

    def _accepted(self, message: Any) -> None:
        sock = message['socket']
        attributes = _ends(sock)
        if 'network.peer.address' in attributes:
            attributes['client.address'] = attributes['network.peer.address']
            attributes['client.port'] = attributes['network.peer.port']
        self._open[sock] = self._tracer.start_span(
            'connection', context.Context(), SpanKind.SERVER, attributes
        )

    def _closed(self, message: Any) -> None:
        sock, error = message['socket'], message['error']
        found = self._connecting.pop(sock, None)
        if found is not None:
            span = found[0]
            span.set_attribute('error.type', 'aborted' if error is None else code_name(error))
            span.set_status(StatusCode.ERROR, 'destroyed while it was connecting')
            span.end()
        span = self._open.pop(sock, None)
        if span is None:
            return
        span.set_attribute('tailrace.bytes_read', sock.bytes_read)
        span.set_attribute('tailrace.bytes_written', sock.bytes_written)
        if error is not None:
            _fail(span, error)
        span.end()


def _fail(span: Any, error: BaseException) -> None:
    span.set_attribute('error.type', code_name(error))
    span.record_exception(error)
    span.set_status(StatusCode.ERROR, str(error))


def _ends(sock: Any) -> dict[str, Any]:
    attributes: dict[str, Any] = {'tailrace.connection.id': sock.connection_id}
    peer, local = sock._name(True), sock._name(False)
    for side, name in (('peer', peer), ('local', local)):
        if isinstance(name, tuple):
            attributes[f'network.{side}.address'] = name[0]
            attributes[f'network.{side}.port'] = name[1]
    if isinstance(peer, tuple):
        attributes['network.transport'] = 'tcp'
        attributes['network.type'] = 'ipv6' if peer[2] == 'IPv6' else 'ipv4'
    else:
        attributes['network.transport'] = 'unix'
    return attributes


def instrument(tracer_provider: Any = None) -> Instrumentation:
    """Make spans of all connections of the process, until :meth:`Instrumentation.close`.

    'connect' (kind CLIENT) from ``connect()`` to the connection or the error; 'connection' (CLIENT
    or SERVER) from then, or from the accept, to the close. Attributes: ``network.transport``,
    ``network.type``, ``network.peer.address``, ``network.peer.port``, the same of ``local``,
    ``server.address``, ``server.port``, ``client.address``, ``client.port``, ``error.type`` (the
    code), and ``tailrace.connection.id``, ``tailrace.bytes_read``, ``tailrace.bytes_written``.
    ``tracer_provider`` is one of OpenTelemetry's (default: the global one).
    """
    return Instrumentation(tracer_provider)
