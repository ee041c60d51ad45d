"""Node's encodings by Node's names: text to bytes, and bytes to text in pieces.

Pure functions and small decoders; nothing here knows a stream.
"""

from __future__ import annotations

import binascii
import codecs
import re
from typing import Any, Protocol

from .._validate import shown
from ..errors import UnknownEncodingError

__all__ = ['Decoder', 'byte_length', 'canonical', 'encode', 'make_decoder']

_NAMES = {
    'utf8': 'utf8',
    'utf-8': 'utf8',
    'utf16le': 'utf16le',
    'utf-16le': 'utf16le',
    'ucs2': 'utf16le',
    'ucs-2': 'utf16le',
    'latin1': 'latin1',
    'binary': 'latin1',
    'ascii': 'ascii',
    'hex': 'hex',
    'base64': 'base64',
    'base64url': 'base64url',
}

_TO_URL = str.maketrans('+/', '-_')
_NOT_BASE64 = re.compile(r'[^A-Za-z0-9+/]')
_HEX_PAIRS = re.compile(r'(?:[0-9A-Fa-f]{2})*')


def canonical(encoding: Any) -> str:
    """Node's main name of an encoding, whatever its spelling; else ERR_UNKNOWN_ENCODING."""
    name = _NAMES.get(encoding.lower()) if isinstance(encoding, str) else None
    if name is None:
        known = ', '.join(dict.fromkeys(_NAMES.values()))
        raise UnknownEncodingError(f'unknown encoding {shown(encoding)}; known: {known}')
    return name


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Lone surrogates become U+FFFD, pairs become the character they stand for.
        return text.encode('utf-16-le', 'surrogatepass').decode('utf-16-le', 'replace').encode()


def _latin1(text: str) -> bytes:
    try:
        return text.encode('latin-1')
    except UnicodeEncodeError:
        # JavaScript keeps the low byte of each UTF-16 unit.
        return text.encode('utf-16-le', 'surrogatepass')[::2]


def _base64(text: str) -> bytes:
    # Lenient as in Node: both alphabets, anything else is skipped, '=' ends the data.
    text = text.partition('=')[0].replace('-', '+').replace('_', '/')
    text = _NOT_BASE64.sub('', text)
    if len(text) % 4 == 1:
        text = text[:-1]
    return binascii.a2b_base64(text + '=' * (-len(text) % 4))


def encode(text: str, encoding: str) -> bytes:
    """``text`` as bytes in the encoding of that name."""
    if encoding == 'utf8':
        return _utf8(text)
    encoding = canonical(encoding)
    if encoding == 'utf8':
        return _utf8(text)
    if encoding in ('latin1', 'ascii'):
        return _latin1(text)
    if encoding == 'utf16le':
        return text.encode('utf-16-le', 'surrogatepass')
    if encoding == 'hex':
        pairs = _HEX_PAIRS.match(text)
        return binascii.unhexlify(pairs.group()) if pairs else b''
    return _base64(text)


def byte_length(chunk: Any, encoding: str) -> int:
    """How many bytes a chunk counts for while it waits.

    Text in hex and base64 is counted by its length, as Node does it, without looking whether all
    of it is of that alphabet.
    """
    if not isinstance(chunk, str):
        return len(chunk)
    encoding = canonical(encoding)
    if encoding not in ('hex', 'base64', 'base64url'):
        return len(encode(chunk, encoding))
    units = len(chunk) if chunk.isascii() else len(chunk.encode('utf-16-le', 'surrogatepass')) // 2
    if encoding == 'hex':
        return units // 2
    if chunk.endswith('='):
        units -= 1
        if units > 1 and chunk.endswith('=='):
            units -= 1
    return units * 3 // 4


class Decoder(Protocol):
    """Turns bytes that come in pieces into text."""

    def decode(self, data: bytes, /, final: bool = False) -> str:
        """The text that is complete; with ``final`` also what is left."""
        ...


class _Ascii:
    """Bit 7 is dropped, as in Node."""

    _table = bytes(i & 0x7F for i in range(256))

    def decode(self, data: bytes, final: bool = False) -> str:
        return data.translate(self._table).decode('ascii')


class _Hex:
    def decode(self, data: bytes, final: bool = False) -> str:
        return data.hex()


class _Base64:
    """Cut at multiples of three bytes, so that the pieces join to one valid text."""

    def __init__(self, url: bool) -> None:
        self._rest = b''
        self._url = url

    def decode(self, data: bytes, final: bool = False) -> str:
        data = self._rest + data
        cut = len(data) if final else len(data) - len(data) % 3
        self._rest = data[cut:]
        text = binascii.b2a_base64(data[:cut], newline=False).decode()
        return text.translate(_TO_URL).rstrip('=') if self._url else text


class _Utf16:
    """Keeps an odd byte, and the first half of a surrogate pair, for the next piece."""

    def __init__(self) -> None:
        self._rest = b''

    def decode(self, data: bytes, final: bool = False) -> str:
        data = self._rest + data
        cut = len(data) - len(data) % 2
        if not final and cut >= 2 and 0xD8 <= data[cut - 1] <= 0xDB:
            cut -= 2
        self._rest = b'' if final else data[cut:]
        return data[:cut].decode('utf-16-le', 'surrogatepass')


def make_decoder(encoding: str) -> Decoder:
    """A fresh decoder for the encoding of that canonical name."""
    if encoding == 'utf8':
        return codecs.getincrementaldecoder('utf-8')('replace')
    if encoding == 'latin1':
        return codecs.getincrementaldecoder('latin-1')()
    if encoding == 'utf16le':
        return _Utf16()
    if encoding == 'ascii':
        return _Ascii()
    if encoding == 'hex':
        return _Hex()
    return _Base64(encoding == 'base64url')
