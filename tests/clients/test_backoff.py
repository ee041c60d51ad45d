"""How long to wait: numbers alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tailrace.clients import Backoff
from tailrace.errors import InvalidArgTypeError, NodeError, OutOfRangeError


def test_it_doubles_up_to_the_cap() -> None:
    plain = Backoff(first=100, most=1000, jitter=False)
    assert [plain.delay(n) for n in range(6)] == [100, 200, 400, 800, 1000, 1000]
    assert plain.delay(100_000) == 1000


def test_full_jitter_is_anything_up_to_that() -> None:
    for share in (0.0, 0.25, 1.0):
        chosen = Backoff(first=100, most=1000, random=lambda share=share: share)
        assert [chosen.delay(n) for n in (0, 1, 9)] == [100 * share, 200 * share, 1000 * share]
    assert all(0 <= Backoff().delay(n) <= 30_000 for n in range(50))


def test_durations() -> None:
    assert Backoff(first=timedelta(seconds=1)) == Backoff(first=1000)
    assert Backoff(factor=1, jitter=False).delay(5) == 100


@pytest.mark.parametrize(
    ('options', 'error'),
    [
        ({'first': -1}, OutOfRangeError),
        ({'first': 'x'}, InvalidArgTypeError),
        ({'most': 50}, OutOfRangeError),
        ({'factor': 0.5}, OutOfRangeError),
        ({'factor': float('nan')}, OutOfRangeError),
        ({'jitter': 1}, InvalidArgTypeError),
        ({'random': 5}, InvalidArgTypeError),
    ],
)
def test_wrong_values(options: dict[str, Any], error: type[NodeError]) -> None:
    with pytest.raises(error):
        Backoff(**options)
