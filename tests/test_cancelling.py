"""Cancelling streams, events, lookups and the testing tools; that no awaitable is left out; and
that the driver (``cancelling.py``) notices what is left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

import tailrace
from tailrace import EventEmitter, Socket, dns, events, net, stream, testing
from tailrace.testing import FakeClock, Trace, socket_pair

from .cancelling import WAYS, Case, Make, attempt, by_turns, drive, settle

# -- streams without a socket --------------------------------------------------------------------


@asynccontextmanager
async def through(call: Callable[[Any], Awaitable[Any]], *pieces: Any) -> AsyncIterator[Case]:
    """A PassThrough to which ``pieces`` are written one by one; None ends it."""
    pipe = stream.PassThrough()
    pipe.on('error', lambda: None)
    case = Case(lambda: call(pipe), by_turns(lambda p: _give(pipe, p), pieces), pipe)
    yield case
    if case.cancelled and not pipe.destroyed:
        pipe.resume()
        pipe.end()
        await pipe.wait_closed()
    pipe.destroy()
    await settle()


def _give(pipe: Any, piece: Any) -> None:
    if piece is None:
        pipe.end()
    elif not pipe.writable_ended and not pipe.destroyed:
        pipe.write(piece)


@asynccontextmanager
async def looping() -> AsyncIterator[Case]:
    """Leaving the loop destroys the stream."""
    pipe = stream.PassThrough()

    async def loop() -> None:
        async for _ in pipe:
            pass

    yield Case(loop, by_turns(partial(_give, pipe), [b'a', b'b', None]))
    await pipe.wait_closed()


@asynccontextmanager
async def operating(call: Callable[[Any], Awaitable[Any]]) -> AsyncIterator[Case]:
    """An operator that consumes: left early, it destroys the stream."""
    pipe = stream.PassThrough()
    yield Case(lambda: call(pipe), by_turns(partial(_give, pipe), [b'a', b'b', None]))
    pipe.destroy()
    await settle()


@asynccontextmanager
async def drained() -> AsyncIterator[Case]:
    pipe = stream.PassThrough(high_water_mark=4)
    pipe.write(b'123456789')
    yield Case(pipe.drain, pipe.resume, pipe)
    pipe.destroy()
    await settle()


@asynccontextmanager
async def closing(call: Callable[[Any], Awaitable[Any]], kind: type[Any]) -> AsyncIterator[Case]:
    one = kind()
    yield Case(lambda: call(one), one.destroy)
    one.destroy()
    await settle()
    assert one.closed


@asynccontextmanager
async def a_pipeline(*, consumer: bool, source: bool) -> AsyncIterator[Case]:
    """Cancelled, all its stages are destroyed."""
    one: Any = stream.PassThrough()
    middle = stream.PassThrough()
    last: Any = stream.PassThrough()
    last.resume()
    for stage in (one, middle, last):
        stage.on('error', lambda: None)

    async def consume(chunks: Any) -> int:
        total = 0
        async for chunk in chunks:
            total += len(chunk)
        return total

    closed: list[bool] = []

    async def produce() -> AsyncIterator[bytes]:
        try:
            for _ in range(4):
                await asyncio.sleep(0)
                yield b'x'
        finally:
            closed.append(True)

    stages = [produce if source else one, middle, consume if consumer else last]
    used = [s for s in stages if isinstance(s, stream.Stream)]
    go = (lambda: None) if source else by_turns(partial(_give, one), [b'a', b'b', None])

    def call() -> Awaitable[Any]:
        if not source:
            one.write(b'0')
        awaitable: Awaitable[Any] = stream.pipeline(*stages)
        return awaitable

    case = Case(call, go)
    yield case
    await settle()
    if case.cancelled:
        # What was over by then need not be destroyed.
        assert all(s.destroyed or s.writable_finished for s in used)
    assert closed or not source
    for stage in (one, middle, last):
        stage.destroy()
    await settle()


@asynccontextmanager
async def from_a_generator() -> AsyncIterator[Case]:
    """Leaving the loop closes the generator that the stream reads."""
    closed: list[bool] = []

    async def produce() -> AsyncIterator[bytes]:
        try:
            for _ in range(4):
                await asyncio.sleep(0)
                yield b'x'
        finally:
            closed.append(True)

    source = stream.Readable.from_(produce())

    async def loop() -> None:
        async for _ in source:
            pass

    yield Case(loop, lambda: None)
    await source.wait_closed()
    assert closed


# -- events, lookups, tools ----------------------------------------------------------------------


@asynccontextmanager
async def an_event(
    call: Callable[[EventEmitter], Awaitable[Any]], *args: Any
) -> AsyncIterator[Case]:
    emitter = EventEmitter()

    def go() -> None:
        with contextlib.suppress(KeyError):  # nobody listens any more
            emitter.emit(*args)

    yield Case(lambda: call(emitter), go, emitter)


async def quiet(awaitable: Awaitable[Any]) -> None:
    with contextlib.suppress(KeyError):
        await awaitable


async def some_of_on(emitter: EventEmitter) -> None:
    async for _ in events.on(emitter, 'x', close=('over',)):
        emitter.emit('over')


@asynccontextmanager
async def asking(name: str, **options: Any) -> AsyncIterator[Case]:
    async def call() -> None:
        assert await dns.lookup(name, **options)

    yield Case(call, lambda: None)


@asynccontextmanager
async def pairing(make: Callable[[], Awaitable[tuple[Socket, Socket]]]) -> AsyncIterator[Case]:
    async def call() -> None:
        for sock in await make():
            sock.destroy()
            await sock.wait_closed()

    yield Case(call, lambda: None)


@asynccontextmanager
async def tracing() -> AsyncIterator[Case]:
    emitter = EventEmitter()
    trace = Trace().watch(emitter, 'x')
    go = by_turns(lambda name: emitter.emit(name), ['x', 'x'])
    yield Case(lambda: trace.wait_for('x', 2), go, emitter)
    trace.stop()


@asynccontextmanager
async def a_clock() -> AsyncIterator[Case]:
    fired: list[int] = []
    with FakeClock() as clock:
        for ms in (5, 10):
            tailrace.set_timeout(fired.append, ms, ms)
        case = Case(lambda: clock.run(10), lambda: None)
        yield case
        clock.advance(10)
        assert fired == [5, 10]


@asynccontextmanager
async def a_contract() -> AsyncIterator[Case]:
    async def make() -> tuple[Socket, Socket]:
        return socket_pair()

    yield Case(lambda: testing.check_duplex(make), lambda: None)
    await settle()


CASES: dict[str, Make] = {
    'Readable.for_each': lambda: operating(lambda p: p.for_each(lambda chunk: None)),
    'Readable.to_array': lambda: operating(lambda p: p.to_array()),
    'Readable.some': lambda: operating(lambda p: p.some(lambda chunk: False)),
    'Readable.every': lambda: operating(lambda p: p.every(lambda chunk: True)),
    'Readable.find': lambda: operating(lambda p: p.find(lambda chunk: False)),
    'Readable.reduce': lambda: operating(lambda p: p.reduce(lambda total, chunk: total + chunk)),
    'PassThrough.read_exactly': partial(through, lambda s: s.read_exactly(3), b'a', b'b', b'cd'),
    'PassThrough.read_line': partial(through, lambda s: s.read_line(), b'a', b'b\n', None),
    'PassThrough.read_until': partial(through, lambda s: s.read_until(b'bc'), b'a', b'b', b'cd'),
    'PassThrough.__aiter__': looping,
    'PassThrough.drain': drained,
    'PassThrough.wait_closed': partial(closing, lambda s: s.wait_closed(), stream.PassThrough),
    'Readable.async_dispose': partial(closing, lambda s: s.async_dispose(), stream.Readable),
    'Writable.__aexit__': partial(closing, lambda s: s.__aexit__(), stream.Writable),
    'Readable.from_': from_a_generator,
    'finished': partial(through, lambda s: stream.finished(s.resume()), b'a', None),
    'finished of one side': partial(
        through, lambda s: stream.finished(s, readable=False), b'a', None
    ),
    'pipeline': partial(a_pipeline, consumer=False, source=False),
    'pipeline into a coroutine': partial(a_pipeline, consumer=True, source=False),
    'pipeline out of a generator': partial(a_pipeline, consumer=False, source=True),
    'pipeline of both': partial(a_pipeline, consumer=True, source=True),
    'once': partial(an_event, lambda e: events.once(e, 'x'), 'x'),
    'once with an error': partial(
        an_event, lambda e: quiet(events.once(e, 'x')), 'error', KeyError()
    ),
    'on': partial(an_event, some_of_on, 'x'),
    'lookup': partial(asking, 'localhost'),
    'lookup of an address': partial(asking, '127.0.0.1', all=True),
    'tcp_pair': partial(pairing, testing.tcp_pair),
    'unix_pair': partial(pairing, testing.unix_pair),
    'Trace.wait_for': tracing,
    'FakeClock.run': a_clock,
}


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('name', CASES)
def test_cancelling_leaves_nothing_behind(run: Any, name: str, way: str) -> None:
    assert run(drive, CASES[name], way, run.unhandled, timeout=8)


# -- none is left out ----------------------------------------------------------------------------

MODULES = ('net', 'events', 'stream', 'dns', 'cluster', 'child_process', 'process', 'testing')
#: Awaitables that a look at the code cannot find: plain functions that return one.
PLAIN = {'once', 'on', 'lookup', 'finished', 'pipeline', 'Server.get_connections'}
#: The contract of a Duplex is a test itself: it tells what fails, and is not cancelled.
#: Cancelled elsewhere: start_tls in tests/tls and tests/adapters/test_start_tls.py, a file's
#: transfer in tests/net/test_send_file.py.
LEFT_OUT = {'check_duplex', 'start_tls', 'Socket.start_tls', 'FileTransfer.__await__'}
AWAITED = ('__await__', '__aiter__', '__aenter__', '__aexit__')


def awaitables() -> dict[Any, set[str]]:
    """Every function that is waited for → the names it has, inherited ones too."""
    found: dict[Any, set[str]] = {}
    names = [f'tailrace.{name}' for name in MODULES] + ['tailrace.adapters.asyncio']
    with contextlib.suppress(ImportError):
        importlib.import_module('tailrace.adapters.anyio')
        names.append('tailrace.adapters.anyio')
    for module in map(importlib.import_module, names):
        for public in module.__all__:
            value = getattr(module, public)
            if inspect.iscoroutinefunction(value):
                found.setdefault(value, set()).add(public)
            elif inspect.isclass(value):
                for name in dir(value):
                    method = inspect.getattr_static(value, name)
                    if str(getattr(method, '__module__', '')).startswith('asyncio.'):
                        continue  # of a loop, inherited
                    if name in AWAITED or (
                        inspect.iscoroutinefunction(method) and not name.startswith('_')
                    ):
                        found.setdefault(method, set()).add(f'{public}.{name}')
    return found


def test_every_public_awaitable_is_cancelled_somewhere() -> None:
    pytest.importorskip('anyio')
    from .adapters.test_cancelling import CASES as adapted
    from .net.test_cancelling import CASES as on_sockets

    driven = {name.split(' ')[0] for name in [*CASES, *on_sockets, *adapted]}
    missing = [sorted(names) for names in awaitables().values() if not names & (driven | LEFT_OUT)]
    assert missing == []
    assert driven >= PLAIN


# -- the driver notices --------------------------------------------------------------------------


@asynccontextmanager
async def case_of(call: Callable[[EventEmitter], Awaitable[Any]]) -> AsyncIterator[Case]:
    emitter = EventEmitter()
    yield Case(lambda: call(emitter), lambda: emitter.emit('x'), emitter)


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


async def swallows(_: Any) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await forever()


async def goes_on(_: Any) -> None:
    try:
        await forever()
    finally:
        await asyncio.sleep(0)


async def leaves_a_listener(emitter: EventEmitter) -> None:
    emitter.on('x', print)
    await forever()


async def leaves_a_task(_: Any) -> None:
    LEFT.append(asyncio.ensure_future(forever()))
    await forever()


async def leaves_a_timer(_: Any) -> None:
    LEFT.append(tailrace.set_timeout(print, 100_000).unref())
    await forever()


async def leaves_a_server(_: Any) -> None:
    LEFT.append(net.create_server().listen(0, '127.0.0.1'))
    await forever()


async def leaves_a_descriptor(_: Any) -> None:
    LEFT.append(os.open(os.devnull, os.O_RDONLY))
    await forever()


async def leaves_an_error(_: Any) -> None:
    asyncio.get_running_loop().call_soon(divmod, 1, 0)
    await forever()


LEFT: list[Any] = []


@pytest.mark.parametrize(
    ('call', 'told'),
    [
        (swallows, 'swallowed'),
        (goes_on, 'went on'),
        (leaves_a_listener, 'left behind: listeners'),
        (leaves_a_task, 'left behind: a task'),
        (leaves_a_timer, 'left behind: timers'),
        (leaves_a_server, 'left behind: descriptors'),
        (leaves_a_descriptor, 'left behind: descriptors'),
        (leaves_an_error, 'ZeroDivisionError'),
    ],
)
def test_the_driver_notices(run: Any, call: Any, told: str) -> None:
    async def main() -> None:
        try:
            with pytest.raises(AssertionError) as caught:
                await attempt(partial(case_of, call), 'waiting', 0, run.unhandled)
            assert told in str(caught.value)
        finally:
            run.unhandled.clear()
            for left in LEFT:
                if isinstance(left, int):
                    os.close(left)
                elif isinstance(left, net.Server):
                    await left.close_all()
                elif isinstance(left, asyncio.Future):
                    left.cancel()
                else:
                    left.close()
            LEFT.clear()
            await settle()

    run(main)


@pytest.mark.parametrize('way', WAYS)
def test_the_driver_gets_to_every_suspension(run: Any, way: str) -> None:
    seen: list[int] = []

    async def counts(_: Any) -> None:
        for i in range(5):
            seen.append(i)
            await asyncio.sleep(0)

    async def main() -> None:
        assert await drive(partial(case_of, counts), way, run.unhandled) == 5
        assert [seen.count(i) for i in range(5)] == [6, 5, 4, 3, 2]

    run(main)
