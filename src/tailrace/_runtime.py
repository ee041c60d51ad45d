"""One event loop's worth of tailrace: ticks, timers, and what keeps the program alive.

A :class:`Runtime` belongs to one asyncio loop. It is found with :func:`current`: the running
loop's, or else the thread's default one, which has no loop yet and gets one from :func:`run`. What
is asked of a runtime without a loop (timers, ticks, registrations) waits until it has one.

Node ends a program when nothing is left that could call back. asyncio has no such rule, so the
runtime keeps the set of everything that does (spec GEN-10 to GEN-13): a *holder* is in the set
while it is both active (reading, listening, a request under way) and ref'd.

This file knows the loop; it refuses to know sockets, streams and events.
"""

from __future__ import annotations

import heapq
import itertools
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeGuard

from ._tick import Due, Ticks, Timed
from ._validate import check_callable

if TYPE_CHECKING:
    import asyncio

__all__ = [
    'Holder',
    'Runtime',
    'current',
    'current_task',
    'forget_default',
    'is_coroutine',
    'new_future',
    'next_tick',
    'running_loop',
    'spawn',
]


_monotonic: Final[Any] = time.monotonic


class Holder(Protocol):
    """What can keep the program alive."""

    def describe(self) -> tuple[str, str]:
        """Kind and address, for ``active_resources``: ``('server', '127.0.0.1:80')``."""
        ...


class Runtime(Ticks):
    """Ticks, timers and lifetime on one loop."""

    __slots__ = (
        '_exit_check',
        '_heap',
        '_heap_call',
        '_held_at',
        '_held_stamp',
        '_immediates',
        '_sequence',
        '_waiting',
        'as_node',
        'clock',
        'collected',
        'engine',
        'failure',
        'frozen',
        'holders',
        'loop',
        'on_error',
        'on_idle',
        'owned',
        'tasks',
    )

    def __init__(self) -> None:
        super().__init__()
        self.loop: asyncio.AbstractEventLoop | None = None
        #: The handle layer's registrations on this loop; made and known by that layer only.
        self.engine: Any = None
        #: Where finalisers leave what is to be done; made and known by ``_collected.py`` only.
        self.collected: Any = None
        #: Whether :func:`run` runs the loop, so that an exception ends the program.
        self.owned: bool = False
        #: Whether :func:`run` was given no main: the program is written as for Node.
        self.as_node: bool = False
        #: What :func:`run` was told to do when one accepted connection fails; None: nothing.
        self.on_error: Any = None
        self.failure: BaseException | None = None
        #: What keeps the program alive → since when (time.monotonic).
        self.holders: dict[Holder, float] = {}
        #: Tasks of coroutine listeners: asyncio itself keeps only weak references.
        self.tasks: set[asyncio.Future[Any]] = set()
        #: The time of timers, in seconds; tests put another in its place, which only they move.
        self.clock: Callable[[], float] = time.monotonic
        self.frozen: bool = False
        self._heap: list[tuple[float, int, Timed]] = []
        # Any: what a checker narrows to None a compiler believes, whatever is called in between.
        self._heap_call: Any = None
        self._held_at: float = 0.0
        # The same as an object, one for all that come within a millisecond: 32 bytes less for each.
        self._held_stamp: Any = 0.0
        self._immediates: list[Due] = []
        self._sequence = itertools.count()
        self._waiting: list[Callable[[asyncio.AbstractEventLoop], object]] = []
        self.on_idle: Callable[[], None] | None = None
        self._exit_check = False

    # -- the loop ---------------------------------------------------------------------------

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Bind to ``loop`` and start what was waiting for one."""
        self.loop = loop
        loop._tailrace_runtime = self  # type: ignore[attr-defined]
        clock: Any = getattr(loop, '_tailrace_clock', None)
        if clock is not None and not self.frozen:
            self.clock = clock
        waiting, self._waiting = self._waiting, []
        for start in waiting:
            start(loop)

    def with_loop(self, start: Callable[[asyncio.AbstractEventLoop], object]) -> None:
        """Call ``start(loop)`` now, or as soon as there is a loop."""
        if self.loop is None:
            self._waiting.append(start)
        else:
            start(self.loop)

    def wake(self) -> None:
        self.with_loop(self._wake)

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_soon(self.flush)

    def uncaught(self, error: Exception, source: object = None) -> None:
        """An exception nobody caught: end the program, or tell the loop's owner.

        A ``source`` that has a ``_take_blame(error)`` deals with it alone if that returns True.
        """
        blame: Any = getattr(source, '_take_blame', None)
        if blame is not None and blame(error):
            return
        if self.owned:
            self.die(error)
            return
        loop = self.loop
        if loop is None:
            raise error
        loop.call_exception_handler(
            {
                'message': 'unhandled exception in a tailrace callback'
                + ('' if source is None else f' of {source!r}'),
                'exception': error,
                'source': source,
            }
        )
        destroy = getattr(source, 'destroy', None)
        if destroy is not None:
            destroy()

    def report(self, error: Exception, source: object) -> None:
        """Tell of an error that must not end the program: to the loop's exception handler."""
        if self.loop is not None:
            self.loop.call_exception_handler(
                {'message': f'error of {source!r}', 'exception': error, 'source': source}
            )

    def die(self, error: BaseException) -> None:
        """End :func:`run` with ``error``; nothing else of the program runs."""
        if self.failure is None:
            self.failure = error
        self.dead = True
        if self.on_idle is not None:
            self.on_idle()

    # -- lifetime ---------------------------------------------------------------------------

    def hold(self, holder: Holder) -> None:
        """``holder`` keeps the program alive from now on; asking twice changes nothing."""
        if holder not in self.holders:
            now: float = _monotonic()
            if now - self._held_at > 0.001:
                self._held_at = now
                self._held_stamp = now
            self.holders[holder] = self._held_stamp

    def release(self, holder: Holder) -> None:
        """``holder`` no longer keeps the program alive."""
        holders = self.holders
        if holder in holders:
            del holders[holder]
            if not holders:
                self.check_exit()

    def check_exit(self) -> None:
        """Look soon whether anything is left that could call back."""
        if self.on_idle is not None and not self._exit_check and self.loop is not None:
            self._exit_check = True
            self.loop.call_soon(self.look_for_exit)

    def look_for_exit(self) -> None:
        """End the program if nothing is left that could call back."""
        self._exit_check = False
        if self.on_idle is None or self.holders:
            return
        if self.queue:
            self.check_exit()
        else:
            self.on_idle()

    # -- timers -----------------------------------------------------------------------------

    def add_timer(self, timer: Timed, when: float) -> None:
        """Put ``timer`` into the queue; it is due at ``when``, by :attr:`clock`."""
        timer.when = when
        timer.number = next(self._sequence)
        heapq.heappush(self._heap, (when, timer.number, timer))
        if self._heap[0][2] is timer:
            self.with_loop(self._arm)

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._heap_call is not None:
            self._heap_call.cancel()
            self._heap_call = None
        heap = self._heap
        while heap and not heap[0][2].is_entry(heap[0][1]):
            heapq.heappop(heap)
        if heap and not self.frozen:
            # uvloop counts whole milliseconds and rounds down: rounded up here, no timer is early.
            delay = max(0.0, heap[0][0] - self.clock())
            self._heap_call = loop.call_later(-(-delay // 0.001) * 0.001, self._timers_due)

    def fire_due(self) -> None:
        """Fire the timers that are due now, before the loop looks at them."""
        heap = self._heap
        if heap and not self.frozen and heap[0][0] <= self.clock():
            if self._heap_call is not None:
                self._heap_call.cancel()
            self._timers_due()

    def _timers_due(self) -> None:
        self._heap_call = None
        now = self.clock() + 0.0005
        heap = self._heap
        last = next(self._sequence)
        try:
            while heap and not self.dead:
                when, number, timer = heap[0]
                if not timer.is_entry(number):
                    heapq.heappop(heap)
                elif when > now or number > last:
                    break
                else:
                    heapq.heappop(heap)
                    timer.number = -1
                    self.enter(timer.fire, (), None)
        finally:
            loop = self.loop
            if loop is not None and self._heap_call is None and not loop.is_closed():
                self._arm(loop)

    def add_immediate(self, immediate: Due) -> None:
        """Run ``immediate`` once after the current iteration's callbacks."""
        self._immediates.append(immediate)
        if len(self._immediates) == 1:
            self.with_loop(lambda loop: loop.call_soon(self._run_immediates))

    def _run_immediates(self) -> None:
        batch, self._immediates = self._immediates, []
        for immediate in batch:
            self.enter(immediate.fire, (), immediate.source())


_local = threading.local()


def is_coroutine(value: object) -> TypeGuard[Coroutine[Any, Any, Any]]:
    """Whether ``value`` can be run as a task."""
    # inspect.iscoroutine, without the 4 ms that importing inspect takes; or events.once().
    return isinstance(value, (CoroutineType, Coroutine))


def _no_loop_yet() -> asyncio.AbstractEventLoop | None:
    # asyncio is imported only when somebody needs a loop: it is most of the import time, and
    # while nobody has imported it no loop can be running. From then on it is asked directly.
    global _running_loop
    events = sys.modules.get('asyncio.events')
    if events is None or not hasattr(events, '_get_running_loop'):
        return None
    _running_loop = events._get_running_loop
    return _running_loop()


_running_loop: Callable[[], asyncio.AbstractEventLoop | None] = _no_loop_yet


def current() -> Runtime:
    """The runtime of the running loop, or else the thread's default one."""
    loop = _running_loop()
    if loop is not None:
        try:
            return loop._tailrace_runtime  # type: ignore[attr-defined, no-any-return]
        except AttributeError:
            runtime = Runtime()
            runtime.attach(loop)
            return runtime
    default: Runtime | None = getattr(_local, 'default', None)
    if default is None:
        default = _local.default = Runtime()
    return default


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that runs in this thread, if any."""
    return _running_loop()


def forget_default() -> None:
    """The thread's default runtime has run its program: the next one gets another."""
    _local.default = None


def new_future() -> asyncio.Future[Any]:
    """A future of the running loop; RuntimeError without one."""
    loop = _running_loop()
    if loop is None:
        raise RuntimeError('there is no running event loop to wait in')
    return loop.create_future()


def current_task() -> asyncio.Task[Any] | None:
    """The task that runs now, if any."""
    tasks = sys.modules.get('asyncio.tasks')
    return None if tasks is None or _running_loop() is None else tasks.current_task()


def next_tick(fn: Callable[..., object], *args: Any) -> None:
    """Call ``fn(*args)`` after the current callback, before the loop does anything else.

    Node's ``process.nextTick``. Raises ERR_INVALID_ARG_TYPE if ``fn`` cannot be called.
    """
    check_callable('callback', fn)
    current().push(fn, args)


class _TaskHolder:
    """A listener's task keeps the program alive: what it has begun is not cut off."""

    __slots__ = ('_task',)

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self._task = task

    def describe(self) -> tuple[str, str]:
        return 'task', self._task.get_name()


def spawn(
    coroutine: Coroutine[Any, Any, Any], failed: Callable[[Exception], object] | None = None
) -> asyncio.Future[Any]:
    """Run a coroutine as a task that is held on to; ``failed(error)`` gets its exception.

    Without ``failed`` an exception is an uncaught one. Cancellation is not a failure.
    """
    runtime = current()
    loop = runtime.loop
    if loop is None:
        coroutine.close()
        raise RuntimeError('a coroutine listener needs a running event loop')
    task = loop.create_task(coroutine)
    runtime.tasks.add(task)
    holder = _TaskHolder(task)
    runtime.hold(holder)

    def done(task: asyncio.Future[Any]) -> None:
        runtime.tasks.discard(task)
        runtime.release(holder)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            return
        if not isinstance(error, Exception):
            runtime.die(error)
        elif failed is None:
            runtime.enter(runtime.uncaught, (error,), None)
        else:
            runtime.enter(failed, (error,), None)

    task.add_done_callback(done)
    return task
