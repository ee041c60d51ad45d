"""A task's waiting, again and again, that can be ended without a turn of the loop.

Awaiting a future costs a future, a ``call_soon``, a Handle and a round of the loop's queue each
time: 18,000 of the 45,000 instructions that an echo by ``async for`` once took. A :class:`Pause`
keeps one future for as long as it is only waited on. A task that waits on it has left its wake-up
there as a callback; :meth:`Pause.resume` takes the callback back and calls it itself, in the task's
context, with a future that is done. So the task goes on at once, as a listener would.

That is what the loop does, only earlier, and allowed only where the loop could do it: no task is
under way, and no tick comes first. Everything else (a cancelled wait, a callback that is no task's,
a future that is not asyncio's own) is left to the future, as everywhere.

This file refuses to know what is waited for.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from . import _runtime

__all__ = ['Pause']

#: Awaited, it gives out its one item, once. Iterating a tuple runs no code of ours, and unlike
#: ``Future.__await__`` it does not ask whether the future is done: a resumed task's is not.
_Once: Any = type('_Once', (tuple,), {'__slots__': (), '__await__': tuple.__iter__})


class _NoLoop:
    """All the loop that a future needs that is done and stays so."""

    def get_debug(self) -> bool:
        return False


class _Asyncio:
    """What is used of asyncio, which is imported when somebody waits for the first time."""

    __slots__ = ('come', 'current_task', 'future_type', 'task_type')

    def __init__(self) -> None:
        self.future_type: Any = None
        self.task_type: Any = None
        #: Of a loop: the task that runs in it, or None.
        self.current_task: Any = None
        #: What a resumed task is told has come: a future without a result, for all loops.
        self.come: Any = None

    def learn(self) -> None:
        import asyncio

        self.task_type = asyncio.Task
        self.current_task = asyncio.current_task
        if sys.version_info < (3, 12):
            # There current_task is a Python function around this: 1,200 instructions, not 150.
            self.current_task = asyncio.tasks._current_tasks.get  # type: ignore[attr-defined]
        self.come = asyncio.Future(loop=_NoLoop())  # type: ignore[arg-type]
        self.come.set_result(None)
        self.future_type = asyncio.Future


_asyncio: Final = _Asyncio()


class Pause:
    """Where one coroutine waits; made where a loop runs."""

    __slots__ = ('_future', '_loop', '_once', '_queue', 'waiting')

    def __init__(self) -> None:
        if _asyncio.future_type is None:
            _asyncio.learn()
        runtime = _runtime.current()
        self._queue = runtime.queue
        self._loop: Any = runtime.loop
        self._future: Any = None
        self._once: Any = None
        #: Whether somebody waits; set here, taken away by who waited.
        self.waiting = False

    def begin(self) -> Any:
        """What to await now: ``await pause.begin()``. Then ``waiting`` is to be taken away."""
        future = self._future
        if future is None:
            future = self._future = _runtime.new_future()
            self._once = _Once((future,))
        self.waiting = True
        # What makes a task take the future for one that is awaited; it takes the sign away again.
        future._asyncio_future_blocking = True
        return self._once

    def broken(self) -> None:
        """The wait was cancelled, and with it the future."""
        self.waiting = False
        self._future = None

    def wake(self, _reason: Any = None) -> None:
        """Let who waits go on in the next turn of the loop."""
        if self.waiting:
            future, self._future = self._future, None
            if future is not None and not future.done():
                future.set_result(None)

    def resume(self) -> bool:
        """Let who waits go on now, inside this call; False if that cannot be (nothing is done)."""
        future = self._future
        if not self.waiting or future is None or self._queue:
            return False
        if type(future) is not _asyncio.future_type:
            return False
        callbacks = future._callbacks
        if callbacks is None or len(callbacks) != 1:
            return False
        wakeup, context = callbacks[0]
        if type(getattr(wakeup, '__self__', None)) is not _asyncio.task_type:
            return False
        if _asyncio.current_task(self._loop) is not None:
            return False
        future.remove_done_callback(wakeup)
        self.waiting = False
        context.run(wakeup, _asyncio.come)
        return True
