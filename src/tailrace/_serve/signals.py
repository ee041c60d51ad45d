"""Signals for as long as something is served: through the loop, and past one that hangs."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterable
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ['ENDING', 'Signals']

#: Those that end a service.
ENDING = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """Calls ``act(number)`` from the loop for each of these signals, between enter and exit.

    Every signal of ENDING after the first that finds the loop busy since then, and every one after
    the second, raises SystemExit(128 + number) wherever the program is.
    """

    def __init__(self, act: Callable[[int], object], numbers: Iterable[int]) -> None:
        self._act = act
        self._numbers = tuple(numbers)
        self._before: dict[int, Any] = {}
        self._loop: Any = None
        self._count = 0
        self._seen = False

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError('signals are for the main thread: signals=False leaves them alone')
        self._loop = asyncio.get_running_loop()
        for number in self._numbers:
            self._before[number] = signal.getsignal(number)
            # The loop is told by a descriptor, which wakes it in any case; what it sets as the
            # handler of Python does nothing, and makes place for ours.
            self._loop.add_signal_handler(number, self._in_loop, number)
            if number in ENDING:
                signal.signal(number, self._at_once)
        return self

    def _in_loop(self, number: int) -> None:
        if number in ENDING:
            self._seen = True
        self._act(number)

    def _at_once(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if self._count > 2 or (self._count == 2 and not self._seen):
            raise SystemExit(128 + number)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, before in self._before.items():
            self._loop.remove_signal_handler(number)
            if before is not None:  # not a handler of Python's
                signal.signal(number, before)
