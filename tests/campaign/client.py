"""Clients of a campaign, by the standard library alone: ``python client.py MODE PORT COUNT``.

A process of its own, so that what the server keeps can be measured. Prints one line of JSON when it
is done. What holds connections waits for a line on its standard input before it closes them.
"""

from __future__ import annotations

import contextlib
import json
import random
import resource
import select
import socket
import struct
import sys
import time
from typing import Any

RESET = struct.pack('ii', 1, 0)
#: Seconds.
PATIENCE = 30


def dial(port: int, number: int) -> socket.socket:
    """From another loopback address every thousand connections: ports in TIME_WAIT are used up."""
    sock = socket.socket()
    sock.settimeout(PATIENCE)
    sock.bind((f'127.0.{1 + number // 1000 % 200}.1', 0))
    sock.connect(('127.0.0.1', port))
    return sock


def take(sock: socket.socket, size: int) -> bytes:
    out = b''
    while len(out) < size:
        chunk = sock.recv(size - len(out))
        if not chunk:
            break
        out += chunk
    return out


def cycles(port: int, count: int) -> dict[str, Any]:
    """Connect, a message there and back, close."""
    lost = 0
    for number in range(count):
        message = b'%063d\n' % number
        with dial(port, number) as sock:
            sock.sendall(message)
            lost += take(sock, len(message)) != message
    return {'cycles': count, 'lost': lost}


def resets(port: int, count: int) -> dict[str, Any]:
    """A reset at once, behind what was sent, behind the answer, in the middle of the answer."""
    lost = 0
    for number in range(count):
        sock = dial(port, number)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        stage = number % 4
        if stage:
            sock.sendall(b'x' * 64 if stage < 3 else b'x' * 200_000)
        if stage == 2:
            lost += len(take(sock, 64)) != 64
        if stage == 3:
            take(sock, 1000)
        sock.close()
    return {'resets': count, 'lost': lost}


def held(port: int, count: int) -> list[socket.socket]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count + 100)), hard))
    return [dial(port, number) for number in range(count)]


def wait() -> None:
    print('held', flush=True)
    sys.stdin.readline()


def flood(port: int, count: int) -> dict[str, Any]:
    """All connect and stay; how many are still connected when told to look."""
    socks: list[socket.socket] = []
    refused = 0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count + 100)), hard))
    for number in range(count):
        try:
            socks.append(dial(port, number))
        except OSError:
            refused += 1
    wait()
    kept = 0
    for sock in socks:
        sock.setblocking(False)
        try:
            kept += bool(sock.recv(1))
        except BlockingIOError:
            kept += 1
        except ConnectionError:
            pass  # turned away with a reset
        sock.close()
    return {'connections': count, 'kept': kept, 'refused': refused}


def never(port: int, count: int) -> dict[str, Any]:
    """Ask for much and read nothing."""
    socks = held(port, count)
    for sock in socks:
        sock.sendall(b'more\n')
    wait()
    for sock in socks:
        sock.close()
    return {'connections': count}


def loris(port: int, count: int) -> dict[str, Any]:
    """A byte of an endless line now and then."""
    socks = held(port, count)
    end = time.monotonic() + 1.0
    sent = 0
    while time.monotonic() < end:
        for sock in socks:
            sock.sendall(b'x')
            sent += 1
    wait()
    for sock in socks:
        sock.close()
    return {'connections': count, 'sent': sent}


def load(port: int, count: int) -> dict[str, Any]:
    """Requests one after another until told to stop, at least ``count``; failures counted."""
    failed = number = 0
    while number < count or not select.select([sys.stdin], [], [], 0.002)[0]:
        number += 1
        try:
            with dial(port, number) as sock:
                sock.sendall(b'%063d\n' % number)
                failed += len(take(sock, 64)) != 64
        except OSError:
            failed += 1
    return {'requests': number, 'failed': failed}


def rude(port: int, count: int) -> dict[str, Any]:
    """Sends and receives until it is killed."""
    random.seed(count)
    socks = held(port, count)
    print('held', flush=True)
    while True:
        sock = random.choice(socks)
        with contextlib.suppress(BlockingIOError, ConnectionError):
            sock.setblocking(False)
            sock.send(b'y' * random.randrange(1, 60_000))
            sock.recv(30_000)


if __name__ == '__main__':
    act = globals()[sys.argv[1]]
    print(json.dumps(act(int(sys.argv[2]), int(sys.argv[3]))), flush=True)
