"""An echo server in Python's spelling: keyword arguments, snake_case.

    python examples/echo_keywords.py [port] [--path PATH] [--loop tailrace|asyncio|uvloop]

Prints the address it is bound to as its first line. Ctrl-C or SIGTERM ends it: it stops accepting,
says goodbye to who is still connected, and leaves when the last one has gone.
"""

import argparse
import asyncio
import signal

import tailrace


def serve(sock):
    """Greet, then give every byte back as fast as the other side takes it."""
    print('client connected', flush=True)
    sock.on('end', lambda: print('client disconnected', flush=True))
    sock.on('error', lambda error: print('client lost:', error, flush=True))
    sock.write('hello\r\n')
    sock.pipe(sock)


async def main(options):
    connections = set()

    def connected(sock):
        connections.add(sock)
        sock.on('close', lambda: connections.discard(sock))
        serve(sock)

    server = tailrace.create_server(connected)
    if options.path:
        await server.listen(path=options.path)
        print(server.address(), flush=True)
    else:
        await server.listen(port=options.port, host='127.0.0.1')
        print(f'{server.address().address}:{server.address().port}', flush=True)

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    for sock in connections:
        sock.end('goodbye\r\n')
    await server.async_dispose()
    print('server closed', flush=True)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description='An echo server.')
    parser.add_argument('port', nargs='?', type=int, default=8124)
    parser.add_argument('--path', help='listen on this Unix socket instead of a port')
    parser.add_argument('--loop', choices=['tailrace', 'asyncio', 'uvloop'], default='tailrace')
    chosen = parser.parse_args()
    if chosen.loop == 'tailrace':
        tailrace.run(main(chosen))
    elif chosen.loop == 'asyncio':
        asyncio.run(main(chosen))
    else:
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main(chosen))
