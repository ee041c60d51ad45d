"""``./run``: tailrace at work on real sockets, in a few seconds.

An echo server on TCP and one on a Unix socket, a client to each, and a transfer with backpressure
on both sides, checked by hash. Every line is an event, as it happens; a terminal shows them in
colour, and the backpressure as a bar that moves. Written as a user would write it: it knows the
public names only.
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
#: How long the slow reader pauses, in ms: at a terminal long enough for an eye to follow the bar.
PAUSE, VISIBLE_PAUSE = 5, 120
#: How often the bar is drawn, in seconds, and how many cells each of its two parts has.
REDRAW, CELLS = 0.04, 16
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


#: The colours of those who speak, as SGR numbers.
COLOURS = {'server': 35, 'client': 36, 'connection': 33, 'writer': 36, 'reader': 33}


class Screen:
    """Lines, and below them a bar if the output is a terminal. ``NO_COLOR`` turns colours off."""

    def __init__(self) -> None:
        self.alive = sys.stdout.isatty() and os.environ.get('TERM') != 'dumb'
        self.colours = self.alive and not os.environ.get('NO_COLOR')
        self.bar_at = 0.0
        self.bar_is_up = False

    def paint(self, text: str, *numbers: int) -> str:
        """``text`` in a colour, where there are colours."""
        return f'\x1b[{";".join(map(str, numbers))}m{text}\x1b[0m' if self.colours else text

    def line(self, text: str) -> None:
        """One line; a bar that stands there makes room."""
        self.clear()
        print(text)

    def bar(self, text: Callable[[], str]) -> None:
        """Draw the bar again, if there is a terminal and the last time is long enough ago."""
        now = time.perf_counter()
        if self.alive and now - self.bar_at >= REDRAW:
            self.bar_at, self.bar_is_up = now, True
            print(f'\r\x1b[2K{text()}', end='', flush=True)

    def clear(self) -> None:
        """Take the bar away."""
        if self.bar_is_up:
            self.bar_is_up = False
            print('\r\x1b[2K', end='')

    def cells(self, share: float, number: int) -> str:
        """A part of a bar: a share from 0 to 1 as filled cells."""
        full = min(CELLS, round(share * CELLS))
        return self.paint('\N{FULL BLOCK}' * full, number) + '\N{LIGHT SHADE}' * (CELLS - full)


def shown(address: Any) -> str:
    """An address as a person writes it."""
    return address if isinstance(address, str) else f'{address.address} port {address.port}'


class Demo:
    """Runs the steps one after the other and keeps what the summary tells."""

    def __init__(self, folder: str, size: int, command: str) -> None:
        self.folder = folder
        self.size = size
        self.command = command
        self.screen = Screen()
        self.pause = VISIBLE_PAUSE if self.screen.alive else PAUSE
        self.started = time.perf_counter()
        self.summary: list[str] = []
        self.failed = False
        self.steps = [self.echo_over_tcp, self.echo_over_unix, self.transfer]

    # --- what is shown -------------------------------------------------------------------

    def headline(self, text: str) -> None:
        """What begins now."""
        self.screen.line('\n' + self.screen.paint(text, 1))

    def say(self, who: str, what: str, more: str = '') -> None:
        """One line of the trace."""
        now = (time.perf_counter() - self.started) * 1000
        paint = self.screen.paint
        line = (
            f'{paint(f"{now:8.1f} ms", 2)}  {paint(f"{who:<12}", COLOURS[who])} '
            f'{paint(f"{what:<18}", 1)} {more}'
        )
        self.screen.line(line.rstrip())

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
        word = self.screen.paint('ok    ', 32) if good else self.screen.paint('WRONG ', 1, 31)
        self.summary.append(f'{word} {line}')

    # --- the steps -----------------------------------------------------------------------

    def next(self) -> None:
        """Begin the next step, or end: nothing is left then that keeps the program alive."""
        if self.steps:
            self.steps.pop(0)()
        else:
            self.screen.line('\n' + '\n'.join(self.summary))
            print(
                f'\nNow you: {self.command} echo 8124, and in another terminal '
                f'{self.command} connect 127.0.0.1 8124'
            )

    def echo_over_tcp(self) -> None:
        """An echo server on a free port of the loopback interface, and a client."""
        self.headline('An echo server on TCP')
        self.echo('tcp', {'port': 0, 'host': '127.0.0.1'})

    def echo_over_unix(self) -> None:
        """The same program on a Unix socket."""
        self.headline('The same on a Unix socket')
        self.echo('unix', {'path': os.path.join(self.folder, 'echo.sock')})

    def echo(self, kind: str, where: dict[str, Any]) -> None:
        """Serve ``where``, say hello to it, and go on when both sides are closed."""
        hello, heard = b'hello over ' + kind.encode(), bytearray()

        def serve(socket: Any) -> None:
            self.trace('connection', socket)
            socket.pipe(socket)

        def listening() -> None:
            address = server.address()
            self.say('server', 'listening', shown(address))
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
        self.headline(f'{mib} MiB with backpressure: the writer waits for drain, the reader pauses')
        client = net.Socket()
        count = {'sent': 0, 'got': 0, 'waits': 0, 'pauses': 0, 'most': 0, 'resting': 0}
        times: list[float] = []
        got = hashlib.sha256()

        def bar() -> str:
            screen = self.screen
            queued, got_mib = client.writable_length, count['got'] // MIB
            full = queued / client.writable_high_water_mark
            return (
                f'   queued {screen.cells(full, 31 if full >= 1 else 36)} {queued // 1024:3} KiB   '
                f'read {screen.cells(count["got"] / self.size, 33)} {got_mib:2} of {mib} MiB   '
                f'{"reader pauses" if count["resting"] else ""}'
            )

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
                if due <= count['got'] < self.size:
                    due += PAUSE_EVERY
                    count['pauses'] += 1
                    count['resting'] = 1
                    socket.pause()
                    tailrace.set_timeout(go_on, self.pause)
                self.screen.bar(bar)

            def go_on() -> None:
                count['resting'] = 0
                self.screen.bar(bar)
                socket.resume()

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
                f'{count["pauses"]} pauses of {self.pause} ms)',
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


def main(size: int = TRANSFER, command: str = 'python -m tailrace') -> int:
    """Run the demonstration; 0 if everything came out as it should, else 1.

    ``command`` is how the last line, which says what to try next, calls the command.
    """
    with tempfile.TemporaryDirectory(prefix='tailrace-') as folder:
        demo = Demo(folder, size, command)
        tailrace.run(demo.next)
    return int(demo.failed or len(demo.summary) != 5)


if __name__ == '__main__':
    # ./run says how it was called; --demo is what stands there otherwise.
    named = [word for word in sys.argv[1:] if not word.startswith('-')]
    sys.exit(main(command=named[0] if named else 'python -m tailrace'))
