"""Just enough of DER (X.690) to read a certificate.

A value is (tag, contents). Nothing here knows what a certificate is.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ['BOOLEAN', 'children', 'number', 'oid', 'whole']

#: The tag of a BOOLEAN.
BOOLEAN = 0x01


def _one(data: bytes, at: int) -> tuple[int, int, int]:
    """Tag, start and end of the contents of the value at a position; ValueError if it is cut."""
    if at + 2 > len(data):
        raise ValueError('DER is cut off')
    tag, length = data[at], data[at + 1]
    at += 2
    if tag & 0x1F == 0x1F:
        raise ValueError('DER with a long tag')
    if length & 0x80:
        count = length & 0x7F
        if not 0 < count <= 4 or at + count > len(data):
            raise ValueError('DER with a bad length')
        length = int.from_bytes(data[at : at + count], 'big')
        at += count
    if at + length > len(data):
        raise ValueError('DER is cut off')
    return tag, at, at + length


def children(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The values that contents hold, one after the other."""
    at = 0
    while at < len(data):
        tag, start, end = _one(data, at)
        yield tag, data[start:end]
        at = end


def whole(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """As :func:`children`, each with its whole encoding as the third."""
    at = 0
    while at < len(data):
        tag, start, end = _one(data, at)
        yield tag, data[start:end], data[at:end]
        at = end


def number(data: bytes) -> int:
    """The contents of an INTEGER."""
    return int.from_bytes(data, 'big', signed=True)


def oid(data: bytes) -> str:
    """The contents of an OBJECT IDENTIFIER, in dots."""
    parts: list[int] = []
    value = 0
    for byte in data:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            parts.append(value)
            value = 0
    if not parts:
        return ''
    first = min(parts[0] // 40, 2)
    return '.'.join(map(str, (first, parts[0] - 40 * first, *parts[1:])))
