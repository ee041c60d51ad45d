"""``parse`` and ``build``: a header from bytes and to bytes.

``parse`` is given what has come so far, and may be given the same bytes again with more behind
them: it keeps no state, and a header that is not complete costs a comparison. It says no at the
first byte that no header can have, so that a client that speaks another protocol is not waited for.
"""

from __future__ import annotations

import os
import re
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from struct import Struct
from typing import NoReturn

from .._validate import bad_type, check_int
from ..errors import ProxyProtocolError
from .crc32c import crc32c
from .header import MAX_PATH, MAX_UNIQUE_ID, ProxyHeader, SSLInfo, TLVType, fields_of

__all__ = ['MAX_HEADER', 'build', 'parse']

#: Bytes of a whole header that are taken by default. Senders keep within 536 (section 2), more only
#: with long fields; the format would allow 65,551.
MAX_HEADER = 4096
#: Section 2.1: the longest line, with its end.
_MAX_LINE = 107

_SIGNATURE = b'\r\n\r\n\0\r\nQUIT\n'
#: Signature, version and command, family and protocol, length.
_FIXED = 16
_LINES = (b'PROXY TCP4 ', b'PROXY TCP6 ', b'PROXY UNKNOWN ', b'PROXY UNKNOWN\r\n')
_PORT = rb'(0|[1-9][0-9]{0,4})'
_line_is = re.compile(
    rb'PROXY TCP([46]) ([0-9a-fA-F:.]+) ([0-9a-fA-F:.]+) ' + _PORT + b' ' + _PORT + rb'\r\n'
).fullmatch

_IPV4 = Struct('!4s4sHH')
_IPV6 = Struct('!16s16sHH')
_UNIX = Struct(f'!{MAX_PATH}s{MAX_PATH}s')
#: By the upper half of byte 14: 0 unspecified, AF_INET, AF_INET6, AF_UNIX.
_BLOCKS = (Struct(''), _IPV4, _IPV6, _UNIX)
_INET = (0, AF_INET, AF_INET6)

#: An address or a port.
Part = str | int | None


def _no(reason: str, text: str) -> NoReturn:
    raise ProxyProtocolError(text, reason)


def parse(
    data: bytes | bytearray | memoryview, *, max_size: int = MAX_HEADER
) -> tuple[ProxyHeader, int] | None:
    """The header at the start of ``data`` and how many bytes it has; None: more is needed.

    Ask again with the same bytes and what follows them. What is behind the header is not looked at.
    ``max_size`` (16 to 65551, default 4096): the longest header of version 2.

    Raises ERR_PROXY_PROTOCOL as soon as it is certain that this is no header, with the ``reason``
    'invalid' (also for a wrong checksum) or 'tooLong'; ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE.
    """
    if not isinstance(data, (bytes, bytearray, memoryview)):
        bad_type('data', 'bytes', data)
    data = bytes(data)
    check_int('max_size', max_size, _FIXED, _FIXED + 0xFFFF)
    start = data[:12]
    if start == _SIGNATURE:
        return _parse_binary(data, max_size)
    if start[:1] == b'P':
        return _parse_line(data)
    if not _SIGNATURE.startswith(start):
        _no('invalid', f'this is no header of the PROXY protocol: {start!r}')
    return None


# -- version 1 ----------------------------------------------------------------------------------


def _parse_line(data: bytes) -> tuple[ProxyHeader, int] | None:
    end = data.find(b'\r\n', 0, _MAX_LINE)
    if not any(data[: len(line)] == line[: len(data)] for line in _LINES):
        _no('invalid', f'this is no line of the PROXY protocol: {data[:15]!r}')
    if end < 0:
        if len(data) >= _MAX_LINE:
            _no('tooLong', f'a line of the PROXY protocol has at most {_MAX_LINE} bytes')
        return None
    end += 2
    if data[6:7] == b'U':
        return _made(1), end
    line = data[:end]
    found = _line_is(line)
    if found is not None:
        kind, *ends = found.groups()
        family = AF_INET if kind == b'4' else AF_INET6
        source_port, destination_port = int(ends[2]), int(ends[3])
        try:
            # Both ways, so that one address has one text.
            source, destination = (
                inet_ntop(family, inet_pton(family, text.decode())) for text in ends[:2]
            )
        except OSError:
            source = destination = ''
        if source and max(source_port, destination_port) <= 0xFFFF:
            return _made(1, False, source, source_port, destination, destination_port), end
    _no('invalid', f'this is no line of the PROXY protocol: {line!r}')


# -- version 2 ----------------------------------------------------------------------------------


def _parse_binary(data: bytes, max_size: int) -> tuple[ProxyHeader, int] | None:
    have = len(data)
    if have > 12 and data[12] not in (0x20, 0x21):
        _no('invalid', f'version and command of the PROXY protocol are {data[12]:#04x}')
    if have > 13 and (data[13] >> 4 > 3 or data[13] & 15 > 2) and data[12] == 0x21:
        _no('invalid', f'family and transport of the PROXY protocol are {data[13]:#04x}')
    if have < _FIXED:
        return None
    size = _FIXED + (data[14] << 8 | data[15])
    if size > max_size:
        _no('tooLong', f'a header of the PROXY protocol has {size} bytes, more than {max_size}')
    family, transport = data[13] >> 4, data[13] & 15
    if data[12] == 0x20:
        # The block is to be skipped, whatever is in it.
        return (_made(2, True), size) if have >= size else None
    block = _BLOCKS[family]
    start = _FIXED + block.size
    if size < start:
        _no('invalid', f'a header of the PROXY protocol has {size} bytes instead of {start}')
    if have < size:
        return None
    tlvs = _read_fields(data, start, size, family == 0)
    # The fields alone, where the transport is not told: addresses are to be ignored then.
    ends: tuple[Part, Part, Part, Part] = (None, None, None, None)
    if family and transport:
        if family == 3:
            paths = (_path(part) for part in block.unpack_from(data, _FIXED))
            ends = (next(paths), None, next(paths), None)
        else:
            inet = _INET[family]
            source, destination, source_port, destination_port = block.unpack_from(data, _FIXED)
            ends = (
                inet_ntop(inet, source), source_port,
                inet_ntop(inet, destination), destination_port,
            )  # fmt: skip
    return _made(2, False, *ends, transport == 2 and ends[0] is not None, tlvs), size


def _path(part: bytes) -> str:
    """A path of at most 108 bytes, filled up with NUL; one that begins with NUL is abstract."""
    text = part.rstrip(b'\0') if part[:1] == b'\0' else part.partition(b'\0')[0]
    return os.fsdecode(text)


def _read_fields(
    data: bytes, start: int, size: int, tolerant: bool
) -> tuple[tuple[int, bytes], ...]:
    if start == size:
        return ()
    fields = fields_of(data[start:size])
    if fields is None:
        if tolerant:
            return ()  # section 2.2, UNSPEC: there may be addresses of a family that nobody knows
        _no('invalid', 'the fields of a PROXY protocol header do not end where it ends')
    at = start
    sums = 0
    for i, (kind, value) in enumerate(fields):
        length = len(value)
        at += 3 + length
        if kind == TLVType.CRC32C:
            sums += 1
            if length != 4 or sums > 1:
                _no('invalid', 'the checksum of a PROXY protocol header is malformed')
            plain = bytearray(data[:size])
            plain[at - 4 : at] = bytes(4)
            if crc32c(plain) != int.from_bytes(value, 'big'):
                _no('invalid', 'the checksum of a PROXY protocol header is wrong')
            fields[i] = (kind, bytes(4))
        elif kind == TLVType.UNIQUE_ID and length > MAX_UNIQUE_ID:
            _no('invalid', f'a unique id has at most {MAX_UNIQUE_ID} bytes, not {length}')
        elif kind == TLVType.SSL and SSLInfo.read(value) is None:
            _no('invalid', 'the SSL field of a PROXY protocol header is malformed')
    return tuple(fields)


_FIELDS = tuple(ProxyHeader.__dataclass_fields__)
_set = object.__setattr__


def _made(
    version: int,
    local: bool = False,
    source: Part = None,
    source_port: Part = None,
    destination: Part = None,
    destination_port: Part = None,
    datagram: bool = False,
    tlvs: tuple[tuple[int, bytes], ...] = (),
) -> ProxyHeader:
    """A header out of what was checked while it was read: without its own checks."""
    made = object.__new__(ProxyHeader)
    values = (
        version, local, source, source_port, destination, destination_port, datagram, tlvs,
    )  # fmt: skip
    for name, value in zip(_FIELDS, values, strict=True):
        _set(made, name, value)
    return made


# -- the other way --------------------------------------------------------------------------------


def build(header: ProxyHeader) -> bytes:
    """The bytes of a header, to be sent before everything else.

    Version 1 can say the addresses of TCP clients; of others it says UNKNOWN. Raises
    ERR_INVALID_ARG_TYPE for what is no :class:`ProxyHeader`.
    """
    if not isinstance(header, ProxyHeader):
        bad_type('header', 'a ProxyHeader', header)
    family = header.family
    if header.version == 1:
        if family is None:
            return b'PROXY UNKNOWN\r\n'
        return (
            f'PROXY TCP{family[-1]} {header.source_address} {header.destination_address} '
            f'{header.source_port} {header.destination_port}\r\n'
        ).encode('ascii')
    block = b''
    kind = 0
    if family == 'unix':
        kind = 0x31
        block = _UNIX.pack(
            os.fsencode(header.source_address or ''), os.fsencode(header.destination_address or '')
        )
    elif family is not None:
        kind = 0x11 if family == 'IPv4' else 0x21
        inet = _INET[kind >> 4]
        block = _BLOCKS[kind >> 4].pack(
            inet_pton(inet, header.source_address or ''),
            inet_pton(inet, header.destination_address or ''),
            header.source_port,
            header.destination_port,
        )
    if kind and header.datagram:
        kind += 1
    out = bytearray(_SIGNATURE)
    out += bytes((0x20 if header.local else 0x21, kind, 0, 0))
    out += block
    checksum = 0
    for number, value in header.tlvs:
        out.append(number)
        out += len(value).to_bytes(2, 'big')
        out += value
        if number == TLVType.CRC32C:
            checksum = len(out)
    out[14:16] = (len(out) - _FIXED).to_bytes(2, 'big')
    if checksum:
        out[checksum - 4 : checksum] = crc32c(out).to_bytes(4, 'big')
    return bytes(out)
