"""An echo service for systemd: socket activation, readiness, the watchdog, and a drain at the end.

    python examples/systemd_service.py [PORT]   by hand, on 127.0.0.1:8124; Ctrl-C ends it
    systemd-socket-activate -l 8124 --fdname=echo python examples/systemd_service.py

The unit files are in docs/howto/systemd.md.
"""

import asyncio
import signal
import sys

import tailrace
from tailrace import net, systemd


async def serve(sock):
    sock.set_timeout(60_000, sock.destroy)
    while line := await sock.read_line():
        sock.write(line)
        await sock.drain()


async def main():
    server = net.create_server(serve, max_connections=10_000)
    sockets = systemd.listen_fds(unset=True)
    if 'echo' in sockets:
        await server.listen(fd=sockets['echo'][0])
    else:
        await server.listen(int(sys.argv[1]) if sys.argv[1:] else 8124, '127.0.0.1')
        print(f'listening on 127.0.0.1:{server.address().port}', flush=True)
    interval = systemd.watchdog_interval()
    if interval is not None:
        tailrace.set_interval(systemd.watchdog, interval / 2).unref()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    systemd.ready('serving')
    await stop.wait()
    systemd.stopping('draining')
    destroyed = await server.close_all(deadline=10_000)
    print('destroyed:', destroyed, flush=True)


tailrace.run(main)
