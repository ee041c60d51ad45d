"""The options and callbacks of servers, as type checkers see them.

Beside ``option_types.py``, because these speak of sockets, which are made of those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from .._addr import BlockList, SocketAddress

if TYPE_CHECKING:
    from .._stream.typed import OnDone
    from .option_types import Duration
    from .socket import Socket

    OnConnection: TypeAlias = Callable[[Socket], object] | Callable[[], object]
    #: What ``Server.on_error`` calls, plain or a coroutine function.
    OnFailure: TypeAlias = (
        Callable[[BaseException, Socket], object]
        | Callable[[BaseException], object]
        | Callable[[], object]
    )
    #: The count is None after an error.
    OnCount: TypeAlias = Callable[[Exception | None, Any], object] | OnDone

__all__ = ['OnConnection', 'OnCount', 'OnFailure', 'RateLimit', 'ServerOptions']

#: A number a second, or a count in so many ms.
RateLimit: TypeAlias = 'float | tuple[float, Duration]'


class ServerOptions(TypedDict, total=False):
    """Options of ``create_server``."""

    allow_half_open: bool | None
    block_list: BlockList | None
    connection_listener: OnConnection | None
    high_water_mark: float | None
    keep_alive: bool | None
    keep_alive_initial_delay: Duration | None
    linger: Duration | None
    max_accept_rate: RateLimit | None
    max_connections: float | None
    max_connections_per_address: float | None
    max_connections_per_network: float | None
    max_queued_bytes: float | None
    max_rate_per_address: RateLimit | None
    max_rate_per_network: RateLimit | None
    min_read_rate: float | None
    min_read_window: Duration | None
    no_delay: bool | None
    on_error: OnFailure | Literal['log', 'raise'] | None
    pause_on_connect: bool | None
    proxy_from: str | SocketAddress | Iterable[str | SocketAddress] | BlockList | None
    proxy_protocol: Literal['off', 'required'] | None
    proxy_timeout: Duration | None
