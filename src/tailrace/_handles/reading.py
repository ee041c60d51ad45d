"""The half of a connection that receives, and when a connection holds the program.

Rules 6 and 8 of the contract in ``__init__.py``. This file refuses to know how bytes are sent
(``stream.py``), addresses and options (``tcp.py``, ``pipe.py``), and the loop (``engine.py``).
"""

from __future__ import annotations

import errno
import sys
import warnings
from collections.abc import Callable
from typing import Any, Final

from .._listeners import OwnerCalls
from .._runtime import Runtime
from .calls import CONNECTION, KERNEL, RawSocket, connection, recv_of
from .engine import READ, Engine, Watched, engine_of
from .pending import Pending

__all__ = ['RawSocket', 'Receiver', 'code_of', 'ignore']

# Kept: when the last objects go, the module sys has lost its names, and a compiled function that
# fails then takes the interpreter with it.
_finalizing: Final = sys.is_finalizing

#: What one recv asks for. Below 64 KiB Nagle and delayed ACK can meet: stalls of 40 ms. Much above,
#: the allocator gives the memory back each time: asyncio's 256 KiB make its echo of 1 KiB three
#: times as expensive.
CHUNK: Final = 65536
#: What a connection asks for whose last recv came back full. Receiving 600 MB, processor time per
#: MB: 64 KiB 327 us, 128 KiB 275, 256 KiB 245, 512 KiB 195, but what one callback is handed should
#: stay small beside a high-water mark. Several recv per event made each of them worse.
BIG_CHUNK: Final = 262144
#: What makes it ask for less again. Messages of 100 KB come with one recv each instead of two.
SMALL: Final = 16384
# As objects: one that is made of a C number for each call costs 130 instructions.
_CHUNK: Final[Any] = CHUNK
_BIG_CHUNK: Final[Any] = BIG_CHUNK


_memory_kept = False


def _keep_memory() -> None:
    """Have the allocator serve big chunks from memory that it keeps (mallopt(3)).

    glibc maps a block of 128 KiB or more, and unmaps it when it is freed; every page of every chunk
    is faulted in and cleared. The limit follows the largest block that is freed, but a chunk has
    been shrunk by then. One of 1 MiB, freed once, moves it: a read of 100 KB takes 6 us instead of
    59 (bench/experiments/big_reads.py). It costs nothing: no page of it is touched.
    """
    global _memory_kept
    if not _memory_kept:
        _memory_kept = True
        bytearray(1 << 20)


def code_of(error: OSError) -> int:
    """The errno of an error; EINVAL for those that Python raises before it asks the kernel."""
    return error.errno or errno.EINVAL


def ignore(*args: Any) -> None:
    """The callbacks of a handle that nobody has set, or that is closed."""


#: The same: what is Final is at hand, other names of a module are looked up by compiled code.
_IGNORE: Final[Any] = ignore


class Receiver(Watched):
    """A descriptor that is read, and the state that both halves share."""

    __slots__ = (
        '_buf',
        '_chunk',
        '_engine',
        '_held',
        '_pending',
        '_refed',
        '_sock',
        'active_at',
        'bytes_read',
        'bytes_written',
        'calls',
        'reading',
        'stamping',
        'write_queue_size',
        # Apart: pyright takes what is callable and named in a plain list for a method.
        *('buffer', 'on_buffer', 'on_end', 'on_error', 'on_read'),
    )

    kind: str = 'stream'

    def __init__(self, runtime: Runtime) -> None:
        Watched.__init__(self, runtime)
        self._sock: Any = None
        self._engine: Engine = engine_of(runtime)
        self.on_read: Callable[[bytes], object] = _IGNORE
        self.on_end: Callable[[], object] = _IGNORE
        self.on_error: Callable[[int], object] = _IGNORE
        #: Called for the owner instead of the callbacks above.
        self.calls: OwnerCalls | None = None
        self.buffer: Callable[[], bytearray | memoryview] | None = None
        self.on_buffer: Callable[[int, bytearray | memoryview], object] = _IGNORE
        self.bytes_read: int = 0
        self.bytes_written: int = 0
        self.write_queue_size = 0
        self.reading = False
        self.stamping = False
        self.active_at = 0.0
        self._pending: Pending | None = None
        self._buf: bytearray | memoryview | None = None
        self._chunk = _CHUNK
        self._refed = True
        self._held = False

    def _let_go(self) -> None:
        """No callback runs any more: drop those who hold us (no cycle for the collector)."""
        self.calls = None
        self.on_read = self.on_end = self.on_error = self.on_buffer = _IGNORE
        self.buffer = self._buf = None

    def give_to(self, owner: object, calls: OwnerCalls | None) -> None:
        self.owner = owner
        self.calls = calls

    def adopt(self, sock: Any) -> None:
        """Become the owner of a non-blocking socket object (rule 1)."""
        self._sock = connection(sock)
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
        if sock is not None and not _finalizing():
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
            self._engine.watch(self, self.watching | READ)
        self._update_hold()

    def read_stop(self) -> None:
        if self.reading:
            self.reading = False
            self._engine.watch(self, self.watching & ~READ)
            self._update_hold()

    def ready_to_read(self) -> None:
        # The fast path: one recv, one callback. What does not fit is there at the next event.
        if self.buffer is not None:
            self._read_into()
            return
        wanted: Any = self._chunk
        sock = self._sock
        try:
            if KERNEL and type(sock) is CONNECTION:
                data = recv_of(sock, wanted)
            else:
                data = sock.recv(wanted)
        except OSError as error:
            self._read_failed(code_of(error))
            return
        size = len(data)
        if not size:
            self._read_ended()
            return
        if size < SMALL:
            if wanted is not _CHUNK:
                self._chunk = _CHUNK
        elif size == CHUNK and wanted is _CHUNK:
            self._chunk = _BIG_CHUNK
            _keep_memory()
        self.bytes_read += size
        if self.stamping:
            self.active_at = self.runtime.clock()
        calls = self.calls
        if (self.on_read(data) if calls is None else calls.read(self.owner, data)) is False:
            self.read_stop()

    def _read_into(self) -> None:
        ask = self.buffer
        if ask is None or not self.reading:
            return
        buf = self._buf
        if buf is None:
            buf = self._buf = ask()
            if not self.reading:
                return
        if not len(buf):
            # recv_into an empty buffer would look like the end of the stream.
            self._read_failed(errno.ENOBUFS)
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
            self.active_at = self.runtime.clock()
        calls = self.calls
        if (
            self.on_buffer(size, buf) if calls is None else calls.fill(self.owner, size, buf)
        ) is False:
            self.read_stop()
        ask = self.buffer
        self._buf = None if ask is None else ask()

    def _read_failed(self, code: int) -> None:
        if code == errno.EAGAIN or code == errno.EWOULDBLOCK:
            return
        self.read_stop()
        calls = self.calls
        if calls is None:
            self.on_error(code)
        else:
            calls.error(self.owner, code)

    def _read_ended(self) -> None:
        self.read_stop()
        calls = self.calls
        if calls is None:
            self.on_end()
        else:
            calls.end(self.owner)
