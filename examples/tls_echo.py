"""An echo server with TLS, and a client that knows whom it talks to.

Shows: certificates from files, and taking new ones on SIGHUP without losing a connection; what a
client that was refused is told to the server; `await tls.connect`, which is secure when it returns;
half-close; a pipe of a socket into itself, with backpressure.

    python -m trustme                             makes server.pem, server.key and client.pem
    python examples/tls_echo.py serve server.pem server.key [--port PORT]
    python examples/tls_echo.py ask localhost PORT client.pem TEXT

Ctrl-C or SIGTERM ends the server; connections have half a second to end.
"""

import argparse
import asyncio
import signal
import sys

import tailrace
from tailrace import tls

MAX_CLIENTS = 1_000
HANDSHAKE = 10_000  # ms
IDLE = 60_000  # ms
GRACE = 500  # ms


def say(*words):
    print(*words, flush=True)


def echo(sock):
    sock.on('error', lambda error: say(f'{error}'))
    sock.set_timeout(IDLE, sock.destroy)
    sock.pipe(sock)


async def serve(options):
    files = {'cert': options.cert, 'key': options.key}
    server = tls.create_server(
        files,
        echo,
        allow_half_open=True,
        max_connections=MAX_CLIENTS,
        handshake_timeout=HANDSHAKE,
    )
    # One line for each client that was refused, such as one that does not speak TLS.
    server.on('tlsClientError', lambda error: say(f'refused: {error.code}'))

    def reload():
        try:
            server.set_secure_context(files)
        except (OSError, tailrace.NodeError) as error:
            say(f'kept the old certificate: {error}')
        else:
            say('new certificate')

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, reload)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await server.listen(options.port, '127.0.0.1')
    say(f'listening on {server.address().address}:{server.address().port}')
    await stop.wait()
    await server.close_all(deadline=GRACE)


async def ask(options):
    try:
        sock = await tls.connect(options.port, options.host, ca=options.ca)
        say(f'{sock.get_protocol()} with {sock.get_peer_certificate().subjectaltname}')
        sock.end(options.text)  # the server may go on, and does
        say(b''.join([chunk async for chunk in sock]).decode())
    except (OSError, tailrace.NodeError) as error:
        sys.exit(f'{getattr(error, "code", "")}: {error}')


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description='An echo server with TLS, and a client.')
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser('serve')
    command.add_argument('cert')
    command.add_argument('key')
    command.add_argument('--port', type=int, default=0)
    command.set_defaults(run=serve)
    command = commands.add_parser('ask')
    command.add_argument('host')
    command.add_argument('port', type=int)
    command.add_argument('ca')
    command.add_argument('text')
    command.set_defaults(run=ask)
    arguments = parser.parse_args()
    tailrace.run(lambda: arguments.run(arguments))
