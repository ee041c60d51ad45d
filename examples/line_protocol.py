"""A small key-value store with a protocol of lines, one coroutine for each connection.

Shows: a connection listener that is a coroutine function; `read_line` with a limit; requests that
are sent without waiting for the answers before; `drain`, which stops reading from a client who does
not read; `close_all`, which ends what is left.

    python examples/line_protocol.py [PORT]
    nc 127.0.0.1 PORT               SET name value, GET name, DEL name, KEYS, QUIT

Every answer is one line: OK, VALUE ..., NONE or ERROR ... . Ctrl-C or SIGTERM ends it.
"""

import asyncio
import signal
import sys

import tailrace
from tailrace import errors, net

MAX_LINE = 4_096  # bytes
MAX_KEYS = 10_000
MAX_CLIENTS = 1_000
IDLE = 60_000  # ms
GRACE = 500  # ms for the connections in the end

store = {}


def answer(line):
    """The answer to one request; None for QUIT."""
    match line.decode('utf-8', 'replace').split(' ', 2):
        case ['SET', name, value] if name in store or len(store) < MAX_KEYS:
            store[name] = value
            return 'OK'
        case ['SET', _, _]:
            return 'ERROR the store is full'
        case ['GET', name]:
            return f'VALUE {store[name]}' if name in store else 'NONE'
        case ['DEL', name]:
            return 'OK' if store.pop(name, None) is not None else 'NONE'
        case ['KEYS']:
            return f'VALUE {" ".join(sorted(store))}'
        case ['QUIT']:
            return None
    return 'ERROR what?'


async def serve(sock):
    sock.set_timeout(IDLE, sock.destroy)
    try:
        while line := await sock.read_line(limit=MAX_LINE):
            said = answer(line.rstrip(b'\r\n'))
            if said is None:
                break
            sock.write(said + '\n')
            await sock.drain()
        sock.end()
    except errors.LimitOverrunError:
        sock.end('ERROR the line is too long\n')
    except tailrace.NodeError as error:  # the connection has failed, or was destroyed
        print(f'{error}', flush=True)


async def main():
    # Half-open, because a client may send its requests, end, and then read the answers.
    server = net.create_server(serve, allow_half_open=True, max_connections=MAX_CLIENTS)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await server.listen(int(sys.argv[1]) if sys.argv[1:] else 0, '127.0.0.1')
    print(f'listening on {server.address().address}:{server.address().port}', flush=True)
    await stop.wait()
    await server.close_all(deadline=GRACE)


if __name__ == '__main__':
    tailrace.run(main)
