"""The limits of codecs, and the checks that all of them share."""

from __future__ import annotations

from typing import Any, cast

from .._stream.framing import LIMIT as SEPARATED
from .._validate import bad_type, check_int
from ..errors import FrameError, FrameTooLargeError

__all__ = ['MESSAGE', 'SEPARATED', 'as_bytes', 'check_limit', 'check_size', 'refuse']

#: The longest message whose sender announces its length, or that is one line of JSON.
MESSAGE = 1024 * 1024

_MOST = 2**53


def check_limit(value: Any) -> None:
    """``limit``: a whole number from 1, or None; ERR_INVALID_ARG_TYPE or ERR_OUT_OF_RANGE."""
    if value is not None:
        check_int('limit', value, 1, _MOST)


def check_size(size: int, limit: int | None) -> None:
    """ERR_FRAME_TOO_LARGE if a frame of ``size`` bytes is longer than ``limit``."""
    if limit is not None and size > limit:
        raise FrameTooLargeError(limit)


def as_bytes(frame: Any, name: str = 'frame') -> bytes:
    """A frame that is to be sent, as bytes; ERR_INVALID_ARG_TYPE if it is none."""
    if isinstance(frame, bytes):
        return frame
    if not isinstance(frame, (bytearray, memoryview)):
        bad_type(name, 'bytes', frame)
    return bytes(cast('Any', frame))


def refuse(what: str, cause: BaseException | None = None) -> FrameError:
    """The error of bytes that are no frame, or of a frame that cannot be written as bytes."""
    error = FrameError(what)
    error.__cause__ = cause
    return error
