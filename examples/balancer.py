"""A TCP balancer with health checks, which tells its servers who the client is.

Shows: the PROXY protocol on both sides (`ProxyHeader.of`, a check that says LOCAL, `--behind` for a
balancer behind another one); the server with the fewest connections; a connect that fails goes to
the next server before a byte of the client was read; pipes with backpressure and half-close.

    python examples/balancer.py HOST:PORT... [--port PORT] [--check MS] [--behind CIDR]...

A server is any that expects a header, such as
`net.create_server(serve, proxy_protocol='required', proxy_from='127.0.0.1')`. Ctrl-C or SIGTERM
stops accepting; connections have three seconds to end.
"""

import argparse
import asyncio
import signal

import tailrace
from tailrace import net
from tailrace.proxy_protocol import ProxyHeader

CONNECT = 2_000  # ms
GRACE = 3_000  # ms


def say(*words):
    print(*words, flush=True)


class Target:
    """One of the servers."""

    def __init__(self, text):
        self.name = text
        host, _, port = text.rpartition(':')
        self.where = {'host': host.strip('[]'), 'port': int(port), 'connect_timeout': CONNECT}
        self.up = True
        self.open = 0

    async def connect(self, header):
        try:
            sock = await net.connect(**self.where, proxy_protocol=header, allow_half_open=True)
        except OSError as error:
            self.mark(False, error.code)
            raise
        self.mark(True, 'connected')
        return sock

    def mark(self, up, why):
        if up is not self.up:
            self.up = up
            say(f'{self.name} is {"up" if up else "down"}: {why}')

    async def check(self, every):
        """Ask it again and again; the header says that nobody is behind this connection."""
        while True:
            try:
                (await self.connect(ProxyHeader(local=True))).destroy()
            except OSError:
                pass  # said already
            await asyncio.sleep(every / 1000)


class Balancer:
    """Clients, each with the server it was given."""

    def __init__(self, targets):
        self.targets = targets

    async def find(self, client):
        """A connection to the server with the fewest; those that were down come last."""
        header = ProxyHeader.of(client)
        for target in sorted(self.targets, key=lambda target: (not target.up, target.open)):
            try:
                return target, await target.connect(header)
            except OSError:
                continue
        return None, None

    async def serve(self, client):
        # Nothing is read of the client meanwhile but what fits under its high water mark, and
        # nothing is sent: any server will do until one has answered.
        target, server = await self.find(client)
        if server is None:
            say(f'{client.remote_address}: no server')
            client.reset_and_destroy()
            return
        target.open += 1

        def over(*_):
            client.destroy()
            server.destroy()

        def closed():
            target.open -= 1

        server.once('close', closed)
        for sock, other in ((client, server), (server, client)):
            sock.on('error', over)
            sock.pipe(other)  # 'end' of one side becomes a FIN on the other
            # What the other one still has to send is sent; for what it receives nobody is left.
            sock.on('close', other.destroy_soon)


async def main(options):
    targets = [Target(text) for text in options.targets]
    behind = {}
    if options.behind:
        behind = {'proxy_protocol': 'required', 'proxy_from': options.behind}
    server = net.create_server(Balancer(targets).serve, allow_half_open=True, **behind)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await server.listen(options.port, '127.0.0.1')
    say(f'listening on {server.address().address}:{server.address().port}')
    checks = [asyncio.ensure_future(target.check(options.check)) for target in targets]
    await stop.wait()
    for check in checks:
        check.cancel()
    await server.close_all(GRACE)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description='A TCP balancer with health checks.')
    parser.add_argument('targets', nargs='+', metavar='HOST:PORT')
    parser.add_argument('--port', type=int, default=0)
    parser.add_argument('--check', type=int, default=1000, help='ms between two checks')
    parser.add_argument('--behind', action='append', default=[], metavar='CIDR')
    arguments = parser.parse_args()
    tailrace.run(lambda: main(arguments))
