"""read_exactly, read_until, read_line: on any stream, and on real sockets."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace import Readable, errors

from ..net.pairs import KINDS, connected


def source(**options: Any) -> Readable:
    """A stream that gives what is pushed."""
    return Readable(read=lambda size: None, **options)


def state_of(stream: Readable) -> tuple[Any, ...]:
    """What a call that failed must leave as it was."""
    return (
        b''.join(stream._r_buf or ()),
        stream.readable_high_water_mark,
        {name: len(stream.listeners(name)) for name in stream.event_names()},
    )


def test_exactly_takes_what_is_there_without_waiting(run: Any) -> None:
    async def main() -> None:
        stream = source()
        stream.push(b'hello')
        stream.push(b' world')
        assert await stream.read_exactly(7) == b'hello w'
        assert await stream.read_exactly(0) == b''
        assert stream.readable_length == 4
        assert stream.read() == b'orld'

    run(main)


def test_exactly_waits_beyond_the_high_water_mark_and_restores_it(run: Any) -> None:
    async def main() -> None:
        asked = []
        stream = Readable(read=lambda size: asked.append(size), high_water_mark=4)
        waiting = asyncio.ensure_future(stream.read_exactly(10))
        await asyncio.sleep(0)
        for _ in range(5):
            stream.push(b'ab')
            await asyncio.sleep(0)
        assert await waiting == b'ababababab'
        assert max(asked) >= 10
        assert stream.readable_high_water_mark == 4
        assert stream.event_names() == []

    run(main)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('mark', [1, 1000, 65536])
def test_exactly_from_a_socket_larger_than_its_mark(run: Any, kind: str, mark: int) -> None:
    async def main() -> None:
        async with connected(kind, high_water_mark=mark) as (client, accepted):
            data = bytes(range(256)) * 2000
            client.end(data)
            assert await accepted.read_exactly(400_000) == data[:400_000]
            assert accepted.readable_high_water_mark == mark
            assert await accepted.read_exactly(len(data) - 400_000) == data[400_000:]
            with pytest.raises(errors.IncompleteReadError) as caught:
                await accepted.read_exactly(1)
            assert (caught.value.partial, caught.value.expected) == (b'', 1)
            await accepted.wait_closed()

    run(main)


def test_exactly_at_the_end_leaves_the_data(run: Any) -> None:
    async def main() -> None:
        stream = source()
        stream.push(b'abc')
        stream.push(None)
        with pytest.raises(EOFError) as caught:
            await stream.read_exactly(5)
        error = caught.value
        assert isinstance(error, errors.IncompleteReadError)
        assert (error.code, error.partial, error.expected) == ('ERR_INCOMPLETE_READ', b'abc', 5)
        again = pickle.loads(pickle.dumps(error))
        assert (again.partial, again.expected) == (b'abc', 5)
        assert not stream.readable_ended
        assert stream.read() == b'abc'
        await stream.wait_closed()
        assert stream.readable_ended

    run(main)


def test_the_last_byte_taken_brings_the_end(run: Any) -> None:
    async def main() -> None:
        stream = source()
        stream.push(b'abc')
        stream.push(None)
        assert await stream.read_exactly(3) == b'abc'
        await stream.wait_closed()
        assert stream.readable_ended
        assert await stream.read_line() == b''

    run(main)


def test_until_and_unshift(run: Any) -> None:
    async def main() -> None:
        stream = source()
        stream.push(b'one--two-')
        assert await stream.read_until(b'--') == b'one--'
        stream.unshift(b'zero--')
        assert await stream.read_until(b'--') == b'zero--'
        waiting = asyncio.ensure_future(stream.read_until(b'--'))
        await asyncio.sleep(0)
        stream.push(b'')
        stream.push(b'-three')
        assert await waiting == b'two--'
        assert stream.read() == b'three'

    run(main)


def test_unshift_while_a_call_waits(run: Any) -> None:
    async def main() -> None:
        stream = source()
        stream.push(b'tail')
        waiting = asyncio.ensure_future(stream.read_line())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        stream.unshift(b'head\n')
        assert await waiting == b'head\n'
        assert stream.read() == b'tail'

    run(main)


@pytest.mark.parametrize(
    ('data', 'limit', 'consumed'),
    [(b'x' * 20, 10, 19), (b'x' * 20 + b'\r\n', 10, 20), (b'x' * 9 + b'\r\n', 10, 9)],
)
def test_limit_leaves_the_data(run: Any, data: bytes, limit: int, consumed: int) -> None:
    async def main() -> None:
        stream = source()
        stream.push(data)
        before = state_of(stream)
        with pytest.raises(errors.LimitOverrunError) as caught:
            await stream.read_until(b'\r\n', limit=limit)
        error = caught.value
        assert (error.code, error.consumed, error.limit) == ('ERR_LIMIT_OVERRUN', consumed, limit)
        assert isinstance(error, ValueError)
        assert pickle.loads(pickle.dumps(error)).consumed == consumed
        assert state_of(stream) == before
        assert stream.read(consumed) == data[:consumed]

    run(main)


def test_limit_counts_the_separator_and_is_65536(run: Any) -> None:
    async def main() -> None:
        stream = source(high_water_mark=100)
        stream.push(b'x' * 65535 + b'\n')
        assert len(await stream.read_line()) == 65536
        stream.push(b'x' * 65536 + b'\n')
        with pytest.raises(errors.LimitOverrunError):
            await stream.read_line()
        assert len(await stream.read_line(limit=None)) == 65537

    run(main)


def test_a_peer_without_line_ends_is_stopped_at_the_limit(run: Any) -> None:
    async def main() -> None:
        async with connected(high_water_mark=1024) as (client, accepted):
            client.write(b'x' * 8_000_000)
            with pytest.raises(errors.LimitOverrunError):
                await accepted.read_line(limit=4096)
            assert accepted.readable_length < 600_000

    run(main)


def test_lines_and_the_last_one_without_an_end(run: Any) -> None:
    async def main() -> None:
        async with connected() as (client, accepted):
            client.write(b'one\r\ntw')
            client.end(b'o\nthree')
            lines = []
            while line := await accepted.read_line():
                lines.append(line)
            assert lines == [b'one\r\n', b'two\n', b'three']
            await accepted.wait_closed()

    run(main)


def test_text_counts_characters(run: Any) -> None:
    async def main() -> None:
        stream = source(encoding='utf8')
        raw = 'äöü\n€uro'.encode()
        for i in range(len(raw)):
            stream.push(raw[i : i + 1])
        assert await stream.read_line() == 'äöü\n'
        assert await stream.read_exactly(2) == '€u'
        with pytest.raises(errors.InvalidArgTypeError):
            await stream.read_until(b'o')
        assert await stream.read_until('o') == 'ro'

    run(main)


def test_encoding_set_while_a_call_waits(run: Any) -> None:
    async def main() -> None:
        stream = source()
        waiting = asyncio.ensure_future(stream.read_line())
        await asyncio.sleep(0)
        stream.push(b'ab')
        stream.set_encoding('hex')
        stream.push(b'\n')
        stream.set_encoding('utf8')
        stream.push(b'c\n')
        assert await waiting == '61620ac\n'

    run(main)


@pytest.mark.parametrize(
    ('call', 'error'),
    [
        (lambda s: s.read_exactly(-1), errors.OutOfRangeError),
        (lambda s: s.read_exactly('1'), errors.InvalidArgTypeError),
        (lambda s: s.read_until(b''), errors.InvalidArgValueError),
        (lambda s: s.read_until('x'), errors.InvalidArgTypeError),
        (lambda s: s.read_line(limit=0), errors.OutOfRangeError),
    ],
)
def test_arguments_are_checked(run: Any, call: Any, error: type[Exception]) -> None:
    async def main() -> None:
        stream = source()
        before = state_of(stream)
        with pytest.raises(error):
            await call(stream)
        assert state_of(stream) == before

    run(main)


def test_refused_while_data_flows(run: Any) -> None:
    async def main() -> None:
        stream = source()
        got: list[bytes] = []
        stream.on('data', got.append)
        with pytest.raises(errors.StateError) as caught:
            await stream.read_exactly(1)
        assert caught.value.code == 'ERR_STREAM_FLOWING'
        stream.off('data', got.append)
        with pytest.raises(errors.StateError):
            await stream.read_line()
        stream.pause()
        stream.push(b'x')
        assert await stream.read_exactly(1) == b'x'
        assert got == []

    run(main)


def test_refused_in_object_mode_and_twice_at_once(run: Any) -> None:
    async def main() -> None:
        with pytest.raises(errors.StateError):
            await source(object_mode=True).read_line()
        stream = source()
        waiting = asyncio.ensure_future(stream.read_line())
        await asyncio.sleep(0)
        with pytest.raises(errors.StateError) as caught:
            await stream.read_exactly(1)
        assert caught.value.code == 'ERR_STREAM_READ_PENDING'
        stream.push(b'\n')
        assert await waiting == b'\n'
        stream.push(b'x')
        assert await stream.read_exactly(1) == b'x'

    run(main)


def test_mixed_with_read_and_async_for(run: Any) -> None:
    async def main() -> None:
        async with connected() as (client, accepted):
            client.write(b'4\nabcdrest')
            size = int(await accepted.read_line())
            assert await accepted.read_exactly(size) == b'abcd'
            assert accepted.read(1) == b'r'
            chunks = []
            async for chunk in accepted:
                chunks.append(chunk)
                if len(chunks) == 1:
                    client.end(b'line\nlast')
                    chunks.append(await accepted.read_line())
            assert chunks == [b'est', b'line\n', b'last']

    run(main)


def test_half_open_and_paused(run: Any) -> None:
    async def main() -> None:
        async with connected(allow_half_open=True, pause_on_connect=True) as (client, accepted):
            client.end(b'question\n')
            accepted.pause()
            assert await accepted.read_line() == b'question\n'
            assert await accepted.read_line() == b''
            accepted.end(b'answer\n')
            assert await client.read_line() == b'answer\n'

    run(main)


def test_destroyed_while_waiting(run: Any) -> None:
    async def main() -> None:
        stream = source()
        stream.push(b'x')
        waiting = asyncio.ensure_future(stream.read_exactly(2))
        await asyncio.sleep(0)
        stream.destroy()
        with pytest.raises(errors.StateError) as caught:
            await waiting
        assert caught.value.code == 'ERR_STREAM_PREMATURE_CLOSE'
        with pytest.raises(errors.StateError):
            await stream.read_exactly(1)

    run(main)


@pytest.mark.parametrize('after', [False, True], ids=['waiting', 'destroyed before'])
def test_an_error_is_raised_here_and_nowhere_else(run: Any, after: bool) -> None:
    async def main() -> None:
        stream = source()
        if after:
            stream.destroy(KeyError('why'))
            with pytest.raises(KeyError):
                await stream.read_exactly(2)
        else:
            waiting = asyncio.ensure_future(stream.read_line())
            await asyncio.sleep(0)
            stream.destroy(KeyError('why'))
            with pytest.raises(KeyError):
                await waiting
        await stream.wait_closed()
        assert stream.event_names() == []

    run(main)


def test_cn_reset_by_the_peer_is_raised(run: Any) -> None:
    async def main() -> None:
        async with connected() as (client, accepted):
            client.write(b'half a li')
            assert await accepted.read_exactly(4) == b'half'
            client.reset_and_destroy()
            with pytest.raises(ConnectionResetError):
                await accepted.read_line()

    run(main)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.binary(max_size=9).map(lambda b: b.replace(b'\n', b'.')), max_size=8),
    st.lists(st.integers(1, 12), max_size=30),
    st.integers(1, 40),
)
def test_any_cut_gives_the_same_lines(lines: list[bytes], cuts: list[int], mark: int) -> None:
    whole = b''.join(line + b'\n' for line in lines)
    pieces = []
    rest = whole
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    pieces.append(rest)

    async def main() -> None:
        todo = iter([*pieces, None])

        def read(size: int) -> None:
            piece = next(todo)
            while piece == b'':
                piece = next(todo)
            asyncio.get_running_loop().call_soon(stream.push, piece)

        stream = Readable(read=read, high_water_mark=mark)
        out = []
        while line := await stream.read_line():
            out.append(line)
        assert out == [line + b'\n' for line in lines]

    asyncio.run(main())


def test_the_next_call_finds_the_listeners_of_the_last(run: Any, settle: Any) -> None:
    """They stay until the next tick, but for that of 'error'; then they are gone."""

    async def main() -> None:
        stream = source()
        seen: list[Any] = []
        stream.on('newListener', lambda name, _: seen.append(name))
        stream.on('removeListener', lambda name, _: seen.append('-' + name))

        async def three() -> None:
            for _ in range(3):
                assert await stream.read_exactly(2) == b'ab'
                seen.append(stream.listener_count('error'))

        task = asyncio.ensure_future(three())
        await asyncio.sleep(0)
        for _ in range(3):
            # The task goes on in the very tick that tells of the data.
            stream.push(b'ab')
            await settle()
        await task
        one = ['error', '-error', 0]
        assert [name for name in seen if name in one] == one * 3
        assert [name for name in seen if name not in one] == [
            *('removeListener', 'readable', 'end', 'close'),
            *('-readable', '-end', '-close'),
        ]

    run(main)


def test_data_flows_to_a_listener_that_comes_after_a_line(run: Any) -> None:
    async def main() -> None:
        async with connected() as (client, accepted):
            got: list[bytes] = []
            client.write(b'hello\n')
            assert await accepted.read_line() == b'hello\n'
            accepted.on('data', got.append)
            client.end(b'world')
            ended = asyncio.get_running_loop().create_future()
            accepted.once('end', lambda: ended.set_result(None))
            await ended
            assert b''.join(got) == b'world'

    run(main)


def test_an_error_after_a_call_was_not_heard_by_it(run: Any) -> None:
    async def main() -> None:
        stream = source()

        async def read_then_break() -> None:
            assert await stream.read_line() == b'a\n'
            stream.destroy(ValueError('afterwards'))

        task = asyncio.ensure_future(read_then_break())
        await asyncio.sleep(0)
        stream.push(b'a\n')
        await task
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert stream.event_names() == []

    run(main)
    (trouble,) = run.unhandled
    assert str(trouble['exception']) == 'afterwards'
    run.unhandled.clear()
