"""What is collected is cleaned up by the loop: soon, in its thread, and never by a finaliser."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from tailrace import EventEmitter, events, net
from tailrace._collected import Collected, collected_of
from tailrace._runtime import Runtime, current
from tailrace.stream import Readable

from .programs import PATIENCE, running


def endless() -> Readable:
    return Readable(read=lambda _: None)


async def left(stream: Any) -> Any:
    """An iterator over the stream that has begun and is dropped by the caller."""
    stream.push(b'x')
    iterator = aiter(stream)
    await anext(iterator)
    return iterator


def test_a_dropped_iterator_marks_and_the_loop_destroys(run: Any) -> None:
    async def main() -> None:
        s = endless()
        closed = asyncio.Event()
        s.on('close', closed.set)
        iterator = await left(s)
        while current().woken:
            await asyncio.sleep(0)
        del iterator
        assert s.destroyed  # as after Node's `break`
        assert not s.closed
        assert not current().woken  # no callback was asked of the loop
        await closed.wait()  # nothing else happens on this loop: the finaliser has woken it

    run(main)


def test_it_may_be_dropped_in_another_thread(run: Any) -> None:
    async def main() -> None:
        s = endless()
        threads: list[int] = []
        closed = asyncio.Event()

        def on_close() -> None:
            threads.append(threading.get_ident())
            closed.set()

        s.on('close', on_close)
        held = [await left(s)]
        worker = threading.Thread(target=held.clear)
        worker.start()
        worker.join()
        await closed.wait()
        assert threads == [threading.get_ident()]

    run(main)


def test_it_may_be_dropped_by_the_collector(run: Any) -> None:
    async def main() -> None:
        s = endless()
        closed = asyncio.Event()
        s.on('close', closed.set)
        cycle: list[Any] = [await left(s)]
        cycle.append(cycle)
        del cycle
        gc.collect()
        await closed.wait()

    run(main)


@pytest.mark.parametrize('event', ['x', 'readable'])
@pytest.mark.parametrize('told', [False, True])
def test_dropped_waits_for_events_leave_no_listener(run: Any, event: str, told: bool) -> None:
    async def main() -> None:
        emitter: EventEmitter = endless() if event == 'readable' else EventEmitter()
        gone = asyncio.Event()
        if told:
            emitter.on('removeListener', lambda *_: gone.set())
        before = emitter.event_names()
        waits = [events.once(emitter, event), events.on(emitter, event)]
        waits.clear()
        if told:
            assert not gone.is_set()  # a listener is called by the loop, not by a finaliser
            await gone.wait()
        while emitter.event_names() != before:
            await asyncio.sleep(0)

    run(main)


def test_a_dropped_loop_over_a_server_gives_the_connections_back(run: Any) -> None:
    async def main() -> None:
        async with await net.create_server().listen(0, '127.0.0.1') as server:
            arrivals = aiter(server)
            client = await net.connect(server.address().port, '127.0.0.1')
            first = await anext(arrivals)
            served = asyncio.Event()
            server.on('connection', lambda _: served.set())
            del arrivals
            second = await net.connect(server.address().port, '127.0.0.1')
            await served.wait()
            for sock in (client, first, second):
                sock.destroy()

    run(main)


def descriptors() -> set[str]:
    return set(os.listdir('/proc/self/fd'))


@pytest.mark.skipif(not os.path.isdir('/proc/self/fd'), reason='no /proc to count descriptors in')
def test_the_descriptor_is_there_only_while_somebody_is_expected(run: Any) -> None:
    async def main() -> None:
        before = len(descriptors())
        waits = [events.once(EventEmitter(), 'x') for _ in range(3)]
        assert len(descriptors()) == before + (1 if hasattr(os, 'eventfd') else 2)
        waits.clear()
        while len(descriptors()) != before:
            await asyncio.sleep(0)

    run(main)


def test_without_eventfd_a_pipe_does_it(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, 'eventfd', raising=False)

    async def main() -> None:
        s = endless()
        closed = asyncio.Event()
        s.on('close', closed.set)
        held = [await left(s)]
        held.clear()
        await closed.wait()

    run(main)


def test_the_signal_may_be_given_any_number_of_times(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, 'eventfd', raising=False)

    async def main() -> None:
        collected = collected_of(current())
        collected.expect()
        done: list[int] = []
        for number in range(70_000):  # more than a pipe holds
            collected.leave(done.append, (number,))
        while len(done) < 70_000:
            await asyncio.sleep(0)
        assert done == list(range(70_000))
        collected.over()

    run(main)


def test_before_there_is_a_loop_it_is_done_at_once() -> None:
    done: list[int] = []
    collected = Collected(Runtime())
    collected.expect()
    collected.leave(done.append, (1,))
    assert done == [1]
    collected.over()


def test_after_the_loop_nothing_is_done_and_no_descriptor_stays() -> None:
    done: list[int] = []

    async def main() -> Collected:
        collected = collected_of(current())
        collected.expect()
        return collected

    loop = asyncio.new_event_loop()
    collected = loop.run_until_complete(main())
    loop.close()
    collected.leave(done.append, (1,))
    assert done == []


DROPPED_LATE = {
    'an iterator of a closed stream': """
        s = stream.PassThrough()
        s.write(b'x')
        held = [aiter(s)]
        await anext(held[0])
        closed = asyncio.Event()
        s.on('close', closed.set)
        s.destroy()
        await closed.wait()
""",
    'a loop over a closed server': """
        server = await net.create_server().listen(0, '127.0.0.1')
        held = [aiter(server)]
        sock = net.connect(server.address().port, '127.0.0.1')
        (await anext(held[0])).destroy()
        await sock.wait_closed()
        await server.close_all()
""",
    'a wait for an event': """
        held = [events.on(tailrace.EventEmitter(), 'x')]
""",
}


@pytest.mark.parametrize('what', DROPPED_LATE)
@pytest.mark.parametrize('watching', [True, False])
def test_the_program_ends_after_it_was_dropped(tmp_path: Path, what: str, watching: bool) -> None:
    """Also on a loop that watches no descriptors."""
    refuse = """
        def no_reader(*_): raise NotImplementedError
        loop = asyncio.get_running_loop()
        loop.add_reader = no_reader
"""
    program = (
        'import asyncio, tailrace\nfrom tailrace import events, net, stream\n'
        'async def main():\n'
        f'    if True:{"" if watching or "server" in what else refuse}\n        pass\n'
        f'    if True:{DROPPED_LATE[what]}'
        '        for _ in range(20):\n            await asyncio.sleep(0)\n'
        '        held.clear()\n'
        "tailrace.run(main)\nprint('ended')\n"
    )
    file = tmp_path / 'program.py'
    file.write_text(program)
    with running([file]) as process:
        output, errors = process.communicate(timeout=PATIENCE)
    assert (output, errors) == ('ended\n', '')
