"""IP addresses as text and as numbers.

Node's grammar is the system parser's plus a zone: four decimal parts without
leading zeros; or groups of one to four hex digits with at most one ``::``, an IPv4 tail
allowed, then perhaps ``%`` and one or more of ``[0-9a-zA-Z.:-]``. ``inet_pton`` refuses the rest,
and it is given the text as it is: one call, no regular expression. An embedded NUL or a lone
surrogate does not reach it (``ValueError``), everything else that is wrong is an ``OSError``.

This file knows no rule, no port and no name.
"""

from __future__ import annotations

import re
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Literal

__all__ = [
    'MAPPED',
    'MASK32',
    'is_ip',
    'is_ipv4',
    'is_ipv6',
    'number_v4',
    'number_v6',
    'packed',
    'text_v4',
    'text_v6',
]

#: ``::ffff:0:0/96``, the IPv4-mapped addresses of RFC 4291 section 2.5.5.2, as a number.
MAPPED = 0xFFFF << 32
MASK32 = 0xFFFFFFFF
_MAPPED_BYTES = bytes(10) + b'\xff\xff'

_zone_matches = re.compile(r'[0-9a-zA-Z.:-]+').fullmatch
_from_bytes = int.from_bytes


def is_ip(input: object = None) -> Literal[0, 4, 6]:
    """6 for the text of an IPv6 address, 4 for that of an IPv4 address, else 0.

    IPv4 is four decimal parts without leading zeros; IPv6 may carry a zone (``fe80::1%eth0``).
    Values that are not text, also ``bytes`` and ``ipaddress`` objects, give 0. Never raises.
    """
    if not isinstance(input, str):
        return 0
    try:
        if ':' not in input:
            inet_pton(AF_INET, input)
            return 4
        if '%' in input:
            input, _, zone = input.partition('%')
            if _zone_matches(zone) is None:
                return 0
        inet_pton(AF_INET6, input)
    except (OSError, ValueError):
        return 0
    return 6


def is_ipv4(input: object = None) -> bool:
    """True exactly when :func:`is_ip` gives 4. Never raises."""
    return is_ip(input) == 4


def is_ipv6(input: object = None) -> bool:
    """True exactly when :func:`is_ip` gives 6. Never raises."""
    return is_ip(input) == 6


def number_v4(text: str) -> int:
    """The number of an IPv4 address, -1 if ``text`` is none."""
    try:
        return _from_bytes(inet_pton(AF_INET, text), 'big')
    except (OSError, ValueError):
        return -1


def number_v6(text: str) -> int:
    """The number of an IPv6 address, -1 if ``text`` is none. A zone, any text, is dropped."""
    try:
        if '%' in text:
            text, _, zone = text.partition('%')
            if '\0' in zone:
                return -1
        return _from_bytes(inet_pton(AF_INET6, text), 'big')
    except (OSError, ValueError):
        return -1


def packed(address: str) -> bytes:
    """The bytes of an address: 4, or 16; a mapped one is the IPv4 address it maps.

    A zone is dropped. Empty for what is no address.
    """
    try:
        if ':' not in address:
            return inet_pton(AF_INET, address)
        plain = inet_pton(AF_INET6, address.partition('%')[0])
    except (OSError, ValueError):
        return b''
    return plain[12:] if plain.startswith(_MAPPED_BYTES) else plain


def text_v4(number: int) -> str:
    """Canonical text of an IPv4 address."""
    return inet_ntop(AF_INET, number.to_bytes(4, 'big'))


def text_v6(number: int) -> str:
    """Canonical text of an IPv6 address: lower case, longest run of zeros as ``::``."""
    return inet_ntop(AF_INET6, number.to_bytes(16, 'big'))
