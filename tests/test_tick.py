"""The tick queue (GEN-10): after every callback of the loop, before the next one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tailrace import _runtime
from tailrace._tick import Ticks
from tailrace.errors import InvalidArgTypeError


class Fake(Ticks):
    """A queue whose loop is the test."""

    __slots__ = ('caught', 'wakes')

    def __init__(self) -> None:
        super().__init__()
        self.wakes = 0
        self.caught: list[Any] = []

    def wake(self) -> None:
        self.wakes += 1

    def uncaught(self, error: Exception, source: object = None) -> None:
        self.caught.append((error.args[0], source))


def fail(text: str) -> None:
    raise ValueError(text)


@pytest.mark.interpreted
def test_gen10_ticks_follow_the_callback_in_order() -> None:
    t, seen = Fake(), []

    def callback() -> None:
        t.push(seen.append, (1,))
        t.push(t.push, (seen.append, (3,)))
        t.push(seen.append, (2,))
        seen.append(0)

    t.enter(callback, (), None)
    assert seen == [0, 1, 2, 3]
    assert t.wakes == 0


@pytest.mark.interpreted
def test_ticks_from_outside_wake_the_loop_once() -> None:
    t, seen = Fake(), []
    t.push(seen.append, (1,))
    t.push(seen.append, (2,))
    assert (seen, t.wakes) == ([], 1)
    t.flush()
    assert seen == [1, 2]
    t.flush()
    t.push(seen.append, (3,))
    assert t.wakes == 2


@pytest.mark.interpreted
def test_what_waited_runs_before_the_next_callback() -> None:
    t, seen = Fake(), []
    t.push(seen.append, ('tick',))
    t.enter(seen.append, ('callback',), None)
    assert seen == ['tick', 'callback']


@pytest.mark.interpreted
def test_a_nested_callback_leaves_the_ticks_to_the_outer_one() -> None:
    t, seen = Fake(), []

    def outer() -> None:
        t.enter(t.push, (seen.append, ('tick',)), None)
        seen.append('outer')

    t.enter(outer, (), None)
    assert seen == ['outer', 'tick']


@pytest.mark.interpreted
def test_a_failure_does_not_stop_the_others() -> None:
    t, seen = Fake(), []

    def callback() -> None:
        t.push(fail, ('tick',))
        t.push(seen.append, (1,))
        fail('callback')

    t.enter(callback, (), 'source')
    assert t.caught == [('callback', 'source'), ('tick', None)]
    assert seen == [1]
    assert t.inside is False


@pytest.mark.interpreted
def test_nothing_runs_after_death() -> None:
    t, seen = Fake(), []

    def die() -> None:
        t.dead = True
        t.push(seen.append, (1,))

    t.enter(die, (), None)
    t.enter(seen.append, (2,), None)
    assert seen == []
    assert not t.queue


def test_next_tick_on_a_loop(run: Any) -> None:
    async def main() -> None:
        seen: list[Any] = []
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        _runtime.next_tick(seen.append, 'a')
        _runtime.next_tick(lambda: _runtime.next_tick(seen.append, 'c'))
        _runtime.next_tick(seen.append, 'b')
        loop.call_soon(seen.append, 'loop')
        loop.call_soon(done.set_result, None)
        assert seen == []
        await done
        assert seen == ['a', 'b', 'c', 'loop']
        with pytest.raises(InvalidArgTypeError):
            _runtime.next_tick(None)  # type: ignore[arg-type]

    run(main)
