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
from .life import ticks
from .read import ReadSide, emit_readable, flow, take
from .state import (
    R_ABSENT,
    R_BUFFERED,
    R_DECODING,
    R_EMITTED_READABLE,
    R_END_EMITTED,
    R_FLOW,
    R_LISTENING,
    R_NEED_READABLE,
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
            self.emit('pause')
        self._r |= R_PAUSED

    def _flowing(self) -> bool | None:
        return True if self._r & R_FLOW else False if self._r & R_STOPPED else None

    # -- listeners change the mode --------------------------------------------------------------

    def _add(self, event: Any, function: Any, once: bool, first: bool) -> None:
        EventEmitter._add(self, event, function, once, first)
        if self._r & R_ABSENT:
            return
        if event == 'data':
            self._feed = None
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
        if event == 'readable':
            ticks(self).push(self._update_listening_nt, ())
        return self

    def _take_once(self, event: Any, listener: Listener) -> bool:
        if event == 'readable':
            ticks(self).push(self._update_listening_nt, ())
        return EventEmitter._take_once(self, event, listener)

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
        elif 'data' in self._events:
            resume(self)
        elif not r & (R_LISTENING | R_FLOW):
            self._r = r & ~R_STOPPED

    # -- encoding -------------------------------------------------------------------------------

    def _set_encoding(self, encoding: Any) -> None:
        name = canonical(encoding)
        self._decoder = decoder = make_decoder(name)
        self._r_encoding = name
        self._r |= R_DECODING
        if self._r_buf:
            # Text that an earlier decoder has made stays as it is.
            text = ''.join(c if isinstance(c, str) else decoder.decode(c) for c in self._r_buf)
            self._r_buf = deque((text,)) if text else None
            self._r_len = len(text)
            if not text:
                self._r &= ~R_BUFFERED


def resume_nt(stream: ModeSide) -> None:
    if not stream._r & R_READING:
        take(stream, 0)
    stream._r &= ~R_RESUME_SCHEDULED
    stream.emit('resume')
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
        ticks(stream).push(resume_nt, (stream,), stream)
