"""What is known of a TLS connection: who the peer is, and what was agreed on.

The part of ``TLSSocket`` that only answers; ``socket.py`` does the handshake.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from .._names import Record, node_names
from .._net.socket import Socket
from .._validate import bad_type, check_str
from ..errors import state_error
from .context import SecureContext, create_secure_context
from .engine import Engine
from .failures import refused_option
from .handle import TLSHandle
from .peer import certificate_of, cipher_of, own_certificate
from .rules import Rules, trace_message

__all__ = ['Known']


@node_names
class Known(Socket):
    """A Socket with TLS's answers; not used by itself."""

    _rules: Rules
    _engine: Engine | None = None
    _secured = False
    _host: str | None = None
    _chosen: SecureContext | None = None
    _authorized = False
    _authorization_error: Any = None
    _servername: str | None = None

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
        context = (self._chosen or self._rules.context).for_role(self._rules.server_side)
        context._msg_callback = trace_message  # type: ignore[attr-defined]

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
