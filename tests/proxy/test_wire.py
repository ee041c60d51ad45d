"""Headers as bytes: every split, every lie, both ways."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace._proxy.crc32c import crc32c
from tailrace.errors import NodeError
from tailrace.proxy_protocol import (
    MAX_HEADER,
    ProxyHeader,
    ProxyProtocolError,
    TLVType,
    build,
    parse,
)

SIGNATURE = bytes.fromhex('0d0a0d0a000d0a515549540a')


def v2(command: int, kind: int, block: bytes, length: int | None = None) -> bytes:
    """Bytes of version 2, also wrong ones."""
    size = len(block) if length is None else length
    return SIGNATURE + bytes((command, kind)) + size.to_bytes(2, 'big') + block


TCP4 = v2(0x21, 0x11, bytes((192, 0, 2, 7, 203, 0, 113, 1)) + b'\x00\x05\x01\xbb')


@pytest.mark.parametrize(
    ('data', 'expected'),
    [
        (b'PROXY TCP4 192.0.2.7 203.0.113.1 5 443\r\n',
         '<ProxyHeader v1 PROXY TCP4 192.0.2.7:5 -> 203.0.113.1:443>'),
        (b'PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n',
         '<ProxyHeader v1 PROXY TCP4 255.255.255.255:65535 -> 255.255.255.255:65535>'),
        (b'PROXY TCP6 2001:DB8::7 ::1 0 443\r\n',
         '<ProxyHeader v1 PROXY TCP6 [2001:db8::7]:0 -> [::1]:443>'),
        (b'PROXY TCP6 ' + b' '.join([b':'.join([b'ffff'] * 8)] * 2) + b' 65535 65535\r\n',
         '<ProxyHeader v1 PROXY TCP6 [{0}]:65535 -> [{0}]:65535>'.format(':'.join(['ffff'] * 8))),
        (b'PROXY TCP6 ::ffff:192.0.2.7 ::1 5 443\r\n',
         '<ProxyHeader v1 PROXY TCP6 [::ffff:192.0.2.7]:5 -> [::1]:443>'),
        (b'PROXY UNKNOWN\r\n', '<ProxyHeader v1 PROXY UNKNOWN>'),
        (b'PROXY UNKNOWN \xff\x00 what\never\r\n', '<ProxyHeader v1 PROXY UNKNOWN>'),
        (b'PROXY UNKNOWN ' + b'x' * 91 + b'\r\n', '<ProxyHeader v1 PROXY UNKNOWN>'),
        (TCP4, '<ProxyHeader v2 PROXY TCP4 192.0.2.7:5 -> 203.0.113.1:443>'),
        (v2(0x20, 0, b''), '<ProxyHeader v2 LOCAL>'),
        # Whatever is in the block of LOCAL is skipped, also a family that is none.
        (v2(0x20, 0xFF, b'\3nonsense'), '<ProxyHeader v2 LOCAL>'),
        (v2(0x21, 0x00, b''), '<ProxyHeader v2 PROXY UNKNOWN>'),
        (v2(0x21, 0x00, b'\1\0\2h2'), "<ProxyHeader v2 PROXY UNKNOWN ALPN=b'h2'>"),
        (v2(0x21, 0x00, b'addresses'), '<ProxyHeader v2 PROXY UNKNOWN>'),
        (v2(0x21, 0x01, b''), '<ProxyHeader v2 PROXY UNKNOWN>'),
        (v2(0x21, 0x10, bytes(12) + b'\1\0\2h2'), "<ProxyHeader v2 PROXY UNKNOWN ALPN=b'h2'>"),
        (v2(0x21, 0x12, bytes(12)), '<ProxyHeader v2 PROXY UDP4 0.0.0.0:0 -> 0.0.0.0:0>'),
        (v2(0x21, 0x21, bytes(36)), '<ProxyHeader v2 PROXY TCP6 [::]:0 -> [::]:0>'),
        (v2(0x21, 0x31, b'/run/a'.ljust(108, b'\0') + b'\0abstract'.ljust(108, b'\0')),
         "<ProxyHeader v2 PROXY UNIX '/run/a' -> '\\x00abstract'>"),
        (v2(0x21, 0x31, b'x' * 216), f"<ProxyHeader v2 PROXY UNIX '{'x' * 108}' -> '{'x' * 108}'>"),
        (v2(0x21, 0x32, bytes(216)), "<ProxyHeader v2 PROXY UNIX '' -> ''>"),
    ],
)  # fmt: skip
def test_every_split(data: bytes, expected: str) -> None:
    for end in range(len(data)):
        assert parse(data[:end]) is None, data[:end]
    for behind in (b'', b'\r\n', b'GET / HTTP/1.1\r\n\r\n', SIGNATURE):
        found = parse(data + behind)
        assert found is not None
        assert (repr(found[0]), found[1]) == (expected, len(data))
    assert parse(bytearray(data)) == parse(memoryview(data)) == parse(data)


def first_refusal(data: bytes) -> tuple[int, ProxyProtocolError]:
    """After how many bytes it is refused."""
    for end in range(len(data) + 1):
        try:
            assert parse(data[:end]) is None
        except ProxyProtocolError as error:
            with pytest.raises(ProxyProtocolError):
                parse(data)
            return end, error
    raise AssertionError('not refused')


@pytest.mark.parametrize(
    ('data', 'after'),
    [
        (b'GET / HTTP/1.1\r\n\r\n', 1),
        (b'\x16\x03\x01\x02\x00', 1),
        (b'\r\n\r\nx', 5),
        (b'\n', 1),
        (b'\0' * 20, 1),
        (b'PUT /', 2),
        (b'PROXY\tTCP4', 6),
        (b'PROXY TCP5', 10),
        (b'PROXY tcp4', 7),
        (b'PROXY  TCP4', 7),
        (b'PROXY UNKNOWNX\r\n', 14),
        (b'PROXY UNKNOWN\n', 14),
        (b'PROXY TCP4\r\n', 11),
        # From here on only the whole line can tell.
        (b'PROXY TCP4 192.0.2.7 203.0.113.1 5\r\n', None),
        (b'PROXY TCP4 192.0.2.7 203.0.113.1 5 443 \r\n', None),
        (b'PROXY TCP4 192.0.2.7  203.0.113.1 5 443\r\n', None),
        (b'PROXY TCP4 192.0.2.7 203.0.113.1 05 443\r\n', None),
        (b'PROXY TCP4 192.0.2.7 203.0.113.1 +5 443\r\n', None),
        (b'PROXY TCP4 192.0.2.7 203.0.113.1 65536 443\r\n', None),
        (b'PROXY TCP4 192.0.2.7 203.0.113.1 5 99999\r\n', None),
        (b'PROXY TCP4 192.0.2.7 203.0.113.1 -1 443\r\n', None),
        (b'PROXY TCP4 192.000.2.7 203.0.113.1 5 443\r\n', None),
        (b'PROXY TCP4 192.0.2 203.0.113.1 5 443\r\n', None),
        (b'PROXY TCP4 192.0.2.256 203.0.113.1 5 443\r\n', None),
        (b'PROXY TCP4 ::1 ::1 5 443\r\n', None),
        (b'PROXY TCP6 192.0.2.7 203.0.113.1 5 443\r\n', None),
        (b'PROXY TCP6 ::1 1.2.3.4 5 443\r\n', None),
        (b'PROXY TCP6 1::2::3 ::1 5 443\r\n', None),
        (b'PROXY TCP6 fe80::1%eth0 ::1 5 443\r\n', None),
        (b'PROXY TCP4 192.0.2.7 203.0.113.1 5 443\n\r\n', None),
        (b'PROXY TCP4 192.0.2.7 203.0.113.1 5 443\0\r\n', None),
        (b'PROXY TCP4 192.0.2.\xd9\xa7 203.0.113.1 5 443\r\n', None),
        (SIGNATURE + b'\x11', 13),
        (SIGNATURE + b'\x22', 13),
        (SIGNATURE + b'\x31', 13),
        (SIGNATURE + b'\x21\x41', 14),
        (SIGNATURE + b'\x21\x13', 14),
        (v2(0x21, 0x11, bytes(11)), 16),
        (v2(0x21, 0x21, bytes(12)), 16),
        (v2(0x21, 0x31, bytes(215)), 16),
        (v2(0x21, 0x11, bytes(13)), None),
        (v2(0x21, 0x11, bytes(12) + b'\1\0'), None),
        (v2(0x21, 0x11, bytes(12) + b'\1\0\3h2'), None),
        (v2(0x21, 0x11, bytes(12) + b'\1\0\2h2\1'), None),
        (v2(0x21, 0x11, bytes(12) + b'\3\0\4aaaa'), None),
        (v2(0x21, 0x11, bytes(12) + b'\3\0\3aaa'), None),
        (v2(0x21, 0x11, bytes(12) + b'\5\0\x81' + bytes(129)), None),
        (v2(0x21, 0x11, bytes(12) + b'\x20\0\4\1\0\0\0'), None),
        (v2(0x21, 0x11, bytes(12) + b'\x20\0\7\1\0\0\0\0\x21\1'), None),
    ],
)  # fmt: skip
def test_lies_are_refused_as_soon_as_they_are_seen(data: bytes, after: int | None) -> None:
    end, error = first_refusal(data)
    assert end == (len(data) if after is None else after)
    assert (error.code, error.reason) == ('ERR_PROXY_PROTOCOL', 'invalid')
    assert isinstance(error, ValueError)


@pytest.mark.parametrize(
    ('data', 'after'),
    [
        (b'PROXY UNKNOWN ' + b'x' * 92 + b'\r\n', 107),
        (b'PROXY TCP4 ' + b'1' * 200, 107),
        (v2(0x21, 0x11, b'', 4081), 16),
        (v2(0x20, 0x00, b'', 0xFFFF), 16),
    ],
)
def test_what_is_too_long(data: bytes, after: int) -> None:
    end, error = first_refusal(data)
    assert (end, error.reason) == (after, 'tooLong')


def test_the_longest_header_can_be_chosen() -> None:
    data = v2(0x21, 0x11, bytes(12) + b'\4\xff\xf0' + bytes(0xFFF0))
    with pytest.raises(ProxyProtocolError):
        parse(data)
    found = parse(data, max_size=65551)
    assert found is not None
    assert found[1] == len(data) == 65551
    assert parse(v2(0x20, 0, bytes(MAX_HEADER - 16))) is not None
    with pytest.raises(ProxyProtocolError):
        parse(TCP4, max_size=16)


@pytest.mark.parametrize(
    ('call', 'code'),
    [
        (lambda: parse('PROXY'), 'ERR_INVALID_ARG_TYPE'),  # type: ignore[arg-type]
        (lambda: parse(b'', max_size=15), 'ERR_OUT_OF_RANGE'),
        (lambda: parse(b'', max_size=65552), 'ERR_OUT_OF_RANGE'),
        (lambda: parse(b'', max_size='16'), 'ERR_INVALID_ARG_TYPE'),  # type: ignore[arg-type]
        (lambda: build(b'PROXY'), 'ERR_INVALID_ARG_TYPE'),  # type: ignore[arg-type]
    ],
)
def test_bad_arguments(call: Any, code: str) -> None:
    with pytest.raises(NodeError) as caught:
        call()
    assert caught.value.code == code


def test_what_is_built() -> None:
    ends: Any = {
        'source_address': '192.0.2.7', 'source_port': 5,
        'destination_address': '203.0.113.1', 'destination_port': 443,
    }  # fmt: skip
    assert build(ProxyHeader(**ends)) == TCP4
    assert build(ProxyHeader(**ends, version=1)) == b'PROXY TCP4 192.0.2.7 203.0.113.1 5 443\r\n'
    assert build(ProxyHeader(version=1)) == b'PROXY UNKNOWN\r\n'
    assert build(ProxyHeader(version=1, local=True)) == b'PROXY UNKNOWN\r\n'
    assert build(ProxyHeader(local=True)) == v2(0x20, 0, b'')
    assert build(ProxyHeader()) == v2(0x21, 0, b'')
    six: Any = {**ends, 'source_address': '::1', 'destination_address': '2001:db8::7'}
    assert build(ProxyHeader(**six, version=1)) == b'PROXY TCP6 ::1 2001:db8::7 5 443\r\n'
    assert build(ProxyHeader(**six, datagram=True))[13] == 0x22


def test_the_checksum_is_that_of_the_rfc() -> None:
    # RFC 3720 B.4 has the values of these.
    assert crc32c(b'123456789') == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b'\xff' * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E


def test_the_checksum_is_filled_in_and_checked() -> None:
    header = ProxyHeader(
        source_address='192.0.2.7', source_port=5, destination_address='203.0.113.1',
        destination_port=443, tlvs=((1, b'h2'), (TLVType.CRC32C, b'????'), (4, b'')),
    )  # fmt: skip
    data = build(header)
    assert parse(data) == (header, len(data))
    kind = data.index(b'\3\0\4')  # with another type it is no checksum
    for at in {*range(16, len(data))} - {kind}:
        for bit in (1, 128):
            spoilt = bytearray(data)
            spoilt[at] ^= bit
            with pytest.raises(ProxyProtocolError):
                parse(bytes(spoilt))
    # A header that was received can be sent on: the checksum is another one then.
    other = build(ProxyHeader(tlvs=header.tlvs))
    assert parse(other) == (ProxyHeader(tlvs=header.tlvs), len(other))


# -- properties ---------------------------------------------------------------------------------

ports = st.integers(0, 65535)
four = st.binary(min_size=4, max_size=4).map(lambda b: socket.inet_ntop(socket.AF_INET, b))
six = st.binary(min_size=16, max_size=16).map(lambda b: socket.inet_ntop(socket.AF_INET6, b))
paths = st.binary(min_size=1, max_size=107).filter(lambda b: b'\0' not in b).map(os.fsdecode)
fields = st.tuples(
    st.integers(0, 255).filter(lambda kind: kind not in (3, 5, 32)), st.binary(max_size=300)
)


@st.composite
def headers(draw: Any) -> ProxyHeader:
    version = draw(st.sampled_from((1, 2)))
    tlvs = () if version == 1 else tuple(draw(st.lists(fields, max_size=5)))
    if tlvs and draw(st.booleans()):
        tlvs = (*tlvs, (3, bytes(4)))
    kind = draw(st.sampled_from(('none', 'four', 'six', 'unix')))
    if kind == 'none' or (kind == 'unix' and version == 1):
        return ProxyHeader(version=version, tlvs=tlvs)
    if kind == 'unix':
        source, destination = draw(paths), draw(paths)
        if '.' in source + destination or ':' in source + destination:
            source, destination = 'a', 'b'
        return ProxyHeader(source_address=source, destination_address=destination, tlvs=tlvs)
    address = four if kind == 'four' else six
    return ProxyHeader(
        version=version,
        source_address=draw(address),
        source_port=draw(ports),
        destination_address=draw(address),
        destination_port=draw(ports),
        datagram=version == 2 and draw(st.booleans()),
        tlvs=tlvs,
    )


@given(headers(), st.binary(max_size=50))
def test_there_and_back(header: ProxyHeader, behind: bytes) -> None:
    data = build(header)
    assert parse(data + behind) == (header, len(data))
    assert parse(data[:-1]) is None


@settings(max_examples=400)
@given(headers(), st.data())
def test_spoilt_bytes_are_refused_or_are_a_header(header: ProxyHeader, data: Any) -> None:
    spoilt = bytearray(build(header))
    for _ in range(data.draw(st.integers(1, 4))):
        spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    check(bytes(spoilt) + data.draw(st.binary(max_size=20)))


@given(
    st.sampled_from((b'', b'P', b'PROXY ', b'PROXY TCP4 ', SIGNATURE, SIGNATURE + b'\x21\x11')),
    st.binary(max_size=300),
)
def test_any_bytes(start: bytes, rest: bytes) -> None:
    check(start + rest)


def check(data: bytes) -> None:
    """The answer is the same however the bytes come, and a header can be written again."""
    answer: Any = None
    for end in range(len(data) + 1):
        try:
            found = parse(data[:end])
        except ProxyProtocolError as error:
            answer = error.reason
            break
        if found is not None:
            assert found[1] == end
            again = build(found[0])
            assert parse(again) == (found[0], len(again)) or found[0].local
            answer = found
            break
    try:
        whole: Any = parse(data)
    except ProxyProtocolError as error:
        whole = error.reason
    assert whole == answer
