"""How streams end: the exact order of what is told (ST-16 to ST-18, ST-24 to ST-26, ST-35).

The expected orders are what Node 24 was seen to do with the same hooks.
"""

from __future__ import annotations

from typing import Any

import pytest

from tailrace.stream import Duplex

from .conftest import Log

BOOM = ('error', 'boom')
WAITING = 'the write is under way'


def duplex(log: Log, **options: Any) -> Any:
    """A Duplex whose writes wait in ``stream.waiting``; everything it tells is in ``log``."""
    waiting: list[Any] = []
    options.setdefault('read', lambda size: None)
    options.setdefault('write', lambda chunk, encoding, done: waiting.append(done))
    stream = Duplex(**options)
    stream.waiting = waiting
    log.watch(stream)
    return stream


def both_sides(s: Any, log: Log) -> None:
    s.push(b'in')
    s.push(None)
    s.end('out', log.callback('end'))
    s.waiting.pop()(None)


def destroy(s: Any, log: Log) -> None:
    s.pause()
    s.push(b'dropped')
    s.destroy()
    s.destroy(Exception('too late'))


def destroy_error(s: Any, log: Log) -> None:
    s.destroy(Exception('boom'))
    s.destroy(Exception('too late'))


def destroy_with_writes(s: Any, log: Log) -> None:
    s.write('a', log.callback('a'))
    s.write('b', log.callback('b'))
    s.end('c', log.callback('end'))
    s.destroy()
    s.waiting.pop()(None)


def destroy_error_with_writes(s: Any, log: Log) -> None:
    s.write('a', log.callback('a'))
    s.write('b', log.callback('b'))
    s.end(log.callback('end'))
    s.destroy(Exception('boom'))
    s.waiting.pop()(Exception('boom'))


def write_fails(s: Any, log: Log) -> None:
    s.write('a', log.callback('a'))
    s.write('b', log.callback('b'))
    s.end(log.callback('end'))
    s.waiting.pop()(Exception('boom'))


def only_reading(s: Any, log: Log) -> None:
    s.push(None)


def only_writing(s: Any, log: Log) -> None:
    s.end(log.callback('end'))


@pytest.mark.parametrize(
    ('what', 'told'),
    [
        (both_sides, [('data', b'in'), 'prefinish', 'end', ('end', None), 'finish', 'close']),
        (destroy, ['pause', 'close']),
        (destroy_error, [BOOM, 'close']),
        (
            destroy_with_writes,
            [
                ('a', None),
                ('b', 'ERR_STREAM_DESTROYED'),
                ('end', 'ERR_STREAM_DESTROYED'),
                'close',
            ],
        ),
        (
            destroy_error_with_writes,
            [('a', 'boom'), ('b', 'boom'), ('end', 'boom'), BOOM, 'close'],
        ),
        (write_fails, [('a', 'boom'), ('b', 'boom'), ('end', 'boom'), BOOM, 'close']),
        (only_reading, ['end']),
        (only_writing, ['prefinish', ('end', None), 'finish']),
    ],
)
def test_st24_st26_order_of_the_end(
    run: Any, settle: Any, log: Log, what: Any, told: list[Any]
) -> None:
    async def main() -> None:
        s = duplex(log)
        await settle()
        log.clear()
        what(s, log)
        await settle()
        assert log == told
        assert s.closed == (told[-1] == 'close')

    run(main)


@pytest.mark.parametrize(
    ('options', 'told'),
    [
        ({'allow_half_open': False}, ['end', 'prefinish', 'finish', 'close']),
        ({'allow_half_open': False, 'auto_destroy': False}, ['end', 'prefinish', 'finish']),
        ({'allow_half_open': False, 'emit_close': False}, ['end', 'prefinish', 'finish']),
        ({'writable': False}, ['end', 'close']),
    ],
)
def test_st26_options_of_the_end(
    run: Any, settle: Any, log: Log, options: Any, told: list[Any]
) -> None:
    async def main() -> None:
        s = duplex(log, **options)
        await settle()
        log.clear()
        s.push(None)
        await settle()
        assert log == told

    run(main)


def test_st26_without_auto_destroy_an_error_only_tells(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        s = duplex(log, auto_destroy=False)
        await settle()
        log.clear()
        s.write('a')
        s.waiting.pop()(Exception('boom'))
        await settle()
        assert log == [BOOM]
        assert (s.destroyed, code_of(s)) == (False, 'boom')

    run(main)


def code_of(s: Any) -> str:
    return str(s.errored)


def test_st25_destroyed_closed_errored(run: Any, settle: Any, log: Log) -> None:
    release = []

    async def main() -> None:
        s = duplex(log, destroy=lambda error, done: release.append(done))
        error = Exception('boom')
        assert (s.destroyed, s.closed, s.errored) == (False, False, None)
        assert s.destroy(error) is s
        assert (s.destroyed, s.closed, s.errored) == (True, False, error)
        await settle()
        assert BOOM not in log
        release.pop()(error)
        assert s.closed is True
        assert BOOM not in log
        await settle()
        assert log[-2:] == [BOOM, 'close']

    run(main)


@pytest.mark.parametrize('where', ['given', 'raised'])
def test_st24_a_failing_destroy_hook(run: Any, settle: Any, log: Log, where: str) -> None:
    def hook(error: Any, done: Any) -> None:
        if where == 'raised':
            raise ValueError('boom')
        done(ValueError('boom'))

    async def main() -> None:
        s = duplex(log, destroy=hook)
        await settle()
        log.clear()
        s.destroy()
        await settle()
        assert log == [BOOM, 'close']

    run(main)


def test_st35_only_one_error_is_told(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        s = duplex(log)
        await settle()
        log.clear()
        s.write('a')
        s.waiting.pop()(Exception('boom'))
        s.destroy(Exception('second'))
        s.push(None)
        s.push(b'after the end')
        s.write('b')
        await settle()
        assert log == [BOOM, 'close']
        assert s.readable is s.writable is False

    run(main)


def test_st17_final_is_waited_for(run: Any, settle: Any, log: Log) -> None:
    final = []

    async def main() -> None:
        s = duplex(log, final=final.append)
        s.end(log.callback('end'))
        await settle()
        assert 'finish' not in log
        final.pop()(None)
        await settle()
        assert log[-3:] == ['prefinish', ('end', None), 'finish']
        t = duplex(log, final=final.append)
        await settle()
        log.clear()
        t.end(log.callback('end'))
        final.pop()(Exception('boom'))
        await settle()
        assert log == [('end', 'boom'), BOOM, 'close']

    run(main)


def test_wait_closed_and_async_with(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        async with duplex(log) as s:
            assert not s.destroyed
        assert s.closed
        assert log[-2:] == [('error', 'ABORT_ERR'), 'close']
        await s.wait_closed()
        # Without a listener the error that was asked for is not an unhandled one.
        async with Duplex(read=lambda size: None):
            pass

    run(main)


def test_hooks_may_be_coroutine_functions(run: Any, settle: Any, log: Log) -> None:
    import asyncio

    async def write(chunk: bytes, encoding: str, done: Any) -> None:
        await asyncio.sleep(0)
        done(None)

    async def main() -> None:
        s = duplex(log, write=write)
        s.write('x', log.callback('x'))
        await settle()
        assert ('x', None) in log

    run(main)


def test_names_of_node_work_too(run: Any, settle: Any) -> None:
    async def main() -> None:
        s = Duplex({'allowHalfOpen': False, 'readableHighWaterMark': 7})
        assert s.allowHalfOpen is s.allow_half_open is False
        s.allowHalfOpen = True
        assert s.allow_half_open is True
        assert s.readableHighWaterMark == 7
        with pytest.raises(TypeError, match='allow_half_open'):
            Duplex(allow_halfopen=True)

    run(main)


def test_repr_says_what_state_it_is_in(run: Any, settle: Any, log: Log) -> None:
    async def main() -> None:
        s = Duplex(read=lambda size: None, write=lambda chunk, encoding, done: None)
        assert repr(s) == '<Duplex open, idle 0 read, 0 to write>'
        s.push(b'abc')
        s.pause()
        s.end('xy')
        assert repr(s) == '<Duplex open, paused 3 read, 2 to write, ending>'
        s.destroy()
        await settle()
        assert repr(s).startswith('<Duplex closed')

    run(main)
