"""The wire between two processes: framed JSON messages, and descriptors, over a Unix socketpair.

A frame is a head (length, kind, number of descriptors) and a JSON body. Descriptors travel with the
first byte of their frame (``fdpass.py``), so that each arrives with its message, in order.

What is sent with descriptors is kept by the sender until the receiver has answered that it has
them, so nothing is lost if the sender lets go of them meanwhile; if the other side ends first, the
sender is told which were lost. This file refuses to know what messages and descriptors mean.
"""

from __future__ import annotations

import errno
import json
import os
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from .._handles import DONE, PENDING
from .._handles.fdpass import FdPipe
from .._runtime import Runtime
from ..errors import system_error

__all__ = ['INTERNAL', 'LOST', 'MESSAGE', 'PLAIN', 'Channel']

#: Kinds of frames: the program's messages, those of this package, plain bytes instead of JSON (for
#: what is said for every connection), and the receipt of descriptors.
MESSAGE: Final = 0
INTERNAL: Final = 1
PLAIN: Final = 2
_RECEIPT: Final = 3

#: What ``done`` gets when the other side ended before it took the descriptors.
LOST: Final = -2

_HEAD: Final = struct.Struct('!IBB')
#: ``send`` says False when more bytes than this wait for the other side (Node: 2 * 65536).
HIGH_WATER_MARK: Final = 131072
#: No message is longer: what one process can make another one keep. A head that says so is no head
#: of ours.
LONGEST: Final = 1 << 26
_GOT_THEM: Final = _HEAD.pack(0, _RECEIPT, 0)
#: The receiver had no descriptor free.
_NO_ROOM: Final = _HEAD.pack(1, _RECEIPT, 0) + b'0'

Done = Callable[[int], object]


def _nothing(*args: Any) -> None:
    pass


class Channel:
    """One end of the wire.

    ``on_message(kind, message, fds)`` gets every message, and owns the descriptors: None instead of
    a list when they could not be received (no descriptor was free). ``on_closed()`` is called once,
    when the other side is gone or has closed; not after :meth:`close`.
    """

    __slots__ = (
        '_buffer',
        '_closing',
        '_flight',
        '_pipe',
        '_refed',
        'on_closed',
        'on_message',
        'owner',
        'runtime',
    )

    def __init__(self, runtime: Runtime, fd: int, owner: object = None) -> None:
        self.runtime: Runtime = runtime
        self.owner: object = owner
        self.on_message: Callable[[int, Any, list[int] | None], object] = _nothing
        self.on_closed: Callable[[], object] = _nothing
        self._buffer = bytearray()
        #: ``done`` of each frame with descriptors that the other side has not confirmed yet.
        self._flight: deque[Done] = deque()
        self._closing = False
        self._refed = True
        self._pipe = self._opened(fd)

    def _opened(self, fd: int) -> FdPipe:
        pipe = FdPipe(self.runtime)
        code = pipe.open(fd)
        if code != DONE:
            raise system_error(code, 'open')
        pipe.owner = self.owner
        pipe.on_read = self._on_read
        pipe.on_end = self._on_end
        pipe.on_error = self._on_end
        if not self._refed:
            pipe.unref()
        pipe.read_start()
        return pipe

    @property
    def fd(self) -> int:
        """The descriptor, -1 once closed."""
        return self._pipe.fd

    @property
    def in_flight(self) -> int:
        """Frames with descriptors that the other side has not confirmed."""
        return len(self._flight)

    def move(self, runtime: Runtime) -> None:
        """Go over to another runtime; only while the old one has never had a loop."""
        if self._pipe.fd < 0:
            return
        fd = os.dup(self._pipe.fd)
        self._pipe.close()
        self.runtime = runtime
        self._pipe = self._opened(fd)

    def ref(self) -> None:
        """Hold the program while open (the default)."""
        self._refed = True
        self._pipe.ref()

    def unref(self) -> None:
        """Do not hold the program; messages that wait to be sent still do."""
        self._refed = False
        self._pipe.unref()

    # -- sending ----------------------------------------------------------------------------

    def send(
        self, kind: int, message: Any, fds: Sequence[int] = (), done: Done | None = None
    ) -> bool:
        """Send a message; False when a lot waits already (which is no failure).

        ``done(code)`` is called later, once the message is out; a MESSAGE with descriptors is done
        when the other side has taken them. The code is an errno if that failed (EMFILE: the other
        side has no descriptor free), :data:`LOST` if the other side ended first. The caller keeps
        the descriptors open until then. Raises TypeError or ValueError if JSON has no form for the
        message.
        """
        if kind == PLAIN:
            body: bytes = message
        else:
            body = json.dumps(message, separators=(',', ':')).encode('utf-8', 'surrogatepass')
        if len(body) > LONGEST:
            raise ValueError(f'a message of {len(body)} bytes; {LONGEST} is the most')
        frame = _HEAD.pack(len(body), kind, len(fds)) + body
        pipe = self._pipe
        after = done or _nothing
        if fds and kind == MESSAGE:
            self._flight.append(after)
            code = pipe.write_fds(frame, fds, _nothing)
            if code <= DONE:
                code = PENDING
            else:
                self._flight.pop()
        else:
            code = pipe.write_fds(frame, fds, after) if fds else pipe.write(frame, after)
        if code != PENDING and done is not None:
            self.runtime.push(done, (code,))
        return pipe.write_queue_size < HIGH_WATER_MARK

    def drained(self) -> bool:
        """Whether everything that was sent is out."""
        return self._pipe.write_queue_size == 0

    # -- receiving --------------------------------------------------------------------------

    def _on_read(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= _HEAD.size:
            size, kind, count = _HEAD.unpack_from(buffer, start)
            if kind > _RECEIPT or size > LONGEST:
                self._on_end()
                return
            end = start + _HEAD.size + size
            if len(buffer) < end:
                break
            body = bytes(buffer[start + _HEAD.size : end])
            start = end
            fds = self._take(count)
            if kind == _RECEIPT:
                if self._flight:
                    self._flight.popleft()(errno.EMFILE if body else DONE)
            elif not self._closing:
                self._receive(kind, body, count, fds)
            elif fds:
                _close_all(fds)
            if self._pipe.fd < 0:
                return
        del buffer[:start]

    def _receive(self, kind: int, body: bytes, count: int, fds: list[int] | None) -> None:
        if count and kind == MESSAGE:
            self._pipe.write(_NO_ROOM if fds is None else _GOT_THEM, _nothing)
        if kind == PLAIN:
            self.on_message(kind, body, fds)
            return
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            _close_all(fds or ())
            self._on_end()
            return
        self.on_message(kind, message, fds)

    def _take(self, count: int) -> list[int] | None:
        fds: list[int] = []
        for _ in range(count):
            fd = self._pipe.take_fd()
            if fd is None or fd < 0:
                _close_all(fds)
                return None
            fds.append(fd)
        return fds

    # -- the end ----------------------------------------------------------------------------

    def _on_end(self, code: int = 0) -> None:
        closing = self._closing
        on_closed = self.on_closed
        self._finish()
        if not closing:
            on_closed()

    def reject(self) -> None:
        """The other side talks nonsense: go on as if it had closed."""
        self._on_end()

    def close(self) -> None:
        """Say goodbye: what was sent still arrives, nothing more is received.

        The descriptor lives on until the other side has taken what is under way.
        """
        if self._closing or self._pipe.fd < 0:
            return
        self._closing = True
        self.unref()
        if self._flight or self._pipe.write_queue_size:
            code = self._pipe.shutdown(_nothing)
            if code <= 0:
                return
        self._finish()

    def drop(self) -> None:
        """Close at once, whatever is under way."""
        self._finish()

    def _finish(self) -> None:
        """Close the descriptor and tell who waits for a receipt."""
        self._closing = True
        self._pipe.close()
        self.on_message = self.on_closed = _nothing
        flight, self._flight = self._flight, deque()
        for done in flight:
            self.runtime.push(done, (LOST,))

    def __repr__(self) -> str:
        state = 'closed' if self._pipe.fd < 0 else f'fd={self._pipe.fd}'
        if self._flight:
            state += f' in flight={len(self._flight)}'
        return f'<Channel {state}>'


def _close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)
