"""``TLSSocket`` and ``tls.connect``: a Socket whose handle speaks TLS.

Its data, half-close, timeouts and awaitables are Socket's own. Here are the ways to begin: with a
connection of its own, a server's, or another stream. ``handshake.py`` has what follows,
``known.py`` what can be asked then, ``handle.py`` the bytes.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, TypeVar, cast

from .. import _timers
from .._addr.ip import is_ip
from .._coerce import absent
from .._handles import StreamHandle
from .._names import merge_options, node_names
from .._net.options import SOCKET_OPTIONS
from .._net.socket import Socket
from .._stream.link import attach
from .._stream.state import L_DESTROYED, L_GONE
from .._validate import bad_type, bad_value, is_mapping
from .._waiting import first_of
from ..errors import state_error
from .duplex_handle import DuplexHandle
from .engine import Engine
from .handle import TLSHandle
from .handshake import Handshake
from .rules import TLS_OPTIONS, Rules, split

__all__ = ['TLSSocket']

_S = TypeVar('_S', bound='TLSSocket')
_NO_APPLICATION_PROTOCOL = 120  # RFC 7301 section 3.2
_UNRECOGNIZED_NAME = 112  # RFC 6066 section 3


@node_names
class TLSSocket(Handshake):
    """A connection with TLS: a :class:`net.Socket` that encrypts.

    Made by :func:`tls.connect` and by :class:`tls.Server`, or ``TLSSocket(socket, options)`` over a
    connected Socket or any other Duplex, which it takes over. Options: those of
    :func:`create_secure_context` or ``secure_context``; ``is_server`` (default False),
    ``servername``, ``alpn_protocols``, ``alpn_callback``, ``sni_callback``, ``request_cert``,
    ``reject_unauthorized`` (default True), ``check_server_identity``, ``session``,
    ``handshake_timeout`` (ms, default 120000; 0: none), ``max_send_fragment`` (512 to 16384),
    ``allow_truncation`` (default False), ``enable_trace``.

    Events: those of Socket; 'secureConnect' when a client's handshake is complete and the server's
    certificate was accepted, 'session' (session) when a client has got a session to resume,
    'secure' when the handshake is complete. Data that is written before goes out after the
    handshake.

    An end of the connection without TLS's own end is 'error' ERR_TLS_TRUNCATED, unless
    ``allow_truncation`` is true: an attacker may have cut it.
    """

    _parent_stream: Any = None

    def __init__(self, socket: Any = None, options: Any = None, /, **keywords: Any) -> None:
        if socket is not None and is_mapping(socket) and options is None:
            socket, options = None, socket
        if options is not None and not is_mapping(options):
            bad_type('options', 'a mapping', options)
        known = TLS_OPTIONS | SOCKET_OPTIONS
        ours, rest = split(merge_options('TLSSocket', options, keywords, known))
        server = not absent(ours.pop('is_server', None))
        ours.pop('server', None)
        rules = Rules(ours, server)
        name = rules.servername or None
        if not server and name is None and rules.needs_name(rules.context):
            bad_value('options.servername', 'given, to compare the certificate with', name)
        self._start(rules, rest)
        self._host = name
        if not server:
            self._prepared = self._client_engine()
        if socket is not None:
            self._wrap(socket)

    def _start(self, rules: Rules, options: Mapping[str, Any]) -> None:
        self._rules = rules
        self._sni = rules.servername
        super().__init__(options)

    # -- the handle -------------------------------------------------------------------------------

    def _wrap(self, stream: Any, first: bytes = b'') -> None:
        """Take a connection over: a Socket's handle, or any other Duplex as it is."""
        if not (hasattr(stream, 'write') and hasattr(stream, 'on') and hasattr(stream, 'resume')):
            bad_type('socket', 'a Socket or another Duplex', stream)
        if getattr(stream, 'destroyed', False):
            raise state_error('ERR_SOCKET_CLOSED')
        self._parent_stream = stream
        if isinstance(stream, Socket) and not isinstance(stream, TLSSocket):
            if stream.connecting or (stream.pending and stream._under_way is not None):
                self._connecting = True
                stream.once('connect', self._take_over)
                stream.once('error', self._parent_failed)
                stream.once('close', self._parent_gone)
                return
            self._take_over(first)
        elif isinstance(stream, TLSSocket) and not stream._secured:
            self._connecting = True
            stream.once('secure', self._take_over)
            stream.once('error', self._parent_failed)
            stream.once('close', self._parent_gone)
        else:
            left = stream.read() if stream.readable_length else None
            self._secure_over(DuplexHandle(stream), first + _as_bytes(left))

    def _take_over(self, first: bytes = b'') -> None:
        stream = self._parent_stream
        stream.off('error', self._parent_failed)
        stream.off('close', self._parent_gone)
        if self._life & L_DESTROYED:
            stream.destroy()
            return
        self._connecting = False
        left = stream.read() if stream.readable_length else None
        data = first + _as_bytes(left)
        if isinstance(stream, TLSSocket):
            self._secure_over(DuplexHandle(stream), data)
            return
        server = stream._server
        handle = stream._give_up()
        if handle is None:
            raise state_error('ERR_SOCKET_CLOSED')
        self._refed = stream._refed
        self._proxy_header = stream._proxy_header
        if server is not None:
            # The server counts the connection until this socket closes.
            stream._server = None
            self._server = server
            if stream in server._sockets:
                server._sockets[self] = server._sockets.pop(stream)
        self._secure_over(handle, data)

    def _parent_failed(self, error: Exception) -> None:
        self.destroy(error)

    def _parent_gone(self, *_: Any) -> None:
        self.destroy(state_error('ERR_SOCKET_CLOSED_BEFORE_CONNECTION'))

    def _secure_over(self, lower: Any, first: bytes = b'') -> None:
        handle: Any = self._layer(lower)
        attach(self, handle)
        handle.start(first)
        if self._handle is handle and not self.is_paused():
            self._take(0)

    def _layer(self, lower: Any) -> TLSHandle:
        rules = self._rules
        engine = None
        # A socket may have been connected before.
        self._secured = self._authorized = self._told_failure = self._choosing = False
        self._authorization_error = None
        if not rules.server_side:
            engine = self._engine = self._prepared or self._client_engine()
            self._prepared = None
        if rules.handshake_timeout:
            runtime = lower.runtime
            self._handshake_timer = _timers.Timer(
                runtime, self._handshake_expired, max(1.0, rules.handshake_timeout), (), False
            ).unref()
        handle = TLSHandle(lower, self, engine)
        handle.fragment = rules.fragment
        handle.allow_truncation = rules.allow_truncation
        return handle

    def _client_engine(self) -> Engine:
        rules = self._rules
        self._chosen = rules.context
        context = rules.ssl_context(rules.context, trace=self._traced)
        # '' is no name to send; an address cannot be one (RFC 6066 section 3).
        name = self._host if self._sni is None else self._sni
        sni = name if name and not is_ip(name) else None
        self._servername = sni
        # One argument is both the name to send and the name that check_hostname compares.
        hostname = sni or self._host if context.check_hostname else sni
        try:
            return Engine(context, False, hostname, rules.session)
        except ValueError as error:
            if rules.session is not None and 'ession' in str(error):
                wanted = 'a session of a connection with the same context, protocols and rules'
                bad_value('options.session', wanted, rules.session)
            bad_value('options.servername', f'a host name ({error})', hostname)

    def _connected(self, handle: StreamHandle) -> None:
        """The connection below is there: 'connect' and 'ready', then the handshake."""
        # As in Node: data of a handshake must not wait for an acknowledgement (Nagle).
        handle.set_no_delay(True)
        layered: Any = self._layer(handle)
        super()._connected(layered)
        current: Any = self._handle
        if current is layered:
            layered.start()

    def _accept(self, lower: Any, server: Any, mark: int) -> None:
        """A server's side of a new connection."""
        self._rules = server._rules
        lower.set_no_delay(True)
        self._begin(self._layer(lower), server, mark)
        handle = cast('TLSHandle | None', self._handle)
        if server.pause_on_connect and handle is not None:
            handle.start()

    def _destroy(self, error: Any, callback: Any) -> None:
        self._stop_timer()
        parent, self._parent_stream = self._parent_stream, None
        if (
            parent is not None
            and not parent.destroyed
            and (self._handle is None or (isinstance(parent, Socket) and parent._handle is None))
        ):
            parent.destroy()
        super()._destroy(error, callback)

    # -- awaiting ---------------------------------------------------------------------------------

    def __await__(self: _S) -> Generator[Any, None, _S]:
        return self._wait_secure().__await__()

    async def _wait_secure(self: _S) -> _S:
        """Secure, or the error raised; cancelling it destroys the socket."""
        if self._secured and not self._life & L_DESTROYED:
            return self
        if self._life & L_GONE:
            raise self._error or state_error('ERR_SOCKET_CLOSED')
        try:
            event = await first_of(self, 'secure', 'close')
        except BaseException as error:
            if not isinstance(error, Exception):
                self.destroy()
            raise
        if event == 'close' or not self._secured:
            raise self._error or state_error('ERR_SOCKET_CLOSED_BEFORE_CONNECTION')
        if self._error is not None:
            raise self._error
        # It may have ended again by now, as a plain connection may have.
        return self


def _as_bytes(data: Any) -> bytes:
    if data is None:
        return b''
    return data.encode() if isinstance(data, str) else bytes(data)
