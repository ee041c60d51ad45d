"""Frames that end with a separator: lines, JSON lines, and any other.

What was searched is not searched again: a frame that comes byte by byte costs its length, not the
square of it. A separator may be torn between two chunks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from .._stream.encodings import canonical
from .._validate import bad_type, bad_value
from ..errors import FrameIncompleteError, FrameTooLargeError
from .codec import Decoder
from .limits import MESSAGE, SEPARATED, as_bytes, check_limit, check_size, refuse

__all__ = ['Delimiter', 'JsonLines', 'Lines']

#: What ``made`` gives for a frame that is left out.
_NOTHING = object()

#: The encodings in which the byte of a line feed is nothing else, with Python's names.
_CODECS = {'utf8': 'utf-8', 'latin1': 'latin-1', 'ascii': 'ascii'}


class _Splitter:
    """Cuts at a separator and gives each frame through ``made``, which checks its exact length.

    ``spare`` is how much of what has no separator yet may turn out to be no part of the frame.
    ``last`` makes frames of what is left at the end.
    """

    __slots__ = ('_last', '_left', '_limit', '_made', '_separator', '_spare')

    def __init__(
        self,
        separator: bytes,
        limit: int | None,
        spare: int,
        made: Callable[[bytes], Any],
        last: Callable[[bytes], Any],
    ) -> None:
        self._separator = separator
        self._limit = limit
        self._spare = spare
        self._made = made
        self._last = last
        #: The beginning of a frame: it holds no separator.
        self._left = bytearray()

    def feed(self, data: bytes, /) -> Iterator[Any]:
        """The frames that ``data`` completes."""
        separator = self._separator
        size = len(separator)
        left = self._left
        start = 0
        if left:
            searched = max(0, len(left) - size + 1)
            left += data
            end = left.find(separator, searched)
            if end < 0:
                self._check(len(left))
                return
            # What follows the separator is the end of `data` too.
            start = len(data) - (len(left) - end - size)
            self._check(end)
            first = bytes(left[:end])
            left.clear()
            frame = self._made(first)
            if frame is not _NOTHING:
                yield frame
        made = self._made
        end = data.find(separator, start)
        while end >= 0:
            self._check(end - start)
            frame = made(data[start:end])
            if frame is not _NOTHING:
                yield frame
            start = end + size
            end = data.find(separator, start)
        left += data[start:]
        self._check(len(left))

    def finish(self) -> Iterator[Any]:
        """What the end of the stream makes of what is left."""
        left, self._left = bytes(self._left), bytearray()
        if left:
            frame = self._last(left)
            if frame is not _NOTHING:
                yield frame

    def _check(self, size: int) -> None:
        if self._limit is not None and size > self._limit + self._spare:
            raise FrameTooLargeError(self._limit)


@dataclass(frozen=True, slots=True)
class Lines:
    r"""Lines: each ends with ``\n`` or ``\r\n``, which is no part of the frame.

    Frames are bytes, or text with an ``encoding`` ('utf8', 'latin1' or 'ascii'; bytes that are none
    are ERR_FRAME_INVALID). What the stream ends with is the last line, also without its end.
    ``limit`` is the longest line in bytes (default 65536; None: no limit); a longer one is
    ERR_FRAME_TOO_LARGE. ``end`` is written after each line: ``'\n'`` (default) or ``'\r\n'``. A
    frame to be sent may be text or bytes, and holds no line feed and no ``\r`` at its end
    (ERR_FRAME_INVALID).

    Raises ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_UNKNOWN_ENCODING.
    """

    limit: int | None = SEPARATED
    encoding: str | None = None
    end: str = '\n'

    def __post_init__(self) -> None:
        check_limit(self.limit)
        if self.encoding is not None:
            name = canonical(self.encoding)
            if name not in _CODECS:
                bad_value('encoding', f'one of {", ".join(_CODECS)}', self.encoding)
            object.__setattr__(self, 'encoding', name)
        if self.end not in ('\n', '\r\n'):
            bad_value('end', r"'\n' or '\r\n'", self.end)

    def encode(self, frame: bytes | str, /) -> bytes:
        """The line and its end."""
        if isinstance(frame, str):
            try:
                data = frame.encode(_CODECS[self.encoding or 'utf8'])
            except UnicodeEncodeError as error:
                raise refuse(f'the line is no {self.encoding or "utf8"} text: {error}') from error
        else:
            data = as_bytes(frame)
        check_size(len(data), self.limit)
        if b'\n' in data or data.endswith(b'\r'):
            raise refuse('a line cannot hold a line feed, or end with a carriage return')
        return data + self.end.encode()

    def decoder(self) -> Decoder[Any]:
        """A decoder for one stream."""
        return _Splitter(b'\n', self.limit, 1, self._line, self._text)

    def _line(self, data: bytes) -> Any:
        return self._text(data[:-1] if data.endswith(b'\r') else data)

    def _text(self, data: bytes) -> Any:
        check_size(len(data), self.limit)
        if self.encoding is None:
            return data
        try:
            return data.decode(_CODECS[self.encoding])
        except UnicodeDecodeError as error:
            raise refuse(f'the line is no {self.encoding} text: {error}') from error


@dataclass(frozen=True, slots=True)
class Delimiter:
    r"""Frames that end with ``separator``, such as ``b'\0'``; it is no part of the frame.

    ``limit`` is the longest frame in bytes (default 65536; None: no limit); a longer one is
    ERR_FRAME_TOO_LARGE. Bytes without a separator at the end of the stream are
    ERR_FRAME_INCOMPLETE. A frame to be sent that holds the separator, or makes an earlier one
    together with its own, is ERR_FRAME_INVALID.

    Raises ERR_INVALID_ARG_TYPE if ``separator`` is no bytes, ERR_INVALID_ARG_VALUE if it is empty.
    """

    separator: bytes
    limit: int | None = SEPARATED

    def __post_init__(self) -> None:
        if not isinstance(self.separator, bytes):
            bad_type('separator', 'bytes', self.separator)
        if not self.separator:
            bad_value('separator', 'at least one byte long', self.separator)
        check_limit(self.limit)

    def encode(self, frame: bytes, /) -> bytes:
        """The frame and its separator."""
        frame = as_bytes(frame)
        check_size(len(frame), self.limit)
        data = frame + self.separator
        if data.find(self.separator) != len(frame):
            raise refuse('the frame holds the separator')
        return data

    def decoder(self) -> Decoder[bytes]:
        """A decoder for one stream."""
        spare = len(self.separator) - 1
        return _Splitter(self.separator, self.limit, spare, self._frame, _torn)

    def _frame(self, data: bytes) -> bytes:
        check_size(len(data), self.limit)
        return data


def _torn(data: bytes) -> NoReturn:
    raise FrameIncompleteError(data)


@dataclass(frozen=True, slots=True)
class JsonLines:
    r"""A JSON value on each line (JSON Lines, NDJSON), in UTF-8.

    Frames are what ``json.loads`` makes of a line. Empty lines are skipped, and the last line needs
    no end. ``limit`` is the longest line in bytes (default 1 MiB; None: no limit); a longer one is
    ERR_FRAME_TOO_LARGE. What is no JSON is ERR_FRAME_INVALID, ``NaN`` and ``Infinity`` too. So is a
    value to be sent that JSON does not have. A stream cannot carry ``null`` on its own
    (ERR_STREAM_NULL_VALUES); inside another value it is None.
    """

    limit: int | None = MESSAGE

    def __post_init__(self) -> None:
        check_limit(self.limit)

    def encode(self, frame: Any, /) -> bytes:
        """The value as one line."""
        try:
            text = json.dumps(frame, ensure_ascii=False, allow_nan=False, separators=(',', ':'))
            data = text.encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise refuse(f'the value cannot be written as JSON: {error}') from error
        check_size(len(data), self.limit)
        return data + b'\n'

    def decoder(self) -> Decoder[Any]:
        """A decoder for one stream."""
        return _Splitter(b'\n', self.limit, 1, self._line, self._value)

    def _line(self, data: bytes) -> Any:
        return self._value(data[:-1] if data.endswith(b'\r') else data)

    def _value(self, data: bytes) -> Any:
        check_size(len(data), self.limit)
        if not data.strip():
            return _NOTHING
        try:
            # As text: of bytes, json would guess the encoding.
            return json.loads(data.decode(), parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            raise refuse(f'the line is no JSON: {error}') from error


def _no_number(text: str) -> NoReturn:
    raise ValueError(f'{text} is no number of JSON')
