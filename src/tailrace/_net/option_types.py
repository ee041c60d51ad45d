"""The options of sockets, connections and servers, as type checkers see them.

Keywords are checked against these; a mapping may use Node's spellings too. Times are milliseconds
or a ``timedelta``. What each option does stands at the class or method that takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

from .._abort import AbortSignal
from .._addr import BlockList

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from .._stream.typed import OnDone
    from .bound import BoundSocket
    from .server import Server
    from .socket import Socket

__all__ = [
    'Chunk',
    'ConnectOptions',
    'Duration',
    'ListenOptions',
    'Listenable',
    'OnConnect',
    'OnConnection',
    'OnCount',
    'ServerOptions',
    'SocketOptions',
    'StreamOptions',
]

Duration = float | timedelta


class HasDescriptor(Protocol):
    """What gives its descriptor by a method, such as ``socket.socket``."""

    def fileno(self) -> int:
        """The descriptor."""
        ...


class HasFd(Protocol):
    """What gives its descriptor as an attribute."""

    @property
    def fd(self) -> int:
        """The descriptor."""
        ...


if TYPE_CHECKING:
    #: What a socket writes.
    Chunk = str | Buffer
    #: Callbacks may take fewer arguments than they are called with.
    OnConnect = Callable[[], object]
    OnConnection = Callable[[Socket], object] | Callable[[], object]
    #: The count is None after an error.
    OnCount = Callable[[Exception | None, Any], object] | OnDone
    #: What a server can listen on that is bound already.
    Listenable = BoundSocket | Server | HasDescriptor | HasFd


class StreamOptions(TypedDict, total=False):
    """Options of every stream that a socket takes too."""

    allow_half_open: bool | None
    auto_destroy: bool | None
    decode_strings: bool | None
    default_encoding: str | None
    emit_close: bool | None
    encoding: str | None
    high_water_mark: float | None
    readable: bool | None
    readable_high_water_mark: float | None
    signal: AbortSignal | None
    writable: bool | None
    writable_high_water_mark: float | None


class SocketOptions(StreamOptions, total=False):
    """Options of :class:`Socket`."""

    block_list: BlockList | None
    fd: int | None
    handle: Any
    keep_alive: bool | None
    keep_alive_initial_delay: Duration | None
    no_delay: bool | None
    onread: Mapping[str, Any] | None
    type_of_service: int | None


class ConnectOptions(SocketOptions, total=False):
    """Options of ``connect`` and ``Socket.connect``."""

    auto_select_family: bool | None
    auto_select_family_attempt_timeout: Duration | None
    callback: OnConnect | None
    connect_listener: OnConnect | None
    connect_timeout: Duration | None
    family: int | str | None
    hints: int | None
    host: str | None
    local_address: str | None
    local_port: int | None
    lookup: Callable[..., object] | None
    path: str | None
    port: int | str | None
    timeout: Duration | None


class ListenOptions(TypedDict, total=False):
    """Options of ``Server.listen``."""

    backlog: int | None
    callback: OnConnect | None
    exclusive: bool | None
    fd: int | None
    handle: Any
    host: str | None
    ipv6_only: bool | None
    path: str | None
    port: int | str | None
    readable_all: bool | None
    reuse_port: bool | None
    signal: AbortSignal | None
    writable_all: bool | None


class ServerOptions(TypedDict, total=False):
    """Options of ``create_server``."""

    allow_half_open: bool | None
    block_list: BlockList | None
    connection_listener: OnConnection | None
    high_water_mark: float | None
    keep_alive: bool | None
    keep_alive_initial_delay: Duration | None
    max_connections: float | None
    no_delay: bool | None
    pause_on_connect: bool | None
