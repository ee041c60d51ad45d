"""The figures of a server and of the process."""

from __future__ import annotations

import asyncio
import pickle
import socket
import struct
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import tailrace
from tailrace import diagnostics, errors, net
from tailrace.testing import FakeClock

from .serving import Heard, client, echo, free_port, server_on, started, stopped, turns


def since(before: Any, after: Any, name: str) -> int:
    return int(getattr(after, name) - getattr(before, name))


async def closed(server: net.Server, count: int) -> None:
    while server.stats().accepted - server.stats().open < count:
        await turns()


def test_what_a_server_has_done(run: Any) -> None:
    async def main() -> None:
        server, _heard = server_on(max_connections=2)
        server.on('connection', echo)
        assert server.stats().accepted == 0
        port = await started(server)
        async with client(port) as one, client(port) as two:
            await one.ask(b'x' * 10)
            await two.ask(b'y' * 7)
            async with client(port) as three:
                assert await three.rest() == b''
            now = server.stats()
            assert (now.accepted, now.open) == (2, 2)
            assert now.rejected == {'maxConnections': 1}
            assert (now.bytes_read, now.bytes_written, now.queued_bytes) == (17, 17, 0)
        await closed(server, 2)
        now = server.stats()
        assert (now.accepted, now.open, now.bytes_read, now.bytesWritten) == (2, 0, 17, 17)
        assert now.errors == {}
        assert (now.resets, now.timeouts, now.handed_over, now.accept_failures) == (0, 0, 0, 0)
        await stopped(server)
        assert server.stats() == now if now.accept_queue is None else True

    run(main)


def test_errors_and_resets(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on(on_error=lambda: None)
        port = await started(server)
        raw = socket.create_connection(('127.0.0.1', port))
        sock = await heard.until('connection')
        sock.resume()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        raw.close()
        await closed(server, 1)
        with socket.create_connection(('127.0.0.1', port)):
            (await heard.until('connection', 2)).destroy(ValueError('mine'))
            await closed(server, 2)
        now = server.stats()
        assert now.resets == 1
        assert now.errors == {'ECONNRESET': 1, 'ValueError': 1}
        await stopped(server)

    run(main)


def test_idle_timeouts_are_counted(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        port = await started(server)
        async with client(port):
            sock = await heard.until('connection')
            told = Heard(sock, 'timeout')
            sock.set_timeout(1)
            await told.until('timeout')
            assert server.stats().timeouts >= 1
            sock.destroy()
        await stopped(server)

    run(main)


def test_what_waits(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        server, heard = server_on(pause_on_connect=True)
        path = str(tmp_path / 's')
        await started(server, path)
        async with client(path):
            sock = await heard.until('connection')
            sock.write(b'x' * 10_000_000)
            sock.unshift(b'yy')
            assert server.stats().queued_bytes >= 1_000_000
            assert server.stats().bytes_written == 10_000_000
            assert server.stats().accept_queue is None
            sock.destroy()
        await stopped(server)

    run(main)


def test_the_queue_of_the_system(run: Any) -> None:
    async def main() -> None:
        server, _ = server_on()
        server.pause_accepting()
        port = await started(server)
        assert server.stats().accept_queue in (0, None)
        async with client(port), client(port):
            assert server.stats().accept_queue in (2, None)
            server.close()

    run(main)


def test_clients_and_the_process(run: Any) -> None:
    async def main() -> None:
        before = tailrace.stats()
        port, taken = free_port()
        taken.close()
        with pytest.raises(ConnectionRefusedError):
            await net.connect(port, '127.0.0.1')
        server, _ = server_on()
        server.on('connection', echo)
        where = await started(server)
        sock = await net.connect(where, '127.0.0.1')
        sock.write(b'hello')
        assert await sock.read_exactly(5) == b'hello'
        now = tailrace.stats()
        assert now.servers == before.servers + 1
        assert since(before.client, now.client, 'attempts') == 2
        assert since(before.client, now.client, 'connected') == 1
        assert since(before.client, now.client, 'failed') == 1
        assert since(before.client, now.client, 'open') == 1
        assert since(before.client, now.client, 'bytes_read') == 5
        assert since(before.server, now.server, 'bytes_read') == 5
        assert now.client.errors['ECONNREFUSED'] > before.client.errors.get('ECONNREFUSED', 0)
        sock.destroy()
        await closed(server, 1)
        await stopped(server)
        over = tailrace.stats()
        assert over.servers == before.servers
        assert since(before.client, over.client, 'open') == 0
        assert since(before.client, over.client, 'bytes_written') == 5
        assert since(before.server, over.server, 'accepted') == 1
        assert since(before.server, over.server, 'bytes_written') == 5

    run(main)


def test_a_server_that_listens_again_is_counted_once(run: Any) -> None:
    async def main() -> None:
        before = tailrace.stats().server
        server, _ = server_on()
        server.on('connection', echo)
        for number in (1, 2):
            port = await started(server)
            async with client(port) as one:
                await one.ask(b'abc')
            await closed(server, number)
            assert since(before, tailrace.stats().server, 'accepted') == number
            await stopped(server)
            assert since(before, tailrace.stats().server, 'accepted') == number
            assert since(before, tailrace.stats().server, 'bytes_read') == 3 * number
            assert server.stats().accepted == number

    run(main)


def test_a_socket_that_fails_to_connect_is_no_open_client(run: Any) -> None:
    async def main() -> None:
        before = tailrace.stats().client.open
        sock = net.connect(1, '127.0.0.1')
        told = Heard(sock, 'error', 'close')
        sock.destroy()
        await told.until('close')
        assert tailrace.stats().client.open == before

    run(main)


def test_figures_of_other_threads_are_there(run: Any) -> None:
    async def main() -> None:
        before = tailrace.stats()
        server, _ = server_on()
        server.on('connection', echo)
        port = await started(server)

        async def visit() -> None:
            sock = await net.connect(port, '127.0.0.1')
            sock.end(b'x')
            assert await sock.read_exactly(1) == b'x'
            await sock.wait_closed()

        done = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()

        def other() -> None:
            for _ in range(5):
                asyncio.run(visit())
            loop.call_soon_threadsafe(done.set_result, None)

        thread = threading.Thread(target=other)
        thread.start()
        await done
        thread.join()
        now = tailrace.stats()
        assert since(before.client, now.client, 'connected') == 5
        assert since(before.client, now.client, 'bytes_read') == 5
        await stopped(server)

    run(main)


def test_a_record_is_a_value() -> None:
    one, other = net.create_server().stats(), net.create_server().stats()
    assert one == other
    assert one != tailrace.stats()
    assert pickle.loads(pickle.dumps(one)) == one
    assert repr(one).startswith('Stats(accepted=0, open=0, handed_over=0, rejected={}')
    with pytest.raises(AttributeError):
        one.accepted = 5
    with pytest.raises(AttributeError):
        del one.accepted
    with pytest.raises(TypeError):
        hash(one)
    assert one.as_dict()['bytes_read'] == 0 == one.bytesRead
    whole = tailrace.stats().as_dict()
    assert set(whole) == {
        *('servers', 'server', 'client', 'loop_delay', 'loop_delay_max'),
        *('accept_delay', 'accept_delay_max'),
    }
    assert type(whole['server']['rejected']) is dict
    assert whole['client'].keys() == set(diagnostics.ClientStats._fields)


# -- the delay of the loop ------------------------------------------------------------------------


def test_the_delay_of_the_loop(run: Any) -> None:
    async def main() -> None:
        with FakeClock() as clock:
            delay = diagnostics.monitor_event_loop_delay(resolution=100)
            assert tailrace.stats().loop_delay is None
            assert (delay.mean, delay.max, delay.percentile(50)) == (0, 0, 0)
            assert delay.enable() is True
            assert delay.enable() is False
            assert 'enabled' in repr(delay)
            clock.advance(100)
            assert delay.count == 1
            assert delay.max == pytest.approx(0, abs=0.01)
            delay._due -= 0.05  # the loop is held up
            clock.advance(100)
            assert delay.max == pytest.approx(50, abs=0.1)
            assert delay.mean == pytest.approx(25, abs=0.1)
            assert delay.percentile(50) == pytest.approx(0, abs=0.1)
            assert delay.percentile(100) == delay.max
            assert tailrace.stats().loop_delay == delay.mean
            assert tailrace.stats().loopDelayMax == delay.max
            delay.reset()
            assert delay.count == 0
            assert delay.disable() is True
            assert delay.disable() is False
            assert tailrace.stats().loop_delay is None

    run(main)


def test_wrong_arguments_of_the_monitor() -> None:
    for value, code in (('x', 'ERR_INVALID_ARG_TYPE'), (0, 'ERR_OUT_OF_RANGE')):
        with pytest.raises(errors.NodeError) as caught:
            diagnostics.monitor_event_loop_delay(value)  # type: ignore[arg-type]
        assert caught.value.code == code
    for value in (-1, 101):
        with pytest.raises(errors.NodeError) as caught:
            diagnostics.monitorEventLoopDelay().percentile(value)
        assert caught.value.code == 'ERR_OUT_OF_RANGE'


def test_how_long_connections_wait_to_be_accepted(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        monitor = diagnostics.monitor_accept_delay()
        assert tailrace.stats().accept_delay is None
        assert monitor.enable()
        assert not monitor.enable()
        server, heard = server_on()
        port = await started(server)
        local, _ = server_on()
        await local.listen(str(tmp_path / 'sock'))
        server.pause_accepting()
        async with client(port):
            await asyncio.sleep(0.05)  # the time is what is measured
            server.resume_accepting()
            await heard.until('connection')
        async with client(str(tmp_path / 'sock')):
            pass
        if sys.platform == 'linux':
            assert monitor.count == 1
            assert monitor.max >= monitor.mean > 0
        assert tailrace.stats().accept_delay == monitor.mean
        assert tailrace.stats().accept_delay_max == monitor.max
        assert repr(monitor).startswith(f'<AcceptDelay enabled, {monitor.count} delays')
        assert monitor.disable()
        assert not monitor.disable()
        assert tailrace.stats().accept_delay is None
        async with client(port):
            await heard.until('connection', 2)
        assert monitor.count == (sys.platform == 'linux')
        monitor.reset()
        assert (monitor.count, monitor.max) == (0, 0)
        await stopped(server)
        await stopped(local)

    run(main)
