"""The connected pair in memory, and random programs on it against a model."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace._stream.memory import memory_pair

from .conftest import Log, code


def test_half_close_and_order(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        here, there = memory_pair()
        log.watch(there, 'data', 'end', 'finish', 'close')
        here.write('a')
        here.end('b')
        await settle()
        assert log == [('data', b'a'), ('data', b'b'), 'end']
        assert there.writable
        there.end('c')
        assert [chunk async for chunk in here] == [b'c']
        await settle()
        assert log[3:] == ['finish', 'close']
        assert here.closed

    run(main)


def test_back_pressure_reaches_the_writer(run: Any, settle: Any) -> None:
    async def main() -> None:
        here, there = memory_pair(high_water_mark=4)
        written = 0
        while here.write(b'x') and written < 100:
            written += 1
            await settle()
        assert there.readable_length == 4
        assert here.writable_length == 4
        there.resume()
        await here.drain()
        here.destroy()
        there.destroy()
        await settle()

    run(main)


def test_allow_half_open_false(run: Any, settle: Any) -> None:
    async def main() -> None:
        here, there = memory_pair(allow_half_open=False)
        there.resume()
        here.resume()
        here.end()
        await here.wait_closed()
        await there.wait_closed()

    run(main)


@pytest.mark.parametrize('error', [None, ValueError('boom')])
def test_destroying_one_end(run: Any, settle: Any, log: Log, error: Exception | None) -> None:
    async def main() -> None:
        here, there = memory_pair()
        here.on('error', lambda: None)
        log.watch(there, 'end', 'error', 'close')
        there.resume()
        await settle()
        log.clear()
        here.destroy(error)
        await settle()
        assert log == (['end'] if error is None else [('error', 'ECONNRESET'), 'close'])
        if error is None:
            there.write('x', log.callback('x'))
            await settle()
            assert log == ['end', ('x', 'EPIPE'), ('error', 'EPIPE'), 'close']

    run(main)


OPS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(['write', 'write', 'unshift']), st.integers(0, 1), st.binary(max_size=9)
        ),
        st.tuples(
            st.sampled_from(
                ['cork', 'uncork', 'pause', 'resume', 'read', 'turn', 'turn', 'listen', 'readable']
            ),
            st.integers(0, 1),
            st.integers(0, 6),
        ),
        st.tuples(st.sampled_from(['end', 'destroy', 'fail', 'end']), st.integers(0, 1)),
    ),
    max_size=30,
)


class Model:
    """What one end was told to do, and what it told."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.sent = b''
        self.got = b''
        self.events: list[str] = []
        self.callbacks: list[tuple[int, Any]] = []
        self.writes = 0
        self.accepted: set[int] = set()
        for event in ('end', 'finish', 'close'):
            stream.on(event, lambda *_, event=event: self.events.append(event))
        stream.on('error', lambda error: self.events.append('error'))

    def data(self, chunk: bytes) -> None:
        self.got += chunk

    def readable(self) -> None:
        while self.stream.read() is not None:
            """Its 'data' event is what counts."""

    def write(self, data: bytes) -> None:
        number = self.writes
        self.writes += 1
        ended = self.stream.writable_ended or self.stream.destroyed
        self.stream.write(data, lambda error: self.callbacks.append((number, code(error))))
        if not ended:
            self.sent += data
            self.accepted.add(number)


@settings(max_examples=150, deadline=None)
@given(ops=OPS, mark=st.sampled_from([1, 4, 65536]))
def test_random_programs_lose_nothing(ops: list[Any], mark: int) -> None:
    asyncio.run(play(ops, mark))


async def play(ops: list[Any], mark: int) -> None:
    pair = memory_pair(high_water_mark=mark)
    ends = [Model(stream) for stream in pair]
    for name, which, *rest in ops:
        end, stream = ends[which], pair[which]
        if name == 'turn':
            for _ in range(rest[0]):
                await asyncio.sleep(0)
        elif name == 'write':
            end.write(rest[0])
        elif name == 'unshift':
            # What was taken goes back; nothing is invented.
            heard = stream.listener_count('data') > 0
            chunk = stream.read(len(rest[0]))
            if chunk is not None and stream.readable and stream.errored is None:
                if heard:
                    end.got = end.got[: len(end.got) - len(chunk)]
                stream.unshift(chunk)
            elif chunk is not None and not heard:
                end.got += chunk
        elif name == 'read':
            chunk = stream.read(rest[0])
            if chunk is not None and not stream.listener_count('data'):
                end.got += chunk
        elif name == 'listen':
            if not stream.listener_count('data'):
                stream.on('data', end.data)
        elif name == 'readable':
            if stream.listener_count('data') and not stream.listener_count('readable'):
                stream.on('readable', end.readable)
        elif name == 'fail':
            stream.destroy(ValueError('boom'))
        elif name != 'resume' or stream.listener_count('data'):  # else it drops data on purpose
            getattr(stream, name)()
    for end, stream in zip(ends, pair, strict=True):
        if not stream.listener_count('data'):
            stream.on('data', end.data)
        while stream.writable_corked:
            stream.uncork()
        if not stream.listener_count('readable'):
            stream.resume()
        stream.end()
    async with asyncio.timeout(5):
        for stream in pair:
            await stream.wait_closed()
    for _ in range(5):
        await asyncio.sleep(0)
    failed = any(end.stream.errored for end in ends) or any(op[0] == 'destroy' for op in ops)
    for end, other in zip(ends, reversed(ends), strict=True):
        assert end.events.count('close') == 1
        assert end.events[-1] == 'close'
        # destroy() in the same callback as a failed write: only its callback is told, as in Node.
        assert end.events.count('error') <= (end.stream.errored is not None)
        assert end.events.count('end') <= 1
        assert end.events.count('finish') <= 1
        # A write that was refused is answered at once, before those that are under way.
        order = [number for number, _ in end.callbacks]
        assert sorted(order) == list(range(end.writes))
        assert [n for n in order if n in end.accepted] == sorted(end.accepted)
        assert other.sent.startswith(end.got)
        if not failed:
            assert end.got == other.sent
            assert end.events.count('end') == end.events.count('finish') == 1
            assert all((error is None) == (n in end.accepted) for n, error in end.callbacks)
