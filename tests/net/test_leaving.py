"""The way out of a connection whose handler is done with it (``leaving.py``)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tailrace import Server, Socket, errors, net, stream
from tailrace._net import leaving

from .pairs import dial, listening

#: ms: shorter than the default, so that a test sees its end.
LINGER = 40


async def line(sock: Socket) -> None:
    assert await sock.read_line() == b'QUIT\n'


async def end(sock: Socket) -> None:
    await line(sock)
    sock.end(b'bye\n')


async def end_and_wait(sock: Socket) -> None:
    await line(sock)
    sock.end(b'bye\n')
    await sock.wait_closed()


async def wait_and_end(sock: Socket) -> None:
    await line(sock)
    waiting = asyncio.ensure_future(asyncio.sleep(0))
    waiting.add_done_callback(lambda _: sock.end(b'bye\n'))
    await sock.wait_closed()


async def only_return(sock: Socket) -> None:
    await line(sock)
    sock.write(b'bye\n')


async def flow(sock: Socket) -> None:
    await line(sock)
    sock.end(b'bye\n')
    sock.resume()


async def paused(sock: Socket) -> None:
    await line(sock)
    sock.pause()
    sock.write(b'bye\n')


async def hears_close(sock: Socket) -> None:
    sock.on('close', lambda: None)
    sock.on('error', lambda: None)
    await line(sock)
    sock.write(b'bye\n')


async def soon(sock: Socket) -> None:
    await line(sock)
    sock.write(b'bye\n')
    sock.destroy_soon()


HANDLERS = [end, end_and_wait, wait_and_end, only_return, flow, paused, hears_close, soon]


@asynccontextmanager
async def raw(server: Server) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A plain client."""
    reader, writer = await asyncio.open_connection('127.0.0.1', server.address().port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def empty(server: Server) -> None:
    while await server.get_connections():
        await asyncio.sleep(0)


@pytest.mark.parametrize('half_open', [False, True])
@pytest.mark.parametrize('more', [b'', b'more\n', b'm' * 300_000], ids=['none', 'some', 'much'])
@pytest.mark.parametrize('handler', HANDLERS)
def test_a_handler_that_is_done_leaves_no_connection(
    run: Any, handler: Any, more: bytes, half_open: bool
) -> None:
    """The client reads the whole answer, and closes when it has seen the end."""

    async def main() -> None:
        async with listening('tcp', handler, allow_half_open=half_open) as server:
            async with raw(server) as (reader, writer):
                writer.write(b'QUIT\n' + more)
                assert await reader.read() == b'bye\n'
            await empty(server)

    run(main)


@pytest.mark.parametrize('handler', [end, end_and_wait, only_return, flow])
@pytest.mark.parametrize('sends', [False, True])
def test_a_peer_that_does_not_close_is_left_after_the_linger_time(
    run: Any, handler: Any, sends: bool
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with listening('tcp', handler, linger=LINGER) as server:
            assert server.linger == LINGER
            async with raw(server) as (reader, writer):
                writer.write(b'QUIT\nmore')
                assert await reader.read() == b'bye\n'
                start = loop.time()
                while await server.get_connections():
                    if sends:
                        writer.write(b'more')
                    await asyncio.sleep(0)
                assert loop.time() - start >= LINGER / 1000 - 0.01

    run(main)


@pytest.mark.parametrize('handler', [end, only_return])
def test_a_slow_reader_gets_everything(run: Any, handler: Any) -> None:
    """Longer than the linger time: that counts from the end of what was written."""
    size = 8_000_000

    async def answers(sock: Socket) -> None:
        await line(sock)
        sock.write(b'x' * (size - 4))
        if handler is end:
            sock.end(b'bye\n')
        else:
            sock.write(b'bye\n')

    async def main() -> None:
        async with listening('tcp', answers, linger=LINGER) as server:
            client = socket.create_connection(('127.0.0.1', server.address().port))
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(client, b'QUIT\n')
            got = 0
            pauses = 6
            while data := await loop.sock_recv(client, 1_000_000):
                got += len(data)
                if pauses:
                    pauses -= 1
                    await asyncio.sleep(LINGER / 1000)
            client.close()
            assert got == size
            await empty(server)

    run(main)


def test_a_peer_that_takes_nothing_is_given_up(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, 'STALL', 100)

    async def answers(sock: Socket) -> None:
        sock.write(b'x' * 30_000_000)

    async def main() -> None:
        async with listening('tcp', answers, linger=LINGER) as server, raw(server):
            while not await server.get_connections():
                await asyncio.sleep(0)
            await empty(server)

    run(main)


async def by_data(sock: Socket) -> None:
    sock.on('data', lambda chunk: sock.write(chunk))


async def by_pipe(sock: Socket) -> None:
    sock.pipe(sock)


async def by_pipeline(sock: Socket) -> None:
    stream.pipeline(sock, sock, lambda _: None)


async def by_task(sock: Socket) -> None:
    async def pump() -> None:
        async for chunk in sock:
            sock.write(chunk)

    sock.pump = asyncio.ensure_future(pump())  # type: ignore[attr-defined]


async def by_line_task(sock: Socket) -> None:
    async def pump() -> None:
        while text := await sock.read_line():
            sock.write(text)
        sock.end()

    sock.pump = asyncio.ensure_future(pump())  # type: ignore[attr-defined]


def plain(sock: Socket) -> None:
    sock.pause()
    asyncio.get_running_loop().call_later(LINGER / 1000 * 3, sock.pipe, sock)


async def broadcast(sock: Socket) -> None:
    sock.on('close', lambda: None)
    sock.resume()
    loop = asyncio.get_running_loop()
    loop.call_later(LINGER / 1000 * 3, sock.write, b'one\ntwo\n')


@pytest.mark.parametrize(
    'handler', [by_data, by_pipe, by_pipeline, by_task, by_line_task, plain, broadcast]
)
def test_what_was_left_behind_goes_on(run: Any, handler: Any) -> None:
    async def main() -> None:
        async with listening('tcp', handler, linger=LINGER) as server:
            async with raw(server) as (reader, writer):
                writer.write(b'one\n')
                if handler is not broadcast:
                    assert await reader.readline() == b'one\n'
                    await asyncio.sleep(LINGER / 1000 * 3)
                    writer.write(b'two\n')
                    assert await reader.readline() == b'two\n'
                else:
                    assert await reader.readexactly(8) == b'one\ntwo\n'
                writer.write_eof()
                assert await reader.read() == b''
            await empty(server)

    run(main)


def test_a_plain_handler_keeps_nodes_rule(run: Any) -> None:
    """Nothing reads: the connection stays, as the program may come back to it."""

    async def main() -> None:
        taken: list[Socket] = []
        async with (
            listening('tcp', taken.append, linger=1) as server,
            raw(server) as (_, writer),
        ):
            writer.write(b'x')
            while not taken or not taken[0].readable_length:
                await asyncio.sleep(0)
            await asyncio.sleep(0.02)
            assert await server.get_connections() == 1
            assert taken[0].read() == b'x'

    run(main)


@pytest.mark.parametrize('reader', ['nobody', 'slow task'])
def test_wait_closed_of_a_client_that_has_ended(
    run: Any, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unread data keeps it no longer open; but a task between two reads loses none."""

    monkeypatch.setattr(leaving, 'PATIENCE', 100)

    async def main() -> None:
        async def serve(sock: Socket) -> None:
            sock.end(b'line\n' * 5)

        async with listening('tcp', serve) as server:
            client = await dial(server)
            lines = 0

            async def slow() -> None:
                nonlocal lines
                while await client.read_line():
                    lines += 1
                    await asyncio.sleep(0.002)

            task = asyncio.ensure_future(slow()) if reader == 'slow task' else None
            client.end(b'x')
            await client.wait_closed()
            if task is not None:
                await task
                assert lines == 5

    run(main)


def test_two_handlers_and_the_one_that_goes_on(run: Any) -> None:
    async def main() -> None:
        async with listening('tcp', only_return, linger=LINGER) as server:

            async def slow(sock: Socket) -> None:
                await asyncio.sleep(LINGER / 1000 * 2)
                sock.write(b'slow\n')

            server.on('connection', slow)
            async with raw(server) as (reader, writer):
                writer.write(b'QUIT\n')
                assert await reader.read() == b'bye\nslow\n'
            await empty(server)

    run(main)


@pytest.mark.parametrize('value', [-1, float('nan'), 'x', True])
def test_bad_linger_times_are_refused(value: Any) -> None:
    with pytest.raises((errors.OutOfRangeError, errors.InvalidArgTypeError)):
        net.create_server(linger=value)
