"""The reading side of a stream: buffer, 'data', 'readable', 'end'.

All transitions of ``_r`` are here and in ``modes.py`` (see ``state.py``). This file refuses to
know where chunks come from: a source gives them to :meth:`ReadSide._push` (or
:meth:`ReadSide._push_bytes`, the fast door of a continuous source), and is asked for more by the
hook ``_read(size)``.
"""

from __future__ import annotations

from collections import deque
from types import CoroutineType
from typing import Any, Final

from .._coerce import leading_int
from .._compiled import mypyc_attr
from .._listeners import Listener
from .._validate import bad_type, out_of_range, shown
from ..errors import InvalidArgTypeError, state_error
from .encodings import Decoder, canonical, encode, make_decoder
from .feed import Feed
from .life import (
    Life,
    can_write,
    destroy,
    emit,
    emit_value,
    fail,
    ticks,
    writing_is_over,
)
from .state import (
    L_ALLOW_HALF_OPEN,
    L_AUTO_DESTROY,
    L_CLOSE_EMITTED,
    L_ERROR_EMITTED,
    R_BUFFERED,
    R_CONTINUOUS,
    R_DEAD,
    R_DID_READ,
    R_EMITTED_READABLE,
    R_END_EMITTED,
    R_END_SCHEDULED,
    R_ENDED,
    R_FAST,
    R_FAST_MASK,
    R_FLOW,
    R_HAND,
    R_HAND_MASK,
    R_HEARD,
    R_ITERATED,
    R_NEED_READABLE,
    R_OBJECT,
    R_READING,
    R_READING_MORE,
    R_SYNC,
    R_UNBUILT,
    R_WAIT,
    R_WAIT_MASK,
)

__all__ = ['ReadSide']


#: What ``read`` asks for when it is given no count, or a negative one.
ALL: Final = -1
NOTHING: Final = -2
#: The most that can be asked for at once, as in Node: 1 GiB.
MAX_MARK: Final = 1 << 30


@mypyc_attr(allow_interpreted_subclasses=True)
class ReadSide(Life):
    """Everything that reads, without its public names."""

    __slots__ = (
        '_awaiting',
        '_decoder',
        '_feed',
        '_pipes',
        '_r_buf',
        '_r_encoding',
        '_r_hwm',
        '_r_len',
    )

    _awaiting: list[Any] | None
    _decoder: Decoder | None
    #: The `async for` that gets chunks directly: nobody else listens for 'readable' or 'data'.
    _feed: Feed | None
    _pipes: list[Any] | None
    _r_buf: deque[Any] | None
    _r_encoding: str | None
    _r_hwm: int
    _r_len: int

    def _read(self, size: int) -> None:
        """Hook: get about ``size`` bytes and push them, now or later."""
        raise state_error('ERR_METHOD_NOT_IMPLEMENTED', f'{type(self).__name__}._read() is missing')

    def _may_push_at_once(self) -> None:
        """For a source that pushes without having been asked: no need to wait for _read()."""
        self._r &= ~R_SYNC

    # -- from the source ------------------------------------------------------------------------

    def _push_bytes(self, chunk: bytes) -> bool:
        """A chunk from a continuous source. False: stop, until ``_read`` asks again."""
        return push_bytes(self, chunk)

    def _push(self, chunk: Any, encoding: Any = None) -> bool:
        """A chunk from the source, or None for its end; False: the buffer is full.

        A chunk after the end: 'error' ERR_STREAM_PUSH_AFTER_EOF. Text is of ``encoding`` (utf8).
        """
        return push_chunk(self, chunk, encoding)

    def _put_back(self, chunk: Any, encoding: Any = None) -> bool:
        """Put a chunk in front of what is buffered; False: the buffer is full.

        After 'end': 'error' ERR_STREAM_UNSHIFT_AFTER_END_EVENT.
        """
        if chunk is None:
            self._r &= ~R_READING
            push_end(self)
            return False
        chunk = as_chunk(self, chunk, encoding)
        if chunk is None:
            return False
        if not self._r & R_OBJECT and not len(chunk):
            return can_push(self)
        if self._r & R_END_EMITTED:
            fail(self, state_error('ERR_STREAM_UNSHIFT_AFTER_END_EVENT'))
            return False
        if self._r & R_DEAD:
            return False
        if self._decoder is not None and isinstance(chunk, bytes):
            chunk = make_decoder(canonical(self._r_encoding)).decode(chunk, True)
        if self._r & R_OBJECT or len(chunk):
            add_chunk(self, chunk, True)
        return can_push(self)

    # -- asking for more ------------------------------------------------------------------------

    # -- to the consumer ------------------------------------------------------------------------

    def _take(self, size: Any = None) -> Any:
        return take(self, size)

    def _take_waiting(self) -> Any:
        """``_take()`` for who reads chunk by chunk: the same, with its two usual cases first."""
        r = self._r
        if r & (R_READING | R_ENDED | R_DEAD | R_FLOW | R_OBJECT) == R_READING:
            buffer = self._r_buf
            if not self._r_len:
                self._r = (r & ~R_EMITTED_READABLE) | R_NEED_READABLE
                return None
            if buffer is not None and len(buffer) == 1 and 'data' not in self._events:
                self._r_buf = None
                self._r_len = 0
                self._awaiting = None
                self._r = (r & ~(R_EMITTED_READABLE | R_BUFFERED)) | R_NEED_READABLE | R_DID_READ
                return buffer[0]
        return take(self)

    # -- the end --------------------------------------------------------------------------------

    def _begin_iterating(self) -> None:
        """An ``async for`` begins."""
        self._r |= R_ITERATED

    def _end_writing_nt(self) -> None:
        """End the writing side because the reading side is over."""


def push_bytes(stream: ReadSide, chunk: bytes) -> bool:
    """See :meth:`ReadSide._push_bytes`."""
    # Fast path: flowing, nothing buffered, no decoder. It skips the buffer, the 'read more'
    # tick and emit(): of 2.1 us a chunk in the long way (CPython 3.11) 0.4 us are left.
    if stream._r & R_FAST_MASK == R_FAST:
        entry = stream._events.get('data')
        if type(entry) is Listener:
            plain = entry.plain
            if plain is not None:
                result = plain(chunk)
                # What write() gives is told apart without looking at its type: 80 instructions.
                if (
                    result is not None
                    and result is not True
                    and result is not False
                    and type(result) is CoroutineType
                ):
                    stream._returned('data', result, (chunk,))
                return True
        if entry is not None:
            emit_value(stream, 'data', chunk)
            return True
    else:
        feed = stream._feed
        if (
            feed is not None
            and stream._r & R_HAND_MASK == R_HAND
            and chunk
            # An `async for` alone: its task goes on with the chunk, here and now.
            and feed.resume(chunk)
        ):
            return True
        # Somebody waits for 'readable' and nothing is before it: the tick that would tell is
        # the next thing to run anyway.
        if stream._r & R_WAIT_MASK == R_WAIT and 0 < len(chunk) < stream._r_hwm:
            stream._r_buf = deque((chunk,))
            stream._r_len = len(chunk)
            stream._r = (stream._r & ~R_NEED_READABLE) | R_BUFFERED | R_EMITTED_READABLE
            emit_readable_nt(stream)
            return True
    return push_chunk(stream, chunk)


def read_more_nt(stream: ReadSide) -> None:
    while not stream._r & (R_READING | R_ENDED | R_DEAD) and (
        stream._r_len < stream._r_hwm or (stream._r & R_FLOW and stream._r_len == 0)
    ):
        before = stream._r_len
        take(stream, 0)
        if before == stream._r_len:
            break
    stream._r &= ~R_READING_MORE


def end_nt(stream: ReadSide) -> None:
    stream._r &= ~R_END_SCHEDULED
    if stream._error is not None or stream._life & L_CLOSE_EMITTED:
        return
    if stream._r & R_END_EMITTED or stream._r_len:
        return
    stream._r |= R_END_EMITTED
    emit(stream, 'end')
    if not stream._life & L_ALLOW_HALF_OPEN and can_write(stream):
        ticks(stream).push_for(end_writing_nt, stream)
    elif stream._life & L_AUTO_DESTROY and writing_is_over(stream):
        destroy(stream)


def end_writing_nt(stream: Any) -> None:
    stream._end_writing_nt()


def init_read(stream: ReadSide, high_water_mark: int, object_mode: bool) -> None:
    # Until _read() was called once, chunks wait in the buffer: R_SYNC.
    stream._r = R_SYNC | (R_OBJECT if object_mode else 0)
    stream._r_hwm = high_water_mark
    stream._r_len = 0
    stream._r_buf = None
    stream._decoder = None
    stream._r_encoding = None
    #: The destinations of pipe(), and those of them whose 'drain' is awaited.
    stream._pipes = None
    stream._awaiting = None
    stream._feed = None


def push_chunk(stream: ReadSide, chunk: Any, encoding: Any = None) -> bool:
    """A chunk from the source, or None for its end. False: the buffer is full."""
    if chunk is None:
        stream._r &= ~R_READING
        push_end(stream)
        return False
    text = stream._decoder is not None and isinstance(chunk, str) and is_encoded(stream, encoding)
    if not text:
        chunk = as_chunk(stream, chunk, encoding)
        if chunk is None:
            return False
    r = stream._r
    if not r & R_OBJECT and not len(chunk):
        if not r & R_CONTINUOUS:
            stream._r = r & ~R_READING
        maybe_read_more(stream)
        return can_push(stream)
    if r & R_ENDED:
        fail(stream, state_error('ERR_STREAM_PUSH_AFTER_EOF'))
        return False
    if r & R_DEAD:
        return False
    if not r & R_CONTINUOUS:
        stream._r = r & ~R_READING
    if stream._decoder is not None and not text:
        chunk = decoded(stream._decoder, chunk)
        if not chunk and not r & R_OBJECT:
            maybe_read_more(stream)
            return can_push(stream)
    add_chunk(stream, chunk)
    return can_push(stream)


def is_encoded(stream: ReadSide, encoding: Any) -> bool:
    """Whether text of this encoding is what the stream gives out: it is not decoded again."""
    if stream._r & R_OBJECT:
        return bool(encoding)
    return bool((encoding or 'utf8') == stream._r_encoding)


def decoded(decoder: Decoder, chunk: Any) -> Any:
    """A chunk as text; text stays as it is. Others raise ERR_INVALID_ARG_TYPE."""
    if isinstance(chunk, str):
        return chunk
    if not isinstance(chunk, bytes):
        bad_type('chunk', 'bytes, since the stream has an encoding', chunk)
    return decoder.decode(chunk)


def as_chunk(stream: ReadSide, chunk: Any, encoding: Any) -> Any:
    if stream._r & R_OBJECT or type(chunk) is bytes:
        return chunk
    if isinstance(chunk, str):
        name = canonical(encoding or 'utf8')
        return encode(chunk, name)
    try:
        return bytes(memoryview(chunk))
    except TypeError:
        error = InvalidArgTypeError(f'chunk must be str or bytes-like, not {shown(chunk)}')
        fail(stream, error)
        return None


def can_push(stream: ReadSide) -> bool:
    more = not stream._r & R_ENDED and (stream._r_len < stream._r_hwm or stream._r_len == 0)
    if not more and stream._r & R_CONTINUOUS:
        stream._r &= ~R_READING
    return more


def size_of(stream: ReadSide, chunk: Any) -> int:
    return 1 if stream._r & R_OBJECT else len(chunk)


def add_chunk(stream: ReadSide, chunk: Any, first: bool = False) -> None:
    r = stream._r
    if r & (R_FLOW | R_SYNC | R_HEARD) == R_FLOW | R_HEARD and stream._r_len == 0:
        stream._r = r | R_DID_READ
        stream._awaiting = None
        emit_value(stream, 'data', chunk)
    else:
        if stream._r_buf is None:
            stream._r_buf = deque()
        if first:
            stream._r_buf.appendleft(chunk)
        else:
            stream._r_buf.append(chunk)
        stream._r_len += size_of(stream, chunk)
        stream._r |= R_BUFFERED
        if stream._r & R_NEED_READABLE:
            emit_readable(stream)
    maybe_read_more(stream)


def push_end(stream: ReadSide) -> None:
    if stream._r & R_ENDED:
        return
    if stream._decoder is not None:
        rest = stream._decoder.decode(b'', True)
        if rest:
            if stream._r_buf is None:
                stream._r_buf = deque()
            stream._r_buf.append(rest)
            stream._r_len += size_of(stream, rest)
            stream._r |= R_BUFFERED
    stream._r |= R_ENDED
    if stream._r & R_SYNC:
        emit_readable(stream)
    else:
        stream._r = (stream._r & ~R_NEED_READABLE) | R_EMITTED_READABLE
        emit_readable_nt(stream)


def maybe_read_more(stream: ReadSide) -> None:
    # A source that reads by itself need not be asked: no tick per chunk.
    if not stream._r & (R_READING_MORE | R_READING | R_UNBUILT):
        stream._r |= R_READING_MORE
        ticks(stream).push_for(read_more_nt, stream)


def ask_source(stream: ReadSide) -> None:
    """Call the hook ``_read``; its exception ends the stream."""
    stream._r |= R_READING | R_SYNC
    if stream._r_len == 0:
        stream._r |= R_NEED_READABLE
    try:
        stream._read(stream._r_hwm)
    except Exception as error:
        fail(stream, error)
    stream._r &= ~R_SYNC


def take(stream: ReadSide, size: Any = None) -> Any:
    """``read(size)``: None when there is not enough."""
    if size is None:
        wanted = ALL
    elif type(size) is int and size == 0:
        wanted = 0
    else:
        wanted = _size(size)
        if wanted > stream._r_hwm:
            stream._r_hwm = _next_power_of_two(wanted)
    if wanted != 0:
        stream._r &= ~R_EMITTED_READABLE
    r = stream._r
    if (
        wanted == 0
        and r & R_NEED_READABLE
        and (
            (stream._r_len >= stream._r_hwm if stream._r_hwm else stream._r_len > 0) or r & R_ENDED
        )
    ):
        if stream._r_len == 0 and r & R_ENDED:
            end_reading(stream)
        else:
            emit_readable(stream)
        return None
    count = how_much(stream, wanted)
    if count == 0 and r & R_ENDED:
        if stream._r_len == 0:
            end_reading(stream)
        return None
    if (
        r & R_NEED_READABLE or stream._r_len == 0 or stream._r_len - count < stream._r_hwm
    ) and not r & (R_ENDED | R_READING | R_DEAD | R_UNBUILT):
        ask_source(stream)
        if not stream._r & R_READING:
            count = how_much(stream, wanted)
    out = from_buffer(stream, count) if count > 0 else None
    if out is None:
        if stream._r_len <= stream._r_hwm:
            stream._r |= R_NEED_READABLE
        else:
            stream._r &= ~R_NEED_READABLE
        count = 0
    else:
        stream._awaiting = None
    if stream._r_len == 0:
        if not stream._r & R_ENDED:
            stream._r |= R_NEED_READABLE
        elif wanted != count:
            end_reading(stream)
    if out is not None and not stream._life & (L_ERROR_EMITTED | L_CLOSE_EMITTED):
        stream._r |= R_DID_READ
        emit_value(stream, 'data', out)
    return out


def _size(size: Any) -> int:
    """A count of bytes as ``parseInt`` reads it; ALL if it is no number, NOTHING if negative."""
    whole = leading_int(size)
    if whole is None:
        if isinstance(size, bool) or not isinstance(size, (int, float, str)):
            bad_type('size', 'a number', size)
        return ALL
    if whole > MAX_MARK:
        out_of_range('size', f'at most {MAX_MARK}', size)
    return whole if whole >= 0 else NOTHING


def how_much(stream: ReadSide, wanted: int) -> int:
    if wanted == 0 or wanted == NOTHING or (stream._r_len == 0 and stream._r & R_ENDED):
        return 0
    if stream._r & R_OBJECT:
        return 1
    if wanted < 0:
        # While flowing chunks come out one by one, as they came in.
        if stream._r & R_FLOW and stream._r_len and stream._r_buf:
            return len(stream._r_buf[0])
        return stream._r_len
    if wanted <= stream._r_len:
        return wanted
    return stream._r_len if stream._r & R_ENDED else 0


def from_buffer(stream: ReadSide, count: int) -> Any:
    buffer = stream._r_buf
    if not buffer:
        return None
    if stream._r & R_OBJECT:
        stream._r_len -= 1
        out: Any = buffer.popleft()
    else:
        first = buffer[0]
        size = len(first)
        if size == count:
            out = buffer.popleft()
        elif size > count:
            out = first[:count]
            buffer[0] = first[count:]
        else:
            parts: list[Any] = []
            left = count
            while left:
                first = buffer.popleft()
                if len(first) > left:
                    buffer.appendleft(first[left:])
                    first = first[:left]
                parts.append(first)
                left -= len(first)
            out = ('' if isinstance(parts[0], str) else b'').join(parts)
        stream._r_len -= count
    if not buffer:
        stream._r &= ~R_BUFFERED
        stream._r_buf = None
    return out


def emit_readable(stream: ReadSide) -> None:
    stream._r &= ~R_NEED_READABLE
    if not stream._r & R_EMITTED_READABLE:
        stream._r |= R_EMITTED_READABLE
        ticks(stream).push_for(emit_readable_nt, stream)


def emit_readable_nt(stream: ReadSide) -> None:
    r = stream._r
    if not r & R_DEAD and (stream._r_len or r & R_ENDED):
        emit(stream, 'readable')
        stream._r &= ~R_EMITTED_READABLE
    if not stream._r & (R_FLOW | R_ENDED) and stream._r_len <= stream._r_hwm:
        stream._r |= R_NEED_READABLE
    flow(stream)


def flow(stream: ReadSide) -> None:
    while stream._r & R_FLOW and take(stream) is not None:
        pass


def end_reading(stream: ReadSide) -> None:
    if not stream._r & (R_END_EMITTED | R_END_SCHEDULED):
        stream._r |= R_ENDED | R_END_SCHEDULED
        ticks(stream).push_for(end_nt, stream)


def _next_power_of_two(n: int) -> int:
    return 1 << (min(n, 1 << 30) - 1).bit_length()
