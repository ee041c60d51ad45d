"""A proxy that ends TLS: clients speak TLS with it, and it speaks plain TCP with the target.

Shows: a TLS server in front of a server that has none; client certificates; pipes between a TLS
socket and a plain one, with backpressure and half-close in both directions; what to do when one of
the two fails.

    python examples/tls_proxy.py CERT KEY TARGET_HOST TARGET_PORT
                                 [--port PORT] [--client-ca FILE] [--max N] [--idle MS]

With --client-ca only clients with a certificate of that authority get through. Ctrl-C or SIGTERM
stops accepting; connections have three seconds to end.
"""

import argparse
import asyncio
import signal

import tailrace
from tailrace import net, tls

CONNECT = 5_000  # ms
HANDSHAKE = 10_000  # ms
GRACE = 3_000  # ms


def say(*words):
    print(*words, flush=True)


def who(client):
    """The client's address, and its name if it has shown a certificate that is trusted."""
    name = f'{client.remote_address}:{client.remote_port}'
    if client.authorized:
        name += f' ({client.get_peer_certificate().subjectaltname})'
    return name


class Proxy:
    """Pairs of sockets: one from a client, one to the target."""

    def __init__(self, host, port, idle):
        self.target = {'host': host, 'port': port}
        self.idle = idle

    def serve(self, client):
        # Nothing of a client arrives here before its handshake is complete.
        name = who(client)
        target = net.connect(**self.target, allow_half_open=True, connect_timeout=CONNECT)

        def over(why):
            say(f'{name}: {why}')
            client.destroy()
            target.destroy()

        for sock, other, role in ((client, target, 'client'), (target, client, 'target')):
            sock.on('error', lambda error, role=role: over(f'{role}: {error}'))
            # The end of TLS becomes a FIN, and a FIN the end of TLS. A connection that was cut is
            # an error, ERR_TLS_TRUNCATED: the target must not take it for the end.
            sock.pipe(other)
            sock.on('close', other.destroy_soon)
        client.set_timeout(self.idle, lambda: over('idle'))


async def main(options):
    proxy = Proxy(options.host, options.target_port, options.idle)
    asking = {} if options.client_ca is None else {'request_cert': True, 'ca': options.client_ca}
    server = tls.create_server(
        {'cert': options.cert, 'key': options.key, **asking},
        proxy.serve,
        allow_half_open=True,
        max_connections=options.max,
        handshake_timeout=HANDSHAKE,
    )
    server.on('tlsClientError', lambda error: say(f'refused: {error.code}'))
    server.on('drop', lambda data: say(f'full: {data.remote_address} dropped'))
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await server.listen(options.port, '127.0.0.1')
    say(f'listening on {server.address().address}:{server.address().port}')
    await stop.wait()
    await server.close_all(deadline=GRACE)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description='A proxy that ends TLS.')
    parser.add_argument('cert')
    parser.add_argument('key')
    parser.add_argument('host')
    parser.add_argument('target_port', type=int)
    parser.add_argument('--port', type=int, default=0)
    parser.add_argument('--client-ca', metavar='FILE', help='who signs the clients')
    parser.add_argument('--max', type=int, default=100, help='connections at a time')
    parser.add_argument('--idle', type=int, default=60_000, help='ms without traffic')
    arguments = parser.parse_args()
    tailrace.run(lambda: main(arguments))
