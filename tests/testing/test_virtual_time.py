"""A loop on which waiting takes no time: asyncio's timers and ours on one clock."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from typing import Any

import pytest

import tailrace
from tailrace import net
from tailrace.testing import FakeClock, VirtualTimeLoop, socket_pair

DAY = 86_400


def run(main: Any, **options: Any) -> Any:
    return tailrace.run(main, loop_factory=functools.partial(VirtualTimeLoop, **options))


def test_all_timers_go_by_one_time_in_their_order() -> None:
    order: list[tuple[str, int]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()

        def note(name: str) -> None:
            order.append((name, round(loop.time() - started)))

        tailrace.set_timeout(note, 3 * DAY * 1000, 'set_timeout')
        loop.call_later(2 * DAY, note, 'call_later')
        loop.call_at(started + 4 * DAY, note, 'call_at')
        await asyncio.sleep(DAY)
        note('sleep')
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(4.5 * DAY):
                await loop.create_future()
        note('timeout')

    real = time.monotonic()
    run(main)
    assert order == [
        ('sleep', DAY),
        ('call_later', 2 * DAY),
        ('set_timeout', 3 * DAY),
        ('call_at', 4 * DAY),
        ('timeout', round(5.5 * DAY)),
    ]
    assert time.monotonic() - real < DAY  # a week of waiting


def test_timers_made_before_the_loop_count_too() -> None:
    fired: list[float] = []
    tailrace.set_timeout(lambda: fired.append(asyncio.get_running_loop().time()), DAY * 1000)
    before = time.monotonic()
    run(None)
    assert len(fired) == 1
    assert fired[0] >= before + DAY


def test_idle_timeouts_and_deadlines_of_real_sockets() -> None:
    async def main() -> list[Any]:
        seen: list[Any] = []
        loop = asyncio.get_running_loop()
        async with await net.create_server().listen(0, '127.0.0.1') as server:
            arrivals = aiter(server)
            client = await net.connect(server.address().port, '127.0.0.1')
            accepted = await anext(arrivals)
            await arrivals.aclose()
            accepted.set_timeout(DAY * 1000)
            timed_out = asyncio.Event()
            accepted.on('timeout', timed_out.set)
            await asyncio.sleep(DAY / 2)
            got = asyncio.ensure_future(accepted.read_line())
            client.write(b'line\n')
            seen.append(await got)
            quiet_since = loop.time()
            await timed_out.wait()
            seen.append(round(loop.time() - quiet_since))
            client.destroy()
            accepted.destroy()
            await accepted.wait_closed()
        return seen

    assert run(main, patience=20) == [b'line\n', DAY]


def test_a_fake_clock_moves_both_and_nothing_jumps() -> None:
    async def main() -> list[Any]:
        order: list[Any] = []
        loop = asyncio.get_running_loop()
        with FakeClock() as clock:
            tailrace.set_timeout(order.append, 2000, 'ours')
            loop.call_later(1, order.append, 'first')
            loop.call_later(3, order.append, 'last')
            task = asyncio.ensure_future(asyncio.sleep(2.5))
            for _ in range(50):
                await asyncio.sleep(0)
            assert order == []
            await clock.run(2400)
            assert (order, task.done()) == (['first', 'ours'], False)
            await clock.run(200)
            assert task.done()
            assert order == ['first', 'ours']
        await asyncio.sleep(10)
        return order

    assert run(main) == ['first', 'ours', 'last']


def test_in_memory_pairs_with_delay() -> None:
    async def main() -> bytes:
        client, server = socket_pair(delay=DAY * 1000)
        client.end(b'late')
        got = b''.join([chunk async for chunk in server])
        server.end()
        await client.wait_closed()
        return got

    assert run(main) == b'late'


def test_without_a_timer_it_waits_for_descriptors() -> None:
    async def main() -> bytes:
        done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()
        loop.run_in_executor(None, lambda: loop.call_soon_threadsafe(done.set_result, b'thread'))
        return await done

    assert run(main) == b'thread'


@pytest.mark.parametrize('patience', [-1, float('nan'), 'x', None])
def test_patience_is_checked(patience: Any) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        VirtualTimeLoop(patience=patience)
    assert caught.value.code in ('ERR_OUT_OF_RANGE', 'ERR_INVALID_ARG_TYPE')  # type: ignore[attr-defined]
