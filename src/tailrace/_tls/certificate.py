"""A certificate as Node shows it: ``getPeerCertificate()``.

Reads RFC 5280 certificates out of DER. It trusts nothing and verifies nothing: that is OpenSSL's
work, done by the time this is asked.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from typing import Any

from .._names import Record
from . import der

__all__ = ['describe']

_NAMES = {
    '2.5.4.3': 'CN',
    '2.5.4.4': 'SN',
    '2.5.4.5': 'serialNumber',
    '2.5.4.6': 'C',
    '2.5.4.7': 'L',
    '2.5.4.8': 'ST',
    '2.5.4.9': 'street',
    '2.5.4.10': 'O',
    '2.5.4.11': 'OU',
    '2.5.4.12': 'title',
    '2.5.4.42': 'GN',
    '0.9.2342.19200300.100.1.1': 'UID',
    '0.9.2342.19200300.100.1.25': 'DC',
    '1.2.840.113549.1.9.1': 'emailAddress',
}
#: OpenSSL's short name, NIST's name, and the size in bits.
_CURVES = {
    '1.2.840.10045.3.1.7': ('prime256v1', 'P-256', 256),
    '1.3.132.0.34': ('secp384r1', 'P-384', 384),
    '1.3.132.0.35': ('secp521r1', 'P-521', 521),
    '1.3.132.0.10': ('secp256k1', None, 256),
}
_MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
_RSA, _EC = '1.2.840.113549.1.1.1', '1.2.840.10045.2.1'
_SAN, _BASIC, _EKU, _AIA = '2.5.29.17', '2.5.29.19', '2.5.29.37', '1.3.6.1.5.5.7.1.1'
_ACCESS = {'1.3.6.1.5.5.7.48.1': 'OCSP - URI', '1.3.6.1.5.5.7.48.2': 'CA Issuers - URI'}


def describe(raw: bytes, issuers: Iterable[bytes] = ()) -> Record:
    """Node's certificate object of a DER certificate.

    With further certificates, ``issuerCertificate`` links to the one among them that has the
    issuer's name, whatever order they came in; the last links to itself if it is self-signed.
    Raises ValueError if it is no certificate.
    """
    out = last = _read(raw)
    left = [one for one in issuers if one != raw]
    linked = False
    while last['subject'] != last['issuer']:
        for one in left:
            following = _read(one)
            if following['subject'] == last['issuer']:
                break
        else:
            return out
        left.remove(one)
        last['issuerCertificate'] = following
        last, linked = following, True
    if linked:
        last['issuerCertificate'] = last
    return out


def _read(raw: bytes) -> Record:
    ((_, certificate),) = tuple(der.children(raw))
    (_, body), *_ = der.children(certificate)
    parts = [part for part in der.whole(body) if part[0] != 0xA0]  # without the version
    if len(parts) < 6:
        raise ValueError('not a certificate')
    serial, issuer, validity, subject, key = (parts[at][1] for at in (0, 2, 3, 4, 5))
    key_raw = parts[5][2]
    extensions = _extensions(next((part[1] for part in parts[6:] if part[0] == 0xA3), b''))
    (not_before, not_after) = (_time(tag, text) for tag, text in der.children(validity))
    out = Record(subject=_name(subject), issuer=_name(issuer))
    if _SAN in extensions:
        out['subjectaltname'] = ', '.join(_alternatives(extensions[_SAN]))
    if _AIA in extensions:
        out['infoAccess'] = _access(extensions[_AIA])
    out['ca'] = _is_ca(extensions.get(_BASIC, b''))
    out.update(_public_key(key, key_raw))
    out['valid_from'], out['valid_to'] = not_before, not_after
    for bits, name in (('', 'sha1'), ('256', 'sha256'), ('512', 'sha512')):
        out[f'fingerprint{bits}'] = (
            hashlib.new(name, raw, usedforsecurity=False).digest().hex(':').upper()
        )
    if _EKU in extensions:
        ((_, uses),) = tuple(der.children(extensions[_EKU]))
        out['ext_key_usage'] = [der.oid(use) for _, use in der.children(uses)]
    out['serialNumber'] = serial.hex().upper().removeprefix('00') or '00'
    out['raw'] = raw
    return out


def _text(tag: int, data: bytes) -> str:
    if tag == 0x1E:  # BMPString
        return data.decode('utf-16-be', 'replace')
    return data.decode('utf-8' if tag == 0x0C else 'latin-1', 'replace')


def _name(data: bytes) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for _, relative in der.children(data):
        for _, pair in der.children(relative):
            (_, kind), (tag, value) = der.children(pair)
            name = _NAMES.get(der.oid(kind), der.oid(kind))
            text = _text(tag, value)
            if name in out:
                known = out[name]
                out[name] = [*known, text] if isinstance(known, list) else [known, text]
            else:
                out[name] = text
    return out


def _time(tag: int, data: bytes) -> str:
    """As OpenSSL prints it: ``Jan  1 00:00:00 2030 GMT``."""
    text = data.decode('ascii')
    if tag == 0x17:  # UTCTime: RFC 5280 section 4.1.2.5.1
        text = ('19' if int(text[:2]) >= 50 else '20') + text
    month = _MONTHS[int(text[4:6]) - 1]
    clock = f'{text[8:10]}:{text[10:12]}:{text[12:14]}'
    return f'{month} {int(text[6:8]):2} {clock} {text[:4]} GMT'


def _extensions(data: bytes) -> dict[str, bytes]:
    out: dict[str, bytes] = {}
    for _, sequence in der.children(data):
        for _, extension in der.children(sequence):
            fields = list(der.children(extension))
            out[der.oid(fields[0][1])] = fields[-1][1]
    return out


def _alternatives(data: bytes) -> list[str]:
    out: list[str] = []
    ((_, names),) = tuple(der.children(data))
    for tag, value in der.children(names):
        kind = tag & 0x1F
        if kind == 2:
            out.append('DNS:' + _quoted(value.decode('latin-1')))
        elif kind == 7 and len(value) in (4, 16):
            out.append(f'IP Address:{_ip_text(value)}')
        elif kind == 6:
            out.append('URI:' + _quoted(value.decode('latin-1')))
        elif kind == 1:
            out.append('email:' + _quoted(value.decode('latin-1')))
        elif kind == 4:
            out.append('DirName:' + _quoted(str(_name(next(der.children(value))[1]))))
        elif kind == 8:
            out.append(f'Registered ID:{der.oid(value)}')
    return out


def _quoted(text: str) -> str:
    """A name with a comma or quote in it as a JSON string, so that it cannot pass for two."""
    if any(c in text for c in ',"\\\'\0') or not text.isprintable():
        import json

        return json.dumps(text)
    return text


def _ip_text(value: bytes) -> str:
    if len(value) == 4:
        return str(ipaddress.IPv4Address(value))
    return ':'.join(f'{int.from_bytes(value[i : i + 2], "big"):X}' for i in range(0, 16, 2))


def _access(data: bytes) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    ((_, entries),) = tuple(der.children(data))
    for _, entry in der.children(entries):
        (_, method), (tag, place) = der.children(entry)
        if tag & 0x1F == 6:
            name = _ACCESS.get(der.oid(method), der.oid(method))
            out.setdefault(name, []).append(place.decode('latin-1'))
    return out


def _is_ca(data: bytes) -> bool:
    for _, fields in der.children(data):
        for tag, value in der.children(fields):
            return tag == der.BOOLEAN and value != b'\0'
    return False


def _public_key(data: bytes, raw: bytes) -> dict[str, Any]:
    (_, algorithm), (_, bits) = der.children(data)
    kinds = list(der.children(algorithm))
    kind = der.oid(kinds[0][1])
    if kind == _RSA:
        ((_, numbers),) = tuple(der.children(bits[1:]))
        (_, modulus), (_, exponent) = der.children(numbers)
        value = der.number(modulus)
        return {
            'modulus': f'{value:X}',
            'bits': value.bit_length(),
            'exponent': f'0x{der.number(exponent):x}',
            'pubkey': raw,
        }
    if kind == _EC and len(kinds) > 1:
        curve = _CURVES.get(der.oid(kinds[1][1]))
        if curve is not None:
            name, nist, size = curve
            out: dict[str, Any] = {'pubkey': bits[1:], 'bits': size, 'asn1Curve': name}
            if nist is not None:
                out['nistCurve'] = nist
            return out
    return {}
