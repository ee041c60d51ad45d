"""The source side: 'end', decoding, backpressure (ST-06, ST-08, ST-31, ST-37, ST-38, GEN-14)."""

from __future__ import annotations

from typing import Any

import pytest

from tailrace.errors import UnknownEncodingError
from tailrace.stream import Duplex, Readable

from .conftest import Log
from .test_modes import source


def test_st06_end_needs_no_reader_when_nothing_was_sent(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        s = source()
        log.watch(s, 'end', 'close')
        s.push(None)
        await settle()
        assert log == []
        s.read(0)  # what a socket does by itself at the end
        await settle()
        assert log == ['end', 'close']

    run(main)


@pytest.mark.parametrize('how', ['read', 'resume'])
def test_st06_st37_end_waits_for_unread_data(run: Any, settle: Any, log: Log, how: str) -> None:
    async def main() -> None:
        s = source(b'x')
        log.watch(s, 'end', 'close')
        s.push(None)
        await settle()
        assert log == []
        getattr(s, how)()
        await settle()
        assert log == ['end', 'close']

    run(main)


def test_st08_characters_come_out_whole(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        s = source()
        assert s.set_encoding('UTF-8') is s
        assert s.readable_encoding == 'utf8'
        log.watch(s, 'data', 'end')
        s.push(b'\xe3\x81')
        await settle()
        s.push(b'\x82\xe3')
        await settle()
        s.push(None)
        await settle()
        assert log == [('data', 'あ'), ('data', '\ufffd'), 'end']
        with pytest.raises(UnknownEncodingError):
            s.set_encoding('utf9')

    run(main)


def test_st08_buffered_bytes_are_converted(run: Any, settle: Any) -> None:
    async def main() -> None:
        s = source(b'\xe3\x81', b'\x82b')
        s.set_encoding()
        assert s.readable_length == 2
        s.set_encoding('latin1')
        assert s.read(1) == 'あ'
        assert s.read() == 'b'
        s.push(b'\xe9')
        assert s.read() == 'é'

    run(main)


@pytest.mark.parametrize(
    'chunk', ['é', 'é'.encode(), bytearray(b'\xc3\xa9'), memoryview(b'\xc3\xa9')]
)
def test_gen14_pushed_chunks_come_out_as_bytes(run: Any, chunk: Any) -> None:
    async def main() -> None:
        out = source(chunk).read()
        assert type(out) is bytes
        assert out == 'é'.encode()

    run(main)


def test_push_of_something_else_is_an_error(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        s = source()
        log.watch(s, 'error', 'close')
        assert s.push(5) is False
        await settle()
        assert log == [('error', 'ERR_INVALID_ARG_TYPE'), 'close']
        t = source(5, {}, object_mode=True)
        assert (t.readable_length, t.read(), t.read()) == (2, 5, {})

    run(main)


def test_push_after_the_end_is_an_error(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        s = source(b'x', None)
        log.watch(s, 'error')
        assert s.push(b'y') is False
        await settle()
        assert log == [('error', 'ERR_STREAM_PUSH_AFTER_EOF')]
        assert s.errored is not None

    run(main)


def test_st31_push_says_when_to_stop(run: Any, settle: Any) -> None:
    async def main() -> None:
        s = Readable(read=lambda size: None, high_water_mark=4)
        assert [s.push(b'ab'), s.push(b'cd'), s.push(b'ef')] == [True, False, False]
        s.read()
        assert s.push(b'a') is True

    run(main)


def test_st38_hooks_of_a_subclass(run: Any, settle: Any, log: Log) -> None:
    class Echo(Duplex):
        def _read(self, size: int) -> None:
            raise AssertionError('everything has been pushed')

        def _write(self, chunk: Any, encoding: str, callback: Any) -> None:
            self.push(chunk)
            callback(None)

        def _final(self, callback: Any) -> None:
            self.push(None)
            callback(None)

        def _destroy(self, error: Any, callback: Any) -> None:
            log.append('_destroy')
            callback(error)

    async def main() -> None:
        echo = Echo()
        echo.write('a')
        echo.end('b')
        assert b''.join([chunk async for chunk in echo]) == b'ab'
        await echo.wait_closed()
        assert log == ['_destroy']

    run(main)


def test_st38_a_missing_hook_and_a_failing_one(run: Any, settle: Any, log: Log) -> None:
    def fail(size: int) -> None:
        raise ValueError('cannot')

    async def main() -> None:
        for s in (Readable(), Readable(read=fail)):
            log.watch(s, 'error', 'close')
            s.resume()
            await settle()
        assert log == [
            ('error', 'ERR_METHOD_NOT_IMPLEMENTED'),
            'close',
            ('error', 'cannot'),
            'close',
        ]

    run(main)


def test_fast_path_and_slow_path_give_the_same(run: Any, settle: Any) -> None:
    """A continuous source's door: flowing, once, several listeners, paused, decoding."""

    def feed(prepare: Any) -> list[Any]:
        got: list[Any] = []
        s = Readable(read=lambda size: None)
        s._r |= 1 << 14  # R_CONTINUOUS
        prepare(s, got)
        return [s, got]

    async def main() -> None:
        cases = {
            'one': lambda s, got: s.on('data', got.append),
            'no argument': lambda s, got: s.on('data', lambda: got.append(b'')),
            'two': lambda s, got: (s.on('data', got.append), s.on('data', got.append)),
            'once': lambda s, got: (s.once('data', got.append), s.on('data', lambda c: None)),
            'text': lambda s, got: (s.set_encoding('latin1'), s.on('data', got.append)),
        }
        out = {}
        for name, prepare in cases.items():
            s, got = feed(prepare)
            await settle()
            assert s._push_bytes(b'x') is True
            s._push_bytes(b'y')
            s.pause()
            s._push_bytes(b'z')
            out[name] = (list(got), s.readable_length, s.readable_did_read)
            s.destroy()
        await settle()
        assert out == {
            'one': ([b'x', b'y'], 1, True),
            'no argument': ([b'', b''], 1, True),
            'two': ([b'x', b'x', b'y', b'y'], 1, True),
            'once': ([b'x'], 1, True),
            'text': (['x', 'y'], 1, True),
        }

    run(main)
