"""pipe and unpipe (ST-10 to ST-12)."""

from __future__ import annotations

from typing import Any

import pytest

from tailrace.stream import PassThrough, Readable, Writable

from .conftest import Log
from .test_modes import source
from .test_writing import Sink


def test_st10_everything_goes_and_the_end_with_it(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        s, dest = source(b'a'), Sink(at_once=True)
        dest.on('pipe', lambda src: log.append(('pipe', src is s)))
        dest.on('unpipe', lambda src: log.append(('unpipe', src is s)))
        log.watch(dest, 'finish')
        assert s.pipe(dest) is dest
        await settle()
        s.push(b'b')
        s.push(None)
        await settle()
        assert dest.got == [b'a', b'b']
        assert log == [('pipe', True), ('unpipe', True), 'finish'] or log == [
            ('pipe', True),
            'finish',
            ('unpipe', True),
        ]
        assert s.listener_count('data') == dest.listener_count('unpipe') - 1 == 0

    run(main)


@pytest.mark.parametrize('how', ['keyword', 'mapping'])
def test_st10_end_false_leaves_the_destination_open(run: Any, settle: Any, how: str) -> None:
    async def main() -> None:
        s, dest = source(b'a', None), Sink(at_once=True)
        if how == 'keyword':
            s.pipe(dest, end=False)
        else:
            s.pipe(dest, {'end': False})
        await settle()
        assert s.readable_ended
        assert dest.writable
        assert dest.got == [b'a']

    run(main)


def test_st10_a_stream_piped_to_itself_echoes(run: Any, settle: Any) -> None:
    from tailrace._stream.memory import memory_pair

    async def main() -> None:
        here, there = memory_pair()
        there.pipe(there)
        here.end('echo')
        assert [chunk async for chunk in here] == [b'echo']
        await there.wait_closed()

    run(main)


def test_st11_the_source_waits_for_drain(run: Any, settle: Any) -> None:
    async def main() -> None:
        asked = []
        s = Readable(read=lambda size: (asked.append(size), s.push(b'xx')), high_water_mark=4)
        dest = Sink(high_water_mark=2)
        s.pipe(dest)
        await settle()
        assert dest.got == [b'xx']
        assert dest.writable_need_drain
        assert s.is_paused()
        assert s.readable_length == 4
        dest.release()
        await settle()
        assert dest.got == [b'xx', b'xx']
        s.destroy()
        dest.destroy()
        await settle()

    run(main)


def test_st11_the_slowest_of_several_destinations_counts(run: Any, settle: Any) -> None:
    async def main() -> None:
        s = source()
        slow, fast = Sink(high_water_mark=1), Sink(at_once=True, high_water_mark=1)
        slower = Sink(high_water_mark=1)
        for dest in (slow, fast, slower):
            s.pipe(dest)
        await settle()
        s.push(b'1')
        s.push(b'2')
        s.push(b'3')
        await settle()
        slow.release()
        await settle()
        assert (slow.got, fast.got, slower.got) == ([b'1'], [b'1'], [b'1'])
        slower.release()
        await settle()
        assert (slow.got, fast.got, slower.got) == ([b'1', b'2'],) * 3
        s.unpipe(slower)
        slow.release()
        await settle()
        assert slow.got == fast.got == [b'1', b'2', b'3']
        assert slower.got == [b'1', b'2']
        for stream in (s, slow, fast, slower):
            stream.destroy()
        await settle()

    run(main)


def test_st12_unpipe_one_and_all(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        s, one, two = source(), Sink(at_once=True), Sink(at_once=True)
        for name, dest in (('one', one), ('two', two)):
            s.pipe(dest)
            dest.on('unpipe', lambda *_, name=name: log.append(name))
        await settle()
        assert s.unpipe(one) is s
        assert (log, s.readable_flowing) == (['one'], True)
        s.push(b'x')
        await settle()
        assert (one.got, two.got) == ([], [b'x'])
        s.unpipe(one)
        s.unpipe()
        assert (log, s.readable_flowing) == (['one', 'two'], False)
        s.push(b'y')
        await settle()
        assert two.got == [b'x']

    run(main)


@pytest.mark.parametrize('how', ['close', 'error', 'finish'])
def test_st12_a_destination_that_is_over_is_unpiped(
    run: Any, settle: Any, log: Log, how: str
) -> None:
    async def main() -> None:
        s, dest = source(), Sink(at_once=True)
        log.watch(dest, 'error')
        log.watch(s, 'error')
        s.pipe(dest)
        await settle()
        if how == 'finish':
            dest.end()
        else:
            dest.destroy(Exception('boom') if how == 'error' else None)
        await settle()
        assert s.listener_count('data') == 0
        assert not s.destroyed
        assert log == ([('error', 'boom')] if how == 'error' else [])

    run(main)


def test_st12_errors_are_not_passed_on(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        s, dest = source(), Sink(at_once=True)
        s.pipe(dest)
        log.watch(s, 'error')
        s.destroy(Exception('boom'))
        await settle()
        assert log == [('error', 'boom')]
        assert not dest.destroyed
        assert not dest.writable_ended

    run(main)


def test_an_error_of_a_destination_without_listener_is_unhandled(run: Any, settle: Any) -> None:
    async def main() -> None:
        s, dest = source(), Sink(at_once=True)
        s.pipe(dest)
        dest.destroy(Exception('boom'))
        await settle()

    run(main)
    (context,) = run.unhandled
    assert str(context['exception']) == 'boom'
    run.unhandled.clear()


def test_a_stream_that_is_only_writable_cannot_be_piped(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        w = Writable(write=lambda chunk, encoding, done: done())
        log.watch(w, 'error', 'close')
        w.pipe(PassThrough())
        await settle()
        assert log == [('error', 'ERR_STREAM_CANNOT_PIPE'), 'close']

    run(main)


def test_pipe_after_the_end_ends_the_destination(run: Any, settle: Any) -> None:
    async def main() -> None:
        s, dest = source(None), Sink(at_once=True)
        s.resume()
        await settle()
        assert s.readable_ended
        s.pipe(dest)
        await settle()
        assert dest.writable_finished

    run(main)
