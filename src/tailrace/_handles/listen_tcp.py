"""Listening on TCP.

The dual-stack rule (try ``::``, then ``0.0.0.0``) is its caller's.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from typing import Any, Final

from .._compiled import mypyc_attr
from . import DONE, SocketAddressInfo
from .listen import Listener
from .reading import code_of
from .stream import Stream
from .tcp import Tcp, address_info, ip_sockaddr, new_socket, text_of

__all__ = ['TcpListener']

_INHERITS: Final[Any] = sys.platform == 'linux'

# AM-13: where the option spreads connections. macOS has it too, but gives all to the last one.
_REUSE_PORT: Final = int(
    getattr(socket, 'SO_REUSEPORT', -1)
    if sys.platform.startswith(('linux', 'freebsd', 'dragonfly', 'sunos', 'aix'))
    else -1
)

# linux/tcp.h, struct tcp_info: eight bytes, then rto, ato, snd_mss, rcv_mss, unacked.
_TCP_INFO: Final = int(getattr(socket, 'TCP_INFO', -1)) if sys.platform == 'linux' else -1
_UNACKED: Final = 24


@mypyc_attr(allow_interpreted_subclasses=True)
class TcpListener(Listener):
    """Listens on TCP."""

    __slots__ = ()

    kind: str = 'tcp'

    def _new_stream(self) -> Stream:
        return Tcp(self.runtime)

    def _make(self, family: int) -> Any:
        """The socket object to bind; see ``prepared.py``."""
        return new_socket(family)

    def bind(self, address: str, port: int, family: int, ipv6_only: bool, reuse_port: bool) -> int:
        if reuse_port and _REUSE_PORT < 0:
            return errno.ENOTSUP
        sockaddr = ip_sockaddr(address, port, family)
        if sockaddr is None or self._sock is not None:
            return errno.EINVAL
        try:
            sock = self._make(socket.AF_INET6 if family == 6 else socket.AF_INET)
        except OSError as error:
            return code_of(error)
        try:
            if os.name != 'nt':  # PF-01: there the option lets others steal the port
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == 6:  # PF-03: systems differ in the default
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(ipv6_only))
            if reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, _REUSE_PORT, 1)
            sock.bind(sockaddr)
        except OSError as error:
            sock.close()
            return code_of(error)
        self._sock = sock
        self.fd = sock.fileno()
        return DONE

    def bind_path(self, path: str) -> int:
        return errno.EINVAL

    def chmod(self, bits: int) -> int:
        return errno.ENOTSUP

    def open(self, fd: int) -> int:
        return self._take(fd, (socket.AF_INET, socket.AF_INET6))

    def hand_down_no_delay(self, enable: bool) -> bool:
        # Linux: an accepted socket has the option of the listening one. It saves the most frequent
        # system call of a short connection after accept, recv and send.
        if self._sock is None or not _INHERITS:
            return False
        try:
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(enable))
        except OSError:
            return False
        return True

    def waiting(self) -> int:
        # tcp_diag of Linux: tcpi_unacked of a listening socket is the length of its accept queue.
        if self._sock is None or _TCP_INFO < 0:
            return -1
        try:
            info = bytes(self._sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _UNACKED + 4))
        except OSError:
            return -1
        return int.from_bytes(info[_UNACKED:], sys.byteorder) if len(info) == _UNACKED + 4 else -1

    def get_sock_name(self) -> SocketAddressInfo | None:
        if self._sock is None:
            return None
        try:
            return address_info(self._sock.getsockname())
        except OSError:
            return None

    def describe(self) -> tuple[str, str]:
        return 'server', text_of(self.get_sock_name())
