"""The ClientHello (RFC 8446 section 4.1.2): what a server must know before it picks a context.

A parser of bytes: it waits until the whole message is there, whatever records it comes in.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ['LONGEST', 'ClientHello', 'HelloError', 'HelloReader', 'alert']

#: The most bytes of records that are kept for a ClientHello. OpenSSL's own limit for the message is
#: 131,396 (SSL3_RT_MAX_PLAIN_LENGTH and the like); real ones have under 2 KiB.
LONGEST = 1 << 17

_SNI, _ALPN = 0, 16


class HelloError(ValueError):
    """The bytes are no ClientHello."""


class ClientHello(NamedTuple):
    """What a client offers."""

    #: The name it asks for, or None.
    servername: str | None
    #: The protocols it offers by ALPN, in its order; empty if none.
    protocols: tuple[str, ...]


def alert(description: int) -> bytes:
    """The record of a fatal alert, before any keys: RFC 8446 section 6."""
    return bytes((21, 3, 3, 0, 2, 2, description))


class HelloReader:
    """Reads the ClientHello in the records at the start of a stream, as they come.

    A record that was read is not looked at again, however small the pieces are: a client may send
    a hello of 128 KiB byte by byte, each in a record of its own.
    """

    __slots__ = ('_at', '_message')

    def __init__(self) -> None:
        self._message = bytearray()
        #: Where the first record begins that is not in the message.
        self._at = 0

    def read(self, data: bytes | bytearray) -> ClientHello | None:
        """The ClientHello, or None if more bytes are needed; ``data`` is all that has come.

        Raises :class:`HelloError` as soon as it cannot become one.
        """
        message, at, length = self._message, self._at, len(data)
        while True:
            if len(message) >= 4:
                if message[0] != 1:
                    raise HelloError('the first message is no ClientHello')
                size = int.from_bytes(message[1:4], 'big')
                if size > LONGEST:
                    raise HelloError(f'a ClientHello of {size} bytes')
                if len(message) >= 4 + size:
                    return _body(bytes(message[4 : 4 + size]))
            self._at = at
            if length > at and data[at] != 22:
                raise HelloError('not a TLS handshake')
            if length > at + 1 and data[at + 1] != 3:
                raise HelloError('not a TLS handshake')
            if length < at + 5:
                return None
            size = int.from_bytes(data[at + 3 : at + 5], 'big')
            if not 0 < size <= 16384:
                raise HelloError(f'a record of {size} bytes')
            if length < at + 5 + size:
                if not message and length > at + 5 and data[at + 5] != 1:
                    raise HelloError('the first message is no ClientHello')
                return None
            message += data[at + 5 : at + 5 + size]
            at += 5 + size


def _vector(data: bytes, at: int, width: int) -> tuple[bytes, int]:
    """A vector with a length of ``width`` bytes before it, and where it ends."""
    start = at + width
    end = start + int.from_bytes(data[at:start], 'big')
    if len(data) < start or len(data) < end:
        raise HelloError('a ClientHello that is cut off')
    return data[start:end], end


def _body(data: bytes) -> ClientHello:
    if len(data) < 34:
        raise HelloError('a ClientHello that is cut off')
    _, at = _vector(data, 34, 1)  # legacy_session_id, after version and random
    _, at = _vector(data, at, 2)  # cipher_suites
    _, at = _vector(data, at, 1)  # legacy_compression_methods
    if at == len(data):
        return ClientHello(None, ())
    extensions, _ = _vector(data, at, 2)
    servername: str | None = None
    protocols: tuple[str, ...] = ()
    at = 0
    while at < len(extensions):
        kind = int.from_bytes(extensions[at : at + 2], 'big')
        value, at = _vector(extensions, at + 2, 2)
        if kind == _SNI:
            names, _ = _vector(value, 0, 2)
            if names[:1] == b'\0':
                servername = _vector(names, 1, 2)[0].decode('ascii', 'replace') or None
        elif kind == _ALPN:
            listed, _ = _vector(value, 0, 2)
            found: list[str] = []
            position = 0
            while position < len(listed):
                one, position = _vector(listed, position, 1)
                found.append(one.decode('latin-1'))
            protocols = tuple(found)
    return ClientHello(servername, protocols)
