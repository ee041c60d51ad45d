"""The pictures that explain: what the library is, and how a host with several addresses is reached.

Drawn by ``diagrams.py`` with the others. :data:`ATTEMPTS` is a table that a test plays with real
connecting code, so the picture cannot say what the code does not do.
"""

from __future__ import annotations

from typing import NamedTuple

from paper import box, head, line, words

__all__ = ['ATTEMPTS', 'DELAY', 'Attempt', 'draw_attempts', 'draw_overview']


class Attempt(NamedTuple):
    """One attempt to connect: to which address, from when to when (ms), and how it ends."""

    address: str
    start: int
    end: int
    #: The event that ends it.
    event: str


#: ``auto_select_family_attempt_timeout``: how long an attempt runs before the next one begins.
DELAY = 250
ATTEMPTS = (
    Attempt('2001:db8::1', 0, 250, 'connectionAttemptTimeout'),
    Attempt('192.0.2.1', 250, 280, 'connectionAttemptFailed'),
    Attempt('2001:db8::2', 280, 320, 'connect'),
)
#: What each address does, for the picture's reader.
REASONS = ('no answer', 'refused after 30 ms', 'accepted after 40 ms')


def draw_attempts() -> str:
    """Time from left to right, one row for each attempt."""
    width, left, right, top, step = 660, 130, 590, 74, 52
    scale = (right - left) / 350
    height = top + step * len(ATTEMPTS) + 58
    title = 'Attempts to connect: ' + '; '.join(
        f'{one.address} from {one.start} to {one.end} ms, {one.event}' for one in ATTEMPTS
    )
    out = head(width, height, title)
    out.append(words('aim', 20, 28, "net.connect(443, 'host.example') and three addresses"))
    bottom = top + step * len(ATTEMPTS) - 8
    for ms in range(0, 351, 50):
        x = left + ms * scale
        out.append(line('rule', [(x, top - 22), (x, bottom)]))
        out.append(words('about', x, bottom + 18, f'{ms}' if ms < 350 else '350 ms', 'middle'))
    for at, (one, reason) in enumerate(zip(ATTEMPTS, REASONS, strict=True)):
        y = top + step * at
        start, end = left + one.start * scale, left + one.end * scale
        kind = 'good' if one.event == 'connect' else 'bad'
        out.append(words('code', 20, y + 14, one.address))
        out.append(box(kind, start, y - 4, end - start, 26, 6))
        beside = end - start > 200
        x, anchor = (start + 10, 'start') if beside else (start - 8, 'end')
        out.append(
            words('about', x, y + 14, reason, anchor).replace('class="about"', 'class="aim"')
        )
        out.append(words('says', end + 4 if at else end, y - 9, repr(one.event), 'middle'))
    out.append(
        words(
            'aim',
            20,
            height - 14,
            f'The next attempt begins when one has failed, or after {DELAY} ms.',
        )
    )
    return '\n'.join([*out, '</svg>', ''])


def draw_overview() -> str:
    """A connection between its peer, the socket and the program."""
    width, height = 720, 336
    title = (
        'A tailrace socket stands between the peer and the program: what the peer sends is read '
        'by events, pipes or await; what the program writes goes out with backpressure.'
    )
    out = head(width, height, title)
    out += [
        box('plain', 20, 40, 90, 190),
        words('name', 65, 120, 'peer'),
        words('about', 65, 140, 'a client,', 'middle'),
        words('about', 65, 156, 'a server', 'middle'),
        box('state', 200, 24, 220, 222),
        words('name', 310, 50, 'net.Socket'),
        box('plain', 214, 68, 192, 62, 8),
        words('about', 310, 94, 'reading side', 'middle'),
        words('about', 310, 112, 'pauses when 64 KiB wait', 'middle'),
        box('plain', 214, 162, 192, 62, 8),
        words('about', 310, 188, 'writing side', 'middle'),
        words('about', 310, 206, 'says False, then drains', 'middle'),
        line('way', [(110, 99), (212, 99)]),
        line('way', [(214, 193), (112, 193)]),
        words('about', 154, 90, 'bytes, FIN', 'middle'),
        words('about', 154, 184, 'bytes, FIN', 'middle'),
        box('ours', 540, 24, 160, 222),
        words('name', 620, 50, 'your program'),
        line('way', [(406, 99), (538, 99)]),
        line('way', [(540, 193), (408, 193)]),
        words('says', 480, 90, "'data' 'end'", 'middle'),
        words('says', 480, 213, "'drain' 'finish'", 'middle'),
        words('code', 552, 84, "on('data', …)"),
        words('code', 552, 104, 'async for'),
        words('code', 552, 124, 'await read_line()'),
        words('code', 552, 152, 'pipe(other)'),
        words('code', 552, 182, 'write(…)'),
        words('code', 552, 202, 'await drain()'),
        words('code', 552, 222, 'end()'),
        box('plain', 20, 268, 680, 48),
        words(
            'about', 360, 288, "asyncio's loop, or uvloop: your other tasks run beside it", 'middle'
        ),
        words(
            'about',
            360,
            305,
            'idle timeouts, limits, block lists, attempts to connect, TLS, the end of the program',
            'middle',
        ),
    ]
    out += [line('way', [(x, 247), (x, 266)]) for x in (310, 620)]
    return '\n'.join([*out, '</svg>', ''])
