"""The wire: frames whole and in order, descriptors with their frame, and who is told of losses."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket

import pytest

from tailrace._cluster import ipc
from tailrace._cluster.ipc import INTERNAL, LOST, MESSAGE, Channel
from tailrace._runtime import current


class End:
    """A channel and what came out of it."""

    def __init__(self, sock, log=None):
        self.log = [] if log is None else log
        self.event = asyncio.Event()
        self.channel = Channel(current(), sock.detach())
        self.channel.on_message = self.message
        self.channel.on_closed = lambda: self.note('closed')

    def note(self, *what):
        self.log.append(what[0] if len(what) == 1 else what)
        self.event.set()

    def message(self, kind, message, fds):
        if fds:
            message = [message, [content(fd) for fd in fds]]
        elif fds is None:
            message = [message, None]
        self.note((kind, message) if kind else message)

    async def until(self, count):
        while len(self.log) < count:
            self.event.clear()
            await self.event.wait()
        return self.log


def content(fd):
    assert not os.get_inheritable(fd)
    try:
        return os.pread(fd, 9, 0).decode()
    finally:
        os.close(fd)


def two():
    left, right = socket.socketpair()
    return End(left), End(right)


async def gone(*ends):
    for end in ends:
        end.channel.drop()
    await asyncio.sleep(0)


@pytest.fixture
def files(tmp_path):
    fds = []
    for name in 'abc':
        (tmp_path / name).write_text(name)
        fds.append(os.open(tmp_path / name, os.O_RDONLY))
    yield fds
    for fd in fds:
        os.close(fd)


def test_frames_survive_partial_reads_and_writes(run):
    async def main():
        left, right = two()
        for message in (1, 'ü', {'a': [None]}, 'x' * 1_000_000, []):
            left.channel.send(MESSAGE, message)
        assert not left.channel.drained()
        assert await right.until(5) == [1, 'ü', {'a': [None]}, 'x' * 1_000_000, []]
        await gone(left, right)

    run(main)


def test_a_frame_may_come_byte_by_byte(run):
    async def main():
        ours, theirs = socket.socketpair()
        end = End(theirs)
        for byte in (
            ipc._HEAD.pack(6, INTERNAL, 0) + b'[1, 2]' + ipc._HEAD.pack(1, MESSAGE, 0) + b'3'
        ):
            ours.send(bytes([byte]))
            await asyncio.sleep(0)
        assert await end.until(2) == [(INTERNAL, [1, 2]), 3]
        ours.close()
        assert await end.until(3) == [(INTERNAL, [1, 2]), 3, 'closed']

    run(main)


@pytest.mark.parametrize(
    'garbage', [b'GET / HTTP/1.1\r\n\r\n', ipc._HEAD.pack(3, MESSAGE, 0) + b'{,}']
)
def test_garbage_closes_the_channel(run, garbage):
    async def main():
        ours, theirs = socket.socketpair()
        end = End(theirs)
        with ours:
            ours.send(garbage)
            assert await end.until(1) == ['closed']
            assert end.channel.fd == -1

    run(main)


def test_cp05_descriptors_come_with_their_message_in_order(run, files):
    async def main():
        left, right = two()
        done = []
        left.channel.send(MESSAGE, 'none', (), lambda code: done.append(('none', code)))
        for i, fd in enumerate(files):
            left.channel.send(MESSAGE, i, (fd,), lambda code, i=i: done.append((i, code)))
        left.channel.send(INTERNAL, 'two', files[:2], lambda code: done.append(('two', code)))
        left.channel.send(MESSAGE, 'x' * 500_000)
        left.channel.send(MESSAGE, 'late', (files[2],), lambda code: done.append(('late', code)))
        assert left.channel.in_flight == 4
        said = await right.until(7)
        assert said[:4] == ['none', [0, ['a']], [1, ['b']], [2, ['c']]]
        assert said[4] == (INTERNAL, ['two', ['a', 'b']])
        assert said[6] == ['late', ['c']]
        while left.channel.in_flight:
            await asyncio.sleep(0)
        assert sorted(done, key=str) == [
            ('late', 0),
            ('none', 0),
            ('two', 0),
            (0, 0),
            (1, 0),
            (2, 0),
        ]
        await gone(left, right)

    run(main)


def test_the_sender_hears_what_was_lost(run, files):
    """Not read: so not received, whatever the kernel has of it."""

    async def main():
        ours, theirs = socket.socketpair()
        end = End(ours)
        end.channel.send(MESSAGE, 1, files[:1], lambda code: end.note('first', code))
        end.channel.send(MESSAGE, 2, files[1:], lambda code: end.note('second', code))
        theirs.close()
        assert await end.until(3) == ['closed', ('first', LOST), ('second', LOST)]

    run(main)


def test_a_receiver_without_descriptors_says_so_and_goes_on(run, files):
    async def main():
        left, right = two()
        done = []
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        highest = max(map(int, os.listdir('/dev/fd')))
        holes = []
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, limits[1]))
            while True:
                try:
                    holes.append(os.open(os.devnull, os.O_RDONLY))
                except OSError:
                    break
            left.channel.send(MESSAGE, 'm', files[:1], done.append)
            assert await right.until(1) == [['m', None]]
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            for fd in holes:
                os.close(fd)
        left.channel.send(MESSAGE, 'n', files[:1], done.append)
        assert await right.until(2) == [['m', None], ['n', ['a']]]
        while left.channel.in_flight:
            await asyncio.sleep(0)
        assert done == [errno.EMFILE, 0]
        await gone(left, right)

    run(main)


def test_close_lets_everything_arrive(run, files):
    async def main():
        left, right = two()
        done = []
        left.channel.send(MESSAGE, 'x' * 900_000)
        left.channel.send(MESSAGE, 'fd', files[:1], done.append)
        right.channel.send(MESSAGE, 'too late')
        left.channel.close()
        left.channel.close()
        said = await right.until(3)
        assert said[1:] == [['fd', ['a']], 'closed']
        while left.channel.fd >= 0:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert done == [0]
        assert left.log == []

    run(main)


def test_what_json_cannot_say_changes_nothing(run, files):
    async def main():
        left, right = two()
        with pytest.raises(TypeError):
            left.channel.send(MESSAGE, {1, 2}, files[:1])
        assert left.channel.in_flight == 0
        left.channel.send(MESSAGE, 'fine')
        assert await right.until(1) == ['fine']
        await gone(left, right)

    run(main)


def test_send_says_when_a_lot_waits(run):
    async def main():
        left, right = two()
        assert left.channel.send(MESSAGE, 'x')
        while left.channel.send(MESSAGE, 'x' * 50_000):
            pass
        assert 'fd=' in repr(left.channel)
        await gone(left, right)
        assert repr(left.channel) == '<Channel closed>'

    run(main)
