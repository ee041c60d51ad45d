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

OPTIONS = frozenset({'callback', 'cleanup', 'error', 'readable', 'signal', 'writable'})
Told = Callable[[BaseException | None], object]


def written(stream: Any) -> bool:
    """Whether everything was written, even if 'finish' is still to come."""
    w = stream._w
    if w & W_ABSENT:
        return False
    if w & W_FINISHED:
        return True
    return stream._error is None and bool(w & W_ENDED) and not stream._w_len


def was_read(stream: Any) -> bool:
    """Whether everything was read, even if 'end' is still to come."""
    r = stream._r
    if r & R_ABSENT or stream._error is not None:
        return False
    return bool(r & R_END_EMITTED or (r & R_ENDED and not stream._r_len))


def _may_read(stream: Any) -> bool | None:
    """Whether more can be read; None for a stream that is only written."""
    if not hasattr(stream, 'readable'):
        return None
    return bool(stream.readable) and not stream._r & R_ABSENT


def _may_write(stream: Any) -> bool | None:
    if not hasattr(stream, 'writable'):
        return None
    return bool(stream.writable) and not stream._w & W_ABSENT


class Watch:
    """Calls ``done(error)`` once when the sides of ``stream`` that are asked for are over."""

    __slots__ = (
        '_done',
        '_error',
        '_heard',
        '_read',
        '_stream',
        '_undo',
        '_waits_for_close',
        '_was_read',
        '_write',
        '_written',
    )

    def __init__(
        self,
        stream: Any,
        done: Told,
        readable: bool | None = None,
        writable: bool | None = None,
        error: bool = True,
        signal: Any = None,
    ) -> None:
        has_read = not stream._r & R_ABSENT
        has_write = not stream._w & W_ABSENT
        self._stream = stream
        self._done: Told | None = done
        self._read = has_read if readable is None else bool(readable)
        self._write = has_write if writable is None else bool(writable)
        self._error = error
        self._heard: list[tuple[str, Any]] = []
        self._undo: Callable[[], object] | None = None
        self._was_read = was_read(stream)
        self._written = written(stream)
        life = stream._life
        # A stream that destroys itself is done at 'close', unless only one side is asked for.
        self._waits_for_close = (
            life & (L_AUTO_DESTROY | L_EMIT_CLOSE | L_CLOSED) == L_AUTO_DESTROY | L_EMIT_CLOSE
            and self._read == has_read
            and self._write == has_write
        )
        over, failure = self._over_already()
        if not over and signal is not None and signal.aborted:
            over, failure = True, AbortError(cause=signal.reason)
        elif over and error:
            # A late error is not unheard.
            self._listen('error', _ignore)
        if over:
            _runtime.current().push(self._settle, (failure,))
            return
        if self._write and not hasattr(stream, 'writable'):
            # A writing side was asked for that is not there: it is over with the other one.
            self._listen('end', self._side_written)
            self._listen('close', self._side_written)
        self._listen('end', self._side_read)
        self._listen('finish', self._side_written)
        if error:
            self._listen('error', self._failed)
        self._listen('close', self._closed)
        if signal is not None:
            self._follow(signal)

    def _over_already(self) -> tuple[bool, BaseException | None]:
        """Whether there is nothing to wait for, and the error then."""
        stream = self._stream
        life = stream._life
        if life & L_CLOSED:
            return True, self._error_at_close()
        waits = self._waits_for_close
        if life & L_ERROR_EMITTED:
            over = not waits
        elif not self._read:
            over = (
                (not waits or bool(_may_read(stream)))
                and (self._written or _may_write(stream) is False)
                and not stream._pending
            )
            if not over and not self._write:
                over = (not waits or bool(_may_write(stream))) and (
                    self._was_read or _may_read(stream) is False
                )
        elif not self._write:
            over = (not waits or bool(_may_write(stream))) and (
                self._was_read or _may_read(stream) is False
            )
        else:
            over = False
        return over, stream._error if over else None

    def _listen(self, event: str, listener: Any) -> None:
        self._heard.append((event, listener))
        self._stream.on(event, listener)

    def _follow(self, signal: Any) -> None:
        """Done with an AbortError when ``signal`` aborts; the stream itself is left alone."""

        def abort(_: Any = None) -> None:
            done = self._done
            self.stop()
            if done is not None:
                done(AbortError(cause=signal.reason))

        signal.add_event_listener('abort', abort)
        self._undo = lambda: signal.remove_event_listener('abort', abort)

    def stop(self) -> None:
        """Never call ``done``, and take the listeners away."""
        self._done = None
        heard, self._heard = self._heard, []
        for event, listener in heard:
            self._stream.off(event, listener)
        undo, self._undo = self._undo, None
        if undo is not None:
            undo()

    def _settle(self, error: BaseException | None) -> None:
        done = self._done
        if done is not None:
            # Listeners stay until the stream is closed, so that a late error is not unheard.
            self._done = None
            undo, self._undo = self._undo, None
            if undo is not None:
                undo()
            done(error)

    def _side_written(self) -> None:
        self._written = True
        stream = self._stream
        if stream._life & L_DESTROYED:
            self._waits_for_close = False
        if self._waits_for_close and (not getattr(stream, 'readable', False) or self._read):
            return
        if not self._read or self._was_read:
            self._settle(None)

    def _side_read(self) -> None:
        self._was_read = True
        stream = self._stream
        if stream._life & L_DESTROYED:
            self._waits_for_close = False
        if self._waits_for_close and (not getattr(stream, 'writable', False) or self._write):
            return
        if not self._write or self._written:
            self._settle(None)

    def _failed(self, error: BaseException) -> None:
        self._settle(error)

    def _error_at_close(self) -> BaseException | None:
        stream = self._stream
        if stream._error is not None:
            error: BaseException = stream._error
            return error
        reads = self._read and not stream._r & R_ABSENT
        if (reads and not self._was_read and not was_read(stream)) or (
            self._write and not self._written and not written(stream)
        ):
            return state_error('ERR_STREAM_PREMATURE_CLOSE')
        return None

    def _closed(self) -> None:
        self._settle(self._error_at_close())


def _ignore(_: Any = None) -> None:
    """A listener for an error that was told."""


def finished(stream: Any, options: Any = None, callback: Any = None, /, **keywords: Any) -> Any:
    """Learn when ``stream`` is over: read to its end, written to its end, failed or closed.

    Forms: ``finished(stream, callback)``, ``finished(stream, options, callback)``, or without a
    callback: ``await finished(stream)``. Options (a mapping or keywords): ``readable`` and
    ``writable`` (default: what the stream is; False: do not wait for that side), ``error`` (False:
    'error' events are left to others), ``signal`` (its abort ends the waiting with AbortError),
    ``cleanup`` (what is awaited takes its listeners away in any case).

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
    if given.get('cleanup') is not None and not isinstance(given['cleanup'], bool):
        bad_type('options.cleanup', 'a boolean', given['cleanup'])
    sides = (given.get('readable'), given.get('writable'), given.get('error') is not False)
    if callback is not None:
        watch = Watch(stream, adapt(check_callable('callback', callback)), *sides, signal)
    else:
        waiter = future = _runtime.new_future()

        def settle(error: BaseException | None) -> None:
            if not waiter.done():
                if error is None:
                    waiter.set_result(None)
                else:
                    waiter.set_exception(error)

        watch = Watch(stream, settle, *sides, signal)
        waiter.add_done_callback(lambda _: watch.stop())
    return watch.stop if future is None else future


def watch(stream: Any, done: Told, readable: bool, writable: bool) -> Watch:
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
