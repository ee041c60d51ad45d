"""The options of sockets, connections and servers, as type checkers see them.

Keywords are checked against these; a mapping may use Node's spellings too. Times are milliseconds
or a ``timedelta``. What each option does stands at the class or method that takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypedDict

from .._abort import AbortSignal
from .._addr import BlockList

if TYPE_CHECKING:
    from datetime import timedelta

    from typing_extensions import Buffer

    from .._proxy import ProxyHeader
    from .bound import BoundSocket

__all__ = [
    'Chunk',
    'ConnectOptions',
    'Duration',
    'ListenOptions',
    'Listenable',
    'OnConnect',
    'SocketOptions',
    'StreamOptions',
]

Duration: TypeAlias = 'float | timedelta'


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


class HasListeningHandle(Protocol):
    """Another server, whose listening socket is shared."""

    def address(self) -> Any:
        """Where it listens."""
        ...

    def get_connections(self, callback: Any, /) -> Any:
        """As of :class:`Server`."""
        ...


if TYPE_CHECKING:
    #: What a socket writes.
    Chunk = str | Buffer
    #: Callbacks may take fewer arguments than they are called with.
    OnConnect = Callable[[], object]
    #: What a server can listen on that is bound already.
    Listenable = BoundSocket | HasListeningHandle | HasDescriptor | HasFd


class StreamOptions(TypedDict, total=False):
    """Options of every stream that a socket takes too."""

    allow_half_open: bool | None
    auto_destroy: bool | None
    capture_rejections: bool | None
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
    bind_to_device: str | None
    callback: OnConnect | None
    connect_listener: OnConnect | None
    connect_timeout: Duration | None
    family: int | str | None
    fast_open: bool | None
    hints: int | None
    host: str | None
    local_address: str | None
    local_port: int | None
    lookup: Callable[..., object] | None
    mark: int | None
    path: str | None
    port: int | str | None
    proxy_protocol: Literal[1, 2] | ProxyHeader | None
    timeout: Duration | None
    transparent: bool | None


class ListenOptions(TypedDict, total=False):
    """Options of ``Server.listen``."""

    backlog: int | None
    bind_to_device: str | None
    callback: OnConnect | None
    defer_accept: Duration | None
    exclusive: bool | None
    fast_open: bool | int | None
    fd: int | None
    from_systemd: str | bool | None
    group: int | str | None
    handle: Any
    host: str | None
    ipv6_only: bool | None
    mark: int | None
    mode: int | None
    path: str | None
    port: int | str | None
    readable_all: bool | None
    reuse_port: bool | None
    signal: AbortSignal | None
    transparent: bool | None
    user: int | str | None
    writable_all: bool | None
