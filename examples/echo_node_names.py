"""An echo server as the Node.js documentation writes it: Node's names, options in a mapping.

    python examples/echo_node_names.py [port] [--path PATH] [--loop tailrace|asyncio|uvloop]

Prints the address it is bound to as its first line. Ctrl-C or SIGTERM ends it: it stops accepting,
says goodbye to who is still connected, and leaves when the last one has gone.
"""

import argparse
import asyncio
import signal

import tailrace
from tailrace import net


def startServer(options, whenClosed):
    sockets = set()

    def onConnection(c):
        print('client connected', flush=True)
        sockets.add(c)
        c.on('end', lambda: print('client disconnected', flush=True))
        c.on('error', lambda err: print('client lost:', err, flush=True))
        c.on('close', lambda hadError: sockets.discard(c))
        c.write('hello\r\n')
        c.pipe(c)

    def onListening():
        where = server.address()
        print(where if options.path else f'{where["address"]}:{where["port"]}', flush=True)

    def shutDown():
        server.close(whenClosed)
        for c in sockets:
            c.end('goodbye\r\n')

    server = net.createServer({'allowHalfOpen': False}, onConnection)
    server.on('error', whenClosed)
    if options.path:
        server.listen({'path': options.path}, onListening)
    else:
        server.listen({'port': options.port, 'host': '127.0.0.1'}, onListening)
    return shutDown


async def main(options):
    closed = asyncio.get_running_loop().create_future()

    def whenClosed(err):
        if closed.done():
            return
        if err:
            closed.set_exception(err)
        else:
            closed.set_result(None)

    shutDown = startServer(options, whenClosed)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, shutDown)
    await closed
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
