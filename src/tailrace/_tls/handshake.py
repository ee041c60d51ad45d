"""The handshake as the user of a TLS socket sees it: what is chosen, and what comes of it.

A client has chosen before it connects. A server reads the ClientHello first: the name in it decides
which context (SNI), its protocols which one is spoken (ALPN). Then the peer is judged, and 'secure'
or an error follows. The part of ``TLSSocket`` that its handle calls (``above.Owner``); how a handle
comes to be under it is in ``socket.py``, the bytes are in ``handle.py``.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

from .. import _runtime
from .._listeners import Listener
from .._names import Record
from .._stream.state import L_DESTROYED
from ..errors import NodeOSError, state_error
from .context import SecureContext, create_secure_context
from .engine import Engine
from .failures import (
    TLSHandshakeError,
    TLSTruncatedError,
    handshake_error,
    lost_before_secure,
    protocol_error,
)
from .handle import TLSHandle
from .hello import LONGEST, HelloError, HelloReader, alert
from .trust import judge
from .typed_socket import TypedTLSSocket

__all__ = ['Handshake']

_NO_APPLICATION_PROTOCOL = 120  # RFC 7301 section 3.2
_UNRECOGNIZED_NAME = 112  # RFC 6066 section 3


class Handshake(TypedTLSSocket):
    """A TLS socket's handshake; not used by itself."""

    _handshake_timer: Any = None
    _choosing = False
    _session: Any = None
    _told_failure = False
    _protocols: tuple[str, ...] = ()
    _hello: HelloReader | None = None

    def _stop_timer(self) -> None:
        timer, self._handshake_timer = self._handshake_timer, None
        if timer is not None:
            timer.close()

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

    # -- what a server chooses --------------------------------------------------------------------

    def _tls_begin(self, data: bytes | bytearray) -> Engine | None:
        """A server's first bytes: what the client asks for decides which context it gets."""
        if self._choosing or self._told_failure:
            return None
        rules = self._rules
        reader = self._hello = self._hello or HelloReader()
        try:
            hello = reader.read(data)
        except HelloError:
            # OpenSSL has better words for it: an HTTP request, a wrong version.
            self._hello = None
            return self._engine_with(self._key_context or rules.context)
        if hello is None:
            if len(data) > LONGEST + 4096:
                self._handshake_failed(
                    TLSHandshakeError(f'{self._peer_text()} sent a ClientHello that is too long')
                )
            return None
        self._hello = None
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

    # -- what comes of it -------------------------------------------------------------------------

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
