"""Errors of TLS: ``ssl.SSLError`` with Node's codes.

    NodeError ─┬─ TLSError               also ssl.SSLError, and so an OSError
               │   ├─ TLSHandshakeError   the handshake failed: .peer, .phase, .reason, .alert
               │   ├─ TLSTruncatedError   the stream ended without close_notify; also EOFError
               │   └─ TLSCertificateError    the peer's certificate was not accepted
               └─ TLSOptionError         an option that Python's ssl cannot do

A code is OpenSSL's reason in Node's form (``ERR_SSL_WRONG_VERSION_NUMBER``), or for a certificate
the name of the verification error (``CERT_HAS_EXPIRED``), X509_verify_cert_error_string(3).
"""

from __future__ import annotations

import re
import ssl

from ..errors import NodeError, system_error

__all__ = [
    'TLSCertificateError',
    'TLSError',
    'TLSHandshakeError',
    'TLSOptionError',
    'TLSTruncatedError',
    'handshake_error',
    'lost_before_secure',
    'protocol_error',
    'refused_option',
    'verify_code_name',
]

#: X509_V_ERR_*: the number and Node's name of it (x509_vfy.h of OpenSSL 3).
_VERIFY = {
    2: 'UNABLE_TO_GET_ISSUER_CERT',
    3: 'UNABLE_TO_GET_CRL',
    4: 'UNABLE_TO_DECRYPT_CERT_SIGNATURE',
    5: 'UNABLE_TO_DECRYPT_CRL_SIGNATURE',
    6: 'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY',
    7: 'CERT_SIGNATURE_FAILURE',
    8: 'CRL_SIGNATURE_FAILURE',
    9: 'CERT_NOT_YET_VALID',
    10: 'CERT_HAS_EXPIRED',
    11: 'CRL_NOT_YET_VALID',
    12: 'CRL_HAS_EXPIRED',
    13: 'ERROR_IN_CERT_NOT_BEFORE_FIELD',
    14: 'ERROR_IN_CERT_NOT_AFTER_FIELD',
    15: 'ERROR_IN_CRL_LAST_UPDATE_FIELD',
    16: 'ERROR_IN_CRL_NEXT_UPDATE_FIELD',
    17: 'OUT_OF_MEM',
    18: 'DEPTH_ZERO_SELF_SIGNED_CERT',
    19: 'SELF_SIGNED_CERT_IN_CHAIN',
    20: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    21: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    22: 'CERT_CHAIN_TOO_LONG',
    23: 'CERT_REVOKED',
    24: 'INVALID_CA',
    25: 'PATH_LENGTH_EXCEEDED',
    26: 'INVALID_PURPOSE',
    27: 'CERT_UNTRUSTED',
    28: 'CERT_REJECTED',
    62: 'HOSTNAME_MISMATCH',
}

_WORD = re.compile(r'[^A-Za-z0-9]+')
_ALERT = re.compile(r'(?:SSLV3|TLSV1|TLSV13)_ALERT_(\w+)')


class TLSError(NodeError, ssl.SSLError):
    """Something went wrong in TLS; ``reason`` is OpenSSL's name of it, or None."""

    code = 'ERR_TLS'
    name = 'Error'
    reason: str | None = None  # type: ignore[assignment]
    #: The alert that the peer sent, in lower case ('unknown_ca'); None if it sent none.
    alert: str | None = None

    def __init__(self, text: str) -> None:
        ssl.SSLError.__init__(self, 1, text)

    def __str__(self) -> str:
        return str(self.strerror)


class TLSHandshakeError(TLSError):
    """A handshake that failed.

    ``peer`` is the other side's address, ``phase`` what was under way ('hello', 'handshake',
    'certificate'), ``reason`` OpenSSL's reason, ``alert`` the peer's alert.
    """

    code = 'ERR_TLS_HANDSHAKE'
    peer: str | None = None
    phase: str = 'handshake'


class TLSCertificateError(  # pyright: ignore[reportIncompatibleVariableOverride]
    TLSHandshakeError, ssl.CertificateError
):
    """The peer's certificate was not accepted; ``verify_code`` is OpenSSL's number."""

    code = 'ERR_TLS_CERT'
    verify_code: int = 0
    verify_message: str = ''


class TLSTruncatedError(TLSError, EOFError):
    """The connection ended without TLS's own end: data may be missing."""

    code = 'ERR_TLS_TRUNCATED'

    def __init__(self, peer: str) -> None:
        super().__init__(
            f'{peer} closed the connection without close_notify: data may be missing '
            '(allow_truncation=True takes it as the end)'
        )


class TLSOptionError(NodeError, ValueError, NotImplementedError):
    """An option that Node has and Python's ``ssl`` cannot do."""

    code = 'ERR_TLS_OPTION_UNSUPPORTED'
    name = 'Error'


def verify_code_name(number: int) -> str:
    """Node's name of a verification error."""
    return _VERIFY.get(number, f'X509_V_ERR_{number}')


def _code_of(error: ssl.SSLError) -> str:
    reason = error.reason
    if not reason:
        # A reason that this Python has no name for: OpenSSL's text, in brackets or after a colon.
        text = str(error).partition(']')[2] or str(error)
        reason = text.partition('(')[0]
    return 'ERR_SSL_' + _WORD.sub('_', reason.strip()).strip('_').upper()


def protocol_error(error: ssl.SSLError, peer: str) -> TLSError:
    """An error of OpenSSL after the handshake."""
    return _fill(TLSError(f'TLS with {peer}: {error.reason or error}'), error)


def _fill(out: TLSError, error: ssl.SSLError) -> TLSError:
    out.code = _code_of(error)
    out.reason = out.code.removeprefix('ERR_SSL_')
    alert = _ALERT.fullmatch(out.reason)
    out.alert = alert[1].lower() if alert else None
    out.__cause__ = error
    return out


def handshake_error(error: ssl.SSLError, peer: str) -> TLSHandshakeError:
    """An error of OpenSSL in the handshake, with who, where and why."""
    out: TLSHandshakeError
    if isinstance(error, ssl.SSLCertVerificationError):
        number = error.verify_code
        out = TLSCertificateError(f'the certificate of {peer}: {error.verify_message}')
        out.verify_code, out.verify_message = number, error.verify_message
        _fill(out, error)
        out.code, out.phase = verify_code_name(number), 'certificate'
    else:
        what = error.reason or str(error)
        out = TLSHandshakeError(f'TLS handshake with {peer} failed: {what}')
        _fill(out, error)
        if out.alert:
            out.strerror = f'TLS handshake with {peer} failed: it sent the alert {out.alert}'
    out.peer = peer
    return out


def lost_before_secure(peer: str, is_server: bool) -> Exception:
    """The peer closed the connection in the middle of the handshake: ECONNRESET, as in Node."""
    error = system_error('ECONNRESET', 'read')
    what = 'the client' if is_server else 'the server'
    error.strerror = (
        f'{what} {peer} closed the connection before the TLS handshake was complete '
        '(is it speaking TLS on this port?)'
    )
    error.syscall = None
    return error


def refused_option(name: str, why: str) -> TLSOptionError:
    """The error for an option that cannot be done here."""
    return TLSOptionError(f'{name} is not available: {why}')
