"""``./run``: tailrace at work on real sockets, in a few seconds.

An echo server on TCP and one on a Unix socket, a client to each, and a transfer with backpressure
on both sides, checked by hash. Every line is an event, as it happens. Written as a user would
write it: it knows the public names only.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import tailrace
from tailrace import net

__all__ = ['main']

MIB = 1 << 20
#: Bytes of the transfer; the reader pauses each time it has got so many more.
TRANSFER, PAUSE_EVERY = 64 * MIB, 4 * MIB
#: How long the slow reader pauses, in ms.
PAUSE = 5
#: One write of the transfer. It repeats, but not in step with the sizes of reads.
BLOCK = hashlib.shake_256(b'tailrace').digest(64 * 1024)

#: The events that are shown, with what is worth showing of their arguments.
SHOWN = {
    'lookup': '{3} is {1}',
    'connectionAttempt': '{0} port {1}',
    'connect': '',
    'ready': '',
    'pause': '',
    'resume': '',
    'end': 'the other side has finished sending',
    'finish': 'everything has been handed to the system',
    'timeout': '',
    'close': '',
}


class Demo:
    """Runs the steps one after the other and keeps what the summary tells."""

    def __init__(self, folder: str, size: int) -> None:
        self.folder = folder
        self.size = size
        self.started = time.perf_counter()
        self.summary: list[str] = []
        self.failed = False
        self.steps = [self.echo_over_tcp, self.echo_over_unix, self.transfer]

    # --- what is shown -------------------------------------------------------------------

    def say(self, who: str, what: str, more: str = '') -> None:
        """One line of the trace."""
        now = (time.perf_counter() - self.started) * 1000
        print(f'{now:8.1f} ms  {who:<12} {what:<18} {more}'.rstrip())

    def trace(self, who: str, socket: Any, but: frozenset[str] = frozenset()) -> None:
        """Show the events of a socket from now on, except for those that come in heaps."""
        for event, details in SHOWN.items():
            if event not in but:
                socket.on(event, self.teller(who, event, details))

    def teller(self, who: str, event: str, details: str) -> Callable[..., None]:
        """A listener that shows one event."""

        def tell(*args: Any) -> None:
            failed = event == 'close' and args[0]
            self.say(who, event, 'after an error' if failed else details.format(*args))

        return tell

    def check(self, good: bool, line: str) -> None:
        """A line for the summary, and whether all is still well."""
        self.failed = self.failed or not good
        self.summary.append(f'{"ok" if good else "WRONG":<6} {line}')

    # --- the steps -----------------------------------------------------------------------

    def next(self) -> None:
        """Begin the next step, or end: nothing is left then that keeps the program alive."""
        if self.steps:
            self.steps.pop(0)()
        else:
            print('\n' + '\n'.join(self.summary))

    def echo_over_tcp(self) -> None:
        """An echo server on a free port of the loopback interface, and a client."""
        print('\nAn echo server on TCP')
        self.echo('tcp', {'port': 0, 'host': '127.0.0.1'})

    def echo_over_unix(self) -> None:
        """The same program on a Unix socket."""
        print('\nThe same on a Unix socket')
        self.echo('unix', {'path': os.path.join(self.folder, 'echo.sock')})

    def echo(self, kind: str, where: dict[str, Any]) -> None:
        """Serve ``where``, say hello to it, and go on when both sides are closed."""
        hello, heard = b'hello over ' + kind.encode(), bytearray()

        def serve(socket: Any) -> None:
            self.trace('connection', socket)
            socket.pipe(socket)

        def listening() -> None:
            address = server.address()
            self.say('server', 'listening', str(address))
            client = net.connect(where if isinstance(address, str) else address.port)
            self.trace('client', client)
            client.on('data', data)
            client.on('close', lambda: server.close())
            client.end(hello)

        def data(chunk: bytes) -> None:
            self.say('client', 'data', repr(chunk))
            heard.extend(chunk)

        def closed() -> None:
            self.say('server', 'close')
            self.check(heard == hello, f'{kind}: {len(heard)} of {len(hello)} bytes came back')
            self.next()

        server = net.create_server(serve)
        server.on('close', closed)
        server.listen(where, listening)

    def transfer(self) -> None:
        """A writer that obeys ``write()``, a reader that pauses, and the bytes compared."""
        mib = self.size // MIB
        print(f'\n{mib} MiB with backpressure: the writer waits for drain, the reader pauses')
        client = net.Socket()
        count = {'sent': 0, 'got': 0, 'waits': 0, 'pauses': 0, 'most': 0}
        times: list[float] = []
        got = hashlib.sha256()

        def write() -> None:
            while count['sent'] < self.size:
                block = BLOCK[: self.size - count['sent']]
                count['sent'] += len(block)
                accepted = client.write(block)
                count['most'] = max(count['most'], client.writable_length)
                if not accepted:
                    count['waits'] += 1
                    return  # 'drain' calls again
            client.end()

        def read(socket: Any) -> None:
            self.trace('reader', socket, frozenset({'pause', 'resume'}))
            due = PAUSE_EVERY

            def data(chunk: bytes) -> None:
                nonlocal due
                got.update(chunk)
                count['got'] += len(chunk)
                if count['got'] >= due:
                    due += PAUSE_EVERY
                    count['pauses'] += 1
                    socket.pause()
                    tailrace.set_timeout(socket.resume, PAUSE)

            socket.on('data', data)
            socket.on('end', note_time)

        def note_time() -> None:
            times.append(time.perf_counter())

        def closed() -> None:
            self.say('server', 'close')
            self.check(self.same(got.digest()), f'transfer: all {mib} MiB have the right SHA-256')
            took = times[1] - times[0]
            self.check(
                count['pauses'] > 0,
                f'          {took:.2f} s, {mib / took:.0f} MiB/s (with the hashing and '
                f'{count["pauses"]} pauses of {PAUSE} ms)',
            )
            self.check(
                count['waits'] > 0 and count['most'] <= MIB,
                f'          {count["waits"]} waits for drain, never more than '
                f'{count["most"] // 1024} KiB queued',
            )
            self.next()

        server = net.create_server(read)
        server.on('close', closed)
        self.trace('writer', client)
        client.on('connect', note_time)
        client.on('connect', write)
        client.on('drain', write)
        client.on('close', lambda: server.close())
        client.resume()  # nobody reads here, and without reading there is no 'end'
        server.listen(0, '127.0.0.1', lambda: client.connect(server.address().port, '127.0.0.1'))

    def same(self, digest: bytes) -> bool:
        """Whether a digest is that of what the transfer sends."""
        want = hashlib.sha256(BLOCK * (self.size // len(BLOCK)))
        want.update(BLOCK[: self.size % len(BLOCK)])
        return digest == want.digest()


def main(size: int = TRANSFER) -> int:
    """Run the demonstration; 0 if everything came out as it should, else 1."""
    with tempfile.TemporaryDirectory(prefix='tailrace-') as folder:
        demo = Demo(folder, size)
        tailrace.run(demo.next)
    return int(demo.failed or len(demo.summary) != 5)


if __name__ == '__main__':
    sys.exit(main())
