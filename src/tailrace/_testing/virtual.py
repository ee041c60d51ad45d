"""An event loop on which waiting takes no time.

Its time stands still while anything is left to do, and jumps to the next timer when nothing is. So
``asyncio.sleep``, ``asyncio.timeout``, ``loop.call_later`` and all timers of this package go by one
time, and a test of a day passes in a moment. This file refuses to know what the timers are for.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Mapping
from typing import Any

from .._validate import milliseconds

__all__ = ['VirtualTimeLoop']


class _Jump(selectors.BaseSelector):
    """A selector that moves its loop's time instead of waiting for it to pass."""

    def __init__(self, loop: VirtualTimeLoop, patience: float) -> None:
        self._real = selectors.DefaultSelector()
        self._loop = loop
        self._patience = patience

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or self._loop.held:
            # No timer, or none that fires unless somebody moves the time: what may come is I/O.
            return self._real.select(timeout if timeout is not None and timeout <= 0 else None)
        if timeout <= 0:
            return self._real.select(0)
        found = self._real.select(self._patience)
        if not found:
            self._loop.jump(timeout)
        return found

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.get_key(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop whose time passes only when there is nothing else to do.

    A ``loop_factory``: ``tailrace.run(main, loop_factory=VirtualTimeLoop)``,
    ``asyncio.Runner(loop_factory=VirtualTimeLoop)``. While a callback is due or a descriptor is
    ready, time stands still; when the loop would wait for a timer, its time jumps to that timer.
    ``asyncio.sleep``, ``asyncio.timeout``, ``loop.call_later``, ``loop.time()``, ``set_timeout``
    and its like, ``socket.set_timeout``, ``connect_timeout`` and every deadline of this package go
    by it.

    ``patience`` (ms of real time, default 0) is how long the loop waits for descriptors before it
    jumps: what threads, other processes and the network do takes real time, and between connected
    sockets of one process nothing does. Name lookups run in threads: use addresses, or a patience.

    Inside :class:`FakeClock` its time does not jump; it moves with that clock.

    Raises ERR_INVALID_ARG_TYPE or ERR_OUT_OF_RANGE for ``patience``.
    """

    def __init__(self, *, patience: float = 0) -> None:
        #: Whether the time is moved by a FakeClock only.
        self.held = False
        # As timers that were made before there was a loop count.
        self._now = time.monotonic()
        try:
            seconds = milliseconds('patience', patience) / 1000
        except Exception:
            self._closed = True  # its finaliser would complain of a loop that was never made
            raise
        super().__init__(_Jump(self, seconds))

    def time(self) -> float:
        """Seconds, as the loop's timers count them."""
        return self._now

    _tailrace_clock = time

    def jump(self, seconds: float) -> None:
        """Move the time forward; timers that become due fire in the next turn of the loop."""
        self._now += seconds

    def next_timer(self) -> float | None:
        """The time of the next timer that was not cancelled, or None."""
        timers: list[asyncio.TimerHandle] = getattr(self, '_scheduled')  # noqa: B009
        whens = [one.when() for one in timers if not one.cancelled()]
        return min(whens, default=None)
