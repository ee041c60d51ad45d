"""What a stream knows of an ``async for`` over it: listeners, and the door for chunks.

This file refuses to know what a chunk is good for, and how the loop ends (``iterate.py``).
"""

from __future__ import annotations

from typing import Any

from .._collected import collected_of
from .._listeners import Listener
from .._pause import Pause
from ..events import EventEmitter

__all__ = ['Feed']


class Feed(Pause):
    """The listeners of one iteration, and who waits for them.

    Apart from ``Chunks``, because the stream holds on to its listeners: a loop that is left must be
    able to let go of the iterator.
    """

    __slots__ = ('_stream', 'expected')

    def __init__(self, stream: Any) -> None:
        Pause.__init__(self)
        self._stream = stream
        stream.on('readable', self.wake)
        stream.on('end', self.wake)
        stream.on('error', self.wake)
        stream.on('close', self._closed)
        #: Whether only a finaliser may tell that the loop was left.
        self.expected = True
        collected_of(self.runtime).expect()
        self.offer()

    def _closed(self, reason: Any = None) -> None:
        self._settle()
        self.wake(reason)

    def _settle(self) -> None:
        """The stream is closed, or the loop over: a finaliser has nothing to add."""
        if self.expected:
            self.expected = False
            collected_of(self.runtime).over()

    def offer(self) -> None:
        """Have chunks handed over directly, if nobody else is to see them."""
        events = self._stream._events
        entry = events.get('readable')
        if isinstance(entry, Listener) and entry.function == self.wake and 'data' not in events:
            self._stream._feed = self

    def stop(self, keep_error: bool) -> None:
        """Take the listeners away; the one for 'error' stays where one may still come."""
        stream = self._stream
        if stream._feed is self:
            stream._feed = None
        if keep_error:
            # The stream is closed and keeps its mode, as in Node.
            EventEmitter.off(stream, 'readable', self.wake)
        else:
            stream.off('readable', self.wake)
        stream.off('end', self.wake)
        stream.off('close', self._closed)
        self._settle()
        if not keep_error:
            stream.off('error', self.wake)
