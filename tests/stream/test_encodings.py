"""Encodings (ST-08, ST-28). The tables are what Node 24 gave for the same input."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace._stream.encodings import canonical, encode, make_decoder
from tailrace.errors import UnknownEncodingError

ENCODINGS = ('utf8', 'utf16le', 'latin1', 'ascii', 'hex', 'base64', 'base64url')


def decode(data: bytes, encoding: str, *cuts: int) -> str:
    decoder = make_decoder(encoding)
    out, start = '', 0
    for cut in cuts:
        out += decoder.decode(data[start:cut])
        start = cut
    return out + decoder.decode(data[start:]) + decoder.decode(b'', True)


@pytest.mark.parametrize(
    ('name', 'known'),
    [
        ('UTF-8', 'utf8'),
        ('ucs2', 'utf16le'),
        ('UCS-2', 'utf16le'),
        ('utf-16le', 'utf16le'),
        ('binary', 'latin1'),
        ('Base64URL', 'base64url'),
    ],
)
def test_st28_names(name: str, known: str) -> None:
    assert canonical(name) == known


@pytest.mark.parametrize('name', ['utf9', '', None, 5, 'utf_8', 'buffer'])
def test_st28_unknown_names(name: object) -> None:
    with pytest.raises(UnknownEncodingError):
        canonical(name)


@pytest.mark.parametrize(
    ('encoding', 'text', 'data'),
    [
        ('utf8', 'aé あ😀', '61c3a920e38182f09f9880'),
        ('utf8', '\ud83d', 'efbfbd'),
        ('utf8', 'a\ud83d\ude00\ude00', '61f09f9880efbfbd'),
        ('utf16le', 'aé😀', '6100e9003dd800de'),
        ('latin1', 'aéあ', '61e942'),
        ('ascii', 'aé', '61e9'),
        ('hex', '414g42', '41'),
        ('hex', '414', '41'),
        ('hex', 'Ff00', 'ff00'),
        ('base64', 'YWI=', '6162'),
        ('base64', 'Y WJj\n', '616263'),
        ('base64', 'Y-_/', '63efff'),
        ('base64', 'YWI=YWI=', '6162'),
        ('base64', 'Y', ''),
        ('base64url', 'YWI', '6162'),
        ('base64url', 'Y+_/', '63efff'),
    ],
)
def test_st28_text_to_bytes(encoding: str, text: str, data: str) -> None:
    assert encode(text, encoding).hex() == data


@pytest.mark.parametrize(
    ('encoding', 'data', 'text'),
    [
        ('utf8', 'efbbbf41', '\ufeffA'),
        ('utf8', 'e38182e3', 'あ\ufffd'),
        ('utf8', 'f09f98', '\ufffd'),
        ('utf8', 'eda080', '\ufffd\ufffd\ufffd'),
        ('utf8', 'c080ff', '\ufffd\ufffd\ufffd'),
        ('utf16le', '3dd800de61', '😀'),
        ('utf16le', '3dd8', '\ud83d'),
        ('latin1', 'e9ff', 'éÿ'),
        ('ascii', 'e961', 'ia'),
        ('hex', '00ff', '00ff'),
        ('base64', '6162', 'YWI='),
        ('base64url', 'fbff', '-_8'),
    ],
)
def test_st08_bytes_to_text_wherever_they_are_cut(encoding: str, data: str, text: str) -> None:
    raw = bytes.fromhex(data)
    assert {decode(raw, encoding, cut) for cut in range(len(raw) + 1)} == {text}


@pytest.mark.parametrize('encoding', ENCODINGS)
@given(data=st.binary(max_size=30), cuts=st.lists(st.integers(0, 30), max_size=5))
def test_st08_cuts_change_nothing(encoding: str, data: bytes, cuts: list[int]) -> None:
    assert decode(data, encoding, *sorted(cuts)) == decode(data, encoding)


@pytest.mark.parametrize('encoding', ENCODINGS)
@given(data=st.binary(max_size=30))
def test_st28_round_trip_of_bytes(encoding: str, data: bytes) -> None:
    if encoding == 'ascii':
        data = bytes(byte & 0x7F for byte in data)
    text = decode(data, encoding)
    if encoding == 'utf8' and '\ufffd' in text:
        return
    if encoding == 'utf16le':
        data = data[: len(data) // 2 * 2]
    assert encode(text, encoding) == data


@pytest.mark.parametrize(
    ('encoding', 'pieces'),
    [
        ('utf8', ['', 'あ', '', '']),
        ('base64', ['', '44GC', '', '']),
        ('hex', ['e381', '82', '', '']),
    ],
)
def test_st08_pieces_end_at_natural_borders(encoding: str, pieces: list[str]) -> None:
    decoder = make_decoder(encoding)
    assert [
        decoder.decode(b'\xe3\x81'),
        decoder.decode(b'\x82'),
        decoder.decode(b''),
        decoder.decode(b'', True),
    ] == pieces
