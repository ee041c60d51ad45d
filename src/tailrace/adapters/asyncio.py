"""tailrace below asyncio's interface: transports and protocols, StreamReader and StreamWriter."""

from .._adapters.asyncio_face import (
    create_connection,
    open_connection,
    start_server,
    start_stream_server,
    start_tls,
    streams_for,
)
from .._adapters.transport import SocketTransport, transport_for

__all__ = [
    'SocketTransport',
    'create_connection',
    'open_connection',
    'start_server',
    'start_stream_server',
    'start_tls',
    'streams_for',
    'transport_for',
]
