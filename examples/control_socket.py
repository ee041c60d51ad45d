"""A running program that is asked and told things through a Unix socket.

Shows: listening on a path; a socket file left over by a crash, and how to tell it from one in use;
a protocol of JSON lines; a client with `await`.

    python examples/control_socket.py serve PATH
    python examples/control_socket.py ask PATH status
    python examples/control_socket.py ask PATH pace 50     ms between two steps of the job
    python examples/control_socket.py ask PATH stop

Only the user who started it can connect: the file's mode follows the umask. Ctrl-C or SIGTERM ends
it as `stop` does; the file is removed.
"""

import asyncio
import json
import os
import signal
import stat
import sys

import tailrace
from tailrace import net

MAX_REQUEST = 10_000  # characters
MAX_BEHIND = 64 * 1024  # bytes of answers that wait for a client who does not read
MAX_CLIENTS = 10


class Job:
    """What the program does besides answering: it counts."""

    def __init__(self):
        self.count = 0
        self.pace = 1_000
        self.timer = tailrace.set_interval(self.step, self.pace)

    def step(self):
        self.count += 1

    def set_pace(self, ms):
        tailrace.clear_interval(self.timer)
        self.pace = ms
        self.timer = tailrace.set_interval(self.step, ms)


class Control:
    """The server on the path."""

    def __init__(self, path):
        self.path = path
        self.job = Job()
        self.server = net.create_server(self.serve, max_connections=MAX_CLIENTS)
        self.server.on('error', self.failed)
        self.server.on('listening', lambda: print(f'listening on {path}', flush=True))
        self.sockets = set()

    def failed(self, error):
        if error.code != 'EADDRINUSE' or not stat.S_ISSOCK(os.stat(self.path).st_mode):
            raise error
        # Somebody's file. If nobody accepts there, it was left over: remove it and try again.
        probe = net.connect(self.path)
        probe.on('connect', lambda: self.give_up(probe))
        probe.on('error', self.probed)

    def give_up(self, probe):
        probe.destroy()
        self.stop()
        print(f'{self.path} is in use', flush=True)

    def probed(self, error):
        if error.code != 'ECONNREFUSED':
            raise error
        os.unlink(self.path)
        self.server.listen(self.path)

    def serve(self, sock):
        self.sockets.add(sock)
        sock.on('close', lambda: self.sockets.discard(sock))
        sock.on('error', lambda error: print(error, flush=True))
        sock.set_encoding('utf8')
        rest = ''

        def data(text):
            nonlocal rest
            *lines, rest = (rest + text).split('\n')
            if max(map(len, [rest, *lines])) > MAX_REQUEST or sock.writable_length > MAX_BEHIND:
                sock.destroy()
                return
            for line in lines:
                sock.write(json.dumps(self.answer(line)) + '\n')

        sock.on('data', data)

    def answer(self, line):
        try:
            match json.loads(line):
                case ['status']:
                    return {'ok': {'count': self.job.count, 'pace': self.job.pace}}
                case ['pace', int(ms)] if ms >= 1:
                    self.job.set_pace(ms)
                    return {'ok': ms}
                case ['stop']:
                    tailrace.set_immediate(self.stop)
                    return {'ok': 'stopping'}
        except ValueError:
            pass
        return {'error': f'not understood: {line[:50]}'}

    def stop(self):
        tailrace.clear_interval(self.job.timer)
        self.server.close()
        for sock in list(self.sockets):
            sock.end()


def serve(path):
    control = Control(path)
    control.server.listen(path)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, control.stop)


async def ask(path, *words):
    request = [int(word) if word.isdecimal() else word for word in words]
    async with await net.connect(path) as sock:
        sock.end(json.dumps(request) + '\n')
        sock.set_encoding('utf8')
        print(''.join([text async for text in sock]), end='')


if __name__ == '__main__':
    match sys.argv[1:]:
        case ['serve', path]:
            tailrace.run(lambda: serve(path))
        case ['ask', path, *words] if words:
            try:
                tailrace.run(ask(path, *words))
            except OSError as error:  # nobody is there, or it went away
                sys.exit(str(error))
        case _:
            sys.exit(__doc__)
