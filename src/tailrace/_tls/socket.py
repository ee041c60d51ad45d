"""``TLSSocket`` and ``tls.connect``: a Socket whose handle speaks TLS.

Its data, half-close, timeouts and awaitables are Socket's own. Here are the handshake as its user
sees it, what is known of the peer, and the ways to begin. See ``handle.py`` for the bytes.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .. import _runtime
from .._addr.ip import is_ip
from .._coerce import absent
from .._handles import StreamHandle
from .._listeners import Listener
from .._names import Record, merge_options, node_names
from .._net.options import CONNECT_OPTIONS, SOCKET_OPTIONS, is_pipe_name
from .._net.socket import Socket
from .._stream.link import attach
from .._stream.state import L_DESTROYED, L_GONE
from .._validate import bad_type, bad_value, check_str, is_mapping, milliseconds
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
    refused_option,
)
from .handle import TLSHandle
from .hello import LONGEST, HelloError, alert, read_hello
from .peer import certificate_of, cipher_of, own_certificate
from .rules import TLS_OPTIONS, Rules, split

if TYPE_CHECKING:
    from .server import Server

__all__ = ['TLSSocket', 'connect', 'start_tls']

_S = TypeVar('_S', bound='TLSSocket')
_NO_APPLICATION_PROTOCOL = 120  # RFC 7301 section 3.2
_UNRECOGNIZED_NAME = 112  # RFC 6066 section 3


@node_names
class TLSSocket(Socket):
    """A connection with TLS: a :class:`net.Socket` that encrypts.

    Made by :func:`tls.connect` and by :class:`tls.Server`, or ``TLSSocket(socket, options)`` over a
    connected Socket or any other Duplex, which it takes over. Options: those of
    :func:`create_secure_context` or ``secure_context``; ``is_server`` (default False),
    ``servername``, ``alpn_protocols``, ``alpn_callback``, ``sni_callback``, ``request_cert``,
    ``reject_unauthorized`` (default True), ``check_server_identity``, ``session``,
    ``handshake_timeout`` (ms, default 120000, of a server), ``max_send_fragment`` (512 to 16384),
    ``allow_truncation`` (default False), ``enable_trace``.

    Events: those of Socket; 'secureConnect' when a client's handshake is complete and the server's
    certificate was accepted, 'session' (session) when a client has got a session to resume,
    'secure' when the handshake is complete. Data that is written before goes out after the
    handshake.

    An end of the connection without TLS's own end is 'error' ERR_TLS_TRUNCATED, unless
    ``allow_truncation`` is true: an attacker may have cut it.
    """

    _rules: Rules
    _engine: Engine | None = None
    _secured = False
    _host: str | None = None
    _parent_stream: Any = None
    _handshake_timer: Any = None
    _choosing = False
    _chosen: SecureContext | None = None
    _authorized = False
    _authorization_error: Any = None
    _servername: str | None = None
    _session: Any = None
    _told_failure = False

    def __init__(self, socket: Any = None, options: Any = None, /, **keywords: Any) -> None:
        if socket is not None and is_mapping(socket) and options is None:
            socket, options = None, socket
        if options is not None and not is_mapping(options):
            bad_type('options', 'a mapping', options)
        known = TLS_OPTIONS | SOCKET_OPTIONS
        ours, rest = split(merge_options('TLSSocket', options, keywords, known))
        server = not absent(ours.pop('is_server', None))
        ours.pop('server', None)
        self._start(Rules(ours, server), rest)
        if socket is not None:
            self._wrap(socket)

    def _start(self, rules: Rules, options: Mapping[str, Any]) -> None:
        self._rules = rules
        self._host = rules.servername
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
        if not rules.server_side:
            name = self._host
            sni = None if name is None or is_ip(name) or name == '' else name
            context = rules.context.for_role(False)
            hostname = sni if sni is not None or not context.check_hostname else name
            engine = self._engine = Engine(context, False, hostname, rules.session)
            self._servername = sni
        elif rules.handshake_timeout:
            runtime = lower.runtime
            self._handshake_timer = _runtime.Timer(
                runtime, self._handshake_expired, max(1.0, rules.handshake_timeout), (), False
            ).unref()
        handle = TLSHandle(lower, self, engine)
        handle.fragment = rules.fragment
        handle.allow_truncation = rules.allow_truncation
        return handle

    def _connected(self, handle: StreamHandle) -> None:
        """The connection below is there: 'connect' and 'ready', then the handshake."""
        # As in Node: data of a handshake must not wait for an acknowledgement (Nagle).
        handle.set_no_delay(True)
        layered: Any = self._layer(handle)
        super()._connected(layered)
        current: Any = self._handle
        if current is layered:
            layered.start()

    def _accept(self, lower: Any, server: Server, mark: int) -> None:
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
            return self._engine_with(rules.context)
        if hello is None:
            if len(data) > LONGEST + 4096:
                self._handshake_failed(
                    TLSHandshakeError(f'{self._peer_text()} sent a ClientHello that is too long')
                )
            return None
        self._servername = hello.servername
        self._protocols = hello.protocols
        if rules.sni_callback is not None and hello.servername is not None:
            return self._ask_for_context(rules.sni_callback, hello.servername)
        return self._with_protocol(rules.context_for(hello.servername))

    _protocols: tuple[str, ...] = ()

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
                return self._with_protocol(rules.fitted(create_secure_context(context)))
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
            # One context serves many connections; its list is read within the next handshake step.
            context.for_role(True).set_alpn_protocols([chosen])
        elif rules.alpn and offered and not set(rules.alpn) & set(offered):
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

    def _engine_with(self, context: SecureContext) -> Engine:
        self._chosen = context
        self._engine = Engine(context.for_role(True), True, None)
        return self._engine

    def _tls_secure(self) -> None:
        self._stop_timer()
        rules = self._rules
        engine = self._engine
        if engine is None:
            return
        if rules.server_side:
            self._authorized = rules.request_cert
        else:
            error = self._identity_error()
            if error is not None and rules.reject:
                self.destroy(error)
                return
            unchecked = not rules.reject
            self._authorized = error is None and not unchecked
            if error is not None:
                self._authorization_error = getattr(error, 'code', error)
            elif unchecked:
                self._authorization_error = 'ERR_TLS_UNVERIFIED'
        self._secured = True
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

    def _identity_error(self) -> Exception | None:
        rules = self._rules
        context = rules.context
        if not context.checks or self._host is None or not self._has_certificate():
            return None
        try:
            return rules.check_identity(self._host, self.get_peer_certificate(True))  # type: ignore[no-any-return]
        except Exception as error:
            return error

    def _has_certificate(self) -> bool:
        return self._engine is not None and bool(self._engine.object.getpeercert(binary_form=True))

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

    # -- what is known ----------------------------------------------------------------------------

    @property
    def encrypted(self) -> bool:
        """Always True: tells a TLS socket from a plain one."""
        return True

    @property
    def authorized(self) -> bool:
        """Whether the peer's certificate was verified."""
        return self._authorized

    @property
    def authorization_error(self) -> str | None:
        """Why it was not, as Node's code; None if it was, or nothing was asked for.

        With ``reject_unauthorized=False`` nothing is verified: 'ERR_TLS_UNVERIFIED'.
        """
        return self._authorization_error  # type: ignore[no-any-return]

    @property
    def alpn_protocol(self) -> str | bool | None:
        """The protocol that was agreed on; False if none was, None before the handshake."""
        if self._engine is None or not self._secured:
            return None
        return self._engine.object.selected_alpn_protocol() or False

    @property
    def servername(self) -> str | bool | None:
        """The host name that the client asked for (SNI); False if it asked for none."""
        if self._servername is None:
            return False if self._secured else None
        return self._servername

    @property
    def secure_connecting(self) -> bool:
        """Whether the handshake is still to be completed."""
        return not self._secured

    def get_protocol(self) -> str | None:
        """'TLSv1.2' or 'TLSv1.3'; None before the handshake."""
        return None if self._engine is None else self._engine.object.version()

    def get_cipher(self) -> Record | None:
        """``{name, standardName, version}`` of the cipher suite; None before the handshake."""
        return None if self._engine is None else cipher_of(self._engine.object)

    def get_peer_certificate(self, detailed: bool = False, /) -> Record:
        """The peer's certificate with Node's fields; empty if it has sent none.

        ``detailed`` adds the chain: ``issuerCertificate`` of each links to the next.
        """
        if self._engine is None:
            return Record()
        return certificate_of(self._engine.object, bool(detailed))

    def get_certificate(self) -> Record | None:
        """The own certificate, in the same form; None without one."""
        context = self._chosen or self._rules.context
        found = own_certificate(context._own)
        return found or None

    def get_peer_x509_certificate(self) -> Any:
        """The peer's certificate as ``cryptography.x509.Certificate`` (the extra ``tls``), or None.

        Raises ERR_TLS_OPTION_UNSUPPORTED without the package.
        """
        raw = None if self._engine is None else self._engine.object.getpeercert(binary_form=True)
        return None if raw is None else _x509(raw)

    def get_x509_certificate(self) -> Any:
        """The own certificate in that form, or None."""
        found = self.get_certificate()
        return None if found is None else _x509(found['raw'])

    def get_session(self) -> ssl.SSLSession | None:
        """The session, for ``session=`` of a later connection with the same context.

        With TLS 1.3 there is none before the server's ticket has come: see the event 'session'.
        """
        return None if self._engine is None else self._engine.object.session

    def set_session(self, session: ssl.SSLSession) -> None:
        """Resume this session; before the connection is made. Raises ERR_INVALID_ARG_TYPE."""
        if not isinstance(session, ssl.SSLSession):
            bad_type('session', 'what get_session() gave', session)
        self._rules.session = session
        if self._engine is not None:
            self._engine.object.session = session

    def is_session_reused(self) -> bool:
        """Whether an earlier session was resumed."""
        return self._engine is not None and bool(self._engine.object.session_reused)

    def get_finished(self) -> bytes | None:
        """The handshake's first Finished message, if this side sent it (RFC 5929, tls-unique)."""
        return self._finished(not self._rules.server_side)

    def get_peer_finished(self) -> bytes | None:
        """The first Finished message of the handshake, if the peer sent it."""
        return self._finished(self._rules.server_side)

    def _finished(self, first: bool) -> bytes | None:
        engine = self._engine
        if engine is None or not self._secured:
            return None
        # The client's is the first, unless a TLS 1.2 session is resumed.
        if engine.object.version() != 'TLSv1.3' and engine.object.session_reused:
            first = not first
        return engine.object.get_channel_binding('tls-unique') if first else None

    def set_servername(self, name: str) -> None:
        """The host name to ask for, before the handshake. Raises ERR_INVALID_ARG_TYPE."""
        if self._rules.server_side:
            raise state_error('ERR_TLS_SNI_FROM_SERVER', 'a server cannot ask for a name')
        self._host = check_str('name', name)
        if self._engine is not None and not self._secured:
            self._engine.object.server_hostname  # noqa: B018  (ssl cannot change it later)
            raise refused_option('set_servername()', 'the handshake has begun')

    def set_key_cert(self, context: Any) -> None:
        """Of a server's socket: the context to use, before the ClientHello has come."""
        if self._engine is not None:
            raise refused_option('set_key_cert()', 'the handshake has begun')
        self._rules.context = self._rules.fitted(create_secure_context(context))

    def set_max_send_fragment(self, size: int) -> bool:
        """Records of at most ``size`` bytes, 512 to 16384; False if it is out of range."""
        if isinstance(size, bool) or not isinstance(size, int) or not 512 <= size <= 16384:
            return False
        if isinstance(self._handle, TLSHandle):
            self._handle.fragment = size
        return True

    def disable_renegotiation(self) -> None:
        """Nothing to do: renegotiation is always off here (SSL_OP_NO_RENEGOTIATION)."""

    def renegotiate(self, options: Any = None, callback: Any = None) -> bool:
        """Not available: ERR_TLS_OPTION_UNSUPPORTED."""
        raise refused_option('renegotiate()', "Python's ssl has no call for it")

    def export_keying_material(self, length: int, label: str, context: Any = None) -> bytes:
        """Not available: ERR_TLS_OPTION_UNSUPPORTED."""
        raise refused_option('export_keying_material()', "Python's ssl has no call for it")

    def get_tls_ticket(self) -> bytes | None:
        """Not available: ERR_TLS_OPTION_UNSUPPORTED."""
        raise refused_option('get_tls_ticket()', 'a session is an opaque object in Python')

    def enable_trace(self) -> None:
        """Print each TLS message on stderr from now on; of all sockets with this context."""
        from .rules import _trace

        context = (self._chosen or self._rules.context).for_role(self._rules.server_side)
        context._msg_callback = _trace  # type: ignore[attr-defined]

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
        if event == 'close' or self._life & L_DESTROYED:
            raise self._error or state_error('ERR_SOCKET_CLOSED_BEFORE_CONNECTION')
        return self

    if TYPE_CHECKING:  # Node's spellings; see node_names
        authorizationError = authorization_error
        alpnProtocol = alpn_protocol
        secureConnecting = secure_connecting
        getProtocol = get_protocol
        getCipher = get_cipher
        getPeerCertificate = get_peer_certificate
        getCertificate = get_certificate
        getPeerX509Certificate = get_peer_x509_certificate
        getX509Certificate = get_x509_certificate
        getSession = get_session
        setSession = set_session
        isSessionReused = is_session_reused
        getFinished = get_finished
        getPeerFinished = get_peer_finished
        setServername = set_servername
        setKeyCert = set_key_cert
        setMaxSendFragment = set_max_send_fragment
        disableRenegotiation = disable_renegotiation
        exportKeyingMaterial = export_keying_material
        getTLSTicket = get_tls_ticket
        enableTrace = enable_trace


def _x509(raw: bytes) -> Any:
    try:
        from cryptography import x509
    except ImportError as error:
        raise refused_option('the X509 form', 'it needs the package cryptography') from error
    return x509.load_der_x509_certificate(raw)


def _as_bytes(data: Any) -> bytes:
    if data is None:
        return b''
    return data.encode() if isinstance(data, str) else bytes(data)


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
    ours.pop('is_server', None)
    rules = Rules(ours, False)
    host = rest.get('host')
    timeout = rest.get('timeout')
    own = {name: value for name, value in rest.items() if name not in _ONLY_CONNECT}
    sock = TLSSocket.__new__(TLSSocket)
    sock._start(rules, own)
    if rules.servername is None:
        sock._host = host if isinstance(host, str) and host else None if socket else 'localhost'
        if not absent(rest.get('path')):
            sock._host = host if isinstance(host, str) and host else 'localhost'
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
    if context is not None:
        options['secure_context'] = context
    if server_hostname is not None:
        options['servername'] = server_hostname
    # What is queued goes out in the clear, in front of TLS.
    if socket.writable_length:
        await socket.drain()
    reader = socket._framing
    if reader is not None and not reader.busy:
        reader._leave()
    secured = TLSSocket(socket, is_server=server_side, **options)
    return await secured
