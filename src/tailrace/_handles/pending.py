"""The requests of a connection that are under way: what waits, and who is to be told.

Pure bookkeeping, so that it can be followed without a socket: this file refuses to know
descriptors, the loop, and what a callback does.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any, Final

__all__ = ['IOV_MAX', 'Data', 'FilePart', 'Pending', 'as_bytes']

Data = bytes | bytearray | memoryview


def _iov_max() -> int:
    try:
        found = os.sysconf('SC_IOV_MAX')
    except (AttributeError, ValueError, OSError):
        return 16  # _XOPEN_IOV_MAX, the least that a system may have
    return min(found, 1024) if found > 0 else 16


IOV_MAX: Final = _iov_max()


def as_bytes(data: bytearray | memoryview) -> bytearray | memoryview | bytes:
    """``data`` as something whose ``len`` counts bytes."""
    if isinstance(data, memoryview) and (data.itemsize != 1 or data.ndim != 1):
        return data.cast('B') if data.c_contiguous else data.tobytes()
    if isinstance(data, memoryview) and not data.c_contiguous:
        return data.tobytes()
    return data


def _rest_of(data: Data, start: int) -> bytes | memoryview:
    """A snapshot of what follows ``start``: nothing is copied that cannot change (rule 7)."""
    if type(data) is bytes:
        return memoryview(data)[start:] if start else data
    view = memoryview(data)[start:]
    return view if type(view.obj) is bytes else bytes(view)


class FilePart:
    """A part of a file that the kernel sends itself."""

    __slots__ = ('count', 'fd', 'moved', 'offset')

    def __init__(self, fd: int, offset: int, count: int, moved: Callable[[int], object]) -> None:
        self.fd = fd
        #: Where the rest of it begins, and how long that is.
        self.offset = offset
        self.count = count
        #: Called with the size of each piece that has gone out.
        self.moved = moved


class Pending:
    """The requests of a connection that are under way."""

    __slots__ = ('chunks', 'connect', 'end', 'file', 'marks', 'sent')

    def __init__(self) -> None:
        #: Callback of the connect under way.
        self.connect: Callable[[int], object] | None = None
        #: What is sent in front of all bytes that wait, if a file is.
        self.file: FilePart | None = None
        #: Bytes that wait, without regard to the writes they came from.
        self.chunks: deque[Any] = deque()
        #: One for each write or shutdown: where it ends (a position in all bytes that ever went
        #: through this object), its callback, and whether it is a shutdown.
        self.marks: deque[tuple[int, Callable[[int], object], bool]] = deque()
        #: Position of the end of the queue, and how far the kernel has taken it.
        self.end = 0
        self.sent = 0

    def enqueue(
        self, chunks: list[Any], size: int, sent: int, done: Callable[[int], object]
    ) -> int:
        """Queue a write of ``size`` bytes of which ``sent`` are out; how many bytes now wait."""
        size -= sent
        for chunk in chunks:
            length = len(chunk)
            if sent >= length:
                sent -= length
            else:
                self.chunks.append(_rest_of(chunk, sent))
                sent = 0
        self.end += size
        self.marks.append((self.end, done, False))
        return size

    def batch(self) -> list[Any]:
        """What one system call may take from the head of the queue."""
        return list(islice(self.chunks, IOV_MAX))

    def took(self, sent: int) -> None:
        """Drop what the kernel took."""
        self.sent += sent
        chunks = self.chunks
        while chunks:
            length = len(chunks[0])
            if sent < length:
                if sent:
                    chunks[0] = memoryview(chunks[0])[sent:]
                return
            chunks.popleft()
            sent -= length
