"""A clock that stands still until the test moves it.

It takes the place of the time that timers go by (``Runtime.clock``), and on a VirtualTimeLoop of
that of the loop; everything else goes on as always.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Any

from .. import _runtime
from .._validate import milliseconds
from .virtual import VirtualTimeLoop

__all__ = ['FakeClock']

#: Turns of the loop that :meth:`FakeClock.run` leaves for what a timer has set in motion.
TURNS = 20


class FakeClock:
    """Context manager: ``set_timeout`` & co go by a time that only :meth:`advance` moves.

    Also ``socket.set_timeout``, ``connect_timeout``, the waiting between connection attempts and
    the deadline of ``close_all``. On a :class:`VirtualTimeLoop` it moves the loop's time as well:
    ``asyncio.sleep``, ``asyncio.timeout``, ``loop.call_later``. Belongs to the running loop, or
    without one to the thread's next :func:`tailrace.run`. When it is left, timers that have not
    fired go on in real time with what was left of them. Raises RuntimeError if one is in force
    already.
    """

    def __init__(self) -> None:
        self._runtime: Any = None
        self._loop: VirtualTimeLoop | None = None
        self._real: Callable[[], float] = time.monotonic
        self._start = 0.0
        self._time = 0.0

    def __enter__(self) -> FakeClock:
        runtime = _runtime.current()
        if runtime.frozen:
            raise RuntimeError('there is a fake clock already')
        self._runtime = runtime
        loop = runtime.loop
        self._real = runtime.clock
        self._loop = loop if isinstance(loop, VirtualTimeLoop) else None
        if self._loop is not None:
            self._loop.held = True
        self._start = self._time = self._real()
        runtime.clock = self._read
        runtime.frozen = True
        if runtime._heap_call is not None:
            runtime._heap_call.cancel()
            runtime._heap_call = None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        runtime, self._runtime = self._runtime, None
        runtime.clock = self._real
        runtime.frozen = False
        if self._loop is not None:
            self._loop.held = False
        shift = self._real() - self._time
        heap: list[tuple[float, int, Any]] = []
        for _, number, timer in runtime._heap:
            if timer.is_entry(number):
                timer.when += shift
                heap.append((timer.when, number, timer))
        heapq.heapify(heap)
        runtime._heap = heap
        if heap:
            runtime.with_loop(runtime._arm)

    def _read(self) -> float:
        return self._time

    @property
    def now(self) -> float:
        """Milliseconds since the clock was put in force."""
        return (self._time - self._start) * 1000

    @property
    def next(self) -> float | None:
        """Milliseconds until the next timer is due; None if there is none."""
        when = self._due()
        return None if when is None else max(0.0, (when - self._time) * 1000)

    def _due(self) -> float | None:
        heap = self._runtime._heap
        while heap and not heap[0][2].is_entry(heap[0][1]):
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def _step(self, target: float) -> bool:
        """Go to the next timer up to ``target`` and fire it; False: there is none."""
        when = self._due()
        if when is None or when > target + 1e-6 or self._runtime.dead:
            self._move(target)
            return False
        self._move(when)
        self._runtime._timers_due()
        return True

    def _move(self, to: float) -> None:
        if to > self._time:
            if self._loop is not None:
                self._loop.jump(to - self._time)
            self._time = to

    def advance(self, ms: float | timedelta) -> None:
        """Move the time by ``ms``; timers that become due fire now, in order, ticks after each.

        Within a callback of tailrace their ticks come after that callback. Raises
        ERR_INVALID_ARG_TYPE or ERR_OUT_OF_RANGE.
        """
        target = self._time + milliseconds('ms', ms) / 1000
        while self._step(target):
            pass

    async def run(self, ms: float | timedelta) -> None:
        """As :meth:`advance`, and after each timer the loop runs on for some turns."""
        target = self._time + milliseconds('ms', ms) / 1000
        loop = self._loop
        while True:
            for _ in range(TURNS):
                await asyncio.sleep(0)
            if loop is not None:
                # A timer of asyncio that comes before the next one here: the loop fires it.
                when, other = self._due(), loop.next_timer()
                if other is not None and other <= target and (when is None or other < when):
                    self._move(other)
                    continue
            if not self._step(target):
                return
