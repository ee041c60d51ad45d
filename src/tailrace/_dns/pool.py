"""Threads for the one call of the system that only blocks: getaddrinfo.

Four lookups run at a time, as in Node; more wait in line. The threads are daemons of our own and
not the loop's default executor, because Python joins an executor's threads at exit: a resolver
that hangs would hold up the end of the program. A thread ends when nothing waits.

This file knows threads; it refuses to know loops, runtimes and errors.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

__all__ = ['Pool']


class Pool:
    """At most ``size`` blocking calls at a time."""

    __slots__ = ('__weakref__', '_line', '_lock', '_running', 'size')

    def __init__(self, size: int = 4) -> None:
        self.size: int = size
        self.renew()

    def renew(self) -> None:
        """Forget everything, for the child of a fork.

        It has none of its parent's threads, and perhaps a lock that one of them held.
        """
        self._lock = threading.Lock()
        self._line: deque[Callable[[], object]] = deque()
        self._running = 0

    def submit(self, job: Callable[[], object]) -> None:
        """Call ``job`` in a thread, in the order of submission. It must not raise.

        Raises RuntimeError if no thread can be started (at exit, or out of threads) and none runs.
        """
        with self._lock:
            self._line.append(job)
            if self._running >= self.size:
                return
            self._running += 1
        try:
            threading.Thread(target=self._work, name='tailrace-lookup', daemon=True).start()
        except RuntimeError:
            with self._lock:
                self._running -= 1
                # A thread that runs will come to it; without one it would wait for ever.
                if self._running or job not in self._line:
                    return
                self._line.remove(job)
            raise

    def discard(self, job: Callable[[], object]) -> bool:
        """Take a job out of the line; False if it has begun."""
        with self._lock:
            if job in self._line:
                self._line.remove(job)
                return True
            return False

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._line:
                    self._running -= 1
                    return
                job = self._line.popleft()
            job()
