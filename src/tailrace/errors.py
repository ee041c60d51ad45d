"""Every error that tailrace raises or emits, and the one door from errno to an exception.

::

    Exception
     └─ NodeError                      .code .name .message
         ├─ InvalidArgTypeError        ERR_INVALID_ARG_TYPE          also TypeError
         ├─ InvalidArgValueError       ERR_INVALID_ARG_VALUE         also TypeError, ValueError
         ├─ OutOfRangeError            ERR_OUT_OF_RANGE              also ValueError
         ├─ SocketBadPortError         ERR_SOCKET_BAD_PORT           also ValueError
         ├─ MissingArgsError           ERR_MISSING_ARGS              also TypeError
         ├─ InvalidAddressError        ERR_INVALID_ADDRESS           also ValueError
         ├─ InvalidIPAddressError      ERR_INVALID_IP_ADDRESS        also TypeError, ValueError
         ├─ InvalidAddressFamilyError  ERR_INVALID_ADDRESS_FAMILY    also ValueError
         ├─ InvalidFDTypeError         ERR_INVALID_FD_TYPE           also TypeError
         ├─ InvalidHandleTypeError     ERR_INVALID_HANDLE_TYPE       also TypeError
         ├─ UnknownEncodingError       ERR_UNKNOWN_ENCODING          also TypeError, LookupError
         ├─ StreamNullValuesError      ERR_STREAM_NULL_VALUES        also TypeError
         ├─ UnhandledError             ERR_UNHANDLED_ERROR           .context
         ├─ StateError                 a call that the object's state forbids; also RuntimeError,
         │                               of a connection that is gone also ConnectionError
         │   ├─ ServerAlreadyListenError … one class a code, see the table below
         ├─ AbortError                 ABORT_ERR                     .cause
         ├─ IncompleteReadError        ERR_INCOMPLETE_READ           also EOFError
         │                             .partial .expected
         ├─ LimitOverrunError          ERR_LIMIT_OVERRUN             .consumed .limit
         ├─ FrameError                 ERR_FRAME_INVALID             also ValueError
         │   ├─ FrameTooLargeError     ERR_FRAME_TOO_LARGE           .limit
         │   └─ FrameIncompleteError   ERR_FRAME_INCOMPLETE          also EOFError; .partial
         ├─ ProxyProtocolError         ERR_PROXY_PROTOCOL            .reason; also ValueError
         └─ NodeOSError                .errno .syscall .address .port …        also OSError
             ├─ one class for each built-in OSError subclass (ConnectionRefusedError, …)
             ├─ ResolutionError        ENOTFOUND, EAI_AGAIN, …       also socket.gaierror
             └─ AggregateError         .errors                       several attempts failed

``except ConnectionRefusedError``, ``except OSError`` and ``except NodeError`` all catch a refused
connection. ``.code`` is the portable key; texts may change.
"""

from __future__ import annotations

import errno as _errno
import os
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ._names import NodeName

__all__ = [
    'AbortError',
    'AggregateError',
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
    'NodeOSError',
    'OutOfRangeError',
    'ProxyProtocolError',
    'ResolutionError',
    'SocketBadPortError',
    'StateError',
    'StreamNullValuesError',
    'UnhandledError',
    'UnknownEncodingError',
    'aggregate_error',
    'code_of',
    'resolution_error',
    'state_error',
    'system_error',
]


#: How the kernel, or TLS, reports that the peer, or the way to it, has gone.
BY_PEER = frozenset(
    {
        *('ECONNRESET', 'EPIPE', 'ECONNABORTED', 'ENOTCONN', 'ESHUTDOWN'),
        'ERR_TLS_TRUNCATED',
        *('ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ENETDOWN', 'EHOSTDOWN'),
    }
)


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


class StateError(NodeError, RuntimeError):
    """A call that the state of the object does not allow. Made by :func:`state_error`."""


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


#: Code, what it says, and what it is besides RuntimeError: ``except (OSError, EOFError)`` takes
#: every way in which a connection can be over.
_STATE: dict[str, tuple[str, type[Exception] | tuple[type[Exception], ...] | None]] = {
    'ERR_ALREADY_RUNNING': ('the program already runs', None),
    'ERR_SERVER_ALREADY_LISTEN': ('listen() was called on a server that already listens', None),
    'ERR_SERVER_NOT_RUNNING': ('the server is not running', None),
    'ERR_SOCKET_CLOSED': ('the socket is closed', ConnectionError),
    'ERR_SOCKET_CLOSED_BEFORE_CONNECTION': (
        'the socket was closed before it was connected',
        ConnectionError,
    ),
    'ERR_SOCKET_CONNECTION_TIMEOUT': ('the socket could not be connected in time', TimeoutError),
    'ERR_SOCKET_HANDLE_ADOPTED': ('this bound socket belongs to a server or socket now', None),
    'ERR_SOCKET_QUEUE_LIMIT': ('too many bytes wait in this connection', None),
    'ERR_SOCKET_READ_RATE': ('the peer sends too slowly', None),
    'ERR_IP_BLOCKED': ('the address is blocked by the block list', PermissionError),
    'ERR_STREAM_WRITE_AFTER_END': ('write after end', None),
    'ERR_STREAM_DESTROYED': ('the stream was destroyed', ConnectionError),
    'ERR_STREAM_ALREADY_FINISHED': ('the stream has already finished', None),
    'ERR_STREAM_PREMATURE_CLOSE': (
        'the stream was closed before it ended',
        (ConnectionError, EOFError),
    ),
    'ERR_STREAM_PUSH_AFTER_EOF': ('push after the end of the stream', None),
    'ERR_STREAM_UNSHIFT_AFTER_END_EVENT': ("unshift after 'end'", None),
    'ERR_STREAM_CANNOT_PIPE': ('a stream that is only writable cannot be piped', None),
    'ERR_STREAM_UNABLE_TO_PIPE': ('cannot pipe to a closed or destroyed stream', None),
    'ERR_STREAM_FLOWING': ("the data goes to 'data' listeners: it cannot be waited for too", None),
    'ERR_STREAM_READ_PENDING': ('another read of this stream is waiting', None),
    'ERR_METHOD_NOT_IMPLEMENTED': ('the method is not implemented', NotImplementedError),
    'ERR_MULTIPLE_CALLBACK': ('a callback was called more than once', None),
    'ERR_IPC_CHANNEL_CLOSED': ('the channel is closed', None),
    'ERR_IPC_DISCONNECTED': ('the channel is already disconnected', None),
    'ERR_CHILD_CLOSED_BEFORE_REPLY': ('the child closed before it replied', None),
    'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM': ('not available on this platform', None),
    'ERR_TLS_ALPN_CALLBACK_INVALID_RESULT': ('the protocol was not offered', TypeError),
    'ERR_TLS_INVALID_CONTEXT': ('not a secure context', TypeError),
    'ERR_TLS_REQUIRED_SERVER_NAME': ('a server name is needed', None),
    'ERR_TLS_SNI_FROM_SERVER': ('a server cannot ask for a name', None),
    'ERR_POOL_CLOSED': ('the pool is closed', None),
    'ERR_POOL_FULL': ('too many wait for a connection of the pool', None),
    'ERR_POOL_TIMEOUT': ('no connection of the pool was free in time', TimeoutError),
    'ERR_USE_AFTER_CLOSE': ('used after it was closed', None),
}


def _class_name(code: str) -> str:
    words = code.removeprefix('ERR_').split('_')
    known = ('IP', 'IPC', 'TLS', 'ALPN', 'SNI')
    return ''.join(w if w in known else w.capitalize() for w in words) + 'Error'


def _state_classes() -> dict[str, type[StateError]]:
    out: dict[str, type[StateError]] = {}
    for code, (text, also) in _STATE.items():
        also = () if also is None else also if isinstance(also, tuple) else (also,)
        out[code] = type(
            _class_name(code),
            (StateError, *also),
            {'code': code, '__module__': __name__, '__doc__': text[:1].upper() + text[1:] + '.'},
        )
    return out


_STATE_CLASSES = _state_classes()
globals().update({cls.__name__: cls for cls in _STATE_CLASSES.values()})


def state_error(code: str, text: str | None = None) -> StateError:
    """The error of a forbidden call, by its code."""
    return _STATE_CLASSES[code](text or _STATE[code][0])


class NodeOSError(NodeError, OSError):
    """A failed system call: a built-in OSError with Node's fields.

    ``errno`` is positive as everywhere in Python. Fields that do not apply are ``None``:
    ``syscall``, ``address``, ``port``, ``local_address``, ``local_port``, ``path``, ``hostname``.
    """

    syscall: str | None = None
    address: str | None = None
    port: int | None = None
    local_address: str | None = None
    local_port: int | None = None
    path: str | None = None
    hostname: str | None = None

    if TYPE_CHECKING:
        localAddress: str | None
        localPort: int | None
    else:
        localAddress = NodeName('local_address')
        localPort = NodeName('local_port')

    def __init__(self, number: int | None, text: str) -> None:
        OSError.__init__(self, number, text)

    def __str__(self) -> str:
        return str(self.strerror)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.code, self.errno, self.strerror, dict(self.__dict__))


def _restore(code: str, number: int | None, text: str, fields: dict[str, Any]) -> NodeOSError:
    cls = ResolutionError if fields.get('hostname') else _os_class(code)
    out = cls(number, text)
    out.__dict__.update(fields)
    return out


class ResolutionError(NodeOSError, socket.gaierror):
    """A host name that could not be resolved; ``hostname`` is the name."""


def _os_error_classes() -> dict[str, type[NodeOSError]]:
    """Code → class, for the codes that Python gives a class of their own (PEP 3151)."""
    out: dict[str, type[NodeOSError]] = {}
    made: dict[type, type[NodeOSError]] = {OSError: NodeOSError}
    for number, code in _errno.errorcode.items():
        builtin = type(OSError(number, ''))
        if builtin not in made:
            made[builtin] = type(
                builtin.__name__,
                (NodeOSError, builtin),
                {'__module__': __name__, '__doc__': f'{builtin.__name__} with Node fields.'},
            )
        out[code] = made[builtin]
    return out


_OS_CLASSES = _os_error_classes()


def _os_class(code: str) -> type[NodeOSError]:
    return _OS_CLASSES.get(code, NodeOSError)


#: Windows socket error numbers without a POSIX name of their own.
_WINDOWS_PREFIX = 'WSA'


def code_of(number: int) -> str:
    """The symbolic name of an errno: ``code_of(111) == 'ECONNREFUSED'`` on Linux."""
    if number == _errno.EAGAIN:
        return 'EAGAIN'
    if number == getattr(_errno, 'ENOTSUP', -1):
        return 'ENOTSUP'
    name = _errno.errorcode.get(number, f'E{number}')
    return name.removeprefix(_WINDOWS_PREFIX)


def system_error(
    reason: int | str | OSError,
    syscall: str,
    *,
    address: str | None = None,
    port: int | None = None,
    local_address: str | None = None,
    local_port: int | None = None,
    path: str | None = None,
) -> NodeOSError:
    """The one door from a failed system call to an exception.

    ``reason`` is an errno, a symbolic name such as ``'ECONNREFUSED'`` or an OSError. The class
    is the fitting built-in subclass of OSError.
    """
    if isinstance(reason, OSError):
        number: int = reason.errno if isinstance(reason.errno, int) else _errno.EIO
    elif isinstance(reason, str):
        number = getattr(_errno, reason, 0) or getattr(_errno, 'WSA' + reason, 0)
    else:
        number = reason
    code = reason if isinstance(reason, str) else code_of(number)
    text = f'{syscall} {code}'
    where = path if address is None else address
    if where is not None:
        text += f' {where!r}' if '\0' in where else f' {where}'
    if port is not None and port > 0:
        text += f':{port}'
    if local_address is not None or local_port is not None:
        text += f' from {local_address or "*"}:{local_port or 0}'
    if number:
        text += f' ({os.strerror(number)})'
    error = _os_class(code)(number, text)
    error.code = code
    error.syscall = syscall
    if address is not None:
        error.address = address
    # As in Node: a port 0 is not told, and -1 stands with the path of a server.
    if port:
        error.port = port
    if local_address is not None:
        error.local_address = local_address
    if local_port is not None:
        error.local_port = local_port
    if path is not None:
        error.path = path
    if isinstance(reason, OSError):
        error.__cause__ = reason
    return error


def resolution_error(number: int, hostname: str, syscall: str = 'getaddrinfo') -> ResolutionError:
    """The error of a failed lookup. EAI_NONAME and EAI_NODATA are reported as ENOTFOUND."""
    code = 'ENOTFOUND'
    for name in ('EAI_AGAIN', 'EAI_FAIL', 'EAI_MEMORY', 'EAI_FAMILY', 'EAI_SERVICE', 'EAI_SYSTEM'):
        if number == getattr(socket, name, None):
            code = name
    error = ResolutionError(number, f'{syscall} {code} {hostname}')
    error.code = code
    error.syscall = syscall
    error.hostname = hostname
    return error


class AggregateError(NodeOSError):
    """Several attempts failed. Made by :func:`aggregate_error`.

    An OSError of the class and code of the first failure; ``errors`` holds all of them in order,
    and ``__cause__`` is an ExceptionGroup of them, so that a traceback shows each.
    """

    errors: list[Exception]
    name = 'AggregateError'

    def __reduce__(self) -> tuple[Any, ...]:
        return aggregate_error, (self.errors,)


_AGGREGATES: dict[type, type[AggregateError]] = {NodeOSError: AggregateError}


def aggregate_error(errors: Sequence[Exception]) -> AggregateError:
    """One error out of the failures of several attempts; ``errors`` must not be empty."""
    first = errors[0]
    base = type(first) if isinstance(first, NodeOSError) else NodeOSError
    if issubclass(base, AggregateError):
        base = NodeOSError
    cls = _AGGREGATES.get(base)
    if cls is None:
        cls = type('AggregateError', (AggregateError, base), {'__module__': __name__})
        _AGGREGATES[base] = cls
    text = '; '.join(str(e) for e in errors)
    out = cls(getattr(first, 'errno', None), f'all {len(errors)} attempts failed: {text}')
    out.code = str(getattr(first, 'code', None) or 'ECONNREFUSED')
    out.errors = list(errors)
    out.__cause__ = ExceptionGroup('connection attempts', list(errors))
    return out
