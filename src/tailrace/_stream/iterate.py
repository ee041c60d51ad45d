"""``async for chunk in stream``."""

from __future__ import annotations

import sys
from typing import Any, Final

from .._collected import collected_of
from ..errors import AbortError, state_error
from .feed import Feed
from .read import ReadSide
from .reader import is_lost
from .state import (
    L_AUTO_DESTROY,
    L_CLOSE_EMITTED,
    L_DESTROYED,
    L_ERROR_EMITTED,
    L_LEFT,
    R_ABSENT,
    R_END_EMITTED,
    R_WAIT,
    R_WAIT_MASK,
)

__all__ = ['Chunks']

# Kept: when the last objects go, the module sys has lost its names, and a compiled function that
# fails then takes the interpreter with it.
_finalizing: Final = sys.is_finalizing


class Chunks:
    """Asynchronous iterator over the chunks of a stream.

    Ends at 'end'; raises the stream's error, or ERR_STREAM_PREMATURE_CLOSE if it is closed before
    'end'. Left early (``break``, exception, :meth:`aclose`) it destroys the stream with an
    AbortError that needs no listener, unless it was made with ``destroy_on_return=False``.
    """

    __slots__ = ('_destroy', '_done', '_feed', '_stream')

    def __init__(self, stream: Any, destroy: bool) -> None:
        self._stream: ReadSide = stream
        self._destroy = destroy
        self._feed: Feed | None = None
        self._done = False

    def __aiter__(self) -> Chunks:
        return self

    async def __anext__(self) -> Any:
        feed = self._feed
        if feed is None:
            feed = self._begin()
        stream = self._stream
        while True:
            # A source that will call, and nothing there: no need to look further.
            if stream._r & R_WAIT_MASK != R_WAIT:
                gone = stream._life & L_DESTROYED and not is_lost(stream)
                chunk = None if gone else stream._take_waiting()
                if chunk is not None:
                    if stream._feed is None:
                        feed.offer()
                    return chunk
                self._look_for_end()
            once = feed.begin()
            try:
                await once
            except BaseException:
                feed.broken(once)
                raise
            chunk = feed.value
            if chunk is not None:
                feed.value = None
                return chunk

    def _begin(self) -> Feed:
        if self._done:
            raise StopAsyncIteration
        stream = self._stream
        stream._begin_iterating()
        feed = self._feed = Feed(stream)
        return feed

    def _look_for_end(self) -> None:
        stream = self._stream
        error = stream._error
        if error is not None and stream._life & (L_ERROR_EMITTED | L_CLOSE_EMITTED):
            self._finish(True)
            raise error
        if error is None and stream._r & (R_END_EMITTED | R_ABSENT):
            self._finish(False)
            raise StopAsyncIteration
        if stream._life & L_CLOSE_EMITTED:
            self._finish(True)
            raise state_error('ERR_STREAM_PREMATURE_CLOSE')

    def _finish(self, failed: bool) -> None:
        """The end: by itself, with an error, or by leaving the loop."""
        if self._done:
            return
        self._done = True
        feed, self._feed = self._feed, None
        finish(self._stream, feed, self._destroy and not failed, failed)

    async def aclose(self) -> None:
        """Leave the loop: what ``break`` does when the iterator is collected."""
        self._finish(False)

    def __del__(self) -> None:
        # A `for` loop drops its iterator when it is left; there is no other sign of a `break`.
        feed = self._feed
        # Of a closed stream nothing is left to clean up.
        if not self._done and feed is not None and feed.expected and not _finalizing():
            self._done = True
            stream: Any = self._stream
            destroy = destroys(stream, self._destroy)
            if destroy:
                stream._life |= L_LEFT
            collected_of(feed.runtime).leave(finish, (stream, feed, destroy, False))


def has_ended(stream: Any) -> bool:
    return bool(stream._r & (R_END_EMITTED | R_ABSENT))


def destroys(stream: Any, wanted: bool) -> bool:
    """Whether leaving the loop now destroys the stream."""
    if not wanted or stream._life & L_DESTROYED or not stream._life & L_AUTO_DESTROY:
        return False
    # Who can still write may want to; and what waits to be written is not lost (Node drops it).
    return not (has_ended(stream) and (stream._can_write() or stream._w_len))


def finish(stream: Any, feed: Feed | None, destroy: bool, failed: bool) -> None:
    """What the end of an iteration means for its stream."""
    stream._life &= ~L_LEFT
    destroy = destroys(stream, destroy)
    if feed is not None:
        feed.stop(failed or destroy)
    if destroy:
        stream.destroy(None if has_ended(stream) else AbortError())
