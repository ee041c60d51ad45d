"""Chunks that go straight to the task of an ``async for`` (ST-13), and when they do not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tailrace.errors import StateError
from tailrace.stream import Readable

from .conftest import Log


def source() -> Any:
    """A stream whose source pushes by itself, as a socket's does."""
    stream = Readable(read=lambda size: None)
    stream._r |= 1 << 14  # R_CONTINUOUS
    return stream


async def push(stream: Any, *chunks: bytes) -> None:
    """One callback of the loop for each chunk."""
    for chunk in chunks:
        done = asyncio.get_running_loop().create_future()

        def call(chunk: bytes = chunk, done: Any = done) -> None:
            done.set_result(stream._push_bytes(chunk))

        asyncio.get_running_loop().call_soon(call)
        assert await done is True


def collecting(chunks: Any, into: list[Any]) -> asyncio.Task[None]:
    async def collect() -> None:
        async for chunk in chunks:
            into.append(chunk)

    return asyncio.ensure_future(collect())


async def stop(stream: Any, task: asyncio.Task[None]) -> None:
    stream.push(None)
    await task
    assert stream.listener_count('readable') == stream.listener_count('error') == 0


def test_st13_a_chunk_is_taken_inside_the_push(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        s = source()
        task = collecting(s, log)
        await settle()
        assert not s.readable_did_read
        await push(s, b'first')
        await settle()
        assert log == [b'first']

        def call() -> None:
            for chunk in (b'a', b'b'):
                s._push_bytes(chunk)
                log.append(('pushed', s.readable_length, s.readable_did_read))

        asyncio.get_running_loop().call_soon(call)
        await settle()
        assert log[1:] == [b'a', ('pushed', 0, True), b'b', ('pushed', 0, True)]
        await stop(s, task)

    run(main)


def test_st13_from_within_a_task_it_is_taken_a_turn_later(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        s = source()
        task = collecting(s, log)
        await settle()
        await push(s, b'a')
        await settle()
        s._push_bytes(b'b')
        assert (log, s.readable_length) == ([b'a'], 1)
        await settle()
        assert log == [b'a', b'b']
        await stop(s, task)

    run(main)


def test_st13_chunks_wait_while_the_task_is_busy(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        s, gate = source(), asyncio.Event()

        async def collect() -> None:
            async for chunk in s:
                log.append(chunk)
                await gate.wait()

        task = asyncio.ensure_future(collect())
        await settle()
        await push(s, b'a')
        await settle()
        await push(s, b'b', b'c')
        assert (log, s.readable_length) == ([b'a'], 2)
        gate.set()
        await settle()
        assert log == [b'a', b'bc']
        await stop(s, task)

    run(main)


@pytest.mark.parametrize('event', ['data', 'readable'])
def test_st13_others_that_listen_see_every_chunk(
    run: Any, settle: Any, log: Log, event: str
) -> None:
    async def main() -> None:
        s = source()
        seen: list[Any] = []
        task = collecting(s, log)
        await settle()
        await push(s, b'a', b'b')
        await settle()
        assert s._feed is not None

        def listener(*args: Any) -> None:
            seen.append(args or s.readable_length)

        s.on(event, listener)
        assert s._feed is None
        for chunk in (b'c', b'd'):
            await push(s, chunk)
            await settle()
        assert seen == ([(b'c',), (b'd',)] if event == 'data' else [1, 1])
        s.off(event, listener)
        await settle()
        await push(s, b'e')
        await settle()
        assert s._feed is not None  # alone again, as soon as it has seen that
        await push(s, b'f')
        assert len(seen) == 2
        assert log == [b'a', b'b', b'c', b'd', b'e', b'f']
        await stop(s, task)

    run(main)


def test_st13_two_loops_share_the_chunks(run: Any, settle: Any) -> None:
    async def main() -> None:
        s = source()
        one: list[Any] = []
        two: list[Any] = []
        first = collecting(s, one)
        await settle()
        second = collecting(s, two)
        await settle()
        for chunk in (b'a', b'b', b'c'):
            await push(s, chunk)
            await settle()
        assert sorted(one + two) == [b'a', b'b', b'c']
        s.push(None)
        await asyncio.gather(first, second)
        assert s._feed is None

    run(main)


def test_st13_tasks_that_share_an_iterator_wait_in_line(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        s = source()
        chunks = aiter(s)

        async def take(number: int) -> None:
            log.append((number, await anext(chunks)))

        tasks = [asyncio.ensure_future(take(number)) for number in range(4)]
        await settle()
        tasks[1].cancel()
        for chunk in (b'a', b'b', b'c'):
            await push(s, chunk)
            await settle()
        assert log == [(0, b'a'), (2, b'b'), (3, b'c')]
        with pytest.raises(asyncio.CancelledError):
            await tasks[1]
        await chunks.aclose()
        assert s.destroyed

    run(main)


def test_st13_tasks_one_after_another(run: Any, settle: Any) -> None:
    async def main() -> None:
        s = source()
        chunks = s.iterator(destroy_on_return=False)
        for number in range(4):
            task = asyncio.ensure_future(asyncio.wait_for(anext(chunks), 20))
            await settle()
            await push(s, b'%d' % number)
            assert await task == b'%d' % number
        await chunks.aclose()
        assert (s.destroyed, s._feed, s.listener_count('readable')) == (False, None, 0)
        chunks = aiter(s)
        task = asyncio.create_task(chunks.__anext__())
        await settle()
        await push(s, b'x')
        assert await task == b'x'
        await chunks.aclose()

    run(main)


@pytest.mark.parametrize('arrived', [False, True])
def test_st13_a_cancelled_wait_loses_nothing(run: Any, settle: Any, arrived: bool) -> None:
    async def main() -> None:
        s = source()
        chunks = s.iterator(destroy_on_return=False)
        got: list[Any] = []
        task = collecting(chunks, got)
        await settle()
        await push(s, b'a', b'b')
        assert got == [b'a', b'b']

        def call() -> None:
            if arrived:
                s.once('readable', lambda: None)  # so that it comes a turn later
                s._push_bytes(b'c')
            task.cancel()
            if not arrived:
                s._push_bytes(b'c')

        asyncio.get_running_loop().call_soon(call)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (got, s.readable_length) == ([b'a', b'b'], 1)
        assert await anext(chunks) == b'c'
        await chunks.aclose()

    run(main)


def test_st13_a_timeout_ends_the_wait(run: Any, settle: Any) -> None:
    async def main() -> None:
        s = source()
        got: list[Any] = []

        async def collect() -> None:
            async with asyncio.timeout(20) as limit:
                async for chunk in s.iterator(destroy_on_return=False):
                    got.append(chunk)
                    if len(got) == 2:
                        limit.reschedule(0)

        task = asyncio.ensure_future(collect())
        await settle()
        await push(s, b'a', b'b')
        with pytest.raises(TimeoutError):
            await task
        await push(s, b'c')
        assert (got, s.readable_length) == ([b'a', b'b'], 1)
        s.destroy()
        await settle()

    run(main)


def test_st13_an_error_of_the_body_is_the_tasks(run: Any, settle: Any) -> None:
    async def main() -> None:
        s = source()

        async def collect() -> None:
            async for chunk in s:
                if chunk == b'b':
                    raise KeyError(chunk)

        task = asyncio.ensure_future(collect())
        await settle()
        await push(s, b'a', b'b')
        with pytest.raises(KeyError):
            await task
        del task
        await settle()
        assert s.destroyed

    run(main)


def test_st13_the_body_may_destroy_pause_or_end_the_stream(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        for what in ('destroy', 'pause', 'end'):
            s = source()
            s.on('error', lambda error: None)
            caught: list[Any] = []

            async def collect(s: Any = s, what: str = what, caught: list[Any] = caught) -> None:
                try:
                    async for chunk in s:
                        log.append(chunk)
                        if chunk == b'b':
                            {'destroy': s.destroy, 'pause': s.pause, 'end': lambda: s.push(None)}[
                                what
                            ]()
                except StateError as error:
                    caught.append(error.code)

            task = asyncio.ensure_future(collect())
            await settle()
            await push(s, b'a', b'b')
            if what == 'pause':
                await push(s, b'c')
                s.push(None)
            await task
            assert caught == (['ERR_STREAM_PREMATURE_CLOSE'] if what == 'destroy' else [])
        assert log == [b'a', b'b', b'a', b'b', b'c', b'a', b'b']

    run(main)


def test_st13_what_is_not_taken_after_all_stays(run: Any, settle: Any) -> None:
    async def main() -> None:
        s = source()
        chunks = aiter(s)
        task = asyncio.ensure_future(asyncio.wait_for(anext(chunks), 20))
        await settle()
        await push(s, b'a')
        assert await task == b'a'

        class Deserter:
            """Waits for a chunk, and does not come back for it."""

            def __await__(self) -> Any:
                self.inner = chunks.__anext__()
                yield self.inner.send(None)

        deserter = Deserter()

        async def desert() -> None:
            await deserter

        left = asyncio.ensure_future(desert())
        await settle()
        await push(s, b'b')
        await left
        assert s.readable_length == 1
        deserter.inner.close()
        assert await anext(chunks) == b'b'
        await chunks.aclose()

    run(main)


def test_st13_driven_by_hand(run: Any, settle: Any) -> None:
    async def main() -> None:
        s = source()
        chunks = aiter(s)
        for chunk in (b'a', b'b'):
            step = chunks.__anext__()
            step.send(None)
            await push(s, chunk)
            with pytest.raises(StopIteration) as stopped:
                step.send(None)
            assert stopped.value.value == chunk
        await chunks.aclose()

    run(main)
    with pytest.raises(RuntimeError, match='no running event loop'):
        aiter(source()).__anext__().send(None)
