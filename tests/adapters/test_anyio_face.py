"""A tailrace socket as anyio's byte stream, a server as anyio's listener."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

anyio = pytest.importorskip('anyio')

from tailrace import net  # noqa: E402
from tailrace.adapters import anyio as face  # noqa: E402

from ..net.pairs import KINDS, connected, listening  # noqa: E402


def test_bytes_ends_and_closing(run: Any) -> None:
    async def main() -> None:
        async with connected() as (client, accepted):
            one, two = face.ByteStream(client), face.ByteStream(accepted)
            assert isinstance(one, anyio.abc.ByteStream)
            await one.send(b'hello')
            assert await two.receive(3) == b'hel'
            assert await two.receive() == b'lo'
            await one.send_eof()
            with pytest.raises(anyio.EndOfStream):
                await two.receive()
            await two.send(b'after your end')
            assert await one.receive() == b'after your end'
            await two.send(b'x' * 3_000_000)
            async with anyio.create_task_group() as group:
                group.start_soon(two.aclose)
                size = 0
                async for chunk in one:
                    size += len(chunk)
            assert size == 3_000_000
            await one.aclose()
            with pytest.raises(anyio.ClosedResourceError):
                await one.send(b'x')
            with pytest.raises(anyio.ClosedResourceError):
                await one.receive()
            with pytest.raises(ValueError, match='max_bytes'):
                await two.receive(0)

    run(main)


def test_a_broken_connection_and_busy_streams(run: Any) -> None:
    async def main() -> None:
        async with connected() as (client, accepted):
            stream = face.ByteStream(client)
            waiting = asyncio.ensure_future(stream.receive())
            for _ in range(10):
                await asyncio.sleep(0)
            with pytest.raises(anyio.BusyResourceError):
                await stream.receive()
            accepted.reset_and_destroy()
            with pytest.raises(anyio.BrokenResourceError) as caught:
                await waiting
            assert isinstance(caught.value.__cause__, ConnectionResetError)
            with pytest.raises(anyio.BrokenResourceError):
                await stream.send(b'x')

    run(main)


def test_close_while_another_task_receives_and_cancel(run: Any) -> None:
    async def main() -> None:
        async with connected() as (client, accepted):
            stream = face.ByteStream(client)
            with anyio.move_on_after(0.01) as scope:
                await stream.receive()
            assert scope.cancelled_caught
            accepted.write(b'kept')
            assert await stream.receive() == b'kept'
            client.write(b'x' * 5_000_000)
            with anyio.move_on_after(0.01) as scope:
                await stream.aclose()
            assert scope.cancelled_caught
            assert client.destroyed
            accepted.resume()

    run(main)


@pytest.mark.parametrize('kind', KINDS)
def test_extra_attributes(run: Any, kind: str) -> None:
    async def main() -> None:
        names = anyio.abc.SocketAttribute
        async with connected(kind) as (client, accepted):
            stream = face.ByteStream(client)
            family = stream.extra(names.family)
            if kind == 'tcp':
                assert family == socket.AF_INET
                assert stream.extra(names.remote_address) == ('127.0.0.1', accepted.local_port)
                assert stream.extra(names.local_port) == client.local_port
                assert stream.extra(names.remote_port) == accepted.local_port
            else:
                assert family == socket.AF_UNIX
                assert stream.extra(names.remote_port, None) is None
            assert stream.extra(names.raw_socket).fileno() == client._handle.fd
            client.destroy()
            assert stream.extra(names.family, None) is None

    run(main)


@pytest.mark.parametrize('own_group', [False, True])
def test_listener(run: Any, own_group: bool) -> None:
    async def main() -> None:
        async def echo(stream: Any) -> None:
            async with stream:
                async for chunk in stream:
                    await stream.send(chunk)

        listener = await face.create_listener(0, '127.0.0.1')
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with anyio.create_task_group() as group:
            group.start_soon(listener.serve, echo, None if own_group else group)
            client = await face.connect(port, '127.0.0.1')
            async with client:
                await client.send(b'ping')
                assert await client.receive() == b'ping'
            await listener.aclose()
        await listener.server.wait_closed()

    run(main)


def test_tls_over_it(run: Any) -> None:
    """anyio's own TLS stream wraps ours: nobody answers its hello here, so it fails cleanly."""

    async def main() -> None:
        from anyio.streams.tls import TLSStream

        async with listening('tcp', lambda sock: sock.end(b'this is no TLS\r\n')) as server:
            stream = await face.connect(server.address().port, '127.0.0.1')
            import ssl

            with pytest.raises((ssl.SSLError, anyio.BrokenResourceError)):
                await TLSStream.wrap(stream, hostname='localhost')
            await stream.aclose()

    run(main)


def test_trio_is_refused() -> None:
    async def main() -> None:
        await face.connect(1)

    steps = main()
    with pytest.raises(RuntimeError, match='trio'):
        steps.send(None)
    assert net is not None
