"""The engine: the one place where handles meet the event loop.

Handles ask for two things: to be called when a descriptor is ready, and to be called a little
later. Both work before the runtime has a loop: what was asked waits here until there is one.
Replacing this file by one with a poll of its own (which would call ``fn(*args)`` straight from the
list of ready descriptors) changes nothing above it.

This file refuses to know what a descriptor stands for, and what the functions do that it calls.
What is registered is called bare. Functions that call back into the program go through
``Runtime.enter`` themselves, so that every callback is followed by its ticks, also when one event
leads to several callbacks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._runtime import Runtime

if TYPE_CHECKING:
    import asyncio

__all__ = ['Engine', 'engine_of']

_Call = tuple[Callable[..., object], tuple[Any, ...]]


class Engine:
    """Registrations of one runtime with its loop."""

    __slots__ = ('_later', '_loop', '_readers', '_writers', 'runtime')

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._loop: asyncio.AbstractEventLoop | None = None
        # What waits for a loop; empty from the moment there is one.
        self._readers: dict[int, _Call] = {}
        self._writers: dict[int, _Call] = {}
        self._later: deque[tuple[Callable[..., object], tuple[Any, ...], object]] = deque()
        runtime.with_loop(self._start)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        for fd, (fn, args) in self._readers.items():
            loop.add_reader(fd, fn, *args)
        for fd, (fn, args) in self._writers.items():
            loop.add_writer(fd, fn, *args)
        self._readers.clear()
        self._writers.clear()
        if self._later:
            loop.call_soon(self._run_later)

    # -- readiness --------------------------------------------------------------------------

    def add_reader(self, fd: int, fn: Callable[..., object], *args: Any) -> None:
        """Call ``fn(*args)`` whenever ``fd`` is readable, at an end or in error."""
        loop = self._loop
        if loop is None:
            self._readers[fd] = (fn, args)
        else:
            loop.add_reader(fd, fn, *args)

    def remove_reader(self, fd: int) -> None:
        """Undo :meth:`add_reader`; an event already seen is not delivered any more."""
        loop = self._loop
        if loop is None:
            self._readers.pop(fd, None)
        elif not loop.is_closed():
            loop.remove_reader(fd)

    def add_writer(self, fd: int, fn: Callable[..., object], *args: Any) -> None:
        """Call ``fn(*args)`` whenever ``fd`` is writable or in error."""
        loop = self._loop
        if loop is None:
            self._writers[fd] = (fn, args)
        else:
            loop.add_writer(fd, fn, *args)

    def remove_writer(self, fd: int) -> None:
        """Undo :meth:`add_writer`."""
        loop = self._loop
        if loop is None:
            self._writers.pop(fd, None)
        elif not loop.is_closed():
            loop.remove_writer(fd)

    # -- a little later ---------------------------------------------------------------------

    def defer(self, fn: Callable[..., object], args: tuple[Any, ...], source: object) -> None:
        """Call ``fn(*args)`` from the loop's next iteration, through ``Runtime.enter``.

        Everything deferred in one iteration shares one ``call_soon`` and keeps its order. The
        runtime is held meanwhile: a close callback is always delivered (libuv counts closing
        handles among the living as well).
        """
        later = self._later
        loop = self._loop
        if loop is not None and loop.is_closed():
            return
        later.append((fn, args, source))
        if len(later) == 1:
            self.runtime.hold(self)
            if loop is not None:
                loop.call_soon(self._run_later)

    def _run_later(self) -> None:
        later = self._later
        enter = self.runtime.enter
        # What is deferred meanwhile belongs to the next iteration.
        count = len(later)
        try:
            while count:
                count -= 1
                fn, args, source = later[0]
                try:
                    enter(fn, args, source)
                finally:
                    later.popleft()
        finally:
            # Also after a KeyboardInterrupt or SystemExit came through, the rest is not lost.
            loop = self._loop
            if not later:
                self.runtime.release(self)
                # Now, not in the next turn: when the last handle was closed, what is due on
                # unref'd ones is not delivered any more.
                self.runtime.look_for_exit()
            elif loop is not None and not loop.is_closed():
                loop.call_soon(self._run_later)

    def describe(self) -> tuple[str, str]:
        """For active_resources: callbacks that are due in the next iteration."""
        return 'callbacks', str(len(self._later))


def engine_of(runtime: Runtime) -> Engine:
    """The runtime's engine, made when first asked for."""
    engine: Engine | None = runtime.engine
    if engine is None:
        engine = runtime.engine = Engine(runtime)
    return engine
