"""Trace channels: a small publish and subscribe by name.

Published here, under Node's names:

* ``net.client.socket`` {socket}: a client socket was made by ``connect()``, which starts now;
* ``net.server.socket`` {socket}: a connection was accepted, before 'connection';
* ``tracing:net.server.listen:asyncStart`` {server, options}: ``listen()`` was called;
* ``tracing:net.server.listen:asyncEnd`` {server}: it listens, before 'listening';
* ``tracing:net.server.listen:error`` {server, error}: it does not, before 'error'.

And under names of our own, in the same manner:

* ``tracing:net.client.connect:asyncStart`` {socket, options}: a socket begins to connect;
* ``tracing:net.client.connect:asyncEnd`` {socket}: it is connected, before 'connect';
* ``tracing:net.client.connect:error`` {socket, error}: it is not, before 'error';
* ``net.socket.close`` {socket, error}: a socket that was connected or connecting is closed, before
  'close'; ``error`` is None if none has ended it;
* ``net.server.drop`` {server, reason, data}: a connection was turned away, before 'drop' or
  'reject'; ``data`` has its addresses, None without any. Not of one that ended before its header
  of the PROXY protocol was complete, as the checks of balancers do.

A channel nobody subscribes to costs one test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import _runtime
from .._listeners import adapt
from .._names import node_names
from .._tally import observers
from .._validate import bad_type, check_callable

__all__ = ['Channel', 'channel', 'has_subscribers', 'subscribe', 'unsubscribe']

_channels: dict[str, Channel] = {}


@node_names
class Channel:
    """One named channel; made by :func:`channel`."""

    __slots__ = ('_changed', 'name', 'subscribers')

    def __init__(self, name: str) -> None:
        #: Called when somebody was added or removed, for who publishes from afar.
        self._changed: Callable[[], object] | None = None
        self.name: str = name
        #: What was subscribed, and what is called for it.
        self.subscribers: tuple[tuple[Callable[..., Any], Callable[..., Any]], ...] = ()

    @property
    def has_subscribers(self) -> bool:
        """Whether anybody listens."""
        return bool(self.subscribers)

    def subscribe(self, fn: Callable[..., Any]) -> None:
        """Call ``fn(message, name)`` for every message; it may declare fewer arguments.

        Raises ERR_INVALID_ARG_TYPE.
        """
        call = adapt(check_callable('subscription', fn))
        self.subscribers = (*self.subscribers, (fn, call))
        if self._changed is not None:
            self._changed()

    def unsubscribe(self, fn: Callable[..., Any]) -> bool:
        """Stop calling ``fn``; whether it was subscribed."""
        for one in self.subscribers:
            if one[0] == fn:
                rest = list(self.subscribers)
                rest.remove(one)
                self.subscribers = tuple(rest)
                if self._changed is not None:
                    self._changed()
                return True
        return False

    def publish(self, message: Any) -> None:
        """Give ``message`` to all subscribers; what one of them raises is an uncaught error."""
        for _, call in self.subscribers:
            try:
                call(message, self.name)
            except Exception as error:
                _runtime.current().push(_raise, (error,))

    def __repr__(self) -> str:
        return f'<Channel {self.name!r}, {len(self.subscribers)} subscribers>'

    if TYPE_CHECKING:  # Node's spellings; see node_names
        hasSubscribers = has_subscribers


def _raise(error: Exception) -> None:
    raise error


def channel(name: str) -> Channel:
    """The channel of that name, always the same object. Raises ERR_INVALID_ARG_TYPE."""
    if not isinstance(name, str):
        bad_type('name', 'a string', name)
    found = _channels.get(name)
    if found is None:
        found = _channels[name] = Channel(name)
    return found


def subscribe(name: str, fn: Callable[..., Any]) -> None:
    """Call ``fn(message, name)`` for every message of the channel ``name``."""
    channel(name).subscribe(fn)


def unsubscribe(name: str, fn: Callable[..., Any]) -> bool:
    """Undo :func:`subscribe`; whether ``fn`` was subscribed."""
    return channel(name).unsubscribe(fn)


def has_subscribers(name: str) -> bool:
    """Whether anybody listens to the channel ``name``."""
    return name in _channels and _channels[name].has_subscribers


client_socket = channel('net.client.socket')
server_socket = channel('net.server.socket')
listen_start = channel('tracing:net.server.listen:asyncStart')
listen_end = channel('tracing:net.server.listen:asyncEnd')
listen_error = channel('tracing:net.server.listen:error')
connect_start = channel('tracing:net.client.connect:asyncStart')
connect_end = channel('tracing:net.client.connect:asyncEnd')
connect_error = channel('tracing:net.client.connect:error')
socket_close = channel('net.socket.close')
server_drop = channel('net.server.drop')


def _publish_close(sock: Any, error: BaseException | None) -> None:
    socket_close.publish({'socket': sock, 'error': error})


def _close_changed() -> None:
    observers.closed = _publish_close if socket_close.subscribers else None


socket_close._changed = _close_changed
