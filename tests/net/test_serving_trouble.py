"""Handlers, loops over a server and its closing, with everything against them (serving.py)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import tailrace
from tailrace import Server, Socket, errors, net

from ..cancelling import settle
from .pairs import dial, listening, place


def failures(run: Any) -> list[BaseException]:
    out = [context['exception'] for context in run.unhandled]
    run.unhandled.clear()
    return out


async def empty(server: Server) -> None:
    while await server.get_connections():
        await asyncio.sleep(0)


# -- handlers ------------------------------------------------------------------------------------


def test_bx10_handler_that_is_cancelled_by_others_leaves_no_connection_open(run: Any) -> None:
    async def main() -> None:
        async def handler(sock: Socket) -> None:
            gone = asyncio.get_running_loop().create_future()
            gone.cancel()
            await gone

        async with listening('tcp', handler) as server:
            client = await dial(server)
            assert await client.read_line() == b''
            await client.wait_closed()
            await empty(server)

    run(main)


def test_bx10_handler_is_cancelled_though_listeners_were_removed(run: Any) -> None:
    async def main() -> None:
        over = asyncio.get_running_loop().create_future()

        async def handler(sock: Socket) -> None:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                over.set_result(asyncio.current_task())

        async with listening('tcp', handler) as server:
            client = await dial(server)
            while not server._sockets:
                await asyncio.sleep(0)
            next(iter(server._sockets)).remove_all_listeners()
            await settle()
            next(iter(server._sockets)).destroy()
            await asyncio.wait([await over])
            await client.wait_closed()

    run(main)


@pytest.mark.parametrize('program', [False, True])
def test_bx10_a_broken_connection_in_a_task_group_ends_nothing(run: Any, program: bool) -> None:
    """Two tasks meet the reset: a group of its error, told once; of the program's own: uncaught."""

    async def main() -> None:
        entered = asyncio.Event()

        async def broken(sock: Socket) -> None:
            try:
                await sock.read_line()
            except ConnectionResetError as error:
                if program:
                    raise KeyError('mine') from error
                raise

        async def handler(sock: Socket) -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(broken(sock))
                group.create_task(sock.wait_closed())
                entered.set()

        async with listening('tcp', handler) as server:
            client = await dial(server)
            await entered.wait()
            await settle()
            client.reset_and_destroy()
            await empty(server)
            await server.close_all()

    run(main)
    if program:
        (told,) = failures(run)
        assert isinstance(told, ExceptionGroup)
        assert isinstance(told.exceptions[0], KeyError)
    else:
        (told,) = run.endings()
        assert isinstance(told, ConnectionResetError)


def test_bx10_a_broken_connection_in_a_task_group_does_not_end_the_program(
    loop_factory: Any, run: Any
) -> None:
    async def main() -> str:
        async def handler(sock: Socket) -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(sock.read_line())

        server = await net.create_server(handler).listen(0, '127.0.0.1')
        client = await dial(server)
        while not server._sockets:
            await asyncio.sleep(0)
        await settle()
        client.reset_and_destroy()
        await empty(server)
        await server.close_all()
        assert [one.code for one in run.endings()] == ['ECONNRESET']
        return 'lives'

    assert tailrace.run(main, loop_factory=loop_factory) == 'lives'


def test_bx10_two_handlers_that_fail_are_both_told_of(run: Any) -> None:
    async def main() -> None:
        async def one(sock: Socket) -> None:
            raise KeyError('one')

        async def two(sock: Socket) -> None:
            raise KeyError('two')

        async with listening('tcp', one) as server:
            server.on('connection', two)
            client = await dial(server)
            await client.wait_closed()
            await server.close_all()

    run(main)
    assert sorted(map(str, failures(run))) == ["'one'", "'two'"]


@pytest.mark.parametrize('order', [0, 1])
def test_handler_of_a_connection_that_a_listener_destroys(run: Any, order: int) -> None:
    async def main() -> None:
        ended: list[bool] = []

        async def handler(sock: Socket) -> None:
            try:
                await sock.read_line()
            finally:
                ended.append(True)

        def refuse(sock: Socket) -> None:
            sock.destroy()

        async with listening() as server:
            for listener in [handler, refuse][:: 1 if order else -1]:
                server.on('connection', listener)
            client = await dial(server)
            await client.wait_closed()
            await server.close_all()
            assert ended == [True]

    run(main)


def test_handler_that_fails_in_its_cancellation_is_told_of(run: Any) -> None:
    async def main() -> None:
        async def handler(sock: Socket) -> None:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                raise KeyError('in finally')

        async with listening('tcp', handler) as server:
            client = await dial(server)
            await settle()
            client.destroy()
            while not run.unhandled:
                await asyncio.sleep(0)
            await server.close_all()

    run(main)
    assert [type(error) for error in failures(run)] == [KeyError]


def test_a_connection_that_connects_elsewhere_counts_once(run: Any) -> None:
    async def main() -> None:
        taken: list[Socket] = []
        async with listening('tcp', taken.append) as server, listening() as other:
            client = await dial(server)
            stays = await dial(server)
            while len(taken) < 2:
                await asyncio.sleep(0)
            taken[0].destroy()
            await taken[0].wait_closed()
            assert await server.get_connections() == 1
            await taken[0].connect(place(other))
            taken[0].destroy()
            await taken[0].wait_closed()
            assert await server.get_connections() == 1
            for sock in (client, stays):
                sock.destroy()
                await sock.wait_closed()

    run(main)


# -- async for -----------------------------------------------------------------------------------


def test_listener_that_comes_after_the_loop_was_left_gets_connections(run: Any) -> None:
    async def main() -> None:
        async with listening() as server:
            clients = [_dialled(server) for _ in range(3)]
            async for sock in server:
                sock.end('loop')
                break
            await settle()
            server.on('connection', lambda sock: sock.end('listener'))
            texts = sorted([await client.read_line() for client in clients])
            assert texts == [b'listener', b'listener', b'loop']
            for client in clients:
                client.destroy()

    run(main)


def _dialled(server: Server) -> Socket:
    return net.connect(**place(server))


@pytest.mark.parametrize('kind', ['tcp', 'unix'])
def test_nothing_is_accepted_while_nobody_takes(run: Any, kind: str) -> None:
    async def main() -> None:
        async with listening(kind) as server:
            arrivals = aiter(server)
            clients = [_dialled(server) for _ in range(5)]
            for count in range(1, 6):
                await anext(arrivals)
                await asyncio.sleep(0.005)
                assert await server.get_connections() == count
                # A limit does not wake it, nor does a count or an end.
                server.max_connections = 10
                await settle()
                assert await server.get_connections() == count
            for client in clients:
                client.destroy()

    run(main)


def test_loops_share_and_all_end(run: Any) -> None:
    async def main() -> None:
        taken: list[int] = []

        async def loop(number: int) -> None:
            async for sock in server:
                taken.append(number)
                await settle()
                sock.destroy()

        async with listening() as server:
            loops = [asyncio.ensure_future(loop(i)) for i in range(3)]
            await settle()
            clients = [_dialled(server) for _ in range(9)]
            while len(taken) < 9:
                await asyncio.sleep(0)
            assert set(taken) == {0, 1, 2}
            # One is cancelled while it waits, one fails; the others get what comes.
            loops[0].cancel()
            await asyncio.wait(loops[:1])
            clients.append(_dialled(server))
            while len(taken) < 10:
                await asyncio.sleep(0)
            assert taken[-1] != 0
            server.close()
            await asyncio.wait(loops)
            assert [task.cancelled() for task in loops] == [True, False, False]
            assert [task.result() for task in loops[1:]] == [None, None]
            for client in clients:
                client.on('error', lambda: None)
                client.destroy()
                await client.wait_closed()

    run(main)


def test_a_server_that_listens_again_has_a_new_loop(run: Any) -> None:
    async def main() -> None:
        server = net.create_server()
        for round in range(3):
            await server.listen(0, '127.0.0.1')
            client = _dialled(server)
            async for sock in server:
                sock.end(b'%d' % round)
                server.close()
            assert await client.read_line() == b'%d' % round
            client.destroy()
            await server.wait_closed()

    run(main)


# -- close_all -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'deadline', [-1, float('nan'), float('inf'), '5', True, 2**40, [1]], ids=repr
)
def test_deadlines_that_are_none_leave_the_server_open(run: Any, deadline: Any) -> None:
    async def main() -> None:
        async with listening() as server:
            client = await dial(server)
            await settle()
            with pytest.raises((errors.OutOfRangeError, errors.InvalidArgTypeError)):
                await server.close_all(deadline)
            assert server.listening
            client.destroy()

    run(main)


def test_close_all_twice_at_once(run: Any) -> None:
    async def main() -> None:
        async with listening() as server:
            clients = [await dial(server) for _ in range(3)]
            await settle()
            slow = asyncio.ensure_future(server.close_all(60_000))
            await settle()
            fast = asyncio.ensure_future(server.close_all(1))
            assert sorted(await asyncio.gather(slow, fast)) == [0, 3]
            assert await server.close_all(0) == 0
            for client in clients:
                client.destroy()
                await client.wait_closed()

    run(main)


def test_close_all_spares_the_connections_of_a_new_listen(run: Any) -> None:
    async def main() -> None:
        async with listening('tcp', lambda sock: sock.resume()) as server:
            old = await dial(server)
            await settle()
            closing = asyncio.ensure_future(server.close_all(500))
            await settle()
            await server.listen(0, '127.0.0.1')
            new = await dial(server)
            while await server.get_connections() < 2:
                await asyncio.sleep(0)
            old.resume()
            await old.wait_closed()
            await settle()
            assert await server.get_connections() == 1
            server.close()
            new.end()
            new.resume()
            assert await closing == 1

    run(main)


def test_close_all_with_listeners_that_fail(run: Any) -> None:
    async def main() -> None:
        def fail() -> None:
            raise KeyError('a listener')

        async with listening('tcp', lambda sock: sock.on('close', fail)) as server:
            clients = [await dial(server) for _ in range(2)]
            await settle()
            assert await server.close_all(1) == 2
            for client in clients:
                client.destroy()
                await client.wait_closed()

    run(main)
    assert [type(error) for error in failures(run)] == [KeyError, KeyError]


def test_close_all_waits_for_a_handler_that_outlives_its_connection(run: Any) -> None:
    async def main() -> None:
        steps: list[str] = []

        async def handler(sock: Socket) -> None:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                for _ in range(50):
                    await asyncio.sleep(0)
                steps.append('handler')

        async with listening('tcp', handler) as server:
            client = await dial(server)
            await settle()
            assert await server.close_all(1) == 1
            steps.append('closed')
            assert steps == ['handler', 'closed']
            client.destroy()
            await client.wait_closed()

    run(main)
