"""Cancelling what the adapters wait for leaves nothing behind; see ``cancelling.py``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from tailrace.adapters import asyncio as face

from ..cancelling import WAYS, Case, Make, by_turns, drive, settle
from ..net.pairs import connected, dial, listening, place


@asynccontextmanager
async def dialling(connect: Callable[..., Awaitable[Any]]) -> AsyncIterator[Case]:
    """``connect`` gives something that is left at once."""
    async with listening() as server:
        where = place(server)
        case = Case(lambda: connect(**where), lambda: None)
        yield case
        await settle()
        for sock in list(server._sockets):
            sock.destroy()


async def connection(**where: Any) -> None:
    transport, _ = await face.create_connection(asyncio.Protocol, **where)
    transport.abort()


async def streams(**where: Any) -> None:
    _, writer = await face.open_connection(**where)
    writer.close()
    await writer.wait_closed()


@asynccontextmanager
async def reading() -> AsyncIterator[Case]:
    """asyncio's own reader on our transport."""
    async with connected() as (client, accepted):
        client.set_no_delay()
        reader, writer = face.streams_for(accepted)
        go = by_turns(client.write, [b'a', b'b', b'c'])
        case = Case(lambda: reader.readexactly(3), go)
        yield case
        if case.cancelled:
            assert await reader.readexactly(3) == b'abc'
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def writing() -> AsyncIterator[Case]:
    async with connected() as (client, accepted):
        _, writer = face.streams_for(client)
        writer.write(b'x' * 8_000_000)
        yield Case(writer.drain, accepted.resume)
        accepted.resume()
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def starting(start: Callable[..., Awaitable[Any]]) -> AsyncIterator[Case]:
    async def call() -> None:
        await (await start(0, 'localhost')).close_all(0)

    yield Case(call, lambda: None)


# -- anyio ---------------------------------------------------------------------------------------


def stream_of(sock: Any) -> Any:
    from tailrace.adapters.anyio import ByteStream

    return ByteStream(sock)


@asynccontextmanager
async def receiving(call: Callable[[Any], Awaitable[Any]]) -> AsyncIterator[Case]:
    async with connected() as (client, accepted):
        client.set_no_delay()
        stream = stream_of(accepted)
        case = Case(lambda: call(stream), lambda: client.write(b'abc'), accepted)
        yield case
        if case.cancelled:
            assert await stream.receive() == b'abc'
        # Nobody counts as receiving any more.
        client.write(b'd')
        assert await stream.receive() == b'd'


@asynccontextmanager
async def sending() -> AsyncIterator[Case]:
    async with connected() as (client, accepted):
        stream = stream_of(client)
        yield Case(lambda: stream.send(b'x' * 8_000_000), accepted.resume, client)
        accepted.resume()
        await client.drain()
        await stream.send(b'y')


@asynccontextmanager
async def ending() -> AsyncIterator[Case]:
    async with connected() as (client, accepted):
        stream = stream_of(client)
        yield Case(stream.send_eof, lambda: None, client)
        await stream.send_eof()
        assert await accepted.read_line() == b''


@asynccontextmanager
async def closing(call: Callable[[Any], Awaitable[Any]]) -> AsyncIterator[Case]:
    """Cancelled while it sends, it closes at once."""
    async with connected() as (client, accepted):
        stream = stream_of(client)
        accepted.on('error', lambda: None)
        client.write(b'x' * 8_000_000)
        case = Case(lambda: call(stream), accepted.resume, patient=True)
        yield case
        await client.wait_closed()


async def leaves(context: Any) -> None:
    async with context:
        pass


@asynccontextmanager
async def creating_a_listener() -> AsyncIterator[Case]:
    from tailrace.adapters.anyio import create_listener

    async def call() -> None:
        listener = await create_listener(0, '127.0.0.1')
        listener.server.close()
        await listener.server.wait_closed()

    yield Case(call, lambda: None)


@asynccontextmanager
async def a_listener(call: Callable[[Any], Awaitable[Any]]) -> AsyncIterator[Case]:
    from tailrace.adapters.anyio import Listener

    async with listening() as server:
        yield Case(lambda: call(Listener(server)), server.close)


@asynccontextmanager
async def serving() -> AsyncIterator[Case]:
    from tailrace.adapters.anyio import Listener

    ended: list[bool] = []

    async def handler(stream: Any) -> None:
        try:
            async with stream:
                async for chunk in stream:
                    await stream.send(chunk)
        finally:
            ended.append(True)

    async with listening() as server:
        client = await dial(server)
        client.on('error', lambda: None)

        async def call() -> None:
            await Listener(server).serve(handler)

        def go() -> None:
            # Not before the echo: destroyed with bytes unread a socket resets its connection.
            client.once('data', lambda: (client.destroy(), server.close()))
            client.write(b'x')

        yield Case(call, go, patient=True)
        client.destroy()
        for sock in list(server._sockets):  # accepted, but cancelled before its handler began
            sock.destroy()
        await client.wait_closed()


def anyio_connect(**where: Any) -> Awaitable[None]:
    from tailrace.adapters.anyio import connect

    async def call() -> None:
        await (await connect(**where)).aclose()

    return call()


CASES: dict[str, Make] = {
    'create_connection': partial(dialling, connection),
    'open_connection': partial(dialling, streams),
    'open_connection, its reader': reading,
    'open_connection, its writer': writing,
    'start_server': partial(starting, partial(face.start_server, asyncio.Protocol)),
    'start_stream_server': partial(starting, partial(face.start_stream_server, lambda r, w: None)),
    'connect': partial(dialling, anyio_connect),
    'ByteStream.receive': partial(receiving, lambda s: s.receive()),
    'ByteStream.__anext__': partial(receiving, lambda s: s.__anext__()),
    'ByteStream.__aiter__': partial(receiving, lambda s: aiter(s).__anext__()),
    'ByteStream.send': sending,
    'ByteStream.send_eof': ending,
    'ByteStream.aclose': partial(closing, lambda s: s.aclose()),
    'ByteStream.__aenter__': partial(closing, leaves),
    'ByteStream.__aexit__': partial(closing, lambda s: s.__aexit__(None, None, None)),
    'create_listener': creating_a_listener,
    'Listener.serve': serving,
    'Listener.aclose': partial(a_listener, lambda s: s.aclose()),
    'Listener.__aenter__': partial(a_listener, leaves),
    'Listener.__aexit__': partial(a_listener, lambda s: s.__aexit__(None, None, None)),
}
OF_ANYIO = ('connect', 'ByteStream', 'create_listener', 'Listener')


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('name', CASES)
def test_cancelling_leaves_nothing_behind(run: Any, name: str, way: str) -> None:
    if name.partition('.')[0] in OF_ANYIO:
        pytest.importorskip('anyio')
    assert run(drive, CASES[name], way, run.unhandled, timeout=8)
