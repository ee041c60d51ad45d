"""When a stream is done, and when it may be written again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _runtime
from .._abort import check_signal
from .._listeners import adapt
from .._names import merge_options
from .._validate import bad_type, check_callable, is_mapping
from .._waiting import first_of
from ..errors import AbortError, state_error
from .state import (
    L_AUTO_DESTROY,
    L_CLOSE_EMITTED,
    L_CLOSED,
    L_DESTROYED,
    L_EMIT_CLOSE,
    L_ERROR_EMITTED,
    R_ABSENT,
    R_END_EMITTED,
    R_ENDED,
    W_ABSENT,
    W_ENDED,
    W_FINISHED,
)
from .write import WriteSide

__all__ = ['drained', 'finished', 'watch']

OPTIONS = frozenset({'callback', 'error', 'readable', 'signal', 'writable'})


class Watch:
    """Calls ``done(error)`` once when the sides of ``stream`` that are asked for are over."""

    __slots__ = ('_done', '_error', '_read', '_stream', '_undo', '_waits_for_close', '_write')

    def __init__(
        self,
        stream: Any,
        done: Callable[[BaseException | None], object],
        readable: bool | None = None,
        writable: bool | None = None,
        error: bool = True,
    ) -> None:
        has_read = not stream._r & R_ABSENT
        has_write = not stream._w & W_ABSENT
        self._stream = stream
        self._done: Callable[[BaseException | None], object] | None = done
        self._read = has_read if readable is None else readable and has_read
        self._write = has_write if writable is None else writable and has_write
        self._error = error
        self._undo: Callable[[], object] | None = None
        life = stream._life
        # A stream that destroys itself is done at 'close', unless only one side is asked for.
        self._waits_for_close = (
            life & (L_AUTO_DESTROY | L_EMIT_CLOSE | L_CLOSED) == L_AUTO_DESTROY | L_EMIT_CLOSE
            and self._read == has_read
            and self._write == has_write
        )
        failed = stream._error is not None and life & (L_DESTROYED | L_ERROR_EMITTED)
        if life & L_CLOSED or failed:
            _runtime.current().push(self._closed, ())
            return
        stream.on('end', self._side_is_over)
        stream.on('finish', self._side_is_over)
        stream.on('close', self._closed)
        if error:
            stream.on('error', self._failed)
        if not self._waits_for_close and (self._read or self._write) and self._all_over():
            _runtime.current().push(self._settle, (None,))

    def follow(self, signal: Any) -> None:
        """Done with an AbortError when ``signal`` aborts; the stream itself is left alone."""

        def abort(_: Any = None) -> None:
            self._settle(AbortError(cause=signal.reason))

        if signal.aborted:
            _runtime.current().push(abort, ())
        else:
            signal.add_event_listener('abort', abort)
            self._undo = lambda: signal.remove_event_listener('abort', abort)

    def stop(self) -> None:
        """Never call ``done``, and take the listeners away."""
        self._done = None
        stream = self._stream
        stream.off('end', self._side_is_over)
        stream.off('finish', self._side_is_over)
        stream.off('close', self._closed)
        if self._error:
            stream.off('error', self._failed)
        undo, self._undo = self._undo, None
        if undo is not None:
            undo()

    def _all_over(self) -> bool:
        stream = self._stream
        return not (self._read and not stream._r & R_END_EMITTED) and not (
            self._write and not stream._w & W_FINISHED
        )

    def _settle(self, error: BaseException | None) -> None:
        done = self._done
        if done is not None:
            # Listeners stay until the stream is closed, so that a late error is not unheard.
            self._done = None
            undo, self._undo = self._undo, None
            if undo is not None:
                undo()
            done(error)

    def _side_is_over(self) -> None:
        if self._stream._life & L_DESTROYED:
            self._waits_for_close = False
        if not self._waits_for_close and self._all_over():
            self._settle(None)

    def _failed(self, error: BaseException) -> None:
        self._settle(error)

    def _closed(self) -> None:
        stream = self._stream
        error = stream._error
        # At 'close' a side counts as over when its end was reached, even if nobody was told.
        read = not self._read or (stream._r & R_ENDED and not stream._r_len)
        write = not self._write or (stream._w & W_ENDED and not stream._w_len)
        if error is None and not (read and write):
            error = state_error('ERR_STREAM_PREMATURE_CLOSE')
        self._settle(error)


def finished(stream: Any, options: Any = None, callback: Any = None, /, **keywords: Any) -> Any:
    """Learn when ``stream`` is over: read to its end, written to its end, failed or closed.

    Forms: ``finished(stream, callback)``, ``finished(stream, options, callback)``, or without a
    callback: ``await finished(stream)``. Options (a mapping or keywords): ``readable`` and
    ``writable`` (default: what the stream is; False: do not wait for that side), ``error`` (False:
    'error' events are left to others), ``signal`` (its abort ends the waiting with AbortError).

    The callback gets None, the stream's error, or ERR_STREAM_PREMATURE_CLOSE if it was closed
    before; always later, also when the stream is over already. With a callback a function is
    returned that takes the listeners away; else an awaitable that raises that error, and takes
    them away by itself. Raises ERR_INVALID_ARG_TYPE.
    """
    if callable(options) and callback is None:
        options, callback = None, options
    if not isinstance(stream, WriteSide):
        bad_type('stream', 'a stream', stream)
    if options is not None and not is_mapping(options):
        bad_type('options', 'a mapping', options)
    given = merge_options('finished', options, keywords, OPTIONS)
    callback = given.get('callback') if callback is None else callback
    future: Any = None
    signal = given.get('signal')
    if signal is not None:
        check_signal('options.signal', signal)
    sides = (given.get('readable'), given.get('writable'), given.get('error') is not False)
    if callback is not None:
        watch = Watch(stream, adapt(check_callable('callback', callback)), *sides)
    else:
        waiter = future = _runtime.new_future()

        def settle(error: BaseException | None) -> None:
            if not waiter.done():
                if error is None:
                    waiter.set_result(None)
                else:
                    waiter.set_exception(error)

        watch = Watch(stream, settle, *sides)
        waiter.add_done_callback(lambda _: watch.stop())
    if signal is not None:
        watch.follow(signal)
    return watch.stop if future is None else future


def watch(
    stream: Any, done: Callable[[BaseException | None], object], readable: bool, writable: bool
) -> Watch:
    """Call ``done(error)`` when the sides asked for are over: for :mod:`pipeline`."""
    return Watch(stream, done, readable, writable)


async def drained(stream: Any) -> None:
    """Wait while the stream needs a 'drain'; see ``Writable.drain``."""
    if stream._life & L_DESTROYED:
        raise stream._error or state_error('ERR_STREAM_PREMATURE_CLOSE')
    if not stream.writable_need_drain:
        return
    await first_of(stream, 'drain', 'close', 'finish')
    if stream._error is not None:
        raise stream._error
    if stream._life & L_CLOSE_EMITTED and not stream.writable_finished:
        raise state_error('ERR_STREAM_PREMATURE_CLOSE')
