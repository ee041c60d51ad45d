"""What the peer sent before it reset the connection is read to its last byte, then the error comes.

And what the program itself destroyed is gone. Each reader, early and late, with and without the
error having been told before.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tailrace import Socket
from tailrace.errors import NodeError
from tailrace.stream import Readable

from .pairs import dial, listening, place

DATA = b'one\ntwo\nthree\nrest'


async def lines(sock: Any) -> tuple[list[Any], BaseException]:
    got: list[Any] = []
    try:
        while line := await sock.read_line():
            got.append(line)
            await asyncio.sleep(0)
    except (OSError, EOFError) as error:
        return got, error
    raise AssertionError(got)


async def by_length(sock: Any) -> tuple[list[Any], BaseException]:
    got: list[Any] = []
    try:
        while True:
            got.append(await sock.read_exactly(4))
    except (OSError, EOFError) as error:
        return got, error


async def until(sock: Any) -> tuple[list[Any], BaseException]:
    got: list[Any] = []
    try:
        while True:
            got.append(await sock.read_until(b'\n'))
    except (OSError, EOFError) as error:
        return got, error


async def chunks(sock: Any) -> tuple[list[Any], BaseException]:
    got: list[Any] = []
    try:
        async for chunk in sock:
            got.append(chunk)
    except (OSError, EOFError) as error:
        return [b''.join(got)], error
    raise AssertionError(got)


READERS: dict[str, tuple[Callable[[Any], Awaitable[tuple[list[Any], BaseException]]], list[bytes]]]
READERS = {
    'read_line': (lines, [b'one\n', b'two\n', b'three\n']),
    'read_exactly': (by_length, [b'one\n', b'two\n', b'thre', b'e\nre']),
    'read_until': (until, [b'one\n', b'two\n', b'three\n']),
    'async for': (chunks, [DATA]),
}


def reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    peer.close()


async def with_data(sock: Socket) -> None:
    """Wait until all of DATA is in the stream's buffer."""
    while sock.readable_length < len(DATA):
        more = asyncio.Event()
        sock.once('readable', more.set)
        await more.wait()


@pytest.mark.parametrize('reader', READERS)
@pytest.mark.parametrize('moment', ['early', 'buffered', 'told', 'closed'])
def test_what_came_before_a_reset_is_read(run: Any, reader: str, moment: str) -> None:
    read, expected = READERS[reader]

    async def main() -> None:
        async with listening(pause_on_connect=True) as server:
            arrivals = aiter(server)
            peer = socket.create_connection((place(server)['host'], place(server)['port']))
            sock = await anext(arrivals)
            await arrivals.aclose()
            told = asyncio.Event()
            gone = asyncio.Event()
            sock.on('error', lambda _: told.set())
            sock.on('close', gone.set)
            task = asyncio.ensure_future(read(sock)) if moment == 'early' else None
            peer.sendall(DATA)
            await with_data(sock)
            reset(peer)
            if moment == 'told':
                await told.wait()
            elif moment == 'closed':
                await gone.wait()
            got, error = await (task or read(sock))
            assert got == expected
            assert isinstance(error, ConnectionResetError)
            # And again: nothing more of it, the same error.
            rest, again = await read(sock)
            assert (b''.join(rest), again) == (b'', error)
            await sock.wait_closed()

    if moment == 'early' and reader == 'async for':
        pytest.skip('it takes each chunk as it comes: nothing is buffered at the reset')
    run(main)


@pytest.mark.parametrize('reader', ['read_line', 'read_exactly', 'read_until'])
@pytest.mark.parametrize('error', [None, KeyError('own')], ids=['plain', 'error'])
def test_what_the_program_destroys_is_gone(
    run: Any, reader: str, error: BaseException | None
) -> None:
    async def main() -> None:
        s = Readable(read=lambda _: None)
        s.push(DATA)
        s.on('error', lambda _: None)
        s.destroy(error)
        with pytest.raises((NodeError, KeyError)) as caught:
            await (s.read_line() if reader == 'read_line' else s.read_exactly(4))
        if error is None:
            assert caught.value.code == 'ERR_STREAM_PREMATURE_CLOSE'
            assert isinstance(caught.value, OSError)
            assert isinstance(caught.value, EOFError)
        else:
            assert caught.value is error

    run(main)


@pytest.mark.parametrize('call', ['read_line', 'read_exactly', 'drained'])
def test_one_except_takes_every_end_of_a_connection(run: Any, call: str) -> None:
    """A destroyed socket raises what ``except (OSError, EOFError)`` takes, whatever is called."""

    async def main() -> None:
        async with listening() as server:
            sock = await dial(server)
            waiting: Any
            if call == 'drained':
                while sock.write(bytes(1 << 16)):
                    pass
                waiting = asyncio.ensure_future(sock.drain())
            else:
                waiting = asyncio.ensure_future(
                    sock.read_line() if call == 'read_line' else sock.read_exactly(1)
                )
            await asyncio.sleep(0)
            sock.destroy()
            with pytest.raises((OSError, EOFError)):
                await waiting
            await sock.wait_closed()

    run(main)


READ: dict[str, Callable[[Any], Awaitable[Any]]] = {
    'read_line': lambda s: s.read_line(),
    'read_exactly': lambda s: s.read_exactly(4),
    'read_until': lambda s: s.read_until(b'\n'),
}


@pytest.mark.parametrize('reader', READ)
@pytest.mark.parametrize('arrived', [True, False])
def test_resume_after_a_read_lets_the_rest_flow(run: Any, reader: str, arrived: bool) -> None:
    """Also in the same turn, when the helper's listeners are still there."""

    async def main() -> None:
        async with listening() as server:
            arrivals = aiter(server)
            peer = socket.create_connection((place(server)['host'], place(server)['port']))
            sock = await anext(arrivals)
            await arrivals.aclose()
            task = None if arrived else asyncio.ensure_future(READ[reader](sock))
            if task is not None:
                await asyncio.sleep(0)
            peer.sendall(DATA)
            if task is None:
                await with_data(sock)
            assert await (task or READ[reader](sock)) == b'one\n'
            got: list[bytes] = []
            sock.resume()
            assert (sock.readable_flowing, sock.is_paused()) == (True, False)
            sock.on('data', got.append)
            ended = asyncio.Event()
            sock.on('end', ended.set)
            peer.shutdown(socket.SHUT_WR)
            await ended.wait()
            assert b''.join(got) == DATA[4:]
            peer.close()
            await sock.wait_closed()

    run(main)


def test_resume_with_a_listener_for_readable_stays_as_in_node(run: Any) -> None:
    async def main() -> None:
        s = Readable(read=lambda _: None)
        s.push(DATA)
        s.on('readable', lambda: None)
        assert await s.read_line() == b'one\n'
        s.resume()
        assert s.readable_flowing is False
        s.destroy()

    run(main)
