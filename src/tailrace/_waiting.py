"""Awaiting an event: the one bridge from emitters to coroutines inside the package.

It refuses to know what is awaited; whoever is cancelled leaves no listener behind.
"""

from __future__ import annotations

from typing import Any

from . import _runtime
from .events import EventEmitter

__all__ = ['first_of']


async def first_of(emitter: EventEmitter, *events: str, error: bool = True) -> str:
    """Wait for the first of ``events``; returns its name.

    With ``error`` an 'error' event raises its error instead (and counts as handled).
    """
    future = _runtime.new_future()
    added: list[tuple[str, Any]] = []

    def listen(event: str, listener: Any) -> None:
        emitter.on(event, listener)
        added.append((event, listener))

    def failed(reason: Any = None) -> None:
        if not future.done():
            future.set_exception(reason)

    def arrival(event: str) -> Any:
        def arrived() -> None:
            if not future.done():
                future.set_result(event)

        return arrived

    if error:
        listen('error', failed)
    for event in events:
        listen(event, arrival(event))
    try:
        return str(await future)
    finally:
        for event, listener in added:
            emitter.off(event, listener)
