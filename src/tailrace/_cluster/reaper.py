"""Waiting for the end of a process: a pidfd in the loop, or a thread where there is none.

asyncio's child watchers are not used: they want the main thread or a signal handler of their own,
and differ from loop to loop. This file refuses to know what the process was for.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable

from .._handles.engine import READ, Watched, engine_of
from .._runtime import Runtime

__all__ = ['Reaper']


def _open_pidfd(pid: int) -> int:
    """Linux 5.3 (pidfd_open(2)); -1 elsewhere, and where a filter forbids it (EPERM, ENOSYS)."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return -1


class _PidFd(Watched):
    """A pidfd: readable once the process has ended (pidfd_open(2))."""

    __slots__ = ('_ended',)

    def __init__(self, runtime: Runtime, fd: int, ended: Callable[[], object]) -> None:
        super().__init__(runtime)
        self.fd = fd
        self._ended = ended

    def ready_to_read(self) -> None:
        self._ended()


class Reaper:
    """Calls ``done(status)`` once, with ``Popen.returncode``, when the process has ended."""

    __slots__ = ('_done', '_owner', '_pidfd', '_popen', '_refed', '_runtime')

    def __init__(
        self,
        runtime: Runtime,
        popen: subprocess.Popen[bytes],
        done: Callable[[int], object],
        owner: object,
    ) -> None:
        self._runtime = runtime
        self._popen = popen
        self._done: Callable[[int], object] | None = done
        self._owner = owner
        self._refed = True
        fd = _open_pidfd(popen.pid)
        self._pidfd: _PidFd | None = None
        runtime.hold(self)
        if fd >= 0:
            self._pidfd = _PidFd(runtime, fd, self._ended)
            engine_of(runtime).watch(self._pidfd, READ)
        else:
            runtime.with_loop(self._start_thread)

    def _start_thread(self, loop: object) -> None:
        name = f'tailrace-wait-{self._popen.pid}'
        threading.Thread(target=self._wait, name=name, daemon=True).start()

    def _wait(self) -> None:
        self._popen.wait()
        loop = self._runtime.loop
        try:
            if loop is not None:
                loop.call_soon_threadsafe(self._ended)
        except RuntimeError:
            pass  # the loop is closed: nobody is left to be told

    def _ended(self) -> None:
        status = self._popen.poll()
        done = self._done
        if status is None or done is None:
            return
        self._done = None
        self._close_pidfd()
        self._runtime.step(done, (status,), self._owner)
        self._runtime.release(self)

    def ref(self) -> None:
        """Hold the program until the process has ended (the default)."""
        self._refed = True
        if self._done is not None:
            self._runtime.hold(self)

    def unref(self) -> None:
        """Let the program end before the process."""
        self._refed = False
        self._runtime.release(self)

    def describe(self) -> tuple[str, str]:
        """For active_resources."""
        return 'process', str(self._popen.pid)

    def _close_pidfd(self) -> None:
        pidfd, self._pidfd = self._pidfd, None
        if pidfd is not None:
            engine_of(self._runtime).watch(pidfd, 0)
            os.close(pidfd.fd)

    def __del__(self) -> None:
        if self._pidfd is not None:
            os.close(self._pidfd.fd)
            self._pidfd = None
