"""A connection that is made again: servers that refuse, die, half-open and come back."""

from __future__ import annotations

import asyncio
import socket as stdlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import tailrace
from tailrace import net, tls
from tailrace.clients import Backoff, Reconnecting
from tailrace.errors import InvalidArgTypeError, NodeError, OutOfRangeError
from tailrace.testing import FakeClock, Trace, socket_pair

from ..net.pairs import listening
from ..tls.conftest import Certificates

QUICK = Backoff(first=1, most=5)
EVENTS = ('connect', 'disconnect', 'retry', 'error', 'close')
Settle = Callable[[], Awaitable[None]]


def free_port() -> int:
    with stdlib.create_server(('127.0.0.1', 0)) as sock:
        return int(sock.getsockname()[1])


def test_it_connects_and_closes(run: Any) -> None:
    async def main() -> None:
        async with listening('tcp', lambda sock: sock.resume()) as server:
            port = server.address()['port']
            async with Reconnecting(lambda: net.connect(port, '127.0.0.1')) as client:
                trace = Trace().watch(client, *EVENTS, label='client')
                sock = await client.connection()
                assert client.connected
                assert client.socket is sock
                assert not sock.destroyed
                assert 'connected' in repr(client)
            assert sock.destroyed
            assert client.closed
            assert client.socket is None
            assert trace.count('client:connect') == 1
            await trace.wait_for('client:close')
            with pytest.raises(NodeError) as caught:
                await client.connection()
            assert caught.value.code == 'ERR_SOCKET_CLOSED'
            client.close()
            await client.wait_closed()

    run(main)


def test_a_server_that_comes_late_and_dies_and_comes_back(run: Any) -> None:
    port = free_port()

    async def main() -> None:
        client = Reconnecting(lambda: net.connect(port, '127.0.0.1'), backoff=QUICK)
        trace = Trace().watch(client, *EVENTS, label='client')
        await trace.wait_for('client:retry')
        for life in range(3):
            server = net.create_server(lambda sock: sock.write(b'hello\n'))
            await server.listen(port, '127.0.0.1')
            sock = await client.connection()
            assert await sock.read_line() == b'hello\n'
            await server.close_all(0)
            await trace.wait_for('client:disconnect', life + 1)
        assert client.failures > 0
        assert trace.count('client:error') == 0
        client.close()
        await client.wait_closed()

    run(main)


def test_a_loop_over_its_connections(run: Any) -> None:
    async def main() -> None:
        async with listening('tcp', lambda sock: sock.end('one line\n')) as server:
            port = server.address()['port']
            client = Reconnecting(lambda: net.connect(port, '127.0.0.1'), backoff=QUICK)
            lines = []
            async for sock in client:
                lines.append(await sock.read_line())
                if len(lines) == 3:
                    break
            assert lines == [b'one line\n'] * 3
            assert not client.closed
            client.close()
            assert [sock async for sock in client] == []

    run(main)


def test_the_waits_by_a_fake_clock(run: Any, settle: Settle) -> None:
    async def main() -> None:
        attempts = 0

        async def connect() -> net.Socket:
            nonlocal attempts
            attempts += 1
            raise ConnectionRefusedError('no')

        with FakeClock() as clock:
            client = Reconnecting(connect, backoff=Backoff(jitter=False, most=1000))
            waits: list[tuple[int, float]] = []
            client.on('retry', lambda failures, ms, error: waits.append((failures, ms)))
            for wait in (100, 200, 400, 800, 1000, 1000):
                await settle()
                seen = attempts
                clock.advance(wait - 1)
                await settle()
                assert attempts == seen
                clock.advance(1)
                await settle()
                assert attempts == seen + 1
            assert waits[:3] == [(1, 100), (2, 200), (3, 400)]
            client.close()
            await client.wait_closed()

    run(main)


@pytest.mark.parametrize(('lasts', 'expected'), [(4999, [100, 200]), (5000, [100, 100])])
def test_a_connection_that_lasted_is_no_failure(
    run: Any, settle: Settle, lasts: int, expected: list[float]
) -> None:
    async def main() -> None:
        async def connect() -> net.Socket:
            mine, other = socket_pair()
            others.append(other)
            other.on('error', lambda error: None)
            return mine

        others: list[net.Socket] = []
        with FakeClock() as clock:
            client = Reconnecting(connect, backoff=Backoff(jitter=False))
            waits: list[float] = []
            client.on('retry', lambda failures, ms, error: waits.append(ms))
            for _ in expected:
                await settle()
                clock.advance(lasts)
                others[-1].reset_and_destroy()
                await settle()
                clock.advance(waits[-1])
            assert waits == expected
            client.close()
            await client.wait_closed()
        for other in others:
            other.destroy()

    run(main)


def test_a_server_that_accepts_and_says_nothing(run: Any, settle: Settle) -> None:
    async def main() -> None:
        with stdlib.create_server(('127.0.0.1', 0)) as silent:
            port = silent.getsockname()[1]
            with FakeClock() as clock:
                made: list[Any] = []

                def connect() -> Any:
                    made.append(tls.connect(port, '127.0.0.1'))
                    return made[-1]

                client = Reconnecting(connect, connect_timeout=3000)
                trace = Trace().watch(client, *EVENTS, label='client')
                await settle()
                if made[0].connecting:
                    await tailrace.once(made[0], 'connect')
                clock.advance(3000)
                await trace.wait_for('client:retry')
                error = trace.args('client:retry')[0][2]
                assert error.code == 'ETIMEDOUT'
                assert made[0].destroyed
                client.close()
                await client.wait_closed()

    run(main)


def test_with_tls_and_a_log_in(run: Any) -> None:
    certs = Certificates()

    async def main() -> None:
        async def serve(sock: Any) -> None:
            line = await sock.read_line()
            sock.write(b'welcome ' + line)
            await sock.read_line()

        server = tls.create_server(certs.server, serve)
        await server.listen(0, '127.0.0.1')

        async def connect() -> Any:
            sock = await tls.connect(server.address()['port'], 'localhost', ca=certs.ca)
            sock.write(b'me\n')
            assert await sock.read_line() == b'welcome me\n'
            return sock

        async with Reconnecting(connect) as client:
            sock = await client.connection()
            assert sock.authorized
        await server.close_all(0)

    run(main)


@pytest.mark.parametrize('face', ['event', 'await', 'loop'])
def test_it_gives_up(run: Any, face: str) -> None:
    port = free_port()

    async def main() -> None:
        client = Reconnecting(lambda: net.connect(port, '127.0.0.1'), backoff=QUICK, attempts=3)
        trace = Trace().watch(client, *EVENTS, label='client')
        errors: list[Any] = []
        if face == 'event':
            client.on('error', errors.append)
            await client.wait_closed()
        elif face == 'await':
            try:
                await client.connection()
            except NodeError as error:
                errors.append(error)
        else:
            try:
                async for _ in client:
                    pass
            except NodeError as error:
                errors.append(error)
        assert [error.code for error in errors] == ['ECONNREFUSED']
        await trace.wait_for('client:close')
        assert trace.count('client:retry') == 2
        assert client.failures == 3
        with pytest.raises(ConnectionRefusedError):
            await client.connection()

    run(main)


def test_it_can_be_cancelled_anywhere(run: Any) -> None:
    port = free_port()

    async def main() -> None:
        client = Reconnecting(lambda: net.connect(port, '127.0.0.1'))
        client.close()  # before its task has begun
        await client.wait_closed()
        client = Reconnecting(lambda: net.connect(port, '127.0.0.1'))
        waiting = asyncio.ensure_future(client.connection())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        client.on('retry', lambda *_: client.close())
        await client.wait_closed()

    run(main)


def test_close_in_a_listener(run: Any) -> None:
    async def main() -> None:
        async with listening() as server:
            port = server.address()['port']
            client = Reconnecting(lambda: net.connect(port, '127.0.0.1'))
            client.on('connect', lambda sock: client.close())
            await client.wait_closed()
            assert client.socket is None

    run(main)


@pytest.mark.parametrize(
    ('make', 'error'),
    [
        (lambda: Reconnecting(5), InvalidArgTypeError),  # type: ignore[arg-type]
        (lambda: Reconnecting(net.connect, backoff=5), InvalidArgTypeError),  # type: ignore[arg-type]
        (lambda: Reconnecting(net.connect, attempts=0), OutOfRangeError),
        (lambda: Reconnecting(net.connect, connect_timeout=-1), OutOfRangeError),
        (lambda: Reconnecting(net.connect, stable=2**40), OutOfRangeError),
    ],
)
def test_wrong_arguments(run: Any, make: Any, error: type[Exception]) -> None:
    async def main() -> None:
        with pytest.raises(error):
            make()

    run(main)


def test_a_function_that_gives_no_socket(run: Any) -> None:
    async def main() -> None:
        client = Reconnecting(lambda: 5, attempts=1)
        with pytest.raises(InvalidArgTypeError):
            await client.connection()

    run(main)
