"""Questions about any stream, ``destroy``, and two streams that are each other's other end.

They ask a stream by its public attributes, so a user's own classes can be asked too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import _runtime
from ..errors import AbortError
from .duplex import Duplex
from .state import L_ERROR_EMITTED
from .stream import Stream

__all__ = [
    'destroy',
    'duplex_pair',
    'is_destroyed',
    'is_disturbed',
    'is_errored',
    'is_readable',
    'is_writable',
]


def is_destroyed(stream: Any, /) -> bool | None:
    """Whether the stream was destroyed; None if it is no stream."""
    found = getattr(stream, 'destroyed', None)
    return bool(found) if isinstance(found, bool) else None


def is_disturbed(stream: Any, /) -> bool:
    """Whether something was read from the stream, or it was cut off before its end."""
    return bool(
        getattr(stream, 'readable_did_read', False) or getattr(stream, 'readable_aborted', False)
    )


def is_errored(stream: Any, /) -> bool:
    """Whether an error has ended the stream, and 'error' was emitted."""
    if isinstance(stream, Stream):
        return bool(stream._life & L_ERROR_EMITTED)
    return getattr(stream, 'errored', None) is not None


def is_readable(stream: Any, /) -> bool | None:
    """Whether more can be read; None if it is no stream to read from."""
    found = getattr(stream, 'readable', None)
    if not isinstance(found, bool):
        return None
    if is_destroyed(stream):
        return False
    return found and not getattr(stream, 'readable_ended', False)


def is_writable(stream: Any, /) -> bool | None:
    """Whether more can be written; None if it is no stream to write to."""
    found = getattr(stream, 'writable', None)
    if not isinstance(found, bool):
        return None
    if is_destroyed(stream):
        return False
    return found and not getattr(stream, 'writable_ended', False)


def _is_over(stream: Any) -> bool:
    read = getattr(stream, 'readable_ended', True)
    return bool(read and getattr(stream, 'writable_finished', True))


def destroy(stream: Any, error: BaseException | None = None, /) -> None:
    """Destroy a stream; without an ``error`` and before its end with an AbortError."""
    if stream is None or is_destroyed(stream):
        return
    if error is None and not _is_over(stream):
        error = AbortError()
    stream.destroy(error)


class _Side(Duplex):
    """One end of a pair: what is written comes out of the other, when that wants more."""

    _other: Any = None
    _taken: Any = None

    def _read(self, size: int) -> None:
        taken, self._taken = self._taken, None
        if taken is not None:
            taken(None)

    def _write(self, chunk: Any, encoding: str, callback: Any) -> None:
        other = self._other
        if not self.writable_object_mode and len(chunk) == 0:
            _runtime.current().push(callback, (None,))
        else:
            other._taken = callback
            other.push(chunk)

    def _final(self, callback: Any) -> None:
        other = self._other
        other.on('end', lambda: callback(None))
        other.push(None)

    def _destroy(self, error: BaseException | None, callback: Any) -> None:
        other = self._other
        if not other.destroyed:

            def end_other() -> None:
                if other.destroyed:
                    return
                if error is None:
                    other.push(None)
                else:
                    # Without the error: it is told once, on this side.
                    other.destroy()

            _runtime.current().push(end_other, ())
        callback(error)


def duplex_pair(options: Mapping[str, Any] | None = None, /, **keywords: Any) -> tuple[Any, Any]:
    """Two Duplex streams: what is written to one is read from the other.

    Options: those of Duplex, for both. ``testing.memory_pair`` gives a pair with faults.
    """
    here, there = _Side(options, **keywords), _Side(options, **keywords)
    here._other, there._other = there, here
    return here, there
