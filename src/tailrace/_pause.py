"""A task's waiting, again and again, that can be ended without a turn of the loop.

Awaiting a future costs a future, a ``call_soon``, a handle and a round of the loop's queue each
time: half of what an echo by ``async for`` once took. A :class:`Pause` keeps its future as long as
it stays undone. A task that waits on it has left its wake-up there, as a callback;
:meth:`Pause.resume` takes the callback back and calls it itself, in the task's context, with a
future that is done. So the task goes on at once, as a listener would.

That is what the loop does, only earlier, and it is done only where the loop could do it: no task is
under way, and no tick comes first. Everything else (a wait that was cancelled, a callback that is
no task's, a future that is not asyncio's own) is left to the future.

This file refuses to know what is waited for.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from . import _runtime

__all__ = ['Pause']

#: Awaited, it gives out its one item and is over when it is sent on. ``Future.__await__`` would
#: insist on a future that is done; and iterating a tuple runs no code of ours.
_Once: Any = type('_Once', (tuple,), {'__slots__': (), '__await__': tuple.__iter__})


class _NoLoop:
    """All that a future needs of a loop that is done and stays so."""

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
        #: What a resumed task is told has come: a future with the result None, for all loops.
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
    """Where coroutines wait, as a rule one; made where a loop runs."""

    __slots__ = ('_future', '_loop', '_once', '_others', '_queue', '_waiting')

    def __init__(self) -> None:
        if _asyncio.future_type is None:
            _asyncio.learn()
        runtime = _runtime.current()
        self._queue = runtime.queue
        self._loop: Any = runtime.loop
        self._future: Any = None
        self._once: Any = None
        self._waiting = False
        #: The futures of who waited before, and still does.
        self._others: list[Any] | None = None

    def begin(self) -> Any:
        """What to await now. An exception of that is to be told to :meth:`broken`."""
        future = self._future
        if future is None or self._waiting:
            if future is not None:
                self._others = [*(self._others or ()), future]
            future = self._future = _runtime.new_future()
            self._once = _Once((future,))
        self._waiting = True
        # The sign that it is awaited; the task that gets the future takes it away.
        future._asyncio_future_blocking = True
        return self._once

    def broken(self, once: Any) -> None:
        """The wait on what :meth:`begin` returned was cancelled, and with it its future."""
        future = once[0]
        if future is self._future:
            self._future = None
            self._waiting = False
        elif self._others is not None and future in self._others:
            self._others.remove(future)

    def wake(self, _reason: Any = None) -> None:
        """Let all who wait go on in the next turn of the loop, in the order in which they came."""
        if self._waiting or self._others:
            others, self._others = self._others, None
            future, self._future = self._future, None
            self._waiting = False
            for one in (*(others or ()), future):
                if one is not None and not one.done():
                    one.set_result(None)

    def resume(self) -> bool:
        """Let who waits go on now, inside this call; False if that cannot be (nothing is done)."""
        future = self._future
        if self._others or self._queue or type(future) is not _asyncio.future_type:
            return False
        callbacks = future._callbacks
        if callbacks is None or len(callbacks) != 1:
            return False
        wakeup, context = callbacks[0]
        if not isinstance(getattr(wakeup, '__self__', None), _asyncio.task_type):
            return False
        if _asyncio.current_task(self._loop) is not None:
            return False
        future.remove_done_callback(wakeup)
        self._waiting = False
        context.run(wakeup, _asyncio.come)
        return True
