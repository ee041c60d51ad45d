"""A chat room with limits, for any number of terminals.

Shows: one list of connections; lines cut out of a stream; limits on connections, line length and
silence; giving up a guest who does not read; a goodbye at the end.

    python examples/chat.py [PORT]
    nc 127.0.0.1 PORT               in several terminals; /name NAME, /who, /quit

The steps that lead here are the tutorial in docs/tutorial.md. Ctrl-C or SIGTERM ends it.
"""

import asyncio
import itertools
import signal
import sys

import tailrace
from tailrace import net

MAX_GUESTS = 100
MAX_LINE = 1_000  # characters
MAX_BEHIND = 256 * 1024  # bytes that may wait for a guest
IDLE = 10 * 60_000  # ms
GRACE = 1_000  # ms that a guest has to go


class Room:
    """The guests, and what they tell each other."""

    def __init__(self):
        self.guests = {}  # socket: name
        self.numbers = itertools.count(1)

    def tell(self, text, but=None):
        for sock in list(self.guests):
            if sock is not but and sock.writable:
                sock.write(text + '\n')
                if sock.writable_length > MAX_BEHIND:
                    sock.destroy()

    def join(self, sock):
        self.guests[sock] = f'guest {next(self.numbers)}'
        self.tell(f'* {self.guests[sock]} is here')
        sock.set_encoding('utf8')
        sock.set_timeout(IDLE, lambda: self.dismiss(sock, 'you have been silent for too long'))
        rest = ''

        def data(text):
            nonlocal rest
            if not sock.writable:
                return  # dismissed
            *lines, rest = (rest + text).split('\n')
            if max(map(len, [rest, *lines])) > MAX_LINE:
                self.dismiss(sock, 'this line is too long')
                return
            for line in lines:
                self.line(sock, line.strip())

        sock.on('data', data)
        sock.on('error', lambda error: print(f'{self.guests[sock]}: {error}', flush=True))
        sock.on('close', lambda: self.leave(sock))

    def dismiss(self, sock, why):
        sock.end(f'* {why}\n')
        # For a guest who does not read, or does not end.
        tailrace.set_timeout(sock.destroy, GRACE).unref()

    def leave(self, sock):
        self.tell(f'* {self.guests.pop(sock)} has left')

    def line(self, sock, line):
        if line == '/quit':
            self.dismiss(sock, 'goodbye')
        elif line == '/who':
            sock.write(f'* {", ".join(sorted(self.guests.values()))}\n')
        elif line.startswith('/name '):
            old, new = self.guests[sock], line.removeprefix('/name ').strip()[:20]
            if not new or new in self.guests.values():
                sock.write('* that name is taken\n')
            else:
                self.guests[sock] = new
                self.tell(f'* {old} is {new} now')
        elif line:
            self.tell(f'{self.guests[sock]}: {line}', but=sock)


def main():
    room = Room()
    server = net.create_server(room.join, max_connections=MAX_GUESTS)

    def listening():
        print(f'listening on {server.address().address}:{server.address().port}', flush=True)

    def stop():
        server.close()
        for sock in list(room.guests):
            room.dismiss(sock, 'goodbye')

    server.on('drop', lambda data: print(f'full: {data.remote_address} dropped', flush=True))
    server.listen(int(sys.argv[1]) if sys.argv[1:] else 0, '127.0.0.1', listening)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)


if __name__ == '__main__':
    tailrace.run(main)
