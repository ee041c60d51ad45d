"""Listening on a Unix-domain socket, and the file that stands for it."""

from __future__ import annotations

import errno
import os

from .._compiled import mypyc_attr
from .._runtime import Runtime
from . import DONE
from .listen import Listener
from .pipe import AF_UNIX, Pipe, path_bytes, path_text
from .reading import code_of
from .stream import Stream
from .tcp import new_socket

__all__ = ['PipeListener']


@mypyc_attr(allow_interpreted_subclasses=True)
class PipeListener(Listener):
    """Listens on a Unix-domain socket; removes the file that it made, and no other."""

    __slots__ = ('_file',)

    kind: str = 'pipe'

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        #: What bind made: absolute path (the working directory may change), device, inode, and the
        #: process: a forked child that closes its copy must not remove the file.
        self._file: tuple[bytes, int, int, int] | None = None

    def _new_stream(self) -> Stream:
        return Pipe(self.runtime)

    def bind(self, address: str, port: int, family: int, ipv6_only: bool, reuse_port: bool) -> int:
        return errno.EINVAL

    def bind_path(self, path: str) -> int:
        encoded = path_bytes(path)
        if encoded is None or self._sock is not None:
            return errno.EINVAL
        if AF_UNIX < 0:
            return errno.ENOTSUP
        try:
            sock = new_socket(AF_UNIX)
        except OSError as error:
            return code_of(error)
        try:
            sock.bind(encoded)
        except OSError as error:
            sock.close()
            return code_of(error)
        self._sock = sock
        self.fd = sock.fileno()
        if encoded[0]:
            try:
                status = os.lstat(encoded)
                full = os.path.abspath(encoded)
            except OSError:
                pass  # replaced or removed within this moment: not ours any more
            else:
                self._file = (full, status.st_dev, status.st_ino, os.getpid())
        return DONE

    def chmod(self, bits: int) -> int:
        if self._file is None:
            return errno.EINVAL
        path = self._file[0]
        try:
            os.chmod(path, bits)
        except OSError as error:
            return code_of(error)
        return DONE

    def open(self, fd: int) -> int:
        return self._take(fd, (AF_UNIX,))

    def get_sock_name(self) -> str | None:
        if self._sock is None:
            return None
        try:
            return path_text(self._sock.getsockname())
        except OSError:
            return None

    def describe(self) -> tuple[str, str]:
        return 'server', self.get_sock_name() or ''

    def _release(self) -> None:
        """Remove the file, then close: so that no newer server's file is met."""
        self.remove_file()
        super()._release()

    def remove_file(self) -> None:
        """Remove what bind made, if it is still there."""
        file, self._file = self._file, None
        if file is not None:
            path, device, inode, process = file
            try:
                status = os.lstat(path)
                if (status.st_dev, status.st_ino, os.getpid()) == (device, inode, process):
                    os.unlink(path)
            except OSError:
                pass  # gone already, or not ours to remove (EACCES)
