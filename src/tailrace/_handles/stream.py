"""A connection: bytes in, bytes out, over one non-blocking descriptor.

What TCP and Unix sockets share beyond receiving (``reading.py``): writing, the queue behind a full
kernel buffer, shutdown, connecting and closing. The contract whose rules are cited is in
``__init__.py``.

This file refuses to know addresses and options (``tcp.py``, ``pipe.py``), and the loop
(``engine.py``).

An idle connection costs the handle and the C-level socket object, nothing else: everything that
only a request under way needs lives in a :class:`Pending` that exists as long as one is.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable
from types import MethodType
from typing import Any, Final

from . import DONE, PENDING
from .calls import CONNECTION, KERNEL, send_of
from .engine import READ, WRITE
from .pending import IOV_MAX, Data, FilePart, Pending, as_bytes
from .reading import RawSocket, Receiver, code_of, ignore

__all__ = ['FULL', 'NO_SIGNAL', 'Stream']

# send(2): no SIGPIPE, should the program have given that signal its default action back (Python
# ignores it from the start). Systems without the flag rely on that.
# Any: an int that is made of a C number for each call costs 130 instructions.
NO_SIGNAL: Final[Any] = int(getattr(socket, 'MSG_NOSIGNAL', 0))
_HAS_SENDMSG: Final = hasattr(RawSocket, 'sendmsg')

#: The most of a file for one system call: the others have a turn in between.
_PIECE: Final = 1 << 20

# The kernel has no room now, and says writable when it has. ENOBUFS: "the output queue for a
# network interface was full" (send(2)); macOS says it for Unix sockets under load.
FULL: Final = frozenset((errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS))


# Winsock's word for it is WSAEWOULDBLOCK. On POSIX that is EAGAIN, and an error: a Unix socket
# whose backlog is full (connect(2)).
_IN_PROGRESS: Final = errno.EWOULDBLOCK if sys.platform == 'win32' else errno.EINPROGRESS


class Stream(Receiver):
    """What TCP and Unix-domain connections share."""

    __slots__ = ()

    # -- writing (rule 7) -------------------------------------------------------------------

    def write(self, data: Data, done: Callable[[int], object] | None) -> int:
        # The fast path: nothing waits, the kernel takes it all.
        sock = self._sock
        if sock is None:
            return errno.EBADF
        if type(data) is not bytes:
            data = as_bytes(data)  # type: ignore[arg-type]
        size = len(data)
        if self._pending is not None:
            self.bytes_written += size
            self._enqueue([data], size, 0, done)
            return PENDING
        try:
            if KERNEL and type(sock) is CONNECTION:
                sent: int = send_of(sock, data, NO_SIGNAL)
            else:
                sent = sock.send(data, NO_SIGNAL)
        except OSError as error:
            if code_of(error) not in FULL:
                return code_of(error)
            sent = 0
        else:
            if self.stamping:
                self.active_at = self.runtime.clock()
        self.bytes_written += size
        if sent == size:
            return DONE
        self._enqueue([data], size, sent, done)
        return PENDING

    def writev(self, chunks: list[Data], done: Callable[[int], object]) -> int:
        sock = self._sock
        if sock is None:
            return errno.EBADF
        plain = [chunk if type(chunk) is bytes else as_bytes(chunk) for chunk in chunks]  # type: ignore[arg-type]
        size = 0
        for chunk in plain:
            size += len(chunk)
        sent = 0
        if self._pending is None:
            start = 0
            # A short count says that the kernel is full; a full one that there may be room left.
            while start < len(plain):
                part = plain[start : start + IOV_MAX]
                start += IOV_MAX
                wanted = 0
                for chunk in part:
                    wanted += len(chunk)
                try:
                    count = self._send_list(part)
                except OSError as error:
                    if code_of(error) in FULL:
                        break
                    if not sent:
                        return code_of(error)
                    # Some is out: the callback has to tell. The next attempt meets the error again.
                    break
                sent += count
                if count < wanted:
                    break
            if sent and self.stamping:
                self.active_at = self.runtime.clock()
        self.bytes_written += size
        if self._pending is None and sent == size:
            return DONE
        self._enqueue(plain, size, sent, done)
        return PENDING

    def _send_list(self, chunks: list[Any]) -> int:
        """Send several chunks with one system call; how many bytes the kernel took."""
        sock = self._sock
        if len(chunks) == 1:
            return int(sock.send(chunks[0], NO_SIGNAL))
        if _HAS_SENDMSG:
            return int(sock.sendmsg(chunks, (), NO_SIGNAL))
        return int(sock.send(b''.join(chunks), NO_SIGNAL))

    def _enqueue(
        self, chunks: list[Any], size: int, sent: int, done: Callable[[int], object] | None
    ) -> None:
        """Queue what the kernel did not take of a write, behind everything that waits."""
        pending = self._pend()
        if done is None:
            calls = self.calls
            done = ignore if calls is None else MethodType(calls.written, self.owner)
        self.write_queue_size += pending.enqueue(chunks, size, sent, done)
        if pending.connect is None:
            self._engine.watch(self, self.watching | WRITE)

    def _pend(self) -> Pending:
        pending = self._pending
        if pending is None:
            pending = self._pending = Pending()
            self._update_hold()
        return pending

    def _unpend(self) -> None:
        """Nothing is under way any more."""
        self._engine.watch(self, self.watching & ~WRITE)
        self._pending = None
        self._update_hold()

    def ready_to_write(self) -> None:
        pending = self._pending
        if pending is None:
            return
        if pending.connect is not None:
            code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code != _IN_PROGRESS:
                self._connected(code)
            return
        if pending.file is not None:
            self._send_part(pending, pending.file)
            return
        if pending.chunks:
            try:
                sent = self._send_list(pending.batch())
            except OSError as error:
                code = code_of(error)
                if code not in FULL:
                    self._fail_writes(pending, code)
                return
            pending.took(sent)
            self.write_queue_size -= sent
            if self.stamping:
                self.active_at = self.runtime.clock()
        self._finish_writes(pending)

    # -- files ------------------------------------------------------------------------------

    def send_file(
        self,
        fd: int,
        offset: int,
        count: int,
        moved: Callable[[int], object],
        done: Callable[[int], object],
    ) -> int:
        """Send ``count`` bytes of a file with sendfile(2), with nothing before them in the queue.

        ``moved(size)`` tells of each piece. EBUSY if something waits to be written. A file that
        ends early is ENODATA. Bytes that are written meanwhile go out behind the file.
        """
        if self._sock is None:
            return errno.EBADF
        if self._pending is not None:
            return errno.EBUSY
        # All of it from the loop: a file on a slow disk, or a fast peer, must not keep the rest.
        pending = self._pend()
        pending.file = FilePart(fd, offset, count, moved)
        # Beyond all bytes: a close in between finds that it is not out.
        pending.marks.append((pending.end + 1, done, False))
        self._engine.watch(self, self.watching | WRITE)
        return PENDING

    def _send_part(self, pending: Pending, part: FilePart) -> None:
        """Send the next piece of a file; one system call for each turn of the loop."""
        try:
            sent = os.sendfile(self.fd, part.fd, part.offset, min(part.count, _PIECE))
        except OSError as error:
            code = code_of(error)
            if code not in FULL:
                pending.file = None
                self._fail_writes(pending, code)
            return
        if self.stamping:
            self.active_at = self.runtime.clock()
        self.bytes_written += sent
        part.offset += sent
        part.count -= sent
        if not sent and part.count:
            pending.file = None
            self._fail_writes(pending, errno.ENODATA)
            return
        if not part.count:
            pending.file = None
        if sent:
            self.runtime.step(part.moved, (sent,), self.owner)
        if self._pending is pending and pending.file is None:
            self._file_sent(pending)

    def _file_sent(self, pending: Pending) -> None:
        """Tell who sent the file, and go on with what was written behind it."""
        _, done, _ = pending.marks.popleft()
        if not pending.marks:
            self._unpend()
        self.runtime.step(done, (DONE,), self.owner)

    def _finish_writes(self, pending: Pending) -> None:
        """Call the callbacks of the requests whose bytes are out (rule 5 after each)."""
        marks = pending.marks
        while marks and marks[0][0] <= pending.sent:
            _, done, is_shutdown = marks.popleft()
            code = self._shut() if is_shutdown else DONE
            if not marks:
                self._unpend()
            self.runtime.step(done, (code,), self.owner)
            if self._pending is not pending:
                return

    def _fail_writes(self, pending: Pending, code: int) -> None:
        """The descriptor cannot be written to any more: every request that waits fails.

        All of them, because what follows a hole in the stream must not be sent.
        """
        pending.chunks.clear()
        self.write_queue_size = 0
        marks = pending.marks
        while marks:
            _, done, _ = marks.popleft()
            if not marks:
                self._unpend()
            self.runtime.step(done, (code,), self.owner)
            if self._pending is not pending:
                return

    def shutdown(self, done: Callable[[int], object]) -> int:
        if self._sock is None:
            return errno.ENOTCONN
        pending = self._pending
        if pending is None:
            return self._shut()
        pending.marks.append((pending.end, done, True))
        return PENDING

    def _shut(self) -> int:
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            return code_of(error)
        return DONE

    # -- connecting -------------------------------------------------------------------------

    def _start_connect(self, address: Any, done: Callable[[int], object], later: bool) -> int:
        """connect(2). ``later``: whether an error that is known at once is reported later."""
        if self._pending is not None:
            return errno.EALREADY
        try:
            code = int(self._sock.connect_ex(address))
        except OSError as error:
            return code_of(error)
        under_way = code == _IN_PROGRESS
        if code and not under_way and not later and code != errno.ECONNREFUSED:
            return code
        pending = self._pend()
        pending.connect = done
        # A Unix socket is connected at once. That it is comes from the loop all the same, where it
        # has its place among the events: behind the accept of the server, and with the reset if
        # that was closed meanwhile.
        if under_way or (later and not code):
            self._engine.watch_connect(self)
        else:
            self._engine.defer(self._connected, (code,), self.owner)
        return PENDING

    def _connected(self, code: int) -> None:
        pending = self._pending
        if pending is None or pending.connect is None:
            return
        done = pending.connect
        pending.connect = None
        if not pending.marks:
            self._unpend()
        if self.reading:
            if code:
                self.reading = False
                self._update_hold()
            else:
                self._engine.watch(self, self.watching | READ)
        self.runtime.step(done, (code,), self.owner)
        if code and self._pending is pending:
            self._fail_writes(pending, code)
        elif self._pending is pending:
            self._engine.watch(self, self.watching | WRITE)

    # -- closing (rule 4) -------------------------------------------------------------------

    def abandon(self) -> None:
        self.close()

    def close(self, done: Callable[[], object] | None = None) -> None:
        engine = self._engine
        source = self.owner
        sock = self._sock
        if sock is not None:
            self.reading = False
            engine.watch(self, 0)
            pending = self._pending
            if pending is not None:
                self._pending = None
                self.write_queue_size = 0
                if pending.connect is not None:
                    engine.defer(pending.connect, (errno.ECANCELED,), source)
                for end, callback, is_shutdown in pending.marks:
                    out = end <= pending.sent and not is_shutdown
                    engine.defer(callback, (DONE if out else errno.ECANCELED,), source)
            self._sock = None
            self.fd = -1
            self._update_hold()
            self._let_go()
            try:
                sock.close()
            except OSError:
                pass  # close(2): the descriptor is gone whatever it says (EIO, ENOSPC, ECONNRESET)
        if done is not None:
            engine.defer(done, (), source)
