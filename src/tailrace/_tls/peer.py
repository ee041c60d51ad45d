"""What is known of a TLS connection: protocol, cipher, certificates, session.

Reads an ``ssl.SSLObject`` and gives Node's objects. It changes nothing.
"""

from __future__ import annotations

import ssl
from typing import Any, cast

from .._names import Record
from .certificate import describe

__all__ = [
    'certificate_of',
    'cipher_of',
    'own_certificate',
    'peer_chain',
    'sent_chain',
    'standard_name',
]

_MACS = ('SHA384', 'SHA256', 'SHA', 'MD5')


def standard_name(name: str) -> str:
    """The IANA name of a cipher suite that OpenSSL names: RFC 5246 appendix A.5."""
    if name.startswith('TLS_'):
        return name
    parts = name.split('-')
    exchange: list[str] = []
    while parts and parts[0] in ('ECDHE', 'DHE', 'RSA', 'ECDSA', 'PSK', 'ECDH', 'DSS', 'SRP'):
        exchange.append(parts.pop(0))
    if not exchange or exchange in (['PSK'], ['RSA', 'PSK']):
        exchange = exchange or ['RSA']
    text = '_'.join(parts)
    text = text.replace('AES128', 'AES_128').replace('AES256', 'AES_256')
    text = text.replace('CAMELLIA128', 'CAMELLIA_128').replace('CAMELLIA256', 'CAMELLIA_256')
    text = text.replace('ARIA128', 'ARIA_128').replace('ARIA256', 'ARIA_256')
    if text.endswith(('CHACHA20_POLY1305', 'CCM', 'CCM8')):
        text = text.replace('CCM8', 'CCM_8')
        if text.startswith('CHACHA20'):
            text += '_SHA256'
    elif 'GCM' not in text and any(text.endswith(mac) for mac in _MACS):
        body, _, mac = text.rpartition('_')
        text = f'{body}_CBC_{mac}' if body.startswith(('AES', 'CAMELLIA', 'ARIA')) else text
    return f'TLS_{"_".join(exchange)}_WITH_{text}'


def cipher_of(connection: ssl.SSLObject) -> Record | None:
    """Name, IANA's name and version of the cipher suite."""
    found = connection.cipher()
    if found is None:
        return None
    return Record(name=found[0], standardName=standard_name(found[0]), version=found[1])


def peer_chain(connection: ssl.SSLObject) -> list[bytes]:
    """The certificates that the peer sent (DER), its own first, and those that verify it."""
    own = connection.getpeercert(binary_form=True)
    if own is None:
        return []
    return [own, *(raw for raw in _chain(connection, True) or _chain(connection) if raw != own)]


def sent_chain(connection: ssl.SSLObject) -> list[bytes]:
    """The certificates that the peer sent (DER), as they came: its own first."""
    own = connection.getpeercert(binary_form=True)
    found = _chain(connection)
    return found if found[:1] == [own] else [] if own is None else [own]


def _chain(connection: ssl.SSLObject, verified: bool = False) -> list[bytes]:
    # Public from Python 3.13 on; the inner object has them since 3.10.
    inner = cast('Any', connection._sslobj)  # type: ignore[attr-defined]
    try:
        found: Any = inner.get_verified_chain() if verified else inner.get_unverified_chain()
    except (AttributeError, ssl.SSLError, ValueError):
        return []
    out: list[bytes] = []
    for one in found or ():
        raw = one if isinstance(one, bytes) else bytes(one.public_bytes(2))  # ENCODING_DER
        if raw not in out:
            out.append(raw)
    return out


def certificate_of(connection: ssl.SSLObject, detailed: bool) -> Record:
    """Node's certificate object of the peer; empty if it has sent none."""
    chain = peer_chain(connection) if detailed else []
    own = chain[0] if chain else connection.getpeercert(binary_form=True)
    if not own:
        return Record()
    return describe(own, chain[1:])


def own_certificate(pems: list[bytes]) -> Record:
    """Node's certificate object of the first of these."""
    for pem in pems:
        text = pem.decode('ascii', 'replace')
        start = text.find('-----BEGIN CERTIFICATE-----')
        end = text.find('-----END CERTIFICATE-----', start)
        if start >= 0 and end >= 0:
            block = text[start : end + len('-----END CERTIFICATE-----')]
            return describe(ssl.PEM_cert_to_DER_cert(block))
    return Record()
