"""What becomes of a failure that belongs to one accepted connection: the policy ``on_error``.

A failure of one connection is: its handler or a listener on its socket raised, or an 'error' event
on it has no listener. It ends that connection and is reported; the server and its other connections
continue. Failures to accept are reported here too. This file refuses to know how connections are
accepted and how handlers run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal, Self, cast

from .. import _runtime
from .._errors.system import BY_PEER
from .._listeners import Listener
from .._names import Record, node_names
from .._stream.state import R_ENDED
from .._validate import bad_type, bad_value
from ..errors import system_error
from ..events import EventEmitter

if TYPE_CHECKING:
    import logging

    from .._handles import ListenHandle
    from .server_types import OnFailure

__all__ = ['GONE', 'Failing', 'check_policy', 'is_ours', 'leaves', 'logger', 'place_of']

#: What a coroutine meets that goes on using a socket after it was destroyed: no news to anybody.
GONE: Final = frozenset({'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED', 'ERR_SOCKET_CLOSED'})
#: The limits on what a peer does: an attack must not fill the log.
_OVER_A_LIMIT: Final = frozenset({'ERR_SOCKET_QUEUE_LIMIT', 'ERR_SOCKET_READ_RATE'})
_PACKAGE = __name__.partition('.')[0] + '.'
#: Seconds: failures to accept are logged once, and again after this much time.
_QUIET: Final = 1.0


def _ignore(*_: Any) -> None:
    """Hear an 'error' that was reported already."""


_REPORTED = Listener(_ignore, False)


def check_policy(name: str, value: Any) -> Any:
    """``value`` if it is a policy: None, 'log', 'raise' or a callable; else a coded error."""
    if value is None or callable(value) or value in ('log', 'raise'):
        return value
    if isinstance(value, str):
        bad_value(name, "'log', 'raise' or a function", value)
    return bad_type(name, "'log', 'raise' or a function", value)


def leaves(error: BaseException) -> list[BaseException]:
    """What a task group of the handler wraps; one error by itself is its own."""
    if isinstance(error, BaseExceptionGroup):
        group = cast('BaseExceptionGroup[BaseException]', error)
        return [leaf for one in group.exceptions for leaf in leaves(one)]
    return [error]


def is_ours(function: Callable[..., Any]) -> bool:
    """Whether a listener belongs to an awaitable of this package, which raises what it hears."""
    # A compiled method has no module of its own; the class of its object has.
    owner = cast('object', getattr(function, '__self__', None))
    module: str = getattr(function, '__module__', None) or type(owner).__module__
    return module.startswith(_PACKAGE)


def _ended_by_peer(error: BaseException, sock: Any) -> bool:
    """Whether it is an ordinary ending: the peer has reset, or closed in the middle of a read."""
    if sock is None:
        return False
    for one in leaves(error):
        code = getattr(one, 'code', None)
        if one is sock.errored and (code in BY_PEER or code in _OVER_A_LIMIT):
            continue  # and not that of another socket, such as a proxy's upstream
        if isinstance(one, EOFError) and getattr(sock, '_r', 0) & R_ENDED:
            continue
        if code in GONE and sock.destroyed:
            continue
        return False
    return True


def logger() -> logging.Logger:
    """The logger ``tailrace``."""
    import logging  # 5 ms, and most programs that load it do so anyway

    return logging.getLogger('tailrace')


@node_names
class Failing(EventEmitter):
    """The part of :class:`Server` that deals with failures; not used by itself."""

    if TYPE_CHECKING:
        _handle: ListenHandle | None

        def address(self) -> Any:
            """Defined by Server."""

    def _init_failing(self, policy: Any) -> None:
        #: 'log', 'raise', a function, or None: as ``tailrace.run`` was told, else 'log'.
        self._on_error: Any = check_policy('options.on_error', policy)
        #: Whether a handler was given to the constructor.
        self._has_handler = False
        self._accept_failures = 0
        self._accept_logged = -_QUIET

    def on_error(self, callback: OnFailure | Literal['log', 'raise'] | None, /) -> Self:
        """Set what happens when one connection fails; returns the server.

        A connection fails when its handler or a listener on its socket raises, or when an 'error'
        event on it has no listener. It is destroyed, and the server goes on. ``callback(error,
        socket)``, plain or a coroutine function, then replaces the log record; what it raises goes
        to the event loop's exception handler. ``socket`` is None if a 'drop' or 'reject' listener
        has raised. ``'log'`` is the default: one record with the
        traceback through ``logging.getLogger('tailrace')``. ``'raise'`` is Node's rule: the error
        ends ``tailrace.run()``; under another loop it goes to the loop's exception handler. None:
        as ``tailrace.run(on_error=...)`` says.

        A peer that resets the connection or closes it in the middle of a read is no failure: a
        record at debug level, unless the policy is 'raise'. Cancellation is none either, and
        KeyboardInterrupt and SystemExit always propagate. Raises ERR_INVALID_ARG_TYPE,
        ERR_INVALID_ARG_VALUE.
        """
        self._on_error = check_policy('callback', callback)
        return self

    def _policy(self) -> Any:
        policy = self._on_error
        if policy is None:
            policy = _runtime.current().on_error
        return 'log' if policy is None else policy

    def _connection_failed(self, sock: Any, error: BaseException) -> bool:
        """An exception that belongs to ``sock`` (None: one that was dropped): report it, destroy.

        False if the policy is 'raise': then nothing was done.
        """
        policy = self._policy()
        if policy == 'raise':
            return False
        self._report(sock, error, policy)
        if sock is not None and not sock.destroyed:
            if 'error' not in sock._events:
                sock._events['error'] = _REPORTED
            sock.destroy(error)
        return True

    def _report(self, sock: Any, error: BaseException, policy: Any) -> None:
        if getattr(sock, '_reported', None) is error:
            return
        try:
            if sock is not None:
                sock._reported = error
        except AttributeError:
            pass  # not one of our sockets: a program emits 'connection' with its own streams
        ordinary = _ended_by_peer(error, sock)
        peer = _peer(sock)  # also so that the callback can ask for it after the socket is destroyed
        if not ordinary and callable(policy):
            self._call(policy, error, sock)
        elif not ordinary:
            logger().error(
                'connection from %s to %s failed and was destroyed: %s: %s',
                *(peer, place_of(self), type(error).__name__, _text(error)),
                exc_info=error,
            )
        elif 'logging' in sys.modules:  # else nobody can have asked for debug records
            # The error itself: those of an ordinary ending are ours, and their text does not raise.
            logger().debug('connection from %s to %s ended: %s', peer, place_of(self), error)

    def _call(self, callback: Callable[..., Any], error: BaseException, sock: Any) -> None:
        runtime = _runtime.current()

        def failed(failure: Exception) -> None:
            runtime.report(failure, self)

        try:
            result = callback(*Listener(callback, False).fit((error, sock)))
        except Exception as failure:
            failed(failure)
        else:
            if _runtime.is_coroutine(result):
                _runtime.spawn(result, failed)

    # -- accepting --------------------------------------------------------------------------------

    @property
    def accept_failures(self) -> int:
        """How often accepting has failed (EMFILE, ENFILE, ENOBUFS, ENOMEM …), in episodes.

        An episode lasts from a failure to the next connection that is accepted. Meanwhile, where
        descriptors are short, connections are closed at once instead of waiting unanswered.
        """
        return self._accept_failures

    def _accept_failed(self, code: int) -> None:
        # An accept that fails is the machine's trouble, over in a moment, and what can be done is
        # done (the listener sheds and retries). So it is an 'error' for whom it may concern, and
        # does not end a program that has no listener for it.
        self._accept_failures += 1
        error = system_error(code, 'accept')
        runtime = _runtime.current()
        now = runtime.clock()
        if now - self._accept_logged >= _QUIET:
            self._accept_logged = now
            logger().warning(
                'cannot accept connections on %s: %s (%d times so far); still listening',
                *(place_of(self), error, self._accept_failures),
            )
        if 'error' in self._events:
            self.emit('error', error)

    if TYPE_CHECKING:  # Node's spellings; see node_names
        onError = on_error
        acceptFailures = accept_failures


def _text(error: BaseException) -> str:
    """What it says; an exception of the program may raise there too."""
    try:
        return str(error)
    except Exception as failure:
        return f'(its text raised {type(failure).__name__})'


def _peer(sock: Any) -> str:
    if sock is None:
        return 'a peer that was turned away'
    host = getattr(sock, 'remote_address', None)
    if host is None:
        return 'an unknown peer'
    return f'[{host}]:{sock.remote_port}' if ':' in host else f'{host}:{sock.remote_port}'


def place_of(server: Any) -> str:
    """Where a server listens, for people."""
    where = server.address()
    if isinstance(where, Record):
        host = f'[{where.address}]' if where.family == 'IPv6' else where.address
        return f'{host}:{where.port}'
    return str(where) if where else 'a closed server'
