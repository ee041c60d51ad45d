"""A bad link of our own, for kernels without ``tc netem``: ``python link.py COMMAND...``.

In a network namespace of its own (``unshare -n``) it makes a TUN device 10.9.0.1/24 and runs the
command. What is sent to 10.9.0.2 comes out of the device; with the two addresses exchanged it goes
back in, so that a server on 10.9.0.1 is reached at 10.9.0.2, and its answers take the same way.
The exchange leaves the checksums as they are. In between packets are lost, delayed and reordered.

Prints one line of JSON behind the command's output: how many packets there were, and what happened
to them. The standard library only; Linux, and a user who may make devices.
"""

from __future__ import annotations

import fcntl
import heapq
import json
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
OWN, FAR = '10.9.0.1', '10.9.0.2'

#: Of a hundred packets so many are lost, sent twice, and kept for so long that others pass them.
LOST, DOUBLED, LATE = 2, 1, 10
#: Milliseconds: what every packet takes, by how much that varies, and how much a late one has more.
DELAY, JITTER, MORE = 5, 3, 20


def device() -> int:
    fd = os.open('/dev/net/tun', os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack('16sH', b'bad0', IFF_TUN | IFF_NO_PI))
    for words in (
        f'address add {OWN}/24 dev bad0',
        'link set bad0 up mtu 1500',
        'link set lo up',
    ):
        subprocess.run(['ip', *words.split()], check=True)
    return fd


def turned(packet: bytes) -> bytes:
    """Source and destination exchanged: the checksums are sums, and stay right."""
    return packet[:12] + packet[16:20] + packet[12:16] + packet[20:]


def carry(fd: int, process: subprocess.Popen[bytes]) -> dict[str, int]:
    """Until the command has ended."""
    chance = random.Random(11)
    waiting: list[tuple[float, int, bytes]] = []
    counts = dict.fromkeys(('packets', 'lost', 'doubled', 'late'), 0)
    number = 0

    def keep(packet: bytes, ms: float) -> None:
        nonlocal number
        number += 1
        heapq.heappush(waiting, (time.monotonic() + ms / 1000, number, packet))

    while process.poll() is None:
        wait = 0.1
        if waiting:
            wait = min(wait, max(0.0, waiting[0][0] - time.monotonic()))
        if select.select([fd], [], [], wait)[0]:
            packet = os.read(fd, 65536)
            if packet[0] >> 4 == 4:  # the system also speaks IPv6 on every device
                counts['packets'] += 1
                ms = DELAY + chance.uniform(-JITTER, JITTER)
                draw = chance.uniform(0, 100)
                if draw < LOST:
                    counts['lost'] += 1
                    continue
                if draw < LOST + LATE:
                    counts['late'] += 1
                    ms += MORE
                elif draw < LOST + LATE + DOUBLED:
                    counts['doubled'] += 1
                    keep(turned(packet), ms + MORE)
                keep(turned(packet), ms)
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            os.write(fd, heapq.heappop(waiting)[2])
    return counts


def main() -> int:
    fd = device()
    process = subprocess.Popen(sys.argv[1:])
    counts = carry(fd, process)
    print(json.dumps(counts), flush=True)
    return process.returncode


if __name__ == '__main__':
    sys.exit(main())
