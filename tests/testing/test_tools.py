"""socket_pair with faults, FakeClock and Trace."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

import tailrace
from tailrace import EventEmitter, errors, net, testing
from tailrace.testing import FakeClock, Faults, Trace, socket_pair


def ended(*sockets: Any) -> None:
    for sock in sockets:
        sock.destroy()


# -- faults --------------------------------------------------------------------------------------


def test_a_pair_in_memory_is_two_sockets(run: Any) -> None:
    async def main() -> None:
        one, two = socket_pair(high_water_mark=10)
        assert (one.remote_port, two.remote_port) == (two.local_port, one.local_port)
        assert one.ready_state == 'open'
        assert one.readable_high_water_mark == 10
        one.set_no_delay()
        one.set_keep_alive(True, 1000)
        one.write(b'hello')
        assert await two.read_exactly(5) == b'hello'
        assert (one.bytes_written, two.bytes_read) == (5, 5)
        assert tailrace.active_resources()
        ended(one, two)
        await one.wait_closed()

    run(main)


def test_split_and_short_writes(run: Any) -> None:
    async def main() -> None:
        one, two = socket_pair(Faults(split=3, short_writes=4))
        chunks: list[bytes] = []
        two.on('data', chunks.append)
        assert one.write(b'0123456789')
        assert one._handle.write_queue_size == 6
        one.end()
        await two.wait_closed()
        assert b''.join(chunks) == b'0123456789'
        assert max(map(len, chunks)) == 3

    run(main)


def test_delay_by_the_fake_clock(run: Any) -> None:
    async def main() -> None:
        with FakeClock() as clock:
            one, two = socket_pair(Faults(delay=1000))
            trace = Trace().watch(two, 'data', 'end')
            one.write(b'a')
            await clock.run(500)
            one.end(b'b')
            await clock.run(499)
            assert trace.names == []
            await clock.run(1)
            assert trace.names == ['data']
            await clock.run(500)
            assert trace.names == ['data', 'data', 'end']
            ended(one, two)

    run(main)


@pytest.mark.parametrize('split', [0, 1, 7])
@pytest.mark.parametrize('at', [0, 1, 10])
def test_rst_at_byte_n(run: Any, at: int, split: int) -> None:
    async def main() -> None:
        one, two = socket_pair(Faults(reset_at=at, split=split))
        got = bytearray()
        two.on('data', lambda chunk: got.extend(chunk))
        trace = Trace(one=one, two=two)
        one.on('error', lambda: None)
        two.on('error', lambda: None)
        one.write(bytes(range(20)))
        await one.wait_closed()
        await two.wait_closed()
        assert got == bytes(range(at))
        for label in ('one', 'two'):
            assert isinstance(trace.args(f'{label}:error')[0][0], ConnectionResetError)

    run(main)


def test_lost_at_byte_n_is_silence(run: Any) -> None:
    async def main() -> None:
        with FakeClock() as clock:
            one, two = socket_pair(Faults(lose_at=5))
            got = bytearray()
            two.on('data', lambda chunk: got.extend(chunk))
            trace = Trace().watch(two, 'timeout', 'end', 'close', 'error')
            two.set_timeout(60_000)
            one.end(b'x' * 200_000)
            await clock.run(59_000)
            assert trace.names == []
            assert got == b'x' * 5
            await clock.run(1_000)
            assert trace.names == ['timeout']
            ended(one, two)

    run(main)


def test_ended_at_byte_n(run: Any) -> None:
    async def main() -> None:
        one, two = socket_pair(Faults(end_at=4))
        one.write(b'truncated')
        with pytest.raises(errors.IncompleteReadError) as caught:
            await two.read_exactly(9)
        assert caught.value.partial == b'trun'
        ended(one, two)

    run(main)


def test_reset_and_destroyed_ends(run: Any) -> None:
    async def main() -> None:
        one, two = socket_pair()
        one.reset_and_destroy()
        with pytest.raises(ConnectionResetError):
            await two.read_line()
        one, two = socket_pair()
        two.destroy()
        one.on('error', lambda: None)
        one.write(b'x')
        one.write(b'x')
        await one.wait_closed()
        assert one.errored.code == 'EPIPE'
        one, two = socket_pair(Faults(capacity=10))
        results: list[Any] = []
        two.on('error', lambda: None)
        two.pause()
        one.write(b'x' * 100, lambda error: results.append(error))
        one.destroy()
        await one.wait_closed()
        two.destroy()
        assert len(results) == 1
        assert isinstance(results[0], Exception)

    run(main)


def test_onread_buffers(run: Any) -> None:
    async def main() -> None:
        got: list[bytes] = []
        one, two = socket_pair(
            onread={'buffer': bytearray(4), 'callback': lambda n, b: got.append(bytes(b[:n]))}
        )
        one.end(b'0123456789')
        two.resume()
        await two.wait_closed()
        assert got == [b'0123', b'4567', b'89']
        ended(one)

    run(main)


# -- the clock -----------------------------------------------------------------------------------


def test_timers_fire_in_order_when_the_clock_is_moved(run: Any) -> None:
    async def main() -> None:
        log: list[Any] = []
        with FakeClock() as clock:
            assert clock.next is None
            tailrace.set_timeout(log.append, 200, 'b')
            tailrace.set_timeout(log.append, 100, 'a')
            every = tailrace.set_interval(lambda: log.append(clock.now), 75)
            assert clock.next == pytest.approx(75)
            tailrace.set_timeout(lambda: tailrace.next_tick(log.append, 'tick'), 100)
            clock.advance(150)
            assert log == [pytest.approx(75), 'a', 'tick', pytest.approx(150)]
            clock.advance(timedelta(seconds=0.05))
            assert log[4:] == ['b']
            every.close()
            with pytest.raises(errors.OutOfRangeError):
                clock.advance(-1)
            with pytest.raises(RuntimeError), FakeClock():
                pass

    run(main)


def test_timers_that_are_left_go_on_in_real_time(run: Any) -> None:
    async def main() -> None:
        fired = asyncio.get_running_loop().create_future()
        with FakeClock() as clock:
            tailrace.set_timeout(fired.set_result, 10_000, 'late')
            clock.advance(9_995)
        assert await fired == 'late'

    run(main)


def test_a_timer_from_before_stands_still(run: Any) -> None:
    async def main() -> None:
        log: list[str] = []
        timer = tailrace.set_timeout(log.append, 5, 'x')
        with FakeClock() as clock:
            await asyncio.sleep(0.02)
            assert log == []
            clock.advance(5)
            assert log == ['x']
        timer.close()

    run(main)


def test_deadline_of_close_all_by_the_fake_clock(run: Any) -> None:
    async def main() -> None:
        with FakeClock() as clock:
            closing = asyncio.ensure_future(_close_all_with_deadline())
            for _ in range(2000):
                await asyncio.sleep(0)
                if clock.next is not None:
                    break
            clock.advance(1_000_000)
            assert await closing == 1

    run(main)


async def _close_all_with_deadline() -> int:
    async with await tailrace.create_server().listen(0, '127.0.0.1') as server:
        client = await tailrace.connect(server.address().port, '127.0.0.1')
        await anext(aiter(server))
        count = await server.close_all(1_000_000)
        client.destroy()
        return count


@contextlib.contextmanager
def black_hole(address: str = '127.0.0.1', port: int = 0) -> Iterator[int]:
    """A port where nobody answers: its queue of connections is full, so the kernel drops a SYN."""
    with contextlib.ExitStack() as stack:
        hole = stack.enter_context(socket.socket())
        hole.bind((address, port))
        hole.listen(0)
        # A queue of 0 takes one connection on Linux, more elsewhere.
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
        yield hole.getsockname()[1]


@pytest.mark.skipif(sys.platform != 'linux', reason='fills the queue of a port as Linux has it')
def test_connect_timeout_by_the_fake_clock(run: Any) -> None:
    async def main() -> None:
        with black_hole() as port, FakeClock() as clock:
            sock = net.connect(port, '127.0.0.1', connect_timeout=30_000)
            trace = Trace().watch(sock, 'connectionAttemptTimeout', 'error', 'close')
            sock.on('error', lambda: None)
            await clock.run(29_999)
            assert trace.names == []
            assert sock.connecting
            await clock.run(1)
            with pytest.raises(TimeoutError, match='not connected within 30000 ms'):
                await sock
            await sock.wait_closed()
            assert trace.names == ['connectionAttemptTimeout', 'error', 'close']
            assert clock.next is None

    run(main)


def test_connect_timeout_of_a_lookup_by_the_fake_clock(run: Any) -> None:
    async def main() -> None:
        with FakeClock() as clock:
            sock = net.connect(
                1, 'x.test', lookup=lambda name, options, callback: None, connect_timeout=5_000
            )
            waiting = asyncio.ensure_future(sock._wait_connected())
            await clock.run(4_999)
            assert not waiting.done()
            clock.advance(1)
            with pytest.raises(TimeoutError):
                await waiting
            await sock.wait_closed()

    run(main)


def test_no_connect_timeout_after_the_connection(run: Any) -> None:
    async def main() -> None:
        async with await tailrace.create_server().listen(0, '127.0.0.1') as server:
            with FakeClock() as clock:
                port = server.address().port
                sock = await net.connect(port, '127.0.0.1', connect_timeout=5_000)
                assert clock.next is None
                await clock.run(10_000)
                assert sock.ready_state == 'open'
                ended(sock)
                await server.close_all(0)

    run(main)


@pytest.mark.skipif(sys.platform != 'linux', reason='fills the queue of a port as Linux has it')
@pytest.mark.parametrize('mode', [True, 'race'])
def test_attempt_timeout_by_the_fake_clock(run: Any, mode: Any) -> None:
    def lookup(name: str, options: Any, callback: Any) -> None:
        found = [{'address': f'127.0.0.{n}', 'family': 4} for n in (3, 2, 1)]
        asyncio.get_running_loop().call_soon(callback, None, found)

    async def main() -> None:
        async with await tailrace.create_server().listen(0, '127.0.0.1') as server:
            port = server.address().port
            with (
                black_hole('127.0.0.2', port),
                black_hole('127.0.0.3', port),
                FakeClock() as clock,
            ):
                sock = net.connect(
                    port,
                    'x.test',
                    lookup=lookup,
                    auto_select_family=mode,
                    auto_select_family_attempt_timeout=4_000,
                )
                trace = Trace().watch(sock, 'connectionAttempt', 'connectionAttemptTimeout')
                seen = [['connectionAttempt']]
                for _ in range(2):
                    await clock.run(3_999)
                    assert trace.names == seen[-1]
                    clock.advance(1)
                    gone = [] if mode == 'race' else ['connectionAttemptTimeout']
                    seen.append([*seen[-1], *gone, 'connectionAttempt'])
                    assert trace.names == seen[-1]
                # The last one has no limit, and connects.
                await sock
                assert sock.remote_address == '127.0.0.1'
                assert trace.names == seen[-1]
                assert clock.next is None
                ended(sock)
                await server.close_all(0)

    run(main)


def test_idle_timeout_by_the_fake_clock(run: Any) -> None:
    async def main() -> None:
        with FakeClock() as clock:
            one, two = socket_pair()
            trace = Trace().watch(one, 'timeout')
            two.resume()
            one.set_timeout(timedelta(seconds=60))
            for _ in range(3):
                await clock.run(59_000)
                one.write(b'still here')
                await clock.run(0)
            assert trace.count('timeout') == 0
            two.write(b'what comes in counts too')
            one.resume()
            await clock.run(59_999)
            assert trace.count('timeout') == 0
            await clock.run(1)
            assert trace.count('timeout') == 1
            await clock.run(120_000)
            assert trace.count('timeout') == 1  # once for each silence
            one.write(b'and again')
            await clock.run(60_000)
            assert trace.count('timeout') == 2
            one.set_timeout(0)
            assert clock.next is None
            ended(one, two)

    run(main)


@pytest.mark.skipif(sys.platform != 'linux', reason='fills the queue of a port as Linux has it')
def test_idle_timeout_while_connecting_by_the_fake_clock(run: Any) -> None:
    async def main() -> None:
        with black_hole() as port, FakeClock() as clock:
            sock = net.connect(port, '127.0.0.1', timeout=1_000)
            trace = Trace().watch(sock, 'timeout')
            await clock.run(999)
            assert trace.names == []
            await clock.run(1)
            assert trace.names == ['timeout']
            assert sock.connecting
            ended(sock)
            await sock.wait_closed()

    run(main)


# -- the trace -----------------------------------------------------------------------------------


def test_trace_records_without_handling(run: Any) -> None:
    async def main() -> None:
        one, two = await testing.tcp_pair()
        trace = Trace(two, one=one)
        assert two.readable_flowing is None
        one.end()
        await trace.wait_for('close')
        await trace.wait_for('one:close')
        assert trace.names.index('end') < trace.names.index('close')
        assert trace.count('one:finish') == 1
        assert trace.args('close') == [(False,)]
        assert 'one:close' in repr(trace)
        emitter = EventEmitter()
        trace = Trace(emitter)
        with pytest.raises(KeyError):
            emitter.emit('error', KeyError('unheard'))
        assert trace.names == ['error']
        trace.stop()
        assert emitter.event_names() == []

    run(main)


def test_an_end_in_the_middle_leaves_the_other_direction_whole(run: Any) -> None:
    """What was written beyond it vanishes, however much: as unread data it would reset."""

    async def main() -> None:
        client, server = socket_pair(Faults(end_at=3), allow_half_open=True)
        client.write(b'hello' + bytes(200_000))
        client.end()
        assert [x async for x in server.iterator(destroy_on_return=False)] == [b'hel']
        server.end(b'answer')
        assert [x async for x in client] == [b'answer']
        for sock in (client, server):
            await sock.wait_closed()

    run(main)
