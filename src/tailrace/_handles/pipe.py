"""Unix-domain connections: paths, and the anonymous pipes that Node counts among them.

This file refuses to know how bytes move (``stream.py``) and what becomes of a socket file
(``listen.py``).
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
from collections.abc import Callable
from typing import Any, Final

from .._runtime import Runtime
from . import DONE, SocketAddressInfo
from .reading import code_of
from .stream import Stream
from .tcp import new_socket, take_socket

__all__ = ['AF_UNIX', 'Fifo', 'Pipe', 'path_bytes', 'path_text']

#: -1 where Python has no Unix-domain sockets (Windows).
AF_UNIX: Final = int(getattr(socket, 'AF_UNIX', -1))
_ABSTRACT: Final = sys.platform == 'linux'


def path_bytes(path: str) -> bytes | None:
    """A socket path as the kernel takes it; None if it never would (IPC-04, 08, 09, 14).

    Without this look a NUL would cut the path short (unix(7): pathnames end at the first NUL) and
    an empty one would bind a name of the kernel's choice. What is too long the socket module
    itself refuses: more than 107 bytes on Linux and 103 on macOS, as sun_path ends with a NUL
    there (Linux itself would take 108 without one).
    """
    try:
        encoded = os.fsencode(path)
    except UnicodeEncodeError:
        return None
    if not encoded:
        return None
    if encoded[0] == 0:
        return encoded if _ABSTRACT else None
    return None if b'\0' in encoded else encoded


def path_text(address: Any) -> str:
    """A path from what getsockname and getpeername answer (bytes for abstract names)."""
    return os.fsdecode(address) if isinstance(address, bytes) else str(address)


class Fifo:
    """The end of an anonymous pipe or FIFO in the clothes of a socket object."""

    __slots__ = ('_fd',)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd

    def recv(self, size: int) -> bytes:
        return os.read(self._fd, size)

    def recv_into(self, buf: Any) -> int:
        return os.readv(self._fd, [buf])

    def send(self, data: Any, flags: int = 0) -> int:
        return os.write(self._fd, data)

    def sendmsg(self, chunks: Any, ancillary: Any = (), flags: int = 0) -> int:
        return os.writev(self._fd, chunks)

    def shutdown(self, how: int) -> None:
        """A pipe end has no half to close: its reader sees the end when it is closed."""

    def getpeername(self) -> str:
        return ''

    def getsockname(self) -> str:
        return ''

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class Pipe(Stream):
    """A Unix-domain connection."""

    __slots__ = ('remove_file',)

    kind: str = 'pipe'

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        #: Set if the socket was bound to a path: removes the file; called at close.
        self.remove_file: Callable[[], object] | None = None

    def close(self, done: Callable[[], object] | None = None) -> None:
        remove, self.remove_file = self.remove_file, None
        if remove is not None:
            remove()
        super().close(done)

    def bind(self, address: str, port: int, family: int) -> int:
        """Not for pipes (Node has no such option either)."""
        return errno.ENOTSUP

    def connect(self, address: str, port: int, family: int, done: Callable[[int], object]) -> int:
        """A path that no kernel would take returns EINVAL; every other error comes later."""
        path = path_bytes(address)
        if path is None:
            return errno.EINVAL
        if AF_UNIX < 0:
            return errno.ENOTSUP
        if self._sock is None:
            try:
                self.adopt(new_socket(AF_UNIX))
            except OSError as error:
                return code_of(error)
        return self._start_connect(path, done, True)

    def open(self, fd: int) -> int:
        if self._sock is not None:
            return errno.EBUSY
        try:
            is_fifo = stat.S_ISFIFO(os.fstat(fd).st_mode)
        except OSError as error:
            return code_of(error)
        if is_fifo:
            try:
                os.set_blocking(fd, False)
                os.set_inheritable(fd, False)
            except OSError as error:
                return code_of(error)
            self.adopt(Fifo(fd))
            return DONE
        found = take_socket(fd, (AF_UNIX,))
        if isinstance(found, int):
            return found
        self.adopt(found)
        return DONE

    def reset(self, done: Callable[[], object] | None = None) -> int:
        return errno.ENOTSUP

    def get_sock_name(self) -> SocketAddressInfo | None:
        return None

    def get_peer_name(self) -> SocketAddressInfo | None:
        return None

    def get_peer_key(self) -> bytes | None:
        """A proxy may have told an address: ``proxied.py``."""
        return None

    def describe(self) -> tuple[str, str]:
        path = ''
        if self._sock is not None:
            try:
                path = path_text(self._sock.getpeername() or self._sock.getsockname())
            except OSError:
                pass
        return 'socket', path

    def set_no_delay(self, enable: bool) -> int:
        return DONE

    def set_keep_alive(self, enable: bool, delay: int, interval: int, count: int) -> int:
        return DONE

    def set_type_of_service(self, tos: int) -> int:
        return errno.ENOTSUP

    def get_type_of_service(self) -> int:
        return -errno.ENOTSUP
