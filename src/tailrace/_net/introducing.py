"""The sending side of the PROXY protocol: the first bytes of a connection that was made.

They go to the handle below everything else, before the socket has it: before the program's data and
before TLS. This file refuses to know sockets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._handles import StreamHandle
from .._validate import bad_type, bad_value

if TYPE_CHECKING:
    # Imported where it is used: it is a tenth of the time that importing the package takes.
    from .._proxy import ProxyHeader

__all__ = ['check_introduction', 'introduce']


def check_introduction(value: Any) -> ProxyHeader | int | None:
    """The option ``proxy_protocol`` of a connect: None, a version or a header."""
    if value is None:
        return None
    from .._proxy import ProxyHeader

    if isinstance(value, ProxyHeader):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        bad_type('options.proxy_protocol', '1, 2 or a ProxyHeader', value)
    if value not in (1, 2):
        bad_value('options.proxy_protocol', '1, 2 or a ProxyHeader', value)
    return int(value)


def introduce(handle: StreamHandle, what: ProxyHeader | int, done: Callable[[int], object]) -> int:
    """Write the header as the first thing; the result is that of ``write``.

    With a version alone it has the connection's own two ends.
    """
    from .._proxy import build

    header = _of_ends(handle, what) if isinstance(what, int) else what
    code = handle.write(build(header), done)
    # It belongs to neither side's data: the receiver does not count it either.
    handle.bytes_written = 0
    return code


def _of_ends(handle: StreamHandle, version: int) -> ProxyHeader:
    from .._proxy import ProxyHeader

    return ProxyHeader.of(_Ends(handle), version)


class _Ends:
    """The names of a handle as a socket has them, with the connecting side as the client."""

    def __init__(self, handle: StreamHandle) -> None:
        own: Any = handle.get_sock_name() or (None, None)
        peer: Any = handle.get_peer_name() or (None, None)
        self.remote_address, self.remote_port = own[:2]
        self.local_address, self.local_port = peer[:2]
