"""The events of a socket, with their types.

Exists for type checkers and editors only: at run time the class is its base. A listener may take
fewer arguments than its event has, which the last overloads allow. Each name in its own overload
gives the parameters of a lambda their types.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, overload

from .endpoint import Endpoint

if TYPE_CHECKING:
    from .._stream.readable import Readable

__all__ = ['TypedSocket']

if TYPE_CHECKING:
    _F = TypeVar('_F', bound=Callable[..., object])

    class TypedSocket(Endpoint):
        """Endpoint with what each event carries."""

        @overload  # type: ignore[override]
        def on(self, event: Literal['data'], listener: Callable[[Any], object], /) -> Self: ...

        @overload
        def on(
            self, event: Literal['error'], listener: Callable[[Exception], object], /
        ) -> Self: ...

        @overload
        def on(self, event: Literal['close'], listener: Callable[[bool], object], /) -> Self: ...

        @overload
        def on(
            self,
            event: Literal['lookup'],
            listener: Callable[[Exception | None, str | None, int | None, str], object],
            /,
        ) -> Self: ...

        @overload
        def on(
            self,
            event: Literal['connectionAttempt', 'connectionAttemptTimeout'],
            listener: Callable[[str, int, int], object],
            /,
        ) -> Self: ...

        @overload
        def on(
            self,
            event: Literal['connectionAttemptFailed'],
            listener: Callable[[str, int, int, Exception], object],
            /,
        ) -> Self: ...

        @overload
        def on(
            self, event: Literal['pipe', 'unpipe'], listener: Callable[[Readable], object], /
        ) -> Self: ...

        @overload
        def on(
            self,
            event: Literal[
                'close',
                'connect',
                'drain',
                'end',
                'finish',
                'pause',
                'prefinish',
                'readable',
                'ready',
                'resume',
                'timeout',
            ],
            listener: Callable[[], object],
            /,
        ) -> Self: ...

        @overload
        def on(self, event: Any, listener: Callable[..., object], /) -> Self: ...

        @overload
        def on(self, event: Any, /) -> Callable[[_F], _F]: ...

        def on(self, event: Any, listener: Any = None, /) -> Any:
            """Add ``listener`` for ``event``; without one it is a decorator (EE-02, EE-10)."""
            raise NotImplementedError

        @overload  # type: ignore[override]
        def once(self, event: Literal['data'], listener: Callable[[Any], object], /) -> Self: ...

        @overload
        def once(
            self, event: Literal['error'], listener: Callable[[Exception], object], /
        ) -> Self: ...

        @overload
        def once(self, event: Literal['close'], listener: Callable[[bool], object], /) -> Self: ...

        @overload
        def once(
            self,
            event: Literal['lookup'],
            listener: Callable[[Exception | None, str | None, int | None, str], object],
            /,
        ) -> Self: ...

        @overload
        def once(
            self,
            event: Literal['connectionAttempt', 'connectionAttemptTimeout'],
            listener: Callable[[str, int, int], object],
            /,
        ) -> Self: ...

        @overload
        def once(
            self,
            event: Literal['connectionAttemptFailed'],
            listener: Callable[[str, int, int, Exception], object],
            /,
        ) -> Self: ...

        @overload
        def once(
            self, event: Literal['pipe', 'unpipe'], listener: Callable[[Readable], object], /
        ) -> Self: ...

        @overload
        def once(
            self,
            event: Literal[
                'close',
                'connect',
                'drain',
                'end',
                'finish',
                'pause',
                'prefinish',
                'readable',
                'ready',
                'resume',
                'timeout',
            ],
            listener: Callable[[], object],
            /,
        ) -> Self: ...

        @overload
        def once(self, event: Any, listener: Callable[..., object], /) -> Self: ...

        @overload
        def once(self, event: Any, /) -> Callable[[_F], _F]: ...

        def once(self, event: Any, listener: Any = None, /) -> Any:
            """Add ``listener`` for the next ``event`` only (EE-03)."""
            raise NotImplementedError

        @overload  # type: ignore[override]
        def emit(self, event: Literal['data'], chunk: Any, /) -> bool: ...

        @overload
        def emit(self, event: Literal['error'], error: object, /) -> bool: ...

        @overload
        def emit(self, event: Literal['close'], had_error: bool, /) -> bool: ...

        @overload
        def emit(self, event: Literal['pipe', 'unpipe'], source: Readable, /) -> bool: ...

        @overload
        def emit(
            self,
            event: Literal[
                'close',
                'connect',
                'drain',
                'end',
                'finish',
                'pause',
                'prefinish',
                'readable',
                'ready',
                'resume',
                'timeout',
            ],
            /,
        ) -> bool: ...

        @overload
        def emit(self, event: Any, /, *args: Any) -> bool: ...

        def emit(self, event: Any, /, *args: Any) -> bool:
            """Call the listeners of ``event`` with ``args``, now; True if there were any."""
            raise NotImplementedError

else:
    TypedSocket = Endpoint
