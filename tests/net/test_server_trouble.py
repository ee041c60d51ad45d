"""What can go wrong around a server, and what must not come of it.

Listeners that raise, no descriptors, closing in the middle of a burst, collection while listening.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import tailrace
from tailrace import net

from .serving import Heard, client, echo, server_on, started, stopped, turns


class BoomError(Exception):
    pass


async def taken(run: Any) -> Any:
    """Wait for one unhandled failure, take it out of the list and return its exception."""
    while not run.unhandled:
        await asyncio.sleep(0)
    (one,) = run.unhandled
    run.unhandled.clear()
    return one['exception']


# -- listeners that fail (GEN-12, GEN-13, BX-10) --------------------------------------------------


def test_gen12_exception_of_a_connection_listener_costs_only_that_connection(run: Any) -> None:
    async def main() -> None:
        server = net.create_server()
        socks = []

        def listener(sock: Any) -> None:
            socks.append(sock)
            if len(socks) == 1:
                raise BoomError('first')
            sock.pipe(sock)

        server.on('connection', listener)
        port = await started(server)
        async with client(port) as one:
            assert await one.rest() == b''
            assert isinstance(await taken(run), BoomError)
        assert socks[0].destroyed
        async with client(port) as two:
            assert await two.ask(b'goes on') == b'goes on'
        await stopped(server)
        assert run.unhandled == []

    run(main)


@pytest.mark.parametrize('event', ['data', 'end', 'close'])
def test_gen12_exception_of_a_socket_listener_is_told_once(run: Any, event: str) -> None:
    async def main() -> None:
        server, heard = server_on()

        def listener(sock: Any) -> None:
            def fail(*_: Any) -> None:
                raise BoomError(event)

            sock.on(event, fail)
            sock.resume()

        server.on('connection', listener)
        port = await started(server)
        async with client(port) as one:
            one.writer.write(b'x')
            one.writer.write_eof()
            await one.rest()
        assert isinstance(await taken(run), BoomError)
        await stopped(server)
        assert heard.all('connection')[0].destroyed

    run(main)


def test_gen12_exception_of_a_listening_listener_leaves_the_server_listening(run: Any) -> None:
    async def main() -> None:
        server = net.create_server(echo)

        def fail() -> None:
            raise BoomError

        server.listen(0, fail)
        assert isinstance(await taken(run), BoomError)
        async with client(server.address().port) as one:
            assert await one.ask(b'x') == b'x'
        await stopped(server)

    run(main)


def test_gen12_listen_error_without_listener_reaches_the_loop_once(run: Any) -> None:
    async def main() -> None:
        first = await net.create_server().listen(port=0, host='127.0.0.1')
        second = net.create_server()
        second.listen(port=first.address().port, host='127.0.0.1')
        error = await taken(run)
        assert (error.code, error.syscall) == ('EADDRINUSE', 'listen')
        await second.listen(0)
        await stopped(second)
        await stopped(first)

    run(main)


def test_bx10_failing_coroutine_listener_destroys_its_socket_with_the_error(run: Any) -> None:
    async def main() -> None:
        heard = Heard()

        async def handler(sock: Any) -> None:
            sock.on('error', heard.to('error'))
            sock.on('close', heard.to('close'))
            await asyncio.sleep(0)
            raise BoomError

        server = net.create_server(handler)
        port = await started(server)
        async with client(port) as one:
            assert await one.rest() == b''
        await heard.until('close')
        assert heard.names == ['error', 'close']
        assert isinstance(heard[0][1], BoomError)
        assert heard[1] == ('close', True)
        await stopped(server)

    run(main)


def test_bx10_without_an_error_listener_it_is_an_uncaught_error_once(run: Any) -> None:
    async def main() -> None:
        async def handler(sock: Any) -> None:
            raise BoomError

        server = net.create_server(handler)
        port = await started(server)
        async with client(port) as one:
            assert await one.rest() == b''
        assert isinstance(await taken(run), BoomError)
        await stopped(server)

    run(main)


def test_bx10_failure_after_the_socket_was_destroyed_is_not_lost(run: Any) -> None:
    async def main() -> None:
        async def handler(sock: Any) -> None:
            sock.destroy()
            await asyncio.sleep(0)
            raise BoomError

        server = net.create_server(handler)
        port = await started(server)
        async with client(port) as one:
            await one.rest()
        assert isinstance(await taken(run), BoomError)
        await stopped(server)

    run(main)


def test_bx10_reset_of_a_client_under_async_for_is_told_once_and_ends_nothing(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()

        async def handler(sock: Any) -> None:
            async for chunk in sock:
                sock.write(chunk)

        server.on('connection', handler)
        port = await started(server)
        with socket.create_connection(('127.0.0.1', port)) as raw:
            sock = await heard.until('connection')
            closed = Heard(sock, 'close')
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
        await closed.until('close')
        await turns()
        assert sock.errored.code == 'ECONNRESET'
        assert server.listening
        await stopped(server)

    run(main)
    assert [error.code for error in run.endings()] == ['ECONNRESET']


def test_bx10_a_socket_destroyed_under_its_async_for_is_no_uncaught_error(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        ended = asyncio.Event()

        async def handler(sock: Any) -> None:
            try:
                async for _ in sock:
                    pass
            finally:
                ended.set()

        server.on('connection', handler)
        port = await started(server)
        async with client(port):
            (await heard.until('connection')).destroy()
            await ended.wait()
        await stopped(server)
        assert run.unhandled == []

    run(main)


def test_bx10_a_coroutine_listener_of_another_event_fails_as_an_error_of_the_server(
    run: Any,
) -> None:
    async def main() -> None:
        server, heard = server_on()

        async def fail() -> None:
            raise BoomError

        server.on('listening', fail)
        server.listen(0)
        assert isinstance(await heard.until('error'), BoomError)
        await stopped(server)

    run(main)


def test_gen13_coroutine_listener_runs_once_per_connection(run: Any) -> None:
    async def main() -> None:
        async def handler(sock: Any) -> None:
            heard.to('handled')(sock)
            async for chunk in sock:
                sock.write(chunk)
            sock.end()

        server = net.create_server(handler)
        heard = Heard()
        port = await started(server)
        async with client(port) as one, client(port) as two:
            assert await one.ask(b'1') == b'1'
            assert await two.ask(b'2') == b'2'
        await heard.until('handled', 2)
        await stopped(server)
        assert len(heard) == 2

    run(main)


# -- no descriptors (AM-70) -----------------------------------------------------------------------


@contextmanager
def no_descriptors(but: int = 0) -> Iterator[None]:
    """The process has room for ``but`` more descriptors only."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = os.dup(0)
    os.close(highest)
    held = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, highest + 40), hard))
        try:
            while True:
                held.append(os.dup(0))
        except OSError:
            pass
        for _ in range(but):
            os.close(held.pop())
        yield
    finally:
        for fd in held:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_am70_without_descriptors_one_error_and_service_goes_on(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        server.on('connection', echo)
        port = await started(server)
        raw = [socket.socket() for _ in range(3)]
        with no_descriptors():
            for one in raw:
                one.setblocking(False)
                one.connect_ex(('127.0.0.1', port))
            error = await heard.until('error')
            for one in raw:  # each is closed by the server, none waits for ever
                while True:
                    try:
                        assert one.recv(1) == b''
                        break
                    except (BlockingIOError, OSError) as refused:
                        if isinstance(refused, ConnectionError):
                            break
                        await asyncio.sleep(0)
            assert server.listening
        assert (error.code, error.syscall) == ('EMFILE', 'accept')
        assert heard.names.count('error') == 1
        async with client(port) as one_more:
            assert await one_more.ask(b'x') == b'x'
        for one in raw:
            one.close()
        await stopped(server)

    run(main)


def test_am70_without_an_error_listener_it_is_logged_and_service_goes_on(run: Any) -> None:
    async def main() -> None:
        server = net.create_server(echo)
        port = await started(server)
        raw = socket.socket()
        raw.setblocking(False)
        with no_descriptors():
            raw.connect_ex(('127.0.0.1', port))
            while not run.logged:
                await asyncio.sleep(0)
        assert 'EMFILE' in run.logged[0].getMessage()
        assert server.accept_failures == 1
        raw.close()
        async with client(port) as one:
            assert await one.ask(b'x') == b'x'
        await stopped(server)

    run(main)


@pytest.mark.parametrize('how', ['port', 'host', 'path', 'handle', 'server'])
def test_listen_without_descriptors_is_an_error_event(run: Any, tmp_path: Path, how: str) -> None:
    async def main() -> None:
        other = await net.create_server().listen(0)
        bound = socket.create_server(('127.0.0.1', 0))
        path = tmp_path / 's'
        server, heard = server_on()
        call: dict[str, Any] = {
            'port': {'port': 0},
            'host': {'port': 0, 'host': '127.0.0.1'},
            'path': {'path': str(path)},
            'handle': {'handle': bound},
            'server': {'handle': other},
        }[how]
        with no_descriptors():
            server.listen(**call)
            assert (await heard.until('error')).code == 'EMFILE'
        assert not server.listening
        assert not path.exists()
        await server.listen(**call)
        await stopped(server)
        bound.close()
        await stopped(other)

    run(main)


# -- closing in the middle ------------------------------------------------------------------------


def test_close_inside_the_first_connection_of_a_burst(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        server.on('connection', lambda sock: (server.close(), sock.end()))
        port = await started(server)
        raw = [socket.create_connection(('127.0.0.1', port)) for _ in range(8)]
        sock = await heard.until('connection')
        sock.resume()
        for one in raw:
            one.close()
        await heard.until('close')
        await turns()
        assert heard.names == ['listening', 'connection', 'close']

    run(main)


def test_close_and_listen_inside_the_first_connection_of_a_burst(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        server.once('connection', lambda sock: (server.close(), server.listen(0)))
        server.on('connection', lambda sock: sock.end())
        port = await started(server)
        raw = [socket.create_connection(('127.0.0.1', port)) for _ in range(4)]
        await heard.until('listening', 2)
        again = server.address().port
        assert again != port
        for one in raw:
            one.close()
        heard.all('connection')[0].destroy()
        async with client(again) as one:
            assert await one.rest() == b''
            heard.all('connection')[-1].destroy()
        await stopped(server)
        assert heard.names.count('connection') == 2

    run(main)


def test_destroying_every_socket_in_its_listener_keeps_the_count_right(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        server.on('connection', lambda sock: (sock.destroy(), sock.destroy()))
        port = await started(server)
        for _ in range(3):
            async with client(port) as one:
                assert await one.rest() == b''
        assert await server.get_connections() == 0
        await stopped(server)
        assert heard.names.count('close') == 1

    run(main)


def test_close_with_many_connections_emits_one_close_after_the_last(run: Any) -> None:
    async def main() -> None:
        count = 200
        server, heard = server_on()
        port = await started(server)
        raw = []
        for _ in range(count):
            raw.append(socket.create_connection(('127.0.0.1', port)))
            await asyncio.sleep(0)
        await heard.until('connection', count)
        closes = Heard()
        for sock in heard.all('connection'):
            sock.on('close', closes.to('close'))
            sock.resume()
        server.close()
        for one in raw[:-1]:
            one.close()
        await closes.until('close', count - 1)
        await turns()
        assert 'close' not in heard.names
        assert await server.get_connections() == 1
        raw[-1].close()
        await heard.until('close')
        await turns()
        assert heard.names.count('close') == 1

    run(main)


def test_broken_attributes_lose_one_connection_and_no_descriptor(run: Any) -> None:
    async def main() -> None:
        server = net.create_server(echo)
        port = await started(server)
        for name, bad in (('block_list', 'x'), ('high_water_mark', 'x')):
            good = getattr(server, name)
            setattr(server, name, bad)
            async with client(port) as one:
                assert await one.rest() == b''
                assert isinstance(await taken(run), (AttributeError, TypeError))
            setattr(server, name, good)
        async with client(port) as one:
            assert await one.ask(b'x') == b'x'
        await stopped(server)
        assert await server.get_connections() == 0

    run(main)


# -- the end of the loop and of the object --------------------------------------------------------


def test_listening_server_that_is_forgotten_gives_a_resource_warning() -> None:
    async def main() -> None:
        await net.create_server().listen(0)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        asyncio.run(main())
        gc.collect()
    assert [w.category for w in caught if 'unclosed handle tcp' in str(w.message)] == [
        ResourceWarning
    ]


def test_close_after_the_end_of_the_loop_frees_the_descriptor(tmp_path: Path) -> None:
    async def main() -> Any:
        return await net.create_server().listen(str(tmp_path / 's'))

    server = asyncio.run(main())
    assert (tmp_path / 's').exists()
    server.close()
    assert not server.listening
    assert not (tmp_path / 's').exists()


def test_server_made_before_the_loop_listens_once_it_runs(loop_factory: Any) -> None:
    heard = Heard()
    server = net.create_server(lambda sock: sock.end('late'))
    server.listen(port=0, callback=heard.to('listening'))
    port = server.address().port
    assert heard == []

    async def main() -> bytes:
        async with client(port) as one:
            got = await one.rest()
        server.close()
        return got

    assert tailrace.run(main, loop_factory=loop_factory) == b'late'
    assert heard == [('listening',)]
