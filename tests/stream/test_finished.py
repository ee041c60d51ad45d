"""finished, pipeline, add_abort_signal, Readable.from_ (ST-32 to ST-34, AB-06).

The order of events was compared with Node 24 for each case of ``pipeline``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tailrace import stream
from tailrace._abort import AbortController
from tailrace._stream.memory import memory_pair
from tailrace.errors import AbortError, InvalidArgTypeError, MissingArgsError, StateError
from tailrace.stream import (
    Duplex,
    PassThrough,
    Readable,
    Transform,
    Writable,
    add_abort_signal,
    finished,
    pipeline,
)

from .conftest import Log, code
from .test_iterate import numbers
from .test_modes import source
from .test_writing import Sink


def duplex(**options: Any) -> Duplex:
    return Duplex(read=lambda size: None, write=lambda chunk, enc, done: done(), **options)


@pytest.mark.parametrize(
    ('options', 'what', 'told'),
    [
        ({}, lambda s: s.destroy(), 'ERR_STREAM_PREMATURE_CLOSE'),
        ({}, lambda s: s.destroy(Exception('boom')), 'boom'),
        ({}, lambda s: (s.push(None), s.resume(), s.end()), None),
        ({'readable': False}, lambda s: s.end(), None),
        ({'writable': False}, lambda s: (s.push(None), s.resume()), None),
        ({'error': False}, lambda s: s.destroy(Exception('boom')), 'boom'),
    ],
)
@pytest.mark.parametrize('early', [True, False])
def test_st32_finished(
    run: Any, settle: Any, log: Log, options: Any, what: Any, told: Any, early: bool
) -> None:
    async def main() -> None:
        s = duplex()
        s.on('error', lambda: None)
        if early:
            finished(s, options, log.callback('done'))
            waiting = finished(s, **options)
        what(s)
        if not early:
            await settle()
            finished(s, options, log.callback('done'))
            waiting = finished(s, options)
        assert log == []
        if told is None:
            assert await waiting is None
        else:
            with pytest.raises(Exception) as caught:  # noqa: PT011
                await waiting
            assert code(caught.value) == told
        await settle()
        assert log == [('done', told)]

    run(main)


def test_st32_no_call_while_one_side_is_open(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        s = duplex()
        stop = finished(s, log.callback('done'))
        stopped = finished(s, log.callback('never'))
        s.end()
        await settle()
        assert log == []
        stopped()
        before = s.listener_count('close')
        s.push(None)
        s.resume()
        await settle()
        assert log == [('done', None)]
        stop()
        assert s.listener_count('close') == before - 1
        assert s.listener_count('error') == 0

    run(main)


def test_st32_ab06_signal_ends_the_waiting_only(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        controller = AbortController()
        s = duplex()
        finished(s, {'signal': controller.signal}, log.callback('done'))
        waiting = finished(s, signal=controller.signal)
        assert controller.signal.listener_count('abort') == 2
        controller.abort('why')
        with pytest.raises(AbortError) as caught:
            await waiting
        assert caught.value.cause == 'why'
        assert log == [('done', 'ABORT_ERR')]
        assert not s.destroyed
        finished(s, {'signal': controller.signal}, log.callback('late'))
        assert log == [('done', 'ABORT_ERR')]
        await settle()
        assert log[1:] == [('late', 'ABORT_ERR')]
        fresh = AbortController()
        finished(s, {'signal': fresh.signal}, log.callback('end'))
        s.destroy()
        await settle()
        assert fresh.signal.listener_count('abort') == 0

    run(main)


@pytest.mark.parametrize(
    'args', [({}, print), (None, print), (PassThrough(), 5), (PassThrough(), 5, print)]
)
def test_st32_bad_arguments(run: Any, args: Any) -> None:
    async def main() -> None:
        with pytest.raises(InvalidArgTypeError):
            finished(*args)

    run(main)


def test_st33_pipes_and_ends_all(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        upper = Transform(transform=lambda chunk, enc, done: done(None, chunk.upper()))
        dest = Sink(at_once=True)
        assert pipeline(source(b'a', b'b', None), upper, dest, log.callback('done')) is dest
        assert log == []
        await settle()
        assert b''.join(dest.got) == b'AB'
        assert log == [('done', None)]
        assert upper.closed
        assert dest.closed

    run(main)


def test_st33_between_connections(run: Any, settle: Any) -> None:
    async def main() -> None:
        client, server = memory_pair()
        got = []
        server.on('data', got.append)
        server.on('end', server.end)
        await asyncio.gather(pipeline([b'one', b'two'], client), server.wait_closed(), drop(client))
        assert b''.join(got) == b'onetwo'

    async def drop(stream: Any) -> None:
        stream.resume()
        await stream.wait_closed()

    run(main)


@pytest.mark.parametrize(
    ('what', 'told', 'source_error'),
    [
        (lambda r, w: w.destroy(Exception('boom')), 'boom', 'boom'),
        (lambda r, w: r.destroy(Exception('boom')), 'boom', 'boom'),
        (lambda r, w: r.destroy(), 'ERR_STREAM_PREMATURE_CLOSE', None),
        (lambda r, w: w.destroy(), 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_PREMATURE_CLOSE'),
    ],
)
def test_st33_a_failure_destroys_all(
    run: Any, settle: Any, log: Log, what: Any, told: str, source_error: Any
) -> None:
    async def main() -> None:
        r, middle, w = source(), PassThrough(), Sink(at_once=True)
        pipeline(r, middle, w, log.callback('done'))
        r.push(b'x')
        await settle()
        what(r, w)
        await settle()
        assert log == [('done', told)]
        assert [s.closed for s in (r, middle, w)] == [True] * 3
        assert code(r.errored) == source_error

    run(main)


def test_st33_awaited(run: Any, settle: Any) -> None:
    async def main() -> None:
        assert await pipeline(numbers(), Sink(at_once=True)) is None
        r = source()
        asyncio.get_running_loop().call_soon(r.destroy, ValueError('boom'))
        with pytest.raises(ValueError, match='boom'):
            await pipeline(r, Sink())

    run(main)


def test_st33_cancelling_destroys_all(run: Any, settle: Any) -> None:
    async def main() -> None:
        r, w = source(), Sink()
        task = asyncio.ensure_future(await_it(pipeline(r, w)))
        await settle()
        task.cancel()
        await settle()
        assert r.destroyed
        assert w.destroyed

    async def await_it(awaitable: Any) -> None:
        await awaitable

    run(main)


def test_st33_generators_in_the_middle(run: Any, settle: Any) -> None:
    async def upper(chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for chunk in chunks:
            yield chunk.upper()

    async def main() -> None:
        dest = Sink(at_once=True)
        await pipeline(['a', 'b'], upper, dest)
        assert dest.got == [b'A', b'B']

        async def failing(chunks: Any) -> AsyncIterator[Any]:
            async for _ in chunks:
                raise ValueError('boom')
            yield

        r, dest = source(b'x'), Sink(at_once=True)
        with pytest.raises(ValueError, match='boom'):
            await pipeline(r, failing, dest)
        assert r.destroyed
        assert dest.destroyed

    run(main)


def test_st33_a_coroutine_function_at_the_end(run: Any, settle: Any, log: Log) -> None:
    async def count(chunks: AsyncIterator[bytes]) -> int:
        return sum([len(chunk) async for chunk in chunks])

    async def fail(chunks: AsyncIterator[bytes], signal: Any) -> None:
        log.append(signal.aborted)
        async for _ in chunks:
            raise ValueError('boom')

    async def main() -> None:
        assert await pipeline(source(b'ab', b'c', None), count) == 3
        pipeline(source(b'abc', None), count, callback=lambda e, value: log.append((e, value)))
        await settle()
        assert log.pop() == (None, 3)
        r = source(b'x')
        with pytest.raises(ValueError, match='boom'):
            await pipeline(r, fail)
        assert log == [False]
        assert r.destroyed

    run(main)


def test_st33_end_false_and_signal(run: Any, settle: Any) -> None:
    async def main() -> None:
        dest = Sink(at_once=True)
        await pipeline(numbers(), dest, {'end': False})
        assert dest.writable
        controller = AbortController()
        r = source()
        waiting = pipeline(r, dest, signal=controller.signal)
        controller.abort()
        with pytest.raises(AbortError):
            await waiting
        assert dest.destroyed
        assert controller.signal.listener_count('abort') == 0

    run(main)


@pytest.mark.parametrize(
    ('stages', 'error'),
    [
        ([], MissingArgsError),
        ([PassThrough()], MissingArgsError),
        ([PassThrough(), 5], InvalidArgTypeError),
        ([5, PassThrough()], InvalidArgTypeError),
        ([PassThrough(), Readable()], InvalidArgTypeError),
    ],
)
def test_st33_bad_stages(run: Any, stages: Any, error: Any) -> None:
    async def main() -> None:
        with pytest.raises(error):
            pipeline(*stages, lambda: None)

    run(main)


def test_st33_a_destination_that_is_destroyed(run: Any, settle: Any) -> None:
    async def main() -> None:
        dest = Sink()
        dest.destroy()
        with pytest.raises(StateError) as caught:
            pipeline(source(), dest, lambda: None)
        assert caught.value.code == 'ERR_STREAM_UNABLE_TO_PIPE'
        await settle()

    run(main)


def test_st34_abort_destroys(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        for how in (lambda s, signal: add_abort_signal(signal, s), None):
            controller = AbortController()
            if how is None:
                s = Readable(read=lambda size: None, signal=controller.signal)
            else:
                s = source()
                assert how(s, controller.signal) is s
            log.watch(s, 'error', 'close')
            assert not s.destroyed
            controller.abort('why')
            assert s.destroyed
            await settle()
            assert log == [('error', 'ABORT_ERR'), 'close']
            assert s.errored.cause == 'why'
            log.clear()
        done = AbortController()
        t = source(None)
        add_abort_signal(done.signal, t)
        t.resume()
        await settle()
        assert done.signal.listener_count('abort') == 0
        with pytest.raises(InvalidArgTypeError):
            add_abort_signal({}, source())
        with pytest.raises(InvalidArgTypeError):
            add_abort_signal(done.signal, {})
        assert stream.addAbortSignal is add_abort_signal

    run(main)


def test_from_iterables(run: Any, settle: Any) -> None:
    async def agen() -> AsyncIterator[int]:
        for i in range(40):
            yield i

    async def main() -> None:
        assert [c async for c in Readable.from_('abc')] == ['abc']
        assert [c async for c in Readable.from_(b'abc')] == [b'abc']
        assert [c async for c in Readable.from_([1, 'b', {}])] == [1, 'b', {}]
        assert [c async for c in Readable.from_(agen())] == list(range(40))
        s = Readable.from_(range(3))
        assert (s.readable_object_mode, s.readable_high_water_mark) == (True, 1)
        assert s.read() == 0
        s.destroy()
        t = Readable.from_(['ab'], objectMode=False)
        assert [c async for c in t] == [b'ab']
        with pytest.raises(InvalidArgTypeError):
            Readable.from_(5)
        await settle()

    run(main)


def test_from_reads_only_what_is_wanted(run: Any, settle: Any) -> None:
    taken = []

    def numbers() -> Iterator[int]:
        for i in range(100):
            taken.append(i)
            yield i

    async def main() -> None:
        s = Readable.from_(numbers(), high_water_mark=4)
        s.read(0)
        await settle()
        assert taken == [0, 1, 2, 3]
        s.destroy()
        await settle()

    run(main)


@pytest.mark.parametrize('kind', ['plain', 'async'])
def test_from_failures_and_closing(run: Any, settle: Any, log: Log, kind: str) -> None:
    def plain(fail: bool) -> Iterator[int]:
        try:
            yield 1
            if fail:
                raise ValueError('boom')
            while True:
                yield 2
        finally:
            log.append('closed')

    async def agen(fail: bool) -> AsyncIterator[int]:
        try:
            yield 1
            if fail:
                raise ValueError('boom')
            await asyncio.get_running_loop().create_future()
        finally:
            log.append('closed')

    make: Any = plain if kind == 'plain' else agen

    async def main() -> None:
        s = Readable.from_(make(True))
        log.watch(s, 'error', 'close')
        s.resume()
        await settle()
        assert log == ['closed', ('error', 'boom'), 'close']
        log.clear()
        s = Readable.from_(make(False))
        log.watch(s, 'close')
        s.once('data', lambda chunk: s.destroy())
        await settle()
        assert log == ['closed', 'close']
        log.clear()
        s = Readable.from_([1, None])
        log.watch(s)
        await settle()
        assert ('error', 'ERR_STREAM_NULL_VALUES') in log

    run(main)


def test_node_names_of_the_module() -> None:
    assert stream.getDefaultHighWaterMark is stream.get_default_high_water_mark
    assert 'setDefaultHighWaterMark' in dir(stream)
    assert Writable.setDefaultEncoding
    assert getattr(Readable, 'from') is Readable.from_


def test_st32_finished_waits_for_finish(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        s = duplex()
        log.watch(s, 'finish')
        s.end()
        finished(s, {'readable': False}, log.callback('done'))
        await settle()
        assert log == ['finish', ('done', None)]

    run(main)


def test_what_a_signal_asked_for_needs_no_listener(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        controller = AbortController()
        quiet = Writable(signal=controller.signal, write=lambda *_: None)
        done = Writable(signal=controller.signal, auto_destroy=False, write=lambda *_: None)
        done.end()
        await settle()
        assert done.writable_finished
        controller.abort()
        await settle()
        assert quiet.errored is not None
        # The signal is left alone once the stream is done.
        assert not done.destroyed

    run(main)
