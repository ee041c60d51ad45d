"""What the handle layer costs: echo of 1 KiB over 100 connections, beside bare protocols.

Each server runs in a process of its own; one client process (epoll, no asyncio) keeps one message
under way on each connection and counts the answers. What counts is the processor time that the
server spends on one request (user and system, without its start): a client in Python is slower than
the faster servers, and other programs may share the machine. Servers take turns for several rounds;
the cheapest round of each counts. The last column is the speed beside asyncio's Protocol.

Run it with ``python bench/experiments/handle_echo.py [seconds] [rounds] [size] [connections]``.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

SOURCE = os.path.join(os.path.dirname(__file__), '..', '..', 'src')
SERVERS = ('protocol-asyncio', 'protocol-uvloop', 'handle-asyncio', 'handle-uvloop')


def ignore(*_: Any) -> None:
    """A callback with nothing to do."""


class Echo(asyncio.Protocol):
    """The protocol that handles are compared with."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


def accepted(stream: Any) -> None:
    """Echo with a bare handle: no queue limit, as in the protocol above."""

    def on_read(data: bytes) -> None:
        stream.write(data, ignore)

    stream.on_read = on_read
    stream.on_end = stream.on_error = lambda *_: stream.close()
    stream.read_start()


async def serve(kind: str) -> None:
    if kind == 'protocol':
        server = await asyncio.get_running_loop().create_server(Echo, '127.0.0.1', 0)
        port = server.sockets[0].getsockname()[1]
    else:
        sys.path.insert(0, SOURCE)
        from tailrace._handles import make
        from tailrace._runtime import current

        listener = make.tcp_listener(current())
        listener.on_connection = accepted
        listener.bind('127.0.0.1', 0, 4, False, False)
        listener.listen(511)
        port = listener.get_sock_name()[1]
    print(port, time.process_time(), flush=True)
    await asyncio.Event().wait()


def run_server(name: str) -> None:
    kind, loop = name.split('-')
    if os.environ.get('PROFILE'):
        import cProfile

        profile = cProfile.Profile()

        def stop(*_: Any) -> None:
            profile.disable()
            profile.dump_stats(os.environ['PROFILE'])
            os._exit(0)

        signal.signal(signal.SIGTERM, stop)
        profile.enable()
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if loop == 'uvloop':
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve(kind))


def measure(port: int, seconds: float, size: int, connections: int) -> tuple[int, float]:
    """Answers, and answers per second."""
    message = b'x' * size
    poll = select.epoll()
    sockets = {}
    left = {}
    for _ in range(connections):
        sock = socket.create_connection(('127.0.0.1', port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sockets[sock.fileno()] = sock
        left[sock.fileno()] = size
        poll.register(sock.fileno(), select.EPOLLIN)
    for sock in sockets.values():
        sock.sendall(message)
    count = 0
    started = time.perf_counter()
    end = started + seconds
    while (now := time.perf_counter()) < end:
        for fd, _ in poll.poll(1):
            sock = sockets[fd]
            left[fd] -= len(sock.recv(65536))
            if not left[fd]:
                count += 1
                left[fd] = size
                sock.sendall(message)
    for sock in sockets.values():
        sock.close()
    return count, count / (now - started)


def main(seconds: float = 2, rounds: int = 3, size: int = 1024, connections: int = 100) -> None:
    best: dict[str, tuple[float, float]] = {}
    for _ in range(rounds):
        for name in os.environ.get('SERVERS', ' '.join(SERVERS)).split():
            process = subprocess.Popen(
                [sys.executable, __file__, 'serve', name], stdout=subprocess.PIPE
            )
            assert process.stdout is not None
            port, before = process.stdout.readline().split()
            count, rate = measure(int(port), seconds, size, connections)
            process.terminate()
            process.stdout.close()
            _, process.returncode, usage = os.wait4(process.pid, 0)
            cost = (usage.ru_utime + usage.ru_stime - float(before)) / count
            best[name] = min((cost, rate), best.get(name, (1.0, 0.0)))
    base = best.get('protocol-asyncio', (0.0, 0.0))[0]
    for name, (cost, rate) in best.items():
        print(f'{name:20} {cost * 1e6:6.2f} us {base / cost:6.2f}   ({rate:.0f}/s)')


if __name__ == '__main__':
    if sys.argv[1:2] == ['serve']:
        run_server(sys.argv[2])
    else:
        main(float((sys.argv[1:] or ['2'])[0]), *map(int, sys.argv[2:5]))
