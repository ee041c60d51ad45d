"""``_construct``: what a stream does before anything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tailrace.stream import Duplex, Readable, Writable, finished

from .conftest import Log, code


class Opening:
    """Keeps the callback of ``_construct``."""

    done: Callable[..., Any]

    def _construct(self, callback: Any) -> None:
        self.done = callback


class Source(Opening, Readable):
    def _read(self, size: int) -> None:
        self.push(b'x')
        self.push(None)


class Target(Opening, Writable):
    def __init__(self, log: Log, **options: Any) -> None:
        super().__init__(**options)
        self.log = log

    def _write(self, chunk: Any, encoding: str, callback: Any) -> None:
        self.log.append(('write', chunk))
        callback(None)

    def _destroy(self, error: Any, callback: Any) -> None:
        self.log.append(('destroy', code(error)))
        callback(error)


def test_the_source_is_asked_after_it(run: Any, log: Log, settle: Any) -> None:
    async def main() -> None:
        stream = Source()
        log.watch(stream, 'data', 'end', 'close')
        await settle()
        assert log == []
        assert stream.readable_length == 0
        stream.done()
        await settle()
        assert log == [('data', b'x'), 'end', 'close']

    run(main)


def test_what_is_written_waits_for_it(run: Any, log: Log, settle: Any) -> None:
    async def main() -> None:
        stream = Target(log)
        log.watch(stream, 'finish', 'close')
        assert stream.write(b'a', log.callback('a')) is True
        stream.end(b'b', log.callback('end'))
        await settle()
        assert log == []
        assert stream.writable_length == 2
        stream.done()
        await settle()
        assert log == [
            ('write', b'a'),
            ('write', b'b'),
            ('a', None),
            ('end', None),
            'finish',
            ('destroy', None),
            'close',
        ]

    run(main)


def test_destroying_waits_for_it(run: Any, log: Log, settle: Any) -> None:
    async def main() -> None:
        stream = Target(log)
        log.watch(stream, 'close', 'error')
        await settle()
        stream.write(b'a', log.callback('a'))
        assert stream.destroy(None, log.callback('destroyed')).destroyed
        await settle()
        assert log == [('a', 'ERR_STREAM_DESTROYED')]
        assert not stream.closed
        stream.done()
        await settle()
        assert log[1:] == [('destroy', None), ('destroyed', None), 'close']

    run(main)


@pytest.mark.parametrize('before', [None, ValueError('given')])
def test_its_error_destroys(run: Any, log: Log, settle: Any, before: Any) -> None:
    async def main() -> None:
        stream = Target(log)
        log.watch(stream, 'close', 'error')
        finished(stream, log.callback('finished'))
        await settle()
        if before is not None:
            stream.destroy(before)
        stream.done(ValueError('not opened'))
        await settle()
        told = 'not opened' if before is None else 'given'
        assert log == [('destroy', told), ('error', told), ('finished', told), 'close']

    run(main)


def test_an_exception_is_its_error_and_a_second_call_another(
    run: Any, log: Log, settle: Any
) -> None:
    async def main() -> None:
        def fails(callback: Any) -> None:
            raise ValueError('at once')

        stream = Duplex({'construct': fails})
        log.watch(stream, 'error', 'close')
        await settle()
        assert log == [('error', 'at once'), 'close']

        def twice(callback: Any) -> None:
            callback()
            callback()

        del log[:]
        other = Writable({'construct': twice, 'write': lambda *_: None})
        log.watch(other, 'error', 'close')
        await settle()
        assert log == [('error', 'ERR_MULTIPLE_CALLBACK'), 'close']

    run(main)


def test_a_coroutine_function(run: Any, log: Log, settle: Any) -> None:
    async def main() -> None:
        async def opens(callback: Any) -> None:
            log.append('opened')
            callback()

        stream = Readable(construct=opens, read=lambda size: stream.push(None))
        log.watch(stream, 'data', 'end')
        await settle()
        assert log == ['opened', 'end']

    run(main)


def test_destroy_tells_its_callback(run: Any, log: Log, settle: Any) -> None:
    async def main() -> None:
        stream = Writable(write=lambda *_: None)
        log.watch(stream, 'error', 'close')
        stream.destroy(ValueError('given'), log.callback('first'))
        assert log == [('first', 'given')]
        stream.destroy(None, log.callback('again'))
        assert log == [('first', 'given'), ('again', None)]
        await settle()
        assert log[2:] == [('error', 'given'), 'close']

    run(main)
