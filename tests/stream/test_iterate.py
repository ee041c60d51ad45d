"""``async for`` over a stream (ST-13, ST-14, GEN-15)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tailrace.errors import StateError
from tailrace.stream import Duplex, Readable

from .conftest import Log


def numbers(cls: type[Any] = Readable, count: int = 3, **options: Any) -> Any:
    left = list(range(count))
    stream = cls(read=lambda size: stream.push(b'%d' % left.pop(0) if left else None), **options)
    return stream


def test_st13_gen15_gives_the_chunks_and_destroys(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        s = numbers()
        log.watch(s, 'end', 'close')
        assert b''.join([chunk async for chunk in s]) == b'012'
        await settle()
        assert log == ['end', 'close']
        assert s.listener_count('readable') == s.listener_count('error') == 0

    run(main)


def test_st13_half_open_writing_survives(run: Any, settle: Any) -> None:
    async def main() -> None:
        s = numbers(Duplex, write=lambda chunk, encoding, done: done())
        assert b''.join([chunk async for chunk in s]) == b'012'
        await settle()
        assert not s.destroyed
        assert s.writable

    run(main)


async def leave_by_break(stream: Any) -> None:
    async for _ in stream:
        break


async def leave_by_error(stream: Any) -> None:
    async def loop() -> None:
        async for _ in stream:
            raise KeyError

    with pytest.raises(KeyError):
        await loop()


async def leave_by_cancel(stream: Any) -> None:
    async def loop() -> None:
        async for _ in stream:
            await asyncio.get_running_loop().create_future()

    task = asyncio.ensure_future(loop())
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


LEAVE = [leave_by_break, leave_by_error, leave_by_cancel]


@pytest.mark.parametrize('leave', LEAVE)
@pytest.mark.parametrize('listening', [False, True])
def test_st13_leaving_early_destroys(
    run: Any, settle: Any, log: Log, leave: Any, listening: bool
) -> None:
    async def main() -> None:
        s = numbers()
        log.watch(s, *(['error', 'close'] if listening else ['close']))
        await leave(s)
        assert s.destroyed
        await settle()
        assert log == ([('error', 'ABORT_ERR'), 'close'] if listening else ['close'])

    run(main)


@pytest.mark.parametrize('leave', LEAVE)
def test_st14_destroy_on_return_false(run: Any, settle: Any, leave: Any) -> None:
    async def main() -> None:
        for how in ({'destroy_on_return': False}, {}):
            s = numbers()
            options = [] if how else [{'destroyOnReturn': False}]
            await leave(s.iterator(*options, **how))
            await settle()
            assert not s.destroyed
            assert b''.join([chunk async for chunk in s]) == b'12'

    run(main)


@pytest.mark.parametrize(
    ('error', 'raised'),
    [(None, 'ERR_STREAM_PREMATURE_CLOSE'), (ValueError('boom'), 'boom')],
)
def test_st13_raises_what_ended_the_stream(
    run: Any, settle: Any, error: Exception | None, raised: str
) -> None:
    async def main() -> None:
        s = Readable(read=lambda size: None)
        s.push(b'a')
        seen = []

        async def loop() -> None:
            async for chunk in s:
                seen.append(chunk)
                asyncio.get_running_loop().call_soon(s.destroy, error)

        with pytest.raises((StateError, ValueError)) as caught:
            await loop()
        assert seen == [b'a']
        assert getattr(caught.value, 'code', str(caught.value)) == raised
        with pytest.raises((StateError, ValueError)):
            await anext(aiter(s))
        await settle()

    run(main)


def test_st13_after_the_end_there_is_nothing(run: Any, settle: Any) -> None:
    async def main() -> None:
        s = numbers(count=0)
        s.resume()
        await settle()
        assert [chunk async for chunk in s] == []

    run(main)
