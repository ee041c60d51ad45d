"""``tls.connect`` and ``tls.start_tls``: for a new connection, and for one that is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._names import merge_options
from .._net.options import CONNECT_OPTIONS, SOCKET_OPTIONS, is_pipe_name
from .._validate import bad_value, is_mapping, milliseconds
from .rules import TLS_OPTIONS, Rules, split
from .socket import TLSSocket

__all__ = ['begin_tls', 'connect', 'start_tls']

_KNOWN = TLS_OPTIONS | SOCKET_OPTIONS | CONNECT_OPTIONS | {'secure_connect_listener', 'socket'}


def connect(*args: Any, **keywords: Any) -> TLSSocket:
    """Connect and do the handshake; returns the socket, which is connecting.

    Forms: ``connect(port[, host][, options][, listener])``, ``connect(path[, options][,
    listener])``, ``connect(options[, listener])``, or keywords. The options are those of
    ``net.connect``, of :class:`TLSSocket`, and ``socket``: a connected Socket or other Duplex to
    use instead of connecting. ``servername`` is by default ``host``; the certificate must be for
    it. The listener is called at 'secureConnect'. ``await tls.connect(...)`` gives the socket when
    it is secure, or raises.

    Emits 'connect', 'ready' and 'secureConnect', or 'error' and 'close'.
    """
    options, callback = _connect_call(args, keywords)
    ours, rest = split(options)
    socket = rest.pop('socket', None)
    if socket is not None and rest.get('proxy_protocol') is not None:
        bad_value('options.proxy_protocol', 'left out with options.socket', rest['proxy_protocol'])
    ours.pop('is_server', None)
    rules = Rules(ours, False)
    host = rest.get('host')
    timeout = rest.get('timeout')
    own = {name: value for name, value in rest.items() if name not in _ONLY_CONNECT}
    sock = TLSSocket.__new__(TLSSocket)
    sock._start(rules, own)
    named = host if isinstance(host, str) and host else None
    # As in Node; a name that nobody gave is not sent (SNI) over a given socket.
    sock._host = rules.servername or named or 'localhost'
    if rules.servername is None and named is None and socket is not None:
        sock._sni = ''
    sock._prepared = sock._client_engine()
    if callback is not None:
        sock.once('secureConnect', callback)
    if timeout:
        milliseconds('options.timeout', timeout)
        sock.set_timeout(timeout)
    if sock.destroyed:
        return sock
    if socket is not None:
        sock._wrap(socket)
    else:
        sock._connect(rest, None)
    return sock


_ONLY_CONNECT = CONNECT_OPTIONS - {
    'block_list',
    'keep_alive',
    'keep_alive_initial_delay',
    'no_delay',
    'type_of_service',
}


def _connect_call(args: tuple[Any, ...], keywords: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    keywords = dict(keywords)
    callback = keywords.pop('secure_connect_listener', keywords.pop('callback', None))
    if args and callable(args[-1]):
        callback, args = args[-1], args[:-1]
    given: dict[str, Any] = {}
    for i, value in enumerate(args):
        if is_mapping(value):
            given.update(value)
        elif i == 0 and is_pipe_name(value):
            given['path'] = value
        elif i == 0 and isinstance(value, (int, float, str)):
            given['port'] = value
        elif i == 1 and isinstance(value, str):
            given['host'] = value
        elif value is not None:
            bad_value('the arguments', 'a port or path, a host, options and a listener', value)
    return merge_options('connect', given, keywords, _KNOWN), callback


async def start_tls(
    socket: Any,
    context: Any = None,
    /,
    *,
    server_side: bool = False,
    server_hostname: str | None = None,
    **options: Any,
) -> TLSSocket:
    """Begin TLS on a connected Socket (STARTTLS) and wait for the handshake; gives the TLS socket.

    Every byte that ``socket`` has read already belongs to TLS; what it has written goes out before.
    ``socket`` itself is used up. A client gives ``server_hostname``, a server ``server_side=True``.
    ``context`` is a SecureContext, an ``ssl.SSLContext``, or None with the options of
    :func:`create_secure_context` as keywords. Raises what the handshake raises; then the connection
    is closed.
    """
    # What is queued goes out in the clear, in front of TLS.
    if socket.writable_length:
        await socket.drain()
    return await begin_tls(socket, context, server_side, server_hostname, options)


def begin_tls(
    socket: Any,
    context: Any,
    server_side: bool,
    server_hostname: str | None,
    options: dict[str, Any],
) -> TLSSocket:
    """As :func:`start_tls`, on a socket with nothing queued, and without waiting."""
    if context is not None:
        options['secure_context'] = context
    if server_hostname is not None:
        options['servername'] = server_hostname
    reader = socket._framing
    if reader is not None and not reader.busy:
        reader._leave()
    return TLSSocket(socket, is_server=server_side, **options)
