"""Whether a peer is who it should be: decided once, when a handshake is complete.

Nothing is ``authorized`` that was not verified in this connection, or in the one whose session it
resumes. The decision is made before any data passes; whatever is not known counts against it.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import WeakSet

from .context import SecureContext
from .engine import Engine
from .failures import TLSCertificateError
from .identity import check_server_identity
from .peer import certificate_of, sent_chain
from .rules import Rules

__all__ = ['Verdict', 'judge']

#: Nothing was verified, nor could it be done later. Node has no code for it: it always verifies.
UNVERIFIED = 'ERR_TLS_UNVERIFIED'
#: X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT: what OpenSSL says, and so Node, of no certificate at all.
NO_CERTIFICATE = 'UNABLE_TO_GET_ISSUER_CERT'
#: A certificate is good for its names only, and there is none to compare them with.
NO_NAME = 'ERR_TLS_CERT_ALTNAME_INVALID'

_TEXTS = {
    UNVERIFIED: "was not verified: the ssl.SSLContext's verify_mode is CERT_NONE, or was",
    NO_CERTIFICATE: 'is missing: it sent none',
    NO_NAME: 'cannot be compared with a host name: none was given (servername)',
}

#: Ready contexts that had CERT_NONE when a connection was made with them. Their sessions may be
#: unverified, and resuming one verifies nothing again.
_careless: WeakSet[ssl.SSLContext] = WeakSet()


class Verdict(NamedTuple):
    """What is to become of a connection."""

    authorized: bool
    #: ``authorization_error``: a code, or None if nothing was asked or all is well.
    reason: str | None
    #: The connection is to be closed with this.
    error: Exception | None


def judge(
    engine: Engine, rules: Rules, secure: SecureContext, host: str | None, peer: str
) -> Verdict:
    """Judge the peer of a completed handshake. ``host`` is whom a client wanted to reach."""
    if rules.server_side:
        return _client(engine, rules, secure, peer)
    return _server(engine, rules, secure, host, peer)


def _doubt(engine: Engine, secure: SecureContext) -> str | None:
    """Why the peer's certificate counts for nothing; None if it was verified."""
    if not engine.object.getpeercert(binary_form=True):
        return None if _has_shared_key(engine, secure) else NO_CERTIFICATE
    if engine.mode == ssl.CERT_NONE:
        _careless.add(engine.context)
        fault = secure._fault_of(sent_chain(engine.object))
        return UNVERIFIED if fault is None else fault or None
    if engine.object.session_reused and engine.context in _careless:
        return UNVERIFIED
    return None


def _has_shared_key(engine: Engine, secure: SecureContext) -> bool:
    """Whether the peer proved that it knows a pre-shared key; as Node tells it."""
    if engine.object.version() == 'TLSv1.3':
        # There a pre-shared key looks like a session that is resumed.
        return secure._settings.psk is not None and bool(engine.object.session_reused)
    cipher = engine.object.cipher()
    return cipher is not None and 'PSK' in cipher[0].split('-')


def _client(engine: Engine, rules: Rules, secure: SecureContext, peer: str) -> Verdict:
    if not rules.request_cert and engine.mode == ssl.CERT_NONE:
        return Verdict(False, None, None)
    doubt = _doubt(engine, secure)
    if doubt is None:
        return Verdict(True, None, None)
    # A ready context with CERT_OPTIONAL lets clients without a certificate in.
    needed = rules.request_cert or engine.mode == ssl.CERT_REQUIRED
    return Verdict(False, doubt, _error(doubt, peer) if needed else None)


def _server(
    engine: Engine, rules: Rules, secure: SecureContext, host: str | None, peer: str
) -> Verdict:
    doubt = _doubt(engine, secure)
    custom = rules.check_identity
    wrong: Exception | None = None
    if doubt != NO_CERTIFICATE and engine.object.getpeercert(binary_form=True):
        # Of a session that is resumed, OpenSSL does not compare the name again.
        compared = engine.checked is not None and not engine.object.session_reused
        if custom is not None:
            wrong = _identity(custom, host or '', engine)
        elif host is None:
            doubt = doubt or NO_NAME
        elif not (compared and engine.checked == host):
            wrong = _identity(check_server_identity, host, engine)
    if wrong is not None and rules.reject and (doubt is None or custom is not None):
        if isinstance(wrong, TLSCertificateError):
            wrong.peer = peer
        return Verdict(False, _reason(wrong), wrong)
    if doubt is not None and rules.must_verify(secure, engine.mode):
        return Verdict(False, doubt, _error(doubt, peer))
    # As in Node, what is wrong with the chain comes before what is wrong with the name.
    if wrong is not None and doubt in (None, UNVERIFIED):
        doubt = _reason(wrong)
    return Verdict(doubt is None, doubt, None)


def _reason(error: Exception) -> str:
    code: Any = getattr(error, 'code', None)
    return code if isinstance(code, str) else str(error) or type(error).__name__


def _identity(check: Callable[..., Any], host: str, engine: Engine) -> Exception | None:
    try:
        found = check(host, certificate_of(engine.object, True))
    except Exception as error:
        return error
    if found is None or isinstance(found, Exception):
        return found
    # True and False both say "something": only None says that the certificate is the right one.
    if hasattr(found, 'close') and hasattr(found, '__await__'):
        found.close()
    failure = TLSCertificateError(
        f'check_server_identity has to return None or an exception, not {found!r}'
    )
    failure.code = 'ERR_INVALID_RETURN_VALUE'
    return failure


def _error(code: str, peer: str) -> TLSCertificateError:
    error = TLSCertificateError(f'the certificate of {peer} {_TEXTS[code]}')
    error.code, error.phase, error.peer = code, 'certificate', peer
    return error
