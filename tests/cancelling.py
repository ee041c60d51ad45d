"""Drives an awaitable to each of its suspension points, cancels it there, and looks what is left.

Three ways, see ``WAYS``: at the k-th suspension while it waits, at the k-th suspension at the
moment it would go on, and after k turns of the loop, each for k = 0, 1, 2 ... until a run comes to
its end without being cancelled. After each run there must be no task, listener, descriptor, timer,
holder of the runtime or unhandled error that was not there before. What must still work then is
looked at by the case itself. This file refuses to know what is awaited.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import types
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager
from typing import Any

from tailrace import EventEmitter, _runtime, active_resources

#: More suspensions (turns) than this, and the run counts as one without an end.
MOST = 2000
#: Up to here every turn is tried, then ever fewer of them.
EACH_TURN = 12

WAYS = ('waiting', 'going on', 'turns')


class Case:
    """One awaitable, made by ``call``; ``go`` brings about what it waits for.

    ``patient``: it may wait for something of its own after its cancellation. ``cancelled`` tells
    the case afterwards whether it was.
    """

    def __init__(
        self,
        call: Callable[[], Awaitable[Any]],
        go: Callable[[], object],
        *emitters: EventEmitter,
        patient: bool = False,
    ) -> None:
        self.call = call
        self.go = go
        self.emitters = emitters
        self.patient = patient
        self.cancelled = False


Make = Callable[[], AbstractAsyncContextManager[Case]]


def by_turns(action: Callable[[Any], object], items: Any) -> Callable[[], None]:
    """A function that begins to call ``action(item)``, one in each turn of the loop."""
    left = iter(items)

    def step() -> None:
        for item in left:
            action(item)
            asyncio.get_running_loop().call_soon(step)
            return

    return step


class Reached:
    """Whether a run got to its point."""

    def __init__(self) -> None:
        self.yes = False


@types.coroutine
def cancelled_at(
    awaitable: Awaitable[Any], point: int, late: bool, patient: bool, reached: Reached
) -> Generator[Any, Any, Any]:
    """Await ``awaitable``; at its suspension ``point`` the task that runs this is cancelled.

    ``late``: what it waits for happens first, so that the cancellation meets it going on.
    """
    steps = awaitable.__await__()
    try:
        for _ in range(point):
            yield next(steps)
        waited = next(steps)
    except StopIteration as stop:
        return stop.value
    reached.yes = True
    error: BaseException = asyncio.CancelledError()
    try:
        if not late:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()  # which cancels what is waited for
            del task
        yield waited
    except BaseException as thrown:
        error = thrown
    try:
        waited = steps.throw(error)
        while patient:
            yield waited
            waited = next(steps)
    except StopIteration:
        raise AssertionError('it swallowed its cancellation') from None
    finally:
        del error  # or the error, its traceback and this frame would hold on to each other
    raise AssertionError('it went on waiting after its cancellation')


async def waits_for(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


async def settle(turns: int = 30) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


def listeners(*emitters: EventEmitter) -> list[Any]:
    return [
        {name: emitter.listeners(name) for name in emitter.event_names()} for emitter in emitters
    ]


def held() -> dict[str, Any]:
    """What the process and the runtime have open."""
    runtime = _runtime.current()
    descriptors = {}
    for name in os.listdir('/proc/self/fd' if os.path.exists('/proc/self/fd') else '/dev/fd'):
        try:
            status = os.fstat(int(name))
        except OSError:  # the one that listed the folder
            continue
        descriptors[int(name)] = (status.st_dev, status.st_ino)
    return {
        'descriptors': descriptors,
        'resources': [(one.kind, one.address) for one in active_resources()],
        'timers': [timer for _, number, timer in runtime._heap if timer.is_entry(number)],
        'tasks': asyncio.all_tasks(),
        'spawned': set(runtime.tasks),
        'lookups': [t for t in threading.enumerate() if t.name == 'tailrace-lookup'],
    }


async def nothing_but(before: dict[str, Any]) -> None:
    """Wait until no more is open than ``before``: half a second at most."""
    for attempt in range(200):
        await settle(5)
        now = held()
        if now == before:
            return
        if attempt == 20:
            gc.collect()
        await asyncio.sleep(0.002)
    for what, value in before.items():
        assert now[what] == value, f'left behind: {what}'


async def attempt(make: Make, way: str, point: int, unhandled: list[Any]) -> bool:
    """One run; whether it was cancelled."""
    before = held()
    async with make() as case:
        marks = listeners(*case.emitters)
        tasks = asyncio.all_tasks()
        loop = asyncio.get_running_loop()
        reached = Reached()
        started = bool(point) or way != 'waiting'
        awaitable = case.call()
        coroutine: Any
        if started:
            loop.call_soon(loop.call_soon, case.go)  # after the task has begun
        if way == 'turns':
            coroutine = waits_for(awaitable)
            task = loop.create_task(coroutine)
            for _ in range(point + 1):  # in the first one it begins
                if task.done():
                    break
                await asyncio.sleep(0)
            reached.yes = task.cancel()
        else:
            late = way == 'going on'
            coroutine = waits_for(cancelled_at(awaitable, point, late, case.patient, reached))
            task = loop.create_task(coroutine)
        del awaitable, coroutine
        await asyncio.wait([task])
        case.cancelled = reached.yes
        if not task.cancelled():
            task.result()
            assert not reached.yes, 'it swallowed its cancellation'
        else:
            assert reached.yes, 'it was cancelled, but not by us'
        del task
        await settle()
        assert asyncio.all_tasks() <= tasks, 'left behind: a task'
        if reached.yes:
            assert listeners(*case.emitters) == marks, 'left behind: listeners'
        if not started:
            case.go()
    await nothing_but(before)
    assert unhandled == [], f'left behind: {unhandled}'
    return reached.yes


async def drive(make: Make, way: str, unhandled: list[Any]) -> int:
    """Cancel it everywhere; the number of runs that were cancelled."""
    cancelled, point = 0, 0
    while await attempt(make, way, point, unhandled):
        cancelled += 1
        assert point < MOST, 'no end in sight'
        point = point + 1 if way != 'turns' or point < EACH_TURN else point * 3 // 2
    gc.collect()
    await settle()
    assert unhandled == []
    return cancelled
