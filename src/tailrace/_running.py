"""Running a runtime to the end of the program: what :func:`tailrace.run` is made of.

The program ends when its main coroutine is done and nothing is left that could call back.
Apart from ``_runtime.py``, which a build may compile. This file refuses to know sockets, streams
and events.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from types import CodeType, TracebackType
from typing import TYPE_CHECKING, Any

from . import _runtime
from ._runtime import Runtime

if TYPE_CHECKING:
    import asyncio

__all__ = ['run', 'settled']

#: The attribute of a KeyboardInterrupt that has no traceback worth showing.
_ORDERLY = '_tailrace_orderly'


def run(
    main: Callable[[], Any] | Coroutine[Any, Any, Any] | None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    on_error: Any = None,
    *,
    ends_with_main: bool = False,
    patience: float | None = None,
) -> Any:
    """Run the thread's default runtime to the end of the program; see :func:`tailrace.run`.

    ``ends_with_main``: the end of ``main`` is that of the program. What is still open is closed,
    and other tasks are cancelled. ``patience``: how many ms they may take for that; those that take
    longer are left behind, with a warning in the log.
    """
    import asyncio

    if _runtime.running_loop() is not None:
        if _runtime.is_coroutine(main):
            main.close()
        raise RuntimeError('tailrace.run() cannot be called from a running event loop')
    runtime = _runtime.current()
    try:
        with asyncio.Runner(loop_factory=loop_factory or asyncio.SelectorEventLoop) as runner:
            runtime.owned = True
            runtime.as_node = main is None
            runtime.on_error = on_error
            try:
                try:
                    return runner.run(_until_idle(runtime, main, ends_with_main))
                finally:
                    if patience is not None:
                        _cancel_all(runner.get_loop(), patience)
            except KeyboardInterrupt as interrupt:
                # The runner raises it itself after a Ctrl-C that has cancelled the main task. A
                # second one breaks into whatever runs: its traceback says where.
                if _raised_by(interrupt) is asyncio.Runner.run.__code__:
                    _hide(interrupt)
                raise
    except BaseException as error:
        if error is runtime.failure and not sys.flags.dev_mode:
            error.__traceback__ = of_the_program(error.__traceback__)
        ends_with_main = True
        raise
    finally:
        # Nothing of the program runs any more, so it cannot close them itself.
        if ends_with_main and runtime.engine is not None:
            runtime.engine.abandon()
        runtime.owned = False
        runtime.dead = True
        _runtime.forget_default()


def _cancel_all(loop: asyncio.AbstractEventLoop, patience: float) -> None:
    """Cancel the tasks, as the runner does, but do not wait for ever for those that ignore it."""
    import asyncio

    tasks = asyncio.all_tasks(loop)
    if not tasks:
        return
    for task in tasks:
        task.cancel()
    _, left = loop.run_until_complete(asyncio.wait(tasks, timeout=patience / 1000))
    for task in left:
        _log().warning('a task ignores its cancellation and is left behind: %r', task)
        # The runner waits for every task that it can see; what it leaves is to be collected.
        asyncio._unregister_task(task)
        task._log_destroy_pending = False  # type: ignore[attr-defined]


def _log() -> Any:
    import logging

    return logging.getLogger('tailrace')


def _raised_by(error: BaseException) -> CodeType | None:
    code: CodeType | None = None
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        trace = trace.tb_next
    return code


def _hide(interrupt: KeyboardInterrupt) -> None:
    """Let the interpreter show no traceback of ``interrupt``, should nobody catch it.

    It ends as ever then: by SIGINT, so that a shell sees it. A program that has an excepthook of
    its own keeps it.
    """
    interrupt.__suppress_context__ = True
    setattr(interrupt, _ORDERLY, True)
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _show


def _show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not hasattr(error, _ORDERLY):
        sys.__excepthook__(kind, error, trace)


def of_the_program(trace: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames of this package and of asyncio.

    An exception of a callback has passed a dozen of them, which say nothing about the program.
    """
    kept: list[TracebackType] = []
    while trace is not None:
        name = trace.tb_frame.f_globals.get('__name__', '')
        if name.partition('.')[0] not in (__name__.partition('.')[0], 'asyncio'):
            kept.append(trace)
        trace = trace.tb_next
    after: TracebackType | None = None
    for one in reversed(kept):
        after = TracebackType(after, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return after


async def _until_idle(runtime: Runtime, main: Any, ends_with_main: bool) -> Any:
    import asyncio

    loop = asyncio.get_running_loop()
    idle = asyncio.Event()

    def at_idle() -> None:
        # Nothing else runs, not even what is due on unref'd handles: the loop takes some more
        # turns until it has stopped.
        if task is None:
            runtime.dead = True
        idle.set()

    runtime.on_idle = at_idle
    runtime.attach(loop)
    result = None
    task: asyncio.Future[Any] | None = None
    try:
        if _runtime.is_coroutine(main):
            task = loop.create_task(main)
        elif main is not None:
            result = await _call_main(runtime, main)
            # Sockets and servers are awaitable too, but a main that returns one is done.
            if _runtime.is_coroutine(result) or asyncio.isfuture(result):
                task = asyncio.ensure_future(result)
        if task is not None:
            task.add_done_callback(lambda _: idle.set())
        runtime.check_exit()
        while True:
            await idle.wait()
            idle.clear()
            if runtime.failure is not None:
                raise runtime.failure
            if task is not None:
                if not task.done():
                    continue
                result = task.result()
                task = None
                if ends_with_main:
                    return result
            if runtime.dead or (not runtime.holders and not runtime.queue):
                return result
    finally:
        runtime.on_idle = None
        if task is not None and not task.cancel() and not task.cancelled():
            task.exception()  # it is on its way out (SystemExit); asyncio need not report it too


async def _call_main(runtime: Runtime, main: Callable[[], Any]) -> Any:
    """Call a plain main function as a callback of the loop, so that its ticks follow it."""
    out: list[Any] = [None]

    def call() -> None:
        out[0] = main()

    runtime.enter(call, (), None)
    return out[0]


async def settled(task: asyncio.Future[Any]) -> None:
    """Wait until ``task`` is done, whatever became of it."""
    import asyncio

    await asyncio.wait([task])
