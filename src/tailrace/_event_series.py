"""Awaiting events of any emitter: ``events.once`` and ``events.on`` (EE-09).

This file refuses to know what an emitter is beyond ``on``, ``once`` and ``off``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from ._validate import shown
from .errors import AbortError, UnhandledError

if TYPE_CHECKING:
    from .events import EventEmitter

__all__ = ['on', 'once']


async def once(emitter: EventEmitter, event: Any, *, signal: Any = None) -> list[Any]:
    """Wait for the next ``event``; returns the list of its arguments (EE-09).

    An ``'error'`` event meanwhile raises its error, unless that is what is waited for. ``signal``
    is an AbortSignal: its abort raises AbortError. Cancelling removes the listeners.
    """
    import asyncio

    future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()

    def arrived(*args: Any) -> None:
        if not future.done():
            future.set_result(list(args))

    def failed(error: Any = None) -> None:
        if not future.done():
            future.set_exception(_as_exception(error))

    def aborted(_: Any = None) -> None:
        failed(AbortError(cause=signal.reason))

    if signal is not None:
        if signal.aborted:
            raise AbortError(cause=signal.reason)
        signal.add_event_listener('abort', aborted)
    emitter.once(event, arrived)
    if event != 'error':
        emitter.once('error', failed)
    try:
        return await future
    finally:
        emitter.off(event, arrived)
        if event != 'error':
            emitter.off('error', failed)
        if signal is not None:
            signal.remove_event_listener('abort', aborted)


def _as_exception(error: Any) -> BaseException:
    if isinstance(error, BaseException):
        return error
    return UnhandledError(f"'error' was emitted with {shown(error)}", error)


async def on(
    emitter: EventEmitter, event: Any, *, signal: Any = None, close: tuple[Any, ...] = ()
) -> AsyncIterator[list[Any]]:
    """Iterate over every ``event``: yields the list of its arguments.

    Events are queued while the loop body runs; none is lost. An ``'error'`` event raises; an event
    named in ``close`` ends the iteration after what is queued; leaving it removes the listeners.
    """
    import asyncio

    queue: deque[list[Any]] = deque()
    state: dict[str, Any] = {'error': None, 'ended': False}
    wake = asyncio.Event()

    def arrived(*args: Any) -> None:
        queue.append(list(args))
        wake.set()

    def failed(error: Any = None) -> None:
        state['error'] = _as_exception(error)
        wake.set()

    def ended(*_: Any) -> None:
        state['ended'] = True
        wake.set()

    def aborted(_: Any = None) -> None:
        failed(AbortError(cause=signal.reason))

    if signal is not None:
        if signal.aborted:
            raise AbortError(cause=signal.reason)
        signal.add_event_listener('abort', aborted)
    emitter.on(event, arrived)
    if event != 'error':
        emitter.on('error', failed)
    for name in close:
        emitter.on(name, ended)
    try:
        while True:
            while queue:
                yield queue.popleft()
            if state['error'] is not None:
                raise state['error']
            if state['ended']:
                return
            wake.clear()
            await wake.wait()
    finally:
        emitter.off(event, arrived)
        if event != 'error':
            emitter.off('error', failed)
        for name in close:
            emitter.off(name, ended)
        if signal is not None:
            signal.remove_event_listener('abort', aborted)
