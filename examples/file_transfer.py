"""Sends files over TCP, with progress, and checks what has arrived.

Shows: a writer that obeys backpressure with `drain`; progress from `bytes_written`; a reader whose
disk sets the pace; `read_line` for a header and `async for` for the rest; a half-open connection in
which the answer comes after the sender's end.

    python examples/file_transfer.py receive FOLDER [PORT]
    python examples/file_transfer.py send HOST PORT FILE

The sender sends a line of JSON (name and size), the bytes, and its end. The receiver answers with
the SHA-256 of what it has written. Ctrl-C or SIGTERM ends the receiver; a file that has not
arrived as a whole is removed.
"""

import asyncio
import functools
import hashlib
import json
import os
import pathlib
import signal
import sys

import tailrace
from tailrace import errors, net

BLOCK = 64 * 1024
MAX_SIZE = 1 << 30  # bytes
MAX_HEADER = 1_000  # bytes
MAX_SENDERS = 10
IDLE = 30_000  # ms


class Progress:
    """Prints each tenth of the way once."""

    def __init__(self, what, size):
        self.what, self.size, self.shown = what, size, 0

    def at(self, count):
        tenth = 10 if count >= self.size else count * 10 // self.size
        if tenth > self.shown:
            self.shown = tenth
            print(f'{self.what}: {tenth * 10} %', flush=True)


async def send(host, port, name):
    path = pathlib.Path(name)
    digest = hashlib.sha256()
    size = path.stat().st_size
    progress = Progress(f'sending {path.name}', size)
    async with await net.connect(port, host, allow_half_open=True) as sock:
        sock.set_timeout(IDLE, sock.destroy)
        sock.write(json.dumps({'name': path.name, 'size': size}) + '\n')
        start = sock.bytes_written
        with path.open('rb') as file:
            while block := file.read(BLOCK):
                digest.update(block)
                sock.write(block)
                await sock.drain()
                progress.at(sock.bytes_written - sock.writable_length - start)
        sock.end()
        answer = b''.join([chunk async for chunk in sock]).decode()
    if answer.strip() != digest.hexdigest():
        sys.exit(f'not received: {answer.strip() or "no answer"}')
    print('received', answer.strip(), flush=True)


async def receive_one(sock, folder):
    """Receive one file; returns its SHA-256. Raises ValueError if it is not what was announced."""
    header = json.loads(await sock.read_line(limit=MAX_HEADER))
    name, size = pathlib.PurePath(header['name']).name, int(header['size'])
    if not name or not 0 <= size <= MAX_SIZE:
        raise ValueError('this cannot be received')
    digest, count = hashlib.sha256(), 0
    progress = Progress(f'receiving {name}', size)
    part = folder / f'{name}.part'
    try:
        with part.open('xb') as file:
            # Left early, `async for chunk in sock` would destroy the socket: no answer then.
            async for chunk in sock.iterator(destroy_on_return=False):
                count += len(chunk)
                if count > size:
                    raise ValueError('more bytes than announced')
                digest.update(chunk)
                file.write(chunk)
                progress.at(count)
        if count < size:
            raise ValueError('fewer bytes than announced')
        os.replace(part, folder / name)
    except FileExistsError:
        raise ValueError('this file is being received already') from None
    except BaseException:
        part.unlink()
        raise
    return digest.hexdigest()


async def serve(folder, sock):
    sock.set_timeout(IDLE, sock.destroy)
    try:
        sock.end(await receive_one(sock, folder) + '\n')
    except (ValueError, KeyError, TypeError, errors.LimitOverrunError) as error:  # what was sent
        print(f'{error}', flush=True)
        sock.end(f'error: {error}\n')
    except (OSError, tailrace.NodeError) as error:  # the disk, or the connection
        print(f'{error}', flush=True)
        sock.destroy()


async def receive(folder, port):
    server = net.create_server(
        functools.partial(serve, folder), allow_half_open=True, max_connections=MAX_SENDERS
    )
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await server.listen(port, '127.0.0.1')
    print(f'listening on {server.address().address}:{server.address().port}', flush=True)
    await stop.wait()
    await server.close_all(deadline=0)


if __name__ == '__main__':
    match sys.argv[1:]:
        case ['receive', folder, *port]:
            tailrace.run(receive(pathlib.Path(folder), int(port[0]) if port else 0))
        case ['send', host, port, name]:
            try:
                tailrace.run(send(host, int(port), name))
            except (OSError, tailrace.NodeError) as error:  # the file, or the connection
                sys.exit(f'not sent: {error}')
        case _:
            sys.exit(__doc__)
