"""The writing side of a stream: order, backpressure, cork, end.

All transitions of ``_w`` are here (see ``state.py``). This file refuses to know where bytes go.
They leave through one of two doors:

- the hooks ``_write(chunk, encoding, callback)``, ``_writev(chunks, callback)`` and
  ``_final(callback)``, as in Node; ``callback(error_or_None)`` is called once, now or later;
- the *sink*, the fast door for bytes: ``handle.write(data, None)`` returns 0 (taken), -1
  (``sink_done(stream, code)`` will be called) or a positive code of failure, which ``_sink_error``
  turns into an exception. It is used when nobody has to be told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, cast

from .._coerce import absent
from .._compiled import mypyc_attr
from .._listeners import adapt
from .._validate import bad_type
from ..errors import StreamNullValuesError, state_error
from .encodings import canonical, encode
from .life import can_write, destroy, emit, fail, reading_is_over, take_error, ticks
from .modes import ModeSide
from .read import maybe_read_more
from .state import (
    L_AUTO_DESTROY,
    L_CLOSE_EMITTED,
    L_DESTROYED,
    L_ERROR_EMITTED,
    R_NEED_READABLE,
    W_BUFFERED,
    W_BUSY,
    W_CORKED,
    W_DEAD,
    W_DRAIN_TICK,
    W_ENDED,
    W_ENDING,
    W_FINAL,
    W_FINAL_CALLED,
    W_FINISHED,
    W_FLUSHING,
    W_KEEP_TEXT,
    W_NEED_DRAIN,
    W_NO_SINK,
    W_OBJECT,
    W_PREFINISHED,
    W_SYNC,
    W_TO_TELL,
    W_UNBUILT,
    W_WAIT,
    W_WRITING,
)

__all__ = ['Sink', 'WriteSide']

Done = Callable[[BaseException | None], object]
Sink = Callable[[Any, bytes, None], int]


@mypyc_attr(allow_interpreted_subclasses=True)
class WriteSide(ModeSide):
    """Everything that reads and writes, without its public names."""

    __slots__ = (
        '_corked',
        '_end_callbacks',
        '_pending',
        '_sink',
        '_sink_of',
        '_w_buf',
        '_w_callback',
        '_w_encoding',
        '_w_hwm',
        '_w_len',
        '_w_size',
    )

    _corked: int
    _end_callbacks: list[Done] | None
    _pending: int
    #: ``write`` of the handle's class, and the handle: a bound method would be one object more.
    _sink: Sink | None
    _sink_of: Any
    _w_buf: deque[tuple[Any, Any, Done | None, int]] | None
    _w_callback: Done | None
    _w_encoding: str
    _w_hwm: int
    _w_len: int
    _w_size: int

    # -- hooks ----------------------------------------------------------------------------------

    def _write(self, chunk: Any, encoding: Any, callback: Done) -> None:
        """Hook: write ``chunk`` and call ``callback(error)`` once."""
        raise state_error(
            'ERR_METHOD_NOT_IMPLEMENTED', f'{type(self).__name__}._write() is missing'
        )

    def _writev(self, chunks: list[tuple[Any, Any]], callback: Done) -> None:
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

    def _refused(self, chunk: Any, encoding: Any, size: int) -> None:
        """Hook: the sink has failed at once with this chunk, which is ``size`` bytes long."""

    # -- write ----------------------------------------------------------------------------------

    def _write_chunk(self, chunk: Any, encoding: Any = None, callback: Any = None) -> bool:
        """Write ``chunk``: str, or anything bytes-like.

        Returns False when the caller should wait for 'drain'; the data is queued all the same.
        ``encoding`` is for text, by default utf8. ``callback(error)`` runs when the chunk is
        written, or with the error that prevented it; always later, in the order of the writes.
        Raises ERR_INVALID_ARG_TYPE, ERR_STREAM_NULL_VALUES or ERR_UNKNOWN_ENCODING.

        """
        # Fast path: bytes, nobody to call back, nothing before it: one call of the sink, no
        # change of state (counted in bench/experiments/README.md).
        if callback is None and encoding is None and type(chunk) is bytes and not self._w & W_BUSY:
            sink = self._sink
            if sink is not None:
                code = sink(self._sink_of, chunk, None)
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
                self._refused(chunk, None, size)
                chunk_written(self, self._sink_error(code))
                self._w &= ~W_SYNC
                return False
        if encoding is not None and not isinstance(encoding, str) and callable(encoding):
            encoding, callback = None, encoding
        chunk, name, size = checked_chunk(self, chunk, encoding)
        done: Done | None = adapt(callback) if callable(callback) else None
        return write_any(self, chunk, name, size, done, self._refusal())

    def _refusal(self) -> Exception | None:
        """Why write() cannot take a chunk now; None if it can."""
        return state_refusal(self)

    def _state_refusal(self) -> Exception | None:
        return state_refusal(self)

    def _written(self, error: BaseException | None = None) -> None:
        chunk_written(self, error)

    def _after_write(self, done: Done | None) -> None:
        after_write(self, done)

    def _write_failed_nt(self, error: BaseException, done: Done | None) -> None:
        write_failed_nt(self, error, done)

    def _fail_buffered(self) -> None:
        fail_buffered(self)

    def _built(self) -> None:
        """``_construct`` is done: begin with what has waited for it."""
        if self._r & R_NEED_READABLE:
            maybe_read_more(self)
        if not self._w & W_WRITING:
            write_buffered(self)
        if self._w & W_ENDING:
            finish_maybe(self, False)

    def _before_destroy(self) -> None:
        ticks(self).push(self._fail_buffered, ())

    # -- cork -----------------------------------------------------------------------------------

    def _do_cork(self) -> None:
        self._corked += 1
        self._w |= W_CORKED

    def _do_uncork(self) -> None:
        uncork(self)

    # -- end ------------------------------------------------------------------------------------

    def _do_end(self, chunk: Any, encoding: Any, callback: Any) -> None:
        end_writing(self, chunk, encoding, callback)

    def _final_done(self, error: BaseException | None = None) -> None:
        final_done(self, error)

    # -- what the reading side asks -------------------------------------------------------------

    def _end_writing_nt(self) -> None:
        if can_write(self):
            end_writing(self, None, None, None)


def finish_nt(stream: WriteSide) -> None:
    if needs_finish(stream):
        finish(stream)
    else:
        stream._pending -= 1


def init_write(stream: WriteSide, high_water_mark: int, object_mode: bool) -> None:
    stream._w = (W_OBJECT if object_mode else 0) | W_NO_SINK
    stream._w_hwm = high_water_mark
    #: What is queued, the chunk being written included.
    stream._w_len = 0
    #: Size and callback of the chunk being written.
    stream._w_size = 0
    stream._w_callback = None
    #: (chunk, encoding, callback, size) of what waits.
    stream._w_buf = None
    stream._corked = 0
    #: Callbacks that 'finish' waits for.
    stream._pending = 0
    stream._end_callbacks = None
    stream._w_encoding = 'utf8'
    stream._sink = None
    stream._sink_of = None


def set_sink(stream: WriteSide, handle: Any) -> None:
    """Write to ``handle`` from now on; None: through the hooks."""
    stream._sink_of = handle
    if handle is None:
        stream._sink = None
        stream._w |= W_NO_SINK
    else:
        stream._sink = cast('Any', type(handle)).write
        stream._w &= ~W_NO_SINK


def sink_done(stream: WriteSide, code: int) -> None:
    """A write of the sink that was under way is done."""
    chunk_written(stream, None if code == 0 else stream._sink_error(code))


def checked_chunk(stream: WriteSide, chunk: Any, encoding: Any) -> tuple[Any, Any, int]:
    """The chunk as it will be queued, its encoding and its size; raises what write() raises."""
    if chunk is None:
        raise StreamNullValuesError('None cannot be written to a stream')
    if stream._w & W_OBJECT:
        # Whatever is given goes to the hook as it is, also as the encoding.
        return chunk, encoding, 1
    if absent(encoding):
        name = stream._w_encoding
        known = canonical(name)
    elif encoding == 'buffer' and not isinstance(chunk, str):
        name = known = 'buffer'
    else:
        name, known = encoding, canonical(encoding)
    if isinstance(chunk, str):
        if stream._w & W_KEEP_TEXT:
            return chunk, name, text_length(chunk)
        chunk = encode(chunk, known)
    elif type(chunk) is not bytes:
        try:
            # A snapshot: the caller may change a bytearray while it waits.
            chunk = bytes(memoryview(chunk))
        except TypeError:
            bad_type('chunk', 'a string or bytes-like', chunk)
    return chunk, 'buffer', len(chunk)


def text_length(text: str) -> int:
    """How long JavaScript says that text is: characters beyond U+FFFF count as two."""
    if text.isascii():
        return len(text)
    return len(text.encode('utf-16-le', 'surrogatepass')) // 2


def state_refusal(stream: WriteSide) -> Exception | None:
    if stream._w & W_ENDING:
        return state_error('ERR_STREAM_WRITE_AFTER_END')
    if stream._life & L_DESTROYED:
        return state_error('ERR_STREAM_DESTROYED', 'cannot write: the stream was destroyed')
    return None


def write_any(
    stream: WriteSide, chunk: Any, name: Any, size: int, done: Done | None, error: Exception | None
) -> bool:
    if error is not None:
        if done is not None:
            ticks(stream).push(done, (error,), stream)
        fail(stream, error, True)
        return False
    stream._pending += 1
    stream._w_len += size
    if stream._w & W_WAIT:
        if stream._w_buf is None:
            stream._w_buf = deque()
        stream._w_buf.append((chunk, name, done, size))
        stream._w |= W_BUFFERED
    else:
        send_chunk(stream, chunk, name, size, done)
    # What was written at once does not count (Node 24; before, it did).
    if stream._w_len < stream._w_hwm or stream._w_len == 0:
        return not stream._w & W_DEAD
    stream._w |= W_NEED_DRAIN
    return False


def send_chunk(stream: WriteSide, chunk: Any, name: Any, size: int, done: Done | None) -> None:
    stream._w_size = size
    stream._w_callback = done
    stream._w |= W_WRITING | W_SYNC
    sink = stream._sink
    if sink is not None:
        data = encode(chunk, canonical(name)) if isinstance(chunk, str) else chunk
        code = sink(stream._sink_of, data, None)
        if code > 0:
            stream._refused(chunk, name, len(data))
        if code >= 0:
            chunk_written(stream, None if code == 0 else stream._sink_error(code))
    else:
        stream._write(chunk, name, stream._written)
    stream._w &= ~W_SYNC


def chunk_written(stream: WriteSide, error: BaseException | None = None) -> None:
    """The chunk under way is written, or failed."""
    w = stream._w
    if not w & W_WRITING:
        fail(stream, state_error('ERR_MULTIPLE_CALLBACK', 'a write was reported done twice'))
        return
    done = stream._w_callback
    stream._w_callback = None
    stream._w_len -= stream._w_size
    stream._w_size = 0
    stream._w = w & ~W_WRITING
    if error is not None:
        take_error(stream, error)
        if w & W_SYNC:
            ticks(stream).push(stream._write_failed_nt, (error, done))
        else:
            write_failed_nt(stream, error, done)
        return
    if w & W_BUFFERED:
        write_buffered(stream)
    if not w & W_SYNC:
        after_write(stream, done)
    elif done is not None:
        stream._w |= W_DRAIN_TICK
        ticks(stream).push(stream._after_write, (done,))
    elif not stream._w & W_DRAIN_TICK and (
        # In object mode there is always a tick, as in Node.
        stream._w & W_OBJECT or (stream._w & W_NEED_DRAIN and stream._w_len == 0)
    ):
        stream._w |= W_DRAIN_TICK
        ticks(stream).push(stream._after_write, (None,))
    else:
        stream._pending -= 1
        if stream._w & W_ENDING:
            finish_maybe(stream, True)


def after_write(stream: WriteSide, done: Done | None) -> None:
    w = stream._w = stream._w & ~W_DRAIN_TICK
    if (
        w & W_NEED_DRAIN
        and not w & W_ENDING
        and not stream._life & L_DESTROYED
        and stream._w_len == 0
    ):
        stream._w = w & ~W_NEED_DRAIN
        emit(stream, 'drain')
    stream._pending -= 1
    if done is not None:
        done(None)
    if stream._life & L_DESTROYED:
        fail_buffered(stream)
    if stream._w & W_ENDING:
        finish_maybe(stream, True)


def write_failed_nt(stream: WriteSide, error: BaseException, done: Done | None) -> None:
    stream._pending -= 1
    if done is not None:
        done(error)
    fail_buffered(stream)
    fail(stream, error)


def write_buffered(stream: WriteSide) -> None:
    """Write out what waits, as one vectored write where that is possible."""
    if stream._w & (W_CORKED | W_FLUSHING | W_UNBUILT) or stream._life & L_DESTROYED:
        return
    buffer = stream._w_buf
    if not buffer:
        return
    if len(buffer) > 1 and stream._can_writev():
        stream._w_buf = None
        stream._w &= ~W_BUFFERED
        stream._pending -= len(buffer) - 1
        callbacks = [done for _, _, done, _ in buffer if done is not None]
        stream._w_size = stream._w_len
        stream._w_callback = _all_of(callbacks) if callbacks else None
        stream._w |= W_WRITING | W_SYNC
        stream._writev([(chunk, name) for chunk, name, _, _ in buffer], stream._written)
        stream._w &= ~W_SYNC
        return
    stream._w |= W_FLUSHING
    # Asked for anew each time: a listener that hears of a chunk may write the next one.
    # Nothing goes out after a chunk that failed.
    error = stream._error
    while not stream._w & W_WRITING and stream._error is error:
        buffer = stream._w_buf
        if not buffer:
            break
        chunk, name, done, size = buffer.popleft()
        if not buffer:
            stream._w_buf = None
            stream._w &= ~W_BUFFERED
        send_chunk(stream, chunk, name, size, done)
    stream._w &= ~W_FLUSHING


def fail_buffered(stream: WriteSide) -> None:
    """Tell the callbacks of what was never written."""
    if stream._w & W_WRITING:
        return
    buffer = stream._w_buf
    if buffer is not None:
        # They count as waiting until all of them are told, as in Node: a callback that asks for
        # bytes_written sees them.
        for _, _, done, size in list(buffer):
            stream._w_len -= size
            if done is not None:
                done(stream._error or state_error('ERR_STREAM_DESTROYED'))
        if stream._w_buf is buffer:
            stream._w_buf = None
            stream._w &= ~W_BUFFERED
    call_end_callbacks(stream, stream._error or state_error('ERR_STREAM_DESTROYED'))


def uncork(stream: WriteSide) -> None:
    if stream._corked:
        stream._corked -= 1
        if not stream._corked:
            stream._w &= ~W_CORKED
        if not stream._w & W_WRITING:
            write_buffered(stream)


def end_writing(stream: WriteSide, chunk: Any, encoding: Any, callback: Any) -> None:
    # Nothing is not callable: compiled code asks for it by the name of the function.
    if chunk is not None and callable(chunk):
        chunk, encoding, callback = None, None, chunk
    elif encoding is not None and not isinstance(encoding, str) and callable(encoding):
        encoding, callback = None, encoding
    error: BaseException | None = None
    if chunk is not None:
        ready, name, size = checked_chunk(stream, chunk, encoding)
        refusal = error = state_refusal(stream)
        write_any(stream, ready, name, size, None, refusal)
    if stream._corked:
        stream._corked = 1
        uncork(stream)
    if error is None:
        if stream._error is None and not stream._w & W_ENDING:
            stream._w |= W_ENDING
            finish_maybe(stream, True)
            stream._w |= W_ENDED
        elif stream._w & W_FINISHED:
            error = state_error('ERR_STREAM_ALREADY_FINISHED')
        elif stream._life & L_DESTROYED:
            error = state_error('ERR_STREAM_DESTROYED', 'cannot end: the stream was destroyed')
    if callback is not None and callable(callback):
        done = adapt(callback)
        error = error or stream._error
        if error is None and stream._life & L_DESTROYED:
            # Node 24 never calls it here; ST-16 says that it is told.
            error = state_error('ERR_STREAM_DESTROYED', 'cannot end: the stream was destroyed')
        if error is not None:
            ticks(stream).push(done, (error,), stream)
        elif stream._w & W_FINISHED:
            ticks(stream).push(done, (), stream)
        else:
            if stream._end_callbacks is None:
                stream._end_callbacks = []
            stream._end_callbacks.append(done)
            stream._w |= W_TO_TELL


def needs_finish(stream: WriteSide) -> bool:
    return (
        stream._w & (W_ENDING | W_FINISHED | W_WRITING | W_BUFFERED | W_FLUSHING | W_UNBUILT)
        == W_ENDING
        and stream._w_len == 0
        and stream._error is None
        and not stream._life & (L_DESTROYED | L_ERROR_EMITTED | L_CLOSE_EMITTED)
    )


def finish_maybe(stream: WriteSide, sync: bool) -> None:
    if not needs_finish(stream):
        return
    if stream._w & (W_PREFINISHED | W_FINAL_CALLED):
        pass
    elif not (stream._w & W_FINAL or stream._has_final()):
        stream._w |= W_FINAL_CALLED | W_PREFINISHED
        emit(stream, 'prefinish')
    else:
        stream._w |= W_FINAL_CALLED | W_SYNC
        stream._pending += 1
        try:
            stream._final(stream._final_done)
        except Exception as error:
            final_done(stream, error)
        stream._w &= ~W_SYNC
    if stream._pending == 0 and stream._w & W_PREFINISHED and needs_finish(stream):
        stream._pending += 1
        if sync:
            ticks(stream).push_for(finish_nt, stream)
        else:
            finish(stream)


def final_done(stream: WriteSide, error: BaseException | None = None) -> None:
    if stream._w & W_PREFINISHED:
        twice = state_error('ERR_MULTIPLE_CALLBACK', 'the end was reported done twice')
        fail(stream, error or twice)
        return
    stream._pending -= 1
    if error is not None:
        call_end_callbacks(stream, error)
        fail(stream, error, bool(stream._w & W_SYNC))
    elif needs_finish(stream):
        stream._w |= W_PREFINISHED
        emit(stream, 'prefinish')
        stream._pending += 1
        ticks(stream).push_for(finish, stream)


def finish(stream: WriteSide) -> None:
    stream._pending -= 1
    stream._w |= W_FINISHED
    call_end_callbacks(stream, None)
    emit(stream, 'finish')
    if stream._life & L_AUTO_DESTROY and reading_is_over(stream):
        destroy(stream)


def call_end_callbacks(stream: WriteSide, error: BaseException | None) -> None:
    callbacks = stream._end_callbacks
    if callbacks is None:
        return
    stream._end_callbacks = None
    stream._w &= ~W_TO_TELL
    for done in callbacks:
        if error is None:
            done(None)
        else:
            done(error)


def _all_of(callbacks: list[Done]) -> Done:
    """One callback for a vectored write of several chunks."""

    def done(error: BaseException | None = None) -> None:
        for callback in callbacks:
            callback(error)

    return done
