"""Every code of rows ER-01 to ER-21: class, bases, fields, text, pickling."""

from __future__ import annotations

import copy
import errno
import os
import pickle
import socket
from typing import Any

import pytest

from tailrace import errors
from tailrace._errors import state
from tailrace.errors import (
    AbortError,
    AggregateError,
    NodeError,
    NodeOSError,
    ResolutionError,
    UnhandledError,
    aggregate_error,
    resolution_error,
    state_error,
    system_error,
)

#: Code: the class's name, what it is besides NodeError, Node's class name (row).
ARGUMENTS: dict[str, tuple[str, tuple[type, ...], str]] = {
    'ERR_INVALID_ARG_TYPE': ('InvalidArgTypeError', (TypeError,), 'TypeError'),  # ER-04
    'ERR_INVALID_ARG_VALUE': ('InvalidArgValueError', (TypeError, ValueError), 'TypeError'),  # 09
    'ERR_OUT_OF_RANGE': ('OutOfRangeError', (ValueError,), 'RangeError'),  # ER-10
    'ERR_SOCKET_BAD_PORT': ('SocketBadPortError', (ValueError,), 'RangeError'),  # ER-11
    'ERR_MISSING_ARGS': ('MissingArgsError', (TypeError,), 'TypeError'),  # ER-12
    'ERR_INVALID_ADDRESS': ('InvalidAddressError', (ValueError,), 'Error'),  # ER-13
    'ERR_INVALID_IP_ADDRESS': ('InvalidIPAddressError', (TypeError, ValueError), 'TypeError'),
    'ERR_INVALID_ADDRESS_FAMILY': ('InvalidAddressFamilyError', (ValueError,), 'RangeError'),
    'ERR_INVALID_FD_TYPE': ('InvalidFDTypeError', (TypeError,), 'TypeError'),  # ER-15
    'ERR_INVALID_HANDLE_TYPE': ('InvalidHandleTypeError', (TypeError,), 'TypeError'),  # ER-03
    'ERR_UNKNOWN_ENCODING': ('UnknownEncodingError', (TypeError, LookupError), 'TypeError'),
    'ERR_STREAM_NULL_VALUES': ('StreamNullValuesError', (TypeError,), 'TypeError'),  # ER-18
}

#: ER-01, ER-02, ER-08, ER-16, ER-17, ER-18 and the other forbidden calls.
STATES = {
    'ERR_SERVER_ALREADY_LISTEN': 'ServerAlreadyListenError',
    'ERR_SERVER_NOT_RUNNING': 'ServerNotRunningError',
    'ERR_SOCKET_CLOSED': 'SocketClosedError',
    'ERR_SOCKET_CLOSED_BEFORE_CONNECTION': 'SocketClosedBeforeConnectionError',
    'ERR_SOCKET_CONNECTION_TIMEOUT': 'SocketConnectionTimeoutError',
    'ERR_SOCKET_HANDLE_ADOPTED': 'SocketHandleAdoptedError',
    'ERR_IP_BLOCKED': 'IPBlockedError',
    'ERR_STREAM_WRITE_AFTER_END': 'StreamWriteAfterEndError',
    'ERR_STREAM_DESTROYED': 'StreamDestroyedError',
    'ERR_STREAM_ALREADY_FINISHED': 'StreamAlreadyFinishedError',
    'ERR_STREAM_PREMATURE_CLOSE': 'StreamPrematureCloseError',
}

#: What a state error is besides RuntimeError; the others are nothing more.
ALSO: dict[str, tuple[type[Exception], ...]] = {
    'ERR_IP_BLOCKED': (PermissionError,),
    'ERR_METHOD_NOT_IMPLEMENTED': (NotImplementedError,),
    'ERR_POOL_TIMEOUT': (TimeoutError,),
    'ERR_SOCKET_CLOSED': (ConnectionError,),
    'ERR_SOCKET_CLOSED_BEFORE_CONNECTION': (ConnectionError,),
    'ERR_SOCKET_CONNECTION_TIMEOUT': (TimeoutError,),
    'ERR_STREAM_DESTROYED': (ConnectionError,),
    'ERR_STREAM_PREMATURE_CLOSE': (ConnectionError, EOFError),
    'ERR_TLS_ALPN_CALLBACK_INVALID_RESULT': (TypeError,),
    'ERR_TLS_INVALID_CONTEXT': (TypeError,),
}

#: ER-06, ER-19: code and the built-in class that `except` may name.
SYSTEM: dict[str, type[OSError]] = {
    'EADDRINUSE': OSError,
    'ECONNREFUSED': ConnectionRefusedError,
    'ECONNRESET': ConnectionResetError,
    'ECONNABORTED': ConnectionAbortedError,
    'EPIPE': BrokenPipeError,
    'ENOENT': FileNotFoundError,
    'EACCES': PermissionError,
    'EPERM': PermissionError,
    'EADDRNOTAVAIL': OSError,
    'EINVAL': OSError,
    'ETIMEDOUT': TimeoutError,
    'EHOSTUNREACH': OSError,
    'ENETUNREACH': OSError,
    'EMFILE': OSError,
    'ENOTSUP': OSError,
    'EALREADY': BlockingIOError,
    'EISCONN': OSError,
}

#: ER-21: what the resolver says, and the code for it.
RESOLVER = {
    'EAI_NONAME': 'ENOTFOUND',
    'EAI_NODATA': 'ENOTFOUND',
    'EAI_AGAIN': 'EAI_AGAIN',
    'EAI_FAIL': 'EAI_FAIL',
    'EAI_MEMORY': 'EAI_MEMORY',
    'EAI_FAMILY': 'EAI_FAMILY',
    'EAI_SERVICE': 'EAI_SERVICE',
    'EAI_SYSTEM': 'EAI_SYSTEM',
}


def same(one: BaseException, other: BaseException) -> None:
    """The two errors cannot be told apart by what they carry."""
    assert type(one) is type(other)
    assert str(one) == str(other)
    assert repr(one) == repr(other)
    for name in (
        *('code', 'name', 'message', 'errno', 'strerror', 'syscall', 'address', 'port', 'path'),
        *('local_address', 'local_port', 'hostname', 'context', 'cause'),
    ):
        assert getattr(one, name, None) == getattr(other, name, None), name


def copies(error: Any) -> list[Any]:
    out = [pickle.loads(pickle.dumps(error, n)) for n in range(pickle.HIGHEST_PROTOCOL + 1)]
    return [*out, copy.copy(error)]


def shown(error: NodeError, text: str) -> None:
    """str is the text, repr shows class and text, message is str, and copies are alike."""
    assert text in str(error)
    assert error.message == str(error)
    assert type(error).__name__ in repr(error)
    for other in copies(error):
        same(error, other)


@pytest.mark.parametrize('code', ARGUMENTS)
def test_er03_er04_er09_to_er15_er18_argument_errors(code: str) -> None:
    class_name, bases, name = ARGUMENTS[code]
    cls = getattr(errors, class_name)
    error = cls('the text')
    assert (error.code, error.name) == (code, name)
    assert cls.code == code
    assert isinstance(error, NodeError)
    for base in (TypeError, ValueError, LookupError, OSError, RuntimeError):
        assert isinstance(error, base) is (base in bases), base
    shown(error, 'the text')


@pytest.mark.parametrize('code', sorted(state.STATES))
def test_er01_er02_er08_er16_er17_er18_state_errors(code: str) -> None:
    error = state_error(code)
    assert (error.code, error.name) == (code, 'Error')
    assert isinstance(error, errors.StateError)
    assert isinstance(error, RuntimeError)
    also = ALSO.get(code, ())
    for base in (OSError, EOFError, TypeError, ValueError, NotImplementedError):
        assert isinstance(error, base) is any(issubclass(one, base) for one in also), base
    assert all(isinstance(error, one) for one in also)
    cls = getattr(errors, STATES.get(code, type(error).__name__))
    assert type(error) is cls
    assert cls.__module__ == 'tailrace.errors'
    assert cls.__doc__
    shown(error, str(error))
    assert len(str(error)) > 5
    shown(state_error(code, 'another text'), 'another text')


def test_every_state_error_of_the_rows_is_there() -> None:
    assert set(STATES) <= set(state.STATES)
    with pytest.raises(KeyError):
        state_error('ERR_NO_SUCH_CODE')


def test_er05_invalid_callback_is_history() -> None:
    codes = {getattr(value, 'code', None) for value in vars(errors).values()}
    assert 'ERR_INVALID_CALLBACK' not in codes
    assert 'ERR_INVALID_ARG_TYPE' in codes


@pytest.mark.parametrize('code', SYSTEM)
def test_er06_er19_system_errors(code: str) -> None:
    builtin = SYSTEM[code]
    number = getattr(errno, code)
    full: dict[str, Any] = {
        'address': '127.0.0.1',
        'port': 8124,
        'local_address': '127.0.0.2',
        'local_port': 9,
    }
    for reason in (code, number, OSError(number, 'x')):
        error = system_error(reason, 'listen', **full)
        assert (error.code, error.errno, error.syscall) == (code, number, 'listen')
        assert isinstance(error, NodeError)
        assert isinstance(error, builtin)
        assert isinstance(error, OSError)
        assert {name: getattr(error, name) for name in full} == full
        assert (error.localAddress, error.localPort) == ('127.0.0.2', 9)
        for word in ('listen', code, '127.0.0.1:8124', '127.0.0.2:9', os.strerror(number)):
            assert word in str(error)
        shown(error, code)
    bare = system_error(code, 'read')
    for name in (*full, 'path', 'hostname'):
        assert getattr(bare, name) is None
    assert type(bare).__name__ == builtin.__name__ or builtin is OSError
    shown(bare, f'read {code}')


def test_er19_every_errno_of_the_system_has_its_code() -> None:
    for number, name in errno.errorcode.items():
        error = system_error(number, 'x')
        assert getattr(errno, error.code, None) == number or name.startswith('WSA')
        assert isinstance(error, type(OSError(number, '')))
        for other in copies(error):
            same(error, other)
    assert system_error(99999, 'x').code == 'E99999'
    assert system_error(errno.EWOULDBLOCK, 'x').code == 'EAGAIN'
    assert system_error(errno.EOPNOTSUPP, 'x').code in ('ENOTSUP', 'EOPNOTSUPP')


def test_er19_paths_and_abstract_names() -> None:
    error = system_error('ENOENT', 'connect', path='/x/y')
    assert (error.path, error.address) == ('/x/y', None)
    assert '/x/y' in str(error)
    shown(error, '/x/y')
    error = system_error('EADDRINUSE', 'listen', address='\0name', port=-1)
    assert (error.address, error.port) == ('\0name', -1)
    assert '\0' not in str(error)
    shown(error, 'name')


@pytest.mark.parametrize('name', [name for name in RESOLVER if hasattr(socket, name)])
def test_er21_resolver_errors(name: str) -> None:
    error = resolution_error(getattr(socket, name), 'no.example')
    assert (error.code, error.syscall) == (RESOLVER[name], 'getaddrinfo')
    assert error.hostname == 'no.example'
    assert type(error) is ResolutionError
    assert isinstance(error, socket.gaierror)
    assert isinstance(error, NodeOSError)
    shown(error, f'getaddrinfo {RESOLVER[name]} no.example')


def test_er20_abort_error() -> None:
    cause = ValueError('why')
    for error in (AbortError(), AbortError('text', cause), AbortError(cause=cause)):
        assert (error.code, error.name) == ('ABORT_ERR', 'AbortError')
        assert error.__cause__ is error.cause
        assert isinstance(error, NodeError)
        assert not isinstance(error, OSError)
    assert AbortError(cause='no exception').cause == 'no exception'
    shown(AbortError('text'), 'text')
    shown(AbortError(cause='reason'), 'aborted')


def test_er07_aggregate_error() -> None:
    failures = [
        system_error('ECONNREFUSED', 'connect', address='::1', port=1),
        state_error('ERR_IP_BLOCKED'),
        system_error('ETIMEDOUT', 'connect', address='127.0.0.1', port=1),
    ]
    error = aggregate_error(failures)
    assert isinstance(error, AggregateError)
    assert isinstance(error, ConnectionRefusedError)
    assert (error.code, error.name, error.errors) == ('ECONNREFUSED', 'AggregateError', failures)
    assert error.errors is not failures
    assert isinstance(error.__cause__, ExceptionGroup)
    assert list(error.__cause__.exceptions) == failures
    assert '::1:1' in str(error)
    assert '127.0.0.1:1' in str(error)
    for other in copies(error):
        same(error, other)
        for one, two in zip(error.errors, other.errors, strict=True):
            same(one, two)
    assert aggregate_error([state_error('ERR_IP_BLOCKED')] * 2).code == 'ERR_IP_BLOCKED'
    nested = aggregate_error([error, error])
    assert (nested.code, isinstance(nested, AggregateError)) == ('ECONNREFUSED', True)
    assert aggregate_error([ValueError('x')]).code == 'ECONNREFUSED'


def test_unhandled_error_carries_what_was_emitted() -> None:
    error = UnhandledError('text', {'x': 1})
    assert (error.code, error.context) == ('ERR_UNHANDLED_ERROR', {'x': 1})
    assert isinstance(error, RuntimeError)
    shown(error, 'text')


def test_gen12_every_error_is_caught_by_its_base() -> None:
    for value in vars(errors).values():
        if isinstance(value, type) and issubclass(value, Exception):
            assert issubclass(value, NodeError), value
            assert isinstance(value.code, str)
