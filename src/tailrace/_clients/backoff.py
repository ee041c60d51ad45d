"""How long to wait before the next attempt: numbers only, without a clock."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from .._names import node_names
from .._validate import (
    bad_type,
    check_bool,
    check_callable,
    check_number,
    milliseconds,
    out_of_range,
)

__all__ = ['Backoff']


@node_names
@dataclass(frozen=True, slots=True)
class Backoff:
    """Capped exponential back-off with full jitter.

    After the n-th failure in a row (n from 0) the wait is random between 0 and ``first * factor **
    n``, but never more than ``most``: clients that lost the same server do not come back together.
    ``first`` (default 100) and ``most`` (default 30000) are ms or a timedelta, ``factor`` is 2
    unless given. ``jitter=False`` waits the whole time. ``random`` gives numbers from 0 to 1.

    Raises ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE.
    """

    first: float | timedelta = 100
    most: float | timedelta = 30_000
    factor: float = 2
    jitter: bool = True
    random: Callable[[], float] = field(default=random.random, repr=False, compare=False)

    def __post_init__(self) -> None:
        first, most = milliseconds('first', self.first), milliseconds('most', self.most)
        object.__setattr__(self, 'first', first)
        object.__setattr__(self, 'most', most)
        if most < first:
            out_of_range('most', f'at least first, {first} ms', most)
        if not 1 <= check_number('factor', self.factor) < float('inf'):
            out_of_range('factor', 'at least 1', self.factor)
        check_bool('jitter', self.jitter)
        check_callable('random', self.random)

    def delay(self, failures: int, /) -> float:
        """How many ms to wait after so many failures in a row, not counting the last (0, 1, …)."""
        first: Any = self.first
        most: Any = self.most
        try:
            wait = min(most, first * self.factor**failures)
        except OverflowError:
            wait = most
        return float(wait * self.random() if self.jitter else wait)


def check_backoff(value: Any) -> Backoff:
    """``value`` if it is a Backoff, the default one for None; ERR_INVALID_ARG_TYPE."""
    if value is None:
        return Backoff()
    if not isinstance(value, Backoff):
        bad_type('backoff', 'a Backoff', value)
    return value
