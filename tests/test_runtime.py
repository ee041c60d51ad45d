"""Timers, lifetime and uncaught exceptions (GEN-09 to GEN-13)."""

from __future__ import annotations

import asyncio
import datetime
from typing import Any

import pytest

from tailrace import _running, _timers
from tailrace._resources import active_resources
from tailrace._runtime import next_tick
from tailrace._timers import (
    clear_immediate,
    clear_interval,
    clear_timeout,
    set_immediate,
    set_interval,
    set_timeout,
)
from tailrace.errors import InvalidArgTypeError
from tailrace.events import EventEmitter
from tailrace.stream import Readable
from tailrace.testing import FakeClock


@pytest.fixture
def play(loop_factory: Any) -> Any:
    """Runs a main to the end of its program."""
    return lambda main=None: _running.run(main, loop_factory)


def test_gen11_run_ends_when_nothing_is_left(play: Any) -> None:
    seen = []

    def main() -> str:
        set_timeout(seen.append, 1, 'timeout')
        set_immediate(seen.append, 'immediate')
        next_tick(seen.append, 'tick')
        return 'result'

    assert play(main) == 'result'
    assert seen[0] == 'tick'
    # Which of the two is first depends on whether the millisecond is over, as in Node.
    assert sorted(seen[1:]) == ['immediate', 'timeout']


def test_gen11_run_waits_for_its_coroutine(play: Any) -> None:
    async def main() -> int:
        await asyncio.sleep(0.001)
        return 5

    assert play(main) == 5
    assert play(main()) == 5
    assert play(None) is None


def test_gen11_what_was_asked_for_before_run_happens(play: Any) -> None:
    seen = []
    set_timeout(seen.append, 1, 'timeout')
    set_immediate(seen.append, 'immediate')
    next_tick(seen.append, 'tick')
    play()
    assert seen[0] == 'tick'
    # Which of the two is first depends on whether the millisecond is over, as in Node.
    assert sorted(seen[1:]) == ['immediate', 'timeout']
    play()


def test_gen11_unref_lets_the_program_end(play: Any) -> None:
    seen = []

    def main() -> None:
        timer = set_timeout(seen.append, 20000, 'never').unref()
        assert timer.has_ref() is timer.hasRef() is False
        assert set_interval(seen.append, 20000).unref().ref().unref().has_ref() is False
        immediate = set_immediate(seen.append, 'never').unref()
        assert immediate.has_ref() is False
        set_timeout(seen.append, 1, 'last')

    play(main)
    assert seen[-1] == 'last'


def test_gen11_run_inside_a_running_loop_is_refused(run: Any) -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError):
            _running.run(main(), asyncio.new_event_loop)

    run(main)


def test_timers_fire_in_order_of_their_times(play: Any) -> None:
    seen = []

    def main() -> None:
        with FakeClock() as clock:
            for ms in (9, 1, 5, 0, 5):
                set_timeout(seen.append, ms, ms)
            clock.advance(20)

    play(main)
    assert seen == [1, 0, 5, 5, 9]


def test_ticks_run_between_timers_and_immediates(play: Any) -> None:
    seen = []

    def note(name: str) -> None:
        seen.append(name)
        next_tick(seen.append, name + ' tick')

    def main() -> None:
        set_timeout(note, 1, 'a')
        set_timeout(note, 1, 'b')
        set_timeout(lambda: (set_immediate(note, 'i'), set_immediate(note, 'j')), 2)

    play(main)
    assert seen == ['a', 'a tick', 'b', 'b tick', 'i', 'i tick', 'j', 'j tick']


def test_an_immediate_made_by_an_immediate_waits_for_the_next_turn(play: Any) -> None:
    seen = []

    def first() -> None:
        seen.append('first')
        set_immediate(seen.append, 'nested')

    def main() -> None:
        set_immediate(first)
        set_immediate(seen.append, 'second')

    play(main)
    assert seen == ['first', 'second', 'nested']


def test_timers_made_and_cleared_by_timers(play: Any) -> None:
    seen = []

    def main() -> None:
        def first() -> None:
            seen.append('first')
            clear_timeout(second)
            set_timeout(seen.append, 1, 'nested')

        set_timeout(first, 1)
        second = set_timeout(seen.append, 1, 'cleared')
        set_timeout(seen.append, 1, 'third')

    play(main)
    assert seen == ['first', 'third', 'nested']


def test_clear_functions(play: Any) -> None:
    seen = []

    def main() -> None:
        clear_timeout(set_timeout(seen.append, 1, 'x'))
        clear_interval(set_interval(seen.append, 1, 'x'))
        clear_immediate(set_immediate(seen.append, 'x'))
        for clear in (clear_timeout, clear_interval, clear_immediate):
            clear(None)
        fired = set_timeout(seen.append, 1, 'fired')
        set_timeout(lambda: clear_timeout(fired), 5)

    play(main)
    assert seen == ['fired']


def test_intervals_repeat_until_cleared(play: Any) -> None:
    seen = []

    def main() -> None:
        def again() -> None:
            seen.append(1)
            if len(seen) == 3:
                interval.close()

        interval = set_interval(again, 1)

    play(main)
    assert seen == [1, 1, 1]


def test_refresh_starts_anew(play: Any) -> None:
    seen = []

    def main() -> None:
        with FakeClock() as clock:
            early = set_timeout(seen.append, 10, 'refreshed')
            set_timeout(seen.append, 12, 'other')
            set_timeout(lambda: early.refresh(), 5)
            again = set_timeout(lambda: seen.append('again'), 1)
            set_timeout(lambda: again.refresh() if seen.count('again') == 1 else None, 3)
            gone = set_timeout(seen.append, 1, 'gone')
            gone.close()
            gone.refresh()
            clock.advance(20)

    play(main)
    assert seen == ['again', 'again', 'other', 'refreshed']


@pytest.mark.parametrize('ms', [-5, 0, float('nan'), 'x', None, True])
def test_odd_delays_count_as_one(run: Any, ms: Any) -> None:
    async def main() -> None:
        done = asyncio.get_running_loop().create_future()
        timer = set_timeout(done.set_result, ms, None)
        assert repr(timer) == '<Timer timeout 1 ms waiting>'
        await done
        assert repr(timer) == '<Timer timeout 1 ms fired>'

    run(main)


def test_gen09_durations(run: Any) -> None:
    async def main() -> None:
        timer = set_timeout(print, datetime.timedelta(seconds=3))
        assert '3000 ms' in repr(timer)
        timer.close()
        assert repr(timer) == '<Timer timeout 3000 ms cleared>'
        with pytest.warns(RuntimeWarning, match='does not fit'):
            clear_timeout(set_timeout(print, 2**31))
        for start in (set_timeout, set_interval, set_immediate):
            with pytest.raises(InvalidArgTypeError):
                start(5)  # type: ignore[operator]

    run(main)


def test_gen13_coroutine_functions_as_timers(play: Any) -> None:
    seen = []

    async def later(name: str) -> None:
        await asyncio.sleep(0)
        seen.append(name)

    async def main() -> None:
        with FakeClock() as clock:
            set_timeout(later, 1, 'timeout')
            set_immediate(later, 'immediate')
            while not seen:
                await asyncio.sleep(0)
            clock.advance(1)

    play(main)
    assert seen == ['immediate', 'timeout']


def test_active_resources_say_what_keeps_the_program(play: Any) -> None:
    found: list[Any] = []

    def main() -> None:
        timer = set_timeout(print, 5000)
        interval = set_interval(print, 700)
        set_timeout(print, 9000).unref()
        immediate = set_immediate(print)
        found.extend(active_resources())
        timer.close()
        interval.close()
        clear_immediate(immediate)
        found.append(active_resources())

    play(main)
    *records, empty = found
    assert [(r.kind, r.address) for r in records] == [
        ('timeout', '5000 ms'),
        ('interval', '700 ms'),
        ('immediate', ''),
    ]
    assert all(r['since'] >= 0 for r in records)
    assert empty == []


# -- uncaught exceptions --------------------------------------------------------------------------


class Boom(Exception):
    """What goes wrong."""


def boom(*_: Any) -> None:
    raise Boom


async def async_boom(*_: Any) -> None:
    await asyncio.sleep(0)
    raise Boom


def in_listener() -> None:
    set_immediate(EventEmitter().on('x', boom).emit, 'x')


def in_async_listener() -> None:
    EventEmitter().on('x', async_boom).emit('x')


def in_unheard_error() -> None:
    Readable(read=lambda size: None).destroy(Boom())


def in_stream_listener() -> None:
    s = Readable(read=lambda size: None)
    s.on('data', boom)
    set_immediate(s.push, b'x')


WAYS = [
    lambda: next_tick(boom),
    lambda: set_timeout(boom, 1),
    lambda: set_interval(boom, 1),
    lambda: set_immediate(boom),
    lambda: set_timeout(async_boom, 1),
    lambda: set_immediate(async_boom),
    lambda: next_tick(next_tick, boom),
    in_listener,
    in_async_listener,
    in_unheard_error,
    in_stream_listener,
]


@pytest.mark.parametrize('way', WAYS)
def test_gen12_gen13_uncaught_ends_run(play: Any, way: Any) -> None:
    after = []

    def main() -> None:
        way()
        set_interval(lambda: None, 10000)
        set_timeout(after.append, 400, 'later')

    with pytest.raises(Boom):
        play(main)
    assert after == []
    assert play(lambda: 'a new program') == 'a new program'


@pytest.mark.parametrize('main', [boom, async_boom])
def test_gen12_what_main_raises_comes_out(play: Any, main: Any) -> None:
    with pytest.raises(Boom):
        play(main)


@pytest.mark.parametrize('way', WAYS)
def test_gen12_gen13_under_a_foreign_loop_it_is_told_once(run: Any, way: Any) -> None:
    async def main() -> None:
        timer = way()
        while not run.unhandled:
            await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
        clear_interval(timer if isinstance(timer, _timers.Timer) else None)

    run(main)
    assert [type(context['exception']) for context in run.unhandled] == [Boom]
    run.unhandled.clear()


def test_gen12_the_stream_it_came_from_is_destroyed(run: Any) -> None:
    async def main() -> None:
        s = Readable(read=lambda size: None)
        s.on('data', boom)
        s.push(b'x')
        await s.wait_closed()

    run(main)
    assert len(run.unhandled) == 1
    run.unhandled.clear()


def test_a_cancelled_coroutine_listener_is_no_failure(play: Any) -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    def main() -> None:
        EventEmitter().on('x', cancelled).emit('x')

    play(main)


def test_a_pending_tick_keeps_the_program(play: Any) -> None:
    seen = []

    async def main() -> None:
        next_tick(next_tick, seen.append, 1)

    play(main)
    assert seen == [1]
