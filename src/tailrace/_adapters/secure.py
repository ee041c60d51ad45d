"""TLS where it is asked for: the adapters' functions take its options beside those of ``net``.

Any option of TLS switches it on. Which they are, and what they do, is known to ``_tls``.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Any

from .._names import snake
from .._net.connect import connect
from .._net.options import SERVER_OPTIONS
from .._net.server import Server, create_server
from .._net.socket import Socket
from .._tls.connect import begin_tls
from .._tls.connect import connect as connect_secure
from .._tls.context import SecureContext
from .._tls.rules import TLS_OPTIONS
from .._tls.server import Server as SecureServer
from .._validate import bad_type, check_number, is_mapping
from ..errors import state_error

__all__ = ['beginning', 'check_ready', 'connecting', 'descriptor_of', 'secured', 'serving', 'split']


def _wanted(options: Mapping[str, Any]) -> bool:
    return any(name in TLS_OPTIONS or snake(name) in TLS_OPTIONS for name in options)


def connecting(args: tuple[Any, ...], options: Mapping[str, Any]) -> Socket:
    """A socket that connects; to be awaited."""
    given = (options, *(one for one in args if is_mapping(one)))
    if any(_wanted(one) for one in given):
        return connect_secure(*args, **options)
    return connect(*args, **options)


def split(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of the server, TLS's among them, and options of ``listen``."""
    known = SERVER_OPTIONS | TLS_OPTIONS
    own = {name: value for name, value in options.items() if name in known or snake(name) in known}
    return own, {name: value for name, value in options.items() if name not in own}


def serving(options: Mapping[str, Any], listener: Callable[[Any], None] | None = None) -> Server:
    """A server that does not listen yet; with TLS it presents connections that are secure."""
    if _wanted(options):
        return SecureServer(dict(options), listener)
    return create_server(dict(options), listener)


def secured(sock: Socket) -> Any:
    """The TLS engine of a socket; None if it speaks in the clear."""
    return getattr(sock, '_engine', None)


def check_ready(sock: Socket) -> None:
    """Raise ERR_SOCKET_CLOSED unless it is connected, and secure if it is to be."""
    if sock.pending or sock.destroyed:
        raise state_error('ERR_SOCKET_CLOSED', 'a transport needs a connected socket')
    if getattr(sock, 'secure_connecting', False):
        raise state_error('ERR_SOCKET_CLOSED', 'a transport needs a completed TLS handshake')


def beginning(
    context: Any, server_side: bool | None, server_hostname: str | None, seconds: float | None
) -> Callable[[Socket], Socket]:
    """What puts TLS over a connected socket; ``server_side`` None: if it was accepted."""
    if not isinstance(context, (ssl.SSLContext, SecureContext)):
        bad_type('sslcontext', 'an ssl.SSLContext or SecureContext', context)
    options: dict[str, Any] = {}
    if seconds is not None:
        options['handshake_timeout'] = 1000 * check_number('ssl_handshake_timeout', seconds)

    def begin(sock: Socket) -> Socket:
        serves = sock._server is not None if server_side is None else server_side
        return begin_tls(sock, context, serves, server_hostname, options)

    return begin


def descriptor_of(sock: Any) -> Any:
    """What owns the descriptor, below all layers; None if there is none."""
    handle: Any = getattr(sock, '_handle', None)
    while hasattr(handle, '_lower'):
        handle = handle._lower
    return getattr(handle, '_sock', None)
