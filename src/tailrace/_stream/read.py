"""The reading side of a stream: buffer, 'data', 'readable', 'end' (ST-03 to ST-09).

All transitions of ``_r`` are here and in ``modes.py`` (see ``state.py``). This file refuses to
know where chunks come from: a source gives them to :meth:`ReadSide._push` (or
:meth:`ReadSide._push_bytes`, the fast door of a continuous source), and is asked for more by the
hook ``_read(size)``.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from .. import _runtime
from .._compiled import mypyc_attr
from .._listeners import Listener
from .._validate import check_number, shown
from ..errors import InvalidArgTypeError, state_error
from .encodings import Decoder, canonical, encode, make_decoder
from .feed import Feed
from .life import Life
from .state import (
    L_ALLOW_HALF_OPEN,
    L_AUTO_DESTROY,
    L_CLOSE_EMITTED,
    L_ERROR_EMITTED,
    R_ABSENT,
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
    R_ITERATED,
    R_NEED_READABLE,
    R_OBJECT,
    R_READING,
    R_READING_MORE,
    R_SYNC,
    R_WAIT,
    R_WAIT_MASK,
)

__all__ = ['ReadSide']


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

    def _init_read(self, high_water_mark: int, object_mode: bool) -> None:
        # Until _read() was called once, chunks wait in the buffer: R_SYNC.
        self._r = R_SYNC | (R_OBJECT if object_mode else 0)
        self._r_hwm = high_water_mark
        self._r_len = 0
        self._r_buf: deque[Any] | None = None
        self._decoder: Decoder | None = None
        self._r_encoding: str | None = None
        #: The destinations of pipe(), and those of them whose 'drain' is awaited.
        self._pipes: list[Any] | None = None
        self._awaiting: list[Any] | None = None
        #: The `async for` that gets chunks directly: nobody else listens for 'readable' or 'data'.
        self._feed: Feed | None = None

    def _read(self, size: int) -> None:
        """Hook: get about ``size`` bytes and push them, now or later."""
        raise state_error('ERR_METHOD_NOT_IMPLEMENTED', f'{type(self).__name__}._read() is missing')

    def _may_push_at_once(self) -> None:
        """For a source that pushes without having been asked: no need to wait for _read()."""
        self._r &= ~R_SYNC

    # -- from the source ------------------------------------------------------------------------

    def _push_bytes(self, chunk: bytes) -> bool:
        """A chunk from a continuous source. False: stop, until ``_read`` asks again."""
        # Fast path: flowing, nothing buffered, no decoder. It skips the buffer, the 'read more'
        # tick and emit(): of 2.1 us a chunk in the long way (CPython 3.11) 0.4 us are left.
        if self._r & R_FAST_MASK == R_FAST:
            entry = self._events.get('data')
            if type(entry) is Listener:
                plain = entry.plain
                if plain is not None:
                    plain(chunk)
                    return True
            if entry is not None:
                self.emit('data', chunk)
                return True
        else:
            feed = self._feed
            if (
                feed is not None
                and self._r & R_HAND_MASK == R_HAND
                and chunk
                # An `async for` alone: its task goes on with the chunk, here and now.
                and feed.resume(chunk)
            ):
                return True
            # Somebody waits for 'readable' and nothing is before it: the tick that would tell is
            # the next thing to run anyway.
            if self._r & R_WAIT_MASK == R_WAIT and 0 < len(chunk) < self._r_hwm:
                self._r_buf = deque((chunk,))
                self._r_len = len(chunk)
                self._r = (self._r & ~R_NEED_READABLE) | R_BUFFERED | R_EMITTED_READABLE
                self._emit_readable_nt()
                return True
        return self._push(chunk)

    def _push(self, chunk: Any, encoding: str | None = None) -> bool:
        """A chunk from the source, or None for its end. False: the buffer is full."""
        if chunk is None:
            self._r &= ~R_READING
            self._push_end()
            return False
        chunk = self._as_chunk(chunk, encoding)
        if chunk is None:
            return False
        r = self._r
        if not r & R_CONTINUOUS:
            self._r = r = r & ~R_READING
        if not r & R_OBJECT and not len(chunk):
            self._maybe_read_more()
            return self._can_push()
        if r & R_ENDED:
            self._fail(state_error('ERR_STREAM_PUSH_AFTER_EOF'))
            return False
        if r & R_DEAD:
            return False
        if self._decoder is not None:
            chunk = self._decoder.decode(chunk)
            if not chunk:
                self._maybe_read_more()
                return self._can_push()
        self._add_chunk(chunk)
        return self._can_push()

    def _as_chunk(self, chunk: Any, encoding: str | None) -> Any:
        if self._r & R_OBJECT or type(chunk) is bytes:
            return chunk
        if isinstance(chunk, str):
            name = canonical(encoding or 'utf8')
            return encode(chunk, name)
        try:
            return bytes(memoryview(chunk))
        except TypeError:
            error = InvalidArgTypeError(f'chunk must be str or bytes-like, not {shown(chunk)}')
            self._fail(error)
            return None

    def _can_push(self) -> bool:
        more = not self._r & R_ENDED and (self._r_len < self._r_hwm or self._r_len == 0)
        if not more and self._r & R_CONTINUOUS:
            self._r &= ~R_READING
        return more

    def _size(self, chunk: Any) -> int:
        return 1 if self._r & R_OBJECT else len(chunk)

    def _add_chunk(self, chunk: Any, first: bool = False) -> None:
        r = self._r
        if r & R_FLOW and not r & R_SYNC and self._r_len == 0 and 'data' in self._events:
            self._r = r | R_DID_READ
            self._awaiting = None
            self.emit('data', chunk)
        else:
            if self._r_buf is None:
                self._r_buf = deque()
            if first:
                self._r_buf.appendleft(chunk)
            else:
                self._r_buf.append(chunk)
            self._r_len += self._size(chunk)
            self._r |= R_BUFFERED
            if self._r & R_NEED_READABLE:
                self._emit_readable()
        self._maybe_read_more()

    def _push_end(self) -> None:
        if self._r & R_ENDED:
            return
        if self._decoder is not None:
            rest = self._decoder.decode(b'', True)
            if rest:
                if self._r_buf is None:
                    self._r_buf = deque()
                self._r_buf.append(rest)
                self._r_len += self._size(rest)
                self._r |= R_BUFFERED
        self._r |= R_ENDED
        if self._r & R_SYNC:
            self._emit_readable()
        else:
            self._r = (self._r & ~R_NEED_READABLE) | R_EMITTED_READABLE
            self._emit_readable_nt()

    def _put_back(self, chunk: Any, encoding: str | None = None) -> bool:
        """Put a chunk in front of what is buffered (ST-09)."""
        if chunk is None:
            self._r &= ~R_READING
            self._push_end()
            return False
        chunk = self._as_chunk(chunk, encoding)
        if chunk is None:
            return False
        if self._decoder is not None and isinstance(chunk, bytes):
            chunk = make_decoder(self._r_encoding or 'utf8').decode(chunk, True)
        if not self._r & R_OBJECT and not len(chunk):
            return self._can_push()
        if self._r & R_END_EMITTED:
            self._fail(state_error('ERR_STREAM_UNSHIFT_AFTER_END_EVENT'))
            return False
        if self._r & R_DEAD:
            return False
        self._add_chunk(chunk, True)
        return self._can_push()

    # -- asking for more ------------------------------------------------------------------------

    def _maybe_read_more(self) -> None:
        # A source that reads by itself need not be asked: no tick per chunk.
        if not self._r & (R_READING_MORE | R_READING):
            self._r |= R_READING_MORE
            _runtime.current().push(self._read_more_nt, ())

    def _read_more_nt(self) -> None:
        while not self._r & (R_READING | R_ENDED | R_DEAD) and (
            self._r_len < self._r_hwm or (self._r & R_FLOW and self._r_len == 0)
        ):
            before = self._r_len
            self._take(0)
            if before == self._r_len:
                break
        self._r &= ~R_READING_MORE

    def _ask(self) -> None:
        """Call the hook ``_read``; its exception ends the stream."""
        self._r |= R_READING | R_SYNC
        if self._r_len == 0:
            self._r |= R_NEED_READABLE
        try:
            self._read(self._r_hwm)
        except Exception as error:
            self._fail(error)
        self._r &= ~R_SYNC

    def _reads_by_itself(self) -> None:
        """The source of a new stream has begun: what ``_take(0)`` comes to then."""
        self._r = (self._r & ~R_SYNC) | R_READING | R_NEED_READABLE

    # -- to the consumer ------------------------------------------------------------------------

    def _take(self, size: Any = None) -> Any:
        """``read(size)``: None when there is not enough (ST-04)."""
        if size is None:
            wanted = -1
        else:
            wanted = int(check_number('size', size))
            if wanted > self._r_hwm:
                self._r_hwm = _next_power_of_two(wanted)
        if wanted != 0:
            self._r &= ~R_EMITTED_READABLE
        r = self._r
        if (
            wanted == 0
            and r & R_NEED_READABLE
            and ((self._r_len >= self._r_hwm if self._r_hwm else self._r_len > 0) or r & R_ENDED)
        ):
            if self._r_len == 0 and r & R_ENDED:
                self._end_reading()
            else:
                self._emit_readable()
            return None
        count = self._how_much(wanted)
        if count == 0 and r & R_ENDED:
            if self._r_len == 0:
                self._end_reading()
            return None
        if (
            r & R_NEED_READABLE or self._r_len == 0 or self._r_len - count < self._r_hwm
        ) and not r & (R_ENDED | R_READING | R_DEAD):
            self._ask()
            if not self._r & R_READING:
                count = self._how_much(wanted)
        out = self._from_buffer(count) if count > 0 else None
        if out is None:
            if self._r_len <= self._r_hwm:
                self._r |= R_NEED_READABLE
            else:
                self._r &= ~R_NEED_READABLE
            count = 0
        else:
            self._awaiting = None
        if self._r_len == 0:
            if not self._r & R_ENDED:
                self._r |= R_NEED_READABLE
            elif wanted != count:
                self._end_reading()
        if out is not None and not self._life & (L_ERROR_EMITTED | L_CLOSE_EMITTED):
            self._r |= R_DID_READ
            self.emit('data', out)
        return out

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
        return self._take()

    def _how_much(self, wanted: int) -> int:
        if wanted == 0 or (self._r_len == 0 and self._r & R_ENDED):
            return 0
        if self._r & R_OBJECT:
            return 1
        if wanted < 0:
            # While flowing chunks come out one by one, as they came in.
            if self._r & R_FLOW and self._r_len and self._r_buf:
                return len(self._r_buf[0])
            return self._r_len
        if wanted <= self._r_len:
            return wanted
        return self._r_len if self._r & R_ENDED else 0

    def _from_buffer(self, count: int) -> Any:
        buffer = self._r_buf
        if not buffer:
            return None
        if self._r & R_OBJECT:
            self._r_len -= 1
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
                parts = []
                left = count
                while left:
                    first = buffer.popleft()
                    if len(first) > left:
                        buffer.appendleft(first[left:])
                        first = first[:left]
                    parts.append(first)
                    left -= len(first)
                out = ('' if isinstance(parts[0], str) else b'').join(parts)
            self._r_len -= count
        if not buffer:
            self._r &= ~R_BUFFERED
            self._r_buf = None
        return out

    def _emit_readable(self) -> None:
        self._r &= ~R_NEED_READABLE
        if not self._r & R_EMITTED_READABLE:
            self._r |= R_EMITTED_READABLE
            _runtime.current().push(self._emit_readable_nt, ())

    def _emit_readable_nt(self) -> None:
        r = self._r
        if not r & R_DEAD and (self._r_len or r & R_ENDED):
            self.emit('readable')
            self._r &= ~R_EMITTED_READABLE
        if not self._r & (R_FLOW | R_ENDED) and self._r_len <= self._r_hwm:
            self._r |= R_NEED_READABLE
        self._flow()

    def _flow(self) -> None:
        while self._r & R_FLOW and self._take() is not None:
            pass

    # -- the end --------------------------------------------------------------------------------

    def _end_reading(self) -> None:
        if not self._r & R_END_EMITTED:
            self._r |= R_ENDED | R_END_SCHEDULED
            _runtime.current().push(self._end_nt, ())

    def _end_nt(self) -> None:
        if self._error is not None or self._life & L_CLOSE_EMITTED:
            return
        if self._r & R_END_EMITTED or self._r_len:
            return
        self._r |= R_END_EMITTED
        self.emit('end')
        if not self._life & L_ALLOW_HALF_OPEN and self._can_write():
            _runtime.current().push(self._end_writing_nt, ())
        elif self._life & L_AUTO_DESTROY and self._writing_is_over():
            self.destroy()

    def _begin_iterating(self) -> None:
        """An ``async for`` begins."""
        self._r |= R_ITERATED

    def _can_write(self) -> bool:
        """Whether there is a writing side that is still open."""
        return False

    def _end_writing_nt(self) -> None:
        """End the writing side because the reading side is over."""

    def _writing_is_over(self) -> bool:
        return True

    def _reading_is_over(self) -> bool:
        """Whether nothing will come out any more: ended, or there is no reading side."""
        return bool(self._r & (R_END_EMITTED | R_ABSENT))


def _next_power_of_two(n: int) -> int:
    return 1 << (min(n, 1 << 30) - 1).bit_length()
