"""What a server must show under load: flat memory, ten thousand connections, nothing left.

The server is a process of its own; the client is this one, on plain sockets. ``TAILRACE_SHOW_MIB``
scales the transfer (1024 MiB by default), ``TAILRACE_SHOW_CONNECTIONS`` the
crowd (10,000 by default).
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import select
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ..programs import first_line, running

MIB = int(os.environ.get('TAILRACE_SHOW_MIB', '1024'))
CROWD = int(os.environ.get('TAILRACE_SHOW_CONNECTIONS', '10000'))
#: How much the server's memory may grow over what it has when it listens.
ROOM = 64 << 20
BATCH = 200

pytestmark = [
    pytest.mark.skipif(
        sys.platform != 'linux', reason='memory and descriptors are read from /proc'
    ),
    pytest.mark.timeout(600),
]

SERVER = """
import asyncio, gc, json, os, resource, sys
import tailrace
from tailrace import _runtime

kind, wanted, careless = sys.argv[1], int(sys.argv[2]), sys.argv[3:] == ['careless']
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

def status(name):
    with open('/proc/self/status') as lines:
        return next(int(l.split()[1]) << 10 for l in lines if l.startswith(name))

def factory():
    if kind == 'uvloop':
        import uvloop
        return uvloop.new_event_loop()
    return asyncio.SelectorEventLoop()

class Show:
    def __init__(self):
        self.accepted = self.most = self.gone = 0
        self.drops = []

    def connected(self, sock):
        self.accepted += 1
        self.most = max(self.most, self.server._connections)
        if careless:
            sock.on('data', sock.write).on('end', sock.end)
        else:
            sock.pipe(sock)
        sock.on('close', self.closed)
        sock.on('error', lambda error: self.drops.append(str(error)))

    def closed(self):
        self.gone += 1
        if self.gone == wanted:
            tailrace.set_immediate(self.report)

    def start(self):
        self.server = tailrace.create_server(self.connected)
        self.server.listen(port=0, host='127.0.0.1', callback=self.listening)

    def listening(self):
        self.fds = len(os.listdir('/proc/self/fd'))
        self.tasks = len(asyncio.all_tasks())
        self.memory = status('VmRSS')
        print(self.server.address().port, flush=True)

    def report(self):
        gc.collect()
        runtime = _runtime.current()
        print(json.dumps({
            'accepted': self.accepted,
            'most': self.most,
            'errors': self.drops,
            'connections': self.server._connections,
            'descriptors': len(os.listdir('/proc/self/fd')) - self.fds,
            'tasks': len(asyncio.all_tasks()) - self.tasks,
            'timers': sum(1 for entry in runtime._heap if entry[2].is_entry(entry[1])),
            'resources': [r.kind for r in tailrace.active_resources()],
            'sockets': sum(isinstance(o, tailrace.Socket) for o in gc.get_objects()),
            'grown': status('VmHWM') - self.memory,
        }), flush=True)
        self.server.close()

tailrace.run(Show().start, loop_factory=factory)
"""


@contextmanager
def show(kind: str, wanted: int, folder: Path, *more: str) -> Iterator[tuple[int, Any]]:
    """The port of a server that reports once ``wanted`` connections have come and gone."""
    if kind == 'uvloop':
        pytest.importorskip('uvloop')
    path = folder / 'show.py'
    path.write_text(SERVER)
    with running([path, kind, wanted, *more]) as process:

        def report() -> dict[str, Any]:
            output, errors = process.communicate(timeout=60)
            assert (process.returncode, errors) == (0, '')
            result: dict[str, Any] = json.loads(output)
            return result

        yield int(first_line(process)), report


def nothing_left(report: dict[str, Any]) -> None:
    assert report['errors'] == []
    assert report['resources'] == ['server']
    left = {name: report[name] for name in ('connections', 'descriptors', 'tasks', 'sockets')}
    assert left == {'connections': 0, 'descriptors': 0, 'tasks': 0, 'sockets': 0}
    assert report['timers'] == 0


def transfer(port: int, size: int) -> tuple[str, str, int]:
    """Write ``size`` bytes and read them back, reading only when nothing can be written.

    So everything between the two ends is full all the time: the slowest reader that still ends.
    Gives the hash of what was written and of what came back, and the length of the latter.
    """
    source = random.Random(1).randbytes(1 << 20)
    wrote, got = hashlib.blake2b(), hashlib.blake2b()
    sent = received = 0
    with socket.create_connection(('127.0.0.1', port)) as one:
        one.setblocking(False)
        while True:
            if sent < size:
                at = sent % len(source)
                chunk = memoryview(source)[at : at + min(262144, size - sent)]
                try:
                    count = one.send(chunk)
                except BlockingIOError:
                    select.select([one], [one], [])
                else:
                    wrote.update(chunk[:count])
                    sent += count
                    if sent == size:
                        one.shutdown(socket.SHUT_WR)
                    continue
            else:
                select.select([one], [], [])
            try:
                data = one.recv(65536)
            except BlockingIOError:
                continue
            if not data:
                return wrote.hexdigest(), got.hexdigest(), received
            got.update(data)
            received += len(data)


@pytest.mark.parametrize('kind', ['asyncio', 'uvloop'])
def test_st_pipe_to_itself_with_a_slow_reader_keeps_memory_flat(kind: str, tmp_path: Path) -> None:
    size = MIB << 20
    with show(kind, 1, tmp_path) as (port, report):
        wrote, got, received = transfer(port, size)
        said = report()
    assert (received, got) == (size, wrote)
    print(f'{MIB} MiB on {kind}: memory grew by {said["grown"] / 2**20:.1f} MiB')
    assert said['grown'] < ROOM
    nothing_left(said)


def test_without_backpressure_the_memory_check_fires(tmp_path: Path) -> None:
    with show('asyncio', 1, tmp_path, 'careless') as (port, report):
        wrote, got, _ = transfer(port, ROOM + (32 << 20))
        assert got == wrote
        assert report()['grown'] > ROOM


@contextmanager
def descriptors(count: int) -> Iterator[None]:
    """Room for ``count`` descriptors, or a skip with the reason."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f'{count} descriptors are needed, the hard limit is {hard}')
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def recv_exactly(one: socket.socket, size: int) -> bytes:
    data = b''
    while len(data) < size and (chunk := one.recv(size - len(data))):
        data += chunk
    return data


@pytest.mark.parametrize('kind', ['asyncio', 'uvloop'])
def test_sv04_sv21_ten_thousand_connections_leave_nothing(kind: str, tmp_path: Path) -> None:
    crowd: list[socket.socket] = []
    with descriptors(CROWD + 200), show(kind, CROWD, tmp_path) as (port, report):
        try:
            while len(crowd) < CROWD:
                batch = [
                    socket.create_connection(('127.0.0.1', port))
                    for _ in range(min(BATCH, CROWD - len(crowd)))
                ]
                crowd += batch
                for number, one in enumerate(batch):
                    one.sendall(b'%015d\n' % number)
                for number, one in enumerate(batch):
                    assert recv_exactly(one, 16) == b'%015d\n' % number
        finally:
            for one in crowd:
                one.close()
        said = report()
    assert said['accepted'] == said['most'] == CROWD
    print(f'{CROWD} connections on {kind}: {said["grown"] / CROWD / 1024:.1f} KiB each')
    nothing_left(said)
