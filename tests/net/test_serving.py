"""Python's own ways to serve: async for, serve_forever, close_all, coroutine handlers (BX-10)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tailrace import Socket, errors, net

from .pairs import KINDS, connected, dial, listening, place


async def turns(n: int = 20) -> None:
    for _ in range(n):
        await asyncio.sleep(0)


# -- async for -----------------------------------------------------------------------------------


@pytest.mark.parametrize('kind', KINDS)
def test_async_for_takes_connections_one_at_a_time(run: Any, kind: str) -> None:
    async def main() -> None:
        async with listening(kind) as server:
            arrivals = aiter(server)
            first = asyncio.ensure_future(anext(arrivals))
            await turns(3)
            clients = [await dial(server) for _ in range(3)]
            one = await first
            await turns()
            # Nobody takes: the other two wait in the kernel's queue.
            assert await server.get_connections() == 1
            two = await anext(arrivals)
            await turns()
            assert await server.get_connections() == 2
            three = await anext(arrivals)
            assert len({one, two, three}) == 3
            for client in clients:
                client.destroy()

    run(main)


def test_async_for_gets_what_came_before_it_and_ends_with_close(run: Any) -> None:
    async def main() -> None:
        async with listening() as server:
            clients = [await dial(server) for _ in range(3)]
            seen = []
            async for sock in server:
                assert isinstance(sock, Socket)
                seen.append(sock)
                sock.destroy()
                if len(seen) == 3:
                    server.close()
            assert len(seen) == 3
            assert [sock async for sock in server] == []
            for client in clients:
                client.destroy()

    run(main)


def test_async_for_ends_while_it_waits(run: Any) -> None:
    async def main() -> None:
        async with listening() as server:
            waiting = asyncio.ensure_future(anext(aiter(server), None))
            await turns(3)
            server.close()
            assert await waiting is None

    run(main)


def test_async_for_needs_a_server_that_listens(run: Any) -> None:
    async def main() -> None:
        server = net.create_server()
        with pytest.raises(errors.StateError) as caught:
            await anext(aiter(server))
        assert caught.value.code == 'ERR_SERVER_NOT_RUNNING'
        server.listen(0, 'localhost')  # still looking the name up
        waiting = asyncio.ensure_future(anext(aiter(server)))
        await server
        client = await dial(server)
        assert (await waiting).server is server
        client.destroy()
        await server.close_all(0)

    run(main)


def test_left_loop_holds_back_unless_there_are_listeners(run: Any) -> None:
    async def main() -> None:
        async with listening() as server:
            clients = [await dial(server)]
            async for sock in server:
                sock.destroy()
                break
            clients.append(await dial(server))
            await turns()
            assert await server.get_connections() == 0
            heard: list[Socket] = []
            server.on('connection', heard.append)
            async for sock in server:  # both the loop and the listener
                assert heard == [sock]
                break
            clients.append(await dial(server))
            await turns()
            assert len(heard) == 2
            for client in clients:
                client.destroy()

    run(main)


def test_cancelled_at_the_moment_of_arrival_loses_no_connection(run: Any) -> None:
    async def main() -> None:
        async with listening() as server:
            arrivals = aiter(server)
            waiting = asyncio.ensure_future(anext(arrivals))
            await turns(3)
            server.once('connection', lambda: waiting.cancel())
            client = await dial(server)
            with pytest.raises(asyncio.CancelledError):
                await waiting
            sock = await anext(arrivals)
            assert sock.remote_port == client.local_port
            waiting = asyncio.ensure_future(anext(arrivals))
            await turns(3)
            server.once('connection', lambda: waiting.cancel())
            other = await dial(server)
            with pytest.raises(asyncio.CancelledError):
                await waiting
            server.close()  # nobody will take it now
            await other.wait_closed()
            client.destroy()

    run(main)


# -- closing -------------------------------------------------------------------------------------


def test_serve_forever_until_close(run: Any) -> None:
    async def main() -> None:
        server = net.create_server()
        with pytest.raises(errors.StateError):
            await server.serve_forever()
        server.listen(0, 'localhost')
        forever = asyncio.ensure_future(server.serve_forever())
        await server
        await turns()
        assert not forever.done()
        server.close()
        await forever
        await server.wait_closed()

    run(main)


def test_serve_forever_cancelled_closes_and_lets_connections_go_on(run: Any) -> None:
    async def main() -> None:
        async with listening() as server:
            arrived = asyncio.ensure_future(anext(aiter(server)))
            client = await dial(server)
            await arrived
            forever = asyncio.ensure_future(server.serve_forever())
            await turns(3)
            forever.cancel()
            with pytest.raises(asyncio.CancelledError):
                await forever
            assert not server.listening
            assert await server.get_connections() == 1
            closed = asyncio.ensure_future(server.wait_closed())
            await turns()
            assert not closed.done()
            client.destroy()
            await closed

    run(main)


def test_close_all_lets_connections_finish(run: Any) -> None:
    async def main() -> None:
        async def handler(sock: Socket) -> None:
            async with sock:
                sock.end(b'> ' + await sock.read_line())
                await sock.wait_closed()

        async with listening('tcp', handler) as server:
            client = await dial(server)
            await turns()
            closing = asyncio.ensure_future(server.close_all())
            await turns()
            assert not server.listening
            assert not closing.done()
            with pytest.raises(ConnectionRefusedError):
                await net.connect(port=client.remote_port, host='127.0.0.1')
            client.write(b'late\n')
            assert await client.read_line() == b'> late\n'
            client.end()
            assert await closing == 0
            assert await server.close_all(5) == 0
            client.destroy()

    run(main)


@pytest.mark.parametrize('deadline', [0, 1, timedelta(milliseconds=1)])
def test_close_all_destroys_what_is_left_and_waits_for_handlers(run: Any, deadline: Any) -> None:
    async def main() -> None:
        log = []

        async def handler(sock: Socket) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await turns(5)
                log.append(sock.destroyed)
                raise

        async with listening('tcp', handler) as server:
            clients = [await dial(server) for _ in range(3)]
            while await server.get_connections() < 3:
                await turns()
            assert await server.close_all(deadline) == 3
            assert log == [True] * 3
            for client in clients:
                client.destroy()

    run(main)


def test_close_all_from_a_handler_and_bad_deadlines(run: Any) -> None:
    async def main() -> None:
        counts: list[int] = []

        async def handler(sock: Socket) -> None:
            sock.end()
            counts.append(await sock.server.close_all())

        async with listening('tcp', handler) as server:
            with pytest.raises(errors.OutOfRangeError):
                await server.close_all(-1)
            with pytest.raises(errors.InvalidArgTypeError):
                await server.close_all('1')
            assert server.listening
            client = await dial(server)
            client.end()
            await server.wait_closed()
            await turns()
            assert counts == [0]

    run(main)


# -- coroutine handlers --------------------------------------------------------------------------


def test_bx10_handler_is_cancelled_with_its_connection(run: Any) -> None:
    async def main() -> None:
        ended = asyncio.get_running_loop().create_future()

        async def handler(sock: Socket) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ended.set_result(sock.destroyed)
                raise

        async with listening('tcp', handler) as server:
            client = await dial(server)
            client.end()
            assert await ended is True
            await client.wait_closed()

    run(main)


def test_handler_that_ends_with_its_connection_is_not_cancelled(run: Any) -> None:
    async def main() -> None:
        log = []

        async def handler(sock: Socket) -> None:
            async with sock:
                sock.end(await sock.read_line())
                await sock.wait_closed()
            log.append('done')

        async with listening('tcp', handler) as server:
            client = await dial(server)
            client.write(b'x\n')
            assert await client.read_line() == b'x\n'
            await client.wait_closed()
            await server.close_all()
            assert log == ['done']

    run(main)


def test_nothing_is_closed_when_the_handler_returns(run: Any) -> None:
    async def main() -> None:
        async def handler(sock: Socket) -> None:
            sock.on('data', sock.write)

        async with listening('tcp', handler) as server:
            client = await dial(server)
            for _ in range(3):
                client.write(b'again')
                assert await client.read_exactly(5) == b'again'
            client.destroy()

    run(main)


def failures(run: Any) -> list[BaseException]:
    out = [context['exception'] for context in run.unhandled]
    run.unhandled.clear()
    return out


@pytest.mark.parametrize('arity', [0, 1])
def test_bx10_failure_destroys_the_socket_and_is_reported_once(run: Any, arity: int) -> None:
    error = KeyError('mine')

    async def main() -> None:
        async def none() -> None:
            raise error

        async def one(sock: Socket) -> None:
            await turns(2)
            raise error

        async with listening('tcp', one if arity else none) as server:
            client = await dial(server)
            await client.wait_closed()
            await server.close_all()

    run(main)
    assert failures(run) == [error]


def test_bx10_failure_goes_to_error_listeners_if_there_are_any(run: Any) -> None:
    async def main() -> None:
        told: list[BaseException] = []

        async def handler(sock: Socket) -> None:
            sock.on('error', told.append)
            raise KeyError('mine')

        async with listening('tcp', handler) as server:
            client = await dial(server)
            await client.wait_closed()
            assert [type(error) for error in told] == [KeyError]

    run(main)


@pytest.mark.parametrize('waits', ['read_line', 'async for', 'drain', 'nothing'])
@pytest.mark.parametrize('listens', [False, True])
def test_bx10_a_broken_connection_is_told_once_and_ends_nothing(
    run: Any, waits: str, listens: bool
) -> None:
    told: list[BaseException] = []

    async def main() -> None:
        async def handler(sock: Socket) -> None:
            if listens:
                sock.on('error', told.append)
            sock.write(b'ready')
            if waits == 'read_line':
                await sock.read_line()
            elif waits == 'async for':
                async for _ in sock:
                    pass
            elif waits == 'drain':
                sock.resume()  # so that the reset is seen at once
                sock.write(b'x' * 30_000_000)
                await sock.drain()
            else:
                await asyncio.Event().wait()

        async with listening('tcp', handler) as server:
            client = await dial(server)
            await client.read_exactly(5)
            client.reset_and_destroy()
            await server.close_all()

    run(main)
    # Who listens has heard of it; else it is logged at debug level, whatever the handler did.
    reports = run.endings()
    assert len(reports) == (not listens)
    assert len(told) == listens
    assert all(isinstance(error, OSError) for error in reports + told)


@pytest.mark.parametrize('waits', ['read_line', 'async for', 'drain'])
def test_a_connection_destroyed_by_the_program_is_no_failure(run: Any, waits: str) -> None:
    async def main() -> None:
        async def handler(sock: Socket) -> None:
            if waits == 'read_line':
                await sock.read_line()
            elif waits == 'async for':
                async for _ in sock:
                    pass
            else:
                sock.write(b'x' * 30_000_000)
                await sock.drain()

        async with listening('tcp', handler) as server:
            client = await dial(server)
            while not await server.get_connections():
                await turns()
            assert await server.close_all(0) == 1
            client.destroy()

    run(main)


def test_handler_of_something_that_is_no_stream(run: Any) -> None:
    async def main() -> None:
        got: list[Any] = []

        async def handler(what: Any) -> None:
            got.append(what)

        server = net.create_server(handler)
        server.emit('connection', 'a guest')
        await turns(3)
        assert got == ['a guest']

    run(main)


def test_get_connections_is_awaitable_sv21(run: Any) -> None:
    async def main() -> None:
        async with listening() as server:
            assert await server.get_connections() == 0
            assert await server.getConnections() == 0
            assert place(server)['port'] > 0
        async with connected() as (_, accepted):
            assert await accepted.server.get_connections() == 1

    run(main)
