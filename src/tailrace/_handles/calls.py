"""Which way the system calls of a connection go: the optional C module, or the standard ones.

``_kernel.c`` tells why there is one. It is looked for once, at import; where it is not built these
are the calls of ``socket`` and ``select``. What is done with their results is the same code for
both, elsewhere: this file refuses to know limits, errnos and events.
"""

from __future__ import annotations

import errno
import socket
from typing import Any, Final

try:
    from . import _kernel as _found

    _kernel: Any = _found
except ImportError:
    _kernel = None

__all__ = [
    'CONNECTION',
    'KERNEL',
    'RawSocket',
    'accept',
    'connection',
    'epoll_ctl',
    'epoll_wait',
    'recv_of',
    'send_of',
]

#: The C-level socket class: constructing ``socket.socket`` runs Python code that nobody needs here
#: (an accepted connection takes 3.5 us instead of 4.8).
RawSocket = socket.SocketType

#: Whether the C module is there.
KERNEL: Final = _kernel is not None

#: epoll_wait(descriptor of an epoll, seconds or None, how many at the most): pairs of a descriptor
#: and a mask. None where the epoll object itself is asked.
epoll_wait: Any = getattr(_kernel, 'epoll_wait', None)

#: epoll_ctl(descriptor of an epoll, operation, descriptor, mask). None likewise.
epoll_ctl: Any = getattr(_kernel, 'epoll_ctl', None)

_accept: Final[Any] = getattr(_kernel, 'accept', None)
#: The class of what ``connection`` makes there, None elsewhere; and two of its methods, called with
#: the object first: looking one up by its name would cost each message 170 instructions.
CONNECTION: Final[Any] = getattr(_kernel, 'Connection', None)
recv_of: Final[Any] = getattr(CONNECTION, 'recv', None)
send_of: Final[Any] = getattr(CONNECTION, 'send', None)
_RawSocket: Final[Any] = RawSocket


def connection(sock: Any) -> Any:
    """The object that a handle receives from and sends to, made of a non-blocking socket object.

    What is no socket object (an end of an anonymous pipe) stays what it is.
    """
    return CONNECTION(sock) if KERNEL and type(sock) is _RawSocket else sock


def accept(listening: Any, fd: int) -> Any:
    """The next connection of a listening socket object, as from ``connection``; None: nobody waits.

    ``fd`` is its descriptor. The connection is non-blocking and close-on-exec. Raises OSError.
    """
    if KERNEL:
        # The number, where it is known: asking an object for its fileno() costs 600 instructions.
        return _accept(fd if type(listening) is _RawSocket else listening)
    try:
        fd, _ = listening._accept()
    except OSError as error:
        if error.errno == errno.EAGAIN or error.errno == errno.EWOULDBLOCK:
            return None
        raise
    sock = RawSocket(listening.family, listening.type, listening.proto, fd)
    sock.setblocking(False)
    return sock
