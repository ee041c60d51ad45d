"""Cancelling at every suspension point of every awaitable leaves nothing behind.

Each case is run once for each point at which its coroutine suspends, and in two ways: cancelled
while it waits, and cancelled at the moment it would go on. Afterwards there must be no listener, no
task, no data and no connection less than before; ``run`` and the leak guard look for the rest.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tailrace import EventEmitter, Server, Socket, events, net

from .pairs import connected, dial, listening


class Cancelled(Exception):
    """The coroutine got to the point and was cancelled there."""


@types.coroutine
def cancelled_at(awaitable: Awaitable[Any], point: int, late: bool) -> Generator[Any, Any, Any]:
    """Drive ``awaitable`` and throw CancelledError into it at its suspension ``point``.

    ``late``: what it waits for happens first.
    """
    steps = awaitable.__await__()
    try:
        for _ in range(point):
            yield next(steps)
        waited = next(steps)
    except StopIteration as stop:
        return stop.value
    if late:
        yield waited
    elif asyncio.isfuture(waited):
        waited._asyncio_future_blocking = False
    try:
        steps.throw(asyncio.CancelledError())
    except asyncio.CancelledError:
        raise Cancelled from None
    except StopIteration:
        raise AssertionError('it swallowed its cancellation') from None
    raise AssertionError('it went on waiting after its cancellation')


def listeners(*emitters: EventEmitter) -> list[Any]:
    return [
        {name: emitter.listeners(name) for name in emitter.event_names()} for emitter in emitters
    ]


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


Case = tuple[Callable[[], Awaitable[Any]], Callable[[], object], list[EventEmitter]]


@asynccontextmanager
async def reading(call: Callable[[Socket], Awaitable[Any]]) -> AsyncIterator[Case]:
    """A read that waits twice; ``go`` brings what it waits for."""
    async with connected() as (client, accepted):
        client.write(b'ab')
        while not accepted.readable_length:
            await asyncio.sleep(0)

        def go() -> None:
            client.write(b'cdefgh\n')

        yield lambda: call(accepted), go, [accepted]
        while accepted.readable_length < 9:
            accepted.read(0)
            await asyncio.sleep(0)
        assert accepted.read() == b'abcdefgh\n'
        assert accepted.readable_high_water_mark == 65536


@asynccontextmanager
async def chunks() -> AsyncIterator[Case]:
    async with connected() as (client, accepted):
        iterator = accepted.iterator(destroy_on_return=False)
        yield lambda: anext(iterator), lambda: client.write(b'x'), []
        assert await anext(iterator) == b'x'
        await iterator.aclose()
        await settle()
        assert accepted.event_names() == ['end']


@asynccontextmanager
async def draining() -> AsyncIterator[Case]:
    async with connected() as (client, accepted):
        client.write(b'x' * 20_000_000)
        yield client.drain, accepted.resume, [client]
        accepted.resume()
        await client.drain()


@asynccontextmanager
async def waiting_for_close(call: Callable[[Socket], Awaitable[Any]]) -> AsyncIterator[Case]:
    async with connected() as (client, accepted):
        yield lambda: call(accepted), client.destroy, [accepted]


@asynccontextmanager
async def connecting(host: str) -> AsyncIterator[Case]:
    async with listening() as server:
        sock = net.connect(port=server.address().port, host=host)
        yield lambda: sock, lambda: None, []
        await sock.wait_closed()
        assert sock.destroyed
        await settle()


@asynccontextmanager
async def failing() -> AsyncIterator[Case]:
    async with listening() as server:
        port = server.address().port
        server.close()
        sock = net.connect(port=port, host='127.0.0.1')
        yield lambda: sock, lambda: sock.once('error', lambda: None), []
        await sock.wait_closed()


@asynccontextmanager
async def starting_to_listen() -> AsyncIterator[Case]:
    server = net.create_server()
    before = server.event_names()
    server.listen(0, 'localhost')
    yield lambda: server, lambda: None, []
    await settle()
    assert not server.listening
    assert server.event_names() == before


@asynccontextmanager
async def serving(
    call: Callable[[Server], Awaitable[Any]], late: bool, closed: bool
) -> AsyncIterator[Case]:
    async with listening() as server:
        client = await dial(server)
        await settle()

        def go() -> None:
            assert server.listening is not closed or late
            server.close()
            client.destroy()

        yield lambda: call(server), go, [server]


@asynccontextmanager
async def accepting() -> AsyncIterator[Case]:
    async with listening() as server:
        arrivals = aiter(server)
        clients: list[Socket] = []
        yield lambda: anext(arrivals), lambda: clients.append(_dialled(server)), []
        sock = await anext(arrivals)
        await settle()
        assert await server.get_connections() == 1
        sock.destroy()
        clients[0].destroy()
        await clients[0].wait_closed()


def _dialled(server: Server) -> Socket:
    return net.connect(port=server.address().port, host='127.0.0.1')


@asynccontextmanager
async def an_event(call: Callable[[EventEmitter], Awaitable[Any]]) -> AsyncIterator[Case]:
    emitter = EventEmitter()
    yield lambda: call(emitter), lambda: emitter.emit('x', 1), [emitter]


async def leaves(context: Any) -> None:
    async with context:
        pass


async def first_of_on(emitter: EventEmitter) -> Any:
    iterator = events.on(emitter, 'x')
    try:
        return await anext(iterator)
    finally:
        await iterator.aclose()


CASES: dict[str, Callable[[bool], Any]] = {
    'read_exactly': lambda _: reading(lambda s: s.read_exactly(9)),
    'read_until': lambda _: reading(lambda s: s.read_until(b'h\n')),
    'read_line': lambda _: reading(lambda s: s.read_line()),
    'async for chunk': lambda _: chunks(),
    'drain': lambda _: draining(),
    'wait_closed': lambda _: waiting_for_close(lambda s: s.wait_closed()),
    'async_dispose': lambda _: waiting_for_close(lambda s: s.async_dispose()),
    'async with sock': lambda _: waiting_for_close(leaves),
    'connect': lambda _: connecting('127.0.0.1'),
    'connect by name': lambda _: connecting('localhost'),
    'connect refused': lambda _: failing(),
    'listen': lambda _: starting_to_listen(),
    'serve_forever': lambda late: serving(lambda s: s.serve_forever(), late, True),
    'server wait_closed': lambda late: serving(lambda s: s.wait_closed(), late, False),
    'close_all': lambda late: serving(lambda s: s.close_all(), late, True),
    'close_all deadline': lambda late: serving(lambda s: s.close_all(60_000), late, True),
    'async with server': lambda late: serving(leaves, late, True),
    'async for sock': lambda _: accepting(),
    'events.once': lambda _: an_event(lambda e: events.once(e, 'x')),
    'events.on': lambda _: an_event(first_of_on),
}


@pytest.mark.parametrize('late', [False, True], ids=['waiting', 'going on'])
@pytest.mark.parametrize('name', CASES)
def test_cancelling_leaves_nothing_behind(run: Any, name: str, late: bool) -> None:
    async def attempt(point: int) -> bool:
        """Whether the coroutine had so many suspension points."""
        async with CASES[name](late) as (call, go, emitters):
            before = listeners(*emitters)
            if late:
                asyncio.get_running_loop().call_soon(go)
            try:
                await cancelled_at(call(), point, late)
            except Cancelled:
                await settle()
                assert listeners(*emitters) == before
                if not late:
                    go()
                return True
            raise AssertionError(f'{name} has {point} suspension points, none was cancelled')

    async def main() -> None:
        assert await attempt(0)

    run(main, timeout=5)


@pytest.mark.parametrize('late', [False, True], ids=['waiting', 'going on'])
def test_second_suspension_of_a_read_too(run: Any, late: bool) -> None:
    async def main() -> None:
        async with connected() as (client, accepted):
            client.write(b'ab')
            while not accepted.readable_length:
                await asyncio.sleep(0)
            before = listeners(accepted)
            loop = asyncio.get_running_loop()
            loop.call_later(0.01, client.write, b'cd')
            if late:
                loop.call_later(0.05, client.write, b'ef')
            # 'readable' tells at once of what is there already, so the second wait is for 'cd'
            # or for 'ef'.
            with pytest.raises(Cancelled):
                await cancelled_at(accepted.read_exactly(100), 1, late)
            await settle()
            assert listeners(accepted) == before
            while accepted.readable_length < 4:
                await asyncio.sleep(0)
            assert accepted.read(4) == b'abcd'

    run(main)


def test_the_driver_notices_a_coroutine_that_swallows(run: Any) -> None:
    async def stubborn() -> None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            pass

    async def main() -> None:
        with pytest.raises(AssertionError, match='swallowed'):
            await cancelled_at(stubborn(), 0, False)

    run(main)
