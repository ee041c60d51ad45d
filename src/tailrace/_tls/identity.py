"""Whether a certificate is for a host: Node's ``checkServerIdentity`` (RFC 6125, RFC 2818)."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from typing import Any

from .._addr.ip import is_ip
from .failures import TLSCertificateError

__all__ = ['check_server_identity', 'matches']

_ENTRY = re.compile(r'(?P<kind>[A-Za-z ]+):(?P<value>"(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)')


class AltNameError(TLSCertificateError):
    """The certificate is not for this host; ``host``, ``cert`` and ``reason`` say more."""

    code = 'ERR_TLS_CERT_ALTNAME_INVALID'
    phase = 'certificate'
    host: str = ''
    cert: Any = None


def _entries(text: str) -> list[tuple[str, str]]:
    out: list[tuple[str, str]] = []
    for found in _ENTRY.finditer(text):
        value = found['value']
        if value.startswith('"'):
            value = str(json.loads(value))
        out.append((found['kind'], value))
    return out


#: Only these are alike in a host name: str.lower() would also turn a Kelvin sign into a k.
_LOWER = {ord(c): c.lower() for c in 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'}


def _labels(name: str) -> list[str]:
    return name.removesuffix('.').translate(_LOWER).split('.')


def matches(host: str, pattern: str, wildcards: bool = True) -> bool:
    """Whether a certificate's name is this host's; ``*`` is (a part of) the first label."""
    if not pattern or not pattern.isascii() or not all(' ' < c <= '~' for c in pattern):
        return False
    ours, theirs = _labels(host), _labels(pattern)
    if len(ours) != len(theirs) or '' in theirs or ours[1:] != theirs[1:]:
        return False
    first, wanted = ours[0], theirs[0]
    parts = wanted.split('*')
    if len(parts) == 1 or 'xn--' in wanted:
        return first == wanted
    # A wildcard for a whole top-level domain, or two of them, is none.
    if not wildcards or len(parts) > 2 or len(theirs) <= 2:
        return False
    before, after = parts
    return (
        len(before) + len(after) <= len(first)
        and first.startswith(before)
        and first.endswith(after)
    )


def check_server_identity(host: str, cert: Mapping[str, Any]) -> Exception | None:
    """None if the certificate is for ``host``, else an error (``reason``, ``host``, ``cert``).

    ``cert`` is what ``get_peer_certificate()`` gives. With names in ``subjectaltname`` only these
    count; without any, the common name of the subject does.
    """
    host = str(host)
    entries = _entries(cert.get('subjectaltname') or '')
    names = [value for kind, value in entries if kind == 'DNS']
    addresses = [value for kind, value in entries if kind == 'IP Address']
    subject = cert.get('subject')
    if is_ip(host):
        ok = any(_same_ip(host, address) for address in addresses)
        reason = f"IP: {host} is not in the cert's list: {', '.join(addresses)}"
    elif names:
        ok = any(matches(host, name) for name in names)
        reason = f"Host: {host}. is not in the cert's altnames: {cert.get('subjectaltname')}"
    elif subject:
        common: Any = subject.get('CN')
        known: Any = common
        if isinstance(common, str):
            known = [common]
        ok = any(isinstance(name, str) and matches(host, name) for name in known or ())
        reason = f"Host: {host}. is not cert's CN: {common}"
    else:
        ok, reason = False, 'Cert does not contain a DNS name'
    if ok:
        return None
    error = AltNameError(f"Hostname/IP does not match certificate's altnames: {reason}")
    error.reason, error.host, error.cert = reason, host, cert
    return error


def _same_ip(host: str, address: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition('%')[0]) == ipaddress.ip_address(address)
    except ValueError:
        return False
