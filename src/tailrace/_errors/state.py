"""Calls that the state of an object does not allow: one table, one class for each code."""

from __future__ import annotations

from .base import NodeError

__all__ = ['STATES', 'STATE_CLASSES', 'StateError', 'class_name', 'state_error']


class StateError(NodeError, RuntimeError):
    """A call that the state of the object does not allow. Made by :func:`state_error`."""


#: Code, what it says, and what it is besides RuntimeError: ``except (OSError, EOFError)`` takes
#: every way in which a connection can be over.
STATES: dict[str, tuple[str, type[Exception] | tuple[type[Exception], ...] | None]] = {
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


def class_name(code: str) -> str:
    words = code.removeprefix('ERR_').split('_')
    known = ('IP', 'IPC', 'TLS', 'ALPN', 'SNI')
    return ''.join(w if w in known else w.capitalize() for w in words) + 'Error'


def _state_classes() -> dict[str, type[StateError]]:
    out: dict[str, type[StateError]] = {}
    for code, (text, also) in STATES.items():
        also = () if also is None else also if isinstance(also, tuple) else (also,)
        out[code] = type(
            class_name(code),
            (StateError, *also),
            {'code': code, '__doc__': text[:1].upper() + text[1:] + '.'},
        )
    return out


STATE_CLASSES = _state_classes()


def state_error(code: str, text: str | None = None) -> StateError:
    """The error of a forbidden call, by its code."""
    return STATE_CLASSES[code](text or STATES[code][0])
