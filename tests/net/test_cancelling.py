"""Cancelling sockets and servers wherever they wait leaves nothing behind (``cancelling.py``)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from tailrace import Server, Socket, net

from ..cancelling import WAYS, Case, Make, by_turns, drive, settle
from .pairs import connected, dial, listening

DATA = b'abcdefgh\n'


@asynccontextmanager
async def reading(call: Callable[[Socket], Awaitable[Any]]) -> AsyncIterator[Case]:
    """A read of nine bytes, which come one by one."""
    async with connected() as (client, accepted):
        client.set_no_delay()
        case = Case(lambda: call(accepted), by_turns(client.write, [b'%c' % c for c in DATA]))
        case.emitters = (accepted,)
        yield case
        if case.cancelled:
            assert await accepted.read_exactly(9) == DATA
        accepted.unshift(b'back')
        client.write(b'!')
        assert await accepted.read_exactly(5) == b'back!'
        assert accepted.readable_high_water_mark == 65536


@asynccontextmanager
async def reading_text() -> AsyncIterator[Case]:
    async with connected() as (client, accepted):
        client.set_no_delay()
        accepted.set_encoding('utf8')
        pieces = [b'%c' % byte for byte in 'äöüß\n'.encode()]
        case = Case(lambda: accepted.read_line(), by_turns(client.write, pieces), accepted)
        yield case
        if case.cancelled:
            assert await accepted.read_exactly(5) == 'äöüß\n'


@asynccontextmanager
async def chunks(whole: bool) -> AsyncIterator[Case]:
    """``whole``: the loop, which destroys the socket when it is left; else one step of it."""
    async with connected() as (client, accepted):
        if whole:

            async def loop() -> None:
                async for _ in accepted:
                    pass

            client.on('error', lambda: None)  # it may write to one who has left

            def go() -> None:
                by_turns(client.write, [b'x'] * 5)()
                asyncio.get_running_loop().call_later(0.005, client.end)

            yield Case(loop, go)
            await accepted.wait_closed()
        else:
            iterator = accepted.iterator(destroy_on_return=False)
            case = Case(lambda: anext(iterator), lambda: client.write(b'x'))
            yield case
            if case.cancelled:
                assert await anext(iterator) == b'x'
            await iterator.aclose()
            await settle()
            assert accepted.event_names() == ['end']


@asynccontextmanager
async def draining() -> AsyncIterator[Case]:
    async with connected() as (client, accepted):
        client.write(b'x' * 8_000_000)
        yield Case(client.drain, accepted.resume, client)
        accepted.resume()
        await client.drain()


@asynccontextmanager
async def waiting_for_close(call: Callable[[Socket], Awaitable[Any]]) -> AsyncIterator[Case]:
    async with connected() as (client, accepted):
        yield Case(lambda: call(accepted), client.destroy, accepted)


@asynccontextmanager
async def connecting(**options: Any) -> AsyncIterator[Case]:
    """Cancelled, the socket is destroyed, and may be connected again."""
    async with listening('unix' if 'path' in options else 'tcp') as own:
        if 'path' in options:
            options['path'] = own.address()
        else:
            options['port'] = own.address().port
        sock: Any = None

        async def call() -> None:
            nonlocal sock
            sock = net.connect(**options)
            await sock

        case = Case(call, lambda: None)
        yield case
        if case.cancelled:
            await sock.wait_closed()
            assert sock.destroyed
            assert not sock.connecting
            assert await sock.connect(**options) is sock
        sock.destroy()
        await sock.wait_closed()
        for left in list(own._sockets):
            left.destroy()


def answer(*addresses: str, later: bool = False) -> Callable[..., None]:
    """A lookup function."""

    def lookup(_: str, options: Any, callback: Any) -> None:
        found = [{'address': a, 'family': 6 if ':' in a else 4} for a in addresses]
        if later:
            asyncio.get_running_loop().call_later(0.002, callback, None, found)
        else:
            callback(None, found)

    return lookup


async def slow_answer(_: str, __: Any) -> Any:
    await asyncio.sleep(0)
    await asyncio.sleep(0.001)
    return [{'address': '127.0.0.1', 'family': 4}]


async def tolerant(awaitable: Awaitable[Any]) -> None:
    try:
        await awaitable
    except OSError:
        pass


@asynccontextmanager
async def failing(**options: Any) -> AsyncIterator[Case]:
    async with listening() as server:
        port = server.address().port
    sock = net.connect(port=port, host='127.0.0.1', **options)
    yield Case(lambda: tolerant(sock), lambda: None)
    await sock.wait_closed()


@asynccontextmanager
async def starting_to_listen(path: bool, host: str) -> AsyncIterator[Case]:
    server = net.create_server()
    before = server.event_names()
    with tempfile.TemporaryDirectory() as folder:
        place = [os.path.join(folder, 's')] if path else [0, host]

        async def call() -> None:
            await server.listen(*place)

        case = Case(call, lambda: None)
        yield case
        await settle()
        assert server.listening is not case.cancelled
        assert server.event_names() == before
        server.close()
        await server.listen(*place)  # it can be used again
        await server.close_all(0)


@asynccontextmanager
async def serving(
    call: Callable[[Server], Awaitable[Any]], stays_open: bool
) -> AsyncIterator[Case]:
    """A server with a connection that stays until ``go``."""
    async with listening() as server:
        client = await dial(server)
        await settle()

        def go() -> None:
            if server.listening:
                server.close()
            asyncio.get_running_loop().call_soon(client.destroy)

        case = Case(lambda: call(server), go, server)
        yield case
        if case.cancelled and not client.destroyed:
            assert await server.get_connections() == 1


@asynccontextmanager
async def serving_by_tasks() -> AsyncIterator[Case]:
    """close_all() with a handler that takes its time to end."""
    ended: list[bool] = []

    async def handler(sock: Socket) -> None:
        try:
            await sock.read_line()
        finally:
            with contextlib.suppress(asyncio.CancelledError):  # its connection is gone
                await settle()
            await settle()
            ended.append(True)

    async with listening('tcp', handler) as server:
        client = await dial(server)
        await settle()
        case = Case(server.close_all, client.destroy, server)
        yield case
        assert case.cancelled or ended
        client.destroy()
        await server.close_all()


@asynccontextmanager
async def counting() -> AsyncIterator[Case]:
    """A count that a child process has to be asked for."""

    class Holder:
        def count(self, done: Any) -> None:
            asked.append(done)

        def when_empty(self, done: Any) -> None:
            done()

    asked: list[Any] = []
    async with listening() as server:
        server._holders.append(Holder())

        def go() -> None:
            for done in asked:
                done(None, 3)
            if not asked and server.listening:
                asyncio.get_running_loop().call_soon(go)

        yield Case(lambda: server.get_connections(), go, server)
        server._holders.clear()


@asynccontextmanager
async def accepting(stops: bool) -> AsyncIterator[Case]:
    """Whoever is cancelled leaves the connection to the next one who asks."""
    async with listening() as server:
        arrivals = aiter(server)
        clients: list[Socket] = []
        port = server.address().port
        case = Case(
            lambda: anext(arrivals),
            lambda: clients.append(net.connect(port=port, host='127.0.0.1')),
        )
        yield case
        if stops and case.cancelled:
            server.close()
            with pytest.raises(StopAsyncIteration):
                await anext(arrivals)
            await server.wait_closed()
        else:
            if case.cancelled:
                await anext(arrivals)
            await settle()
            assert await server.get_connections() == 1
        clients[0].on('error', lambda: None)
        for sock in [*clients, *server._sockets]:
            sock.destroy()
        await clients[0].wait_closed()


async def leaves(context: Any) -> None:
    async with context:
        pass


CASES: dict[str, Make] = {
    'Socket.read_exactly': partial(reading, lambda s: s.read_exactly(9)),
    'Socket.read_until': partial(reading, lambda s: s.read_until(b'h\n')),
    'Socket.read_line': partial(reading, lambda s: s.read_line()),
    'Socket.read_line of text': reading_text,
    'Socket.__aiter__': partial(chunks, False),
    'Socket.__aiter__ to the end': partial(chunks, True),
    'Socket.drain': draining,
    'Socket.wait_closed': partial(waiting_for_close, lambda s: s.wait_closed()),
    'Socket.async_dispose': partial(waiting_for_close, lambda s: s.async_dispose()),
    'Socket.__aenter__': partial(waiting_for_close, leaves),
    'Socket.__aexit__': partial(waiting_for_close, lambda s: s.__aexit__()),
    'Socket.__await__': partial(connecting, host='127.0.0.1'),
    'Socket.__await__ by name': partial(connecting, host='localhost'),
    'Socket.__await__ by a path': partial(connecting, path='x'),
    'Socket.__await__ by a slow lookup': partial(
        connecting, host='x.test', lookup=answer('127.0.0.1', later=True)
    ),
    'Socket.__await__ by a coroutine lookup': partial(
        connecting, host='x.test', lookup=slow_answer
    ),
    'Socket.__await__ with several addresses': partial(
        connecting, host='x.test', lookup=answer('127.0.0.2', '::1', '127.0.0.3', '127.0.0.1')
    ),
    'Socket.__await__ with several addresses in a race': partial(
        connecting,
        host='x.test',
        lookup=answer('127.0.0.2', '::1', '127.0.0.1', later=True),
        auto_select_family='race',
    ),
    'Socket.__await__ with a limit': partial(connecting, host='127.0.0.1', connect_timeout=60_000),
    'Socket.__await__ refused': failing,
    'Server.__await__': partial(starting_to_listen, False, '127.0.0.1'),
    'Server.__await__ by name': partial(starting_to_listen, False, 'localhost'),
    'Server.__await__ at a path': partial(starting_to_listen, True, ''),
    'Server.serve_forever': partial(serving, lambda s: s.serve_forever(), False),
    'Server.wait_closed': partial(serving, lambda s: s.wait_closed(), True),
    'Server.close_all': partial(serving, lambda s: s.close_all(), False),
    'Server.close_all with a deadline': partial(serving, lambda s: s.close_all(60_000), False),
    'Server.close_all of handlers': serving_by_tasks,
    'Server.async_dispose': partial(serving, lambda s: s.async_dispose(), False),
    'Server.__aenter__': partial(serving, leaves, False),
    'Server.__aexit__': partial(serving, lambda s: s.__aexit__(), False),
    'Server.__aiter__': partial(accepting, False),
    'Server.__aiter__ until closed': partial(accepting, True),
    'Server.get_connections': counting,
}


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('name', CASES)
def test_cancelling_leaves_nothing_behind(run: Any, name: str, way: str) -> None:
    assert run(drive, CASES[name], way, run.unhandled, timeout=4)
