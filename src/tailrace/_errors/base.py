"""What every error of tailrace has, and those that carry more than a text.

No system call has failed here; that is ``system.py``. What the state of an object forbids is
``state.py``.
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = [
    'AbortError',
    'FrameError',
    'FrameIncompleteError',
    'FrameTooLargeError',
    'IncompleteReadError',
    'InvalidAddressError',
    'InvalidAddressFamilyError',
    'InvalidArgTypeError',
    'InvalidArgValueError',
    'InvalidFDTypeError',
    'InvalidHandleTypeError',
    'InvalidIPAddressError',
    'LimitOverrunError',
    'MissingArgsError',
    'NodeError',
    'OutOfRangeError',
    'ProxyProtocolError',
    'SocketBadPortError',
    'StreamNullValuesError',
    'UnhandledError',
    'UnknownEncodingError',
]


class NodeError(Exception):
    """Base of all errors of tailrace. ``code`` is Node's code, such as ``'ERR_OUT_OF_RANGE'``."""

    code: str = 'ERR_INTERNAL'
    #: Node's class name of the error.
    name: ClassVar[str] = 'Error'

    @property
    def message(self) -> str:
        """The text of the error."""
        return str(self)


class InvalidArgTypeError(NodeError, TypeError):
    """An argument of a type that the function does not take."""

    code = 'ERR_INVALID_ARG_TYPE'
    name = 'TypeError'


class InvalidArgValueError(NodeError, TypeError, ValueError):
    """An argument of the right type with a value that makes no sense."""

    code = 'ERR_INVALID_ARG_VALUE'
    name = 'TypeError'


class OutOfRangeError(NodeError, ValueError):
    """A number outside its range, or not whole where it must be."""

    code = 'ERR_OUT_OF_RANGE'
    name = 'RangeError'


class SocketBadPortError(NodeError, ValueError):
    """A port that is not a whole number from 0 to 65535."""

    code = 'ERR_SOCKET_BAD_PORT'
    name = 'RangeError'


class MissingArgsError(NodeError, TypeError):
    """Options that name neither a port nor a path."""

    code = 'ERR_MISSING_ARGS'
    name = 'TypeError'


class InvalidAddressError(NodeError, ValueError):
    """Text that is no address of the family asked for."""

    code = 'ERR_INVALID_ADDRESS'


class InvalidIPAddressError(NodeError, TypeError, ValueError):
    """Text that is no IP address where one is needed."""

    code = 'ERR_INVALID_IP_ADDRESS'
    name = 'TypeError'


class InvalidAddressFamilyError(NodeError, ValueError):
    """A lookup answered with a family that is neither 4 nor 6."""

    code = 'ERR_INVALID_ADDRESS_FAMILY'
    name = 'RangeError'
    host: str | None = None
    port: int | None = None


class InvalidFDTypeError(NodeError, TypeError):
    """A descriptor that is no stream socket."""

    code = 'ERR_INVALID_FD_TYPE'
    name = 'TypeError'


class InvalidHandleTypeError(NodeError, TypeError):
    """An operation that this kind of socket does not have."""

    code = 'ERR_INVALID_HANDLE_TYPE'
    name = 'TypeError'


class UnknownEncodingError(NodeError, TypeError, LookupError):
    """Text that names no encoding."""

    code = 'ERR_UNKNOWN_ENCODING'
    name = 'TypeError'


class StreamNullValuesError(NodeError, TypeError):
    """``None`` given as a chunk."""

    code = 'ERR_STREAM_NULL_VALUES'
    name = 'TypeError'


class UnhandledError(NodeError, RuntimeError):
    """``emit('error', x)`` without a listener, where ``x`` is no exception."""

    code = 'ERR_UNHANDLED_ERROR'

    def __init__(self, message: str, context: object = None) -> None:
        super().__init__(message)
        self.context = context


class AbortError(NodeError):
    """An operation ended by an AbortSignal; ``cause`` is the signal's reason."""

    code = 'ABORT_ERR'
    name = 'AbortError'

    def __init__(self, message: str = 'The operation was aborted', cause: object = None) -> None:
        super().__init__(message)
        self.cause = cause
        if isinstance(cause, BaseException):
            BaseException.__setattr__(self, '__cause__', cause)


class IncompleteReadError(NodeError, EOFError):
    """A stream ended before what was waited for had come (no counterpart in Node).

    ``partial`` is what had come (bytes or text); it is still in the stream's buffer. ``expected``
    is how much was wanted, or None where that was a separator.
    """

    code = 'ERR_INCOMPLETE_READ'

    def __init__(self, partial: Any, expected: int | None) -> None:
        wanted = 'a separator' if expected is None else f'{expected} were read'
        super().__init__(f'the stream ended after {len(partial)}, before {wanted}')
        self.partial = partial
        self.expected = expected

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.partial, self.expected)


class LimitOverrunError(NodeError, ValueError):
    """No separator within the limit of a read; the data is still in the stream's buffer.

    ``consumed`` is how much can be taken without tearing a separator, ``limit`` the limit.
    """

    code = 'ERR_LIMIT_OVERRUN'
    name = 'RangeError'

    def __init__(self, consumed: int, limit: int) -> None:
        super().__init__(f'no separator within {limit}')
        self.consumed = consumed
        self.limit = limit

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.consumed, self.limit)


class FrameError(NodeError, ValueError):
    """Bytes that are no frame, or a frame that cannot be written as bytes."""

    code = 'ERR_FRAME_INVALID'


class FrameTooLargeError(FrameError):
    """A frame longer than its codec allows; ``limit`` is that limit in bytes."""

    code = 'ERR_FRAME_TOO_LARGE'
    name = 'RangeError'

    def __init__(self, limit: int) -> None:
        super().__init__(f'the frame is longer than {limit} bytes')
        self.limit = limit

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.limit,)


class FrameIncompleteError(FrameError, EOFError):
    """A stream ended within a frame; ``partial`` is what had come of it."""

    code = 'ERR_FRAME_INCOMPLETE'

    def __init__(self, partial: bytes) -> None:
        super().__init__(f'the stream ended {len(partial)} bytes into a frame')
        self.partial = partial

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.partial,)


class ProxyProtocolError(NodeError, ValueError):
    """No header of the PROXY protocol where there must be one (no counterpart in Node).

    ``reason`` is 'invalid', 'tooLong', 'timeout' (it did not come in time), 'ended' (the connection
    ended before it was complete) or 'untrusted' (the peer is none of those that are believed).
    """

    code = 'ERR_PROXY_PROTOCOL'

    def __init__(self, message: str, reason: str = 'invalid') -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.reason)
