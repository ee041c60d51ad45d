"""What the stream tests share: a log of events, and waiting until nothing moves any more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

EVENTS = ('data', 'end', 'prefinish', 'finish', 'drain', 'pause', 'resume', 'error', 'close')


def code(error: Any) -> Any:
    """What identifies an error: its code, else its text."""
    return None if error is None else getattr(error, 'code', None) or str(error)


class Log(list[Any]):
    """A list of what a stream emitted, in order."""

    def watch(self, stream: Any, *events: str) -> Log:
        for event in events or EVENTS:
            if event == 'data':
                stream.on('data', lambda chunk: self.append(('data', chunk)))
            elif event == 'error':
                stream.on('error', lambda error: self.append(('error', code(error))))
            else:
                stream.on(event, lambda *_, event=event: self.append(event))
        return self

    def callback(self, name: str) -> Callable[..., None]:
        return lambda error=None: self.append((name, code(error)))


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def settle() -> Callable[[], Awaitable[None]]:
    """Awaiting the result lets the loop turn until all that is due in memory has happened."""

    async def turn() -> None:
        for _ in range(30):
            await asyncio.sleep(0)

    return turn
