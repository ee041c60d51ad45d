"""``send_file``: by the kernel and by reading, in its place among the writes, to every end."""

from __future__ import annotations

import asyncio
import io
import os
import socket as stdlib
from pathlib import Path
from typing import Any

import pytest

from tailrace import net, tls
from tailrace._handles import stream as handle_stream
from tailrace.errors import InvalidArgTypeError, NodeError, OutOfRangeError
from tailrace.testing import Faults, socket_pair

from ..tls.conftest import Certificates
from .pairs import KINDS, connected

DATA = os.urandom(1 << 16) * 48 + b'the end'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / 'file'
    file.write_bytes(DATA)
    return file


async def everything(sock: Any) -> bytes:
    return b''.join([chunk async for chunk in sock])


@pytest.mark.parametrize('kind', KINDS)
def test_a_file_stands_among_the_writes(run: Any, kind: str, path: Path) -> None:
    async def main() -> None:
        async with connected(kind) as (client, accepted):
            seen: list[tuple[int, int]] = []
            client.write('before')
            moving = client.send_file(path, progress=lambda *pair: seen.append(pair))
            assert not client.write('after')
            client.send_file(str(path), 5, 10)
            client.end('last')
            reading = asyncio.ensure_future(everything(accepted))
            assert await moving == len(DATA)
            assert await reading == b'before' + DATA + b'after' + DATA[5:15] + b'last'
            assert seen[-1] == (len(DATA), len(DATA))
            assert [sent for sent, _ in seen] == sorted(sent for sent, _ in seen)
            assert client.bytes_written == len(DATA) + 6 + 5 + 10 + 4
            assert (moving.sent, moving.size) == (len(DATA), len(DATA))
            assert await moving == len(DATA)

    run(main)


@pytest.mark.parametrize('kind', KINDS)
def test_what_waits_in_front(run: Any, kind: str, path: Path) -> None:
    async def main() -> None:
        async with connected(kind) as (client, accepted):
            accepted.pause()
            head = bytes(5_000_000)
            client.write(head)
            client.cork()
            client.write('corked')
            moving = client.send_file(path)
            client.uncork()
            client.end()
            got = await everything(accepted)
            assert got == head + b'corked' + DATA
            assert await moving == len(DATA)

    run(main)


def test_drain_comes_when_the_file_is_out(run: Any, path: Path) -> None:
    async def main() -> None:
        async with connected() as (client, accepted):
            moving = client.send_file(path)
            assert client.writable_length == len(DATA)
            assert client.writable_need_drain
            reading = asyncio.ensure_future(accepted.read_exactly(len(DATA)))
            await client.drain()
            assert moving.sent == len(DATA)
            assert await reading == DATA
            # The fast way is open again.
            assert client._sink is not None
            client.write('x')
            assert await accepted.read_exactly(1) == b'x'

    run(main)


def test_while_connecting(run: Any, path: Path) -> None:
    async def main() -> None:
        server = net.create_server()
        got: list[bytes] = []

        @server.on('connection')
        async def serve(sock: net.Socket) -> None:
            got.append(await everything(sock))

        await server.listen(0, '127.0.0.1')
        for early in (b'', b'head'):
            client = net.connect(server.address()['port'], '127.0.0.1')
            if early:
                client.write(early)
            moving = client.send_file(path, callback=lambda error: got.append(error or b'done'))
            client.end('tail')
            client.resume()
            assert await moving == len(DATA)
            await client.wait_closed()
            assert sorted(got, key=len) == [b'done', early + DATA + b'tail']
            got.clear()
        await server.close_all(0)

    run(main)


@pytest.mark.parametrize('faults', [{}, {'capacity': 1000, 'short_writes': 700}])
def test_in_memory_it_is_read(run: Any, path: Path, faults: dict[str, int]) -> None:
    async def main() -> None:
        client, server = socket_pair(Faults(**faults))
        moving = client.send_file(path, 1 << 21)
        client.end('after')
        assert await everything(server) == DATA[1 << 21 :] + b'after'
        assert await moving == len(DATA) - (1 << 21)
        server.end()
        client.resume()
        await client.wait_closed()

    run(main)


def test_other_sources(run: Any, path: Path) -> None:
    async def main() -> None:
        async with connected() as (client, accepted):
            with path.open('rb') as file:
                file.seek(77)
                assert await client.send_file(file, 0, 5) == 5
                assert file.tell() == 77
                assert await client.send_file(file.fileno(), 5, 5) == 5
                assert not file.closed
            memory = io.BytesIO(b'in memory')
            assert await client.send_file(memory, 3) == 6
            assert not memory.closed
            assert await client.send_file(path, len(DATA)) == 0
            assert await client.send_file(path, 0, 0) == 0
            client.end()
            assert await everything(accepted) == DATA[:10] + b'memory'

    run(main)


def test_with_tls(run: Any, path: Path) -> None:
    certs = Certificates()

    async def main() -> None:
        server = tls.create_server(certs.server, lambda sock: (sock.send_file(path), sock.end('x')))
        await server.listen(0, '127.0.0.1')
        client = await tls.connect(server.address()['port'], 'localhost', ca=certs.ca)
        assert client.get_extra_info('cipher')
        assert client.get_extra_info('peercert')
        assert client.get_extra_info('ssl_object') is not None
        assert client.fileno() >= 0
        assert client.tcp_info().state == 'established'
        assert await everything(client) == DATA + b'x'
        await client.wait_closed()
        await server.close_all(0)

    run(main)


@pytest.mark.interpreted
def test_a_file_that_the_kernel_does_not_send_is_read(
    run: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(22, 'no')

    monkeypatch.setattr(handle_stream.os, 'sendfile', refuse)

    async def main() -> None:
        async with connected() as (client, accepted):
            moving = client.send_file(path)
            client.end()
            assert await everything(accepted) == DATA
            assert await moving == len(DATA)

    run(main)


@pytest.mark.parametrize(
    ('arguments', 'error'),
    [
        ((None,), InvalidArgTypeError),
        ((True,), InvalidArgTypeError),
        ((b'/nowhere', 'x'), InvalidArgTypeError),
        (('file', -1), OutOfRangeError),
        (('file', 0, -1), OutOfRangeError),
        (('file', len(DATA) + 1), OutOfRangeError),
        (('/no/such/file',), FileNotFoundError),
        ((99999,), OSError),
        (('with\0nul',), ValueError),
        (('folder',), IsADirectoryError),
        (('fifo',), ValueError),
        (('pipe',), ValueError),
        (('socket',), ValueError),
        (('/dev/null',), ValueError),
    ],
)
def test_wrong_arguments_change_nothing(
    run: Any, path: Path, arguments: tuple[Any, ...], error: type[Exception]
) -> None:
    if arguments[0] == 'file':
        arguments = (path, *arguments[1:])
    elif arguments[0] == 'folder':
        arguments = (path.parent,)
    ends: list[Any] = []
    if arguments[0] == 'fifo':
        arguments = (path.with_name('fifo'),)  # which nobody writes
        os.mkfifo(arguments[0])
    elif arguments[0] == 'pipe':
        ends = [*os.pipe()]
    elif arguments[0] == 'socket':
        ends = [one.detach() for one in stdlib.socketpair()]
    if ends:
        arguments = (ends[0],)

    async def main() -> None:
        async with connected() as (client, accepted):
            with pytest.raises(error) as caught:
                client.send_file(*arguments)
            assert getattr(caught.value, 'code', None)
            with pytest.raises(InvalidArgTypeError):
                client.send_file(path, progress=5)  # type: ignore[arg-type]
            client.end('fine')
            assert await everything(accepted) == b'fine'
            with pytest.raises(NodeError) as late:
                client.send_file(path)
            assert late.value.code == 'ERR_STREAM_WRITE_AFTER_END'
        with pytest.raises(NodeError) as closed:
            net.Socket().send_file(path)
        assert closed.value.code == 'ERR_SOCKET_CLOSED'

    run(main)
    for fd in ends:
        os.close(fd)


@pytest.mark.parametrize('native', [True, False])
def test_a_file_that_becomes_shorter(run: Any, path: Path, native: bool) -> None:
    async def main() -> None:
        if native:
            async with connected() as (client, accepted):
                await check(client, accepted)
        else:
            client, accepted = socket_pair(Faults(capacity=65536))
            await check(client, accepted)
            await accepted.wait_closed()

    async def check(client: Any, accepted: Any) -> None:
        accepted.on('error', lambda error: None).pause()
        moving = client.send_file(path)
        os.truncate(path, 1000)
        accepted.resume()
        with pytest.raises(NodeError) as caught:
            await moving
        assert caught.value.code == 'ENODATA'
        assert client.destroyed
        accepted.destroy()

    run(main)


def test_the_peer_resets(run: Any, path: Path) -> None:
    async def main() -> None:
        async with connected() as (client, accepted):
            codes: list[Any] = []
            accepted.pause()
            moving = client.send_file(path, callback=lambda error: codes.append(error))
            waiting = asyncio.ensure_future(moving._wait())
            await asyncio.sleep(0)
            accepted.reset_and_destroy()
            with pytest.raises(NodeError) as caught:
                await waiting
            assert caught.value.code in ('ECONNRESET', 'EPIPE')
            assert len(codes) == 1
            assert moving.sent < len(DATA)
            await client.wait_closed()

    run(main)


@pytest.mark.parametrize('how', ['cancel', 'destroy', 'reset', 'in progress'])
def test_ends_from_this_side(run: Any, path: Path, how: str) -> None:
    async def main() -> None:
        async with connected() as (client, accepted):
            accepted.on('error', lambda error: None).pause()
            errors: list[Any] = []

            def progress(sent: int, size: int) -> None:
                if how == 'in progress':
                    client.destroy()

            moving = client.send_file(path, progress=progress, callback=errors.append)
            behind = client.send_file(path, callback=errors.append)
            client.on('error', lambda error: None)
            task = asyncio.ensure_future(moving._wait())
            await asyncio.sleep(0)
            if how == 'cancel':
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            elif how == 'destroy':
                client.destroy()
            elif how == 'reset':
                client.reset_and_destroy()
            accepted.resume()
            await client.wait_closed()
            if how != 'cancel':
                with pytest.raises(NodeError):
                    await task
            assert len(errors) == 2
            assert all(isinstance(error, NodeError) for error in errors)
            assert behind.sent == 0
            with pytest.raises(NodeError):
                await behind
            await accepted.wait_closed()

    run(main)


def test_never_connected(run: Any, path: Path) -> None:
    async def main() -> None:
        closed = stdlib.create_server(('127.0.0.1', 0))
        port = closed.getsockname()[1]
        closed.close()
        sock = net.connect(port, '127.0.0.1')
        moving = sock.send_file(path)
        with pytest.raises(NodeError):
            await moving
        await sock.wait_closed()
        assert 'FileTransfer done, 0 of' in repr(moving)

    run(main)
