"""The loop that :func:`tailrace.run` makes: asyncio's own, waiting in the engine's epoll.

asyncio gives a selector the blocking part of each turn. This one waits in one epoll that holds the
descriptors of all handles, and calls the handles straight from the events it gets. What asyncio
registers (its self-pipe, other people's readers and transports) stays in a selector of the standard
library, whose descriptor is one more in that epoll.

Calling from inside ``select()`` does not change the order of anything: asyncio waits (``timeout``
above 0, or None) only when no callback is due, and what it queues after ``select()`` returns, the
events of others and then the timers, comes after I/O anyway. When callbacks are due (``timeout``
0), the handles get their turn behind them, by one ``call_soon`` for all events; timers of this
package that are due when they are done come before the next events, as in libuv. An exception that
is to end the program (KeyboardInterrupt, SystemExit) leaves ``select()`` as it leaves a callback;
events not yet served are reported again, because epoll here is level-triggered. What differs:
asyncio's debug mode does not time what is called from here.

This file refuses to know handles and what their events mean.
"""

from __future__ import annotations

import contextvars
import select
import selectors
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .engine import HAS_EPOLL, READ, Engine

if TYPE_CHECKING:
    import asyncio

__all__ = ['Selector', 'new_event_loop']

_Found = list[tuple[selectors.SelectorKey, int]]


class Selector(selectors.BaseSelector):
    """A standard selector, and in front of it an epoll whose events are served at once."""

    def __init__(self) -> None:
        self._others: Any = selectors.DefaultSelector()
        self._poll = select.epoll()
        self._others_fd: int = self._others.fileno()
        self._poll.register(self._others_fd, READ)
        #: Events that wait for the callbacks before them.
        self._due: list[tuple[int, int]] = []
        self._engine: Engine | None = None
        #: Listeners do not set variables in the context of who called run().
        self._context = contextvars.copy_context()
        self.loop: asyncio.AbstractEventLoop | None = None

    def serve_with(self, engine: Engine) -> Any:
        """``engine`` serves the events from now on; the epoll for it to register with."""
        self._engine = engine
        self._context = contextvars.copy_context()
        return self._poll

    def select(self, timeout: float | None = None) -> _Found:
        """Wait, serve the handles, return what is asyncio's."""
        engine = self._engine
        if engine is None:
            return self._others.select(timeout)  # type: ignore[no-any-return]
        if timeout is None or timeout > 0:
            events = engine.fetch(timeout)
            foreign = bool(events) and self._context.run(engine.serve, events)
        else:
            foreign = self._due_soon(engine)
        return self._others.select(0) if foreign else []

    def _due_soon(self, engine: Engine) -> bool:
        """Have the handles served behind the callbacks that are due; whether there are others."""
        if self._due or self.loop is None:
            return True
        events = self._due = engine.fetch(0)
        if events:
            self.loop.call_soon(self._serve_due, context=self._context)
        return any(fd == self._others_fd for fd, _ in events)

    def _serve_due(self) -> None:
        events, self._due = self._due, []
        if self._engine is not None:
            self._engine.serve(events)
            # asyncio would call what is due by now behind the next events.
            self._engine.runtime.fire_due()

    def close(self) -> None:
        if self._engine is not None:
            self._engine.poll_closed()
            self._engine = None
        self._poll.close()
        self._others.close()

    # What asyncio registers is none of ours.

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._others.register(fileobj, events, data)  # type: ignore[no-any-return]

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._others.unregister(fileobj)  # type: ignore[no-any-return]

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._others.modify(fileobj, events, data)  # type: ignore[no-any-return]

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        return self._others.get_key(fileobj)  # type: ignore[no-any-return]

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._others.get_map()  # type: ignore[no-any-return]


def new_event_loop() -> asyncio.AbstractEventLoop:
    """An ``asyncio.SelectorEventLoop`` that waits in the engine's epoll, where there is epoll."""
    import asyncio

    if not HAS_EPOLL:
        return asyncio.SelectorEventLoop()
    selector = Selector()
    loop = selector.loop = asyncio.SelectorEventLoop(selector)
    loop._tailrace_selector = selector  # type: ignore[attr-defined]
    return loop
