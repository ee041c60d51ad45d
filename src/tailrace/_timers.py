"""Timers and immediates: what ``set_timeout`` & co return, and how they hold the program.

When a call is due, and that its ticks come after it, is the runtime's affair (``_runtime.py``);
this file knows what is called, how often, and until when it counts. It refuses to know the loop.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, ClassVar

from ._compiled import caller_level
from ._names import node_names
from ._runtime import Runtime, current, is_coroutine, spawn
from ._tick import Due, Timed
from ._validate import MAX_TIMEOUT, check_callable, in_ms

__all__ = [
    'Immediate',
    'Timer',
    'clear_immediate',
    'clear_interval',
    'clear_timeout',
    'set_immediate',
    'set_interval',
    'set_timeout',
    'soon',
]


class Timer(Timed):
    """What :func:`set_timeout` and :func:`set_interval` return.

    A ref'd timer (the default) keeps the program alive until it has fired or is cleared.
    """

    __slots__ = ('_args', '_fn', '_ms', '_refed', '_repeat', '_runtime')

    # Node's spellings (see node_names): types only, so that a compiler leaves them alone.
    hasRef: ClassVar[Callable[[Timer], bool]]

    def __init__(
        self, runtime: Runtime, fn: Callable[..., object], ms: float, args: Any, repeat: bool
    ) -> None:
        super().__init__()
        self._runtime = runtime
        self._fn: Callable[..., object] | None = fn
        self._args = args
        self._ms = ms
        self._repeat = repeat
        self._refed = True
        self.refresh()

    def fire(self) -> None:
        """Call the callback; an interval starts again afterwards."""
        fn = self._fn
        if fn is None:
            return
        if not self._repeat:
            self._runtime.release(self)
        result = fn(*self._args)
        if is_coroutine(result):
            spawn(result)
        if self._repeat and self._fn is not None:
            self._start()

    def _start(self) -> None:
        self._runtime.add_timer(self, self._runtime.clock() + self._ms / 1000)

    def refresh(self) -> Timer:
        """Start the delay anew without a new timer; returns the timer."""
        if self._fn is not None:
            self._start()
            if self._refed:
                self._runtime.hold(self)
        return self

    def restart(self, ms: float) -> None:
        """Fire ``ms`` from now instead."""
        self._ms = ms
        self.refresh()

    def close(self) -> Timer:
        """Never fire again: what :func:`clear_timeout` does."""
        self._fn = None
        self._args = ()
        self.withdraw()
        self._runtime.release(self)
        return self

    def ref(self) -> Timer:
        """Keep the program alive until the timer has fired (the default)."""
        self._refed = True
        if self._fn is not None:
            self._runtime.hold(self)
        return self

    def unref(self) -> Timer:
        """Let the program end although the timer has not fired."""
        self._refed = False
        self._runtime.release(self)
        return self

    def has_ref(self) -> bool:
        """Whether the timer keeps the program alive."""
        return self._refed

    def describe(self) -> tuple[str, str]:
        return ('interval' if self._repeat else 'timeout'), f'{self._ms:g} ms'

    def __repr__(self) -> str:
        kind, ms = self.describe()
        state = 'cleared' if self._fn is None else 'waiting' if self.number >= 0 else 'fired'
        return f'<Timer {kind} {ms} {state}{"" if self._refed else " unref"}>'


class Immediate(Due):
    """What :func:`set_immediate` returns."""

    __slots__ = ('_args', '_fn', '_refed', '_runtime')

    hasRef: ClassVar[Callable[[Immediate], bool]]  # Node's spelling, as above

    def __init__(self, runtime: Runtime, fn: Callable[..., object], args: Any) -> None:
        self._runtime = runtime
        self._fn: Callable[..., object] | None = fn
        self._args = args
        self._refed = True
        runtime.hold(self)
        runtime.add_immediate(self)

    def source(self) -> object:
        """What an exception of the callback is blamed on: the object whose method it is."""
        return getattr(self._fn, '__self__', None)

    def fire(self) -> None:
        """Call the callback, once."""
        fn = self._fn
        if fn is not None:
            args = self._args
            self.close()
            result = fn(*args)
            if is_coroutine(result):
                spawn(result)

    def close(self) -> None:
        """Never fire: what :func:`clear_immediate` does."""
        self._fn = None
        self._args = ()
        self._runtime.release(self)

    def ref(self) -> Immediate:
        """Keep the program alive until it has fired (the default)."""
        self._refed = True
        if self._fn is not None:
            self._runtime.hold(self)
        return self

    def unref(self) -> Immediate:
        """Let the program end although it has not fired."""
        self._refed = False
        self._runtime.release(self)
        return self

    def has_ref(self) -> bool:
        """Whether it keeps the program alive."""
        return self._refed

    def describe(self) -> tuple[str, str]:
        return 'immediate', ''

    def __repr__(self) -> str:
        return f'<Immediate {"done" if self._fn is None else "waiting"}>'


# Not decorators: the classes may be compiled ones.
node_names(Timer)
node_names(Immediate)


def soon(runtime: Runtime, fn: Callable[..., object], *args: Any) -> None:
    """Call ``fn(*args)`` from the loop's next iteration, ticks after it; held until then."""
    Immediate(runtime, fn, args)


def _delay(ms: Any) -> float:
    ms = in_ms(ms)
    if isinstance(ms, bool) or not isinstance(ms, (int, float)) or not 1 <= ms <= MAX_TIMEOUT:
        if isinstance(ms, (int, float)) and ms > MAX_TIMEOUT:
            warnings.warn(
                f'{ms} ms does not fit into a timer; 1 ms is used',
                RuntimeWarning,
                stacklevel=caller_level(),
            )
        ms = 1
    return float(int(ms))


def set_timeout(fn: Callable[..., object], ms: Any = 1, *args: Any) -> Timer:
    """Call ``fn(*args)`` once, ``ms`` milliseconds (or a timedelta) from now.

    As in Node a delay below 1 or above 2**31-1 counts as 1. A coroutine function runs as a task.
    Works without a running loop: the timer then waits for :func:`run`.
    Raises ERR_INVALID_ARG_TYPE if ``fn`` cannot be called.
    """
    check_callable('callback', fn)
    return Timer(current(), fn, _delay(ms), args, False)


def set_interval(fn: Callable[..., object], ms: Any = 1, *args: Any) -> Timer:
    """Call ``fn(*args)`` every ``ms`` milliseconds, counted from the end of the last call.

    ``ms`` and errors as for :func:`set_timeout`.
    """
    check_callable('callback', fn)
    return Timer(current(), fn, _delay(ms), args, True)


def set_immediate(fn: Callable[..., object], *args: Any) -> Immediate:
    """Call ``fn(*args)`` after the I/O callbacks of this iteration of the loop.

    Raises ERR_INVALID_ARG_TYPE if ``fn`` cannot be called.
    """
    check_callable('callback', fn)
    return Immediate(current(), fn, args)


def clear_timeout(timer: Timer | None) -> None:
    """Stop a timer; ``None`` and a timer that has fired are fine."""
    if timer is not None:
        timer.close()


def clear_interval(timer: Timer | None) -> None:
    """Stop an interval; ``None`` is fine."""
    clear_timeout(timer)


def clear_immediate(immediate: Immediate | None) -> None:
    """Stop an immediate that has not run yet; ``None`` is fine."""
    if immediate is not None:
        immediate.close()
