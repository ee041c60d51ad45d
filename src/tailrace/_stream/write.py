"""The writing side of a stream: order, backpressure, cork, end (ST-15 to ST-23, ST-27).

All transitions of ``_w`` are here (see ``state.py``). This file refuses to know where bytes go.
They leave through one of two doors:

- the hooks ``_write(chunk, encoding, callback)``, ``_writev(chunks, callback)`` and
  ``_final(callback)``, as in Node; ``callback(error_or_None)`` is called once, now or later;
- the *sink*, the fast door for bytes: ``sink(data, done)`` returns 0 (taken, ``done`` is never
  called), -1 (``done(code)`` will be called) or a positive code of failure, which ``_sink_error``
  turns into an exception. It is used when nobody has to be told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from .. import _runtime
from .._compiled import mypyc_attr
from .._listeners import adapt
from .._validate import bad_type
from ..errors import StreamNullValuesError, state_error
from .encodings import canonical, encode
from .modes import ModeSide
from .state import (
    L_AUTO_DESTROY,
    L_CLOSE_EMITTED,
    L_DESTROYED,
    L_ERROR_EMITTED,
    W_ABSENT,
    W_BUFFERED,
    W_BUSY,
    W_CORKED,
    W_DEAD,
    W_DRAIN_TICK,
    W_ENDED,
    W_ENDING,
    W_FINAL_CALLED,
    W_FINISHED,
    W_FLUSHING,
    W_KEEP_TEXT,
    W_NEED_DRAIN,
    W_NO_SINK,
    W_OBJECT,
    W_PREFINISHED,
    W_SYNC,
    W_WAIT,
    W_WRITING,
)

__all__ = ['Sink', 'WriteSide']

Done = Callable[[BaseException | None], object]
Sink = Callable[[bytes, Callable[[int], object]], int]


@mypyc_attr(allow_interpreted_subclasses=True)
class WriteSide(ModeSide):
    """Everything that reads and writes, without its public names."""

    __slots__ = (
        '_corked',
        '_end_callbacks',
        '_pending',
        '_sink',
        '_w_buf',
        '_w_callback',
        '_w_encoding',
        '_w_hwm',
        '_w_len',
        '_w_size',
    )

    def _init_write(self, high_water_mark: int, object_mode: bool) -> None:
        self._w = (W_OBJECT if object_mode else 0) | W_NO_SINK
        self._w_hwm = high_water_mark
        #: What is queued, the chunk being written included.
        self._w_len = 0
        #: Size and callback of the chunk being written.
        self._w_size = 0
        self._w_callback: Done | None = None
        #: (chunk, encoding, callback, size) of what waits.
        self._w_buf: deque[tuple[Any, str, Done | None, int]] | None = None
        self._corked = 0
        #: Callbacks that 'finish' waits for.
        self._pending = 0
        self._end_callbacks: list[Done] | None = None
        self._w_encoding = 'utf8'
        self._sink: Sink | None = None

    # -- hooks ----------------------------------------------------------------------------------

    def _write(self, chunk: Any, encoding: str, callback: Done) -> None:
        """Hook: write ``chunk`` and call ``callback(error)`` once."""
        raise state_error(
            'ERR_METHOD_NOT_IMPLEMENTED', f'{type(self).__name__}._write() is missing'
        )

    def _writev(self, chunks: list[tuple[Any, str]], callback: Done) -> None:
        """Hook: write several (chunk, encoding) at once; used where a subclass defines it."""
        raise state_error('ERR_METHOD_NOT_IMPLEMENTED')

    def _can_writev(self) -> bool:
        return type(self)._writev is not WriteSide._writev

    def _final(self, callback: Done) -> None:
        """Hook: everything is written and end() was called; 'finish' comes after ``callback``."""
        callback(None)

    def _has_final(self) -> bool:
        return type(self)._final is not WriteSide._final

    def _sink_error(self, code: int) -> Exception:
        """Hook: the exception of a failed sink."""
        return OSError(code, 'write failed')

    def _set_sink(self, sink: Sink | None) -> None:
        self._sink = sink
        if sink is None:
            self._w |= W_NO_SINK
        else:
            self._w &= ~W_NO_SINK

    # -- write ----------------------------------------------------------------------------------

    def _write_chunk(self, chunk: Any, encoding: Any = None, callback: Any = None) -> bool:
        """Write ``chunk``: str, or anything bytes-like.

        Returns False when the caller should wait for 'drain'; the data is queued all the same.
        ``encoding`` is for text, by default utf8. ``callback(error)`` runs when the chunk is
        written, or with the error that prevented it; always later, in the order of the writes.
        Raises ERR_INVALID_ARG_TYPE, ERR_STREAM_NULL_VALUES or ERR_UNKNOWN_ENCODING.
        (ST-15, ST-18, ST-19, SK-49, SK-50)
        """
        # Fast path: bytes, nobody to call back, nothing before it: one call of the sink, no
        # change of state (measured in bench/experiments/stream_paths.py).
        if callback is None and encoding is None and type(chunk) is bytes and not self._w & W_BUSY:
            sink = self._sink
            if sink is not None:
                code = sink(chunk, self._sink_done)
                if code == 0:
                    return True
                size = len(chunk)
                self._w |= W_WRITING
                self._w_len = self._w_size = size
                self._pending += 1
                if code < 0:
                    if size < self._w_hwm:
                        return True
                    self._w |= W_NEED_DRAIN
                    return False
                self._w |= W_SYNC
                self._written(self._sink_error(code))
                self._w &= ~W_SYNC
                return False
        if encoding is not None and not isinstance(encoding, str) and callable(encoding):
            encoding, callback = None, encoding
        chunk, name, size = self._checked(chunk, encoding)
        done: Done | None = adapt(callback) if callable(callback) else None
        return self._write_any(chunk, name, size, done, self._refusal())

    def _checked(self, chunk: Any, encoding: Any) -> tuple[Any, str, int]:
        """The chunk as it will be queued, its encoding and its size; raises what write() raises."""
        name = canonical(encoding) if encoding not in (None, '') else self._w_encoding
        if chunk is None:
            raise StreamNullValuesError('None cannot be written to a stream')
        if self._w & W_OBJECT:
            return chunk, name, 1
        if isinstance(chunk, str):
            if self._w & W_KEEP_TEXT:
                return chunk, name, len(chunk)
            chunk = encode(chunk, name)
        elif type(chunk) is not bytes:
            try:
                # A snapshot: the caller may change a bytearray while it waits (GEN-14).
                chunk = bytes(memoryview(chunk))
            except TypeError:
                bad_type('chunk', 'a string or bytes-like', chunk)
        return chunk, 'buffer', len(chunk)

    def _refusal(self) -> Exception | None:
        """Why write() cannot take a chunk now; None if it can."""
        return self._state_refusal()

    def _state_refusal(self) -> Exception | None:
        if self._w & W_ENDING:
            return state_error('ERR_STREAM_WRITE_AFTER_END')
        if self._life & L_DESTROYED:
            return state_error('ERR_STREAM_DESTROYED', 'cannot write: the stream was destroyed')
        return None

    def _write_any(
        self, chunk: Any, name: str, size: int, done: Done | None, error: Exception | None
    ) -> bool:
        if error is not None:
            if done is not None:
                _runtime.current().push(done, (error,))
            self._fail(error, True)
            return False
        self._pending += 1
        self._w_len += size
        if self._w & W_WAIT:
            if self._w_buf is None:
                self._w_buf = deque()
            self._w_buf.append((chunk, name, done, size))
            self._w |= W_BUFFERED
        else:
            self._send(chunk, name, size, done)
        # What was written at once does not count (Node 24; before, it did).
        if self._w_len < self._w_hwm or self._w_len == 0:
            return not self._w & W_DEAD
        self._w |= W_NEED_DRAIN
        return False

    def _send(self, chunk: Any, name: str, size: int, done: Done | None) -> None:
        self._w_size = size
        self._w_callback = done
        self._w |= W_WRITING | W_SYNC
        sink = self._sink
        if sink is not None:
            code = sink(encode(chunk, name) if isinstance(chunk, str) else chunk, self._sink_done)
            if code >= 0:
                self._written(None if code == 0 else self._sink_error(code))
        else:
            self._write(chunk, name, self._written)
        self._w &= ~W_SYNC

    def _sink_done(self, code: int) -> None:
        self._written(None if code == 0 else self._sink_error(code))

    def _written(self, error: BaseException | None = None) -> None:
        """The chunk under way is written, or failed."""
        w = self._w
        if not w & W_WRITING:
            self._fail(state_error('ERR_MULTIPLE_CALLBACK', 'a write was reported done twice'))
            return
        done = self._w_callback
        self._w_callback = None
        self._w_len -= self._w_size
        self._w_size = 0
        self._w = w & ~W_WRITING
        if error is not None:
            self._take_error(error)
            if w & W_SYNC:
                _runtime.current().push(self._write_failed_nt, (error, done))
            else:
                self._write_failed_nt(error, done)
            return
        if w & W_BUFFERED:
            self._write_buffered()
        if not w & W_SYNC:
            self._after_write(done)
        elif done is not None:
            _runtime.current().push(self._after_write, (done,))
        elif (self._w & (W_NEED_DRAIN | W_DRAIN_TICK | W_ENDING)) == W_NEED_DRAIN:
            self._w |= W_DRAIN_TICK
            _runtime.current().push(self._after_write, (None,))
        else:
            self._pending -= 1
            if self._w & W_ENDING:
                self._finish_maybe(True)

    def _after_write(self, done: Done | None) -> None:
        w = self._w = self._w & ~W_DRAIN_TICK
        if (
            w & W_NEED_DRAIN
            and not w & W_ENDING
            and not self._life & L_DESTROYED
            and self._w_len == 0
        ):
            self._w = w & ~W_NEED_DRAIN
            self.emit('drain')
        self._pending -= 1
        if done is not None:
            done(None)
        if self._life & L_DESTROYED:
            self._fail_buffered()
        if self._w & W_ENDING:
            self._finish_maybe(True)

    def _write_failed_nt(self, error: BaseException, done: Done | None) -> None:
        self._pending -= 1
        if done is not None:
            done(error)
        self._fail_buffered()
        self._fail(error)

    def _write_buffered(self) -> None:
        """Write out what waits, as one vectored write where that is possible (ST-21)."""
        if self._w & (W_CORKED | W_FLUSHING) or self._life & L_DESTROYED:
            return
        buffer = self._w_buf
        if not buffer:
            return
        if len(buffer) > 1 and self._can_writev():
            self._w_buf = None
            self._w &= ~W_BUFFERED
            self._pending -= len(buffer) - 1
            callbacks = [done for _, _, done, _ in buffer if done is not None]
            self._w_size = self._w_len
            self._w_callback = _all_of(callbacks) if callbacks else None
            self._w |= W_WRITING | W_SYNC
            self._writev([(chunk, name) for chunk, name, _, _ in buffer], self._written)
            self._w &= ~W_SYNC
            return
        self._w |= W_FLUSHING
        # Asked for anew each time: a listener that hears of a chunk may write the next one.
        # Nothing goes out after a chunk that failed.
        error = self._error
        while not self._w & W_WRITING and self._error is error:
            buffer = self._w_buf
            if not buffer:
                break
            chunk, name, done, size = buffer.popleft()
            if not buffer:
                self._w_buf = None
                self._w &= ~W_BUFFERED
            self._send(chunk, name, size, done)
        self._w &= ~W_FLUSHING

    def _fail_buffered(self) -> None:
        """Tell the callbacks of what was never written."""
        if self._w & W_WRITING:
            return
        buffer, self._w_buf = self._w_buf, None
        self._w &= ~W_BUFFERED
        for _, _, done, size in buffer or ():
            self._w_len -= size
            if done is not None:
                done(self._error or state_error('ERR_STREAM_DESTROYED'))
        self._call_end_callbacks(self._error or state_error('ERR_STREAM_DESTROYED'))

    def _before_destroy(self) -> None:
        if self._w_buf or self._end_callbacks:
            _runtime.current().push(self._fail_buffered, ())

    # -- cork -----------------------------------------------------------------------------------

    def _do_cork(self) -> None:
        self._corked += 1
        self._w |= W_CORKED

    def _do_uncork(self) -> None:
        if self._corked:
            self._corked -= 1
            if not self._corked:
                self._w &= ~W_CORKED
            if not self._w & W_WRITING:
                self._write_buffered()

    # -- end ------------------------------------------------------------------------------------

    def _do_end(self, chunk: Any, encoding: Any, callback: Any) -> None:
        if callable(chunk):
            chunk, encoding, callback = None, None, chunk
        elif not isinstance(encoding, str) and callable(encoding):
            encoding, callback = None, encoding
        error: BaseException | None = None
        if chunk is not None:
            ready, name, size = self._checked(chunk, encoding)
            refusal = error = self._state_refusal()
            self._write_any(ready, name, size, None, refusal)
        if self._corked:
            self._corked = 1
            self._do_uncork()
        if error is None:
            if self._error is None and not self._w & W_ENDING:
                self._w |= W_ENDING
                self._finish_maybe(True)
                self._w |= W_ENDED
            elif self._w & W_FINISHED:
                error = state_error('ERR_STREAM_ALREADY_FINISHED')
            elif self._life & L_DESTROYED:
                error = state_error('ERR_STREAM_DESTROYED', 'cannot end: the stream was destroyed')
        if callable(callback):
            done = adapt(callback)
            error = error or self._error
            if error is None and self._life & L_DESTROYED:
                # Node 24 never calls it here; ST-16 says that it is told.
                error = state_error('ERR_STREAM_DESTROYED', 'cannot end: the stream was destroyed')
            if error is not None:
                _runtime.current().push(done, (error,))
            elif self._w & W_FINISHED:
                _runtime.current().push(done, ())
            else:
                if self._end_callbacks is None:
                    self._end_callbacks = []
                self._end_callbacks.append(done)

    def _needs_finish(self) -> bool:
        return (
            self._w & (W_ENDING | W_FINISHED | W_WRITING | W_BUFFERED | W_FLUSHING) == W_ENDING
            and self._w_len == 0
            and self._error is None
            and not self._life & (L_DESTROYED | L_ERROR_EMITTED | L_CLOSE_EMITTED)
        )

    def _finish_maybe(self, sync: bool) -> None:
        if not self._needs_finish():
            return
        if self._w & (W_PREFINISHED | W_FINAL_CALLED):
            pass
        elif not self._has_final():
            self._w |= W_PREFINISHED
            self.emit('prefinish')
        else:
            self._w |= W_FINAL_CALLED
            self._pending += 1
            try:
                self._final(self._final_done)
            except Exception as error:
                self._final_done(error)
        if self._pending == 0 and self._w & W_PREFINISHED and self._needs_finish():
            self._pending += 1
            if sync:
                _runtime.current().push(self._finish_nt, ())
            else:
                self._finish()

    def _final_done(self, error: BaseException | None = None) -> None:
        if self._w & W_PREFINISHED:
            self._fail(state_error('ERR_MULTIPLE_CALLBACK', 'the end was reported done twice'))
            return
        self._pending -= 1
        if error is not None:
            self._call_end_callbacks(error)
            self._fail(error, True)
        elif self._needs_finish():
            self._w |= W_PREFINISHED
            self.emit('prefinish')
            self._pending += 1
            _runtime.current().push(self._finish, ())

    def _finish_nt(self) -> None:
        if self._needs_finish():
            self._finish()
        else:
            self._pending -= 1

    def _finish(self) -> None:
        self._pending -= 1
        self._w |= W_FINISHED
        self._call_end_callbacks(None)
        self.emit('finish')
        if self._life & L_AUTO_DESTROY and self._reading_is_over():
            self.destroy()

    def _call_end_callbacks(self, error: BaseException | None) -> None:
        callbacks, self._end_callbacks = self._end_callbacks, None
        for done in callbacks or ():
            if error is None:
                done(None)
            else:
                done(error)

    # -- what the reading side asks -------------------------------------------------------------

    def _can_write(self) -> bool:
        return not self._w & (W_ABSENT | W_ENDING | W_DEAD)

    def _end_writing_nt(self) -> None:
        if self._can_write():
            self._do_end(None, None, None)

    def _writing_is_over(self) -> bool:
        return bool(self._w & (W_FINISHED | W_ABSENT))


def _all_of(callbacks: list[Done]) -> Done:
    """One callback for a vectored write of several chunks."""

    def done(error: BaseException | None = None) -> None:
        for callback in callbacks:
            callback(error)

    return done
