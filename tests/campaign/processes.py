"""Processes that are killed, that talk nonsense, and that never answer: cluster under fire."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import struct
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from .kit import ROOT, Figures, client

#: A cluster of echo servers, as a page of ours has it; its workers say where they listen.
CLUSTER = """
import os, sys
from tailrace import cluster, net

async def echo(sock):
    async for chunk in sock:
        sock.write(chunk)

def work(worker):
    {before}
    server = net.create_server(echo)
    server.listen({port}, '127.0.0.1', lambda: print('listens', os.getpid(), flush=True))

if __name__ == '__main__':
    cluster.serve(work, workers={workers}, {options})
"""


def free_port() -> int:
    with socket.create_server(('127.0.0.1', 0)) as probe:
        return int(probe.getsockname()[1])


class Cluster:
    """A running cluster."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port

    async def line(self) -> str:
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode()

    async def listening(self) -> int:
        """The pid of the next worker that listens."""
        while True:
            words = (await self.line()).split()
            if not words:
                raise RuntimeError('the cluster has ended')
            if words[0] == 'listens':
                return int(words[1])

    def children(self) -> list[int]:
        pid = self.process.pid
        return [int(n) for n in Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]


@asynccontextmanager
async def clustered(
    workers: int, before: str = 'pass', options: str = ''
) -> AsyncIterator[Cluster]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / 'program.py'
        program.write_text(
            CLUSTER.format(before=before, port=port, workers=workers, options=options)
        )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, program),
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, 'PYTHONPATH': f'{os.environ["PYTHONPATH"]}:{ROOT}'},
        )
        try:
            yield Cluster(process, port)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def alive(pid: int) -> bool:
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False


async def killed_workers(count: int = 50) -> Figures:
    """kill -9 of a worker under load: only what it was serving is lost, another takes its place."""
    async with clustered(3, options='backoff=10') as cluster:
        pids = [await cluster.listening() for _ in range(3)]
        async with client('load', cluster.port, 1) as load:
            for number in range(count):
                os.kill(pids[number % 3], signal.SIGKILL)
                async with asyncio.timeout(30):
                    pids[number % 3] = await cluster.listening()
            found = await load.result()
        assert cluster.process.returncode is None
        async with client('load', cluster.port, 20) as after:
            calm = await after.result()
    assert calm['failed'] == 0, calm
    # The worker had at most one request under way when it was killed.
    assert found['failed'] <= count, found
    return {'killed': count, **found, 'failed afterwards': 0}


async def killed_primary(count: int = 20) -> Figures:
    """kill -9 of the primary: no worker outlives it."""
    longest = 0.0
    for _ in range(count):
        async with clustered(2) as cluster:
            pids = [await cluster.listening() for _ in range(2)]
            async with client('rude', cluster.port, 20) as load:
                await load.line()
                cluster.process.kill()
                start = time.monotonic()
                async with asyncio.timeout(20):
                    while any(map(alive, pids)):
                        await asyncio.sleep(0.005)
                longest = max(longest, time.monotonic() - start)
    return {'killed': count, 'orphans': 0, 'longest ms': round(longest * 1000)}


async def restart_storm(count: int = 10) -> Figures:
    """Workers that end at once: they are started again ever more slowly."""
    async with clustered(2, before='sys.exit(3)', options='backoff=50, max_backoff=500') as cluster:
        seen: set[int] = set()
        end = time.monotonic() + count * 0.5
        while time.monotonic() < end:
            seen.update(cluster.children())
            await asyncio.sleep(0.002)
        assert cluster.process.returncode is None
        cluster.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            await cluster.process.wait()
    seconds = count * 0.5
    most = 2 * (5 + seconds / 0.5)
    assert len(seen) <= most, f'{len(seen)} starts'
    return {'seconds': seconds, 'starts': len(seen), 'most allowed': most, 'primary ended': 0}


def frames(chance: random.Random) -> bytes:
    """Something that is no message of ours."""
    head = struct.Struct('!IBB')
    bodies = (
        b'[]',
        b'null',
        b'{',
        b'7',
        b'{"act":"query"}',
        b'{"act":"query","address":{},"port":[],"family":null,"fd":"x","index":-1}',
        b'{"act":"room","place":[]}',
        b'{"act":"close"}',
        b'{"answer":[]}',
        b'{"answer":"x"}',
        b'{"act":["x"]}',
        b'{"act":"sockets-count","key":99}',
        b'[' * 100_000,
        b'\xff\xfe\x00',
    )
    kind = chance.randrange(7)
    if kind == 0:
        return chance.randbytes(chance.randrange(1, 5000))
    if kind == 1:  # a length that nobody may promise
        return head.pack(2**32 - 1, 1, 0)
    if kind == 2:  # and one that never comes
        return head.pack(1_000_000, 1, 0) + b'{"act'
    if kind == 3:  # descriptors that did not come
        body = chance.choice(bodies)
        return head.pack(len(body), chance.randrange(2), 5) + body
    if kind == 4:  # the short form of wrong size
        return head.pack(3, 2, 0) + b'abc'
    body = chance.choice(bodies)
    return head.pack(len(body), kind - 5, 0) + body


#: A worker that writes to its channel past the library, and then waits to be thrown out.
GARBAGE = """
    import socket as _s, signal as _g
    if worker.id > 1:
        from tests.campaign import processes as _p
        import random as _r
        _fd = worker.process._channel.fd
        for _n in range(3):
            try:
                os.write(_fd, _p.frames(_r.Random(os.getpid() * 7 + _n)))
            except OSError:
                break
        os.close(1)
        _g.alarm(2)
        return
"""


async def garbage_on_the_channel(count: int = 30) -> Figures:
    """Nonsense, oversized and truncated frames from one worker; the other one serves on."""
    played = 0
    for _ in range(max(1, count // 10)):
        async with clustered(2, before=GARBAGE, options='backoff=1, max_backoff=20') as cluster:
            await cluster.listening()
            seen: set[int] = set()
            async with client('load', cluster.port, 100) as load:
                end = time.monotonic() + 5
                while len(seen) < 11 and time.monotonic() < end:
                    seen.update(cluster.children())
                    await asyncio.sleep(0.002)
                found = await load.result()
            played += len(seen) - 1
            assert found['failed'] == 0, found
            assert cluster.process.returncode is None
            status = Path(f'/proc/{cluster.process.pid}/status').read_text()
            resident = int(status.partition('VmRSS:')[2].split()[0])
            assert resident < 150_000, f'{resident} KiB'
    return {'workers that sent it': played, 'requests failed': 0, 'primary ended': 0}


async def worker_that_never_answers(count: int = 400) -> Figures:
    """One of two is stopped: it collects no more than its share, then it is passed over."""
    async with clustered(2) as cluster:
        pids = [await cluster.listening() for _ in range(2)]
        os.kill(pids[0], signal.SIGSTOP)
        answered = stuck = 0
        socks = []
        for _ in range(count):
            sock = socket.create_connection(('127.0.0.1', cluster.port))
            sock.sendall(b'x')
            socks.append(sock)
        loop = asyncio.get_running_loop()
        end = loop.time() + 3
        left = set(socks)
        while left and loop.time() < end:
            for sock in list(left):
                sock.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    answered += sock.recv(1) == b'x'
                    left.discard(sock)
            await asyncio.sleep(0.01)
        stuck = len(left)
        os.kill(pids[0], signal.SIGCONT)
        for sock in left:
            sock.settimeout(10)
            answered += await loop.run_in_executor(None, sock.recv, 1) == b'x'
        for sock in socks:
            sock.close()
    assert answered == count
    assert stuck <= 33, stuck
    return {'connections': count, 'waited for the stopped worker': stuck, 'lost': count - answered}


CHECKS = {
    'killed workers': (killed_workers, 2),
    'killed primary': (killed_primary, 1),
    'restart storm': (restart_storm, 2),
    'garbage on the channel': (garbage_on_the_channel, 5),
    'a worker that never answers': (worker_that_never_answers, 60),
}
