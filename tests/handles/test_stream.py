"""A connection against the contract, rule by rule, with a raw socket at the other end."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import socket
import struct
import warnings
from typing import Any

import pytest

from tailrace._handles import DONE, PENDING, make
from tailrace._resources import active_resources
from tailrace._runtime import Runtime, current, next_tick

RST = struct.pack('ii', 1, 0)


async def closed(*handles: Any) -> None:
    """Close and wait for the close callbacks."""
    waiting = []
    for handle in handles:
        future = asyncio.get_running_loop().create_future()
        waiting.append(future)
        handle.close(lambda future=future: future.set_result(None))
    await asyncio.gather(*waiting)


def drain(sock: socket.socket) -> bytes:
    """Everything up to the end of the stream; in a thread, as the handle sends meanwhile."""
    out = bytearray()
    while data := sock.recv(1 << 18):
        out += data
    return bytes(out)


def take(sock: socket.socket, size: int) -> None:
    """Read ``size`` bytes; in a thread, as the handle sends meanwhile."""
    while size:
        size -= len(sock.recv(min(size, 1 << 18)))


# -- rule 1: ownership --------------------------------------------------------------------------


def test_open_makes_the_descriptor_ours(run, ends, kind):
    async def main():
        handle, _ = ends(kind)
        fd = handle.fd
        assert fd >= 0
        assert not os.get_blocking(fd)
        assert not os.get_inheritable(fd)
        assert handle.open(fd) == errno.EBUSY
        await closed(handle)
        assert handle.fd == -1
        with pytest.raises(OSError, match='Bad file'):
            os.fstat(fd)

    run(main)


def test_open_refuses_other_descriptors_and_leaves_them_open(run):
    async def main():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            assert make.tcp(current()).open(udp.fileno()) == errno.EINVAL
            assert make.pipe(current()).open(tcp.fileno()) == errno.EINVAL
            os.fstat(udp.fileno())
            os.fstat(tcp.fileno())
        assert make.tcp(current()).open(9999) == errno.EBADF
        assert make.pipe(current()).open(9999) == errno.EBADF

    run(main)


def test_collected_while_open_warns_and_closes(run, ends, kind):
    async def main():
        handle, other = ends(kind)
        with pytest.warns(ResourceWarning, match=f'unclosed handle {kind} fd={handle.fd}'):
            del handle
        assert other.recv(1) == b''

    run(main)


def test_collected_after_close_is_silent(run, ends, kind):
    async def main():
        handle, _ = ends(kind)
        await closed(handle)
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            del handle
            gc.collect()

    run(main)


# -- rules 2, 3, 7: writing ---------------------------------------------------------------------


@pytest.mark.parametrize('data', [b'abc', bytearray(b'abc'), memoryview(b'abc')])
def test_write_that_fits_is_done_at_once(run, ends, kind, data):
    async def main():
        handle, other = ends(kind)
        assert handle.write(data, pytest.fail) == DONE
        assert (handle.bytes_written, handle.write_queue_size) == (3, 0)
        assert other.recv(9) == b'abc'
        assert handle.write(b'', pytest.fail) == DONE
        await closed(handle)

    run(main)


def test_views_of_any_shape_are_bytes(run, ends, kind):
    async def main():
        handle, other = ends(kind)
        wide = memoryview(b'01234567').cast('I')
        assert handle.write(wide, pytest.fail) == DONE
        assert handle.write(memoryview(b'a-b-c-')[::2], pytest.fail) == DONE
        assert handle.writev([wide, memoryview(b'x-y-')[::2], b''], pytest.fail) == DONE
        assert handle.bytes_written == 21
        assert other.recv(99) == b'01234567abc01234567xy'
        await closed(handle)

    run(main)


def test_full_kernel_queues_in_order_and_snapshots(run, ends, kind, make_log):
    async def main():
        log = make_log()
        handle, other = ends(kind)
        given = ends.fill(handle, log)
        assert 0 < handle.write_queue_size <= 65536
        changing = bytearray(b'c' * 1000)
        assert handle.write(changing, log.to('two')) == PENDING
        assert handle.writev([b'd' * 10, memoryview(b'e' * 10)], log.to('three')) == PENDING
        changing[:] = b'!' * 1000
        assert handle.shutdown(log.to('shut')) == PENDING
        assert handle.bytes_written == given + 1020
        assert log == []
        got = await asyncio.to_thread(drain, other)
        assert got == b'f' * given + b'c' * 1000 + b'd' * 10 + b'e' * 10
        await log.until(('shut', 0))
        assert log == [('filled', 0), ('two', 0), ('three', 0), ('shut', 0)]
        assert handle.write_queue_size == 0
        await closed(handle)

    run(main)


def test_writev_beyond_iov_max_keeps_every_byte(run, ends, kind, make_log):
    async def main():
        log = make_log()
        handle, other = ends(kind)
        chunks = [bytes([i % 251]) * (i % 7) for i in range(5000)] + [b'z' * 20_000_000]
        assert handle.writev(chunks, log.to('sent')) == PENDING
        assert handle.shutdown(log.to('shut')) == PENDING
        assert await asyncio.to_thread(drain, other) == b''.join(chunks)
        await log.until(('shut', 0))
        assert log == [('sent', 0), ('shut', 0)]
        await closed(handle)

    run(main)


def test_ticks_follow_each_callback(run, ends, make_log):
    async def main():
        log = make_log()
        handle, other = ends('pipe')
        ends.fill(handle, log)
        log.to('x')

        def one(code):
            log.add('one')
            next_tick(log.add, 'tick of one')

        handle.write(b'', one)
        handle.write(b'', log.to('two'))
        reader = asyncio.to_thread(other.recv, 1 << 22)
        await asyncio.gather(reader, log.until(('two', 0)))
        assert log == [('filled', 0), 'one', 'tick of one', ('two', 0)]
        await closed(handle)

    run(main)


def test_failure_of_a_callback_is_the_owners_and_stops_nobody(run, ends, make_log):
    async def main():
        log = make_log()
        handle, other = ends('pipe')
        handle.owner = 'the owner'
        ends.fill(handle, log)
        handle.write(b'', lambda code: 1 / 0)
        handle.write(b'', log.to('two'))
        await asyncio.gather(asyncio.to_thread(other.recv, 1 << 22), log.until(('two', 0)))
        (context,) = run.unhandled
        assert isinstance(context['exception'], ZeroDivisionError)
        assert context['source'] == 'the owner'
        run.unhandled.clear()
        await closed(handle)

    run(main)


def test_write_error_returns_errno(run, ends, kind):
    async def main():
        handle, other = ends(kind)
        if kind == 'tcp':
            other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
        other.close()
        code = handle.write(b'x', pytest.fail)
        assert code == (errno.ECONNRESET if kind == 'tcp' else errno.EPIPE)
        assert handle.write(b'x', pytest.fail) == errno.EPIPE
        assert handle.writev([b'x', b'y'], pytest.fail) == errno.EPIPE
        assert handle.bytes_written == 0
        await closed(handle)
        assert handle.write(b'x', pytest.fail) == errno.EBADF
        assert handle.writev([b'x'], pytest.fail) == errno.EBADF
        assert handle.shutdown(pytest.fail) == errno.ENOTCONN

    run(main)


def test_failing_queue_fails_every_request_in_order(run, ends, kind, make_log):
    async def main():
        log = make_log()
        handle, other = ends(kind)
        ends.fill(handle, log)
        handle.write(b'x', log.to('two'))
        handle.shutdown(log.to('shut'))
        if kind == 'tcp':
            other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
        other.close()
        await log.until(lambda log: len(log) == 3)
        code = errno.ECONNRESET if kind == 'tcp' else errno.EPIPE
        assert log == [('filled', code), ('two', code), ('shut', code)]
        assert handle.write_queue_size == 0
        await closed(handle)

    run(main)


def test_sigpipe_default_does_not_kill(run, ends, kind):
    import signal

    async def main():
        handle, other = ends(kind)
        other.close()
        before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        try:
            codes = [handle.write(b'x', pytest.fail) for _ in range(3)]
        finally:
            signal.signal(signal.SIGPIPE, before)
        assert codes[-1] in (errno.EPIPE, errno.ECONNRESET)
        await closed(handle)

    run(main)


def test_pf04_shutdown_sends_an_end_and_still_reads(run, ends, kind, make_log):
    async def main():
        log = make_log()
        handle, other = ends(kind, log)
        assert handle.shutdown(pytest.fail) == DONE
        assert other.recv(1) == b''
        handle.read_start()
        other.sendall(b'still')
        await log.until(('read', b'still'))
        assert handle.write(b'x', pytest.fail) == errno.EPIPE
        await closed(handle)

    run(main)


# -- rule 6: reading ----------------------------------------------------------------------------


def test_read_start_stop_and_end(run, ends, kind, make_log):
    async def main():
        log = make_log()
        handle, other = ends(kind, log)
        handle.read_start()
        handle.read_start()
        assert handle.reading
        other.sendall(b'one')
        await log.until(('read', b'one'))
        handle.read_stop()
        handle.read_stop()
        other.sendall(b'two')
        for _ in range(5):
            await asyncio.sleep(0)
        assert log == [('read', b'one')]
        handle.read_start()
        await log.until(('read', b'two'))
        other.shutdown(socket.SHUT_WR)
        await log.until(('end',))
        assert not handle.reading
        assert handle.bytes_read == 6
        await closed(handle)

    run(main)


def test_only_false_stops_reading(run, ends, kind, make_log):
    async def main():
        log = make_log()
        handle, other = ends(kind)
        answers = [None, 0, '', False]

        def on_read(data):
            log.add(data)
            return answers.pop(0)

        handle.on_read = on_read
        handle.read_start()
        for i in range(4):
            assert handle.reading
            other.sendall(b'%d' % i)
            await log.until(b'%d' % i)
        assert not handle.reading
        await closed(handle)

    run(main)


def test_reads_grow_after_a_full_one_and_shrink_again(run, ends, make_log):
    async def main():
        log = make_log()
        handle, other = ends('pipe', log)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        other.setblocking(False)
        sent = other.send(b'x' * 200_000)
        assert sent > 70_000
        handle.read_start()
        await log.until(lambda log: sum(len(e[1]) for e in log) == sent)
        assert [len(data) for _, data in log] == [65536, sent - 65536]
        for size, reads in ((70_000, [70_000]), (20, [20]), (70_000, [65536, 70_000 - 65536])):
            log.clear()
            assert other.send(b'x' * size) == size
            await log.until(lambda log, size=size: sum(len(e[1]) for e in log) == size)
            assert [len(data) for _, data in log] == reads
        await closed(handle)

    run(main)


def test_reset_by_peer_is_a_read_error(run, ends, make_log):
    async def main():
        log = make_log()
        handle, other = ends('tcp', log)
        handle.read_start()
        other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
        other.close()
        await log.until(lambda log: log)
        assert log == [('error', errno.ECONNRESET)]
        assert not handle.reading
        await closed(handle)

    run(main)


def test_user_buffer_is_asked_for_before_the_first_read_and_after_each_chunk(
    run, ends, kind, make_log
):
    async def main():
        log = make_log()
        handle, other = ends(kind, log)
        room = bytearray(4)

        def buffer():
            log.add('asked')
            return room

        handle.buffer = buffer

        def on_buffer(size, buf):
            assert buf is room
            log.add(bytes(buf[:size]))
            return b'6' not in buf

        handle.on_buffer = on_buffer
        handle.read_start()
        other.sendall(b'123456')
        await log.until(lambda log: b'56' in log and log[-1] == 'asked')
        assert log == ['asked', b'1234', 'asked', b'56', 'asked']
        assert not handle.reading
        handle.read_start()
        other.close()
        await log.until(('end',))
        assert log.count('asked') == 3
        await closed(handle)

    run(main)


def test_empty_user_buffer_is_an_error_not_the_end(run, ends, kind, make_log):
    async def main():
        log = make_log()
        handle, other = ends(kind, log)
        handle.buffer = lambda: bytearray()
        handle.read_start()
        other.sendall(b'x')
        await log.until(('error', errno.ENOBUFS))
        assert not handle.reading
        await closed(handle)

    run(main)


def test_stamping_tells_the_last_activity(run, ends, make_log):
    async def main():
        log = make_log()
        handle, other = ends('pipe', log)
        handle.write(b'x', pytest.fail)
        assert handle.active_at == 0
        handle.stamping = True
        handle.write(b'x', pytest.fail)
        wrote = handle.active_at
        assert wrote > 0
        handle.read_start()
        other.sendall(b'y')
        await log.until(('read', b'y'))
        assert handle.active_at > wrote
        await closed(handle)

    run(main)


# -- rules 4 and 5: closing ---------------------------------------------------------------------


def test_close_cancels_in_order_then_calls_back_once(run, ends, kind, make_log):
    async def main():
        log = make_log()
        handle, _ = ends(kind, log)
        handle.read_start()
        ends.fill(handle, log)
        handle.write(b'x', log.to('two'))
        handle.shutdown(log.to('shut'))
        handle.close(log.to('closed'))
        handle.close()
        assert log == []
        assert handle.fd == -1
        assert handle.write_queue_size == 0
        await log.until(('closed',))
        code = errno.ECANCELED
        assert log == [('filled', code), ('two', code), ('shut', code), ('closed',)]

    run(main)


@pytest.mark.parametrize('where', ['on_read', 'on_end', 'on_error', 'on_buffer', 'buffer'])
def test_close_inside_a_read_callback(run, ends, make_log, where):
    async def main():
        log = make_log()
        handle, other = ends('tcp')

        def close(*args):
            log.add(where)
            handle.close(log.to('closed'))
            return bytearray(9) if where == 'buffer' else None

        setattr(handle, where, close)
        if where == 'on_buffer':
            handle.buffer = lambda: bytearray(9)
        handle.read_start()
        if where == 'on_error':
            other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
            other.close()
        elif where == 'on_end':
            other.close()
        else:
            other.sendall(b'x' * 100)
        await log.until(('closed',))
        assert log == [where, ('closed',)]

    run(main)


def test_close_inside_a_write_callback_cancels_the_rest(run, ends, make_log):
    async def main():
        log = make_log()
        handle, other = ends('pipe')

        def filled(code):
            log.add(('filled', code))
            handle.close(log.to('closed'))

        while handle.write(b'f' * 65536, filled) == DONE:
            pass
        handle.write(b'', log.to('out'))  # its (no) bytes are out as soon as those before it
        handle.write(b'x' * 3_000_000, log.to('waits'))
        handle.shutdown(log.to('shut'))
        await asyncio.gather(asyncio.to_thread(drain, other), log.until(('closed',)))
        assert log == [
            ('filled', 0),
            ('out', 0),
            ('waits', errno.ECANCELED),
            ('shut', errno.ECANCELED),
            ('closed',),
        ]

    run(main)


def test_close_inside_a_failing_callback_cancels_the_rest(run, ends, make_log):
    async def main():
        log = make_log()
        handle, other = ends('pipe')

        def filled(code):
            log.add(('filled', code))
            handle.close(log.to('closed'))

        while handle.write(b'f' * 65536, filled) == DONE:
            pass
        handle.write(b'x', log.to('two'))
        other.close()
        await log.until(('closed',))
        assert log == [('filled', errno.EPIPE), ('two', errno.ECANCELED), ('closed',)]

    run(main)


def test_write_inside_a_write_callback_keeps_order(run, ends, make_log):
    async def main():
        log = make_log()
        handle, other = ends('pipe')

        def one(code):
            log.add(('one', code))
            assert handle.write(b'C', log.to('three')) == PENDING
            handle.shutdown(log.to('shut'))

        ends.fill(handle, log)
        handle.write(b'A', one)
        handle.write(b'B', log.to('two'))
        got, _ = await asyncio.gather(asyncio.to_thread(drain, other), log.until(('shut', 0)))
        assert got.endswith(b'fABC')
        assert log == [('filled', 0), ('one', 0), ('two', 0), ('three', 0), ('shut', 0)]
        await closed(handle)

    run(main)


def test_pf05_reset_sends_an_rst(run, ends, make_log):
    async def main():
        log = make_log()
        handle, other = ends('tcp')
        assert handle.reset(log.to('closed')) == DONE
        await log.until(('closed',))
        with pytest.raises(ConnectionResetError):
            other.recv(1)
        pipe, _ = ends('pipe')
        assert pipe.reset() == errno.ENOTSUP
        assert pipe.fd >= 0
        await closed(pipe)

    run(main)


# -- rules 8 and 9: lifetime, no loop yet -------------------------------------------------------


def test_what_holds_the_runtime(run, ends, kind, make_log):
    async def main():
        log = make_log()
        handle, other = ends(kind, log)
        holders = current().holders
        assert handle not in holders
        handle.read_start()
        assert handle in holders
        handle.unref()
        assert handle not in holders
        assert not handle.has_ref()
        handle.ref()
        assert handle in holders
        assert any(r.kind == 'socket' for r in active_resources())
        handle.read_stop()
        assert handle not in holders
        handle.unref()
        given = ends.fill(handle, log)
        assert handle in holders  # a request under way, ref'd or not
        await asyncio.gather(asyncio.to_thread(take, other, given), log.until(('filled', 0)))
        assert handle not in holders
        handle.ref()
        handle.read_start()
        handle.close(log.to('closed'))
        assert handle not in holders
        assert active_resources()  # the close callback is due
        await log.until(('closed',))
        await asyncio.sleep(0)
        assert active_resources() == []

    run(main)


def test_everything_works_before_there_is_a_loop(loop_factory, ends, kind, make_log):
    log = make_log()
    one, other = socket.socketpair() if kind == 'pipe' else _tcp_pair()
    runtime = Runtime()
    handle = getattr(make, kind)(runtime)
    assert handle.open(one.detach()) == DONE
    handle.on_read = lambda data: log.add(('read', data))
    handle.on_end = log.to('end')
    handle.read_start()
    given = ends.fill(handle, log)
    other.sendall(b'hello')
    gone = make.tcp(runtime)
    gone.close(log.to('gone'))
    assert handle in runtime.holders
    assert log == []

    async def main():
        runtime.attach(asyncio.get_running_loop())
        await log.until(('read', b'hello'))
        await asyncio.gather(asyncio.to_thread(take, other, given), log.until(('filled', 0)))
        other.close()
        await log.until(('end',))
        assert ('gone',) in log
        await closed(handle)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


def _tcp_pair():
    with socket.create_server(('127.0.0.1', 0)) as server:
        one = socket.create_connection(server.getsockname())
        return one, server.accept()[0]


def test_close_before_there_is_a_loop_leaves_no_registration(ends, make_log):
    one, other = socket.socketpair()
    handle = make.pipe(Runtime())
    handle.open(one.detach())
    handle.read_start()
    ends.fill(handle, make_log())
    handle.close()
    assert not handle.runtime.engine._watched
    other.close()


# -- names, options, kinds ----------------------------------------------------------------------


def test_names_and_options_of_tcp(run, ends):
    async def main():
        handle, other = ends('tcp')
        assert handle.get_sock_name() == (*other.getpeername(), 'IPv4')
        assert handle.get_peer_name() == (*other.getsockname(), 'IPv4')
        assert handle.describe() == ('socket', '{}:{}'.format(*other.getsockname()))
        sock = socket.socket(fileno=os.dup(handle.fd))
        with sock:
            assert handle.set_no_delay(True) == DONE
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert handle.set_keep_alive(True, 30, 7, 3) == DONE
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            idle = getattr(socket, 'TCP_KEEPIDLE', None) or socket.TCP_KEEPALIVE
            assert sock.getsockopt(socket.IPPROTO_TCP, idle) == 30
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 7
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3
            assert handle.set_keep_alive(True, 0, 0, 0) == DONE
            assert sock.getsockopt(socket.IPPROTO_TCP, idle) == 30
            assert handle.set_keep_alive(False, 0, 0, 0) == DONE
            assert not sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert handle.set_type_of_service(0x10) == DONE
        assert handle.get_type_of_service() == 0x10
        await closed(handle)
        assert handle.set_no_delay(True) == errno.EBADF
        assert handle.get_type_of_service() == -errno.EBADF
        assert handle.get_peer_name() is None

    run(main)


def test_ipc15_pipes_have_no_endpoints(run, ends):
    async def main():
        handle, _ = ends('pipe')
        assert handle.get_sock_name() is None
        assert handle.get_peer_name() is None
        assert handle.set_no_delay(True) == DONE
        assert handle.set_keep_alive(True, 1, 1, 1) == DONE
        assert handle.get_type_of_service() == -errno.ENOTSUP
        await closed(handle)

    run(main)


def test_anonymous_pipes_are_pipes(run, make_log):
    async def main():
        log = make_log()
        reading, writing = os.pipe()
        assert make.guess_kind(reading) == 'pipe'
        source, sink = make.pipe(current()), make.pipe(current())
        assert source.open(reading) == DONE
        assert sink.open(writing) == DONE
        source.on_read = lambda data: log.add(('read', data))
        source.on_end = log.to('end')
        source.read_start()
        assert sink.write(b'a', pytest.fail) == DONE
        assert sink.writev([b'b', b'c'], pytest.fail) == DONE
        await log.until(('read', b'abc'))
        while sink.write(b'f' * 4096, log.to('filled')) == DONE:
            pass
        await log.until(('filled', 0))
        assert sink.shutdown(pytest.fail) == DONE
        sink.close()
        await log.until(('end',))
        await closed(source)

    run(main)


def test_guess_kind():
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        assert make.guess_kind(tcp.fileno()) == 'tcp'
        assert make.guess_kind(udp.fileno()) is None
        os.fstat(udp.fileno())
    one, two = socket.socketpair()
    with one, two:
        assert make.guess_kind(one.fileno()) == 'pipe'
    with open(os.devnull) as null:
        assert make.guess_kind(null.fileno()) is None
    assert make.guess_kind(9999) is None


def test_repr_tells_the_state(run, ends, make_log):
    async def main():
        log = make_log()
        handle, _ = ends('pipe', log)
        fd = handle.fd
        handle.read_start()
        ends.fill(handle, log)
        handle.unref()
        assert repr(handle) == f'<Pipe fd={fd} reading queued={handle.write_queue_size} unref>'
        await closed(handle)
        assert repr(handle) == '<Pipe no descriptor>'

    run(main)
