"""An echo service for systemd: socket activation, readiness, the watchdog, and a drain at the end.

    python examples/systemd_service.py [PORT]   by hand, on 127.0.0.1:8124; Ctrl-C ends it
    systemd-socket-activate -l 8124 --fdname=echo python examples/systemd_service.py

To install it: this file is /srv/echo/systemd_service.py, the unit files of examples/systemd go to
/etc/systemd/system, and `systemctl enable --now echo.socket` switches it on. More is told in
docs/howto/systemd.md. Exit status: 0, or 124 if connections did not finish in 10 s.
"""

import sys

import tailrace
from tailrace import net


async def serve(sock):
    sock.set_timeout(60_000, sock.destroy)
    sock.once('serverClosing', sock.end)
    while line := await sock.read_line():
        sock.write(line)
        await sock.drain()


def ready(servers):
    address = servers[0].address()
    print(f'listening on {address.address}:{address.port}', flush=True)


tailrace.serve(
    net.create_server(serve, max_connections=10_000),
    int(sys.argv[1]) if sys.argv[1:] else 8124,
    '127.0.0.1',
    from_systemd='echo',
    on_ready=ready,
    drain_timeout=10_000,
)
