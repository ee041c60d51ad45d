"""The header as a value: what it may say, and what is read from it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tailrace.errors import NodeError
from tailrace.proxy_protocol import ProxyHeader, SSLInfo, TLVType

ENDS: dict[str, Any] = {
    'source_address': '192.0.2.7',
    'source_port': 51234,
    'destination_address': '203.0.113.1',
    'destination_port': 443,
}


def tlv(kind: int, value: bytes) -> bytes:
    return bytes((kind, len(value) >> 8, len(value) & 255)) + value


def test_a_header_is_a_value() -> None:
    header = ProxyHeader(**ENDS)
    assert header == ProxyHeader(**ENDS)
    assert hash(header) == hash(ProxyHeader(**ENDS))
    assert header != ProxyHeader(**ENDS, version=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        header.source_port = 1  # type: ignore[misc]
    assert (header.sourceAddress, header.destinationPort) == ('192.0.2.7', 443)
    assert header.family == 'IPv4'
    assert ProxyHeader().family is None


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        ({}, '<ProxyHeader v2 PROXY UNKNOWN>'),
        ({'local': True}, '<ProxyHeader v2 LOCAL>'),
        ({'version': 1}, '<ProxyHeader v1 PROXY UNKNOWN>'),
        (ENDS, '<ProxyHeader v2 PROXY TCP4 192.0.2.7:51234 -> 203.0.113.1:443>'),
        (
            {**ENDS, 'source_address': '2001:db::', 'destination_address': '::1', 'datagram': True},
            '<ProxyHeader v2 PROXY UDP6 [2001:db::]:51234 -> [::1]:443>',
        ),
        (
            {'source_address': '/a', 'destination_address': '\0b', 'tlvs': [(1, b'h2'), (224, b'')]
             },
            "<ProxyHeader v2 PROXY UNIX '/a' -> '\\x00b' ALPN=b'h2' 0xe0=b''>",
        ),
    ],
)  # fmt: skip
def test_how_it_is_shown(options: dict[str, Any], text: str) -> None:
    assert repr(ProxyHeader(**options)) == text


@pytest.mark.parametrize(
    ('options', 'code'),
    [
        ({'version': 3}, 'ERR_OUT_OF_RANGE'),
        ({'version': '1'}, 'ERR_INVALID_ARG_TYPE'),
        ({'local': 1}, 'ERR_INVALID_ARG_TYPE'),
        ({**ENDS, 'local': True}, 'ERR_INVALID_ARG_VALUE'),
        ({'source_port': 1, 'destination_port': 2}, 'ERR_INVALID_ARG_VALUE'),
        ({**ENDS, 'destination_address': None}, 'ERR_INVALID_ARG_TYPE'),
        ({**ENDS, 'destination_address': '::1'}, 'ERR_INVALID_ARG_VALUE'),
        ({**ENDS, 'source_address': 'fe80::1%eth0', 'destination_address': '::1'},
         'ERR_INVALID_ARG_VALUE'),
        ({**ENDS, 'source_port': None}, 'ERR_INVALID_ARG_TYPE'),
        ({**ENDS, 'source_port': '1'}, 'ERR_INVALID_ARG_TYPE'),
        ({**ENDS, 'source_port': 65536}, 'ERR_SOCKET_BAD_PORT'),
        ({**ENDS, 'source_address': 7}, 'ERR_INVALID_ARG_TYPE'),
        ({'source_address': 'a', 'destination_address': 'b', 'source_port': 1},
         'ERR_INVALID_ARG_VALUE'),
        ({'source_address': 'a' * 109, 'destination_address': 'b'}, 'ERR_INVALID_ARG_VALUE'),
        ({'source_address': 'a', 'destination_address': 'b', 'version': 1},
         'ERR_INVALID_ARG_VALUE'),
        ({**ENDS, 'version': 1, 'datagram': True}, 'ERR_INVALID_ARG_VALUE'),
        ({'version': 1, 'tlvs': [(1, b'')]}, 'ERR_INVALID_ARG_VALUE'),
        ({'tlvs': 5}, 'ERR_INVALID_ARG_TYPE'),
        ({'tlvs': [1]}, 'ERR_INVALID_ARG_TYPE'),
        ({'tlvs': [(256, b'')]}, 'ERR_OUT_OF_RANGE'),
        ({'tlvs': [(1, 'h2')]}, 'ERR_INVALID_ARG_TYPE'),
        ({'tlvs': [(5, bytes(129))]}, 'ERR_INVALID_ARG_VALUE'),
        ({'tlvs': [(3, b''), (3, b'')]}, 'ERR_INVALID_ARG_VALUE'),
        ({'tlvs': [(32, b'\1')]}, 'ERR_INVALID_ARG_VALUE'),
        ({'tlvs': [(4, bytes(65535))]}, 'ERR_INVALID_ARG_VALUE'),
    ],
)  # fmt: skip
def test_what_it_may_not_say(options: dict[str, Any], code: str) -> None:
    with pytest.raises(NodeError) as caught:
        ProxyHeader(**options)
    assert caught.value.code == code


def test_registered_fields() -> None:
    ssl = b'\7\0\0\0\0' + b''.join(
        tlv(kind, value)
        for kind, value in (
            (0x21, b'TLSv1.3'), (0x22, 'Jörg'.encode()), (0x23, b'AES'), (0x24, b'SHA256'),
            (0x25, b'RSA2048'),
        )
    )  # fmt: skip
    header = ProxyHeader(
        tlvs=(
            (TLVType.ALPN, b'h2'),
            (TLVType.AUTHORITY, b'example.org'),
            (TLVType.NOOP, b'\0\0'),
            (TLVType.UNIQUE_ID, b'\0id'),
            (TLVType.SSL, ssl),
            (TLVType.NETNS, b'blue'),
            (0xE1, b'own'),
        )
    )
    assert (header.alpn, header.authority, header.netns) == ('h2', 'example.org', 'blue')
    assert header.unique_id == header.uniqueId == b'\0id'  # type: ignore[comparison-overlap]
    assert (header.tlv(0xE1), header.tlv(0xE2)) == (b'own', None)
    info = header.ssl
    assert info is not None
    assert info.used
    assert info.verified
    assert (info.version, info.common_name, info.cipher) == ('TLSv1.3', 'Jörg', 'AES')
    assert (info.signature_algorithm, info.keyAlgorithm) == ('SHA256', 'RSA2048')
    bare = ProxyHeader()
    assert (bare.alpn, bare.authority, bare.unique_id, bare.ssl, bare.netns) == (None,) * 5


def test_a_name_that_is_no_text_is_shown_with_its_bytes() -> None:
    assert ProxyHeader(tlvs=((2, b'a\xff\n'),)).authority == 'a\\xff\n'


def test_without_a_certificate_nothing_is_verified() -> None:
    # haproxy has 0 in the field when there was no certificate.
    assert not SSLInfo(1, 0).verified
    assert not SSLInfo(3, 1).verified
    assert SSLInfo(4, 0).verified
    assert not SSLInfo(0, 0).used


class Ends:
    """A socket as far as it matters."""

    def __init__(self, remote: str | None, local: str | None) -> None:
        self.remote_address, self.remote_port = remote, 5
        self.local_address, self.local_port = local, 6


@pytest.mark.parametrize(
    ('remote', 'local', 'expected'),
    [
        ('192.0.2.7', '192.0.2.8', ('192.0.2.7', '192.0.2.8')),
        ('::ffff:192.0.2.7', '::ffff:192.0.2.8', ('192.0.2.7', '192.0.2.8')),
        ('::ffff:192.0.2.7', '::1', ('::ffff:192.0.2.7', '::1')),
        ('fe80::1%eth0', 'fe80::2%eth0', ('fe80::1', 'fe80::2')),
        (None, None, (None, None)),
        (None, '::1', (None, None)),
    ],
)
def test_of_a_socket(remote: str | None, local: str | None, expected: tuple[Any, Any]) -> None:
    header = ProxyHeader.of(Ends(remote, local), tlvs=[(1, b'h2')])
    assert (header.source_address, header.destination_address) == expected
    assert header.alpn == 'h2'
    assert header.source_port == (5 if expected[0] else None)
    assert header.local is (expected[0] is None)
    assert ProxyHeader.of(Ends(remote, local), 1).version == 1


def test_of_something_else() -> None:
    with pytest.raises(NodeError) as caught:
        ProxyHeader.of(5)
    assert caught.value.code == 'ERR_INVALID_ARG_TYPE'
