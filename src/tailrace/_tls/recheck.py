"""Verify a certificate chain again: why a server that was let in all the same is not trusted.

With ``reject_unauthorized=False`` the handshake runs under CERT_NONE, and ``ssl`` does not tell
what OpenSSL found out. So the chain that came is shown once more, by a server of TLS 1.2 that
exists in memory only, to a client that verifies. In TLS 1.2 certificates are sent in the clear and
verified before anything that needs their key (RFC 5246 section 7.3), so a ServerHello and a
Certificate are all that it takes. That the peer has the key was proved in the real handshake.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence

from .failures import verify_code_name

__all__ = ['CIPHERS', 'fault_of']

#: For certificates with an ECDSA or Edwards key, and with an RSA key; and the numbers of the two.
CIPHERS = 'ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384'
_SUITES = (0xC02C, 0xC030)
_RECORD = 16384


def fault_of(chain: Sequence[bytes], verifier: ssl.SSLContext) -> str | None:
    """Node's code of what is wrong with the chain (DER, the peer's own first); '' if nothing is.

    None if it could not be found out. Names are not compared.
    """
    for suite in _SUITES:
        error = _show(chain, verifier, suite)
        if isinstance(error, ssl.SSLCertVerificationError):
            return verify_code_name(error.verify_code)
        # The client has read on, and stumbles over the message behind the certificates.
        if error.reason == 'WRONG_CURVE':
            return ''
        if error.reason != 'WRONG_CERTIFICATE_TYPE':
            return None
    return None


def _show(chain: Sequence[bytes], verifier: ssl.SSLContext, suite: int) -> ssl.SSLError:
    """What a client says to a server with this chain."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = verifier.wrap_bio(incoming, outgoing, False, None)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    certificates = b''.join(len(one).to_bytes(3, 'big') + one for one in chain)
    # Version, random, no session, no compression, and an empty renegotiation_info (RFC 5746).
    hello = b'\3\3' + bytes(33) + suite.to_bytes(2, 'big') + b'\0' + b'\0\5\xff\1\0\1\0'
    flight = b''.join(
        (
            _message(2, hello),
            _message(11, len(certificates).to_bytes(3, 'big') + certificates),
            _message(12, b'\3\xff\xff\0\0\0'),  # a ServerKeyExchange on a curve that is none
        )
    )
    for at in range(0, len(flight), _RECORD):
        part = flight[at : at + _RECORD]
        incoming.write(b'\x16\3\3' + len(part).to_bytes(2, 'big') + part)
    try:
        client.do_handshake()
    except ssl.SSLError as error:
        return error
    raise AssertionError('a handshake without a key')


def _message(kind: int, body: bytes) -> bytes:
    return bytes((kind,)) + len(body).to_bytes(3, 'big') + body
