"""The loop of tailrace.run: what is served from inside select(), and in which order."""

from __future__ import annotations

import asyncio
import contextvars
import errno
import os
import selectors
import signal
import socket
import struct
import threading

import pytest

import tailrace
from tailrace._handles.engine import HAS_EPOLL
from tailrace._handles.selector import Selector, new_event_loop

pytestmark = pytest.mark.skipif(not HAS_EPOLL, reason='there is no epoll')


@pytest.fixture
def on_loop():
    """Runs a coroutine function on a loop that waits in our selector, in debug mode."""

    def run(main):
        with asyncio.Runner(debug=True, loop_factory=new_event_loop) as runner:
            assert isinstance(runner.get_loop()._selector, Selector)
            return runner.run(asyncio.wait_for(main(), 20))

    return run


def test_handles_are_served_without_a_callback_of_the_loop(on_loop, ends, make_log):
    async def main():
        log = make_log()
        handle, other = ends('tcp', log)
        stacks = []

        def on_read(data):
            # asyncio's Handle would be on the stack: Handle._run calls what it was given.
            stacks.append(frames())
            log.add(data)

        handle.on_read = on_read
        handle.read_start()
        # No callback is due any more when the loop waits.
        asyncio.get_running_loop().call_later(0.01, other.sendall, b'x')
        await log.until(b'x')
        assert 'select' in stacks[0]
        assert '_run' not in stacks[0]
        handle.close()

    on_loop(main)


def frames():
    import sys

    frame, names = sys._getframe(1), []
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    return names


def test_callbacks_that_are_due_run_before_io(on_loop, ends, make_log):
    async def main():
        log = make_log()
        handle, other = ends('tcp', log)
        handle.read_start()
        other.sendall(b'x')
        loop = asyncio.get_running_loop()
        loop.call_soon(log.add, 'due')
        loop.call_later(0, log.add, 'timer')
        await log.until(('read', b'x'))
        await log.until('timer')
        assert log.index('due') < log.index(('read', b'x'))
        handle.close()

    on_loop(main)


def test_io_runs_before_a_timer_that_is_due_with_it(on_loop, ends, make_log):
    async def main():
        log = make_log()
        handle, other = ends('tcp', log)
        handle.read_start()
        loop = asyncio.get_running_loop()

        def both():
            other.sendall(b'x')
            loop.call_at(loop.time(), log.add, 'timer')

        loop.call_later(0.001, both)
        await log.until('timer')
        assert log == [('read', b'x'), 'timer']
        handle.close()

    on_loop(main)


def test_a_reset_behind_data_is_seen(on_loop, ends, make_log):
    async def main():
        log = make_log()
        handle, other = ends('tcp', log)
        handle.read_start()
        other.sendall(b'data')
        other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        other.close()
        await log.until(('error', errno.ECONNRESET))
        assert log == [('read', b'data'), ('error', errno.ECONNRESET)]
        handle.close()

    on_loop(main)


def test_what_others_register_works_beside_handles(on_loop, ends, make_log):
    async def main():
        log = make_log()
        loop = asyncio.get_running_loop()
        handle, other = ends('tcp', log)
        handle.read_start()
        one, two = socket.socketpair()
        with one, two:
            loop.add_reader(one, lambda: log.add(one.recv(10)))
            loop.add_writer(two.fileno(), log.add, 'writable')
            await log.until('writable')
            assert loop.remove_writer(two)
            two.send(b'reader')
            other.sendall(b'x')
            await log.until(b'reader')
            await log.until(('read', b'x'))
            assert loop.remove_reader(one)
        threading.Thread(target=loop.call_soon_threadsafe, args=(log.add, 'thread')).start()
        await log.until('thread')
        server = await asyncio.start_server(lambda _, writer: writer.close(), '127.0.0.1', 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            assert await reader.read() == b''
            writer.close()
            await writer.wait_closed()
        handle.close()

    on_loop(main)


def test_listeners_do_not_change_the_context_around_them(ends, make_log):
    var = contextvars.ContextVar('var', default='outside')

    def main():
        handle, other = ends('tcp')

        def on_read(data):
            var.set('inside')
            handle.close()

        handle.on_read = on_read
        handle.read_start()
        tailrace.set_timeout(other.sendall, 5, b'x')

    tailrace.run(main)
    assert var.get() == 'outside'


@pytest.mark.parametrize('due', [False, True])
def test_an_interrupt_comes_out_and_loses_no_event(ends, make_log, due):
    log = make_log()

    def interrupt(data):
        log.add(data)
        raise KeyboardInterrupt

    loop = new_event_loop()

    async def start():
        handles = []
        for name in (b'1', b'2'):
            handle, other = ends('tcp')
            handle.on_read = interrupt
            handle.read_start()
            handles.append((handle, other, name))
        return handles

    handles = loop.run_until_complete(start())
    for _, other, name in handles:
        other.sendall(name)
    for _ in range(2):
        if due:
            loop.call_soon(int)
        with pytest.raises(KeyboardInterrupt):
            loop.run_forever()
    assert sorted(log) == [b'1', b'2']

    async def close():
        for handle, _, _ in handles:
            handle.close()

    loop.run_until_complete(close())
    loop.close()


def test_ctrl_c_ends_run(ends):
    handles = []

    def main():
        handle, other = ends('tcp')
        handles.append(handle)
        handle.read_start()
        tailrace.set_timeout(os.kill, 1, os.getpid(), signal.SIGINT)
        tailrace.set_timeout(other.sendall, 2, b'x')

    with pytest.raises(KeyboardInterrupt):
        tailrace.run(main)
    handles[0].close()


def test_it_is_a_selector():
    with Selector() as selector:
        one, two = socket.socketpair()
        with one, two:
            key = selector.register(one, selectors.EVENT_READ, 'data')
            assert selector.get_key(one) == selector.get_map()[one.fileno()] == key
            assert selector.select(0) == []
            two.send(b'x')
            assert selector.select() == [(key, selectors.EVENT_READ)]
            selector.modify(one, selectors.EVENT_WRITE)
            assert selector.select(1)[0][1] == selectors.EVENT_WRITE
            selector.unregister(one)
            assert not selector.get_map()
