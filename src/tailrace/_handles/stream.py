"""A connection: bytes in, bytes out, over one non-blocking descriptor.

What TCP and Unix sockets share, that is nearly everything: reading, writing, the queue behind a
full kernel buffer, shutdown, closing, and when a connection holds the program. The contract is in
``__init__.py`` and its rule numbers are cited here.

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
import warnings
from collections import deque
from collections.abc import Callable
from itertools import islice
from time import monotonic
from typing import Any, Final

from tailrace._runtime import Runtime
from . import DONE, PENDING
from .engine import Engine, engine_of

__all__ = ['RawSocket', 'Stream', 'code_of']

#: The C-level socket class: constructing ``socket.socket`` runs Python code that nobody needs here
#: (an accepted connection takes 3.5 us instead of 4.8).
RawSocket = socket.SocketType

Data = bytes | bytearray | memoryview

#: What one recv asks for. Below 64 KiB Nagle and delayed ACK can meet: stalls of 40 ms.
CHUNK: Final = 65536
#: What a connection asks for whose last recv came back full.
BIG_CHUNK: Final = 262144
#: recv calls for one readiness event, so that one busy peer cannot starve the others.
MAX_RECV: Final = 4

# send(2): no SIGPIPE, should the program have given that signal its default action back (Python
# ignores it from the start). Systems without the flag rely on that.
_NO_SIGNAL: Final = int(getattr(socket, 'MSG_NOSIGNAL', 0))
_HAS_SENDMSG: Final = hasattr(RawSocket, 'sendmsg')

# The kernel has no room now, and says writable when it has. ENOBUFS: "the output queue for a
# network interface was full" (send(2)); macOS says it for Unix sockets under load.
_FULL: Final = frozenset((errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS))


# Winsock's word for it is WSAEWOULDBLOCK. On POSIX that is EAGAIN, and an error: a Unix socket
# whose backlog is full (connect(2)).
_IN_PROGRESS: Final = errno.EWOULDBLOCK if sys.platform == 'win32' else errno.EINPROGRESS


def _iov_max() -> int:
    try:
        found = os.sysconf('SC_IOV_MAX')
    except (AttributeError, ValueError, OSError):
        return 16  # _XOPEN_IOV_MAX, the least that a system may have
    return min(found, 1024) if found > 0 else 16


IOV_MAX: Final = _iov_max()


def code_of(error: OSError) -> int:
    """The errno of an error; EINVAL for those that Python raises before it asks the kernel."""
    return error.errno or errno.EINVAL


def _ignore(*args: Any) -> None:
    """The callbacks of a handle that nobody has set, or that is closed."""


def _as_bytes(data: bytearray | memoryview) -> bytearray | memoryview | bytes:
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


class Pending:
    """The requests of a connection that are under way."""

    __slots__ = ('chunks', 'connect', 'end', 'marks', 'sent', 'writing')

    def __init__(self) -> None:
        #: Callback of the connect under way.
        self.connect: Callable[[int], object] | None = None
        #: Bytes that wait, without regard to the writes they came from.
        self.chunks: deque[Any] = deque()
        #: One for each write or shutdown: where it ends (a position in all bytes that ever went
        #: through this object), its callback, and whether it is a shutdown.
        self.marks: deque[tuple[int, Callable[[int], object], bool]] = deque()
        #: Position of the end of the queue, and how far the kernel has taken it.
        self.end = 0
        self.sent = 0
        #: Whether the writer is registered.
        self.writing = False


class Stream:
    """What TCP and Unix-domain connections share."""

    __slots__ = (
        '_buf',
        '_chunk',
        '_engine',
        '_held',
        '_pending',
        '_refed',
        '_sock',
        'active_at',
        'buffer',
        'bytes_read',
        'bytes_written',
        'fd',
        'on_buffer',
        'on_end',
        'on_error',
        'on_read',
        'owner',
        'reading',
        'runtime',
        'stamping',
        'write_queue_size',
    )

    kind: str = 'stream'

    def __init__(self, runtime: Runtime) -> None:
        self._sock: Any = None
        self.fd = -1
        self.runtime = runtime
        self._engine: Engine = engine_of(runtime)
        self.owner: object = None
        self.on_read: Callable[[bytes], object] = _ignore
        self.on_end: Callable[[], object] = _ignore
        self.on_error: Callable[[int], object] = _ignore
        self.buffer: Callable[[], bytearray | memoryview] | None = None
        self.on_buffer: Callable[[int, bytearray | memoryview], object] = _ignore
        self.bytes_read = 0
        self.bytes_written = 0
        self.write_queue_size = 0
        self.reading = False
        self.stamping = False
        self.active_at = 0.0
        self._pending: Pending | None = None
        self._buf: bytearray | memoryview | None = None
        self._chunk = CHUNK
        self._refed = True
        self._held = False

    def adopt(self, sock: Any) -> None:
        """Become the owner of a non-blocking socket object (rule 1)."""
        self._sock = sock
        self.fd = sock.fileno()

    # -- lifetime (rule 8) ------------------------------------------------------------------

    def ref(self) -> None:
        self._refed = True
        self._update_hold()

    def unref(self) -> None:
        self._refed = False
        self._update_hold()

    def has_ref(self) -> bool:
        return self._refed and self._sock is not None

    def _update_hold(self) -> None:
        wanted = (self.reading and self._refed) or self._pending is not None
        if wanted is not self._held:
            self._held = wanted
            if wanted:
                self.runtime.hold(self)
            else:
                self.runtime.release(self)

    def describe(self) -> tuple[str, str]:
        """For active_resources."""
        return 'socket', ''

    def __repr__(self) -> str:
        pending = self._pending
        if self._sock is None:
            state = 'no descriptor'
        else:
            state = f'fd={self.fd}'
            if pending is not None and pending.connect is not None:
                state += ' connecting'
            if self.reading:
                state += ' reading'
            if self.write_queue_size:
                state += f' queued={self.write_queue_size}'
            if not self._refed:
                state += ' unref'
        return f'<{type(self).__name__} {state}>'

    def __del__(self) -> None:
        sock = self._sock
        if sock is not None and not sys.is_finalizing():
            self._sock = None
            try:
                warnings.warn(f'unclosed handle {self.kind} fd={self.fd}', ResourceWarning, 2, self)
            finally:
                sock.close()

    # -- reading (rule 6) -------------------------------------------------------------------

    def read_start(self) -> None:
        if self.reading or self._sock is None:
            return
        self.reading = True
        pending = self._pending
        # A connect under way must get its error from SO_ERROR itself: a recv would eat it.
        if pending is None or pending.connect is None:
            self._register_read()
        self._update_hold()

    def _register_read(self) -> None:
        # The whole event runs as one callback: on_read's result is needed here.
        self._engine.add_reader(self.fd, self.runtime.enter, self._readable, (), self.owner)

    def read_stop(self) -> None:
        if self.reading:
            self.reading = False
            self._engine.remove_reader(self.fd)
            self._update_hold()

    def _readable(self) -> None:
        # The fast path: one recv, one callback. A chunk that fills what was asked for is followed
        # by another recv, the ticks of its callback first.
        if self.buffer is not None:
            self._readable_into()
            return
        turns = MAX_RECV
        while self.reading:
            wanted = self._chunk
            try:
                data = self._sock.recv(wanted)
            except OSError as error:
                self._read_failed(code_of(error))
                return
            if not data:
                self._read_ended()
                return
            size = len(data)
            self.bytes_read += size
            if self.stamping:
                self.active_at = monotonic()
            if self.on_read(data) is False:
                self.read_stop()
            if size < wanted:
                if wanted != CHUNK:
                    self._chunk = CHUNK
                return
            self._chunk = BIG_CHUNK
            turns -= 1
            if not turns:
                return
            runtime = self.runtime
            if runtime.queue:
                runtime.drain()
            if self.buffer is not None:
                return

    def _readable_into(self) -> None:
        turns = MAX_RECV
        while self.reading:
            buf = self._buf
            if buf is None:
                ask = self.buffer
                if ask is None:
                    return
                buf = self._buf = ask()
                if not self.reading:
                    return
            room = memoryview(buf).nbytes
            if not room:
                # recv_into an empty buffer would look like the end of the stream.
                self.read_stop()
                self.on_error(errno.ENOBUFS)
                return
            try:
                size = self._sock.recv_into(buf)
            except OSError as error:
                self._read_failed(code_of(error))
                return
            if not size:
                self._read_ended()
                return
            self.bytes_read += size
            if self.stamping:
                self.active_at = monotonic()
            self._buf = None
            if self.on_buffer(size, buf) is False:
                self.read_stop()
            ask = self.buffer
            if self._sock is not None and ask is not None:
                self._buf = ask()
            turns -= 1
            if size < room or not turns:
                return
            runtime = self.runtime
            if runtime.queue:
                runtime.drain()

    def _read_failed(self, code: int) -> None:
        if code == errno.EAGAIN or code == errno.EWOULDBLOCK:
            return
        self.read_stop()
        self.on_error(code)

    def _read_ended(self) -> None:
        self.read_stop()
        self.on_end()

    # -- writing (rule 7) -------------------------------------------------------------------

    def write(self, data: Data, done: Callable[[int], object]) -> int:
        # The fast path: nothing waits, the kernel takes it all.
        sock = self._sock
        if sock is None:
            return errno.EBADF
        if type(data) is not bytes:
            data = _as_bytes(data)  # type: ignore[arg-type]
        size = len(data)
        if self._pending is not None:
            self.bytes_written += size
            self._enqueue([data], size, 0, done)
            return PENDING
        try:
            sent: int = sock.send(data, _NO_SIGNAL)
        except OSError as error:
            if code_of(error) not in _FULL:
                return code_of(error)
            sent = 0
        else:
            if self.stamping:
                self.active_at = monotonic()
        self.bytes_written += size
        if sent == size:
            return DONE
        self._enqueue([data], size, sent, done)
        return PENDING

    def writev(self, chunks: list[Data], done: Callable[[int], object]) -> int:
        sock = self._sock
        if sock is None:
            return errno.EBADF
        plain = [chunk if type(chunk) is bytes else _as_bytes(chunk) for chunk in chunks]  # type: ignore[arg-type]
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
                    if code_of(error) in _FULL:
                        break
                    if not sent:
                        return code_of(error)
                    # Some is out: the callback has to tell. The next attempt meets the error again.
                    break
                sent += count
                if count < wanted:
                    break
            if sent and self.stamping:
                self.active_at = monotonic()
        self.bytes_written += size
        if self._pending is None and sent == size:
            return DONE
        self._enqueue(plain, size, sent, done)
        return PENDING

    def _send_list(self, chunks: list[Any]) -> int:
        """Send several chunks with one system call; how many bytes the kernel took."""
        sock = self._sock
        if len(chunks) == 1:
            return int(sock.send(chunks[0], _NO_SIGNAL))
        if _HAS_SENDMSG:
            return int(sock.sendmsg(chunks, (), _NO_SIGNAL))
        return int(sock.send(b''.join(chunks), _NO_SIGNAL))

    def _enqueue(
        self, chunks: list[Any], size: int, sent: int, done: Callable[[int], object]
    ) -> None:
        """Queue what the kernel did not take of a write, behind everything that waits."""
        pending = self._pend()
        for chunk in chunks:
            length = len(chunk)
            if sent >= length:
                sent -= length
                size -= length
                continue
            rest = _rest_of(chunk, sent)
            size -= sent
            sent = 0
            pending.chunks.append(rest)
        pending.end += size
        self.write_queue_size += size
        pending.marks.append((pending.end, done, False))
        if pending.connect is None:
            self._want_writer(pending)

    def _pend(self) -> Pending:
        pending = self._pending
        if pending is None:
            pending = self._pending = Pending()
            self._update_hold()
        return pending

    def _want_writer(self, pending: Pending) -> None:
        if not pending.writing:
            pending.writing = True
            self._engine.add_writer(self.fd, self._writable)

    def _unpend(self, pending: Pending) -> None:
        """Nothing is under way any more."""
        if pending.writing:
            self._engine.remove_writer(self.fd)
        self._pending = None
        self._update_hold()

    def _writable(self) -> None:
        pending = self._pending
        if pending is None:
            return
        if pending.connect is not None:
            code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code != _IN_PROGRESS:
                self._connected(code)
            return
        if pending.chunks:
            try:
                sent = self._send_queued(pending)
            except OSError as error:
                code = code_of(error)
                if code not in _FULL:
                    self._fail_writes(pending, code)
                return
            if sent:
                pending.sent += sent
                self.write_queue_size -= sent
                if self.stamping:
                    self.active_at = monotonic()
        self._finish_writes(pending)

    def _send_queued(self, pending: Pending) -> int:
        """Send from the head of the queue with one system call and drop what the kernel took."""
        chunks = pending.chunks
        if len(chunks) == 1:
            sent = int(self._sock.send(chunks[0], _NO_SIGNAL))
        else:
            sent = self._send_list(list(islice(chunks, IOV_MAX)))
        left = sent
        while chunks:
            length = len(chunks[0])
            if left < length:
                if left:
                    chunks[0] = memoryview(chunks[0])[left:]
                break
            chunks.popleft()
            left -= length
        return sent

    def _finish_writes(self, pending: Pending) -> None:
        """Call the callbacks of the requests whose bytes are out (rule 5 after each)."""
        marks = pending.marks
        while marks and marks[0][0] <= pending.sent:
            _, done, is_shutdown = marks.popleft()
            code = self._shut() if is_shutdown else DONE
            if not marks:
                self._unpend(pending)
            self.runtime.enter(done, (code,), self.owner)
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
                self._unpend(pending)
            self.runtime.enter(done, (code,), self.owner)
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
        if under_way:
            self._want_writer(pending)
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
            self._unpend(pending)
        if self.reading:
            if code:
                self.reading = False
                self._update_hold()
            else:
                self._register_read()
        self.runtime.enter(done, (code,), self.owner)
        if code and self._pending is pending:
            self._fail_writes(pending, code)
        elif self._pending is pending:
            self._want_writer(pending)

    # -- closing (rule 4) -------------------------------------------------------------------

    def close(self, done: Callable[[], object] | None = None) -> None:
        engine = self._engine
        source = self.owner
        sock = self._sock
        if sock is not None:
            if self.reading:
                self.reading = False
                engine.remove_reader(self.fd)
            pending = self._pending
            if pending is not None:
                if pending.writing:
                    engine.remove_writer(self.fd)
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
            # No callback runs any more: let go of those who hold us (no cycle for the collector).
            self.on_read = self.on_end = self.on_error = self.on_buffer = _ignore
            self.buffer = self._buf = None
            try:
                sock.close()
            except OSError:
                pass  # close(2): the descriptor is gone whatever it says (EIO, ENOSPC, ECONNRESET)
        if done is not None:
            engine.defer(done, (), source)
