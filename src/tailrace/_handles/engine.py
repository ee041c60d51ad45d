"""The engine: the one place where handles meet the event loop.

Handles ask for two things: to be called when their descriptor is ready (:meth:`Engine.watch`), and
to be called a little later (:meth:`Engine.defer`). Both work before the runtime has a loop: what
was asked waits here until there is one.

Where there is epoll, the engine keeps one of its own with all descriptors in it, and the loop knows
one descriptor: the epoll's. So an event costs no callback object of the loop, and no loop comes
between: libuv stops a poll that reports an error, and a reset behind unread data was never seen.
``selector.py`` goes one step further and makes that epoll the one the loop itself waits in. Where
there is none (macOS, Windows) every descriptor is registered with the loop.

This file refuses to know what a descriptor stands for, and what the functions do that it calls.
"""

from __future__ import annotations

import gc
import select
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from .._compiled import mypyc_attr
from .._runtime import Runtime
from .._tick import Ticks
from .calls import epoll_ctl, epoll_wait

if TYPE_CHECKING:
    import asyncio

__all__ = ['BATCH', 'READ', 'WRITE', 'Engine', 'Watched', 'engine_of']

#: What a handle can wait for. The values are those of EPOLLIN and EPOLLOUT.
READ: Final = 1
WRITE: Final = 4
#: An error (8) or hang-up (16), which epoll reports unasked, wakes readers and writers.
_WRITABLE: Final = ~READ
_READY: Final = READ | WRITE

#: Events taken from the kernel at once. It moves on through its list of ready descriptors with each
#: call, so nobody is passed over; between two batches the loop's timers and callbacks have a turn.
BATCH: Final = 256

HAS_EPOLL: Final = hasattr(select, 'epoll')

# linux/eventpoll.h
_ADD: Final = 1
_DELETE: Final = 2
_MODIFY: Final = 3
_control: Final[Any] = epoll_ctl


class PollOwner(Protocol):
    """A loop's selector that waits in the engine's epoll itself: see ``selector.py``."""

    def serve_with(self, engine: Engine) -> Any:
        """``engine`` serves the events from now on; the epoll for it to register with."""
        ...


@mypyc_attr(allow_interpreted_subclasses=True)
class Watched:
    """What can be watched: a descriptor and what to call when it is ready."""

    __slots__ = ('fd', 'owner', 'runtime', 'watching')

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        #: The descriptor, -1 before there is one and after close.
        self.fd = -1
        #: Who gets the blame for an exception of a callback.
        self.owner: object = None
        #: READ and WRITE bits; written by the engine only.
        self.watching = 0

    def abandon(self) -> None:
        """Close: the program that it belongs to has failed."""

    def ready_to_read(self) -> None:
        """The descriptor is readable, at its end, or in error.

        One callback of the program: its ticks follow. If there are several: ``Runtime.step``.
        """

    def ready_to_write(self) -> None:
        """The descriptor is writable or in error. Every callback goes through ``Runtime.step``."""


class Engine:
    """Registrations of one runtime with its loop."""

    __slots__ = (
        '_connects',
        '_defer',
        '_fresh',
        '_later',
        '_loop',
        '_poll',
        '_poll_fd',
        '_selector',
        '_watched',
        'runtime',
    )

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        # Untyped for mypyc's sake: compiled code checks what a call returns against the types of
        # asyncio, and uvloop's remove_writer returns None where those promise a bool.
        self._loop: Any = None
        self._watched: dict[int, Watched] = {}
        #: Descriptors that came in since the events under way were fetched: an event of one of
        #: them may belong to a closed descriptor of the same number.
        self._fresh: set[int] = set()
        self._poll: Any = None
        self._poll_fd = -1
        self._selector: PollOwner | None = None
        #: What connects, and is registered behind the callbacks of this batch of events.
        self._connects: list[Watched] = []
        self._later: deque[tuple[Callable[..., object], tuple[Any, ...], object]] = deque()
        # Kept, as in Ticks.
        self._defer: Any = self._later.append
        runtime.with_loop(self._start)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._selector = getattr(loop, '_tailrace_selector', None)
        if self._selector is not None:
            self._poll = self._selector.serve_with(self)
            self._poll_fd = self._poll.fileno()
        for fd, handle in self._watched.items():
            self._register(loop, fd, handle, 0, handle.watching)
        if self._later:
            loop.call_soon(self._run_later)

    # -- readiness --------------------------------------------------------------------------

    def watch(self, handle: Watched, wanted: int) -> None:
        """Call ``handle`` whenever its descriptor is ready for ``wanted`` (READ, WRITE, both, 0).

        With 0 an event that was already seen is not delivered any more.
        """
        before = handle.watching
        if wanted == before:
            return
        handle.watching = wanted
        fd = handle.fd
        if not wanted:
            watched = self._watched
            if fd in watched:
                del watched[fd]
        elif not before:
            self._watched[fd] = handle
            self._fresh.add(fd)
        loop = self._loop
        if loop is not None:
            self._register(loop, fd, handle, before, wanted)

    def watch_connect(self, handle: Watched) -> None:
        """Call ``handle`` when it is connected, which a local peer makes it at once.

        epoll reports in the order in which descriptors became ready. This one is registered when
        the callbacks of this batch are done, as libuv does it: what they cause on connections
        that are there already comes before 'connect'.
        """
        if self._selector is not None or self.runtime.polled:
            self._connects.append(handle)
        else:
            self.watch(handle, handle.watching | WRITE)

    def _register_connects(self) -> None:
        connects, self._connects = self._connects, []
        for handle in connects:
            if handle.fd >= 0:
                self.watch(handle, handle.watching | WRITE)

    def _register(
        self, loop: asyncio.AbstractEventLoop, fd: int, handle: Watched, before: int, wanted: int
    ) -> None:
        if not HAS_EPOLL:
            if not loop.is_closed():
                self._register_with_loop(loop, fd, handle, before, wanted)
            return
        poll = self._poll
        if poll is None:
            if loop.is_closed():
                return
            poll = self._poll = select.epoll()
            self._poll_fd = poll.fileno()
            loop.add_reader(self._poll_fd, self._poll_now)
        try:
            if _control is not None and self._poll_fd >= 0:
                operation = _DELETE if not wanted else _MODIFY if before else _ADD
                _control(self._poll_fd, operation, fd, wanted)
            elif not wanted:
                poll.unregister(fd)
            elif before:
                poll.modify(fd, wanted)
            else:
                poll.register(fd, wanted)
        except ValueError:
            return  # the epoll was closed with its loop
        except OSError:
            # EBADF, ENOENT: somebody else closed it, and the kernel has let go of it.
            if wanted:
                raise
        if not self._watched and self._selector is None:
            if not loop.is_closed():
                loop.remove_reader(self._poll_fd)
            self._drop_poll()

    def _drop_poll(self) -> None:
        """Nothing is watched: no descriptor is kept for it."""
        if self._poll is not None and self._selector is None:
            self._poll.close()
            self._poll = None
            self._poll_fd = -1

    def poll_closed(self) -> None:
        """The selector has closed its epoll: the number may be another descriptor's from now on."""
        self._poll_fd = -1

    def _register_with_loop(
        self, loop: asyncio.AbstractEventLoop, fd: int, handle: Watched, before: int, wanted: int
    ) -> None:
        changed = before ^ wanted
        if changed & READ:
            if wanted & READ:
                loop.add_reader(fd, self._serve_one, handle, READ)
            else:
                loop.remove_reader(fd)
        if changed & WRITE:
            if wanted & WRITE:
                loop.add_writer(fd, self._serve_one, handle, WRITE)
            else:
                loop.remove_writer(fd)

    def _serve_one(self, handle: Watched, event: int) -> None:
        self._fresh.clear()
        self.serve([(handle.fd, event)])

    def _poll_now(self) -> None:
        self.serve(self.fetch(0))

    def fetch(self, timeout: float | None) -> list[tuple[int, int]]:
        """Wait for events: (descriptor, mask) pairs. They must be served before the next fetch."""
        if self._connects:
            self._register_connects()
        self._fresh.clear()
        found: list[tuple[int, int]]
        if epoll_wait is None:
            found = self._poll.poll(timeout, BATCH)
        else:
            found = epoll_wait(self._poll_fd, timeout, BATCH)
        return found

    def serve(self, events: list[tuple[int, int]]) -> bool:
        """Call the handles of these events; whether there was one of a descriptor not ours."""
        # By its compiled base: an attribute of the interpreted class costs 190 instructions.
        runtime: Ticks = self.runtime
        if runtime.dead:
            return True
        watched = self._watched
        fresh = self._fresh
        queue = runtime.queue
        foreign = False
        # Runtime.enter, written out for all events at once: here it is the cost of every message.
        runtime.inside = True
        runtime.polled = True
        try:
            if queue:
                runtime.drain()
            for fd, event in events:
                # Whom an earlier event has closed is not there any more, or is fresh.
                handle = watched.get(fd)
                if handle is None:
                    foreign = True
                    continue
                if fresh and fd in fresh:
                    continue
                if event > _READY:
                    runtime.hung_up = fd
                if event != WRITE and handle.watching & READ:
                    try:
                        handle.ready_to_read()
                    except Exception as error:
                        runtime.uncaught(error, handle.owner)
                    if queue:
                        runtime.drain()
                if event != READ and handle.watching & WRITE and event & _WRITABLE:
                    handle.ready_to_write()
                if event > _READY:
                    runtime.hung_up = -1
                if runtime.dead:
                    break
        finally:
            runtime.inside = False
            runtime.hung_up = -1
            runtime.polled = False
            if self._connects and self._selector is None:
                self._register_connects()
        return foreign

    def abandon(self) -> None:
        """Close every handle of the runtime: its program has failed."""
        # A registry of those that are not watched (paused, bound) would cost every connection; each
        # handle knows its runtime, and this happens once.
        for one in gc.get_referrers(self.runtime):
            if isinstance(one, Watched):
                one.abandon()

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
        self._defer((fn, args, source))
        if len(later) == 1:
            self.runtime.hold(self)
            if loop is not None:
                loop.call_soon(self._run_later)

    def _run_later(self) -> None:
        later = self._later
        runtime: Ticks = self.runtime
        enter = self.runtime.enter
        runtime.polled = True
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
            runtime.polled = False
            # What connects is registered by now, or in the batch of events that is next.
            if self._connects and self._selector is None:
                self._register_connects()
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
