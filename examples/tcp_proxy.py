"""A TCP proxy with limits.

Shows: two sockets piped into each other, with backpressure and half-open connections in both
directions; `max_connections` and 'drop'; a block list and 'reject'; an idle timeout and a timeout
for connecting; what to do when one of the two fails.

    python examples/tcp_proxy.py TARGET_HOST TARGET_PORT [--port PORT] [--max N] [--idle MS]
                                 [--block CIDR]...

Ctrl-C or SIGTERM stops accepting; connections have three seconds to end.
"""

import argparse
import asyncio
import signal

import tailrace
from tailrace import net

CONNECT = 5_000  # ms
GRACE = 3_000  # ms


def say(*words):
    print(*words, flush=True)


class Proxy:
    """Pairs of sockets: one from a client, one to the target."""

    def __init__(self, host, port, idle):
        self.target = {'host': host, 'port': port}
        self.idle = idle
        self.clients = set()

    def serve(self, client):
        name = f'{client.remote_address}:{client.remote_port}'
        # What the client sends before the target answers waits: `pipe` holds the client back once
        # the high water mark is reached.
        target = net.connect(**self.target, allow_half_open=True, connect_timeout=CONNECT)
        self.clients.add(client)

        def over(why):
            say(f'{name}: {why}')
            client.destroy()
            target.destroy()

        for sock, other, role in ((client, target, 'client'), (target, client, 'target')):
            sock.on('error', lambda error, role=role: over(f'{role}: {error}'))
            sock.pipe(other)  # 'end' of one side becomes a FIN on the other
            # What the other one still has to send is sent; for what it receives nobody is left.
            sock.on('close', other.destroy_soon)
        client.on('close', lambda: self.clients.discard(client))
        # All traffic of a pair passes both sockets, so one timeout is enough.
        client.set_timeout(self.idle, lambda: over('idle'))


def main(options):
    proxy = Proxy(options.host, options.target_port, options.idle)
    blocked = net.BlockList()
    blocked.add_cidrs(options.block)
    server = net.create_server(
        proxy.serve,
        allow_half_open=True,
        no_delay=True,
        max_connections=options.max,
        block_list=blocked,
    )
    server.on('drop', lambda data: say(f'full: {data.remote_address} dropped'))
    server.on('reject', lambda data: say(f'blocked: {data.remote_address} rejected'))
    server.listen(
        options.port,
        '127.0.0.1',
        lambda: say(f'listening on {server.address().address}:{server.address().port}'),
    )

    def stop():
        server.close()
        tailrace.set_timeout(lambda: [c.destroy() for c in list(proxy.clients)], GRACE).unref()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description='A TCP proxy with limits.')
    parser.add_argument('host')
    parser.add_argument('target_port', type=int)
    parser.add_argument('--port', type=int, default=0)
    parser.add_argument('--max', type=int, default=100, help='connections at a time')
    parser.add_argument('--idle', type=int, default=60_000, help='ms without traffic')
    parser.add_argument('--block', action='append', default=[], metavar='CIDR')
    arguments = parser.parse_args()
    tailrace.run(lambda: main(arguments))
