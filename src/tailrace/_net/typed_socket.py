"""The events of a socket, with their types.

Made by ``tools/typed_events.py``; change the table there.

Exists for type checkers and editors only: at run time the class is its base. Each name in its own
overload gives the parameters of a lambda their types; a listener may take fewer arguments than its
event has. Any other listener of a known event matches the overload that is marked as deprecated:
the one way to report it to a checker, because the overload for a program's own events takes any
name, and a literal is no exception from that. The decorator form is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, overload

from .endpoint import Endpoint

if TYPE_CHECKING:
    from typing_extensions import deprecated

    from .._stream.readable import Readable
    from .._stream.typed import Nothing, OnData, OnDone, OnError
    from .option_types import Chunk

__all__ = ['TypedSocket']

if TYPE_CHECKING:
    OnClose = Callable[[bool], object] | Nothing
    OnLookup = (
        Callable[[Exception | None, str | None, int | None, str], object]
        | Callable[[Exception | None, str | None, int | None], object]
        | Callable[[Exception | None, str | None], object]
        | Callable[[Exception | None], object]
        | Nothing
    )
    OnAttempt = (
        Callable[[str, int, int], object]
        | Callable[[str, int], object]
        | Callable[[str], object]
        | Nothing
    )
    OnAttemptFailed = (
        Callable[[str, int, int, Exception], object]
        | Callable[[str, int, int], object]
        | Callable[[str, int], object]
        | Callable[[str], object]
        | Nothing
    )
    OnPipe = Callable[[Readable], object] | Nothing

    _F = TypeVar('_F', bound=Callable[..., object])
    _FNothing = TypeVar('_FNothing', bound=Nothing)
    _FData = TypeVar('_FData', bound=OnData)
    _FError = TypeVar('_FError', bound=OnError)
    _FClose = TypeVar('_FClose', bound=OnClose)
    _FLookup = TypeVar('_FLookup', bound=OnLookup)
    _FAttempt = TypeVar('_FAttempt', bound=OnAttempt)
    _FAttemptFailed = TypeVar('_FAttemptFailed', bound=OnAttemptFailed)
    _FPipe = TypeVar('_FPipe', bound=OnPipe)

    PlainEvent = Literal[
        'connect',
        'drain',
        'end',
        'finish',
        'pause',
        'prefinish',
        'readable',
        'ready',
        'resume',
        'serverClosing',
        'timeout',
    ]
    AttemptEvent = Literal['connectionAttempt', 'connectionAttemptTimeout']
    KnownEvent = Literal[
        PlainEvent,
        AttemptEvent,
        'close',
        'connectionAttemptFailed',
        'data',
        'error',
        'lookup',
        'pipe',
        'unpipe',
    ]

    class TypedSocket(Endpoint):
        """Endpoint with what each event carries."""

        @overload  # type: ignore[override]
        def on(self, event: Literal['data'], listener: OnData, /) -> Self: ...

        @overload
        def on(self, event: Literal['error'], listener: OnError, /) -> Self: ...

        @overload
        def on(self, event: Literal['close'], listener: OnClose, /) -> Self: ...

        @overload
        def on(self, event: Literal['lookup'], listener: OnLookup, /) -> Self: ...

        @overload
        def on(self, event: AttemptEvent, listener: OnAttempt, /) -> Self: ...

        @overload
        def on(
            self, event: Literal['connectionAttemptFailed'], listener: OnAttemptFailed, /
        ) -> Self: ...

        @overload
        def on(self, event: Literal['pipe', 'unpipe'], listener: OnPipe, /) -> Self: ...

        @overload
        def on(self, event: PlainEvent, listener: Nothing, /) -> Self: ...

        @overload
        @deprecated('not a listener of this event: see the events of the class')
        def on(self, event: KnownEvent, listener: Callable[..., object], /) -> Self: ...

        @overload
        def on(self, event: Any, listener: Callable[..., object], /) -> Self: ...

        @overload
        def on(self, event: Literal['data'], /) -> Callable[[_FData], _FData]: ...

        @overload
        def on(self, event: Literal['error'], /) -> Callable[[_FError], _FError]: ...

        @overload
        def on(self, event: Literal['close'], /) -> Callable[[_FClose], _FClose]: ...

        @overload
        def on(self, event: Literal['lookup'], /) -> Callable[[_FLookup], _FLookup]: ...

        @overload
        def on(self, event: AttemptEvent, /) -> Callable[[_FAttempt], _FAttempt]: ...

        @overload
        def on(
            self, event: Literal['connectionAttemptFailed'], /
        ) -> Callable[[_FAttemptFailed], _FAttemptFailed]: ...

        @overload
        def on(self, event: Literal['pipe', 'unpipe'], /) -> Callable[[_FPipe], _FPipe]: ...

        @overload
        def on(self, event: PlainEvent, /) -> Callable[[_FNothing], _FNothing]: ...

        @overload
        def on(self, event: Any, /) -> Callable[[_F], _F]: ...

        def on(  # pyright: ignore[reportIncompatibleMethodOverride]
            self, event: Any, listener: Any = None, /
        ) -> Any:
            """Add ``listener`` for ``event``; returns the emitter.

            Without a listener it is a decorator. A listener may take fewer arguments than the event
            has, and may be a coroutine function, which runs as a task. Raises ERR_INVALID_ARG_TYPE,
            or TypeError for a required keyword-only parameter.
            """
            raise NotImplementedError

        @overload  # type: ignore[override]
        def once(self, event: Literal['data'], listener: OnData, /) -> Self: ...

        @overload
        def once(self, event: Literal['error'], listener: OnError, /) -> Self: ...

        @overload
        def once(self, event: Literal['close'], listener: OnClose, /) -> Self: ...

        @overload
        def once(self, event: Literal['lookup'], listener: OnLookup, /) -> Self: ...

        @overload
        def once(self, event: AttemptEvent, listener: OnAttempt, /) -> Self: ...

        @overload
        def once(
            self, event: Literal['connectionAttemptFailed'], listener: OnAttemptFailed, /
        ) -> Self: ...

        @overload
        def once(self, event: Literal['pipe', 'unpipe'], listener: OnPipe, /) -> Self: ...

        @overload
        def once(self, event: PlainEvent, listener: Nothing, /) -> Self: ...

        @overload
        @deprecated('not a listener of this event: see the events of the class')
        def once(self, event: KnownEvent, listener: Callable[..., object], /) -> Self: ...

        @overload
        def once(self, event: Any, listener: Callable[..., object], /) -> Self: ...

        @overload
        def once(self, event: Literal['data'], /) -> Callable[[_FData], _FData]: ...

        @overload
        def once(self, event: Literal['error'], /) -> Callable[[_FError], _FError]: ...

        @overload
        def once(self, event: Literal['close'], /) -> Callable[[_FClose], _FClose]: ...

        @overload
        def once(self, event: Literal['lookup'], /) -> Callable[[_FLookup], _FLookup]: ...

        @overload
        def once(self, event: AttemptEvent, /) -> Callable[[_FAttempt], _FAttempt]: ...

        @overload
        def once(
            self, event: Literal['connectionAttemptFailed'], /
        ) -> Callable[[_FAttemptFailed], _FAttemptFailed]: ...

        @overload
        def once(self, event: Literal['pipe', 'unpipe'], /) -> Callable[[_FPipe], _FPipe]: ...

        @overload
        def once(self, event: PlainEvent, /) -> Callable[[_FNothing], _FNothing]: ...

        @overload
        def once(self, event: Any, /) -> Callable[[_F], _F]: ...

        def once(  # pyright: ignore[reportIncompatibleMethodOverride]
            self, event: Any, listener: Any = None, /
        ) -> Any:
            """Add ``listener`` for the next ``event`` only; it is removed before it runs.

            Without a listener it is a decorator.
            """
            raise NotImplementedError

        @overload  # type: ignore[override]
        def emit(self, event: Literal['data'], chunk: Any, /) -> bool: ...

        @overload
        def emit(self, event: Literal['error'], error: object, /) -> bool: ...

        @overload
        def emit(self, event: Literal['close'], had_error: bool, /) -> bool: ...

        @overload
        def emit(
            self,
            event: Literal['lookup'],
            error: Exception | None,
            address: str | None,
            family: int | None,
            host: str,
            /,
        ) -> bool: ...

        @overload
        def emit(self, event: AttemptEvent, ip: str, port: int, family: int, /) -> bool: ...

        @overload
        def emit(
            self,
            event: Literal['connectionAttemptFailed'],
            ip: str,
            port: int,
            family: int,
            error: Exception,
            /,
        ) -> bool: ...

        @overload
        def emit(self, event: Literal['pipe', 'unpipe'], source: Readable, /) -> bool: ...

        @overload
        def emit(self, event: PlainEvent, /) -> bool: ...

        @overload
        @deprecated('not what this event carries: see the events of the class')
        def emit(self, event: KnownEvent, /, *args: Any) -> bool: ...

        @overload
        def emit(self, event: Any, /, *args: Any) -> bool: ...

        def emit(  # pyright: ignore[reportIncompatibleMethodOverride]
            self, event: Any, /, *args: Any
        ) -> bool:
            """Call the listeners of ``event`` with ``args``; True if there were any.

            They have all run when this returns. An exception that a listener raises propagates to
            the caller, and the listeners after it are not called. ``'error'`` without a listener
            raises ``args[0]``, or ERR_UNHANDLED_ERROR if that is not an exception.
            """
            raise NotImplementedError

        @overload
        def write(
            self, chunk: Chunk, encoding: str | None = None, callback: OnDone | None = None
        ) -> bool: ...

        @overload
        def write(self, chunk: Chunk, callback: OnDone, /) -> bool: ...

        def write(self, chunk: Any, encoding: Any = None, callback: Any = None) -> bool:
            """Write ``chunk``: str, or anything bytes-like.

            Returns False when the caller should wait for 'drain'; the data is queued anyway.
            ``encoding`` is for text, by default utf8. ``callback(error)`` runs when the chunk is
            written, or with the error that prevented it. Raises ERR_INVALID_ARG_TYPE,
            ERR_STREAM_NULL_VALUES or ERR_UNKNOWN_ENCODING.
            """
            raise NotImplementedError

else:
    TypedSocket = Endpoint
