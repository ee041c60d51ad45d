"""The events of a server, with their types.

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

from .serving import Serving

if TYPE_CHECKING:
    from typing_extensions import deprecated

    from .._names import Record
    from .._stream.typed import Nothing, OnError
    from .server_types import OnConnection

__all__ = ['TypedServer']

if TYPE_CHECKING:
    OnDrop = Callable[[Record | None], object] | Nothing
    OnReject = Callable[[Record], object] | Nothing

    _F = TypeVar('_F', bound=Callable[..., object])
    _FNothing = TypeVar('_FNothing', bound=Nothing)
    _FConnection = TypeVar('_FConnection', bound=OnConnection)
    _FDrop = TypeVar('_FDrop', bound=OnDrop)
    _FReject = TypeVar('_FReject', bound=OnReject)
    _FError = TypeVar('_FError', bound=OnError)

    PlainEvent = Literal['close', 'listening']
    KnownEvent = Literal[PlainEvent, 'connection', 'drop', 'error', 'reject']

    class TypedServer(Serving):
        """Serving with what each event carries."""

        @overload  # type: ignore[override]
        def on(self, event: Literal['connection'], listener: OnConnection, /) -> Self: ...

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
        def on(self, event: Literal['connection'], /) -> Callable[[_FConnection], _FConnection]: ...

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

        def on(self, event: Any, listener: Any = None, /) -> Any:
            """Add ``listener`` for ``event``; returns the emitter.

            Without a listener it is a decorator. A listener may take fewer arguments than the event
            has, and may be a coroutine function, which runs as a task. Raises ERR_INVALID_ARG_TYPE,
            or TypeError for a required keyword-only parameter.
            """
            raise NotImplementedError

        @overload  # type: ignore[override]
        def once(self, event: Literal['connection'], listener: OnConnection, /) -> Self: ...

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
        def once(
            self, event: Literal['connection'], /
        ) -> Callable[[_FConnection], _FConnection]: ...

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

        def once(self, event: Any, listener: Any = None, /) -> Any:
            """Add ``listener`` for the next ``event`` only; it is removed before it runs.

            Without a listener it is a decorator.
            """
            raise NotImplementedError

        @overload
        def emit(self, event: Literal['connection'], socket: Any, /) -> bool: ...

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

        def emit(self, event: Any, /, *args: Any) -> bool:
            """Call the listeners of ``event`` with ``args``; True if there were any.

            They have all run when this returns. An exception that a listener raises propagates to
            the caller, and the listeners after it are not called. ``'error'`` without a listener
            raises ``args[0]``, or ERR_UNHANDLED_ERROR if that is not an exception.
            """
            raise NotImplementedError

        def add_listener(self, event: Any, listener: Callable[..., object], /) -> Self:
            """The same as :meth:`on`."""
            raise NotImplementedError

        def prepend_listener(self, event: Any, listener: Callable[..., object], /) -> Self:
            """Add ``listener`` before all others of ``event``."""
            raise NotImplementedError

        def prepend_once_listener(self, event: Any, listener: Callable[..., object], /) -> Self:
            """Add ``listener`` before all others, for the next ``event`` only."""
            raise NotImplementedError

        def off(self, event: Any, listener: Callable[..., object], /) -> Self:
            """Remove the most recently added occurrence of ``listener``."""
            raise NotImplementedError

        def remove_listener(self, event: Any, listener: Callable[..., object], /) -> Self:
            """The same as :meth:`off`."""
            raise NotImplementedError

        def remove_all_listeners(self, event: Any = None, /) -> Self:
            """Remove the listeners of ``event``, or all of them."""
            raise NotImplementedError

        def set_max_listeners(self, n: float, /) -> Self:
            """Warn when one event gets more than ``n`` listeners; 0 or infinity: never."""
            raise NotImplementedError

        # Node's spellings; as methods, because EventEmitter declares their types.
        def addListener(self, event: Any, listener: Callable[..., object], /) -> Self:
            """Node's name of :meth:`add_listener`."""
            raise NotImplementedError

        def prependListener(self, event: Any, listener: Callable[..., object], /) -> Self:
            """Node's name of :meth:`prepend_listener`."""
            raise NotImplementedError

        def prependOnceListener(self, event: Any, listener: Callable[..., object], /) -> Self:
            """Node's name of :meth:`prepend_once_listener`."""
            raise NotImplementedError

        def removeListener(self, event: Any, listener: Callable[..., object], /) -> Self:
            """Node's name of :meth:`remove_listener`."""
            raise NotImplementedError

        def removeAllListeners(self, event: Any = None, /) -> Self:
            """Node's name of :meth:`remove_all_listeners`."""
            raise NotImplementedError

        def setMaxListeners(self, n: float, /) -> Self:
            """Node's name of :meth:`set_max_listeners`."""
            raise NotImplementedError


else:
    TypedServer = Serving
