"""TCP connections: addresses, options, reset.

This file refuses to know how bytes move (``stream.py``) and how names become addresses: an address
here is an IP literal, and one that is not gives EINVAL instead of a blocking lookup.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable
from typing import Any, Final

from .._addr.ip import packed
from . import DONE, SocketAddressInfo
from .calls import KERNEL
from .reading import RawSocket, code_of
from .stream import Stream

__all__ = ['Tcp', 'address_info', 'ip_sockaddr', 'new_socket', 'take_socket', 'text_of']

_FAMILY: Final[dict[int, int]] = {4: socket.AF_INET, 6: socket.AF_INET6}

# PF-06: Linux and BSD say TCP_KEEPIDLE, macOS TCP_KEEPALIVE. What a system lacks is skipped.
_KEEP_IDLE: Final = int(
    getattr(socket, 'TCP_KEEPIDLE', getattr(socket, 'TCP_KEEPALIVE', -1)),
)
_KEEP_INTERVAL: Final = int(getattr(socket, 'TCP_KEEPINTVL', -1))
_KEEP_COUNT: Final = int(getattr(socket, 'TCP_KEEPCNT', -1))
_IPV6_TCLASS: Final = int(getattr(socket, 'IPV6_TCLASS', -1))

# close(2) sends an RST at once: l_onoff 1, l_linger 0 (socket(7); PF-05). Two shorts on Windows.
_LINGER_RST: Final = struct.pack('hh' if os.name == 'nt' else 'ii', 1, 0)


def ip_sockaddr(address: str, port: int, family: int) -> tuple[Any, ...] | None:
    """The socket address of an IP literal; None if it is not one of this family (4 or 6).

    inet_pton looks first because the socket module would resolve any other text as a name, and
    block. A scope (``fe80::1%eth0``) becomes the number that connect(2) wants.
    """
    plain, _, scope = address.partition('%')
    if scope and family != 6:
        return None
    try:
        socket.inet_pton(_FAMILY[family], plain)
        if family == 4:
            return plain, port
        scope_id = 0
        if scope:
            scope_id = int(scope) if scope.isdecimal() else socket.if_nametoindex(scope)
    except (KeyError, OSError, ValueError):
        return None
    return plain, port, 0, scope_id


def address_info(address: Any) -> SocketAddressInfo:
    """Ours from the socket module's: IPv6 addresses have four parts there.

    The fourth is the scope, which a link-local address is worth nothing without: ``%eth0``.
    """
    if len(address) != 4:
        return address[0], address[1], 'IPv4'
    host, port, _, scope = address
    return f'{host}%{_scope_name(scope)}' if scope and '%' not in host else host, port, 'IPv6'


def _scope_name(scope: int) -> str:
    try:
        return socket.if_indextoname(scope)
    except (OSError, OverflowError):  # the interface is gone
        return str(scope)


def text_of(info: SocketAddressInfo | None) -> str:
    """For people: ``127.0.0.1:80``, ``[::1]:80``."""
    if info is None:
        return ''
    host, port, family = info
    return f'[{host}]:{port}' if family == 'IPv6' else f'{host}:{port}'


def new_socket(family: int) -> Any:
    """A non-blocking, close-on-exec stream socket; OSError if there can be none."""
    sock = RawSocket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    return sock


def take_socket(fd: int, families: tuple[int, ...]) -> Any:
    """The socket object of a caller's descriptor, or an errno; a refused one stays open."""
    try:
        sock = RawSocket(fileno=fd)
    except OSError as error:  # EBADF, ENOTSOCK
        return code_of(error)
    except (OverflowError, ValueError):
        return errno.EBADF
    code = DONE
    if sock.type != socket.SOCK_STREAM or sock.family not in families:
        code = errno.EINVAL
    else:
        try:
            sock.setblocking(False)
            if os.name != 'nt':
                os.set_inheritable(fd, False)
        except OSError as error:
            code = code_of(error)
    if code:
        sock.detach()
        return code
    return sock


class Tcp(Stream):
    """A TCP connection."""

    __slots__ = ()

    kind: str = 'tcp'

    def _make(self, family: int) -> Any:
        """The socket object to bind or connect; see ``prepared.py``."""
        return new_socket(family)

    def bind(self, address: str, port: int, family: int) -> int:
        sockaddr = ip_sockaddr(address, port, family)
        if sockaddr is None or self._sock is not None:
            return errno.EINVAL
        try:
            sock = self._make(_FAMILY[family])
        except OSError as error:
            return code_of(error)
        try:
            if os.name != 'nt':  # PF-01: there the option lets others steal the port
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(sockaddr)
        except OSError as error:
            sock.close()
            return code_of(error)
        self.adopt(sock)
        return DONE

    def connect(self, address: str, port: int, family: int, done: Callable[[int], object]) -> int:
        """ECONNREFUSED comes later even if the kernel says it at once; other errors return."""
        sockaddr = ip_sockaddr(address, port, family)
        if sockaddr is None:
            return errno.EINVAL
        if self._sock is None:
            try:
                self.adopt(self._make(_FAMILY[family]))
            except OSError as error:
                return code_of(error)
        return self._start_connect(sockaddr, done, False)

    def open(self, fd: int) -> int:
        if self._sock is not None:
            return errno.EBUSY
        found = take_socket(fd, (socket.AF_INET, socket.AF_INET6))
        if isinstance(found, int):
            return found
        self.adopt(found)
        return DONE

    def reset(self, done: Callable[[], object] | None = None) -> int:
        code = self._set(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RST)
        # macOS refuses every option (EINVAL) once the connection is gone: nothing left to reset.
        if code and code != errno.EINVAL:
            return code
        self.close(done)
        return DONE

    def get_sock_name(self) -> SocketAddressInfo | None:
        if self._sock is None:
            return None
        try:
            return address_info(self._sock.getsockname())
        except OSError:
            return None

    def get_peer_name(self) -> SocketAddressInfo | None:
        if self._sock is None:
            return None
        try:
            return address_info(self._sock.getpeername())
        except OSError:  # ENOTCONN; EINVAL on macOS after the peer is gone
            return None

    def get_peer_key(self) -> bytes | None:
        """The peer's address as 4 bytes (also a mapped one) or 16; None if it is not known."""
        if self._sock is None:
            return None
        try:
            if KERNEL:
                key: bytes | None = self._sock.peer_key()
                return key
            return packed(self._sock.getpeername()[0])
        except OSError:  # as above
            return None

    def describe(self) -> tuple[str, str]:
        return 'socket', text_of(self.get_peer_name() or self.get_sock_name())

    def _set(self, level: int, option: int, value: int | bytes) -> int:
        if self._sock is None:
            return errno.EBADF
        try:
            self._sock.setsockopt(level, option, value)
        except OSError as error:
            return code_of(error)
        return DONE

    def set_no_delay(self, enable: bool) -> int:
        return self._set(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(enable))

    def set_keep_alive(self, enable: bool, delay: int, interval: int, count: int) -> int:
        """``delay`` and ``interval`` in seconds; what is below 1 keeps the system's value."""
        code = self._set(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(enable))
        if enable and not code:
            for option, value in (
                (_KEEP_IDLE, delay),
                (_KEEP_INTERVAL, interval),
                (_KEEP_COUNT, count),
            ):
                if option >= 0 and value >= 1 and not code:
                    code = self._set(socket.IPPROTO_TCP, option, value)
        return code

    def set_type_of_service(self, tos: int) -> int:
        if self._sock is None:
            return errno.EBADF
        if self._sock.family == socket.AF_INET6:
            if _IPV6_TCLASS < 0:
                return errno.ENOTSUP
            return self._set(socket.IPPROTO_IPV6, _IPV6_TCLASS, tos)
        return self._set(socket.IPPROTO_IP, socket.IP_TOS, tos)

    def get_type_of_service(self) -> int:
        if self._sock is None:
            return -errno.EBADF
        try:
            if self._sock.family == socket.AF_INET6:
                if _IPV6_TCLASS < 0:
                    return -errno.ENOTSUP
                return int(self._sock.getsockopt(socket.IPPROTO_IPV6, _IPV6_TCLASS))
            return int(self._sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS))
        except OSError as error:
            return -code_of(error)
