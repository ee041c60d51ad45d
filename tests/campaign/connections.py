"""Very many connections, and clients that behave badly on purpose."""

from __future__ import annotations

import asyncio
import errno
import gc
import random
import resource
import socket
import struct
from typing import Any

import tailrace
from tailrace import Socket, net
from tailrace.testing import FakeClock, socket_pair

from .kit import Failures, Figures, client, descriptors, echo, memory, serving, settled

#: KiB that memory may grow after the first tenth, which is the allocator's: the number of objects
#: is looked at as well, and may not grow but for what the interpreter itself keeps.
GROWTH = 16_384
OBJECTS = 200


async def _flat(mode: str, count: int) -> Figures:
    with Failures() as failures:
        async with serving(echo) as server:
            port = server.address().port
            async with client(mode, port, max(100, count // 10)) as warm:
                await warm.result()
            await settled(server)
            before, open_before, objects = memory(), descriptors(), len(gc.get_objects())
            async with client(mode, port, count) as main:
                found = await main.result()
            await settled(server)
            grown, left = memory() - before, descriptors() - open_before
            more = len(gc.get_objects()) - objects
    assert found['lost'] == 0, found
    assert left == 0, f'{left} descriptors left'
    assert grown < GROWTH, f'{grown} KiB more'
    assert more < OBJECTS, f'{more} objects more'
    assert failures.count == 0
    return {
        **found,
        'KiB grown': grown,
        'objects left': max(0, more),
        'descriptors left': left,
        'failures logged': 0,
    }


async def cycles(count: int = 100_000) -> Figures:
    """Connect, echo, close."""
    return await _flat('cycles', count)


async def resets(count: int = 50_000) -> Figures:
    """A reset at once, behind data, behind the answer, inside it."""
    return await _flat('resets', count)


async def flood(count: int = 10_000) -> Figures:
    """Against max_connections = 100: who is inside is served, memory stays, and it goes on."""
    async with serving(echo, max_connections=100) as server:
        port = server.address().port
        dropped = 0

        def drop() -> None:
            nonlocal dropped
            dropped += 1

        server.on('drop', drop)
        inside = await net.connect(port, '127.0.0.1')
        before = memory()
        async with client('flood', port, count) as crowd:
            await crowd.line()
            async with asyncio.timeout(30):
                while dropped < count - 99:
                    await asyncio.sleep(0.005)
            inside.write(b'still here')
            assert await inside.read_exactly(10) == b'still here'
            grown = memory() - before
            found = await crowd.result()
        inside.destroy()
        await settled(server)
        again = await net.connect(port, '127.0.0.1')
        again.write(b'and after')
        assert await again.read_exactly(9) == b'and after'
        again.destroy()
    assert found['kept'] == 99, found
    return {**found, 'dropped': dropped, 'KiB grown': grown}


#: Bytes that a never-reader or a slow sender may cost, beside the kernel's buffers: what its
#: handler has written (one chunk above the high-water mark, at most), and a connection's objects.
PER_CONNECTION = 200_000
CHUNK = 65_536


async def never_readers(count: int = 500) -> Figures:
    """They ask for endless answers and read nothing; others are served."""

    async def pour(sock: Socket) -> None:
        if await sock.read_line() == b'once\n':
            sock.end(b'done')
            return
        while True:
            sock.write(bytes(CHUNK))
            await sock.drain()

    async with serving(pour) as server:
        port = server.address().port
        before = memory()
        async with client('never', port, count) as crowd:
            await crowd.line()
            for _ in range(20):
                await asyncio.sleep(0.05)
            one = await net.connect(port, '127.0.0.1')
            one.write(b'once\n')
            assert await one.read_line() == b'done'
            one.destroy()
            each = (memory() - before) * 1024 // count
            queued = max(sock.writable_length for sock in server._sockets)
            await crowd.result()
        await settled(server)
    assert each < PER_CONNECTION, f'{each} bytes each'
    assert queued <= 2 * CHUNK
    return {'connections': count, 'bytes each': each, 'most queued': queued}


async def slow_senders(count: int = 1000) -> Figures:
    """A byte now and then of a line that never ends; it has a limit, and others are served."""

    async def lines(sock: Socket) -> None:
        while line := await sock.read_line(limit=100_000):
            sock.write(line)

    async with serving(lines) as server:
        port = server.address().port
        before = memory()
        async with client('loris', port, count) as crowd:
            await crowd.line()
            one = await net.connect(port, '127.0.0.1')
            one.write(b'a line\n')
            assert await one.read_line() == b'a line\n'
            one.destroy()
            each = (memory() - before) * 1024 // count
            found = await crowd.result()
        await settled(server)
    assert each < PER_CONNECTION, f'{each} bytes each'
    return {**found, 'bytes each': each}


async def killed_clients(count: int = 30) -> Figures:
    """kill -9 of a client process with 50 busy connections, again and again."""
    with Failures() as failures:
        async with serving(echo) as server:
            for _ in range(count):
                async with client('rude', server.address().port, 50) as crowd:
                    await crowd.line()
                    await asyncio.sleep(0.02)
                    crowd.process.kill()
                    await crowd.process.wait()
                await settled(server)
            left = await server.get_connections()
    assert failures.count == 0
    return {'killed': count, 'connections of each': 50, 'left': left, 'failures logged': 0}


async def no_descriptors(count: int = 200) -> Figures:
    """EMFILE under a crowd, with no 'error' listener: it sheds, tells, and serves again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with serving(echo) as server:
        port = server.address().port
        async with client('flood', port, count) as crowd:
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors() + 10, hard))
            try:
                await crowd.line()
                for _ in range(20):
                    await asyncio.sleep(0.01)
                inside = await server.get_connections()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            found = await crowd.result()
        episodes = server.accept_failures
        await settled(server)
        again = await net.connect(port, '127.0.0.1')
        again.write(b'x')
        assert await again.read_exactly(1) == b'x'
        again.destroy()
    assert episodes > 0
    assert inside < 20
    return {**found, 'episodes told': episodes}


async def accept_errors(count: int = 2000) -> Figures:
    """ENOBUFS, ENOMEM, ENFILE, ECONNABORTED out of accept(2), injected: only ENFILE sheds."""
    from tailrace._handles import listen

    if not str(listen.__file__).endswith('.py'):
        return {'not possible on the compiled build': 1}
    accept = listen.accept
    chance = random.Random(3)
    failed = 0

    def broken(*where: Any) -> Any:
        nonlocal failed
        if chance.random() < 0.02:
            failed += 1
            name = chance.choice(('ENOBUFS', 'ENOMEM', 'ENFILE', 'ECONNABORTED'))
            raise OSError(getattr(errno, name), name)
        return accept(*where)

    listen.accept = broken  # type: ignore[assignment]
    try:
        async with serving(echo) as server:
            async with client('load', server.address().port, count) as main:
                found = await main.result()
            await settled(server)
            told = server.accept_failures
    finally:
        listen.accept = accept
    # ENFILE sheds the connection that waits, as it must: that client sees an end.
    assert found['failed'] <= failed, found
    return {**found, 'injected': failed, 'episodes told': told}


async def _read(sock: Socket) -> None:
    await sock.read_exactly(10**9)


async def _pour(sock: Socket) -> None:
    for _ in range(1000):
        sock.write(bytes(100_000))
        await sock.drain()


async def _half(sock: Socket) -> None:
    sock.end(b'bye')
    await sock.wait_closed()


async def _sleep(sock: Socket) -> None:
    await asyncio.Event().wait()


def _pipe(sock: Socket) -> None:
    sock.pipe(sock)


def _paused(sock: Socket) -> None:
    sock.pause()
    sock.end(bytes(1_000_000))
    tailrace.set_timeout(sock.resume, 5)


STATES = (_read, _pour, _half, _sleep, _pipe, _paused, echo)


async def resets_in_every_state(count: int = 700) -> Figures:
    """Reading, writing, half-closed, sleeping, piping, paused: reset at a random moment."""
    chance = random.Random(7)
    with Failures() as failures:
        for state in STATES:
            async with serving(state, linger=200) as server:
                port = server.address().port
                for _ in range(count // len(STATES)):
                    raw = socket.create_connection(('127.0.0.1', port))
                    raw.sendall(bytes(chance.choice((0, 1, 1000, 100_000))))
                    for _ in range(chance.randrange(6)):
                        await asyncio.sleep(0)
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                    raw.close()
                if state is not _sleep:
                    await settled(server)
    assert failures.count == 0
    return {'resets': count, 'states': len(STATES), 'failures logged': 0, 'hung': 0}


async def half_open(count: int = 200) -> Figures:
    """A peer that is gone without a word, for eight hours of a clock that is moved by hand."""
    ended = 0
    pairs = []
    with FakeClock() as clock:

        def idle(sock: Any) -> None:
            nonlocal ended
            ended += 1
            sock.destroy()

        for _ in range(count):
            near, far = socket_pair()
            near.set_timeout(7_200_000, lambda near=near: idle(near))
            near.resume()
            far.pause()
            pairs.append((near, far))
        await clock.run(7_100_000)
        early = ended
        await clock.run(8 * 3_600_000 - 7_100_000)
    for near, far in pairs:
        assert near.destroyed
        far.destroy()
    assert (early, ended) == (0, count)
    return {'connections': count, 'hours': 8, 'closed by their timeout': ended, 'too early': early}


CHECKS = {
    'cycles': (cycles, 300),
    'resets': (resets, 300),
    'flood': (flood, 400),
    'never-readers': (never_readers, 30),
    'slow senders': (slow_senders, 30),
    'killed clients': (killed_clients, 2),
    'EMFILE': (no_descriptors, 60),
    'ENOBUFS and others': (accept_errors, 150),
    'resets in every state': (resets_in_every_state, 70),
    'half-open for hours': (half_open, 20),
}
