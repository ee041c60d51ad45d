"""What a finaliser leaves to be done, and how the loop hears of it.

A finaliser runs where the last reference went or the collector happened to run: in any thread, in
the middle of any call, in a frame that is being torn down. No loop may be touched there: under a
dying frame ``call_soon`` of a loop in debug mode, which walks the stack, crashes CPython 3.12.1.
So a finaliser adds to the tick queue, and if nothing is about to run that, writes to a descriptor
which the loop watches.

The descriptor is there while somebody may be collected (:meth:`Collected.expect`). This file
refuses to know what is to be done.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import _runtime

if TYPE_CHECKING:
    import asyncio

__all__ = ['Collected', 'collected_of']


def _signal_pair() -> tuple[int, int]:
    """What the loop watches, and what a finaliser writes to; the same descriptor on Linux."""
    if hasattr(os, 'eventfd'):
        fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        return fd, fd
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    return reader, writer


class Collected:
    """The finalisers' way into one runtime."""

    __slots__ = ('_expected', '_loop', '_reader', '_runtime', '_writer')

    def __init__(self, runtime: _runtime.Runtime) -> None:
        self._runtime = runtime
        self._loop: Any = None
        self._expected = 0
        self._reader = self._writer = -1

    def expect(self) -> None:
        """Something begins whose end perhaps only its finaliser tells: call :meth:`over` then."""
        self._expected += 1
        if self._expected == 1 and self._reader < 0:
            self._runtime.with_loop(self._open)

    def over(self) -> None:
        """One of those has ended, in whatever way."""
        self._expected -= 1
        if not self._expected and self._reader >= 0:
            reader, loop = self._reader, self._loop
            if not loop.is_closed():
                loop.remove_reader(reader)
            self._close()

    def leave(self, fn: Callable[..., object], args: tuple[Any, ...]) -> None:
        """For a finaliser of what is expected: have ``fn(*args)`` called as a tick, very soon."""
        runtime = self._runtime
        loop = runtime.loop
        if loop is None:
            fn(*args)  # no loop yet, so nothing of one is touched
            return
        if loop.is_closed():
            self._close()  # nobody will ever look
            return
        runtime.queue.append((fn, args, None))
        if not (runtime.inside or runtime.woken) or _runtime.running_loop() is not loop:
            self._wake()

    def _open(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._expected or self._reader >= 0 or loop.is_closed():
            return
        self._reader, self._writer = _signal_pair()
        self._loop = loop
        try:
            loop.add_reader(self._reader, self._look)
        except NotImplementedError:
            self._close()  # a loop that watches no descriptors; see _wake

    def _wake(self) -> None:
        writer = self._writer
        if writer >= 0:
            try:
                os.write(writer, b'\1\0\0\0\0\0\0\0' if writer == self._reader else b'\1')
            except BlockingIOError:
                pass  # full: the loop will look anyway
        else:
            # Ticks that nobody runs would keep the program from ending.
            loop: Any = self._runtime.loop
            loop.call_soon_threadsafe(self._runtime.flush)

    def _look(self) -> None:
        os.read(self._reader, 4096)
        self._runtime.flush()

    def _close(self) -> None:
        reader, writer = self._reader, self._writer
        self._reader = self._writer = -1
        if reader >= 0:
            os.close(reader)
            if writer != reader:
                os.close(writer)

    def __del__(self) -> None:
        # The loop is gone, and everything that was expected with it.
        self._close()


def collected_of(runtime: _runtime.Runtime) -> Collected:
    """The runtime's, made when first asked for."""
    found: Collected | None = runtime.collected
    if found is None:
        found = runtime.collected = Collected(runtime)
    return found
