"""What the tests of clients share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest


@pytest.fixture
def settle() -> Callable[[], Awaitable[None]]:
    """Awaiting the result lets the loop turn until all that is due in memory has happened."""

    async def turn() -> None:
        for _ in range(30):
            await asyncio.sleep(0)

    return turn
