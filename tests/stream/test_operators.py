"""Operators of Readable, compose, Duplex.from_ and the questions: what Node 24 gives."""

from __future__ import annotations

import asyncio
import functools
import math
from typing import Any

import pytest

from tailrace import AbortController, events, net, stream
from tailrace.errors import NodeError
from tailrace.stream import Duplex, PassThrough, Readable, Transform, Writable


def five() -> Any:
    return Readable.from_([1, 2, 3, 4, 5])


def text(chunks: list[Any]) -> list[str]:
    return [chunk.decode() if isinstance(chunk, bytes) else chunk for chunk in chunks]


def add(a: int, b: int) -> int:
    return a + b


async def later(value: int) -> int:
    for _ in range(6 - value):
        await asyncio.sleep(0)
    return value * 2


async def over_three(value: int) -> bool:
    return value > 3


@pytest.mark.parametrize(
    ('call', 'expected'),
    [
        (lambda: five().map(lambda x: x * 2).to_array(), [2, 4, 6, 8, 10]),
        (lambda: five().map(later, concurrency=3).to_array(), [2, 4, 6, 8, 10]),
        (lambda: five().filter(lambda x: x % 2).to_array(), [1, 3, 5]),
        (lambda: five().filter(over_three).to_array(), [4, 5]),
        (lambda: five().flat_map(lambda x: [x, x]).take(3).to_array(), [1, 1, 2]),
        (lambda: five().flat_map(lambda x: Readable.from_([x, 0])).take(3).to_array(), [1, 0, 2]),
        (lambda: five().drop(2).to_array(), [3, 4, 5]),
        (lambda: five().drop(math.inf).to_array(), []),
        (lambda: five().take(2).to_array(), [1, 2]),
        (lambda: five().take(0).to_array(), []),
        (lambda: five().take(math.nan).to_array(), []),
        (lambda: five().some(lambda x: x > 3), True),
        (lambda: five().some(lambda x: x > 9), False),
        (lambda: five().every(lambda x: x > 0), True),
        (lambda: five().every(lambda x: x < 3), False),
        (lambda: five().find(lambda x: x > 2), 3),
        (lambda: five().find(lambda x: x > 20), None),
        (lambda: five().reduce(add), 15),
        (lambda: five().reduce(add, 100), 115),
        (lambda: Readable.from_([]).reduce(add, 7), 7),
        (lambda: five().map(lambda x, given: given.signal.aborted).to_array(), [False] * 5),
    ],
)
def test_operators(run: Any, call: Any, expected: Any) -> None:
    async def main() -> None:
        assert await call() == expected

    run(main)


def fail_at_three(value: int) -> int:
    if value == 3:
        raise LookupError('three')
    return value


@pytest.mark.parametrize(
    ('call', 'error'),
    [
        (lambda: five().map(fail_at_three).to_array(), LookupError),
        (lambda: five().reduce(lambda a, b: fail_at_three(b)), LookupError),
        (lambda: five().for_each(fail_at_three), LookupError),
        (lambda: Readable.from_([]).reduce(add), 'ERR_MISSING_ARGS'),
        (lambda: five().map(lambda x: None).to_array(), 'ERR_STREAM_NULL_VALUES'),
        (lambda: five().for_each(1), 'ERR_INVALID_ARG_TYPE'),
        (lambda: five().to_array(1), 'ERR_INVALID_ARG_TYPE'),
    ],
)
def test_operators_that_fail(run: Any, call: Any, error: Any) -> None:
    async def main() -> None:
        with pytest.raises(error if isinstance(error, type) else NodeError) as caught:
            await call()
        if isinstance(error, str):
            assert caught.value.code == error  # type: ignore[attr-defined]

    run(main)


@pytest.mark.parametrize(
    ('call', 'code'),
    [
        (lambda: five().map(1), 'ERR_INVALID_ARG_TYPE'),
        (lambda: five().map(add, 1), 'ERR_INVALID_ARG_TYPE'),
        (lambda: five().map(add, concurrency=0), 'ERR_OUT_OF_RANGE'),
        (lambda: five().map(add, high_water_mark=-1), 'ERR_OUT_OF_RANGE'),
        (lambda: five().map(add, signal=1), 'ERR_INVALID_ARG_TYPE'),
        (lambda: five().take(-1), 'ERR_OUT_OF_RANGE'),
        (lambda: five().drop(-1), 'ERR_OUT_OF_RANGE'),
        (lambda: five().take('x'), 'ERR_INVALID_ARG_TYPE'),
        (lambda: stream.compose(), 'ERR_MISSING_ARGS'),
        (lambda: stream.compose(Writable(), PassThrough()), 'ERR_INVALID_ARG_VALUE'),
        (lambda: stream.compose(PassThrough(), Readable()), 'ERR_INVALID_ARG_VALUE'),
        (lambda: Duplex.from_(5), 'ERR_INVALID_ARG_TYPE'),
        (lambda: Duplex.from_(None), 'ERR_INVALID_ARG_TYPE'),
    ],
)
def test_bad_arguments_are_refused_at_once(run: Any, call: Any, code: str) -> None:
    async def main() -> None:
        with pytest.raises(NodeError) as caught:
            call()
        assert caught.value.code == code

    run(main)


def test_concurrency_is_what_it_says(run: Any) -> None:
    async def main() -> None:
        running = most = 0
        gate = asyncio.Event()

        async def work(value: int) -> int:
            nonlocal running, most
            running += 1
            most = max(most, running)
            if running == 2:
                gate.set()
            await gate.wait()
            running -= 1
            return value

        assert await five().map(work, concurrency=2).to_array() == [1, 2, 3, 4, 5]
        assert most == 2

    run(main)


def test_an_abort_ends_an_operator(run: Any) -> None:
    async def main() -> None:
        for begin in (
            lambda signal: five().map(lambda x: x, signal=signal).to_array(),
            lambda signal: five().to_array(signal=signal),
            lambda signal: five().take(2, signal=signal).to_array(),
            lambda signal: five().reduce(add, 0, signal=signal),
        ):
            controller = AbortController()
            controller.abort()
            with pytest.raises(NodeError) as caught:
                await begin(controller.signal)
            assert caught.value.code == 'ABORT_ERR'
        controller = AbortController()

        async def stop_at_two(value: int) -> None:
            if value == 2:
                controller.abort()

        with pytest.raises(NodeError) as caught:
            await five().for_each(stop_at_two, signal=controller.signal)
        assert caught.value.code == 'ABORT_ERR'

    run(main)


def test_leaving_early_destroys_the_source(run: Any) -> None:
    async def main() -> None:
        source = five()
        assert await source.take(1).to_array() == [1]
        assert source.destroyed
        source = five()
        assert await source.find(lambda x: x == 2) == 2
        assert source.destroyed

    run(main)


def test_for_each_calls_with_each_chunk(run: Any) -> None:
    async def main() -> None:
        got: list[int] = []
        assert await five().for_each(got.append) is None
        assert got == [1, 2, 3, 4, 5]

    run(main)


async def upper(source: Any) -> Any:
    async for chunk in source:
        yield (chunk.decode() if isinstance(chunk, bytes) else chunk).upper()


def test_compose(run: Any) -> None:
    async def main() -> None:
        one = stream.compose(upper)
        one.end('hi')
        assert text(await one.to_array()) == ['HI']
        shout = Transform(transform=lambda c, e, done: done(None, c.decode() + '!'))
        two = stream.compose(PassThrough(), shout)
        two.end('hi')
        assert text(await two.to_array()) == ['hi!']
        assert await Readable.from_(['a', 'b']).compose(upper).to_array() == ['A', 'B']

    run(main)


def test_duplex_from(run: Any) -> None:
    async def main() -> None:
        async def value() -> int:
            return 5

        async def double(source: Any) -> Any:
            async for chunk in source:
                yield chunk * 2

        got: list[Any] = []

        async def consume(source: Any) -> None:
            async for chunk in source:
                got.append(chunk)

        assert text(await Duplex.from_('abc').to_array()) == ['abc']
        assert await Duplex.from_([1, 2]).to_array() == [1, 2]
        assert await Duplex.from_(value()).to_array() == [5]
        through = Duplex.from_(double)
        through.write(1)
        through.end(2)
        assert await through.to_array() == [2, 4]
        sink = Duplex.from_(consume)
        sink.write(1)
        sink.end(2)
        await stream.promises.finished(sink)
        assert got == [1, 2]
        written: list[Any] = []
        target = Writable(
            object_mode=True, write=lambda chunk, _, done: (written.append(chunk), done())
        )
        both = Duplex.from_({'readable': Readable.from_([1]), 'writable': target})
        both.end(9)
        assert (await both.to_array(), written) == ([1], [9])
        same = PassThrough()
        assert Duplex.from_(same) is same

    run(main)


def test_duplex_pair(run: Any) -> None:
    async def main() -> None:
        here, there = stream.duplex_pair()
        here.end('x')
        there.end('y')
        assert text(await there.to_array()) == ['x']
        assert text(await here.to_array()) == ['y']

    run(main)


def test_wrap(run: Any) -> None:
    async def main() -> None:
        old = events.EventEmitter()
        wrapped = Readable().wrap(old)
        old.emit('data', b'a')
        old.emit('data', b'b')
        old.emit('end')
        assert b''.join(await wrapped.to_array()) == b'ab'

    run(main)


def asked(thing: Any) -> list[Any]:
    return [
        stream.is_destroyed(thing),
        stream.is_disturbed(thing),
        stream.is_errored(thing),
        stream.is_readable(thing),
        stream.is_writable(thing),
    ]


def test_questions(run: Any) -> None:
    async def main() -> None:
        assert asked(Readable(read=lambda n: None)) == [False, False, False, True, None]
        assert asked(Writable(write=lambda *a: None)) == [False, False, False, None, True]
        assert asked(PassThrough()) == [False, False, False, True, True]
        for other in ({}, None, 5):
            assert asked(other) == [None, False, False, None, None]
        ended = PassThrough()
        ended.end('x')
        await ended.to_array()
        assert asked(ended)[1] is True
        read = Readable(read=lambda n: None)
        read.push('x')
        read.read()
        assert asked(read) == [False, True, False, True, None]
        errors: list[Any] = []
        read.on('error', errors.append)
        stream.destroy(read)
        stream.destroy(read)
        await read.wait_closed()
        assert [error.code for error in errors] == ['ABORT_ERR']
        assert asked(read)[:3] == [True, True, True]

    run(main)


def test_promises(run: Any) -> None:
    async def main() -> None:
        got: list[int] = []

        async def more(source: Any) -> Any:
            async for chunk in source:
                yield chunk + 1

        target = Writable(
            object_mode=True, write=lambda chunk, _, done: (got.append(chunk), done())
        )
        await stream.promises.pipeline([1, 2], more, target)
        assert got == [2, 3]

    run(main)


# A listener that gives a coroutine without being a coroutine function.


class Called:
    def __init__(self, function: Any) -> None:
        self.function = function

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)


def wrapped(function: Any) -> Any:
    @functools.wraps(function)
    def inner(*args: Any) -> Any:
        return function(*args)

    return inner


WAYS = {
    'lambda': lambda function: lambda *args: function(*args),
    'partial': lambda function: functools.partial(function, 'first'),
    'object': Called,
    'decorated': wrapped,
}


@pytest.mark.parametrize('way', WAYS)
def test_a_coroutine_that_a_listener_gives_is_run(run: Any, way: str) -> None:
    async def main() -> None:
        seen: list[Any] = []

        async def listener(*args: Any) -> None:
            await asyncio.sleep(0)
            seen.append(args[-1])

        emitter = events.EventEmitter()
        emitter.on('x', WAYS[way](listener))
        emitter.emit('x', 'value')
        source = Readable(read=lambda n: None)
        source.on('data', WAYS[way](listener))
        source.push(b'chunk')
        while len(seen) < 2:
            await asyncio.sleep(0)
        assert seen == ['value', b'chunk']
        source.destroy()

    run(main)


@pytest.mark.parametrize('way', WAYS)
def test_a_handler_that_gives_a_coroutine_is_a_coroutine_handler(run: Any, way: str) -> None:
    async def main() -> None:
        async def serve(*args: Any) -> None:
            sock = args[-1]
            sock.write(await sock.read_line())

        server = await net.create_server(WAYS[way](serve)).listen(0, '127.0.0.1')
        sock = await net.connect(server.address().port, '127.0.0.1')
        sock.write('line\n')
        # The handler's return ends the connection, as that of any coroutine handler.
        assert [chunk async for chunk in sock] == [b'line\n']
        assert await server.close_all(deadline=5000) == 0

    run(main)


def test_its_failure_is_that_of_the_emitter(run: Any) -> None:
    async def main() -> None:
        async def fails() -> None:
            raise LookupError('x')

        emitter = events.EventEmitter()
        failed = events.once(emitter, 'error')
        emitter.on('x', lambda: fails())
        emitter.emit('x')
        with pytest.raises(LookupError):
            await asyncio.wait_for(emitter_error(failed), 5)

    async def emitter_error(failed: Any) -> None:
        (error,) = await failed
        raise error

    run(main)


@pytest.mark.parametrize('count', [1, 2, 3])
def test_leaving_a_composed_stream_leaves_no_error_behind(run: Any, count: int) -> None:
    failures: list[Any] = []

    async def same(source: Any) -> Any:
        async for chunk in source:
            yield chunk

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: failures.append(context))
        made = Readable.from_([1, 2, 3]).compose(same)
        left = count
        async for _ in made:
            left -= 1
            if not left:
                break
        await made.wait_closed()
        for _ in range(5):
            await asyncio.sleep(0)

    run(main)
    assert failures == []
