"""The events of a TLS server, with their types.

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

from .._net.server import Server

if TYPE_CHECKING:
    from typing_extensions import deprecated

    from .._names import Record
    from .._net.typed_server import OnDrop, OnReject
    from .._stream.typed import Nothing, OnError
    from .socket import TLSSocket

__all__ = ['TypedTLSServer']

if TYPE_CHECKING:
    OnSecure = Callable[[TLSSocket], object] | Nothing
    OnFailed = Callable[[Exception, TLSSocket], object] | Callable[[Exception], object] | Nothing

    _F = TypeVar('_F', bound=Callable[..., object])
    _FNothing = TypeVar('_FNothing', bound=Nothing)
    _FSecure = TypeVar('_FSecure', bound=OnSecure)
    _FFailed = TypeVar('_FFailed', bound=OnFailed)
    _FDrop = TypeVar('_FDrop', bound=OnDrop)
    _FReject = TypeVar('_FReject', bound=OnReject)
    _FError = TypeVar('_FError', bound=OnError)

    PlainEvent = Literal['close', 'listening']
    SecureEvent = Literal['connection', 'secureConnection']
    KnownEvent = Literal[PlainEvent, SecureEvent, 'drop', 'error', 'reject', 'tlsClientError']

    class TypedTLSServer(Server):
        """Server with what each event carries."""

        @overload  # type: ignore[override]
        def on(self, event: SecureEvent, listener: OnSecure, /) -> Self: ...

        @overload
        def on(self, event: Literal['tlsClientError'], listener: OnFailed, /) -> Self: ...

        @overload
        def on(self, event: Literal['drop'], listener: OnDrop, /) -> Self: ...

        @overload
        def on(self, event: Literal['reject'], listener: OnReject, /) -> Self: ...

        @overload
        def on(self, event: Literal['error'], listener: OnError, /) -> Self: ...

        @overload
        def on(self, event: PlainEvent, listener: Nothing, /) -> Self: ...

        @overload
        @deprecated('not a listener of this event: see the events of the class')
        def on(self, event: KnownEvent, listener: Callable[..., object], /) -> Self: ...

        @overload
        def on(self, event: Any, listener: Callable[..., object], /) -> Self: ...

        @overload
        def on(self, event: SecureEvent, /) -> Callable[[_FSecure], _FSecure]: ...

        @overload
        def on(self, event: Literal['tlsClientError'], /) -> Callable[[_FFailed], _FFailed]: ...

        @overload
        def on(self, event: Literal['drop'], /) -> Callable[[_FDrop], _FDrop]: ...

        @overload
        def on(self, event: Literal['reject'], /) -> Callable[[_FReject], _FReject]: ...

        @overload
        def on(self, event: Literal['error'], /) -> Callable[[_FError], _FError]: ...

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
        def once(self, event: SecureEvent, listener: OnSecure, /) -> Self: ...

        @overload
        def once(self, event: Literal['tlsClientError'], listener: OnFailed, /) -> Self: ...

        @overload
        def once(self, event: Literal['drop'], listener: OnDrop, /) -> Self: ...

        @overload
        def once(self, event: Literal['reject'], listener: OnReject, /) -> Self: ...

        @overload
        def once(self, event: Literal['error'], listener: OnError, /) -> Self: ...

        @overload
        def once(self, event: PlainEvent, listener: Nothing, /) -> Self: ...

        @overload
        @deprecated('not a listener of this event: see the events of the class')
        def once(self, event: KnownEvent, listener: Callable[..., object], /) -> Self: ...

        @overload
        def once(self, event: Any, listener: Callable[..., object], /) -> Self: ...

        @overload
        def once(self, event: SecureEvent, /) -> Callable[[_FSecure], _FSecure]: ...

        @overload
        def once(self, event: Literal['tlsClientError'], /) -> Callable[[_FFailed], _FFailed]: ...

        @overload
        def once(self, event: Literal['drop'], /) -> Callable[[_FDrop], _FDrop]: ...

        @overload
        def once(self, event: Literal['reject'], /) -> Callable[[_FReject], _FReject]: ...

        @overload
        def once(self, event: Literal['error'], /) -> Callable[[_FError], _FError]: ...

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
        def emit(self, event: SecureEvent, socket: Any, /) -> bool: ...

        @overload
        def emit(
            self, event: Literal['tlsClientError'], error: Exception, socket: Any, /
        ) -> bool: ...

        @overload
        def emit(self, event: Literal['drop'], data: Record | None, /) -> bool: ...

        @overload
        def emit(self, event: Literal['reject'], data: Record, /) -> bool: ...

        @overload
        def emit(self, event: Literal['error'], error: object, /) -> bool: ...

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


else:
    TypedTLSServer = Server
