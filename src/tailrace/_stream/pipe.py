"""``pipe`` and ``unpipe``: move chunks from one stream to another with backpressure.

ST-10 to ST-12. One :class:`Pipe` object for each pair; it alone knows the listeners it has added.
A source with several destinations waits for all that said False.
"""

from __future__ import annotations

from typing import Any

from .. import _runtime
from .._names import Record
from .._validate import bad_type
from .state import L_DESTROYED, L_ERROR_EMITTED, R_END_EMITTED, R_FLOW

__all__ = ['pipe', 'unpipe']


class Pipe:
    """One source, one destination."""

    __slots__ = ('dest', 'done', 'end', 'source', 'waiting')

    def __init__(self, source: Any, dest: Any, end: bool) -> None:
        self.source = source
        self.dest = dest
        self.end = end
        #: Whether the 'drain' listener is there.
        self.waiting = False
        self.done = False

    def start(self) -> None:
        source, dest = self.source, self.dest
        for name in ('on', 'once', 'emit', 'write', 'prepend_listener'):
            if not callable(getattr(dest, name, None)):
                bad_type('dest', 'a writable stream', dest)
        pipes: list[Pipe] = source._pipes or []
        pipes.append(self)
        source._pipes = pipes
        at_end = self.on_end if self.end else self.on_end_unpipe
        if source._r & R_END_EMITTED:
            _runtime.current().push(at_end, ())
        else:
            source.once('end', at_end)
        dest.on('unpipe', self.on_unpipe)
        source.on('data', self.on_data)
        dest.prepend_listener('error', self.on_error)
        dest.once('close', self.on_close)
        dest.once('finish', self.on_finish)
        dest.emit('pipe', source)
        if getattr(dest, 'writable_need_drain', False) is True:
            self.hold_back()
        elif not source._r & R_FLOW:
            source.resume()

    def on_data(self, chunk: Any) -> None:
        if self.dest.write(chunk) is False:
            self.hold_back()

    def hold_back(self) -> None:
        if not self.done:
            source = self.source
            awaiting: list[Pipe] = source._awaiting or []
            if self not in awaiting:
                awaiting.append(self)
            source._awaiting = awaiting
            source.pause()
        if not self.waiting:
            self.waiting = True
            self.dest.on('drain', self.on_drain)

    def on_drain(self) -> None:
        source = self.source
        if source._awaiting is not None:
            if self in source._awaiting:
                source._awaiting.remove(self)
            if source._awaiting:
                return
            source._awaiting = None
        if source.listener_count('data'):
            source.resume()

    def on_end(self) -> None:
        self.dest.end()

    def on_end_unpipe(self) -> None:
        unpipe(self.source, self.dest)

    def on_finish(self) -> None:
        self.dest.off('close', self.on_close)
        unpipe(self.source, self.dest)

    def on_close(self) -> None:
        self.dest.off('finish', self.on_finish)
        unpipe(self.source, self.dest)

    def on_error(self, error: Any) -> None:
        dest = self.dest
        unpipe(self.source, dest)
        dest.off('error', self.on_error)
        if dest.listener_count('error') == 0:
            # Our own listener must not make an error look handled.
            life = getattr(dest, '_life', L_ERROR_EMITTED)
            if life & (L_ERROR_EMITTED | L_DESTROYED):
                dest.emit('error', error)
            else:
                dest._fail(error)

    def on_unpipe(self, source: Any, info: Any = None) -> None:
        # The first of several pipes between the same two takes it.
        if source is self.source and isinstance(info, dict) and info['hasUnpiped'] is False:
            info['hasUnpiped'] = True
            self.cleanup()

    def cleanup(self) -> None:
        if self.done:
            return
        self.done = True
        source, dest = self.source, self.dest
        dest.off('close', self.on_close)
        dest.off('finish', self.on_finish)
        if self.waiting:
            dest.off('drain', self.on_drain)
        dest.off('error', self.on_error)
        dest.off('unpipe', self.on_unpipe)
        source.off('end', self.on_end if self.end else self.on_end_unpipe)
        source.off('data', self.on_data)
        if source._awaiting is not None and self in source._awaiting and self.waiting:
            self.on_drain()


def pipe(source: Any, dest: Any, end: bool) -> Any:
    """Connect ``source`` to ``dest``; returns ``dest``."""
    Pipe(source, dest, end).start()
    return dest


def unpipe(source: Any, dest: Any) -> Any:
    """Disconnect ``source`` from ``dest``, or from all where that is None; returns ``source``."""
    pipes = source._pipes
    if not pipes:
        return source
    if dest is None:
        source._pipes = None
        source.pause()
        for one in pipes:
            one.dest.emit('unpipe', source, Record(hasUnpiped=False))
        return source
    for one in pipes:
        if one.dest is dest:
            pipes.remove(one)
            if not pipes:
                source._pipes = None
                source.pause()
            dest.emit('unpipe', source, Record(hasUnpiped=False))
            break
    return source
