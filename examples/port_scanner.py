"""Which ports of this machine's loopback interface accept connections, and how that is found out.

Shows: the events of connecting to a host with several addresses ("happy eyeballs"): each attempt,
each failure, and which address was taken; a lookup function of one's own; a limit on how many
sockets are open at a time; `connect_timeout`.

    python examples/port_scanner.py               opens two servers of its own and looks at them
    python examples/port_scanner.py FIRST LAST    looks at these ports
    python examples/port_scanner.py ... --events  and prints every attempt

It connects to ::1 and 127.0.0.1, and to nothing else. Ends by itself; Ctrl-C or SIGTERM ends it
before.
"""

import asyncio
import signal
import sys

import tailrace
from tailrace import net

AT_A_TIME = 50
TIMEOUT = 1_000  # ms


def both(hostname, options, callback):
    """Both loopback addresses, whatever the name; a tick later, as an answer of a server would."""
    addresses = [{'address': '::1', 'family': 6}, {'address': '127.0.0.1', 'family': 4}]
    tailrace.next_tick(callback, None, addresses)


def shown(place):
    host = f'[{place.address}]' if place.family == 'IPv6' else place.address
    return f'{host}:{place.port}'


class Scan:
    """Looks at ports, some at a time."""

    def __init__(self, ports, events, done):
        self.ports = iter(ports)
        self.events = events
        self.done = done
        self.sockets = set()
        self.open = []

    def start(self):
        for _ in range(AT_A_TIME):
            self.next()
        if not self.sockets:
            self.done(self.open)

    def next(self):
        port = next(self.ports, None)
        if port is None:
            return
        sock = net.connect(
            port=port,
            host='loopback',
            lookup=both,
            auto_select_family=True,
            connect_timeout=TIMEOUT,
        )
        self.sockets.add(sock)
        if self.events:
            self.trace(sock, port)
        sock.on('connect', lambda: self.found(sock, port))
        sock.on('error', lambda: None)  # 'close' follows, and the failures have been told
        sock.on('close', lambda: self.over(sock))

    def trace(self, sock, port):
        def tell(what):
            return lambda *args: print(f'{port}: {what}', *args, flush=True)

        sock.on('connectionAttempt', lambda ip: tell('trying')(ip))
        sock.on('connectionAttemptFailed', lambda ip, _, __, error: tell('no')(ip, error.code))
        sock.on('connectionAttemptTimeout', lambda ip: tell('no answer in time from')(ip))
        sock.on('connect', lambda: tell('connected to')(sock.remote_address))

    def found(self, sock, port):
        self.open.append((port, sock.remote_address))
        sock.destroy()

    def over(self, sock):
        self.sockets.discard(sock)
        self.next()
        if not self.sockets:
            self.done(self.open)

    def stop(self):
        self.ports = iter(())
        for sock in list(self.sockets):
            sock.destroy()


async def main(first=None, last=None, events=False):
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    servers = []
    if first is None:
        # One that only IPv4 reaches, and one for both where the system has both.
        servers = [
            await net.create_server().listen(0, '127.0.0.1'),
            await net.create_server().listen(0),
        ]
        places = [server.address() for server in servers]
        print('listening on', ' '.join(map(shown, places)), flush=True)
        ports = sorted(place.port for place in places)
    else:
        ports = range(first, last + 1)
    scan = Scan(ports, events, lambda found: over.done() or over.set_result(found))
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, scan.stop)
    scan.start()
    found = await over
    for port, address in sorted(found):
        print(f'{port} is open at {address}', flush=True)
    print(f'{len(found)} of {len(ports)} ports are open', flush=True)
    for server in servers:
        server.close()


if __name__ == '__main__':
    words = [word for word in sys.argv[1:] if word != '--events']
    if len(words) not in (0, 2):
        sys.exit(__doc__)
    tailrace.run(main(*map(int, words), events='--events' in sys.argv))
