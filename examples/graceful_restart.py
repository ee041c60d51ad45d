"""A server that is replaced by a new one without losing a connection.

Shows: a listening socket that outlives the processes that accept from it, handed over as a file
descriptor (`listen({'fd': n})`); a worker that ends when its last connection has ended.

    python examples/graceful_restart.py [PORT]
    kill -HUP PID                   a new worker (new code) takes over; PID is on the first line
    nc 127.0.0.1 PORT               every line comes back with the number of its worker

The parent binds the address and never accepts. SIGHUP: a new worker starts; when it says that it
listens, the old one is told to stop: it closes its listener and goes on with its connections. In
between both accept, and the kernel's queue of connections stays the same. Ctrl-C or SIGTERM stops
the workers and then the parent.
"""

import asyncio
import os
import signal
import sys

import tailrace
from tailrace import net

GRACE = 10  # s, for the connections of a worker that stops
IDLE = 60_000  # ms
MAX_CLIENTS = 1_000


def worker(fd):
    """Serve on a descriptor that somebody else has bound, until SIGTERM."""

    def serve(sock):
        sock.set_encoding('utf8')
        sock.on('error', lambda error: print(error, file=sys.stderr))
        sock.set_timeout(IDLE, sock.destroy)

        def data(text):
            if not sock.write(f'{os.getpid()}: {text}'):
                sock.pause()  # until the client has read what waits for it

        sock.on('data', data)
        sock.on('drain', sock.resume)

    server = net.create_server(serve, max_connections=MAX_CLIENTS)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, server.close)
    server.listen({'fd': fd}, lambda: print('listening', flush=True))


class Parent:
    """Holds the socket and changes the workers."""

    def __init__(self, bound):
        self.bound = bound
        self.worker = None
        self.old = set()
        self.wishes = asyncio.Queue()

    async def start_worker(self):
        fd = self.bound.fd()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            __file__,
            '--worker',
            str(fd),
            pass_fds=[fd],
            stdout=asyncio.subprocess.PIPE,
        )
        if await process.stdout.readline() != b'listening\n':
            print('the new worker has failed', flush=True)
            await process.wait()
            return
        print(f'worker {process.pid} listens', flush=True)
        if self.worker is not None:
            self.retire(self.worker)
        self.worker = process

    def retire(self, process):
        process.terminate()
        task = asyncio.create_task(self.wait_for(process))
        self.old.add(task)
        task.add_done_callback(self.old.discard)

    async def wait_for(self, process):
        try:
            await asyncio.wait_for(process.wait(), GRACE)
        except TimeoutError:
            process.kill()
            await process.wait()
        print(f'worker {process.pid} has ended', flush=True)

    async def run(self):
        await self.start_worker()
        if self.worker is None:
            return
        while await self.wishes.get() == 'restart':
            await self.start_worker()
        self.retire(self.worker)
        await asyncio.gather(*self.old)


async def main(port):
    with net.BoundSocket(host='127.0.0.1', port=port) as bound:
        parent = Parent(bound)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, parent.wishes.put_nowait, 'restart')
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, parent.wishes.put_nowait, 'stop')
        place = bound.address()
        print(f'listening on {place.address}:{place.port} as {os.getpid()}', flush=True)
        await parent.run()


if __name__ == '__main__':
    match sys.argv[1:]:
        case ['--worker', fd]:
            tailrace.run(lambda: worker(int(fd)))
        case [] | [_]:
            tailrace.run(main(int(sys.argv[1]) if sys.argv[1:] else 0))
        case _:
            sys.exit(__doc__)
