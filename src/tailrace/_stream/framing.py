"""Reading by length, by separator and by line, for people who write protocols.

Nothing is taken out of a stream's buffer before the whole answer is there: an error, a limit that
is exceeded and a cancellation all leave the data where it was. This file refuses to know where the
data comes from; it looks at the buffer and asks for more as ``read()`` does.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, overload

from .._names import node_names
from .._validate import bad_type, bad_value, check_int
from ..errors import IncompleteReadError, LimitOverrunError, state_error
from .reader import Reader, is_lost, reader_of
from .state import (
    L_DESTROYED,
    R_END_EMITTED,
    R_ENDED,
    R_FLOW,
    R_OBJECT,
    R_READING,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ['LIMIT', 'Framing', 'read_some']

#: The longest line, or data up to a separator, that is read unless another limit is given.
LIMIT = 65536

_MOST = 2**53


@node_names
class Framing:
    """The reading helpers, for a Readable to derive from."""

    __slots__ = ()

    # bytes | Any: text after set_encoding(), which no type says; a checker then accepts either.
    async def read_exactly(self, size: int, /) -> bytes | Any:
        """Wait for exactly ``size`` bytes and take them; characters after ``set_encoding``.

        ``size`` may be larger than the high-water mark, which is raised while this waits. Goes
        together with ``read``, ``unshift``, ``pause`` and ``async for`` on the same stream.

        Raises IncompleteReadError (ERR_INCOMPLETE_READ, an EOFError) if the stream ends before:
        its ``partial`` is what there is, which stays in the buffer, its ``expected`` is ``size``.
        Raises the error of a stream that fails (of a connection that the peer has reset: once what
        came before that was read), ERR_STREAM_PREMATURE_CLOSE if it is destroyed,
        ERR_STREAM_FLOWING if it has 'data' listeners or flows, ERR_STREAM_READ_PENDING if another
        such call waits, ERR_INVALID_ARG_TYPE or ERR_OUT_OF_RANGE for ``size``. Cancelling it
        leaves the data in the buffer.
        """
        return await _exactly(self, size)

    @overload
    async def read_until(self, separator: str, /, *, limit: int | None = LIMIT) -> str: ...

    @overload
    async def read_until(self, separator: Buffer, /, *, limit: int | None = LIMIT) -> bytes: ...

    async def read_until(self, separator: Any, /, *, limit: int | None = LIMIT) -> Any:
        """Wait for ``separator`` and take everything up to and including it.

        ``separator`` is bytes, or text after ``set_encoding``. ``limit`` (bytes or characters,
        default 65536) is the longest answer, the separator included; None: no limit.

        Raises LimitOverrunError (ERR_LIMIT_OVERRUN) when there is no separator within ``limit``:
        its ``consumed`` is how much can be taken with ``read`` without tearing a separator. Raises
        IncompleteReadError if the stream ends before, with ``expected`` None. After either the
        data is still in the buffer. Otherwise as :meth:`read_exactly`.
        """
        return await _until(self, separator, limit)

    async def read_line(self, /, *, limit: int | None = LIMIT) -> bytes | Any:
        r"""Wait for a line and take it: everything up to and including ``\n``.

        At the end of the stream what is left is the last line, and after that empty: so ``while
        line := await sock.read_line():`` reads them all. ``limit`` (bytes or characters, default
        65536) is the longest line, its end included; None: no limit. A longer one raises
        LimitOverrunError and stays in the buffer. Otherwise as :meth:`read_exactly`.
        """
        return await _until(self, None, limit)

    if TYPE_CHECKING:  # Node's spellings; see node_names
        readExactly = read_exactly
        readUntil = read_until
        readLine = read_line


async def _exactly(stream: Any, size: int) -> Any:
    check_int('size', size, 0, _MOST)
    _check(stream)
    if stream._r_len < size:
        reader = reader_of(stream)
        try:
            while stream._r_len < size:
                if not await reader.more(size):
                    raise IncompleteReadError(_joined(stream), size)
        except BaseException:
            reader.stop(True)
            raise
        reader.stop(False)
    return _taken(stream, size)


async def read_some(stream: Any, most: int) -> Any:
    """Wait for data and take at most ``most`` of it; empty at the end of the stream."""
    _check(stream)
    if not stream._r_len:
        reader = reader_of(stream)
        try:
            while not stream._r_len and await reader.more(1):
                pass
        except BaseException:
            reader.stop(True)
            raise
        reader.stop(False)
    return _taken(stream, min(most, stream._r_len))


async def _until(stream: Any, separator: Any, limit: int | None) -> Any:
    """``separator`` None: a line, and the end of the stream ends it too."""
    if limit is not None:
        check_int('limit', limit, 1, _MOST)
    _check(stream)
    reader: Reader | None = None
    #: What was searched already, and from where to go on in it.
    seen: Any = None
    start = 0
    failed = True
    try:
        while True:
            data = _joined(stream)
            mark = _separator(stream, separator)
            if data is not seen:
                start = 0
            at = data.find(mark, start)
            end = at + len(mark)
            if at >= 0 and (limit is None or end <= limit):
                failed = False
                return _taken(stream, end)
            keep = max(0, len(data) - len(mark) + 1)
            # A line may be as long as the limit and have no end: the stream's may come next.
            if limit is not None and len(data) >= limit + (separator is None):
                raise LimitOverrunError(at if at >= 0 else keep, limit)
            if reader is None:
                reader = reader_of(stream)
            if not await reader.more(len(data) + 1):
                data = _joined(stream)
                if separator is None:
                    failed = False
                    return _taken(stream, len(data))
                raise IncompleteReadError(data, None)
            buffer = stream._r_buf
            seen, start = None, 0
            if buffer and buffer[0] is data and type(data) is type(mark):
                # What comes in was put behind it: join now, and search the new part only.
                seen, start = _joined(stream), keep
    finally:
        if reader is not None:
            reader.stop(failed)


def _empty(stream: Any) -> Any:
    return b'' if stream._decoder is None else ''


def _separator(stream: Any, separator: Any) -> Any:
    text = stream._decoder is not None
    if separator is None:
        return '\n' if text else b'\n'
    if text:
        if not isinstance(separator, str):
            bad_type('separator', 'text, as the stream has an encoding', separator)
    elif not isinstance(separator, bytes):
        bad_type('separator', 'bytes, or text after set_encoding()', separator)
    if not separator:
        bad_value('separator', 'at least one byte long', separator)
    return separator


def _joined(stream: Any) -> Any:
    """All that is buffered, as one chunk that stays in the buffer."""
    buffer = stream._r_buf
    if not buffer:
        return _empty(stream)
    if len(buffer) > 1:
        buffer = stream._r_buf = deque((_empty(stream).join(buffer),))
    return buffer[0]


def _check(stream: Any) -> None:
    if stream._r & R_OBJECT:
        raise state_error('ERR_METHOD_NOT_IMPLEMENTED', 'a stream of objects has no bytes to count')
    if stream._r & R_FLOW or 'data' in stream._events:
        raise state_error('ERR_STREAM_FLOWING')
    if stream._framing is not None and stream._framing.busy:
        raise state_error('ERR_STREAM_READ_PENDING')
    if (
        stream._life & L_DESTROYED
        and stream._r_len
        and not stream._r & R_END_EMITTED
        and not is_lost(stream)
    ):
        # The program has destroyed it, and with it what was not read.
        raise stream._error or state_error('ERR_STREAM_PREMATURE_CLOSE')


def _taken(stream: Any, size: int) -> Any:
    """Take ``size`` out of a buffer that has that much; notices the end when it is empty then."""
    if not size:
        if not stream._r_len:
            stream._take(0)
        return _empty(stream)
    if size == stream._r_len and stream._r & (R_READING | R_ENDED) == R_READING:
        # All there is, of a source that will call. Another would be asked for more in between, and
        # what it gives at once would be taken too.
        out = stream._take_waiting()
    else:
        mark = stream._r_hwm
        stream._r_hwm = max(mark, size)
        out = stream._take(size)
        stream._r_hwm = mark
    # A source that will call anyhow need not be asked.
    if not stream._r_len and stream._r & (R_READING | R_ENDED) != R_READING:
        stream._take(0)
    return out
