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
from .rules import Rules

__all__ = ['Known']


@node_names
class Known(Socket):
    """A Socket with TLS's answers; not used by itself."""

    _rules: Rules
    _engine: Engine | None = None
    _secured = False
    _host: str | None = None
    _sni: str | None = None
    _chosen: SecureContext | None = None
    _key_context: SecureContext | None = None
    _traced = False
    #: A client's engine before there is a connection.
    _prepared: Engine | None = None
    _authorized = False
    _authorization_error: Any = None
    _servername: str | None = None

    def _client_engine(self) -> Engine:
        """A client's engine; raises what is wrong with the name or session."""
        raise NotImplementedError

    # -- what is known ----------------------------------------------------------------------------

    @property
    def encrypted(self) -> bool:
        """Always True: tells a TLS socket from a plain one."""
        return True

    @property
    def authorized(self) -> bool:
        """Whether the peer was verified: its certificate, of a server also that it is for the host.

        Never True where nothing was verified, whatever the options were.
        """
        return self._authorized

    @property
    def authorization_error(self) -> str | None:
        """Why it was not, as Node's code; None if it was, or nothing was asked for.

        With ``reject_unauthorized=False`` it is what would have been the error's ``code``:
        'CERT_HAS_EXPIRED', 'ERR_TLS_CERT_ALTNAME_INVALID'. With an ``ssl.SSLContext`` that has
        CERT_NONE nothing is verified: 'ERR_TLS_UNVERIFIED', or what is wrong with the name.
        Without a certificate it is 'UNABLE_TO_GET_ISSUER_CERT'.
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
        if self._engine is None or self._raw_certificate() is None:
            return Record()
        return certificate_of(self._engine.object, bool(detailed))

    def get_certificate(self) -> Record | None:
        """The own certificate, in the same form; None without one."""
        context = self._chosen or self._key_context or self._rules.context
        found = own_certificate(context._own)
        return found or None

    def get_peer_x509_certificate(self) -> Any:
        """The peer's certificate as ``cryptography.x509.Certificate`` (the extra ``tls``), or None.

        Raises ERR_TLS_OPTION_UNSUPPORTED without the package.
        """
        raw = self._raw_certificate()
        return None if raw is None else _x509(raw)

    def _raw_certificate(self) -> bytes | None:
        try:
            return None if self._engine is None else self._engine.object.getpeercert(True)
        except ValueError:  # the handshake is under way
            return None

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
        """Resume this session; before the connection is made.

        It has to be of a connection with the same context, protocols and rule about the peer's
        certificate. Raises ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE if it is another's, and
        ERR_TLS_OPTION_UNSUPPORTED if it is too late.
        """
        if not isinstance(session, ssl.SSLSession):
            bad_type('session', 'what get_session() gave', session)
        if self._engine is not None or self._rules.server_side:
            raise refused_option('set_session()', 'it is for clients, before the handshake')
        before, self._rules.session = self._rules.session, session
        try:
            self._prepared = self._client_engine()
        except ValueError:
            self._rules.session = before
            raise

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
        """The host name to ask for (SNI), before the handshake; '' asks for none.

        The certificate is compared with the host that was given before, as in Node. Raises
        ERR_INVALID_ARG_TYPE, ERR_TLS_SNI_FROM_SERVER, ERR_TLS_OPTION_UNSUPPORTED if it is too late.
        """
        if self._rules.server_side:
            raise state_error('ERR_TLS_SNI_FROM_SERVER', 'a server cannot ask for a name')
        check_str('name', name)
        if self._engine is not None:
            raise refused_option('set_servername()', 'the handshake has begun')
        self._sni = name
        self._prepared = self._client_engine()

    def set_key_cert(self, context: Any) -> None:
        """Of a server's socket, before the ClientHello has come: another certificate and key.

        Only of this connection. Whom it trusts stays as it was, unless a ready ``ssl.SSLContext``
        is given, or was given to the server: then ``context`` is used as a whole. Raises what
        ``create_secure_context`` raises, ERR_TLS_OPTION_UNSUPPORTED if it is too late.
        """
        rules = self._rules
        if self._engine is not None or not rules.server_side:
            raise refused_option('set_key_cert()', 'it is for servers, before the ClientHello')
        made, known = create_secure_context(context), rules.context
        if made._ready is None and known._ready is None:
            made = known._with_own(made)
        self._key_context = rules.fitted(made)

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
        """Print each TLS message of this connection on stderr; before the handshake.

        Raises ERR_TLS_OPTION_UNSUPPORTED when it has begun, and with an ``ssl.SSLContext``.
        """
        if self._engine is not None or self._rules.context._ready is not None:
            raise refused_option('enable_trace()', 'it is for the time before the handshake')
        self._traced = True
        if not self._rules.server_side:
            self._prepared = self._client_engine()

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
