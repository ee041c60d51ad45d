"""What a socket and a server have of their descriptor: its number, options, what is known of it.

Nothing here is on the way of a byte. What the kernel is asked is in ``_handles/facts.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._handles import facts
from .._names import node_names
from .._validate import bad_type, check_int
from ..errors import state_error, system_error
from .sending import FileTransfer

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._handles.facts import PeerCredentials, TcpInfo

__all__ = ['Descriptor', 'OwnDescriptor']


@node_names
class Descriptor:
    """The part of Socket and Server that deals with the descriptor; not used by itself."""

    __slots__ = ()

    def fileno(self) -> int:
        """The descriptor; -1 if there is none: not connected or listening, closed, or in memory.

        It stays this object's: do not close it, and do not read or write it.
        """
        handle = _handle_of(self)
        return -1 if handle is None else int(handle.fd)

    def getsockopt(self, level: int, option: int, size: int = 0, /) -> Any:
        """A socket option, as ``socket.getsockopt``: a number, or bytes if a ``size`` is given.

        Raises ERR_SOCKET_CLOSED without a descriptor, ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, and
        what the system says (ENOPROTOOPT …) with the syscall 'getsockopt'.
        """
        _check_numbers(level, option)
        check_int('size', size, 0, 65536)
        found = facts.get_option(self._open_fd(), level, option, size)
        if isinstance(found, OSError):
            raise system_error(found, 'getsockopt')
        return found

    def setsockopt(self, level: int, option: int, value: int | bytes, /) -> None:
        """Set a socket option, as ``socket.setsockopt``.

        Raises as :meth:`getsockopt`, with the syscall 'setsockopt'.
        """
        _check_numbers(level, option)
        if isinstance(value, (bytearray, memoryview)):
            value = bytes(value)
        elif not isinstance(value, bytes):
            value = check_int('value', value, -(2**31), 2**31 - 1)
        code = facts.set_option(self._open_fd(), level, option, value)
        if code:
            raise system_error(code, 'setsockopt')

    def _open_fd(self) -> int:
        fd = self.fileno()
        if fd < 0:
            raise state_error('ERR_SOCKET_CLOSED', 'there is no descriptor')
        return fd


def _handle_of(thing: Any) -> Any:
    return thing._handle


def _check_numbers(level: Any, option: Any) -> None:
    check_int('level', level, -(2**31), 2**31 - 1)
    check_int('option', option, -(2**31), 2**31 - 1)


@node_names
class OwnDescriptor(Descriptor):
    """The same for a connection."""

    __slots__ = ()

    #: How many files are among the writes.
    _sending: int = 0

    def _write(self, chunk: Any, encoding: str, callback: Any) -> None:
        if type(chunk) is FileTransfer:
            chunk.start(callback)
        else:
            super()._write(chunk, encoding, callback)  # type: ignore[misc]

    def _can_writev(self) -> bool:
        # One by one as long as a file is among them.
        return not self._sending and bool(super()._can_writev())  # type: ignore[misc]

    def get_extra_info(self, name: str, default: Any = None, /) -> Any:
        """What is known of the connection, by asyncio's names; ``default`` if it is not known.

        'peername', 'sockname' (as ``socket`` gives them), 'fileno', 'peercred'
        (:attr:`peer_credentials`), 'tcp_info' (:meth:`tcp_info`), 'server'; with TLS also
        'ssl_object', 'peercert', 'cipher', 'alpn'.
        """
        if not isinstance(name, str):
            bad_type('name', 'a string', name)
        value = self._extra(name)
        return default if value is None else value

    def _extra(self, name: str) -> Any:
        fd = self.fileno()
        if name == 'server':
            return getattr(self, 'server', None)
        if name in ('ssl_object', 'peercert', 'cipher', 'alpn'):
            engine = getattr(_handle_of(self), 'engine', None)
            tls = getattr(engine, 'object', None)
            if tls is None or name == 'ssl_object':
                return tls
            if name == 'peercert':
                return tls.getpeercert()
            return tls.cipher() if name == 'cipher' else tls.selected_alpn_protocol()
        if fd < 0:
            return None
        if name == 'fileno':
            return fd
        if name in ('peername', 'sockname'):
            return self._raw_name(fd, name == 'peername')
        if name == 'peercred':
            return facts.peer_credentials(fd)
        if name == 'tcp_info':
            found = facts.tcp_info(fd)
            return None if isinstance(found, int) else found
        return None

    def _raw_name(self, fd: int, peer: bool) -> Any:
        raw: Any = facts.own_name(fd, peer)
        handle = _handle_of(self)
        told = handle.get_peer_name() if peer else handle.get_sock_name()
        if told is None:
            return raw
        name: Any = raw  # what a checker narrows to a tuple has items of no known type
        same = isinstance(raw, tuple) and name[:2] == (told[0].partition('%')[0], told[1])
        return name if same else told[:2]  # by a proxy's header

    @property
    def peer_credentials(self) -> PeerCredentials | None:
        """Process, user and group at the other end of a Unix socket (SO_PEERCRED).

        As they were when it connected, told by the kernel. None on TCP, in memory, without a
        connection, and where the system does not tell.
        """
        fd = self.fileno()
        return None if fd < 0 else facts.peer_credentials(fd)

    def tcp_info(self) -> TcpInfo:
        """What the kernel measures on this connection now: round-trip time, retransmissions …

        Raises ERR_SOCKET_CLOSED without a connection, and EOPNOTSUPP with the syscall 'getsockopt'
        on a Unix socket and on a system without it (Linux and macOS have it).
        """
        found = facts.tcp_info(self._open_fd())
        if isinstance(found, int):
            raise system_error(found, 'getsockopt')
        return found

    def send_file(
        self,
        file: Any,
        offset: int = 0,
        count: int | None = None,
        /,
        *,
        progress: Callable[[int, int], object] | None = None,
        callback: Callable[[BaseException | None], object] | None = None,
    ) -> FileTransfer:
        """Send a file, in its place among the writes; ``await`` the result for the bytes sent.

        ``file`` is a path, a descriptor, or a binary file object, which stays open. ``offset`` and
        ``count`` (default: up to its end) say which part; never more than there is. What was
        written before goes out before, what is written or ended afterwards goes out behind. The
        kernel sends it itself (sendfile); through TLS, in memory, and where it cannot, the file is
        read piece by piece. As long as it is under way ``write`` returns False, and 'drain'
        comes at its end.

        ``progress(sent, size)`` is called after each piece, ``callback(error)`` at the end. Raises
        what opening the file raises (ENOENT, EISDIR … with the syscall 'open') at once, and
        ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, ERR_INVALID_ARG_VALUE for what has no size: a pipe,
        a socket, a device. Later failures destroy the socket, because what
        follows a torn file means something else: 'error', and the await raises it. A file that
        becomes shorter meanwhile is ENODATA. Cancelling the await destroys the socket.
        """
        return FileTransfer(self, file, offset, count, progress, callback)

    if TYPE_CHECKING:  # Node's spellings; see node_names
        getExtraInfo = get_extra_info
        peerCredentials = peer_credentials
        tcpInfo = tcp_info
        sendFile = send_file
