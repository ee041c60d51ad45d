"""What ``read_exactly`` and its like wait with: listeners, and a task that goes on in line.

This file refuses to know what makes an answer complete (``framing.py``).
"""

from __future__ import annotations

from typing import Any, Final

from .. import _runtime
from .._errors.system import BY_PEER
from .._listeners import Listener
from .._pause import Pause
from ..errors import state_error
from .state import (
    L_CLOSE_EMITTED,
    L_DESTROYED,
    L_ERROR_EMITTED,
    R_ABSENT,
    R_ENDED,
    R_NEED_READABLE,
    R_READING,
)

__all__ = ['Reader', 'is_lost', 'reader_of']

#: The source will call, and what it brings will be told: no need to ask for it.
_ASKED: Final = R_READING | R_NEED_READABLE
_ASKED_MASK: Final = _ASKED | R_ENDED


class Reader(Pause):
    """Who waits on a stream: the listeners, and the high-water mark raised for a call.

    After a call its listeners stay until the next tick, but for the one of 'error': as a rule the
    next call comes before that, and they need not be removed and added again.
    """

    __slots__ = ('_leaving', '_listener', '_mark', '_raised', '_stream', 'busy')

    def __init__(self, stream: Any) -> None:
        Pause.__init__(self)
        self._stream = stream
        self._mark = self._raised = stream._r_hwm
        #: Whether a call is under way.
        self.busy = True
        self._leaving = False
        stream._framing = self
        stream.on('readable', self._arrived)
        stream.on('end', self.wake)
        stream.on('close', self.wake)
        self._listener = Listener(self.wake, False)
        self._hear()

    def start(self) -> None:
        """One more call."""
        self.busy = True
        self._mark = self._raised = self._stream._r_hwm
        self._hear()

    def _hear(self) -> None:
        """Listen for 'error': where nobody does and nobody asks who does, without ceremony."""
        events = self._stream._events
        if 'error' in events or 'newListener' in events:
            self._stream.on('error', self.wake)
        else:
            events['error'] = self._listener

    def _unhear(self) -> None:
        events = self._stream._events
        if events.get('error') is self._listener and 'removeListener' not in events:
            del events['error']
        else:
            self._stream.off('error', self.wake)

    def stop(self, failed: bool) -> None:
        stream = self._stream
        self.busy = False
        if stream._r_hwm == self._raised:
            stream._r_hwm = self._mark
        self._unhear()
        if failed:
            self._leave()
        elif not self._leaving:
            self._leaving = True
            _runtime.current().push(self._leave_nt, ())

    def rest(self) -> None:
        """No call comes next: take the listeners away now."""
        if not self.busy:
            self._leave()

    def _leave_nt(self) -> None:
        self._leaving = False
        self.rest()

    def _leave(self) -> None:
        stream = self._stream
        if stream._framing is not self:
            return
        stream._framing = None
        stream.off('readable', self._arrived)
        stream.off('end', self.wake)
        stream.off('close', self.wake)

    def _arrived(self) -> None:
        # Who listens too comes first: a task goes on when all listeners were called.
        if not isinstance(self._stream._events.get('readable'), Listener) or not self.resume(True):
            self.wake()

    async def more(self, goal: int) -> bool:
        """Wait until something happened on the way to ``goal``; False: the stream has ended."""
        stream = self._stream
        have = stream._r_len
        if stream._error is not None:
            # An error that is still to be told is waited for: then it counts as heard.
            if stream._life & (L_ERROR_EMITTED | L_CLOSE_EMITTED):
                raise stream._error
        elif stream._r & (R_ENDED | R_ABSENT):
            if not have:
                stream._take(0)
            return False
        elif stream._life & L_DESTROYED:
            raise state_error('ERR_STREAM_PREMATURE_CLOSE')
        else:
            goal = max(goal, have + 1)
            if goal > stream._r_hwm:
                stream._r_hwm = self._raised = goal
            if stream._r & _ASKED_MASK != _ASKED:
                stream._take(0)
                if stream._r_len != have or stream._r & R_ENDED:
                    return True
        once = self.begin()
        try:
            await once
        except BaseException:
            self.broken(once)
            raise
        self.value = None
        return True


def is_lost(stream: Any) -> bool:
    """Whether the peer, or the way to it, ended the stream: what came before that can be read."""
    return getattr(stream._error, 'code', None) in BY_PEER


def reader_of(stream: Any) -> Reader:
    reader: Reader | None = stream._framing
    if reader is None:
        return Reader(stream)
    reader.start()
    return reader
