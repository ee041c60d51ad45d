"""Where to connect to, in words."""

from __future__ import annotations

import pytest

from tailrace._cli.places import Place, places, shown


@pytest.mark.parametrize(
    ('words', 'found'),
    [
        (['example.org', '80'], [Place('example.org', 80)]),
        (['example.org:80'], [Place('example.org', 80)]),
        (['80'], [Place(None, 80)]),
        ([':80'], [Place(None, 80)]),
        (['::1', '80'], [Place('::1', 80)]),
        (['[::1]:80'], [Place('::1', 80)]),
        (['/run/a.sock'], [Place(path='/run/a.sock')]),
        (['./80'], [Place(path='./80')]),
        (['./a:80'], [Place(path='./a:80')]),
        (['8080', 'example.org', '80'], [Place(None, 8080), Place('example.org', 80)]),
        (['0.0.0.0', '8080', '9090'], [Place('0.0.0.0', 8080), Place(None, 9090)]),
        (['./a', '[::]:1', 'b:2'], [Place(path='./a'), Place('::', 1), Place('b', 2)]),
        ([], []),
    ],
)
def test_words_name_places(words: list[str], found: list[Place]) -> None:
    assert places(words) == found


def test_several_ports_follow_a_host() -> None:
    found = places(['80', 'a', '1', '2', './s', '3', 'b:4', '5'], keep_host=True)
    assert list(map(str, found)) == [
        *('localhost:80', 'a:1', 'a:2', './s', 'localhost:3', 'b:4', 'localhost:5')
    ]


@pytest.mark.parametrize(
    ('words', 'wrong'),
    [
        (['example.org'], "a port must follow 'example.org'"),
        (['a', 'b'], "a port must follow 'a', not 'b'"),
        (['a', '65536'], 'a port is 0 to 65535, not 65536'),
        (['a:65536'], 'a port is 0 to 65535, not 65536'),
        (['a:http'], "no port: 'http'"),
        (['a:'], "no port: ''"),
        (['a', '-1'], "a port must follow 'a', not '-1'"),
        (['fe80::1:80:x'], 'needs brackets'),
        ([''], 'must not be empty'),
    ],
)
def test_what_is_no_place_is_told(words: list[str], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong.replace('(', r'\(')):
        places(words)


def test_how_a_place_is_shown() -> None:
    assert str(Place('::1', 80)) == '[::1]:80'
    assert str(Place(None, 80)) == 'localhost:80'
    assert str(Place(path='/a')) == '/a'
    assert shown(None, None) == 'a Unix socket'
