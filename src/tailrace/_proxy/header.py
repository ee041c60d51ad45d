"""``ProxyHeader``: who a connection is made for, as a proxy tells it.

What a header may say is checked when one is made, so that every header there is can be written.
How it is written is ``wire.py``'s business.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from .._addr.ip import MAPPED, MASK32, is_ip, number_v6, text_v4
from .._names import node_names
from .._validate import bad_type, bad_value, check_int, check_port, check_str

__all__ = ['MAX_PATH', 'MAX_TLVS', 'MAX_UNIQUE_ID', 'ProxyHeader', 'SSLInfo', 'TLVType']

#: Bytes of a path in the address block (section 2.2, AF_UNIX).
MAX_PATH = 108
#: The length field has 16 bits; what two paths leave of it.
MAX_TLVS = 0xFFFF - 2 * MAX_PATH
#: Section 2.2.5.
MAX_UNIQUE_ID = 128

Family = Literal['IPv4', 'IPv6', 'unix']


class TLVType(enum.IntEnum):
    """The registered types of additional fields (type, length, value).

    0xE0 to 0xEF are an application's own, 0xF0 to 0xF7 for experiments.
    """

    ALPN = 0x01
    AUTHORITY = 0x02
    CRC32C = 0x03
    NOOP = 0x04
    UNIQUE_ID = 0x05
    SSL = 0x20
    SSL_VERSION = 0x21
    SSL_CN = 0x22
    SSL_CIPHER = 0x23
    SSL_SIG_ALG = 0x24
    SSL_KEY_ALG = 0x25
    NETNS = 0x30


def text_of(value: bytes | None) -> str | None:
    """A field that should be UTF-8; a byte that is not becomes ``\\xNN``."""
    return None if value is None else value.decode('utf-8', 'backslashreplace')


def fields_of(data: bytes) -> list[tuple[int, bytes]] | None:
    """The fields in ``data``, in order; None if they do not fill it exactly."""
    out: list[tuple[int, bytes]] = []
    at, end = 0, len(data)
    while at < end:
        start = at + 3
        if start > end:
            return None
        at = start + (data[start - 2] << 8 | data[start - 1])
        if at > end:
            return None
        out.append((data[start - 3], data[start:at]))
    return out


@node_names
@dataclass(frozen=True, slots=True)
class SSLInfo:
    """What a proxy tells of the client's TLS connection to it."""

    #: Bits: 1 the client used TLS, 2 it sent a certificate on this connection, 4 in this session.
    client: int
    #: 0 if the client's certificate was verified; without a certificate it says nothing.
    verify: int
    #: The fields inside, in order: type and value.
    tlvs: tuple[tuple[int, bytes], ...] = ()

    @property
    def used(self) -> bool:
        """Whether the client connected with TLS."""
        return bool(self.client & 1)

    @property
    def verified(self) -> bool:
        """Whether the client has presented a certificate and the proxy has verified it."""
        return bool(self.client & 6) and self.verify == 0

    @property
    def version(self) -> str | None:
        """``'TLSv1.3'``, or None."""
        return text_of(_first(self.tlvs, TLVType.SSL_VERSION))

    @property
    def common_name(self) -> str | None:
        """The common name of the client's certificate, or None."""
        return text_of(_first(self.tlvs, TLVType.SSL_CN))

    @property
    def cipher(self) -> str | None:
        """The cipher's name as OpenSSL has it, or None."""
        return text_of(_first(self.tlvs, TLVType.SSL_CIPHER))

    @property
    def signature_algorithm(self) -> str | None:
        """By what the proxy's certificate is signed, ``'SHA256'``, or None."""
        return text_of(_first(self.tlvs, TLVType.SSL_SIG_ALG))

    @property
    def key_algorithm(self) -> str | None:
        """The key of the proxy's certificate, ``'RSA2048'``, or None."""
        return text_of(_first(self.tlvs, TLVType.SSL_KEY_ALG))

    if TYPE_CHECKING:  # Node's spellings; see node_names
        commonName = common_name
        signatureAlgorithm = signature_algorithm
        keyAlgorithm = key_algorithm

    @staticmethod
    def read(value: bytes) -> SSLInfo | None:
        """Out of the value of a field of type SSL; None if that is malformed."""
        fields = fields_of(value[5:])
        if len(value) < 5 or fields is None:
            return None
        return SSLInfo(value[0], int.from_bytes(value[1:5], 'big'), tuple(fields))


def _first(tlvs: Iterable[tuple[int, bytes]], kind: int) -> bytes | None:
    for found, value in tlvs:
        if found == kind:
            return value
    return None


@node_names
@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyHeader:
    """A header of the PROXY protocol, immutable: who the connection is made for.

    ``version`` is 2 (default) or 1. ``source_address`` and ``source_port`` are the client's,
    ``destination_address`` and ``destination_port`` where the client connected to: IP addresses of
    one family with ports, or two paths without (version 2; a leading NUL: abstract). Without them
    the header says that the proxy knows nothing (version 1: UNKNOWN). ``local=True``: the proxy
    connects on its own behalf, such as for a health check; there are no addresses then.
    ``datagram=True``: the client came by UDP (version 2).

    ``tlvs`` are additional fields of version 2, pairs of a type (:class:`TLVType` or a number up to
    255) and bytes. The value of a CRC32C field is filled in when the header is written.

    Raises ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_SOCKET_BAD_PORT.
    """

    version: int = 2
    local: bool = False
    source_address: str | None = None
    source_port: int | None = None
    destination_address: str | None = None
    destination_port: int | None = None
    datagram: bool = False
    tlvs: tuple[tuple[int, bytes], ...] = ()

    def __post_init__(self) -> None:
        version = check_int('version', self.version, 1, 2)
        for name in ('local', 'datagram'):
            if not isinstance(getattr(self, name), bool):
                bad_type(name, 'True or False', getattr(self, name))
        tlvs = _checked_tlvs(self.tlvs)
        object.__setattr__(self, 'tlvs', tlvs)
        if version == 1 and (tlvs or self.datagram):
            bad_value('version', '2 for a header with tlvs or datagram', 1)
        ends = (self.source_address, self.destination_address)
        ports = (self.source_port, self.destination_port)
        if self.local and ends != (None, None):
            bad_value('source_address', 'left out with local', ends)
        if ends == (None, None):
            if ports != (None, None):
                bad_value('source_port', 'left out without addresses', ports)
            return
        families = [
            is_ip(check_str(name, value))
            for name, value in zip(('source_address', 'destination_address'), ends, strict=True)
        ]
        if '%' in ''.join(map(str, ends)) and families != [0, 0]:
            bad_value('source_address', 'an address without a zone', ends)
        if families[0] != families[1]:
            bad_value('destination_address', "of the source's family", ends)
        if families[0]:
            for name, port in zip(('source_port', 'destination_port'), ports, strict=True):
                if not isinstance(port, int):
                    bad_type(name, 'a number', port)
                check_port(name, port)
        elif version == 1 or ports != (None, None):
            bad_value('source_address', 'an IP address', ends[0])
        else:
            for name, value in zip(('source_address', 'destination_address'), ends, strict=True):
                if len(os.fsencode(str(value))) > MAX_PATH:
                    bad_value(name, f'at most {MAX_PATH} bytes', value)

    @classmethod
    def of(
        cls, socket: Any, version: int = 2, tlvs: Iterable[tuple[int, bytes]] = ()
    ) -> ProxyHeader:
        """The header that a proxy sends on behalf of ``socket``, a connection it has accepted.

        The source is the socket's peer and the destination its own address; for a socket that came
        through another proxy, those that this one has told. IPv6 addresses that stand for IPv4 ones
        are written as IPv4. A socket without addresses (Unix) gives a header without: UNKNOWN in
        version 1, ``local`` in version 2, as haproxy does, which refuses version 2 without
        addresses otherwise. Raises ERR_INVALID_ARG_TYPE for what is no socket.
        """
        try:
            peer = socket.remote_address, socket.remote_port
            own = socket.local_address, socket.local_port
        except AttributeError:
            bad_type('socket', 'a Socket', socket)
        if peer[0] is None or own[0] is None:
            return cls(version=version, local=version == 2, tlvs=tuple(tlvs))
        ends = [text.partition('%')[0] for text in (peer[0], own[0])]
        plain = [_unmapped(text) for text in ends]
        if all(plain):
            ends = [str(text) for text in plain]
        return cls(
            version=version,
            source_address=ends[0],
            source_port=peer[1],
            destination_address=ends[1],
            destination_port=own[1],
            tlvs=tuple(tlvs),
        )

    @property
    def family(self) -> Family | None:
        """'IPv4', 'IPv6', 'unix', or None without addresses."""
        if self.source_address is None:
            return None
        if self.source_port is None:
            return 'unix'
        return 'IPv6' if ':' in self.source_address else 'IPv4'

    # -- the registered fields --------------------------------------------------------------------

    def tlv(self, kind: int) -> bytes | None:
        """The value of the first additional field of this type, or None."""
        return _first(self.tlvs, kind)

    @property
    def alpn(self) -> str | None:
        """The protocol that the client has agreed on with the proxy, such as ``'h2'``, or None."""
        return text_of(self.tlv(TLVType.ALPN))

    @property
    def authority(self) -> str | None:
        """The host name that the client asked for (SNI), or None."""
        return text_of(self.tlv(TLVType.AUTHORITY))

    @property
    def unique_id(self) -> bytes | None:
        """The proxy's name for the connection, at most 128 bytes, or None."""
        return self.tlv(TLVType.UNIQUE_ID)

    @property
    def netns(self) -> str | None:
        """The proxy's network namespace, or None."""
        return text_of(self.tlv(TLVType.NETNS))

    @property
    def ssl(self) -> SSLInfo | None:
        """The client's TLS connection to the proxy, or None if it is not told."""
        value = self.tlv(TLVType.SSL)
        return None if value is None else SSLInfo.read(value)

    def __repr__(self) -> str:
        words = [f'v{self.version}', 'LOCAL' if self.local else 'PROXY']
        family = self.family
        if family == 'unix':
            words.append('UNIX')
            words.append(f'{self.source_address!r} -> {self.destination_address!r}')
        elif family is not None:
            words.append(('UDP' if self.datagram else 'TCP') + family[-1])
            ends = (
                f'[{host}]:{port}' if family == 'IPv6' else f'{host}:{port}'
                for host, port in (
                    (self.source_address, self.source_port),
                    (self.destination_address, self.destination_port),
                )
            )
            words.append(' -> '.join(ends))
        elif not self.local:
            words.append('UNKNOWN')
        for kind, value in self.tlvs:
            known = kind in TLVType._value2member_map_
            words.append(f'{TLVType(kind).name if known else hex(kind)}={_short(value)}')
        return f'<ProxyHeader {" ".join(words)}>'

    if TYPE_CHECKING:  # Node's spellings; see node_names
        sourceAddress: ClassVar[str | None]
        sourcePort: ClassVar[int | None]
        destinationAddress: ClassVar[str | None]
        destinationPort: ClassVar[int | None]
        uniqueId = unique_id


def _short(value: bytes) -> str:
    return repr(value) if len(value) <= 40 else f'{value[:37]!r}...'


def _unmapped(text: str) -> str | None:
    """The IPv4 address that an address is or stands for, or None."""
    if ':' not in text:
        return text
    number = number_v6(text)
    return text_v4(number & MASK32) if MAPPED <= number <= MAPPED | MASK32 else None


def _checked_tlvs(tlvs: Any) -> tuple[tuple[int, bytes], ...]:
    out: list[tuple[int, bytes]] = []
    pairs: list[tuple[Any, Any]]
    try:
        pairs = [(kind, value) for kind, value in tlvs]
    except (TypeError, ValueError):
        bad_type('tlvs', 'pairs of a type and bytes', tlvs)
    size = 0
    for kind, value in pairs:
        kind = check_int('the type of a TLV', kind, 0, 255)
        if not isinstance(value, (bytes, bytearray, memoryview)):
            bad_type('the value of a TLV', 'bytes', value)
        value = bytes(cast('bytes', value))
        if kind == TLVType.CRC32C:
            value = bytes(4)
        elif kind == TLVType.UNIQUE_ID and len(value) > MAX_UNIQUE_ID:
            bad_value('a unique id', f'at most {MAX_UNIQUE_ID} bytes', value)
        elif kind == TLVType.SSL and SSLInfo.read(value) is None:
            bad_value('the value of a TLV of type SSL', 'well-formed', value)
        size += 3 + len(value)
        out.append((kind, value))
    if size > MAX_TLVS:
        bad_value('tlvs', f'at most {MAX_TLVS} bytes', f'{size} bytes')
    if sum(kind == TLVType.CRC32C for kind, _ in out) > 1:
        bad_value('tlvs', 'with at most one CRC32C', tlvs)
    return tuple(out)
