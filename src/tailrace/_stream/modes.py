"""The reading modes: pause, resume, and the listeners that change them.

Flowing, stopped or not chosen: see the drawing in ``state.py``. This file refuses to know where
chunks come from and how they are buffered; that is ``read.py``.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from .._compiled import mypyc_attr
from .._listeners import Listener
from ..events import EventEmitter
from .encodings import canonical, make_decoder
from .life import emit, ticks
from .read import ReadSide, decoded, emit_readable, flow, size_of, take
from .state import (
    R_BUFFERED,
    R_CONTINUOUS,
    R_DECODING,
    R_EMITTED_READABLE,
    R_END_EMITTED,
    R_ENDED,
    R_FLOW,
    R_HEARD,
    R_LISTENING,
    R_NEED_READABLE,
    R_NONE,
    R_PAUSED,
    R_READING,
    R_RESUME_SCHEDULED,
    R_STOPPED,
)

__all__ = ['ModeSide']


@mypyc_attr(allow_interpreted_subclasses=True)
class ModeSide(ReadSide):
    """The reading side with its modes."""

    __slots__ = ()

    # -- modes ----------------------------------------------------------------------------------

    def _resume(self) -> None:
        reader: Any = getattr(self, '_framing', None)
        if reader is not None and not reader.busy:
            # A read helper that has its answer: its listener for 'readable' stays until the next
            # tick, and would keep the data from flowing.
            reader.rest()
            if 'readable' not in self._events:
                self._r &= ~R_LISTENING
        resume(self)

    def _pause(self) -> None:
        if not self._r & R_STOPPED:
            self._r = (self._r & ~R_FLOW) | R_STOPPED
            emit(self, 'pause')
        self._r |= R_PAUSED

    def _flowing(self) -> bool | None:
        return True if self._r & R_FLOW else False if self._r & R_STOPPED else None

    # -- listeners change the mode --------------------------------------------------------------

    def _add(self, event: Any, function: Any, once: bool, first: bool) -> None:
        EventEmitter._add(self, event, function, once, first)
        if event == 'data':
            self._feed = None
        if first or self._r & R_NONE:
            return  # what is put in front changes no mode, as in Node
        if event == 'data':
            self._r |= R_HEARD
            if 'readable' in self._events:
                self._r |= R_LISTENING
            if not self._r & R_STOPPED:
                resume(self)
        elif event == 'readable':
            self._feed = None
            if not self._r & (R_END_EMITTED | R_LISTENING):
                begin_listening(self)

    def off(self, event: Any, listener: Any, /) -> Any:
        """Remove the most recently added occurrence of ``listener``.

        Unknown listeners are ignored. After the last 'readable' listener the mode is chosen anew.
        """
        EventEmitter.off(self, event, listener)
        self._left(event)
        return self

    def _left(self, event: Any) -> None:
        """A listener was removed."""
        if event == 'readable':
            ticks(self).push(self._update_listening_nt, ())
        elif event == 'data' and 'data' not in self._events:
            self._r &= ~R_HEARD

    def _take_once(self, event: Any, listener: Listener) -> bool:
        taken = EventEmitter._take_once(self, event, listener)
        if taken:
            self._left(event)
        return taken

    def remove_all_listeners(self, event: Any = None, /) -> Any:
        """Remove the listeners of ``event``, or all of them."""
        EventEmitter.remove_all_listeners(self, event)
        if event is None or event == 'readable':
            ticks(self).push(self._update_listening_nt, ())
        return self

    def _update_listening_nt(self) -> None:
        if 'readable' in self._events:
            self._r |= R_LISTENING
        else:
            self._r &= ~R_LISTENING
        r = self._r
        if r & R_RESUME_SCHEDULED and not r & R_PAUSED:
            self._r = (r | R_FLOW) & ~R_STOPPED
        elif r & R_HEARD:
            resume(self)
        elif not r & R_LISTENING and r & (R_FLOW | R_CONTINUOUS) != R_FLOW | R_CONTINUOUS:
            self._r = r & ~(R_STOPPED | R_FLOW)

    # -- encoding -------------------------------------------------------------------------------

    def _set_encoding(self, encoding: Any) -> None:
        name = canonical(encoding)
        self._decoder = decoder = make_decoder(name)
        self._r_encoding = name
        self._r |= R_DECODING
        if self._r_buf:
            # Text that an earlier decoder has made stays as it is.
            text = ''.join([decoded(decoder, c) for c in self._r_buf])
            if self._r & R_ENDED:
                text += decoder.decode(b'', True)
            self._r_buf = deque((text,)) if text else None
            self._r_len = size_of(self, text) if text else 0
            if not text:
                self._r &= ~R_BUFFERED


def resume_nt(stream: ModeSide) -> None:
    if not stream._r & R_READING:
        take(stream, 0)
    stream._r &= ~R_RESUME_SCHEDULED
    emit(stream, 'resume')
    flow(stream)
    if stream._r & R_FLOW and not stream._r & R_READING:
        take(stream, 0)


def begin_listening(stream: ModeSide) -> None:
    stream._r |= R_LISTENING | R_NEED_READABLE | R_STOPPED
    stream._r &= ~(R_FLOW | R_EMITTED_READABLE)
    if stream._r_len:
        emit_readable(stream)
    elif not stream._r & R_READING:
        ticks(stream).push(stream._take, (0,))


def resume(stream: ModeSide) -> None:
    r = stream._r
    if not r & R_FLOW:
        # With a 'readable' listener reading stays with its read() calls.
        stream._r = (r | R_STOPPED if r & R_LISTENING else (r | R_FLOW) & ~R_STOPPED) & ~R_PAUSED
        schedule_resume(stream)
    else:
        stream._r = r & ~R_PAUSED


def schedule_resume(stream: ModeSide) -> None:
    if not stream._r & R_RESUME_SCHEDULED:
        stream._r |= R_RESUME_SCHEDULED
        ticks(stream).push_for(resume_nt, stream)
