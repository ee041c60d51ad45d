"""Echo in several cluster workers (`--workers N`, `--policy rr|none|reuseport`, `--cores A,B`).

Each worker is pinned to a core in turn and writes into `--notes DIRECTORY` how many connections it
had. The first line of output is the port, as with every peer.
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from tailrace import cluster, net, process


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--port', type=int, default=0)
    parser.add_argument('--uvloop', action='store_true')
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--policy', default='rr')
    parser.add_argument('--cores', default='')
    parser.add_argument('--work', type=int, default=0, help='additions for every chunk')
    parser.add_argument('--notes', type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    cores = [int(core) for core in options.cores.split(',') if core]
    factory = None
    if options.uvloop:
        import uvloop

        factory = uvloop.new_event_loop
    served = 0
    echo = options.notes / f'{os.getpid()}'

    def connection(sock: net.Socket) -> None:
        nonlocal served
        served += 1
        sock.on('data', worked(sock) if options.work else sock.write)
        sock.on('error', lambda: None)

    def worked(sock: net.Socket) -> Callable[[bytes], None]:
        def data(chunk: bytes) -> None:
            sum(range(options.work))
            sock.write(chunk)

        return data

    def target(worker: cluster.Worker) -> None:
        if cores:
            os.sched_setaffinity(0, {cores[worker.id % len(cores)]})
        server = net.create_server(connection)
        server.listen(options.port, '127.0.0.1')
        echo.write_text('0')
        process.on('message', lambda: echo.write_text(str(served)))

    up = 0

    def listening(worker: cluster.Worker, where: dict[str, object]) -> None:
        nonlocal up
        up += 1
        if up == options.workers:
            print(where['port'], flush=True)

    if cluster.is_primary:
        import signal

        def count(*_: object) -> None:
            for worker in cluster.workers.values():
                worker.send('count')

        signal.signal(signal.SIGUSR1, count)
        cluster.on('listening', listening)
    cluster.serve(
        target,
        workers=options.workers,
        policy=options.policy,
        drain_timeout=500,
        loop_factory=factory,
    )


if __name__ == '__main__':
    sys.exit(main())
