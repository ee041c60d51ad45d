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

from ._errors.base import (
    AbortError,
    FrameError,
    FrameIncompleteError,
    FrameTooLargeError,
    IncompleteReadError,
    InvalidAddressError,
    InvalidAddressFamilyError,
    InvalidArgTypeError,
    InvalidArgValueError,
    InvalidFDTypeError,
    InvalidHandleTypeError,
    InvalidIPAddressError,
    LimitOverrunError,
    MissingArgsError,
    NodeError,
    OutOfRangeError,
    ProxyProtocolError,
    SocketBadPortError,
    StreamNullValuesError,
    UnhandledError,
    UnknownEncodingError,
)
from ._errors.state import STATE_CLASSES, StateError, state_error
from ._errors.system import (
    OS_CLASSES,
    AggregateError,
    NodeOSError,
    ResolutionError,
    aggregate_error,
    code_of,
    resolution_error,
    system_error,
)

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


globals().update({cls.__name__: cls for cls in STATE_CLASSES.values()})

# A traceback names the place that a program imports an error from.
for _class in (*globals().values(), *OS_CLASSES.values()):
    if isinstance(_class, type) and issubclass(_class, NodeError):
        _class.__module__ = __name__
