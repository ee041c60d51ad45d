"""The life of a stream: destroying it, its one error, and 'close'.

The lowest of the compiled layers of a stream, ``life.py`` → ``read.py`` → ``modes.py`` →
``write.py``: one chain, so that a Duplex is one object with one layout. It refuses to know chunks
and sockets.

Hook for subclasses: ``_destroy(error, callback)`` releases what the stream holds and then calls
``callback(error)``, once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._coerce import absent
from .._compiled import mypyc_attr
from .._listeners import adapt
from .._runtime import Runtime, current
from .._validate import bad_type
from ..events import EventEmitter
from .state import (
    L_AUTO_DESTROY,
    L_CLOSE_EMITTED,
    L_CLOSED,
    L_DESTROYED,
    L_EMIT_CLOSE,
    L_ERROR_EMITTED,
    L_GONE,
    L_LEFT,
    L_SIGNAL,
    L_UNBUILT,
    R_ABSENT,
    R_DEAD,
    R_END_EMITTED,
    W_ABSENT,
    W_BUFFERED,
    W_DEAD,
    W_ENDING,
    W_FINISHED,
    W_TO_TELL,
)

__all__ = ['Life']


@mypyc_attr(allow_interpreted_subclasses=True)
class Life(EventEmitter):
    """What every stream has."""

    __slots__ = ('_error', '_life', '_r', '_runtime', '_w')

    _error: BaseException | None
    _life: int
    _r: int
    _runtime: Runtime | None
    _w: int

    def _destroy(
        self, error: BaseException | None, callback: Callable[[BaseException | None], object]
    ) -> None:
        """Release what the stream holds, then call ``callback(error)``. For subclasses."""
        callback(error)

    def _leave_signal(self) -> None:
        """Stop listening to the AbortSignal of the options."""

    def _before_destroy(self) -> None:
        """Something of the writing side may have to be told (see ``write.py``)."""

    def _destroy_when_built(
        self, error: BaseException | None, callback: Callable[..., object] | None
    ) -> None:
        """Destroyed while ``_construct`` was under way (see ``construct.py``)."""
        raise NotImplementedError

    def _released(self, error: BaseException | None = None) -> None:
        released(self, error, None)

    def _error_then_close_nt(self, error: BaseException) -> None:
        try:
            error_nt(self, error)
        finally:
            close_nt(self)

    def _fail(self, error: BaseException, later: bool = False) -> None:
        fail(self, error, later)

    def destroy(
        self,
        error: Any = None,
        callback: Callable[..., object] | None = None,
    ) -> Any:
        """Give up the stream: no more I/O; 'error' (if any), then 'close'.

        Returns the stream. Idempotent: later calls, also with errors, change nothing. Unread data
        is dropped, callbacks of waiting writes get ERR_STREAM_DESTROYED or ``error``.
        ``callback(error_or_None)`` runs once the stream has released what it held, before these
        events; at once if it was destroyed already. What is false counts as no error; raises
        ERR_INVALID_ARG_TYPE if ``error`` is anything else that is no exception.
        """
        if error is not None and not isinstance(error, BaseException):
            if not absent(error):
                bad_type('error', 'an exception', error)
            error = None
        destroy_once(self, error, callback)
        return self

    def _can_write(self) -> bool:
        return can_write(self)

    def _writing_is_over(self) -> bool:
        return writing_is_over(self)

    def _reading_is_over(self) -> bool:
        return reading_is_over(self)

    def on_rejection(self, error: Exception, event: Any, /, *args: Any) -> None:
        # BX-10: a coroutine listener that fails destroys the stream with its error; where that is
        # too late, the error must not get lost.
        if self._life & L_DESTROYED:
            raise error
        self.destroy(error)

    # The properties below are the same for all streams, so they have their public names here.

    @property
    def destroyed(self) -> bool:
        """Whether :meth:`destroy` was called, by the user or by itself."""
        return bool(self._life & (L_DESTROYED | L_LEFT))

    @property
    def closed(self) -> bool:
        """Whether the stream has released what it held."""
        return bool(self._life & L_CLOSED)

    @property
    def errored(self) -> BaseException | None:
        """The error that ended the stream, or None."""
        return self._error


def emit(stream: Any, event: str) -> None:
    """``stream.emit(event)``, by its name.

    Through the class, compiled code makes a bound method, a list and a tuple for each event: 1,000
    instructions.
    """
    stream.emit(event)


def emit_value(stream: Any, event: str, value: Any) -> None:
    """The same with one argument."""
    stream.emit(event, value)


def destroy(stream: Any) -> None:
    """``stream.destroy()``, by its name for the same reason."""
    stream.destroy()


def close_nt(stream: Life) -> None:
    if stream._life & L_EMIT_CLOSE:
        emit_close(stream)
    elif stream._life & L_DESTROYED:  # a socket may have been connected again meanwhile
        stream._life |= L_CLOSE_EMITTED


def init_life(stream: Life) -> None:
    # What EventEmitter.__init__ does, without a call for each connection.
    stream._events = {}
    stream._max_listeners = -1
    stream._warned = None
    stream._life = L_AUTO_DESTROY | L_EMIT_CLOSE
    stream._r = 0
    stream._w = 0
    stream._error = None
    #: The runtime of the source, where it has one: looking the running loop's up costs a system
    #: call in CPython 3.11 (asyncio compares process ids).
    stream._runtime = None


def ticks(stream: Life) -> Runtime:
    """Where the stream's ticks go."""
    runtime = stream._runtime
    return current() if runtime is None else runtime


def take_error(stream: Life, error: BaseException | None) -> None:
    if error is not None:
        if stream._error is None:
            stream._error = error
        stream._r |= R_DEAD
        stream._w |= W_DEAD


def destroy_once(
    stream: Life,
    error: BaseException | None,
    callback: Callable[..., object] | None = None,
) -> None:
    """Destroy once; later calls, also with errors, change nothing."""
    if stream._life & L_DESTROYED:
        if callback is not None:
            adapt(callback)(None)
        return
    if stream._w & (W_BUFFERED | W_TO_TELL):
        stream._before_destroy()
    take_error(stream, error)
    stream._life |= L_DESTROYED
    stream._r |= R_DEAD
    stream._w |= W_DEAD
    if stream._life & L_UNBUILT:
        stream._destroy_when_built(error, callback)
    elif callback is None:
        try:
            stream._destroy(error, stream._released)
        except Exception as failure:
            stream._released(failure)
    else:
        release(stream, error, callback)


def release(
    stream: Life, error: BaseException | None, callback: Callable[..., object] | None
) -> None:
    """Call the hook ``_destroy``, and ``callback`` when that is done."""
    told = None if callback is None else adapt(callback)

    def done(failure: BaseException | None = None) -> None:
        released(stream, failure, told)

    try:
        stream._destroy(error, done)
    except Exception as failure:
        done(failure)


def released(stream: Life, error: BaseException | None, told: Callable[..., object] | None) -> None:
    """The stream has let go of what it held."""
    if stream._life & L_SIGNAL:
        stream._life &= ~L_SIGNAL
        stream._leave_signal()
    if stream._life & L_CLOSED:
        return
    take_error(stream, error)
    stream._life |= L_CLOSED
    if told is not None:
        told(error)
    runtime = ticks(stream)
    if error is not None:
        runtime.push(stream._error_then_close_nt, (error,))
    else:
        runtime.push_for(close_nt, stream)


def error_nt(stream: Life, error: BaseException) -> None:
    if not stream._life & L_ERROR_EMITTED:
        stream._life |= L_ERROR_EMITTED
        emit_value(stream, 'error', error)


def emit_close(stream: Life) -> None:
    if not stream._life & L_CLOSE_EMITTED:
        stream._life |= L_CLOSE_EMITTED | L_GONE
        emit(stream, 'close')


def fail(stream: Life, error: BaseException, later: bool = False) -> None:
    """An operation failed: destroy, or only tell (``later``) where that is not automatic."""
    if stream._life & L_DESTROYED:
        return
    if stream._life & L_AUTO_DESTROY:
        stream.destroy(error)
        return
    take_error(stream, error)
    if later:
        ticks(stream).push(error_nt, (stream, error), stream)
    else:
        error_nt(stream, error)


def can_write(stream: Life) -> bool:
    """Whether there is a writing side that is still open."""
    return not stream._w & (W_ABSENT | W_ENDING | W_DEAD)


def writing_is_over(stream: Life) -> bool:
    """Whether nothing will be written any more: finished, or there is no writing side."""
    return bool(stream._w & (W_FINISHED | W_ABSENT))


def reading_is_over(stream: Life) -> bool:
    """Whether nothing will come out any more: ended, or there is no reading side."""
    return bool(stream._r & (R_END_EMITTED | R_ABSENT))
