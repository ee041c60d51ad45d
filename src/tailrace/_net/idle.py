"""Idle timeouts without a timer per packet.

Activity stores a time stamp, in the handle or here; the one timer looks at it when it fires and
sleeps on for what is left. The timer never keeps the program alive.
"""

from __future__ import annotations

from collections.abc import Callable

from .._handles import StreamHandle
from .._runtime import Runtime
from .._timers import Timer

__all__ = ['Idle']


class Idle:
    """Calls ``expired()`` once for every period of ``ms`` without activity."""

    __slots__ = ('_expired', '_handle', '_runtime', '_timer', '_told', '_touched', 'ms')

    def __init__(self, runtime: Runtime, ms: float, expired: Callable[[], object]) -> None:
        self._runtime = runtime
        self.ms = ms
        self._expired = expired
        self._handle: StreamHandle | None = None
        self._touched = self._runtime.clock()
        #: The activity after which expiry was told.
        self._told = -1.0
        self._timer = Timer(runtime, self._look, max(1.0, ms), (), False).unref()

    def watch(self, handle: StreamHandle | None) -> None:
        """Count the activity of ``handle`` too."""
        if self._handle is not None and handle is not self._handle:
            self._handle.stamping = False
        self._handle = handle
        if handle is not None:
            handle.stamping = True

    def touch(self) -> None:
        """Something happened."""
        self._touched = self._runtime.clock()

    def _look(self) -> None:
        last = self._touched
        if self._handle is not None and self._handle.active_at > last:
            last = self._handle.active_at
        left = last + self.ms / 1000 - self._runtime.clock()
        if left > 0.0005 or self._told == last:
            self._again(left if left > 0.0005 else self.ms / 1000)
            return
        self._told = last
        self._again(self.ms / 1000)
        self._expired()

    def _again(self, seconds: float) -> None:
        self._timer.restart(max(1.0, seconds * 1000))

    def stop(self) -> None:
        """Never expire."""
        self._timer.close()
        self.watch(None)
