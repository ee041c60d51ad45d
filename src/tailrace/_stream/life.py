"""The life of a stream: destroying it, its one error, and 'close' (ST-24 to ST-26, ST-35).

The lowest of the compiled layers of a stream, ``life.py`` → ``read.py`` → ``modes.py`` →
``write.py``: one chain, so that a Duplex is one object with one layout. It refuses to know chunks
and sockets.

Hook for subclasses: ``_destroy(error, callback)`` releases what the stream holds and then calls
``callback(error)``, once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _runtime
from .._compiled import mypyc_attr
from ..events import EventEmitter
from .state import (
    L_AUTO_DESTROY,
    L_CLOSE_EMITTED,
    L_CLOSED,
    L_DESTROYED,
    L_EMIT_CLOSE,
    L_ERROR_EMITTED,
    L_GONE,
    R_DEAD,
    W_DEAD,
)

__all__ = ['Life']


@mypyc_attr(allow_interpreted_subclasses=True)
class Life(EventEmitter):
    """What every stream has."""

    __slots__ = ('_error', '_life', '_r', '_w')

    def _init_life(self) -> None:
        self._init_events()
        self._life: int = L_AUTO_DESTROY | L_EMIT_CLOSE
        self._r: int = 0
        self._w: int = 0
        self._error: BaseException | None = None

    def _destroy(
        self, error: BaseException | None, callback: Callable[[BaseException | None], object]
    ) -> None:
        """Release what the stream holds, then call ``callback(error)``. For subclasses."""
        callback(error)

    def _before_destroy(self) -> None:
        """Something of the writing side may have to be told (see ``write.py``)."""

    def _take_error(self, error: BaseException | None) -> None:
        if error is not None:
            if self._error is None:
                self._error = error
            self._r |= R_DEAD
            self._w |= W_DEAD

    def _do_destroy(self, error: BaseException | None) -> None:
        """Destroy once; later calls, also with errors, change nothing (SK-20)."""
        if self._life & L_DESTROYED:
            return
        self._before_destroy()
        self._take_error(error)
        self._life |= L_DESTROYED
        self._r |= R_DEAD
        self._w |= W_DEAD
        try:
            self._destroy(error, self._released)
        except Exception as failure:
            self._released(failure)

    def _released(self, error: BaseException | None = None) -> None:
        if self._life & L_CLOSED:
            return
        self._take_error(error)
        self._life |= L_CLOSED
        runtime = _runtime.current()
        if error is not None:
            runtime.push(self._error_then_close_nt, (error,))
        else:
            runtime.push(self._close_nt, ())

    def _error_then_close_nt(self, error: BaseException) -> None:
        try:
            self._error_nt(error)
        finally:
            self._close_nt()

    def _error_nt(self, error: BaseException) -> None:
        if not self._life & L_ERROR_EMITTED:
            self._life |= L_ERROR_EMITTED
            self.emit('error', error)

    def _close_nt(self) -> None:
        if self._life & L_EMIT_CLOSE:
            self._emit_close()
        else:
            self._life |= L_CLOSE_EMITTED

    def _emit_close(self) -> None:
        if not self._life & L_CLOSE_EMITTED:
            self._life |= L_CLOSE_EMITTED | L_GONE
            self.emit('close')

    def _fail(self, error: BaseException, later: bool = False) -> None:
        """An operation failed: destroy, or only tell (``later``) where that is not automatic."""
        if self._life & L_DESTROYED:
            return
        if self._life & L_AUTO_DESTROY:
            self.destroy(error)
            return
        self._take_error(error)
        if later:
            _runtime.current().push(self._error_nt, (error,))
        else:
            self._error_nt(error)

    def destroy(self, error: BaseException | None = None) -> Any:
        """Give up the stream: no more I/O; 'error' (if any), then 'close' (ST-24).

        Returns the stream. Idempotent: later calls, also with errors, change nothing. Unread data
        is dropped, callbacks of waiting writes get ERR_STREAM_DESTROYED or ``error``.
        """
        self._do_destroy(error)
        return self

    def _rejected(self, error: Exception, event: Any, args: tuple[Any, ...]) -> None:
        # BX-10: a coroutine listener that fails destroys the stream with its error; where that is
        # too late, the error must not get lost.
        if self._life & L_DESTROYED:
            raise error
        self.destroy(error)

    # The properties below are the same for all streams, so they have their public names here.

    @property
    def destroyed(self) -> bool:
        """Whether :meth:`destroy` was called, by the user or by itself (ST-25)."""
        return bool(self._life & L_DESTROYED)

    @property
    def closed(self) -> bool:
        """Whether the stream has released what it held (ST-25)."""
        return bool(self._life & L_CLOSED)

    @property
    def errored(self) -> BaseException | None:
        """The error that ended the stream, or None (ST-25)."""
        return self._error
