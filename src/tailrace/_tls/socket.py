"""``TLSSocket`` and ``tls.connect``: a Socket whose handle speaks TLS.

Its data, half-close, timeouts and awaitables are Socket's own. Here are the handshake as its user
sees it, what is known of the peer, and the ways to begin. See ``handle.py`` for the bytes.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Generator, Mapping
from typing import Any, TypeVar, cast

from .. import _runtime, _timers
from .._addr.ip import is_ip
from .._coerce import absent
from .._handles import StreamHandle
from .._listeners import Listener
from .._names import Record, merge_options, node_names
from .._net.options import SOCKET_OPTIONS
from .._net.socket import Socket
from .._stream.link import attach
from .._stream.state import L_DESTROYED, L_GONE
from .._validate import bad_type, bad_value, is_mapping
from .._waiting import first_of
from ..errors import NodeOSError, state_error
from .context import SecureContext, create_secure_context
from .duplex_handle import DuplexHandle
from .engine import Engine
from .failures import (
    TLSHandshakeError,
    TLSTruncatedError,
    handshake_error,
    lost_before_secure,
    protocol_error,
)
from .handle import TLSHandle
from .hello import LONGEST, HelloError, alert, read_hello
from .rules import TLS_OPTIONS, Rules, split
from .trust import judge
from .typed_socket import TypedTLSSocket

__all__ = ['TLSSocket']

_S = TypeVar('_S', bound='TLSSocket')
_NO_APPLICATION_PROTOCOL = 120  # RFC 7301 section 3.2
_UNRECOGNIZED_NAME = 112  # RFC 6066 section 3


@node_names
class TLSSocket(TypedTLSSocket):
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
    _handshake_timer: Any = None
    _choosing = False
    _session: Any = None
    _told_failure = False
    _protocols: tuple[str, ...] = ()

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

    def _stop_timer(self) -> None:
        timer, self._handshake_timer = self._handshake_timer, None
        if timer is not None:
            timer.close()

    # -- the handshake ----------------------------------------------------------------------------

    def _peer_text(self) -> str:
        name = self._name(True)
        if name is not None:
            where = f'[{name[0]}]:{name[1]}' if name[2] == 'IPv6' else f'{name[0]}:{name[1]}'
            return f'{self._host} ({where})' if self._host and self._host != name[0] else where
        return self._host or 'the peer'

    def _handshake_expired(self) -> None:
        self._handshake_timer = None
        ms = self._rules.handshake_timeout
        peer = self._peer_text()
        error = TLSHandshakeError(f'{peer} did not finish the TLS handshake in {ms:g} ms')
        error.code, error.peer = 'ERR_TLS_HANDSHAKE_TIMEOUT', peer
        self._handshake_failed(error)

    def _handshake_failed(self, error: Exception) -> None:
        if self._told_failure or self._life & L_DESTROYED:
            return
        self._told_failure = True
        server = self._server
        self._stop_timer()
        if self._rules.server_side and hasattr(server, '_client_failed'):
            server._client_failed(error, self)
            self.destroy()
        else:
            self.destroy(error)

    def _tls_begin(self, data: bytes) -> Engine | None:
        """A server's first bytes: what the client asks for decides which context it gets."""
        if self._choosing or self._told_failure:
            return None
        rules = self._rules
        try:
            hello = read_hello(data)
        except HelloError:
            # OpenSSL has better words for it: an HTTP request, a wrong version.
            return self._engine_with(self._key_context or rules.context)
        if hello is None:
            if len(data) > LONGEST + 4096:
                self._handshake_failed(
                    TLSHandshakeError(f'{self._peer_text()} sent a ClientHello that is too long')
                )
            return None
        self._servername = hello.servername
        self._protocols = hello.protocols
        if self._key_context is not None:
            return self._with_protocol(self._key_context)
        if rules.sni_callback is not None and hello.servername is not None:
            return self._ask_for_context(rules.sni_callback, hello.servername)
        return self._with_protocol(rules.context_for(hello.servername))

    def _ask_for_context(self, callback: Callable[..., Any], servername: str) -> Engine | None:
        now: list[Engine | None] | None = []

        def done(error: Any = None, context: Any = None) -> None:
            if not self._choosing:
                return
            self._choosing = False
            engine = self._context_chosen(error, context)
            if now is not None:
                now.append(engine)
            elif engine is not None and isinstance(self._handle, TLSHandle):
                self._handle.begin(engine)

        self._choosing = True
        try:
            listener = Listener(callback, False)
            result = callback(*listener.fit((servername, done)))
            if hasattr(result, '__await__'):
                self._await_context(result, done)
            elif self._choosing and (result is not None or listener.at_most < 2):
                done(None, result)
        except Exception as error:
            done(error)
        found, now = now, None
        return found[0] if found else None

    def _await_context(self, awaitable: Any, done: Callable[..., None]) -> None:
        async def wait() -> None:
            done(None, await awaitable)

        _runtime.spawn(wait(), done)

    def _context_chosen(self, error: Any, context: Any) -> Engine | None:
        rules = self._rules
        if error is None and context is not None:
            if not isinstance(context, (SecureContext, ssl.SSLContext)):
                error = state_error('ERR_TLS_INVALID_CONTEXT', f'sni_callback gave {context!r}')
            else:
                try:
                    fitting = rules.fitted(create_secure_context(context))
                except Exception as failure:
                    error = failure
                else:
                    return self._with_protocol(fitting)
        if error is not None:
            if isinstance(self._handle, TLSHandle):
                self._handle.refuse(alert(_UNRECOGNIZED_NAME))
            self._handshake_failed(error)
            return None
        return self._with_protocol(rules.context_for(self._servername))

    def _with_protocol(self, context: SecureContext) -> Engine | None:
        """Agree on a protocol, or send the alert that ``ssl`` does not send."""
        rules = self._rules
        offered = self._protocols
        if rules.alpn_callback is not None and offered:
            try:
                chosen = rules.alpn_callback(
                    Record(servername=self._servername or '', protocols=list(offered))
                )
            except Exception as error:
                self._refuse_protocol(error)
                return None
            if chosen is not None and chosen not in offered:
                code = 'ERR_TLS_ALPN_CALLBACK_INVALID_RESULT'
                self._refuse_protocol(state_error(code, f'{chosen!r} is not one of {offered}'))
                return None
            if chosen is None:
                self._refuse_protocol(None)
                return None
            return self._engine_with(context, (chosen,))
        if rules.alpn and offered and not set(rules.alpn) & set(offered):
            self._refuse_protocol(None)
            return None
        return self._engine_with(context)

    def _refuse_protocol(self, error: Exception | None) -> None:
        if error is None:
            theirs = ', '.join(self._protocols)
            error = TLSHandshakeError(f'{self._peer_text()} offers only the protocols {theirs}')
            error.code, error.phase = 'ERR_SSL_NO_APPLICATION_PROTOCOL', 'hello'
        if isinstance(self._handle, TLSHandle):
            self._handle.refuse(alert(_NO_APPLICATION_PROTOCOL))
        self._handshake_failed(error)

    def _engine_with(
        self, context: SecureContext, protocols: tuple[str, ...] | None = None
    ) -> Engine:
        self._chosen = context
        made = self._rules.ssl_context(context, protocols, self._traced)
        self._engine = Engine(made, True, None)
        return self._engine

    def _tls_secure(self) -> None:
        self._stop_timer()
        rules = self._rules
        engine = self._engine
        if engine is None:
            return
        secure = self._chosen or rules.context
        try:
            verdict = judge(engine, rules, secure, self._host, self._peer_text())
        except BaseException:
            self.destroy()
            raise
        if self._life & L_DESTROYED:
            return  # by check_server_identity
        self._authorized, self._authorization_error = verdict.authorized, verdict.reason
        if verdict.error is not None:
            # The engine does not become secure: what waits to be sent is dropped.
            self._handshake_failed(verdict.error)
            return
        engine.secure = self._secured = True
        self.emit('secure')
        if self._life & L_DESTROYED:
            return
        server = self._server
        if rules.server_side:
            if hasattr(server, '_client_secure'):
                server._client_secure(self)
        else:
            self.emit('secureConnect')
            self._tls_post()

    def _tls_failed(self, error: ssl.SSLError) -> None:
        peer = self._peer_text()
        if self._secured:
            self.destroy(protocol_error(error, peer))
        else:
            self._handshake_failed(handshake_error(error, peer))

    def _tls_lost(self, truncated: bool) -> None:
        if truncated:
            self.destroy(TLSTruncatedError(self._peer_text()))
            return
        error: Any = lost_before_secure(self._peer_text(), self._rules.server_side)
        if isinstance(error, NodeOSError) and not self._rules.server_side:
            error.address, error.port = self.remote_address, self.remote_port
        self._handshake_failed(error)

    def _tls_post(self) -> None:
        """A ticket may have come: a client's session is another object then."""
        if self._rules.server_side or self._engine is None or 'session' not in self._events:
            return
        session = self._engine.object.session
        if session is not None and session.has_ticket and session != self._session:
            self._session = session
            self.emit('session', session)

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
