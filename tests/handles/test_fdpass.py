"""Descriptors over Unix sockets: with their byte, whole and close-on-exec, or not at all."""

from __future__ import annotations

import array
import asyncio
import errno
import os
import socket

import pytest

from tailrace._handles import DONE, PENDING, fdpass, make
from tailrace._runtime import current


async def closed(*handles):
    for handle in handles:
        future = asyncio.get_running_loop().create_future()
        handle.close(lambda future=future: future.set_result(None))
        await future


@pytest.fixture
def files(tmp_path):
    """Three open files that can be told apart."""
    fds = []
    for name in 'abc':
        (tmp_path / name).write_text(name)
        fds.append(os.open(tmp_path / name, os.O_RDONLY))
    yield fds
    for fd in fds:
        os.close(fd)


def content(fd):
    try:
        return os.pread(fd, 9, 0)
    finally:
        os.close(fd)


def two():
    one, other = socket.socketpair()
    left, right = make.fd_pipe(current()), make.fd_pipe(current())
    assert left.open(one.detach()) == DONE
    assert right.open(other.detach()) == DONE
    return left, right


def test_descriptors_arrive_with_their_message(run, files, make_log):
    async def main():
        log = make_log()
        left, right = two()

        def on_read(data):
            while (fd := right.take_fd()) is not None:
                assert not os.get_inheritable(fd)
                log.add(content(fd))
            log.add(data)

        right.on_read = on_read
        right.on_end = log.to('end')
        right.read_start()
        assert left.write(b'plain', pytest.fail) == DONE
        assert left.write_fds(b'one', files[:1], pytest.fail) == DONE
        assert left.write_fds(bytearray(b'two'), files[1:], pytest.fail) == DONE
        await log.until(b'two')
        assert log[-3:] == [b'b', b'c', b'two']
        assert b'a' in log
        left.close()
        await log.until(('end',))
        await closed(right)

    run(main)


def test_queued_descriptors_keep_to_their_byte(run, files, make_log):
    async def main():
        log = make_log()
        left, right = two()
        given = 0
        while left.write(b'f' * 65536, log.to('filled')) == DONE:
            given += 65536
        given += 65536
        assert left.write_fds(b'A', files[:1], log.to('A')) == PENDING
        assert left.write(b'-', log.to('-')) == PENDING
        assert left.write_fds(b'B', files[1:], log.to('B')) == PENDING
        assert left.write(b'.', log.to('.')) == PENDING
        seen = bytearray()

        def on_read(data):
            seen.extend(data)
            while (fd := right.take_fd()) is not None:
                log.add((content(fd), bytes(seen[given:])))

        right.on_read = on_read
        right.read_start()
        await log.until(('.', 0))
        await log.until(lambda log: seen[given:] == b'A-B.' and len(log) == 8)
        carried = [entry for entry in log if isinstance(entry[0], bytes)]
        assert carried[0] == (b'a', b'A-')  # up to the next byte that has descriptors
        assert [name for name, _ in carried] == [b'a', b'b', b'c']
        assert all(text.startswith(b'A-B') for _, text in carried[1:])
        assert [e for e in log if isinstance(e[0], str)] == [
            ('filled', 0),
            ('A', 0),
            ('-', 0),
            ('B', 0),
            ('.', 0),
        ]
        await closed(left, right)

    run(main)


def test_partial_send_carries_the_descriptors_once(run, files, make_log):
    async def main():
        log = make_log()
        left, right = two()
        total = 3_000_000
        assert left.write_fds(b'x' * total, files[:1], log.to('sent')) == PENDING
        got = []

        def on_read(data):
            got.append(len(data))
            fd = right.take_fd()
            if fd is not None:
                log.add(content(fd))
            if sum(got) == total:
                log.add('all')

        right.on_read = on_read
        right.read_start()
        await log.until('all')
        await log.until(('sent', 0))
        assert sorted(log, key=str) == sorted([b'a', ('sent', 0), 'all'], key=str)
        await closed(left, right)

    run(main)


def test_untaken_descriptors_are_closed_with_the_handle(run, files, make_log):
    async def main():
        log = make_log()
        left, right = two()
        reading, writing = os.pipe()
        left.write_fds(b'x', [writing], pytest.fail)
        os.close(writing)
        right.on_read = log.add
        right.read_start()
        await log.until(b'x')
        await closed(right, left)
        assert os.read(reading, 1) == b''
        os.close(reading)

    run(main)


@pytest.mark.interpreted
def test_truncated_descriptors_are_told_and_none_leaks(run, files, make_log, monkeypatch):
    async def main():
        monkeypatch.setattr(fdpass, 'MAX_FDS', 1)
        log = make_log()
        one, other = socket.socketpair()
        right = make.fd_pipe(current())
        right.open(other.detach())
        right.on_error = pytest.fail
        right.on_read = log.add
        right.read_start()
        with one:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', files * 3))]
            one.sendmsg([b'x'], rights)
            await log.until(lambda log: log)
            assert log == [b'x']
            assert [right.take_fd(), right.take_fd()] == [fdpass.LOST, None]
            one.sendmsg([b'y'], rights)
            await log.until(lambda log: len(log) == 2)
        await closed(right)

    run(main)


def test_bad_requests_and_closing(run, files, make_log):
    async def main():
        log = make_log()
        left, right = two()
        assert left.write_fds(b'', files, pytest.fail) == errno.EINVAL
        assert left.write_fds(b'x', [0] * 254, pytest.fail) == errno.EINVAL
        assert left.write_fds(b'x', [9999], pytest.fail) == errno.EBADF
        while left.write(b'f' * 65536, log.to('filled')) == DONE:
            pass
        left.write_fds(b'x', files, log.to('fds'))
        left.close(log.to('closed'))
        await log.until(('closed',))
        assert log == [('filled', errno.ECANCELED), ('fds', errno.ECANCELED), ('closed',)]
        assert left.write_fds(b'x', files, pytest.fail) == errno.EBADF
        await closed(right)

    run(main)
