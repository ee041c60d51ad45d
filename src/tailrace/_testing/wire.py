"""A connection in memory: the handle contract (see ``_handles``) without descriptors.

Each direction is a :class:`Line` with the faults it was given. A real ``Socket`` sits on each end,
so that everything but the system calls is what runs in production. This file refuses to know
sockets and streams.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from types import MethodType
from typing import Any

from .._handles import DONE, PENDING
from .._listeners import OwnerCalls
from .._runtime import Runtime
from .._timers import Timer, soon
from .faults import Faults

__all__ = ['MemoryHandle', 'wire']

#: What a receiver is handed at most, as by a recv.
CHUNK = 65536


def _ignore(*args: Any) -> None:
    """A callback that was not set."""


class Line:
    """One direction: what was written, on its way to who reads it."""

    def __init__(self, runtime: Runtime, faults: Faults) -> None:
        self.runtime = runtime
        self.faults = faults
        self.reader: MemoryHandle
        self.writer: MemoryHandle
        #: (when it may arrive, data).
        self.flying: deque[tuple[float, bytes]] = deque()
        self.size = 0
        #: What the writer waits with: [data, callback]; data None: the end.
        self.waiting: deque[list[Any]] = deque()
        self.ended = False
        self.end_due = 0.0
        self.end_told = False
        #: Whether an end was told that the writer did not mean: what it writes now vanishes.
        self.cut = False
        self.arrived = 0
        self.dead = False
        self._due: Timer | None = None
        self._scheduled = False

    def write(self, data: bytes, done: Callable[[int], object]) -> int:
        if not self.waiting:
            data = data[self._take(data) :]
            if not data:
                self.schedule()
                return DONE
        self.waiting.append([data, done])
        self.writer.write_queue_size += len(data)
        self.schedule()
        return PENDING

    def _take(self, data: bytes) -> int:
        """How much of ``data`` goes onto the line."""
        if self.cut:
            return len(data)
        faults = self.faults
        count = min(len(data), max(0, faults.capacity - self.size))
        if faults.short_writes:
            count = min(count, faults.short_writes)
        if count:
            self.flying.append((self._when(), data[:count]))
            self.size += count
        return count

    def _when(self) -> float:
        return self.runtime.clock() + self.faults.delay / 1000

    def end(self, done: Callable[[int], object]) -> int:
        if self.waiting:
            self.waiting.append([None, done])
            return PENDING
        self._end()
        return DONE

    def _end(self) -> None:
        self.ended = True
        self.end_due = self._when()
        self.schedule()

    def pump(self) -> None:
        """Take what waits into the room that there is; tells the callbacks of what is through."""
        while self.waiting:
            data, done = self.waiting[0]
            if data is None:
                self._end()
            else:
                count = self._take(data)
                self.writer.write_queue_size -= count
                self.waiting[0][0] = data = data[count:]
                if data:
                    return
            self.waiting.popleft()
            self.runtime.enter(done, (DONE,), self.writer.owner)

    def schedule(self) -> None:
        """Have something delivered, if there is something and somebody to take it."""
        if self.dead or self._scheduled or not self.reader.reading or self.end_told:
            return
        if self.flying:
            when = self.flying[0][0]
        elif self.ended:
            when = self.end_due
        elif self.waiting:
            when = 0.0
        else:
            return
        left = (when - self.runtime.clock()) * 1000
        self._scheduled = True
        if left > 0:
            self._due = Timer(self.runtime, self._deliver, max(1.0, left), (), False)
        else:
            soon(self.runtime, self._deliver)

    def _deliver(self) -> None:
        self._scheduled = False
        self._due = None
        reader = self.reader
        if self.dead or not reader.reading or self.end_told:
            return
        faults = self.faults
        if faults.lose_at is not None and self.arrived >= faults.lose_at:
            # Bytes go on leaving the writer, and vanish: its kernel would still take them.
            self.flying.clear()
            self.size = 0
            self.pump()
            if self.flying:
                self.schedule()
            return
        if faults.reset_at is not None and self.arrived >= faults.reset_at:
            self.writer.break_down(errno.ECONNRESET)
            reader.break_down(errno.ECONNRESET)
            return
        if faults.end_at is not None and self.arrived >= faults.end_at:
            self.end_told = self.cut = True
            # What else was written vanishes. It is not unread data, for which a close would reset.
            self.flying.clear()
            self.size = 0
            reader.ended()
            self.pump()
            return
        if self.flying:
            self._hand_over(reader)
        elif self.ended and not self.waiting:
            self.end_told = True
            reader.ended()
            return
        self.pump()
        self.schedule()

    def _hand_over(self, reader: MemoryHandle) -> None:
        when, data = self.flying.popleft()
        most = self.faults.split or CHUNK
        for mark in (self.faults.lose_at, self.faults.reset_at, self.faults.end_at):
            if mark is not None:
                most = min(most, mark - self.arrived)
        if len(data) > most:
            self.flying.appendleft((when, data[most:]))
            data = data[:most]
        self.size -= len(data)
        self.arrived += len(data)
        reader.received(data)

    def kill(self) -> list[Callable[[int], object]]:
        """Nothing moves any more; the callbacks that must still be told."""
        self.dead = True
        if self._due is not None:
            self._due.close()
        self.flying.clear()
        self.writer.write_queue_size = 0
        callbacks = [done for _, done in self.waiting]
        self.waiting.clear()
        return callbacks


class MemoryHandle:
    """One end of a connection in memory."""

    kind = 'tcp'

    def __init__(self, runtime: Runtime, address: tuple[str, int, str]) -> None:
        self.runtime = runtime
        self.fd = -1
        self.owner: object = None
        self.on_read: Callable[[bytes], object] = _ignore
        self.on_end: Callable[[], object] = _ignore
        self.on_error: Callable[[int], object] = _ignore
        self.buffer: Callable[[], bytearray | memoryview] | None = None
        self.on_buffer: Callable[[int, bytearray | memoryview], object] = _ignore
        self._told: Callable[[int], object] = _ignore
        self.bytes_read = 0
        self.bytes_written = 0
        self.write_queue_size = 0
        self.reading = False
        self.stamping = False
        self.active_at = 0.0
        #: What this end writes to, and reads from.
        self.out: Line
        self.into: Line
        self.peer: MemoryHandle
        self._address = address
        self._broken = 0
        self._closed = False
        self._refed = True
        self._held = False

    def give_to(self, owner: object, calls: OwnerCalls | None) -> None:
        self.owner = owner
        if calls is not None:
            self.on_read = MethodType(calls.read, owner)
            self.on_end = MethodType(calls.end, owner)
            self.on_error = MethodType(calls.error, owner)
            self.on_buffer = MethodType(calls.fill, owner)
            self._told = MethodType(calls.written, owner)

    def describe(self) -> tuple[str, str]:
        return 'socket', f'memory {self._address[1]}'

    def _update_hold(self) -> None:
        wanted = not self._closed and ((self.reading and self._refed) or bool(self.out.waiting))
        if wanted is not self._held:
            self._held = wanted
            if wanted:
                self.runtime.hold(self)
            else:
                self.runtime.release(self)

    def ref(self) -> None:
        self._refed = True
        self._update_hold()

    def unref(self) -> None:
        self._refed = False
        self._update_hold()

    def has_ref(self) -> bool:
        return self._refed and not self._closed

    # -- reading ----------------------------------------------------------------------------------

    def read_start(self) -> None:
        if self.reading or self._closed:
            return
        self.reading = True
        self._update_hold()
        if self._broken:
            soon(self.runtime, self._tell_broken)
        self.into.schedule()

    def read_stop(self) -> None:
        self.reading = False
        self._update_hold()

    def received(self, data: bytes) -> None:
        self.bytes_read += len(data)
        self._stamp()
        if self.buffer is None:
            if self.on_read(data) is False:
                self.read_stop()
            return
        left = memoryview(data)
        while left and self.buffer is not None:
            buffer = self.buffer()
            count = min(len(buffer), len(left))
            memoryview(buffer)[:count] = left[:count]
            left = left[count:]
            if self.on_buffer(count, buffer) is False:
                self.read_stop()

    def ended(self) -> None:
        self.read_stop()
        self.on_end()

    def break_down(self, code: int) -> None:
        """The connection is gone: reading and writing fail from now on."""
        if self._closed or self._broken:
            return
        self._broken = code
        for done in self.out.kill():
            self.runtime.enter(done, (code,), self.owner)
        self._update_hold()
        if self.reading:
            self._tell_broken()

    def _tell_broken(self) -> None:
        if self.reading:
            self.read_stop()
            self.runtime.enter(self.on_error, (self._broken,), self.owner)

    def _stamp(self) -> None:
        if self.stamping:
            self.active_at = self.runtime.clock()

    # -- writing ----------------------------------------------------------------------------------

    def write(self, data: Any, done: Callable[[int], object] | None) -> int:
        done = self._told if done is None else done
        if self._closed:
            return errno.EBADF
        if self._broken or self.peer._closed:
            return errno.EPIPE
        data = bytes(data)
        self.bytes_written += len(data)
        self._stamp()
        code = self.out.write(data, done)
        self._update_hold()
        return code

    def writev(self, chunks: list[Any], done: Callable[[int], object]) -> int:
        return self.write(b''.join(chunks), done)

    def shutdown(self, done: Callable[[int], object]) -> int:
        if self._closed or self._broken:
            return errno.ENOTCONN
        return self.out.end(done)

    # -- closing ----------------------------------------------------------------------------------

    def close(self, done: Callable[[], object] | None = None) -> None:
        self._close(False, done)

    def reset(self, done: Callable[[], object] | None = None) -> int:
        self._close(True, done)
        return DONE

    def _close(self, reset: bool, done: Callable[[], object] | None) -> None:
        if not self._closed:
            self._closed = True
            self.reading = False
            self._update_hold()
            # As TCP has it: unread data makes of a close a reset; an end that was sent stays one.
            lost = bool(self.into.flying or self.into.waiting)
            callbacks = self.into.kill()
            runtime, peer = self.runtime, self.peer
            for callback in callbacks:
                soon(runtime, peer._enter, callback, errno.EPIPE)
            waiting, self.out.waiting = self.out.waiting, deque()
            for _, callback in waiting:
                soon(runtime, self._enter, callback, errno.ECANCELED)
            if reset or lost:
                self.out.kill()
                soon(runtime, peer.break_down, errno.ECONNRESET)
            elif not self.out.ended and not self.out.dead:
                self.out._end()
            self.on_read = self.on_end = self.on_error = self.on_buffer = self._told = _ignore
        if done is not None:
            soon(self.runtime, done)

    def _enter(self, done: Callable[[int], object], code: int) -> None:
        self.runtime.enter(done, (code,), self.owner)

    # -- what it is -------------------------------------------------------------------------------

    def get_sock_name(self) -> tuple[str, int, str] | None:
        return None if self._closed else self._address

    def get_peer_name(self) -> tuple[str, int, str] | None:
        return None if self._closed else self.peer._address

    def set_no_delay(self, enable: bool) -> int:
        return DONE

    def set_keep_alive(self, enable: bool, delay: int, interval: int, count: int) -> int:
        return DONE

    def set_type_of_service(self, tos: int) -> int:
        return errno.ENOTSUP

    def get_type_of_service(self) -> int:
        return 0

    def bind(self, address: str, port: int, family: int) -> int:
        return errno.EINVAL

    def connect(self, address: str, port: int, family: int, done: Callable[[int], object]) -> int:
        return errno.EISCONN

    def open(self, fd: int) -> int:
        return errno.EINVAL

    def __repr__(self) -> str:
        return f'<MemoryHandle {self._address[1]}{" closed" if self._closed else ""}>'


def wire(runtime: Runtime, there: Faults, back: Faults) -> tuple[MemoryHandle, MemoryHandle]:
    """Two connected handles; ``there`` are the faults of what the first one writes."""
    one = MemoryHandle(runtime, ('127.0.0.1', 50001, 'IPv4'))
    two = MemoryHandle(runtime, ('127.0.0.1', 50002, 'IPv4'))
    one.peer, two.peer = two, one
    for writer, reader, faults in ((one, two, there), (two, one, back)):
        line = Line(runtime, faults)
        writer.out = reader.into = line
        line.writer, line.reader = writer, reader
    return one, two
