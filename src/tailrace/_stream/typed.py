"""The events of streams, with their types.

Exists for type checkers and editors only: at run time the class is its base. A listener may take
fewer arguments than its event has, which the last overloads allow. Each name in its own overload
gives the parameters of a lambda their types.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, overload

from .link import Link

if TYPE_CHECKING:
    from .readable import Readable

__all__ = ['TypedStream']

if TYPE_CHECKING:
    _F = TypeVar('_F', bound=Callable[..., object])

    class TypedStream(Link):
        """Link with what each event carries."""

        @overload  # type: ignore[override]
        def on(self, event: Literal['data'], listener: Callable[[Any], object], /) -> Self: ...

        @overload
        def on(
            self, event: Literal['error'], listener: Callable[[Exception], object], /
        ) -> Self: ...

        @overload
        def on(
            self, event: Literal['pipe', 'unpipe'], listener: Callable[[Readable], object], /
        ) -> Self: ...

        @overload
        def on(
            self,
            event: Literal[
                'close', 'drain', 'end', 'finish', 'pause', 'prefinish', 'readable', 'resume'
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
        def once(
            self, event: Literal['pipe', 'unpipe'], listener: Callable[[Readable], object], /
        ) -> Self: ...

        @overload
        def once(
            self,
            event: Literal[
                'close', 'drain', 'end', 'finish', 'pause', 'prefinish', 'readable', 'resume'
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

        @overload
        def emit(self, event: Literal['data'], chunk: Any, /) -> bool: ...

        @overload
        def emit(self, event: Literal['error'], error: object, /) -> bool: ...

        @overload
        def emit(self, event: Literal['pipe', 'unpipe'], source: Readable, /) -> bool: ...

        @overload
        def emit(
            self,
            event: Literal[
                'close', 'drain', 'end', 'finish', 'pause', 'prefinish', 'readable', 'resume'
            ],
            /,
        ) -> bool: ...

        @overload
        def emit(self, event: Any, /, *args: Any) -> bool: ...

        def emit(self, event: Any, /, *args: Any) -> bool:
            """Call the listeners of ``event`` with ``args``, now; True if there were any."""
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
            """Remove the most recently added occurrence of ``listener`` (EE-04)."""
            raise NotImplementedError

        def remove_listener(self, event: Any, listener: Callable[..., object], /) -> Self:
            """The same as :meth:`off`."""
            raise NotImplementedError

        def remove_all_listeners(self, event: Any = None, /) -> Self:
            """Remove the listeners of ``event``, or all of them."""
            raise NotImplementedError

        def set_max_listeners(self, n: float, /) -> Self:
            """Warn when one event gets more than ``n`` listeners; 0 or infinity: never (EE-07)."""
            raise NotImplementedError

        def destroy(self, error: BaseException | None = None) -> Self:
            """Give up the stream: no more I/O; 'error' (if any), then 'close' (ST-24)."""
            raise NotImplementedError

else:
    TypedStream = Link
