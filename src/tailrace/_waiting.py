"""Awaiting an event: the one bridge from emitters to coroutines inside the package.

It refuses to know what is awaited; whoever is cancelled leaves no listener behind.
"""

from __future__ import annotations

from typing import Any

from . import _runtime
from ._validate import shown
from .errors import UnhandledError
from .events import EventEmitter

__all__ = ['as_exception', 'first_of']


def as_exception(reason: Any) -> BaseException:
    """What an 'error' event was emitted with, as something that can be raised."""
    if isinstance(reason, BaseException):
        return reason
    return UnhandledError(f"'error' was emitted with {shown(reason)}", reason)


async def first_of(emitter: EventEmitter, *events: str, error: bool = True) -> str:
    """Wait for the first of ``events``; returns its name.

    With ``error`` an 'error' event raises its error instead (and counts as handled).
    """
    future = _runtime.new_future()
    added: list[tuple[str, Any]] = []

    def listen(event: str, listener: Any) -> None:
        # First, because a listener that raises keeps the event from those behind it.
        emitter.prepend_listener(event, listener)
        added.append((event, listener))

    def failed(reason: Any = None) -> None:
        # As a result: a future whose exception nobody takes, because who waited was cancelled at
        # the same moment, would complain.
        if not future.done():
            future.set_result(as_exception(reason))

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
        outcome = await future
        if isinstance(outcome, BaseException):
            raise outcome
        return str(outcome)
    finally:
        for event, listener in added:
            emitter.off(event, listener)
