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
from typing import Any, Final, cast

from . import _runtime

__all__ = ['Pause']

#: Awaited, it gives out its one item and is over when it is sent on. ``Future.__await__`` would
#: insist on a future that is done; and iterating a tuple runs no code of ours.
_iterate: Any = cast('Any', tuple).__iter__
_Once: Any = type('_Once', (tuple,), {'__slots__': (), '__await__': _iterate})


class _NoLoop:
    """All that a future needs of a loop that is done and stays so."""

    def get_debug(self) -> bool:
        return False


class _Asyncio:
    """What is used of asyncio, which is imported when somebody waits for the first time."""

    __slots__ = ('come', 'current_task', 'forget', 'future_type', 'task_type')

    def __init__(self) -> None:
        self.future_type: Any = None
        self.task_type: Any = None
        #: Of a loop: the task that runs in it, or None.
        self.current_task: Any = None
        #: From Python 3.14 on a future knows the tasks that await it: this takes one away.
        self.forget: Any = None
        #: What a resumed task is told has come: a future with the result None, for all loops.
        self.come: Any = None

    def learn(self) -> None:
        import asyncio

        self.task_type = asyncio.Task
        self.current_task = asyncio.current_task
        if sys.version_info < (3, 12):
            # There current_task is a Python function around this: 1,200 instructions, not 150.
            self.current_task = asyncio.tasks._current_tasks.get  # type: ignore[attr-defined]
        self.forget = getattr(asyncio, 'future_discard_from_awaited_by', None)
        self.come = asyncio.Future(loop=_NoLoop())  # type: ignore[arg-type]
        self.come.set_result(None)
        self.future_type = asyncio.Future


_asyncio: Final = _Asyncio()


class Pause:
    """Where coroutines wait, as a rule one; made where a loop runs."""

    __slots__ = (
        '_direct',
        '_future',
        '_loop',
        '_once',
        '_others',
        '_queue',
        '_waiting',
        'runtime',
        'value',
    )

    def __init__(self) -> None:
        if _asyncio.task_type is None:
            _asyncio.learn()
        runtime = self.runtime = _runtime.current()
        self._queue = runtime.queue
        self._loop: Any = runtime.loop
        self._future: Any = None
        self._once: Any = None
        self._waiting = False
        #: The future, if one waits on it that may be resumed.
        self._direct: Any = None
        #: The futures of those who have waited for longer.
        self._others: list[Any] = []
        #: What resume() brings, until who waited has taken it.
        self.value: Any = None

    def begin(self) -> Any:
        """What to await now. An exception of that is to be told to :meth:`broken`."""
        if self._waiting or self._future is None:
            self._renew()
        self._waiting = True
        # The sign that it is awaited; the task that gets the future takes it away.
        future: Any = self._future
        future._asyncio_future_blocking = True
        return self._once

    def _renew(self) -> None:
        if self._waiting:
            self._others.append(self._future)
        future = self._future = _runtime.new_future()
        self._once = _Once((future,))
        single = type(future) is _asyncio.future_type and not self._others
        self._direct = future if single else None

    def broken(self, once: Any) -> None:
        """The wait on what :meth:`begin` returned was cancelled, and with it its future."""
        future = once[0]
        if future is self._future:
            self._future = self._direct = None
            self._waiting = False
        elif future in self._others:
            self._others.remove(future)

    def wake(self, _reason: Any = None) -> None:
        """Let all who wait go on in the next turn of the loop, in the order in which they came."""
        waiting = self._others
        if self._waiting:
            waiting.append(self._future)
        self._others = []
        self._future = self._direct = None
        self._waiting = False
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def resume(self, value: Any) -> bool:
        """Let who waits go on now, inside this call, and take :attr:`value`; False if nobody did.

        The value is not None. After False nothing has changed, unless somebody was sent on who did
        not take it.
        """
        future = self._direct
        if future is None or self._queue:
            return False
        callbacks: list[tuple[Any, Any]] | None = getattr(future, '_callbacks', None)
        if not callbacks:
            return False
        wakeup, context = callbacks[0]
        task = getattr(wakeup, '__self__', None)
        if not isinstance(task, _asyncio.task_type):
            return False
        if _asyncio.current_task(self._loop) is not None:
            return False
        future.remove_done_callback(wakeup)
        if _asyncio.forget is not None:
            _asyncio.forget(future, task)
        self._waiting = False
        self.value = value
        context.run(wakeup, _asyncio.come)
        if self.value is None:
            return True
        self.value = None
        return False
