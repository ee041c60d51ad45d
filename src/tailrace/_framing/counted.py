"""Frames whose length is known before they come: a prefix, a netstring, or always the same.

A length beyond the limit is refused as soon as it is read, before memory is spent on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .._validate import bad_value, check_bool, check_int
from ..errors import FrameIncompleteError, FrameTooLargeError
from .codec import Decoder
from .limits import MESSAGE, as_bytes, check_limit, check_size, refuse

__all__ = ['Fixed', 'LengthPrefixed', 'Netstrings']

_MOST = 2**53
#: The longest length of a netstring: what a system can address has no more.
_DIGITS = 16


class _Counting:
    """Cuts frames whose length stands before them; :meth:`_length` reads it."""

    __slots__ = ('_left',)

    def __init__(self) -> None:
        #: The beginning of a frame, or nothing.
        self._left = bytearray()

    def _length(self, data: bytes | bytearray, at: int) -> tuple[int, int, int] | None:
        """Where the frame at ``at`` begins, where it ends, and where the next one begins.

        None if that cannot be told yet; an exception if it is no frame, or too long.
        """
        raise NotImplementedError

    def feed(self, data: bytes, /) -> Iterator[bytes]:
        """The frames that ``data`` completes."""
        left = self._left
        if left:
            left += data
            data = left  # type: ignore[assignment]
        at, size = 0, len(data)
        try:
            while at < size:
                found = self._length(data, at)
                if found is None or found[2] > size:
                    break
                begin, end, at = found
                # Before the frame is given: whoever gets it may never ask for another.
                self._check_end(data, end)
                yield bytes(data[begin:end])
        finally:
            if data is left:
                del left[:at]
            else:
                left += data[at:]

    def _check_end(self, data: bytes | bytearray, end: int) -> None:
        """An exception if what follows a frame is not what must."""

    def finish(self) -> Iterator[bytes]:
        """Nothing: a frame that has not come whole is an error."""
        left, self._left = bytes(self._left), bytearray()
        if left:
            raise FrameIncompleteError(left)
        return iter(())


@dataclass(frozen=True, slots=True)
class LengthPrefixed:
    """Frames with their length in front of them, as a binary number.

    ``size`` is how many bytes the number has (1 to 8, default 4), ``order`` is 'big' (default) or
    'little'. With ``inclusive`` the number counts itself too. Frames are bytes, and may be empty.
    ``limit`` is the longest frame in bytes, without the number (default 1 MiB; None: no limit); a
    longer one is ERR_FRAME_TOO_LARGE, told by its number alone. An inclusive number smaller than
    its own size is ERR_FRAME_INVALID. A stream that ends within a frame is ERR_FRAME_INCOMPLETE.

    Raises ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE.
    """

    size: int = 4
    order: Literal['big', 'little'] = 'big'
    limit: int | None = MESSAGE
    inclusive: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, 'size', check_int('size', self.size, 1, 8))
        if self.order not in ('big', 'little'):
            bad_value('order', "'big' or 'little'", self.order)
        check_limit(self.limit)
        check_bool('inclusive', self.inclusive)

    def encode(self, frame: bytes, /) -> bytes:
        """The number and the frame."""
        frame = as_bytes(frame)
        check_size(len(frame), self.limit)
        number = len(frame) + (self.size if self.inclusive else 0)
        most = 2 ** (8 * self.size) - 1
        if number > most:
            raise FrameTooLargeError(most - (self.size if self.inclusive else 0))
        return number.to_bytes(self.size, self.order) + frame

    def decoder(self) -> Decoder[bytes]:
        """A decoder for one stream."""
        return _Prefixed(self)


class _Prefixed(_Counting):
    __slots__ = ('_inclusive', '_limit', '_order', '_size')

    def __init__(self, codec: LengthPrefixed) -> None:
        super().__init__()
        self._size = codec.size
        self._order: Literal['big', 'little'] = codec.order
        self._limit = codec.limit
        self._inclusive = codec.inclusive

    def _length(self, data: bytes | bytearray, at: int) -> tuple[int, int, int] | None:
        begin = at + self._size
        if len(data) < begin:
            return None
        number = int.from_bytes(data[at:begin], self._order)
        if self._inclusive:
            if number < self._size:
                raise refuse(f'the length {number} does not count its own {self._size} bytes')
            number -= self._size
        check_size(number, self._limit)
        return begin, begin + number, begin + number


@dataclass(frozen=True, slots=True)
class Fixed:
    """Frames of ``size`` bytes each.

    A stream that ends within a frame is ERR_FRAME_INCOMPLETE; a frame to be sent of another length
    is ERR_FRAME_INVALID. Raises ERR_INVALID_ARG_TYPE and ERR_OUT_OF_RANGE.
    """

    size: int

    def __post_init__(self) -> None:
        object.__setattr__(self, 'size', check_int('size', self.size, 1, _MOST))

    def encode(self, frame: bytes, /) -> bytes:
        """The frame."""
        frame = as_bytes(frame)
        if len(frame) != self.size:
            raise refuse(f'a frame has {self.size} bytes, not {len(frame)}')
        return frame

    def decoder(self) -> Decoder[bytes]:
        """A decoder for one stream."""
        return _Same(self.size)


class _Same(_Counting):
    __slots__ = ('_size',)

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def _length(self, data: bytes | bytearray, at: int) -> tuple[int, int, int] | None:
        end = at + self._size
        return at, end, end


@dataclass(frozen=True, slots=True)
class Netstrings:
    """Netstrings: ``5:hello,``. Frames are bytes, and may be empty.

    ``limit`` is the longest frame in bytes (default 1 MiB; None: no limit); a longer one is
    ERR_FRAME_TOO_LARGE, told by its number alone. A number with a leading zero, another sign
    instead of ``:`` or ``,``, and a length of more than 16 digits are ERR_FRAME_INVALID. A stream
    that ends within a frame is ERR_FRAME_INCOMPLETE.
    """

    limit: int | None = MESSAGE

    def __post_init__(self) -> None:
        check_limit(self.limit)

    def encode(self, frame: bytes, /) -> bytes:
        """The length, the frame and a comma."""
        frame = as_bytes(frame)
        check_size(len(frame), self.limit)
        return b'%d:%b,' % (len(frame), frame)

    def decoder(self) -> Decoder[bytes]:
        """A decoder for one stream."""
        return _Net(self.limit)


class _Net(_Counting):
    __slots__ = ('_limit',)

    def __init__(self, limit: int | None) -> None:
        super().__init__()
        self._limit = limit

    def _length(self, data: bytes | bytearray, at: int) -> tuple[int, int, int] | None:
        colon = at
        last = min(len(data), at + _DIGITS + 1)
        while colon < last and 48 <= data[colon] <= 57:
            colon += 1
        digits = colon - at
        if digits > _DIGITS or (digits > 1 and data[at] == 48):
            raise refuse('a netstring begins with its length, without leading zeros')
        if digits:
            # Refused by its first digits already: no number grows smaller by another one.
            check_size(int(data[at:colon]), self._limit)
        if colon == len(data):
            return None
        if not digits or data[colon] != 58:
            raise refuse('a netstring begins with its length and a colon')
        end = colon + 1 + int(data[at:colon])
        return colon + 1, end, end + 1

    def _check_end(self, data: bytes | bytearray, end: int) -> None:
        if data[end] != 44:
            raise refuse('a netstring ends with a comma')
