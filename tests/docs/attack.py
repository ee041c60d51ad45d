"""What a bad client does to a server: by the standard library alone, for one port or path.

As a program, ``python attack.py PROGRAM``: runs PROGRAM, attacks each server that it starts while
it goes on, and ends with its status.
"""

from __future__ import annotations

import contextlib
import runpy
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ['ATTACKS', 'attack', 'connected', 'is_served']

#: Seconds.
PATIENCE = 10
Where = tuple[str, int] | str


@contextlib.contextmanager
def connected(where: Where) -> Iterator[socket.socket]:
    """A connection, closed with a reset as far as there is one."""
    sock = socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET)
    with sock:
        sock.settimeout(PATIENCE)
        sock.connect(where)
        yield sock


def reset(sock: socket.socket) -> None:
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    sock.close()


def push(sock: socket.socket, data: bytes) -> None:
    """Send until the server takes no more; that it may close is its right."""
    sock.settimeout(0.2)
    with contextlib.suppress(OSError):
        sock.sendall(data)


def oversized_line(sock: socket.socket) -> None:
    push(sock, b'x' * 1_000_000)


def oversized_line_of_lines(sock: socket.socket) -> None:
    push(sock, b'hello\n' * 20_000 + b'x' * 200_000)


def end_in_the_middle(sock: socket.socket) -> None:
    push(sock, b'hello\nhal')


def fin_in_the_middle(sock: socket.socket) -> None:
    push(sock, b'hello\nhal')
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass


def reset_at_once(sock: socket.socket) -> None:
    reset(sock)


def reset_in_the_middle(sock: socket.socket) -> None:
    push(sock, b'hello\nhal')
    reset(sock)


def reset_under_its_answer(sock: socket.socket) -> None:
    push(sock, b'hello\n' * 50_000)
    reset(sock)


def no_text(sock: socket.socket) -> None:
    push(sock, bytes(range(256)) * 4 + b'\n\xff\xfe\n\n')


ATTACKS: tuple[Callable[[socket.socket], object], ...] = (
    oversized_line,
    oversized_line_of_lines,
    end_in_the_middle,
    fin_in_the_middle,
    reset_at_once,
    reset_in_the_middle,
    reset_under_its_answer,
    no_text,
)


def attack(where: Where, during: Callable[[], object] = lambda: None) -> None:
    """Everything once; ``during()`` while a slow sender and a client that never reads are there."""
    with connected(where) as slow, connected(where) as never:
        slow.sendall(b'h')
        push(never, b'hello\n' * 100_000)
        for act in ATTACKS:
            with connected(where) as sock:
                act(sock)
            push(slow, b'e')
        during()
        reset(never)


def is_served(where: Where) -> bool:
    """Whether a client is let in and its connection comes to its end, rather than being reset."""
    with connected(where) as sock:
        push(sock, b'hello\n')
        sock.settimeout(PATIENCE)
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
        try:
            while sock.recv(65536):
                pass
        except ConnectionResetError:
            return False
    return True


def main(program: str) -> None:
    """Run ``program`` and attack its servers."""
    import tailrace

    threads: list[threading.Thread] = []

    def listens(message: Any) -> None:
        where = message['server'].address()
        place: Where = where if isinstance(where, str) else ('127.0.0.1', where.port)
        # The program may be over before the attack is.
        threads.append(threading.Thread(target=attack_quietly, args=[place], daemon=True))
        threads[-1].start()

    def attack_quietly(where: Where) -> None:
        with contextlib.suppress(OSError):
            attack(where)

    tailrace.channel('tracing:net.server.listen:asyncEnd').subscribe(listens)
    sys.argv[:] = [program]
    runpy.run_path(program, run_name='__main__')


if __name__ == '__main__':
    main(sys.argv[1])
