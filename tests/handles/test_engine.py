"""The engine: readiness, and deferred callbacks, in order, once, also around failures."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct

import pytest

from tailrace._handles import engine as engine_module
from tailrace._handles import make
from tailrace._handles.engine import READ, Watched, engine_of
from tailrace._runtime import Runtime, current


def test_deferred_calls_share_one_wake_up_and_keep_order(run, make_log):
    async def main():
        log = make_log()
        runtime = current()
        engine = engine_of(runtime)
        assert engine_of(runtime) is engine

        def first():
            log.add(1)
            engine.defer(log.add, ('next iteration',), None)
            asyncio.get_running_loop().call_soon(log.add, 'between')

        engine.defer(first, (), None)
        engine.defer(log.add, (2,), None)
        assert engine in runtime.holders
        assert engine.describe() == ('callbacks', '2')
        await log.until('next iteration')
        assert log[:2] == [1, 2]
        await asyncio.sleep(0)
        assert engine not in runtime.holders

    run(main)


def test_a_failing_deferred_call_does_not_stop_the_rest(run, make_log):
    async def main():
        log = make_log()
        engine = engine_of(current())
        engine.defer(lambda: 1 / 0, (), 'who')
        engine.defer(log.add, (2,), None)
        await log.until(2)
        (context,) = run.unhandled
        assert context['source'] == 'who'
        run.unhandled.clear()

    run(main)


def test_an_interrupt_loses_nothing(make_log):
    log = make_log()
    loop = asyncio.new_event_loop()
    runtime = Runtime()
    runtime.attach(loop)
    engine = engine_of(runtime)

    def interrupt():
        raise KeyboardInterrupt

    engine.defer(interrupt, (), None)
    engine.defer(log.add, ('rest',), None)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    assert engine in runtime.holders
    loop.run_until_complete(log.until('rest'))
    assert engine not in runtime.holders
    loop.close()
    engine.defer(pytest.fail, ('a closed loop calls nobody',), None)
    assert engine not in runtime.holders


class Probe(Watched):
    """A watched descriptor that logs its events; each may be followed by an action."""

    def __init__(self, log, name, sock, then=None):
        super().__init__(current())
        self.log, self.name, self.then = log, name, then
        self.sock = sock
        self.fd = sock.fileno()

    def ready_to_read(self):
        if self.then is not None:
            self.then(self)
        self.log.add(self.name)


@pytest.fixture
def pairs():
    made = []

    def pair():
        made.extend(socket.socketpair())
        return made[-2:]

    yield pair
    for sock in made:
        sock.close()


def reset_behind(data, sock):
    """Send data and, before anybody can have read it, a reset."""
    sock.sendall(data)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    sock.close()


def test_a_reset_behind_data_is_seen(run, ends, make_log):
    # Both are there at the first look: libuv reports them once and stops polling.
    async def main():
        log = make_log()
        handle, other = ends('tcp', log)
        handle.read_start()
        reset_behind(b'data', other)
        await log.until(('error', errno.ECONNRESET))
        assert log == [('read', b'data'), ('error', errno.ECONNRESET)]
        assert not handle.reading
        handle.close()

    run(main)


def test_a_reset_behind_data_waits_for_a_reader(run, ends, make_log):
    async def main():
        log = make_log()
        handle, other = ends('tcp', log)
        handle.read_start()
        handle.read_stop()
        reset_behind(b'data', other)
        for _ in range(5):
            await asyncio.sleep(0)
        assert log == []
        handle.read_start()
        await log.until(('error', errno.ECONNRESET))
        assert log == [('read', b'data'), ('error', errno.ECONNRESET)]
        handle.close()

    run(main)


def test_an_engine_with_nothing_to_watch_holds_no_descriptor(run, ends):
    async def main():
        engine = engine_of(current())
        before = set(os.listdir('/dev/fd'))
        (one, _), (two, _) = ends('tcp'), ends('pipe')
        idle = set(os.listdir('/dev/fd'))
        one.read_start()
        two.read_start()
        assert len(set(os.listdir('/dev/fd'))) == len(idle) + 1
        one.close()
        two.read_stop()
        assert len(set(os.listdir('/dev/fd'))) == len(idle) - 1
        two.read_start()
        two.close()
        assert set(os.listdir('/dev/fd')) - before == {str(sock.fileno()) for sock in ends.raw}
        assert engine.describe() == ('callbacks', '0')

    if not engine_module.HAS_EPOLL:
        pytest.skip('no epoll')
    run(main)


def test_an_event_of_a_closed_descriptor_does_not_reach_its_successor(run, pairs, make_log):
    async def main():
        log = make_log()
        engine = engine_of(current())
        probes = []

        def replace_other(probe):
            if len(probes) > 2:
                return
            (other,) = (p for p in probes if p is not probe)
            fd = other.fd
            engine.watch(other, 0)
            silent, _ = pairs()
            os.dup2(silent.fileno(), fd)
            successor = Probe(log, 'successor', other.sock)
            probes.append(successor)
            engine.watch(successor, READ)
            engine.watch(probe, 0)

        for name in ('one', 'two'):
            ours, theirs = pairs()
            theirs.send(b'x')
            probes.append(Probe(log, name, ours, replace_other))
        for probe in probes[:]:
            engine.watch(probe, READ)
        await log.until(lambda log: log)
        await asyncio.sleep(0)
        assert len(log) == 1
        assert log[0] in ('one', 'two')
        engine.watch(probes[2], 0)

    run(main)


@pytest.mark.interpreted
def test_more_events_than_a_batch(run, pairs, make_log, monkeypatch):
    monkeypatch.setattr(engine_module, 'BATCH', 2)

    async def main():
        log = make_log()
        engine = engine_of(current())
        for name in range(7):
            ours, theirs = pairs()
            theirs.send(b'x')
            engine.watch(Probe(log, name, ours, lambda probe: engine.watch(probe, 0)), READ)
        await log.until(lambda log: len(log) == 7)
        assert sorted(log) == list(range(7))

    run(main)


@pytest.mark.interpreted
def test_without_epoll_the_loop_watches(run, ends, make_log, monkeypatch):
    monkeypatch.setattr(engine_module, 'HAS_EPOLL', False)

    async def main():
        log = make_log()
        before = len(os.listdir('/dev/fd'))
        handle, other = ends('tcp', log)
        handle.read_start()
        assert len(os.listdir('/dev/fd')) == before + 2
        other.sendall(b'1')
        await log.until(('read', b'1'))
        total = ends.fill(handle, log)
        received = 0
        while received < total:
            received += len(other.recv(1 << 20))
            await asyncio.sleep(0)
        await log.until(('filled', 0))
        other.close()
        await log.until(('end',))
        handle.close()

    run(main)


def test_a_loop_that_is_closed_first(ends):
    loop = asyncio.new_event_loop()
    runtime = Runtime()
    runtime.attach(loop)
    handle = make.tcp(runtime)
    assert handle.open(tcp_end(ends)) == 0
    handle.read_start()
    loop.close()
    handle.close()


def tcp_end(ends):
    with socket.create_server(('127.0.0.1', 0)) as server:
        ends.raw.append(socket.create_connection(server.getsockname()))
        return server.accept()[0].detach()
