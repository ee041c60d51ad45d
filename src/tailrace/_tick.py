"""The tick queue: what runs after the current callback and before the loop's next one.

Node's ``process.nextTick`` (design §3, GEN-10). Everything that the loop calls goes through
:meth:`Ticks.enter`, which runs the queue empty before it returns to the loop. Code that runs
outside such a callback (an asyncio task) gets its ticks through one wake-up.

This file refuses to know the loop: :class:`tailrace._runtime.Runtime` supplies :meth:`Ticks.wake`
and :meth:`Ticks.uncaught`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

__all__ = ['Due', 'Ticks', 'Timed']


_Tick = tuple[Callable[..., object], tuple[Any, ...] | None, object]


class Ticks:
    """A tick queue and the gate through which callbacks of the loop pass."""

    __slots__ = (
        '_append',
        '_popleft',
        'dead',
        'hung_up',
        'inside',
        'polled',
        'queue',
        'woken',
    )

    def __init__(self) -> None:
        #: Function, its arguments (None: the source alone), and the source.
        self.queue: deque[_Tick] = deque()
        # Kept: compiled code looks a method of a deque up by its name, 170 instructions each time.
        self._append: Any = self.queue.append
        self._popleft: Any = self.queue.popleft
        #: Whether a callback of the loop is on the stack.
        self.inside: bool = False
        #: Whether a wake-up for ticks from outside is under way.
        self.woken: bool = False
        #: Whether an exception has ended the program: nothing of it runs any more.
        self.dead: bool = False
        #: The descriptor whose event is served, if its peer has closed both sides; else -1.
        self.hung_up: int = -1
        #: Whether the callback on the stack is that of an event, or of what was deferred by one:
        #: not a timer's, nor a task.
        self.polled: bool = False

    def wake(self) -> None:
        """Have the loop call :meth:`flush` soon."""
        raise NotImplementedError

    def uncaught(self, error: Exception, source: object = None) -> None:
        """Take an exception that came out of a callback."""
        raise NotImplementedError

    def push(self, fn: Callable[..., object], args: tuple[Any, ...], source: object = None) -> None:
        """Queue ``fn(*args)`` for the end of the current callback.

        An exception of it is blamed on ``source``, or else on the object whose method ``fn`` is.
        """
        self._append((fn, args, source))
        if not self.inside and not self.woken:
            self.woken = True
            self.wake()

    def push_for(self, fn: Callable[[Any], object], source: object) -> None:
        """Queue ``fn(source)``: what :meth:`push` does with ``(source,)``, for less."""
        self._append((fn, None, source))
        if not self.inside and not self.woken:
            self.woken = True
            self.wake()

    def flush(self) -> None:
        """Run the ticks that were queued outside of a callback; the loop calls this."""
        self.woken = False
        if not self.inside and self.queue:
            self.inside = True
            try:
                self.drain()
            finally:
                self.inside = False

    def enter(self, fn: Callable[..., object], args: tuple[Any, ...], source: object) -> None:
        """Run a callback of the loop, then its ticks. ``source`` is what an exception is blamed on.

        Called from within another callback it only calls: the outer one runs the ticks.
        """
        if self.inside:
            fn(*args)
            return
        if self.dead:
            return
        self.inside = True
        try:
            if self.queue:
                self.drain()
            try:
                fn(*args)
            except Exception as error:
                self.uncaught(error, source)
            if self.queue:
                self.drain()
        finally:
            self.inside = False

    def step(self, fn: Callable[..., object], args: tuple[Any, ...], source: object) -> None:
        """One of several callbacks of one event: call it, then its ticks, as :meth:`enter` does.

        The gate may be open already (the engine opens it once for all events).
        """
        if not self.inside:
            self.enter(fn, args, source)
        elif not self.dead:
            try:
                fn(*args)
            except Exception as error:
                self.uncaught(error, source)
            if self.queue:
                self.drain()

    def drain(self) -> None:
        """Run ticks until none is left, including those that ticks add."""
        queue = self.queue
        popleft = self._popleft
        while queue:
            if self.dead:
                queue.clear()
                return
            entry: _Tick = popleft()
            fn, args, source = entry
            try:
                if args is None:
                    fn(source)
                else:
                    fn(*args)
            except Exception as error:
                self.uncaught(error, getattr(fn, '__self__', None) if source is None else source)


class Due:
    """A call that a runtime keeps for later; ``_timers.py`` has the kinds."""

    __slots__ = ()

    def fire(self) -> None:
        """Make the call."""
        raise NotImplementedError

    def source(self) -> object:
        """What an exception of the call is blamed on."""
        return None


class Timed(Due):
    """A call that is due at a time."""

    __slots__ = ('number', 'when')

    def __init__(self) -> None:
        #: The queue entry that counts: an entry with another number is a stale one.
        self.number: int = -1
        #: When it is due, on the runtime's clock.
        self.when: float = 0.0

    def is_entry(self, number: int) -> bool:
        """Whether the queue entry with this number is the one that counts."""
        return self.number == number

    def withdraw(self) -> None:
        """No queue entry counts any more."""
        self.number = -1
