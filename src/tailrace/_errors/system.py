"""The one door from a failed system call, or lookup, to an exception."""

from __future__ import annotations

import errno as _errno
import os
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .._names import NodeName
from .base import NodeError

__all__ = [
    'BY_PEER',
    'OS_CLASSES',
    'AggregateError',
    'NodeOSError',
    'ResolutionError',
    'aggregate_error',
    'code_of',
    'resolution_error',
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
                {'__doc__': f'{builtin.__name__} with Node fields.'},
            )
        out[code] = made[builtin]
    return out


OS_CLASSES = _os_error_classes()


def _os_class(code: str) -> type[NodeOSError]:
    return OS_CLASSES.get(code, NodeOSError)


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
        cls = type(
            'AggregateError', (AggregateError, base), {'__module__': AggregateError.__module__}
        )
        _AGGREGATES[base] = cls
    text = '; '.join(str(e) for e in errors)
    out = cls(getattr(first, 'errno', None), f'all {len(errors)} attempts failed: {text}')
    out.code = str(getattr(first, 'code', None) or 'ECONNREFUSED')
    out.errors = list(errors)
    out.__cause__ = ExceptionGroup('connection attempts', list(errors))
    return out
