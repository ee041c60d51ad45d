"""How late the event loop is: a timer that looks how late it was called.

Node's ``perf_hooks.monitorEventLoopDelay``, in milliseconds.
"""

from __future__ import annotations

import math
from typing import Any, Final

from .. import _runtime, _timers
from .._names import node_names
from .._validate import MAX_TIMEOUT, check_number, milliseconds, out_of_range

__all__ = ['Delays', 'LoopDelay', 'enabled_delay', 'monitor_event_loop_delay']

#: Steps between one delay and twice that: a percentile is right within 4 %.
_STEPS: Final = 16
#: What is shorter is counted as this, in ms.
_LEAST: Final = 0.01

_enabled: list[LoopDelay] = []


class Delays:
    """Delays that were measured, in ms: how many, their mean, the longest, percentiles."""

    __slots__ = ('_buckets', '_total', 'count')

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what was measured."""
        #: How many delays were measured.
        self.count: int = 0
        self._total = 0.0
        #: Step of the logarithm → how many, and the largest of them.
        self._buckets: dict[int, tuple[int, float]] = {}

    def _add(self, ms: float) -> None:
        self.count += 1
        self._total += ms
        step = math.floor(math.log2(max(ms, _LEAST)) * _STEPS)
        many, most = self._buckets.get(step, (0, 0.0))
        self._buckets[step] = many + 1, max(most, ms)

    @property
    def mean(self) -> float:
        """The mean delay, 0 before the first."""
        return self._total / self.count if self.count else 0.0

    @property
    def max(self) -> float:
        """The longest delay, 0 before the first."""
        return max((most for _, most in self._buckets.values()), default=0.0)

    def percentile(self, percent: float) -> float:
        """The delay that so many per cent did not exceed, within 4 %; 0 before the first.

        Raises ERR_INVALID_ARG_TYPE, or ERR_OUT_OF_RANGE outside 0 to 100.
        """
        if not 0 <= check_number('percent', percent) <= 100:
            out_of_range('percent', 'from 0 to 100', percent)
        left = self.count * percent / 100
        found = 0.0
        for _, (many, most) in sorted(self._buckets.items()):
            found = most
            left -= many
            if left <= 0:
                break
        return found

    def _is_enabled(self) -> bool:
        raise NotImplementedError

    def __repr__(self) -> str:
        state = 'enabled' if self._is_enabled() else 'disabled'
        return (
            f'<{type(self).__name__} {state}, {self.count} delays, mean {self.mean:.2f} ms, '
            f'99 % {self.percentile(99):.2f} ms, max {self.max:.2f} ms>'
        )


node_names(Delays)


@node_names
class LoopDelay(Delays):
    """Delays of the event loop, in ms; made by :func:`monitor_event_loop_delay`.

    How much later than planned the loop came back to a timer: what a callback that is due has to
    wait because others run. Loops that count whole milliseconds (uvloop) show up to 1 ms always.
    """

    __slots__ = ('_due', '_resolution', '_runtime', '_timer')

    def __init__(self, resolution: float) -> None:
        super().__init__()
        self._resolution = resolution
        self._runtime: Any = None
        self._timer: Any = None
        self._due = 0.0

    def enable(self) -> bool:
        """Measure on the loop that runs now, or will; False if it was enabled already.

        It does not keep the program alive.
        """
        if self._timer is not None:
            return False
        self._runtime = _runtime.current()
        self._timer = _timers.Timer(self._runtime, self._look, self._resolution, (), False)
        self._timer.unref()
        self._due = self._timer.when
        _enabled.append(self)
        return True

    def disable(self) -> bool:
        """Stop measuring, and keep the figures; False if it was not enabled."""
        if self._timer is None:
            return False
        self._timer.close()
        self._timer = None
        _enabled.remove(self)
        return True

    def _look(self) -> None:
        self._add(max(0.0, (self._runtime.clock() - self._due) * 1000))
        self._timer.restart(self._resolution)
        self._due = self._timer.when

    def _is_enabled(self) -> bool:
        return self._timer is not None


def monitor_event_loop_delay(resolution: Any = 20) -> LoopDelay:
    """Make a monitor of the loop's delays, which begins with :meth:`LoopDelay.enable`.

    ``resolution`` (ms or a timedelta, at least 1, default 20): how often it looks. Each look costs
    a timer, some microseconds. While one is enabled, ``stats()`` has its figures. Raises
    ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE.
    """
    every = milliseconds('resolution', resolution)
    if not 1 <= every <= MAX_TIMEOUT:
        out_of_range('resolution', f'from 1 to {MAX_TIMEOUT} ms', resolution)
    return LoopDelay(every)


def enabled_delay() -> LoopDelay | None:
    """The monitor that is enabled on this thread's loop."""
    here = _runtime.current()
    for one in _enabled:
        if one._runtime is here:
            return one
    return None
