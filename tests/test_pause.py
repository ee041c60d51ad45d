"""A wait that can be ended in line: who may be resumed, in what order, and what a cancel leaves."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import sys
from typing import Any

import pytest

from tailrace import _runtime
from tailrace._pause import Pause, _asyncio

name: contextvars.ContextVar[str] = contextvars.ContextVar('name', default='nobody')


async def waits(pause: Pause, times: int = 1) -> list[Any]:
    """What ``times`` waits brought; None for one that :meth:`Pause.wake` ended."""
    out = []
    for _ in range(times):
        once = pause.begin()
        try:
            await once
        except BaseException:
            pause.broken(once)
            raise
        out.append(pause.value)
        pause.value = None
    return out


async def turn(call: Any, *args: Any) -> Any:
    """The result of a call that the loop makes."""
    result = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: result.set_result(call(*args)))
    return await result


def test_a_resumed_task_goes_on_inside_the_call_again_and_again(run: Any) -> None:
    async def main() -> None:
        pause = Pause()
        log: list[Any] = []

        async def consumer() -> None:
            for _ in range(3):
                log.extend(await waits(pause))

        task = asyncio.create_task(consumer())
        await asyncio.sleep(0)
        for value in 'abc':

            def call(value: str = value) -> None:
                assert pause.resume(value) is True
                log.append('after')

            await turn(call)
            log.append('turn')
        await task
        assert log == ['a', 'after', 'turn', 'b', 'after', 'turn', 'c', 'after', 'turn']

    run(main)


def test_it_runs_in_the_context_of_its_task(run: Any) -> None:
    async def main() -> None:
        pause = Pause()
        seen: list[Any] = []

        async def consumer() -> None:
            name.set('consumer')
            await waits(pause)
            seen.append((name.get(), asyncio.current_task() is task))
            name.set('changed')

        task = asyncio.create_task(consumer())
        await asyncio.sleep(0)

        def call() -> None:
            name.set('loop')
            assert pause.resume(1)
            seen.append((name.get(), asyncio.current_task() is None))

        await turn(call)
        await task
        assert seen == [('consumer', True), ('loop', True)]
        assert name.get() == 'nobody'

    run(main)


def test_not_while_nobody_waits_a_task_runs_or_a_tick_is_due(run: Any) -> None:
    async def main() -> None:
        pause = Pause()
        assert await turn(pause.resume, 1) is False  # nobody waits
        task = asyncio.create_task(waits(pause))
        await asyncio.sleep(0)
        assert pause.resume(1) is False  # this task runs

        def with_tick() -> bool:
            _runtime.next_tick(lambda: None)
            return pause.resume(1)

        assert await turn(with_tick) is False
        await asyncio.sleep(0)
        assert not task.done()
        assert await turn(pause.resume, 1) is True
        assert await task == [1]

    run(main)


def test_only_a_task_is_resumed(run: Any) -> None:
    """Whatever else waits for the future is called by the loop, as it expects."""

    async def main() -> None:
        pause = Pause()
        seen: list[Any] = []
        coroutine = waits(pause)
        future = coroutine.send(None)
        assert isinstance(future, asyncio.Future)
        assert await turn(pause.resume, 1) is False  # no callback at all
        future.add_done_callback(seen.append)
        assert await turn(pause.resume, 1) is False
        future.remove_done_callback(seen.append)
        future.add_done_callback(lambda _: seen.append('called'))
        assert await turn(pause.resume, 1) is False
        pause.wake()
        assert seen == []
        await asyncio.sleep(0)
        assert seen == ['called']
        with pytest.raises(StopIteration) as stopped:
            coroutine.send(None)
        assert stopped.value.value == [None]

    run(main)


@pytest.mark.interpreted
def test_a_future_that_is_not_asyncios_own_is_woken_by_the_loop(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Own(asyncio.Future[Any]):
        pass

    async def main() -> None:
        loop, pause = asyncio.get_running_loop(), Pause()
        with monkeypatch.context() as patch:
            patch.setattr(_runtime, 'new_future', lambda: Own(loop=loop))
            task = asyncio.create_task(waits(pause))
            await asyncio.sleep(0)
        assert await turn(pause.resume, 1) is False
        pause.wake()
        assert await task == [None]

    run(main)


def test_who_is_cancelled_is_gone_and_the_next_one_waits_anew(run: Any) -> None:
    async def main() -> None:
        pause = Pause()
        for _ in range(2):
            task = asyncio.create_task(waits(pause))
            await asyncio.sleep(0)
            assert task.cancel('enough')
            # Cancelled, and the loop has not told it yet: it is not resumed any more.
            assert await turn(pause.resume, 1) is False
            with pytest.raises(asyncio.CancelledError, match='enough'):
                await task
            assert await turn(pause.resume, 1) is False
        task = asyncio.create_task(waits(pause, 2))
        await asyncio.sleep(0)
        assert await turn(pause.resume, 1) is True
        assert await turn(pause.resume, 2) is True
        assert await task == [1, 2]

    run(main)


def test_woken_and_cancelled_at_once_is_cancelled(run: Any) -> None:
    async def main() -> None:
        pause = Pause()
        task = asyncio.create_task(waits(pause))
        await asyncio.sleep(0)
        pause.wake()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        task = asyncio.create_task(waits(pause))
        await asyncio.sleep(0)
        assert await turn(pause.resume, 1) is True
        assert await task == [1]

    run(main)


@pytest.mark.parametrize('cancelled', [0, 1, 2])
def test_several_wait_in_the_order_in_which_they_came(run: Any, cancelled: int) -> None:
    async def main() -> None:
        pause, log = Pause(), []

        async def consumer(number: int) -> None:
            await waits(pause)
            log.append(number)

        tasks = [asyncio.create_task(consumer(number)) for number in range(3)]
        await asyncio.sleep(0)
        tasks[cancelled].cancel()
        await asyncio.sleep(0)
        assert await turn(pause.resume, 1) is False  # whose would it be?
        pause.wake()
        await asyncio.wait(tasks)
        assert log == [number for number in range(3) if number != cancelled]
        # One alone is resumed again.
        tasks = [asyncio.create_task(consumer(3))]
        await asyncio.sleep(0)
        assert await turn(pause.resume, 1) is True
        await asyncio.wait(tasks)

    run(main)


def test_false_if_who_went_on_did_not_take_it(run: Any) -> None:
    async def main() -> None:
        pause = Pause()

        class Deserter:
            """Waits with the others, and does not come back."""

            def __await__(self) -> Any:
                yield next(iter(pause.begin()))

        async def desert() -> None:
            await Deserter()

        task = asyncio.create_task(desert())
        await asyncio.sleep(0)
        assert await turn(pause.resume, 1) is False
        assert pause.value is None
        await task

    run(main)


@pytest.mark.parametrize('error', [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_comes_out_of_the_call(run: Any, error: type[BaseException]) -> None:
    async def main() -> None:
        pause = Pause()

        async def consumer() -> None:
            await waits(pause)
            raise error

        task = asyncio.create_task(consumer())
        await asyncio.sleep(0)

        def call() -> None:
            with pytest.raises(error):
                pause.resume(1)

        await turn(call)
        assert isinstance(task.exception(), error)

    run(main)


@pytest.mark.skipif(sys.version_info < (3, 12), reason='eager tasks are new in 3.12')
def test_an_eager_task_is_resumed_too(run: Any) -> None:
    async def main() -> None:
        loop, pause = asyncio.get_running_loop(), Pause()
        task_type: Any = asyncio.Task
        eager = functools.partial(task_type, loop=loop, eager_start=True)
        made = []

        def start() -> None:
            made.append(eager(waits(pause, 2)))

        await turn(start)
        assert await turn(pause.resume, 1) is True

        async def within() -> bool:
            return pause.resume(2)

        # It began inside this callback, as a task of its own: another cannot go on inside it.
        def begin() -> Any:
            return eager(within())

        assert (await turn(begin)).result() is False
        assert await turn(pause.resume, 2) is True
        assert await made[0] == [1, 2]

    run(main)


def test_the_future_does_not_remember_tasks(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.14 notes with a future who awaits it; one that stays would collect them."""
    forgotten: list[Any] = []

    async def main() -> None:
        pause = Pause()
        for _ in range(2):
            task = asyncio.create_task(waits(pause))
            await asyncio.sleep(0)
            future = next(iter(pause._once))
            assert await turn(pause.resume, 1) is True
            await task
            assert not getattr(future, '_asyncio_awaited_by', None)
            if forgotten:
                assert forgotten.pop() == (future, task)

    run(main)
    real = _asyncio.forget

    def forget(*args: Any) -> None:
        forgotten.append(args)
        if real is not None:
            real(*args)

    monkeypatch.setattr(_asyncio, 'forget', forget)
    run(main)


def test_tasks_written_in_python_are_woken_by_the_loop(run: Any) -> None:
    """``asyncio.Task`` is a C class; a task of another kind is not taken for one."""

    async def main() -> None:
        pause = Pause()
        python_task = getattr(asyncio.tasks, '_PyTask')  # noqa: B009
        task = python_task(waits(pause), loop=asyncio.get_running_loop())
        await asyncio.sleep(0)
        assert await turn(pause.resume, 1) is False
        pause.wake()
        assert await task == [None]

    run(main)
