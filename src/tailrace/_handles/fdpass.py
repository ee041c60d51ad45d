"""Descriptors over a Unix-domain connection (SCM_RIGHTS, unix(7)).

Descriptors travel with the first byte of the message that they belong to, so the receiver has them
when it has read that byte, in the order in which they were sent: a framed protocol only needs to
say which message has how many. This file refuses to know that protocol.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from .._runtime import Runtime
from . import DONE, PENDING
from .pending import Data, Pending, as_bytes
from .pipe import AF_UNIX, Pipe
from .reading import CHUNK, code_of
from .stream import FULL, NO_SIGNAL
from .tcp import take_socket

__all__ = ['LOST', 'MAX_FDS', 'FdPipe', 'receive_fds', 'send_fds']

# Kept: when the last objects go, the module sys has lost its names, and a compiled function that
# fails then takes the interpreter with it.
_finalizing: Final = sys.is_finalizing

#: Descriptors in one message: SCM_MAX_FD on Linux; macOS takes more.
MAX_FDS: Final = 253
#: Stands for the descriptors of one message that could not be received.
LOST: Final = -1

_SCM_RIGHTS: Final = int(getattr(socket, 'SCM_RIGHTS', -1))
# Linux and the BSDs set close-on-exec before anybody can fork; macOS needs a second call.
_CLOEXEC: Final = int(getattr(socket, 'MSG_CMSG_CLOEXEC', 0))


def send_fds(sock: Any, chunks: list[Any], fds: Sequence[int]) -> int:
    """Send bytes, and the descriptors with the first of them; how many bytes the kernel took.

    Any count above 0 means that all descriptors are on their way. Raises OSError.
    """
    rights = [(socket.SOL_SOCKET, _SCM_RIGHTS, array('i', fds))]
    return int(sock.sendmsg(chunks, rights, NO_SIGNAL))


def receive_fds(sock: Any, size: int) -> tuple[bytes, list[int]]:
    """Receive up to ``size`` bytes and the descriptors that came with them, all close-on-exec.

    If descriptors were cut off (more than MAX_FDS, or this process has no room for them: recvmsg
    sets MSG_CTRUNC) those that did arrive are closed, and ``[LOST]`` stands for all of them: the
    bytes they belong to are good, and a protocol can ask for them again. Raises OSError.
    """
    fds = array('i')
    space = socket.CMSG_SPACE(MAX_FDS * fds.itemsize)
    data, ancillary, flags, _ = sock.recvmsg(size, space, _CLOEXEC)
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == _SCM_RIGHTS:
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
    received = fds.tolist()
    if flags & socket.MSG_CTRUNC:
        for fd in received:
            os.close(fd)
        return data, [LOST]
    if not _CLOEXEC:
        for fd in received:
            os.set_inheritable(fd, False)
    return data, received


def _limited(chunks: list[Any], size: int) -> list[Any]:
    """The first ``size`` bytes of the chunks."""
    out: list[Any] = []
    for chunk in chunks:
        if size <= 0:
            break
        out.append(chunk if len(chunk) <= size else memoryview(chunk)[:size])
        size -= len(chunk)
    return out


class FdPipe(Pipe):
    """A Unix-domain connection that carries descriptors too.

    Received descriptors wait in :meth:`take_fd`, those of a chunk before ``on_read`` is called with
    it; whoever takes one owns it. What nobody took is closed with the handle. ``buffer`` is not
    looked at.
    """

    __slots__ = ('_parcels', '_received')

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._received: deque[int] = deque()
        #: Descriptors that wait: the position of their byte (see Pending.sent) and themselves.
        self._parcels: deque[tuple[int, Sequence[int]]] = deque()

    def open(self, fd: int) -> int:
        if self._sock is not None:
            return errno.EBUSY
        if _SCM_RIGHTS < 0:
            return errno.ENOTSUP
        found = take_socket(fd, (AF_UNIX,))
        if isinstance(found, int):
            return found
        self.adopt(found)
        return DONE

    # -- receiving --------------------------------------------------------------------------

    def take_fd(self) -> int | None:
        """The oldest received descriptor that nobody has taken yet.

        :data:`LOST` stands for all those of one message for which there was no room.
        """
        return self._received.popleft() if self._received else None

    def ready_to_read(self) -> None:
        try:
            data, fds = receive_fds(self._sock, CHUNK)
        except OSError as error:
            self._read_failed(code_of(error))
            return
        self._received.extend(fds)
        if not data:
            self._read_ended()
            return
        self.bytes_read += len(data)
        if self.stamping:
            self.active_at = self.runtime.clock()
        calls = self.calls
        if (self.on_read(data) if calls is None else calls.read(self.owner, data)) is False:
            self.read_stop()

    # -- sending ----------------------------------------------------------------------------

    def write_fds(self, data: Data, fds: Sequence[int], done: Callable[[int], object]) -> int:
        """Send bytes (at least one) and descriptors with the first of them.

        A request like ``write``. The caller keeps the descriptors open until it is complete.
        """
        sock = self._sock
        if sock is None:
            return errno.EBADF
        if type(data) is not bytes:
            data = as_bytes(data)  # type: ignore[arg-type]
        size = len(data)
        if not size or len(fds) > MAX_FDS:
            return errno.EINVAL
        sent = 0
        pending = self._pending
        if pending is None:
            try:
                sent = send_fds(sock, [data], fds)
            except OSError as error:
                # ETOOMANYREFS (unix(7)) too: more descriptors in flight than RLIMIT_NOFILE.
                if code_of(error) not in FULL:
                    return code_of(error)
        self.bytes_written += size
        if sent == size:
            return DONE
        if not sent:
            self._parcels.append((0 if pending is None else pending.end, fds))
        self._enqueue([data], size, sent, done)
        return PENDING

    def _send_list(self, chunks: list[Any]) -> int:
        pending = self._pending
        if not self._parcels or pending is None:
            return super()._send_list(chunks)
        position, fds = self._parcels[0]
        if position > pending.sent:
            return super()._send_list(_limited(chunks, position - pending.sent))
        if len(self._parcels) > 1:
            chunks = _limited(chunks, self._parcels[1][0] - pending.sent)
        sent = send_fds(self._sock, chunks, fds)
        if sent:
            self._parcels.popleft()
        return sent

    def _fail_writes(self, pending: Pending, code: int) -> None:
        self._parcels.clear()
        super()._fail_writes(pending, code)

    # -- closing ----------------------------------------------------------------------------

    def abandon(self) -> None:
        self.close()

    def close(self, done: Callable[[], object] | None = None) -> None:
        self._parcels.clear()
        self._close_received()
        super().close(done)

    def _close_received(self) -> None:
        while self._received:
            fd = self._received.popleft()
            if fd != LOST:
                os.close(fd)

    def __del__(self) -> None:
        if not _finalizing():
            self._close_received()
            super().__del__()
