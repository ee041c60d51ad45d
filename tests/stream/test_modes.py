"""Reading modes and what read() gives (ST-02 to ST-05, ST-07, ST-09)."""

from __future__ import annotations

from typing import Any

import pytest

from tailrace.errors import InvalidArgTypeError, OutOfRangeError
from tailrace.stream import Duplex, PassThrough, Readable, Writable

from .conftest import Log


def source(*chunks: Any, **options: Any) -> Readable:
    """A stream with chunks in its buffer whose source has no more to give for now."""
    stream = Readable(read=lambda size: None, **options)
    for chunk in chunks:
        stream.push(chunk)
    return stream


def on_data(s: Any) -> None:
    s.on('data', print_nothing)


def print_nothing(_: Any = None) -> None:
    """A listener."""


def test_st01_classes_are_related() -> None:
    both = PassThrough()
    assert isinstance(both, Duplex)
    assert isinstance(both, Readable)
    assert isinstance(both, Writable)
    assert Duplex().allow_half_open is True


@pytest.mark.parametrize(
    ('steps', 'modes'),
    [
        (['nothing'], [None]),
        (['data'], [True]),
        (['resume'], [True]),
        (['pipe'], [True]),
        (['pause'], [False]),
        (['readable'], [False]),
        (['pause', 'data'], [False, False]),
        (['pause', 'data', 'resume'], [False, False, True]),
        (['data', 'pause', 'resume', 'pause'], [True, False, True, False]),
        (['data', 'readable'], [True, False]),
        (['readable', 'data'], [False, False]),
        (['readable', 'resume'], [False, False]),
        (['data', 'readable', 'off readable'], [True, False, True]),
        (['readable', 'off readable'], [False, None]),
        (['pipe', 'unpipe'], [True, False]),
        (['data', 'off data'], [True, True]),
    ],
)
def test_st02_flowing_after_each_call(
    run: Any, settle: Any, steps: list[str], modes: list[bool | None]
) -> None:
    async def main() -> list[bool | None]:
        s, dest = source(), Writable(write=lambda chunk, encoding, done: done())
        calls = {
            'nothing': lambda: None,
            'data': lambda: s.on('data', print_nothing),
            'off data': lambda: s.off('data', print_nothing),
            'readable': lambda: s.on('readable', print_nothing),
            'off readable': lambda: s.off('readable', print_nothing),
            'resume': s.resume,
            'pause': s.pause,
            'pipe': lambda: s.pipe(dest),
            'unpipe': lambda: s.unpipe(dest),
        }
        seen = []
        for step in steps:
            calls[step]()
            if step.startswith('off'):
                await settle()
            seen.append(s.readable_flowing)
        s.destroy()
        await settle()
        return seen

    assert run(main) == modes


def test_st03_what_comes_early_is_kept(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        s = source(b'ke', b'pt')
        await settle()
        assert (s.readable_length, s.readable_flowing) == (4, None)
        log.watch(s, 'data')
        await settle()
        assert log == [('data', b'ke'), ('data', b'pt')]

    run(main)


def test_st03_reading_stops_at_the_mark(run: Any, settle: Any) -> None:
    asked = []

    async def main() -> None:
        def read(size: int) -> None:
            asked.append(size)
            s.push(b'12345')

        s = Readable(read=read, high_water_mark=16)
        s.read(0)
        await settle()
        assert s.readable_length == 20
        assert asked == [16] * 4

    run(main)


def test_st04_read_takes_exactly_or_nothing(run: Any, settle: Any) -> None:
    async def main() -> None:
        s = source(b'abc', b'def')
        assert s.read(2) == b'ab'
        assert s.read(5) is None
        assert s.read() == b'cdef'
        assert s.read() is None
        s.push(b'xyz')
        s.push(None)
        assert s.read(10) == b'xyz'
        with pytest.raises(InvalidArgTypeError):
            s.read([1])
        await settle()

    run(main)


@pytest.mark.parametrize(
    ('size', 'got'),
    [
        (2, b'ab'), ('2', b'ab'), ('2x', b'ab'), (2.9, b'ab'), ('x', b'abcd'), ('', b'abcd'),
        (float('nan'), b'abcd'), (float('inf'), b'abcd'), (0, None), (-1, None), ('-3', None),
        (9, None), (None, b'abcd'),
    ],
)  # fmt: skip
def test_st04_a_size_is_read_as_parse_int_does(run: Any, size: Any, got: bytes | None) -> None:
    async def main() -> None:
        s = source(b'abcd')
        assert s.read(size) == got

    run(main)


@pytest.mark.parametrize('size', [2**30 + 1, 10**30, 1e30])
def test_st04_a_size_beyond_a_gibibyte_is_out_of_range(run: Any, size: Any) -> None:
    async def main() -> None:
        with pytest.raises(OutOfRangeError):
            source(b'abcd').read(size)

    run(main)


def test_st04_readable_announces_data_and_the_end(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        s = source()

        def readable() -> None:
            log.append('readable')
            while (chunk := s.read()) is not None:
                log.append(chunk)

        s.on('readable', readable)
        log.watch(s, 'end', 'close')
        await settle()
        s.push(b'a')
        s.push(b'b')
        await settle()
        s.push(None)
        await settle()
        assert log == ['readable', b'ab', 'readable', 'end', 'close']

    run(main)


def test_st05_pause_and_resume_events(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        s = source()
        log.watch(s, 'pause', 'resume')
        assert s.is_paused() is False
        assert s.pause() is s
        s.pause()
        assert s.is_paused() is True
        assert s.resume() is s
        assert s.is_paused() is False
        assert log == ['pause']
        await settle()
        assert log == ['pause', 'resume']

    run(main)


def test_st05_nothing_comes_while_paused(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        s = source()
        log.watch(s, 'data')
        await settle()
        s.pause()
        s.push(b'x')
        await settle()
        assert log == []
        s.resume()
        await settle()
        assert log == [('data', b'x')]

    run(main)


def test_st07_properties_in_the_course_of_a_stream(run: Any, settle: Any) -> None:
    async def main() -> None:
        s = source(b'abc', high_water_mark=10)
        names = ('readable', 'readable_length', 'readable_did_read', 'readable_ended')
        state = lambda: tuple(getattr(s, name) for name in names)  # noqa: E731
        assert state() == (True, 3, False, False)
        assert s.readable_high_water_mark == s.readableHighWaterMark == 10
        assert s.readable_encoding is None
        s.read()
        assert state() == (True, 0, True, False)
        s.push(None)
        s.resume()
        await settle()
        assert state() == (False, 0, True, True)
        assert s.readable_aborted is False
        other = source(b'x')
        other.destroy()
        assert (other.readable, other.readable_aborted) == (False, True)
        await settle()

    run(main)


def test_st09_unshift_comes_first(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        s = source(b'body')
        assert s.read() == b'body'
        s.unshift(b'dy')
        s.unshift(b'bo')
        assert s.read() == b'body'
        s.push(None)
        s.resume()
        await settle()
        log.watch(s, 'error')
        s.unshift(b'late')
        await settle()
        assert log == []  # the stream has destroyed itself: too late to be heard
        t = source(None, auto_destroy=False)
        t.resume()
        await settle()
        log.watch(t, 'error')
        assert t.unshift(b'late') is False
        assert log == [('error', 'ERR_STREAM_UNSHIFT_AFTER_END_EVENT')]

    run(main)


def test_st09_unshift_while_flowing_is_given_out(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        s = source()
        log.watch(s, 'data')
        await settle()
        s.unshift(b'x')
        assert log == [('data', b'x')]

    run(main)


def test_st09_unshift_with_an_encoding_is_text(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        s = source()
        s.set_encoding('utf8')
        log.watch(s, 'data')
        await settle()
        s.unshift('é'.encode())
        assert log == [('data', 'é')]

    run(main)
