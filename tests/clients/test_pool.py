"""A pool: turns, limits, checks, ages, deadlines, cancellation, and servers that misbehave."""

from __future__ import annotations

import asyncio
import socket as stdlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tailrace import net
from tailrace.clients import Pool, PoolCounts
from tailrace.errors import InvalidArgTypeError, InvalidArgValueError, NodeError, OutOfRangeError
from tailrace.testing import FakeClock, Trace, socket_pair

from ..net.pairs import listening

Settle = Callable[[], Awaitable[None]]


class Peers(list[net.Socket]):
    """Makes connections in memory; itself the other ends."""

    def connect(self) -> Any:
        async def made() -> net.Socket:
            mine, other = socket_pair()
            other.on('error', lambda error: None)
            self.append(other)
            return mine

        return made()

    def destroy(self) -> None:
        for other in self:
            other.destroy()


@asynccontextmanager
async def pool_of(**options: Any) -> AsyncIterator[tuple[Pool, Peers]]:
    peers = Peers()
    try:
        async with Pool(peers.connect, **options) as pool:
            yield pool, peers
        assert pool.counts == PoolCounts(0, 0, 0, 0)
    finally:
        peers.destroy()


def test_connections_are_used_again(run: Any) -> None:
    async def main() -> None:
        async with listening('tcp', lambda sock: sock.pipe(sock)) as server:
            port = server.address()['port']
            async with Pool(lambda: net.connect(port, '127.0.0.1'), size=3) as pool:
                used = set()

                async def ask(number: int) -> None:
                    async with pool.connection() as sock:
                        used.add(sock)
                        sock.write(f'{number}\n')
                        assert await sock.read_line() == f'{number}\n'.encode()

                await asyncio.gather(*map(ask, range(50)))
                assert 1 <= len(used) <= 3
                assert pool.counts == PoolCounts(0, len(used), 0, 0)
                assert f'{len(used)} idle' in repr(pool)

    run(main)


def test_who_waited_longest_is_first(run: Any, settle: Settle) -> None:
    async def main() -> None:
        async with pool_of(size=1) as (pool, peers):
            order: list[int] = []
            first = await pool.acquire()

            async def take(number: int) -> None:
                async with pool.connection():
                    order.append(number)

            tasks = [asyncio.ensure_future(take(number)) for number in range(5)]
            await settle()
            assert pool.counts == PoolCounts(1, 0, 0, 5)
            tasks[2].cancel()
            pool.release(first)
            await asyncio.wait(tasks)
            assert order == [0, 1, 3, 4]
            assert len(peers) == 1

    run(main)


def test_the_event_face(run: Any) -> None:
    async def main() -> None:
        async with pool_of(size=1) as (pool, _):
            trace = Trace().watch(pool, 'open', 'discard', 'close', label='pool')
            got: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            pool.request(lambda error, sock: got.set_result((error, sock)))
            error, sock = await got
            assert error is None
            late: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            pool.request(lambda error, sock: late.set_result((error, sock)), timeout=5)
            error, nothing = await late
            assert (error.code, nothing) == ('ERR_POOL_TIMEOUT', None)
            pool.release(sock)
            await trace.wait_for('pool:open')
        await trace.wait_for('pool:close')
        assert trace.args('pool:discard')[0][1] == 'closed'

    run(main)


def test_deadlines_by_a_fake_clock(run: Any, settle: Settle) -> None:
    async def main() -> None:
        with FakeClock() as clock:
            async with pool_of(size=1) as (pool, _):
                sock = await pool.acquire(timeout=10)
                waiting = asyncio.ensure_future(pool.acquire(timeout=500))
                await settle()
                clock.advance(499)
                await settle()
                assert not waiting.done()
                clock.advance(1)
                with pytest.raises(NodeError) as caught:
                    await waiting
                assert caught.value.code == 'ERR_POOL_TIMEOUT'
                pool.release(sock)
                assert pool.counts.idle == 1

    run(main)


def test_cancelled_in_the_moment_of_its_turn(run: Any, settle: Settle) -> None:
    async def main() -> None:
        async with pool_of(size=1) as (pool, peers):
            sock = await pool.acquire()
            one = asyncio.ensure_future(pool.acquire())
            two = asyncio.ensure_future(pool.acquire())
            await settle()
            pool.release(sock)  # `one` has it, and does not know yet
            one.cancel()
            assert await two is sock
            await asyncio.wait([one])
            assert one.cancelled()
            three = asyncio.ensure_future(pool.acquire())
            await settle()
            three.cancel()  # not told yet either
            pool.release(sock)
            await asyncio.wait([three])
            assert pool.counts == PoolCounts(0, 1, 0, 0)
            assert len(peers) == 1

    run(main)


def test_cancelled_while_connecting_it_serves_the_next(run: Any, settle: Settle) -> None:
    async def main() -> None:
        async with pool_of(size=2) as (pool, peers):
            one = asyncio.ensure_future(pool.acquire())
            await asyncio.sleep(0)
            one.cancel()
            await settle()
            assert pool.counts == PoolCounts(0, 1, 0, 0)
            assert len(peers) == 1

    run(main)


@pytest.mark.parametrize(
    'what', ['unread', 'unwritten', 'ended', 'peer-ended', 'listener', 'error']
)
def test_what_is_not_as_it_was_is_not_lent_again(run: Any, settle: Settle, what: str) -> None:
    async def main() -> None:
        async with pool_of(size=1) as (pool, peers):
            trace = Trace().watch(pool, 'open', 'discard', 'close', label='pool')
            if what == 'error':
                with pytest.raises(KeyError):
                    async with pool.connection() as sock:
                        raise KeyError
            else:
                sock = await pool.acquire()
                if what == 'unread':
                    peers[0].write('unexpected')
                    sock.read(0)
                    await settle()
                elif what == 'unwritten':
                    sock.write(bytes(10_000_000))
                elif what == 'ended':
                    sock.end()
                elif what == 'peer-ended':
                    sock.allow_half_open = True
                    peers[0].end()
                    assert await sock.read_line() == b''
                else:
                    sock.on('data', lambda chunk: None)
                pool.release(sock)
            assert sock.destroyed
            await trace.wait_for('pool:discard')
            other = await pool.acquire()
            assert other is not sock
            pool.release(other)

    run(main)


@pytest.mark.parametrize('what', ['end', 'data', 'reset'])
def test_what_happens_to_an_idle_one(run: Any, settle: Settle, what: str) -> None:
    async def main() -> None:
        async with pool_of() as (pool, peers):
            trace = Trace().watch(pool, 'open', 'discard', 'close', label='pool')
            pool.release(await pool.acquire())
            assert pool.counts.idle == 1
            if what == 'end':
                peers[0].end()
            elif what == 'data':
                peers[0].write('who asked?')
            else:
                peers[0].reset_and_destroy()
            await trace.wait_for('pool:discard')
            assert trace.args('pool:discard')[0][1] == 'broken'
            assert pool.counts == PoolCounts(0, 0, 0, 0)

    run(main)


def test_idle_and_age(run: Any, settle: Settle) -> None:
    async def main() -> None:
        with FakeClock() as clock:
            async with pool_of(max_idle=1000, max_age=2500) as (pool, peers):
                trace = Trace().watch(pool, 'open', 'discard', 'close', label='pool')
                pool.release(await pool.acquire())
                for _ in range(2):
                    clock.advance(900)
                    pool.release(await pool.acquire())
                assert len(peers) == 1
                clock.advance(699)
                assert pool.counts.idle == 1
                clock.advance(1)
                assert trace.args('pool:discard')[0][1] == 'age'
                pool.release(await pool.acquire())
                clock.advance(1000)
                assert trace.args('pool:discard')[1][1] == 'idle'
                sock = await pool.acquire()
                clock.advance(2500)
                pool.release(sock)
                await settle()
                assert trace.args('pool:discard')[2][1] == 'age'
                assert pool.counts.idle == 0

    run(main)


@pytest.mark.parametrize('kind', ['false', 'raises', 'hangs', 'plain'])
def test_checks(run: Any, settle: Settle, kind: str) -> None:
    async def main() -> None:
        good = True
        asked: list[net.Socket] = []

        async def ping(sock: net.Socket) -> bool:
            asked.append(sock)
            if not good and kind == 'raises':
                raise OSError('no answer')
            if not good and kind == 'hangs':
                await asyncio.get_running_loop().create_future()
            return good

        def plain(sock: net.Socket) -> bool:
            asked.append(sock)
            return good

        with FakeClock() as clock:
            check: Any = plain if kind == 'plain' else ping
            async with pool_of(size=1, check=check, connect_timeout=700) as (pool, _):
                first = await pool.acquire()
                assert asked == []  # a new one is not asked
                pool.release(first)
                assert await pool.acquire() is first
                pool.release(first)
                good = False
                waiting = asyncio.ensure_future(pool.acquire())
                await settle()
                if kind == 'hangs':
                    assert not waiting.done()
                    clock.advance(700)
                second = await waiting
                assert second is not first
                assert first.destroyed
                pool.release(second)
                assert len(asked) == 2

    run(main)


def test_a_server_that_refuses(run: Any) -> None:
    with stdlib.create_server(('127.0.0.1', 0)) as sock:
        port = sock.getsockname()[1]

    async def main() -> None:
        async with Pool(lambda: net.connect(port, '127.0.0.1'), size=2) as pool:
            results = await asyncio.gather(
                *(pool.acquire() for _ in range(5)), return_exceptions=True
            )
            assert [getattr(error, 'code', None) for error in results] == ['ECONNREFUSED'] * 5
            assert pool.counts == PoolCounts(0, 0, 0, 0)
            server = net.create_server()
            await server.listen(port, '127.0.0.1')
            pool.release(await pool.acquire())
        await server.close_all(0)

    run(main)


def test_a_server_that_dies(run: Any) -> None:
    async def main() -> None:
        server = net.create_server(lambda sock: sock.pipe(sock))
        await server.listen(0, '127.0.0.1')
        port = server.address()['port']
        async with Pool(lambda: net.connect(port, '127.0.0.1'), size=2) as pool:
            trace = Trace().watch(pool, 'open', 'discard', 'close', label='pool')
            lent = await pool.acquire()
            pool.release(await pool.acquire())
            await server.close_all(0)
            await trace.wait_for('pool:discard')
            with pytest.raises((NodeError, EOFError)):
                await lent.read_exactly(1)
            assert pool.counts.lent == 1
            pool.release(lent)
            assert pool.counts == PoolCounts(0, 0, 0, 0)
            server = net.create_server(lambda sock: sock.pipe(sock))
            await server.listen(port, '127.0.0.1')
            async with pool.connection() as sock:
                sock.write('x\n')
                assert await sock.read_line() == b'x\n'
        await server.close_all(0)

    run(main)


def test_a_connection_that_is_never_made(run: Any, settle: Settle) -> None:
    async def main() -> None:
        async def never() -> Any:
            await asyncio.get_running_loop().create_future()

        with FakeClock() as clock:
            pool = Pool(never, connect_timeout=1000)
            waiting = asyncio.ensure_future(pool.acquire())
            await settle()
            assert pool.counts == PoolCounts(0, 0, 1, 1)
            clock.advance(1000)
            with pytest.raises(NodeError) as caught:
                await waiting
            assert caught.value.code == 'ETIMEDOUT'
            waiting = asyncio.ensure_future(pool.acquire())
            await settle()
            pool.close()
            with pytest.raises(NodeError) as caught:
                await waiting
            assert caught.value.code == 'ERR_POOL_CLOSED'
            await pool.wait_closed()

    run(main)


def test_too_many_waiting(run: Any, settle: Settle) -> None:
    async def main() -> None:
        async with pool_of(size=1, max_waiting=1) as (pool, _):
            sock = await pool.acquire()
            waiting = asyncio.ensure_future(pool.acquire())
            await settle()
            with pytest.raises(NodeError) as caught:
                await pool.acquire()
            assert caught.value.code == 'ERR_POOL_FULL'
            pool.release(sock)
            pool.release(await waiting)

    run(main)


def test_closing_waits_for_what_is_lent(run: Any, settle: Settle) -> None:
    async def main() -> None:
        async with pool_of() as (pool, _):
            sock = await pool.acquire()
            pool.close().close()
            ended = asyncio.ensure_future(pool.wait_closed())
            await settle()
            assert not ended.done()
            with pytest.raises(NodeError) as caught:
                await pool.acquire()
            assert caught.value.code == 'ERR_POOL_CLOSED'
            pool.release(sock)
            await ended
            assert sock.destroyed
            assert pool.closed

    run(main)


def test_wrong_arguments(run: Any) -> None:
    async def main() -> None:
        peers = Peers()
        for make, error in (
            (lambda: Pool(5), InvalidArgTypeError),  # type: ignore[arg-type]
            (lambda: Pool(peers.connect, size=0), OutOfRangeError),
            (lambda: Pool(peers.connect, max_idle=-1), OutOfRangeError),
            (lambda: Pool(peers.connect, check=5), InvalidArgTypeError),  # type: ignore[arg-type]
            (lambda: Pool(peers.connect, max_waiting=-1), OutOfRangeError),
        ):
            with pytest.raises(error):
                make()
        async with pool_of() as (pool, _):
            with pytest.raises(InvalidArgTypeError):
                await pool.acquire(timeout='1')  # type: ignore[arg-type]
            stranger, other = socket_pair()
            with pytest.raises(InvalidArgValueError):
                pool.release(stranger)
            sock = await pool.acquire()
            pool.release(sock)
            with pytest.raises(InvalidArgValueError):
                pool.release(sock)
            stranger.destroy()
            other.destroy()

    run(main)


@pytest.mark.parametrize('seed', range(5))
def test_any_order_loses_nothing(run: Any, settle: Settle, seed: int) -> None:
    import random

    async def main() -> None:
        chance = random.Random(seed)
        async with pool_of(size=3, max_waiting=None) as (pool, peers):

            async def user() -> None:
                for _ in range(20):
                    try:
                        async with pool.connection(timeout=1000) as sock:
                            for _ in range(chance.randrange(3)):
                                await asyncio.sleep(0)
                            if chance.random() < 0.1:
                                raise KeyError
                            if chance.random() < 0.1:
                                sock.destroy()
                    except KeyError:
                        pass

            tasks = [asyncio.ensure_future(user()) for _ in range(10)]
            for _ in range(40):
                await asyncio.sleep(0)
                if chance.random() < 0.1:
                    chance.choice(tasks).cancel()
                if peers and chance.random() < 0.2:
                    chance.choice(peers).destroy()
            await asyncio.wait(tasks)
            await settle()
            assert pool.counts.lent == pool.counts.waiting == pool.counts.opening == 0
            assert pool.counts.idle <= 3

    run(main)


def test_a_listener_that_raises_costs_no_connection(run: Any) -> None:
    async def main() -> None:
        async with pool_of(size=1) as (pool, _):

            def broken(*_: Any) -> None:
                raise KeyError('in a listener')

            pool.on('open', broken).on('discard', broken)
            for _ in range(3):
                async with pool.connection() as sock:
                    sock.destroy()
            pool.off('discard', broken)

    run(main)
    assert {type(one['exception']) for one in run.unhandled} == {KeyError}
    run.unhandled.clear()
