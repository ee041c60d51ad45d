"""Standard input and output as streams: a terminal, a pipe, a file or a socket alike.

Each has a thread that makes the blocking calls. The descriptors are shared with other processes (a
shell, the rest of a pipeline), so they are left blocking; and a poll cannot watch a file.
This file refuses to know sockets.
"""

from __future__ import annotations

import asyncio
import os
import queue
import select
import threading
from collections.abc import Callable
from typing import Any

from ..stream import Readable, Writable

__all__ = ['Input', 'Output']

#: Bytes of one read.
CHUNK = 65536


class Input(Readable):
    """What comes from a descriptor. It is read when there is room for it, and left open."""

    def __init__(self, fd: int = 0) -> None:
        super().__init__()
        self.is_terminal = os.isatty(fd)
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._asked = threading.Semaphore(0)
        self._thread: threading.Thread | None = None

    def _read(self, size: int) -> None:
        if self._thread is None:
            # A daemon: nothing can end a read that waits for a person.
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()
        self._asked.release()

    def _work(self) -> None:
        chunk = b'more'
        while chunk:
            self._asked.acquire()
            chunk = _read(self._fd)
            if not _call(self._loop, self.push, chunk or None):
                return


class Output(Writable):
    """What goes to a descriptor. At the end it is closed for who reads it."""

    def __init__(self, fd: int = 1) -> None:
        super().__init__()
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._chunks: queue.SimpleQueue[tuple[bytes, Callable[[Any], object]]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def _write(self, chunk: bytes, encoding: str, callback: Callable[[Any], object]) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()
        self._chunks.put((chunk, callback))

    def _work(self) -> None:
        while True:
            chunk, callback = self._chunks.get()
            try:
                _write(self._fd, chunk)
            except OSError as error:
                _call(self._loop, callback, error)
                return
            if not _call(self._loop, callback, None):
                return

    def _final(self, callback: Callable[[Any], object]) -> None:
        # The number stays taken: the next socket must not be what print() writes to.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._fd)
        os.close(nowhere)
        callback(None)


def _call(loop: asyncio.AbstractEventLoop, fn: Callable[..., object], argument: Any) -> bool:
    """Call ``fn`` in the loop; False if the loop has ended."""
    try:
        loop.call_soon_threadsafe(fn, argument)
    except RuntimeError:
        return False
    return True


def _read(fd: int) -> bytes:
    """Some bytes; none at the end. A terminal that has gone away (EIO) is an end too."""
    while True:
        try:
            return os.read(fd, CHUNK)
        except BlockingIOError:  # somebody else has made it so
            select.select([fd], [], [])
        except OSError:
            return b''


def _write(fd: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            select.select([], [fd], [])
