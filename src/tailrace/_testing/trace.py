"""A recorder of events: what happened, in which order, to whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .. import _runtime
from .._net.server import Server
from .._stream.readable import Readable
from .._stream.writable import Writable
from ..events import EventEmitter, error_monitor

__all__ = ['Event', 'Trace']

_READ = ('end', 'pause', 'resume')
_WRITE = ('drain', 'finish', 'pipe', 'unpipe')
_SOCKET = (
    *('lookup', 'connectionAttempt', 'connectionAttemptFailed', 'connectionAttemptTimeout'),
    *('connect', 'ready', 'timeout'),
)
_SERVER = ('listening', 'connection', 'drop', 'reject')


class Event(NamedTuple):
    """One event: the ``label`` of its emitter, its ``name`` and its ``args``."""

    label: str
    name: str
    args: tuple[Any, ...]


class Trace:
    """Records the events of emitters, in the order in which they come.

    ``Trace(sock)``, ``Trace(client=sock, server=server)``, or :meth:`watch` later. Listening for
    some events changes what a stream does ('data' makes it flow, 'readable' stops that), so these
    are recorded only if they are named: ``trace.watch(sock, 'data', 'end', label='client')``.
    Errors are seen without being handled, as ``error_monitor`` does.
    """

    def __init__(self, *emitters: EventEmitter, **labelled: EventEmitter) -> None:
        #: What was recorded.
        self.events: list[Event] = []
        self._added: list[tuple[EventEmitter, Any, Callable[..., Any]]] = []
        self._waiting: list[Any] = []
        for emitter in emitters:
            self.watch(emitter)
        for label, emitter in labelled.items():
            self.watch(emitter, label=label)

    def watch(self, emitter: EventEmitter, *events: str, label: str = '') -> Trace:
        """Record ``events`` of ``emitter`` from now on; returns the trace.

        Without names: for a stream, socket or server all that its class documents but 'data' and
        'readable'; for another emitter 'error' and 'close' only.
        """
        for name in events or _default_events(emitter):
            self._listen(emitter, name, label)
        return self

    def _listen(self, emitter: EventEmitter, name: str, label: str) -> None:
        def note(*args: Any) -> None:
            self.events.append(Event(label, name, args))
            waiting, self._waiting = self._waiting, []
            for future in waiting:
                if not future.done():
                    future.set_result(None)

        event: Any = error_monitor if name == 'error' else name
        emitter.on(event, note)
        self._added.append((emitter, event, note))

    @property
    def names(self) -> list[str]:
        """The names of the events, with ``label:`` before them where there are labels."""
        return [f'{e.label}:{e.name}' if e.label else e.name for e in self.events]

    def count(self, name: str) -> int:
        """How often the event ``name`` (or ``label:name``) came."""
        return self.names.count(name)

    def args(self, name: str) -> list[tuple[Any, ...]]:
        """The arguments of each event ``name`` (or ``label:name``)."""
        both = zip(self.names, self.events, strict=True)
        return [event.args for known, event in both if known == name]

    async def wait_for(self, name: str, count: int = 1) -> None:
        """Wait until the event ``name`` (or ``label:name``) has come ``count`` times in all."""
        while self.count(name) < count:
            future = _runtime.new_future()
            self._waiting.append(future)
            await future

    def stop(self) -> None:
        """Record nothing more."""
        for emitter, event, note in self._added:
            emitter.off(event, note)
        self._added.clear()

    def __repr__(self) -> str:
        return f'<Trace {" ".join(self.names)}>'


def _default_events(emitter: EventEmitter) -> list[str]:
    names: list[str] = []
    if isinstance(emitter, Server):
        names += _SERVER
    if hasattr(emitter, 'ready_state'):
        names += _SOCKET
    if isinstance(emitter, Readable):
        names += _READ
    if isinstance(emitter, Writable):
        names += _WRITE
    return [*names, 'error', 'close']
