"""What the kernel knows of a descriptor: options, the process at the other end, the state of TCP.

Everything is asked by number, of whatever handle it is: this file refuses to know handles. What a
system does not have is None, or an errno as the result.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
import sys
from typing import Any, Final, NamedTuple

from .reading import RawSocket, code_of

__all__ = [
    'FileSource',
    'PeerCredentials',
    'TcpInfo',
    'early_options',
    'get_option',
    'own_name',
    'peer_credentials',
    'set_option',
    'set_owner',
    'tcp_info',
]

_LINUX = sys.platform == 'linux'
_MACOS = sys.platform == 'darwin'


class _Borrowed:
    """A socket object on a descriptor that stays its owner's."""

    def __init__(self, fd: int) -> None:
        self.sock = RawSocket(fileno=fd)

    def __enter__(self) -> Any:
        return self.sock

    def __exit__(self, *_: object) -> None:
        self.sock.detach()


def get_option(fd: int, level: int, option: int, size: int) -> int | bytes | OSError:
    """getsockopt(2); ``size`` 0: a number."""
    try:
        with _Borrowed(fd) as sock:
            value: int | bytes = (
                sock.getsockopt(level, option, size) if size else sock.getsockopt(level, option)
            )
    except OSError as error:
        return error
    return value


def set_option(fd: int, level: int, option: int, value: int | bytes) -> int:
    """setsockopt(2); 0 or an errno."""
    try:
        with _Borrowed(fd) as sock:
            sock.setsockopt(level, option, value)
    except OSError as error:
        return code_of(error)
    return 0


def own_name(fd: int, peer: bool) -> Any:
    """getsockname(2) or getpeername(2) as the socket module gives it, or None."""
    try:
        with _Borrowed(fd) as sock:
            return sock.getpeername() if peer else sock.getsockname()
    except OSError:
        return None


# -- who is at the other end ----------------------------------------------------------------------


class PeerCredentials(NamedTuple):
    """The process at the other end of a Unix socket, as it was when it connected.

    Told by the kernel, so the peer cannot lie. ``pid`` is None on systems that do not tell it;
    ``uid`` and ``gid`` are the effective user and group.
    """

    pid: int | None
    uid: int
    gid: int


# getsockopt(2) of macOS: LOCAL_PEERCRED gives a struct xucred, LOCAL_PEERPID a pid_t; level
# SOL_LOCAL is 0 (sys/un.h).
_SOL_LOCAL = 0
_LOCAL_PEERCRED = 1
_LOCAL_PEERPID = 2
_XUCRED = struct.Struct('@IIh16I')


def peer_credentials(fd: int) -> PeerCredentials | None:
    """SO_PEERCRED (unix(7)) or LOCAL_PEERCRED; None where there are none."""
    try:
        with _Borrowed(fd) as sock:
            if sock.family != getattr(socket, 'AF_UNIX', -1):
                return None
            if hasattr(socket, 'SO_PEERCRED'):
                pid, uid, gid = struct.unpack(
                    '3i', sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
                )
                # A socket that is not connected has 0, -1, -1.
                return PeerCredentials(pid or None, uid, gid) if uid >= 0 else None
            if _MACOS:
                data = sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED.size)
                _, uid, count, *groups = _XUCRED.unpack(data.ljust(_XUCRED.size, b'\0'))
                pid = sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID)
                return PeerCredentials(pid, uid, groups[0] if count else -1)
    except OSError:
        return None
    return None


# -- the state of a TCP connection ----------------------------------------------------------------


class TcpInfo(NamedTuple):
    """What the kernel measures on one TCP connection, at one moment.

    Times are milliseconds, sizes bytes. What the system does not tell is None.
    """

    #: 'established', 'syn-sent', 'syn-received', 'fin-wait-1', 'fin-wait-2', 'time-wait', 'closed',
    #: 'close-wait', 'last-ack', 'listen' or 'closing'.
    state: str
    #: The smoothed round-trip time, and its mean deviation.
    rtt: float
    rtt_variance: float
    #: The shortest round-trip time that was seen.
    min_rtt: float | None
    #: How long an unanswered segment is waited for before it is sent again.
    retransmit_timeout: float
    #: Segments that were sent again: in a row for the one that waits now, and in all.
    retransmits: int | None
    total_retransmits: int | None
    #: Segments on their way, and those of them that are taken for lost.
    unacked: int | None
    lost: int | None
    #: In segments.
    congestion_window: int
    #: In segments; None: none yet.
    slow_start_threshold: int | None
    #: The largest segment that is sent, and the largest packet of the path.
    segment_size: int
    path_mtu: int | None
    #: Since the connection began: sent and acknowledged, received, sent again.
    bytes_acked: int | None
    bytes_received: int | None
    bytes_retransmitted: int | None
    #: In the kernel's buffer, not sent yet.
    bytes_not_sent: int | None
    #: Bytes a second, as measured at the last acknowledgements.
    delivery_rate: int | None
    #: Since data was last sent and received.
    last_sent: float | None
    last_received: float | None


_STATES: tuple[str, ...] = (
    *('unknown', 'established', 'syn-sent', 'syn-received', 'fin-wait-1', 'fin-wait-2'),
    *('time-wait', 'closed', 'close-wait', 'last-ack', 'listen', 'closing'),
)
# struct tcp_info (linux/tcp.h): it only ever grows at its end, and the kernel tells how much it
# filled. Eight bytes, then 24 numbers of 32 bits, then what later versions added.
_HEAD = struct.Struct('=8B24I')
_MOST = 256
_NEVER = 0x7FFFFFFF


def tcp_info(fd: int) -> TcpInfo | int:
    """TCP_INFO (tcp(7)) or TCP_CONNECTION_INFO; an errno if there is none."""
    try:
        with _Borrowed(fd) as sock:
            if sock.family not in (socket.AF_INET, socket.AF_INET6):
                return errno.EOPNOTSUPP
            if _LINUX:
                return _linux_info(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _MOST))
            if _MACOS:
                return _macos_info(sock.getsockopt(socket.IPPROTO_TCP, 0x106, _MOST))
    except OSError as error:
        return code_of(error)
    return errno.EOPNOTSUPP


def _linux_info(data: bytes) -> TcpInfo | int:
    if len(data) < _HEAD.size:
        return errno.EOPNOTSUPP

    def later(kind: str, at: int) -> int | None:
        size = struct.calcsize('=' + kind)
        if len(data) < at + size:
            return None
        return int(struct.unpack_from('=' + kind, data, at)[0])

    state: int = data[0]
    retransmits: int = data[2]
    numbers = _HEAD.unpack_from(data)[8:]
    rto, _, segment, _, unacked, _, lost, _, _ = numbers[:9]
    last_sent, _, last_received, _ = numbers[9:13]
    path_mtu, _, rtt, variance, threshold, window, *_, total = numbers[13:]
    min_rtt = later('I', 148)
    return TcpInfo(
        state=_STATES[state] if state < len(_STATES) else 'unknown',
        rtt=rtt / 1000,
        rtt_variance=variance / 1000,
        # All bits: none was measured.
        min_rtt=None if min_rtt is None or min_rtt == 0xFFFFFFFF else min_rtt / 1000,
        retransmit_timeout=rto / 1000,
        retransmits=retransmits,
        total_retransmits=total,
        unacked=unacked,
        lost=lost,
        congestion_window=window,
        slow_start_threshold=None if threshold >= _NEVER else threshold,
        segment_size=segment,
        path_mtu=path_mtu,
        bytes_acked=later('Q', 120),
        bytes_received=later('Q', 128),
        bytes_retransmitted=later('Q', 208),
        bytes_not_sent=later('I', 144),
        delivery_rate=later('Q', 160),
        last_sent=float(last_sent),
        last_received=float(last_received),
    )


def silence(fd: int) -> float | None:
    """For how many ms nothing has come from the peer of a TCP connection; None if it is not told.

    ``tcpi_last_ack_recv``: every segment of a connection has an acknowledgement in it.
    """
    if not _LINUX or fd < 0:
        return None
    try:
        with _Borrowed(fd) as sock:
            data = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _HEAD.size)
    except OSError:
        return None  # a Unix socket, or one that is reset already
    return float(_HEAD.unpack(data)[20]) if len(data) == _HEAD.size else None


# struct tcp_connection_info (netinet/tcp.h of macOS); times in ms there.
_MACOS_INFO = struct.Struct('=4B13I7Q')
#: Its states are those of tcp_fsm.h.
_MACOS_STATES = (
    *('closed', 'listen', 'syn-sent', 'syn-received', 'established', 'close-wait', 'fin-wait-1'),
    *('closing', 'last-ack', 'fin-wait-2', 'time-wait'),
)


def _macos_info(data: bytes) -> TcpInfo | int:
    if len(data) < _MACOS_INFO.size:
        return errno.EOPNOTSUPP
    fields = _MACOS_INFO.unpack_from(data)
    state: int = fields[0]
    rto, segment, threshold, window = fields[6], fields[7], fields[8], fields[9]
    srtt, variance = fields[14], fields[15]
    sent, again, received = fields[-6], fields[-5], fields[-3]
    return TcpInfo(
        state=_MACOS_STATES[state] if state < len(_MACOS_STATES) else 'unknown',
        rtt=float(srtt),
        rtt_variance=float(variance),
        min_rtt=None,
        retransmit_timeout=float(rto),
        retransmits=None,
        total_retransmits=fields[-1],
        unacked=None,
        lost=None,
        congestion_window=window // max(1, segment),
        slow_start_threshold=threshold // max(1, segment),
        segment_size=segment,
        path_mtu=None,
        bytes_acked=max(0, sent - again),
        bytes_received=received,
        bytes_retransmitted=again,
        bytes_not_sent=None,
        delivery_rate=None,
        last_sent=None,
        last_received=None,
    )


# -- options before there is a connection ---------------------------------------------------------

# asm-generic/socket.h and linux/tcp.h, for a Python that does not name them.
_NUMBERS = {'SO_MARK': 36, 'IP_TRANSPARENT': 19, 'TCP_FASTOPEN_CONNECT': 30, 'SO_BINDTODEVICE': 25}
_IPV6_TRANSPARENT = 75  # linux/in6.h


def _number(name: str) -> int:
    found = getattr(socket, name, None)
    if found is None and _LINUX:
        found = _NUMBERS.get(name)
    return -1 if found is None else int(found)


def early_options(
    *,
    listening: bool,
    fast_open: int = 0,
    defer_accept: int = 0,
    device: str = '',
    mark: int | None = None,
    transparent: bool = False,
) -> dict[int, list[tuple[int, int, Any]]] | str:
    """(level, option, value) by address family; or the name of what this system does not have.

    ``defer_accept`` in seconds.
    """
    general: list[tuple[int, int, Any]] = []
    wanted: list[tuple[str, int, str, Any]] = []
    if device:
        wanted.append(('bind_to_device', socket.SOL_SOCKET, 'SO_BINDTODEVICE', os.fsencode(device)))
    if mark is not None:
        wanted.append(('mark', socket.SOL_SOCKET, 'SO_MARK', mark))
    if fast_open:
        option = 'TCP_FASTOPEN' if listening else 'TCP_FASTOPEN_CONNECT'
        wanted.append(('fast_open', socket.IPPROTO_TCP, option, fast_open))
    if defer_accept:
        wanted.append(('defer_accept', socket.IPPROTO_TCP, 'TCP_DEFER_ACCEPT', defer_accept))
    for name, level, option, value in wanted:
        number = _number(option)
        if number < 0:
            return name
        general.append((level, number, value))
    four, six = list(general), list(general)
    if transparent:
        if not _LINUX:
            return 'transparent'
        four.append((socket.IPPROTO_IP, _number('IP_TRANSPARENT'), 1))
        six.append((socket.IPPROTO_IPV6, _IPV6_TRANSPARENT, 1))
    return {int(socket.AF_INET): four, int(socket.AF_INET6): six}


def set_owner(path: str, uid: int, gid: int) -> int:
    """chown(2) of a socket file, which is never followed if it is a link; 0 or an errno."""
    try:
        os.chown(path, uid, gid, follow_symlinks=False)
    except OSError as error:
        return code_of(error)
    return 0


_CLOEXEC: Final = int(getattr(os, 'O_CLOEXEC', 0))
_NONBLOCK: Final = int(getattr(os, 'O_NONBLOCK', 0))


def _size_of(fd: int) -> int:
    """The size of a file; OSError or ValueError of what has none.

    Of a pipe, a terminal and a block device fstat(2) says 0, and nothing would be sent.
    """
    status = os.fstat(fd)
    if stat.S_ISDIR(status.st_mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise ValueError('a pipe, a socket or a device has no size')
    return status.st_size


class FileSource:
    """A file that is sent: where its bytes are, and whether it is closed at the end.

    ``fd`` is -1 for what has no descriptor; then it is read through ``read(size)`` after ``seek``.
    """

    __slots__ = ('_file', '_owned', 'fd', 'size')

    def __init__(self, source: Any) -> None:
        file = source
        self._file: Any = None
        self._owned = isinstance(file, (str, bytes, os.PathLike))
        if self._owned:
            # Nonblocking: opening a named pipe would wait for its writer.
            self.fd = os.open(file, os.O_RDONLY | _CLOEXEC | _NONBLOCK)
        elif isinstance(file, int):
            self.fd = int(file)
        else:
            self._file = file
            try:
                self.fd = int(file.fileno())
            except (AttributeError, OSError):
                self.fd = -1
        try:
            if self.fd >= 0:
                self.size: int = _size_of(self.fd)
            else:
                self.size = int(self._file.seek(0, os.SEEK_END))
        except BaseException:
            self.close()
            raise

    def piece(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes at ``offset``."""
        if self.fd >= 0:
            return os.pread(self.fd, size, offset)
        self._file.seek(offset)
        return bytes(self._file.read(size))

    def close(self) -> None:
        """Close what was opened here."""
        if self._owned:
            fd, self.fd = self.fd, -1
            self._owned = False
            os.close(fd)
