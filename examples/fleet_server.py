"""One of many servers behind haproxy, which can be taken away without losing a request.

Shows: the PROXY protocol with health checks that are told from clients; draining: checks hear that
this server is going, and it stops accepting only when the balancers know it.

    python examples/fleet_server.py JOURNAL [--port PORT] [--drain MS] [--behind CIDR]...

A request is a line. It is written to JOURNAL before it is answered. haproxy asks for "up":

    backend fleet
        mode tcp
        option tcp-check
        tcp-check connect default
        tcp-check expect string up
        option redispatch 1
        retries 3
        default-server send-proxy-v2 check inter 100ms fall 1 rise 1
        server a 127.0.0.1:8001
        server b 127.0.0.1:8002

SIGTERM drains: give it more time than haproxy takes for its checks. Ctrl-C does too.
"""

import argparse
import asyncio
import signal

import tailrace
from tailrace import net

GRACE = 5_000  # ms


def say(*words):
    print(*words, flush=True)


class Fleet:
    """What the handlers of this server share."""

    def __init__(self, journal):
        self.journal = journal
        self.draining = False

    async def serve(self, sock):
        if sock.proxy_header.local:
            # A check: the balancer itself, on nobody's behalf.
            sock.end('drain\n' if self.draining else 'up\n')
            return
        line = await sock.read_line()
        if not line:
            return
        self.journal.write(line)
        self.journal.flush()
        sock.end(b'done for %s: %s' % (sock.remote_address.encode(), line))


async def main(options):
    with open(options.journal, 'ab') as journal:
        fleet = Fleet(journal)
        server = net.create_server(
            fleet.serve, proxy_protocol='required', proxy_from=options.behind or '127.0.0.1'
        )
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await server.listen(options.port, '127.0.0.1')
        say(f'listening on {server.address().address}:{server.address().port}')
        await stop.wait()
        # Closing now would reset what waits in the kernel's queue, and what balancers still send.
        fleet.draining = True
        await asyncio.sleep(options.drain / 1000)
        await server.close_all(GRACE)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description='One of many servers behind haproxy.')
    parser.add_argument('journal')
    parser.add_argument('--port', type=int, default=0)
    parser.add_argument('--drain', type=int, default=1000, help='ms until accepting stops')
    parser.add_argument('--behind', action='append', default=[], metavar='CIDR')
    arguments = parser.parse_args()
    tailrace.run(lambda: main(arguments))
