"""The writing side (ST-15 to ST-23, ST-27, ST-29, ST-36)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tailrace._stream.write import set_sink, sink_done
from tailrace.errors import (
    InvalidArgTypeError,
    OutOfRangeError,
    StreamNullValuesError,
    UnknownEncodingError,
)
from tailrace.stream import (
    Writable,
    get_default_high_water_mark,
    set_default_high_water_mark,
)

from .conftest import Log


class Sink(Writable):
    """Keeps what was written; each write is done when :meth:`release` is called."""

    def __init__(self, at_once: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.got: list[Any] = []
        self.at_once = at_once
        self.waiting: list[Callable[..., Any]] = []

    def _write(self, chunk: Any, encoding: str, callback: Any) -> None:
        self.got.append(chunk)
        if self.at_once:
            callback(None)
        else:
            self.waiting.append(callback)

    def release(self, error: Exception | None = None) -> None:
        self.waiting.pop(0)(error)


class Vectored(Sink):
    """Takes several chunks at once."""

    def _writev(self, chunks: Any, callback: Any) -> None:
        self.got.append([chunk for chunk, _ in chunks])
        self.waiting.append(callback)


@pytest.fixture(params=['hook', 'sink'])
def make(request: Any) -> Callable[..., Sink]:
    """Makes a Sink; with 'sink' the fast door is used instead of ``_write``."""

    def made(at_once: bool = False, **options: Any) -> Sink:
        stream = Sink(at_once, **options)
        if request.param == 'sink':

            class Handle:
                def write(self, data: bytes, _: None) -> int:
                    stream.got.append(data)
                    if stream.at_once:
                        return 0
                    stream.waiting.append(lambda error=None: sink_done(stream, 32 if error else 0))
                    return -1

            set_sink(stream, Handle())
        return stream

    return made


def test_st15_order_is_kept_and_empty_chunks_count(
    run: Any, settle: Any, log: Log, make: Any
) -> None:
    async def main() -> None:
        w = make()
        w.write('a', log.callback('a'))
        w.write(b'', log.callback('empty'))
        w.write('c', 'latin1', log.callback('c'))
        assert log == []
        for _ in range(3):
            w.release()
            await settle()
        assert w.got == [b'a', b'', b'c']
        assert log == [('a', None), ('empty', None), ('c', None)]
        w.destroy()
        await settle()

    run(main)


def test_st18_callbacks_come_later_even_if_written_at_once(
    run: Any, settle: Any, log: Log, make: Any
) -> None:
    async def main() -> None:
        w = make(at_once=True)
        w.write('a', log.callback('a'))
        w.write('b', log.callback('b'))
        assert (w.got, log) == ([b'a', b'b'], [])
        await settle()
        assert log == [('a', None), ('b', None)]

    run(main)


@pytest.mark.parametrize(
    'chunk', ['é', b'\xc3\xa9', bytearray(b'\xc3\xa9'), memoryview(b'\xc3\xa9')]
)
def test_st29_gen14_chunk_types(run: Any, settle: Any, make: Any, chunk: Any) -> None:
    async def main() -> None:
        w = make(at_once=True)
        w.write(chunk)
        assert w.got == [b'\xc3\xa9']
        assert type(w.got[0]) is bytes

    run(main)


def test_gen14_queued_data_is_a_snapshot(run: Any, settle: Any, make: Any) -> None:
    async def main() -> None:
        w = make()
        data = bytearray(b'abc')
        w.write('first')
        w.write(data)
        data[:] = b'xyz'
        w.release()
        assert w.got == [b'first', b'abc']
        w.destroy()
        await settle()

    run(main)


@pytest.mark.parametrize(
    ('args', 'error'),
    [
        ((None,), StreamNullValuesError),
        ((5,), InvalidArgTypeError),
        (({},), InvalidArgTypeError),
        (('x', 'utf9'), UnknownEncodingError),
    ],
)
def test_bad_writes_raise_and_the_stream_goes_on(
    run: Any, make: Any, args: Any, error: type[Exception]
) -> None:
    async def main() -> None:
        w = make(at_once=True)
        with pytest.raises(error):
            w.write(*args)
        with pytest.raises(error):
            w.end(*args) if args[0] is not None else w.write(None)
        assert w.write('good') is True
        assert w.got == [b'good']

    run(main)


def test_st19_st20_false_at_the_mark_and_one_drain(
    run: Any, settle: Any, log: Log, make: Any
) -> None:
    async def main() -> None:
        w = make(high_water_mark=4)
        log.watch(w, 'drain')
        assert [w.write(b'abc'), w.writable_need_drain] == [True, False]
        assert [w.write(b'd'), w.writable_need_drain] == [False, True]
        assert w.write(b'e') is False
        assert w.writable_length == 5
        for _ in range(3):
            assert log == []
            w.release()
            await settle()
        assert log == ['drain']
        assert (w.writable_length, w.writable_need_drain) == (0, False)
        assert w.write(b'12345') is False
        w.end()
        w.release()
        await settle()
        assert log == ['drain']

    run(main)


def test_st19_what_is_taken_at_once_does_not_count(run: Any, settle: Any, make: Any) -> None:
    async def main() -> None:
        w = make(at_once=True, high_water_mark=4)
        assert w.write(b'longer than the mark') is True
        assert w.writable_need_drain is False

    run(main)


def test_st21_cork_collects_for_one_vectored_write(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        w = Vectored()
        w.cork()
        w.cork()
        assert w.writable_corked == 2
        w.write('a', log.callback('a'))
        w.write('b', log.callback('b'))
        w.uncork()
        assert w.got == []
        w.uncork()
        w.uncork()
        assert w.got == [[b'a', b'b']]
        w.write('c')
        w.release()
        await settle()
        assert log == [('a', None), ('b', None)]
        assert w.got == [[b'a', b'b'], b'c']
        w.cork()
        w.write('d')
        w.end('e')
        w.release()
        assert w.got[2:] == [[b'd', b'e']]
        w.release()
        await settle()
        assert w.closed

    run(main)


def test_what_a_data_listener_writes_is_not_left_behind(run: Any, settle: Any) -> None:
    from tailrace.stream import PassThrough

    async def main() -> None:
        got = []
        p = PassThrough()

        def data(chunk: bytes) -> None:
            got.append(chunk)
            if len(got) < 6:
                p.write(b'%d' % len(got))

        p.on('data', data)
        await settle()
        p.write(b'0')
        await settle()
        assert got == [b'%d' % i for i in range(6)]
        assert p.writable_length == 0

    run(main)


def test_st22_default_encoding(run: Any, make: Any) -> None:
    async def main() -> None:
        w = make(at_once=True)
        assert w.set_default_encoding('hex') is w
        w.write('4142')
        w.write('C', 'utf8')
        assert w.got == [b'AB', b'C']
        with pytest.raises(UnknownEncodingError):
            w.set_default_encoding('no')

    run(main)


def test_st23_properties_in_the_course_of_a_stream(run: Any, settle: Any, make: Any) -> None:
    async def main() -> None:
        w = make(high_water_mark=9)
        names = ('writable', 'writable_ended', 'writable_finished', 'writable_aborted')
        state = lambda: tuple(getattr(w, name) for name in names)  # noqa: E731
        assert w.writable_high_water_mark == w.writableHighWaterMark == 9
        assert state() == (True, False, False, False)
        w.end('x')
        assert state() == (False, True, False, False)
        assert w.writable_length == 1
        w.release()
        await settle()
        assert state() == (False, True, True, False)
        other = make()
        other.destroy()
        assert (other.writable, other.writable_aborted) == (False, True)
        await settle()

    run(main)


def test_st16_st17_forms_of_end(run: Any, settle: Any, log: Log, make: Any) -> None:
    async def main() -> None:
        for args in ([], ['x'], ['58', 'hex']):
            w = make(at_once=True)
            log.watch(w, 'finish')
            assert w.end(*args, log.callback('end')) is w
            assert log == []
            await settle()
            assert log == [('end', None), 'finish']
            assert b''.join(w.got) == {0: b'', 1: b'x', 2: b'X'}[len(args)]
            log.clear()
            w.end(log.callback('again'))
            await settle()
            assert log == [('again', 'ERR_STREAM_ALREADY_FINISHED')]
            log.clear()

    run(main)


def test_st16_second_end_waits_and_end_after_destroy_fails(
    run: Any, settle: Any, log: Log, make: Any
) -> None:
    async def main() -> None:
        w = make()
        w.end('x', log.callback('one'))
        w.end(log.callback('two'))
        w.release()
        await settle()
        assert log == [('one', None), ('two', None)]
        log.clear()
        v = make()
        v.destroy()
        v.end(log.callback('dead'))
        await settle()
        assert log == [('dead', 'ERR_STREAM_DESTROYED')]

    run(main)


def test_st18_st27_write_after_end(run: Any, settle: Any, log: Log, make: Any) -> None:
    async def main() -> None:
        w = make(at_once=True)
        log.watch(w, 'error', 'close')
        w.end()
        assert w.write('x', log.callback('x')) is False
        await settle()
        code = 'ERR_STREAM_WRITE_AFTER_END'
        assert log == [('x', code), ('error', code), 'close']
        assert w.got == []

    run(main)


def test_st27_write_after_destroy_is_no_event(run: Any, settle: Any, log: Log, make: Any) -> None:
    async def main() -> None:
        w = make()
        log.watch(w, 'error', 'close')
        w.destroy()
        assert w.write('x', log.callback('x')) is False
        await settle()
        assert log == ['close', ('x', 'ERR_STREAM_DESTROYED')]

    run(main)


def test_st36_default_marks(run: Any) -> None:
    async def main() -> None:
        assert get_default_high_water_mark() == 65536
        assert get_default_high_water_mark(True) == 16
        try:
            set_default_high_water_mark(False, 100)
            set_default_high_water_mark(True, 2)
            assert Writable().writable_high_water_mark == 100
            assert Writable(object_mode=True).writable_high_water_mark == 2
        finally:
            set_default_high_water_mark(False, 65536)
            set_default_high_water_mark(True, 16)
        for bad in (-1, 1.5):
            with pytest.raises(OutOfRangeError):
                set_default_high_water_mark(False, bad)
        with pytest.raises(InvalidArgTypeError):
            set_default_high_water_mark(False, '1')  # type: ignore[arg-type]

    run(main)


@pytest.mark.parametrize(
    ('options', 'mark'),
    [
        ({}, 65536),
        ({'highWaterMark': 5}, 5),
        ({'high_water_mark': 5, 'writable_high_water_mark': 6}, 5),
        ({'writableHighWaterMark': 6}, 6),
        ({'object_mode': True}, 16),
        ({'high_water_mark': None}, 65536),
        ({'high_water_mark': 0}, 0),
    ],
)
def test_st36_marks_of_options(options: dict[str, Any], mark: int) -> None:
    assert Writable(options).writable_high_water_mark == mark


def test_a_write_reported_done_twice_is_an_error(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        w = Sink()
        log.watch(w, 'error')
        w.write('x')
        done = w.waiting[0]
        done(None)
        done(None)
        await settle()
        assert log == [('error', 'ERR_MULTIPLE_CALLBACK')]

    run(main)


def test_drain_can_be_awaited(run: Any, settle: Any, make: Any) -> None:
    import asyncio

    async def main() -> None:
        w = make(high_water_mark=1)
        await w.drain()
        w.write('x')
        waiting = asyncio.ensure_future(w.drain())
        await settle()
        assert not waiting.done()
        w.release()
        await waiting
        w.write('y')
        waiting = asyncio.ensure_future(w.drain())
        await settle()
        w.destroy(ValueError('gone'))
        w.on('error', lambda: None)
        with pytest.raises(ValueError, match='gone'):
            await waiting

    run(main)


def test_st18_nothing_is_written_after_a_failure(run: Any, settle: Any, log: Log) -> None:
    got = []

    def write(chunk: bytes, encoding: str, done: Any) -> None:
        got.append(chunk)
        done(OSError('boom'))

    async def main() -> None:
        w = Writable(write=write)
        log.watch(w, 'error')
        w.cork()
        for name in 'abc':
            w.write(name, log.callback(name))
        w.uncork()
        w.write('d', log.callback('d'))
        await settle()
        assert got == [b'a']
        assert log == [
            ('a', 'boom'),
            ('b', 'boom'),
            ('c', 'boom'),
            ('d', 'boom'),
            ('error', 'boom'),
        ]

    run(main)


def test_finish_waits_for_a_chunk_that_is_under_way_and_no_longer(
    run: Any, settle: Any, log: Log, make: Any
) -> None:
    async def main() -> None:
        w = make()
        log.watch(w, 'finish')
        w.write(b'nobody is called back')
        w.end()
        await settle()
        assert log == []
        assert w.writable_length == len(b'nobody is called back')
        w.release()
        await settle()
        assert log == ['finish']
        assert w.writable_length == 0

    run(main)


@pytest.mark.parametrize('size', [1, 100])
def test_a_sink_that_refuses_at_once_is_told_of_later(
    run: Any, settle: Any, log: Log, size: int
) -> None:
    async def main() -> None:
        class Refusing:
            bytes_written = 0

            def write(self, data: bytes, done: Any) -> int:
                return 32

        w = Sink(high_water_mark=10)
        handle = Refusing()
        w._handle = handle
        set_sink(w, handle)
        log.watch(w, 'error', 'close')
        assert w.write(b'x' * size) is False
        assert log == []
        assert w.writable_length == 0
        assert handle.bytes_written == size  # Node counts a write that fails, too
        await settle()
        assert log == [('error', '[Errno 32] write failed'), 'close']

    run(main)


@pytest.mark.parametrize(
    ('text', 'length'), [('abc', 3), ('é', 1), ('\U0001f600', 2), ('a\ud800', 2)]
)
def test_text_that_is_kept_counts_as_in_javascript(
    run: Any, settle: Any, text: str, length: int
) -> None:
    async def main() -> None:
        w = Sink(decode_strings=False)
        w.write(text)
        assert w.writable_length == length
        assert w.got == [text]
        w.release()
        await settle()
        assert w.writable_length == 0

    run(main)


@pytest.mark.parametrize(('size', 'full'), [(9, False), (10, True), (11, True)])
def test_a_single_chunk_as_long_as_the_mark_wants_a_drain(
    run: Any, settle: Any, log: Log, make: Any, size: int, full: bool
) -> None:
    async def main() -> None:
        w = make(high_water_mark=10)
        log.watch(w, 'drain')
        assert w.write(b'x' * size) is not full
        assert w.writable_need_drain is full
        w.release()
        await settle()
        assert log == (['drain'] if full else [])
        w.destroy()
        await settle()

    run(main)


def test_objects_that_are_written_at_once_do_not_hold_the_end_up(
    run: Any, settle: Any, log: Log
) -> None:
    async def main() -> None:
        w = Sink(at_once=True, object_mode=True)
        log.watch(w, 'drain', 'finish')
        w.write({})
        w.write({}, log.callback('written'))
        w.end()
        await settle()
        assert log == [('written', None), 'finish']

    run(main)


def test_callbacks_of_a_vectored_write_run_when_it_is_done(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        w = Vectored()
        w.cork()
        w.write('a', log.callback('a'))
        w.write('b', log.callback('b'))
        w.uncork()
        await settle()
        assert log == []
        w.release()
        assert log == [('a', None), ('b', None)]
        w.destroy()
        await settle()

    run(main)


def test_an_end_that_is_reported_twice_is_an_error(run: Any, settle: Any, log: Log) -> None:
    class Twice(Sink):
        def _final(self, callback: Any) -> None:
            callback(None)
            callback(None)

    async def main() -> None:
        w = Twice()
        log.watch(w, 'error', 'close')
        w.end()
        await settle()
        assert [entry[0] for entry in log] == ['error', 'c']
        assert getattr(w.errored, 'code', None) == 'ERR_MULTIPLE_CALLBACK'

    run(main)
