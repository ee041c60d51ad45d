"""``pipe`` and ``unpipe``: move chunks from one stream to another with backpressure.

ST-10 to ST-12. One :class:`Pipe` object for each pair; it alone knows the listeners it has added.
A source with several destinations waits for all that said False.
"""

from __future__ import annotations

from typing import Any

from .. import _runtime
from .._names import Record
from .._validate import bad_type
from .answering import join
from .state import L_ERROR_EMITTED, R_END_EMITTED, R_FLOW, R_HEARD, W_NEED_DRAIN

__all__ = ['pipe', 'unpipe']


class Pipes(list['Pipe']):
    """The pipes of one source."""

    #: Whether several destinations are counted: who has two at once, counts from then on.
    several = False


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
        pipes = source._pipes
        if pipes is None:
            pipes = source._pipes = Pipes()
        if len(pipes) == 1:
            pipes.several = True
        pipes.append(self)
        join(source, dest)
        at_end = self.on_end if self.end else self.unpipe
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
        try:
            more = self.dest.write(chunk)
        except Exception as error:
            self.dest.destroy(error)
            return
        if more is False:
            self.hold_back()

    def hold_back(self) -> None:
        if not self.done:
            source, dest, pipes = self.source, self.dest, self.source._pipes
            if len(pipes) == 1 and pipes[0].dest is dest:
                source._awaiting = [dest]
                pipes.several = False
            elif len(pipes) > 1 and any(one.dest is dest for one in pipes):
                awaiting: list[Any] = source._awaiting or []
                if not any(one is dest for one in awaiting):
                    awaiting.append(dest)
                source._awaiting = awaiting
            source.pause()
        if not self.waiting:
            self.waiting = True
            self.dest.on('drain', self.on_drain)

    def on_drain(self) -> None:
        source = self.source
        if source._awaiting:
            source._awaiting = [one for one in source._awaiting if one is not self.dest] or None
        if not source._awaiting and source._r & R_HEARD:
            source.resume()

    def on_end(self) -> None:
        self.dest.end()

    def unpipe(self) -> None:
        self.source.unpipe(self.dest)

    def on_finish(self) -> None:
        self.dest.off('close', self.on_close)
        self.unpipe()

    def on_close(self) -> None:
        self.dest.off('finish', self.on_finish)
        self.unpipe()

    def on_error(self, error: Any = None) -> None:
        dest = self.dest
        self.unpipe()
        dest.off('error', self.on_error)
        if dest.listener_count('error') == 0:
            # Our own listener must not make an error look handled.
            if getattr(dest, '_life', L_ERROR_EMITTED) & L_ERROR_EMITTED:
                dest.emit('error', error)
            else:
                dest._fail(error)

    def on_unpipe(self, source: Any, info: Any = None) -> None:
        # The first of several pipes between the same two takes it.
        if source is self.source and isinstance(info, dict) and info['hasUnpiped'] is False:
            info['hasUnpiped'] = True
            self.cleanup()

    def cleanup(self) -> None:
        source, dest = self.source, self.dest
        dest.off('close', self.on_close)
        dest.off('finish', self.on_finish)
        if self.waiting:
            dest.off('drain', self.on_drain)
        dest.off('error', self.on_error)
        dest.off('unpipe', self.on_unpipe)
        source.off('end', self.on_end if self.end else self.unpipe)
        source.off('data', self.on_data)
        self.done = True
        # A source that waits for this destination would wait for ever.
        pipes = source._pipes
        waits = bool(source._awaiting) or (pipes is not None and pipes.several)
        if self.waiting and waits and getattr(dest, '_w', W_NEED_DRAIN) & W_NEED_DRAIN:
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
        all_of_them = list(pipes)
        pipes.clear()
        source.pause()
        for one in all_of_them:
            one.dest.emit('unpipe', source, Record(hasUnpiped=False))
        return source
    for at, one in enumerate(pipes):
        if one.dest is dest:
            del pipes[at]
            if not pipes:
                source.pause()
            dest.emit('unpipe', source, Record(hasUnpiped=False))
            break
    return source
