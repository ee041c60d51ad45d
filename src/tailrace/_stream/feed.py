"""What a stream knows of an ``async for`` over it: listeners, and the door for chunks.

This file refuses to know what a chunk is good for, and how the loop ends (``iterate.py``).
"""

from __future__ import annotations

from typing import Any

from .._pause import Pause

__all__ = ['Feed']


class Feed(Pause):
    """The listeners of one iteration, and who waits for them.

    Apart from :class:`Chunks`, because the stream holds on to its listeners: a loop that is left
    must be able to let go of the iterator.
    """

    __slots__ = ('_entry', '_events', 'chunk', 'others', 'stream')

    def __init__(self, stream: Any) -> None:
        Pause.__init__(self)
        self.stream = stream
        #: What was handed over, until who waited has taken it.
        self.chunk: Any = None
        stream.on('readable', self.wake)
        stream.on('end', self.wake)
        stream.on('error', self.wake)
        stream.on('close', self.wake)
        self._events = stream._events
        entry = self._events['readable']
        self._entry = entry[-1] if isinstance(entry, tuple) else entry
        stream._feed = self

    def give(self, chunk: bytes) -> bool:
        """Hand a chunk to the task that waits and let it run; False: it has to wait in the buffer.

        Only if nobody else is to see it: no other listener for 'readable', and none for 'data'.
        """
        events = self._events
        if events.get('readable') is not self._entry or 'data' in events:
            return False
        self.chunk = chunk
        if not self.resume():
            self.chunk = None
            return False
        if self.chunk is not None:
            # Who waited was sent on and did not come back for it.
            self.chunk = None
            self.stream._put_back(chunk)
        return True

    def stop(self, keep_error: bool) -> None:
        """Take the listeners away; the one for 'error' stays where one may still come."""
        stream = self.stream
        if stream._feed is self:
            stream._feed = None
        stream.off('readable', self.wake)
        stream.off('end', self.wake)
        stream.off('close', self.wake)
        if not keep_error:
            stream.off('error', self.wake)
