"""``async for chunk in stream`` (ST-13, ST-14)."""

from __future__ import annotations

from typing import Any

from .. import _runtime
from ..errors import AbortError, state_error
from .state import (
    L_AUTO_DESTROY,
    L_CLOSE_EMITTED,
    L_DESTROYED,
    L_ERROR_EMITTED,
    R_ABSENT,
    R_END_EMITTED,
)

__all__ = ['Chunks']


class Chunks:
    """Asynchronous iterator over the chunks of a stream.

    Ends at 'end'; raises the stream's error, or ERR_STREAM_PREMATURE_CLOSE if it is closed before
    'end'. Left early (``break``, exception, :meth:`aclose`) it destroys the stream, unless it was
    made with ``destroy_on_return=False``.
    """

    __slots__ = ('_destroy', '_done', '_future', '_started', '_stream')

    def __init__(self, stream: Any, destroy: bool) -> None:
        self._stream = stream
        self._destroy = destroy
        self._future: Any = None
        self._started = False
        self._done = False

    def __aiter__(self) -> Chunks:
        return self

    async def __anext__(self) -> Any:
        stream = self._stream
        if self._done:
            raise StopAsyncIteration
        if not self._started:
            self._started = True
            stream._begin_iterating()
            stream.on('readable', self._wake)
            stream.on('end', self._wake)
            stream.on('error', self._wake_error)
            stream.on('close', self._wake)
        while True:
            chunk = None if stream._life & L_DESTROYED else stream._take()
            if chunk is not None:
                return chunk
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
            await self._wait()

    async def _wait(self) -> None:
        self._future = _runtime.new_future()
        try:
            await self._future
        finally:
            self._future = None

    def _wake(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def _wake_error(self, error: Any = None) -> None:
        self._wake()

    def _finish(self, failed: bool) -> None:
        """The end: by itself, with an error, or by leaving the loop."""
        if self._done:
            return
        self._done = True
        stream = self._stream
        if self._started:
            stream.off('readable', self._wake)
            stream.off('end', self._wake)
            stream.off('close', self._wake)
            if not failed:
                stream.off('error', self._wake_error)
        if failed or stream._life & L_DESTROYED or not self._destroy:
            return
        ended = stream._r & (R_END_EMITTED | R_ABSENT)
        # Who can still write may want to; and what waits to be written is not lost (Node drops it).
        if ended and (stream._can_write() or stream._w_len):
            return
        if stream._life & L_AUTO_DESTROY:
            stream.destroy(None if ended else AbortError())

    async def aclose(self) -> None:
        """Leave the loop: what ``break`` does when the iterator is collected."""
        self._finish(False)

    def __del__(self) -> None:
        # A `for` loop drops its iterator when it is left; there is no other sign of a `break`.
        if not self._done and self._started:
            self._finish(False)
