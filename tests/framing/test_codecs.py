"""The codecs alone: every split of the bytes gives the same frames, and the same failure."""

from __future__ import annotations

import itertools
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace import errors
from tailrace.framing import (
    Codec,
    Decoder,
    Delimiter,
    Fixed,
    JsonLines,
    LengthPrefixed,
    Lines,
    Netstrings,
)

CODECS: dict[str, Any] = {
    'lines': Lines(limit=9),
    'text': Lines(limit=9, encoding='utf8', end='\r\n'),
    'latin': Lines(limit=9, encoding='latin1'),
    'zero': Delimiter(b'\0', limit=9),
    'crlf': Delimiter(b'\r\n', limit=9),
    'overlapping': Delimiter(b'aab', limit=9),
    'doubled': Delimiter(b'aa', limit=9),
    'prefix1': LengthPrefixed(1, limit=9),
    'prefix2 little': LengthPrefixed(2, 'little', limit=9),
    'prefix4': LengthPrefixed(limit=9),
    'prefix2 inclusive': LengthPrefixed(2, limit=9, inclusive=True),
    'fixed': Fixed(3),
    'json': JsonLines(limit=9),
    'netstrings': Netstrings(limit=9),
    'netstrings 10': Netstrings(limit=10),
}
NAMES = list(CODECS)


def decoded(codec: Codec[Any], pieces: Any) -> tuple[list[Any], str | None]:
    """The frames of these pieces, and the code of the failure after them."""
    decoder = codec.decoder()
    frames: list[Any] = []
    try:
        for piece in pieces:
            for frame in decoder.feed(piece):
                frames.append(frame)
        for frame in decoder.finish():
            frames.append(frame)
    except errors.FrameError as error:
        return frames, error.code
    return frames, None


def splits(data: bytes) -> Any:
    """``data`` in every two pieces, in every three if it is short, and byte by byte."""
    yield [data]
    yield [data[i : i + 1] for i in range(len(data))]
    for at in range(len(data) + 1):
        yield [data[:at], data[at:]]
    if len(data) <= 24:
        for first, second in itertools.combinations(range(len(data) + 1), 2):
            yield [data[:first], data[first:second], data[second:]]


def frames_of(name: str) -> list[Any]:
    if name in ('text', 'latin'):
        return ['', 'one', 'ä', '123456789' if name == 'latin' else 'ä2345678']
    if name == 'json':
        return [1, 'ä', {'a': [1]}, [None, 1], True]
    if name == 'fixed':
        return [b'abc', b'\0\n\r', b'123']
    if name in ('overlapping', 'doubled'):
        return [b'', b'xa'[:1], b'bab', b'123456789']
    return [b'', b'one', b'a\xff', b'123456789']


@pytest.mark.parametrize('name', NAMES)
def test_every_split_gives_what_was_written(name: str) -> None:
    codec, frames = CODECS[name], frames_of(name)
    data = b''.join(map(codec.encode, frames))
    for pieces in splits(data):
        assert decoded(codec, pieces) == (frames, None), pieces


@pytest.mark.parametrize(
    ('name', 'data', 'expected'),
    [
        ('lines', b'a\r\nb\n\nc', ([b'a', b'b', b'', b'c'], None)),
        ('lines', b'a\rb\n\r', ([b'a\rb', b'\r'], None)),
        ('lines', b'123456789\r\n123456789', ([b'123456789'] * 2, None)),
        ('lines', b'ok\n1234567890\nno\n', ([b'ok'], 'ERR_FRAME_TOO_LARGE')),
        ('lines', b'ok\n12345678901', ([b'ok'], 'ERR_FRAME_TOO_LARGE')),
        ('lines', b'1234567890', ([], 'ERR_FRAME_TOO_LARGE')),
        ('text', b'ok\n\xff\n', (['ok'], 'ERR_FRAME_INVALID')),
        ('text', b'\xc3', ([], 'ERR_FRAME_INVALID')),
        ('zero', b'ok\0torn', ([b'ok'], 'ERR_FRAME_INCOMPLETE')),
        ('zero', b'1234567890\0', ([], 'ERR_FRAME_TOO_LARGE')),
        ('crlf', b'a\rb\r\r\n123456789\r', ([b'a\rb\r'], 'ERR_FRAME_INCOMPLETE')),
        ('crlf', b'1234567890\r\n', ([], 'ERR_FRAME_TOO_LARGE')),
        ('overlapping', b'aaab1aab', ([b'a', b'1'], None)),
        ('doubled', b'xaaay', ([b'x'], 'ERR_FRAME_INCOMPLETE')),
        ('prefix1', b'\x02ab\x0a', ([b'ab'], 'ERR_FRAME_TOO_LARGE')),
        ('prefix4', b'\0\0\0\x01a\0\0', ([b'a'], 'ERR_FRAME_INCOMPLETE')),
        ('prefix4', b'\xff\xff\xff\xff', ([], 'ERR_FRAME_TOO_LARGE')),
        ('prefix2 little', b'\x01\0a\x09\x01', ([b'a'], 'ERR_FRAME_TOO_LARGE')),
        ('prefix2 inclusive', b'\0\x02\0\x03a\0\x01', ([b'', b'a'], 'ERR_FRAME_INVALID')),
        ('fixed', b'abcde', ([b'abc'], 'ERR_FRAME_INCOMPLETE')),
        ('json', b'1\r\n\n \n[2]', ([1, [2]], None)),
        ('json', b'1\nnull\n', ([1, None], None)),
        ('json', b'1\n{\n', ([1], 'ERR_FRAME_INVALID')),
        ('json', b'NaN\n', ([], 'ERR_FRAME_INVALID')),
        ('json', b'"\xff"\n', ([], 'ERR_FRAME_INVALID')),
        ('json', b'"12345678"\n', ([], 'ERR_FRAME_TOO_LARGE')),
        ('netstrings', b'0:,2:ab,', ([b'', b'ab'], None)),
        ('netstrings', b'2:ab;', ([], 'ERR_FRAME_INVALID')),
        ('netstrings', b'01:a,', ([], 'ERR_FRAME_INVALID')),
        ('netstrings', b':,', ([], 'ERR_FRAME_INVALID')),
        ('netstrings', b'-1:,', ([], 'ERR_FRAME_INVALID')),
        ('netstrings', b'1:a,10:', ([b'a'], 'ERR_FRAME_TOO_LARGE')),
        ('netstrings', b'2:a', ([], 'ERR_FRAME_INCOMPLETE')),
        ('netstrings', b'9', ([], 'ERR_FRAME_INCOMPLETE')),
    ],
)
def test_every_split_fails_alike(name: str, data: bytes, expected: Any) -> None:
    for pieces in splits(data):
        assert decoded(CODECS[name], pieces) == expected, pieces


@pytest.mark.parametrize('name', NAMES)
@given(data=st.lists(st.sampled_from([*b'aab\r\n\0,:0123"[]{'])), cuts=st.lists(st.integers(1, 9)))
@settings(max_examples=300, deadline=None)
def test_any_bytes_in_any_pieces(name: str, data: list[int], cuts: list[int]) -> None:
    codec, whole = CODECS[name], bytes(data)
    pieces, at = [], 0
    for cut in cuts:
        pieces.append(whole[at : at + cut])
        at += cut
    expected = decoded(codec, [whole])
    assert decoded(codec, [*pieces, whole[at:]]) == expected
    assert decoded(codec, [whole[i : i + 1] for i in range(len(whole))]) == expected


@pytest.mark.parametrize('name', NAMES)
@given(frames=st.lists(st.text('ab\r\n\0,:1ä', max_size=8)))
@settings(max_examples=200, deadline=None)
def test_what_is_encoded_comes_back(name: str, frames: list[str]) -> None:
    codec = CODECS[name]
    data, sent = b'', []
    for text in frames:
        frame: Any = text if name in ('text', 'latin', 'json') else text.encode()
        try:
            data += codec.encode(frame)
        except errors.FrameError:
            continue
        sent.append(frame)
    assert decoded(codec, [data]) == (sent, None)


@pytest.mark.parametrize(
    ('codec', 'frame', 'code'),
    [
        (Lines(), b'a\nb', 'ERR_FRAME_INVALID'),
        (Lines(), 'a\r', 'ERR_FRAME_INVALID'),
        (Lines(limit=2), 'abc', 'ERR_FRAME_TOO_LARGE'),
        (Lines(encoding='ascii'), 'ä', 'ERR_FRAME_INVALID'),
        (Lines(), '\ud800', 'ERR_FRAME_INVALID'),
        (Lines(), 5, 'ERR_INVALID_ARG_TYPE'),
        (Delimiter(b'\0'), b'a\0b', 'ERR_FRAME_INVALID'),
        (Delimiter(b'aa'), b'xa', 'ERR_FRAME_INVALID'),
        (Delimiter(b'\0', limit=1), b'ab', 'ERR_FRAME_TOO_LARGE'),
        (Delimiter(b'\0'), 'text', 'ERR_INVALID_ARG_TYPE'),
        (LengthPrefixed(1), bytes(256), 'ERR_FRAME_TOO_LARGE'),
        (LengthPrefixed(1, inclusive=True), bytes(255), 'ERR_FRAME_TOO_LARGE'),
        (LengthPrefixed(limit=1), b'ab', 'ERR_FRAME_TOO_LARGE'),
        (LengthPrefixed(), None, 'ERR_INVALID_ARG_TYPE'),
        (Fixed(3), b'ab', 'ERR_FRAME_INVALID'),
        (JsonLines(), {1, 2}, 'ERR_FRAME_INVALID'),
        (JsonLines(), float('nan'), 'ERR_FRAME_INVALID'),
        (JsonLines(), '\ud800', 'ERR_FRAME_INVALID'),
        (JsonLines(limit=2), 'abc', 'ERR_FRAME_TOO_LARGE'),
        (Netstrings(limit=1), b'ab', 'ERR_FRAME_TOO_LARGE'),
    ],
)
def test_what_cannot_be_framed(codec: Any, frame: Any, code: str) -> None:
    with pytest.raises(errors.NodeError) as caught:
        codec.encode(frame)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ('make', 'code'),
    [
        (lambda: Lines(limit=0), 'ERR_OUT_OF_RANGE'),
        (lambda: Lines(limit='9'), 'ERR_INVALID_ARG_TYPE'),
        (lambda: Lines(encoding='utf16le'), 'ERR_INVALID_ARG_VALUE'),
        (lambda: Lines(encoding='klingon'), 'ERR_UNKNOWN_ENCODING'),
        (lambda: Lines(end='\r'), 'ERR_INVALID_ARG_VALUE'),
        (lambda: Delimiter(b''), 'ERR_INVALID_ARG_VALUE'),
        (lambda: Delimiter('\n'), 'ERR_INVALID_ARG_TYPE'),  # type: ignore[arg-type]
        (lambda: LengthPrefixed(9), 'ERR_OUT_OF_RANGE'),
        (lambda: LengthPrefixed(4, 'middle'), 'ERR_INVALID_ARG_VALUE'),  # type: ignore[arg-type]
        (lambda: LengthPrefixed(inclusive=1), 'ERR_INVALID_ARG_TYPE'),  # type: ignore[arg-type]
        (lambda: Fixed(0), 'ERR_OUT_OF_RANGE'),
        (lambda: Fixed(True), 'ERR_INVALID_ARG_TYPE'),
        (lambda: JsonLines(limit=1.5), 'ERR_OUT_OF_RANGE'),  # type: ignore[arg-type]
        (lambda: Netstrings(limit=-1), 'ERR_OUT_OF_RANGE'),
    ],
)
def test_wrong_settings(make: Any, code: str) -> None:
    with pytest.raises(errors.NodeError) as caught:
        make()
    assert caught.value.code == code


def test_settings_are_a_value() -> None:
    assert Lines(encoding='UTF-8') == Lines(encoding='utf8')
    assert repr(Fixed(4)) == 'Fixed(size=4)'
    assert len({Netstrings(), Netstrings(limit=5), Netstrings()}) == 2
    assert isinstance(Lines(), Codec)
    assert isinstance(Lines().decoder(), Decoder)


def test_no_limit_is_no_limit() -> None:
    long = b'x' * 3_000_000
    for codec in (
        Lines(None),
        Delimiter(b'\0', None),
        LengthPrefixed(limit=None),
        Netstrings(None),
    ):
        data = codec.encode(long)
        assert decoded(codec, [data[i : i + 65536] for i in range(0, len(data), 65536)]) == (
            [long],
            None,
        )


def test_a_loop_over_frames_may_be_left() -> None:
    decoder = Netstrings().decoder()
    frames = iter(decoder.feed(b'1:a,1:b,1:'))
    assert next(frames) == b'a'
    frames.close()  # type: ignore[attr-defined]
    assert list(decoder.feed(b'c,')) == [b'b', b'c']


def test_errors_survive_pickling() -> None:
    for error in (errors.FrameTooLargeError(5), errors.FrameIncompleteError(b'ab')):
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
    assert isinstance(errors.FrameIncompleteError(b''), EOFError)
    assert isinstance(errors.FrameTooLargeError(1), ValueError)
