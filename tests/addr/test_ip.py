"""The grammar of is_ip: the rows' tables, and a reference that shares nothing with inet_pton."""

import ipaddress
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tailrace._addr import is_ip, is_ipv4, is_ipv6
from tailrace._addr.ip import number_v4, number_v6, text_v4, text_v6

YES_6 = [
    '::', '::1', '1::', '::1:2', '1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7::', '::2:3:4:5:6:7:8',
    'ABCD:ef01::', '::ffff:1.2.3.4', '::1.2.3.4', '1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5::1.2.3.4',
    '::1%eth0', 'fe80::1%1', 'fe80::1%25eth0', '::ffff:1.2.3.4%eth0', 'fe80::1%en-1.2', '::1%a:b',
    '0:0:0:0:0:0:0::', '::0:0:0:0:0:0:0',
]  # fmt: skip
YES_4 = ['0.0.0.0', '127.0.0.1', '255.255.255.255', '1.20.100.200']
NO = [
    '', '1', '1.2.3', '1.2.3.4.5', '1.2.3.256', '1.2.3.4\n', '\n1.2.3.4', ' 1.2.3.4', '1.2.3.4 ',
    '01.2.3.4', '1.2.3.00', '127.000.000.001', '1.2.3.-4', '+1.2.3.4', '0x7f.0.0.1', '1.2.3.4/8',
    '127.0.0.1/24', '1.2.3.4\0', '1.2.3.4\0x', '\u0661.2.3.4', '1.2.3.\uff14', '1\ud800.2.3.4',
    '127.0.0.1%lo', '1.2.3.4%a:b', 'localhost', 'fhqwhgads',
    ':', ':::', ':::1', ':1', '1:', '1::2::3', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8', '1:2:3:4:5:6:7:8::', '::1:2:3:4:5:6:7:8', '12345::', '12345::1', '00001::',
    'g::1', '[::1]', '::1/128', '::1 ', ' ::1', '::1\n', '::1\0', '::\u0661', '::1\ud800',
    '::01.2.3.4', '::ffff:01.2.3.4', '::ffff:1.2.3.256', '::1.2.3', '::ffff:1.2.3.4.5', '1.2.3.4::',
    '::1.2.3.4:5', '1:2:3:4:5:6:7:1.2.3.4', '1:2:3:4:5:6::1.2.3.4',
    '::1%', 'fe80::1%', '::1%a b', '::1%eth0%eth1', '::1%a_b', '::1%a/b', '::1%lo\n', '::1%\xe9',
    '::1%\0', '%eth0', '%', '::1%\u0661',
]  # fmt: skip


@pytest.mark.parametrize('text', YES_6)
def test_mf20_mf22_ipv6(text: str) -> None:
    assert (is_ip(text), is_ipv4(text), is_ipv6(text)) == (6, False, True)


@pytest.mark.parametrize('text', YES_4)
def test_mf20_mf21_ipv4(text: str) -> None:
    assert (is_ip(text), is_ipv4(text), is_ipv6(text)) == (4, True, False)


@pytest.mark.parametrize('text', NO)
def test_mf23_no_address(text: str) -> None:
    assert (is_ip(text), is_ipv4(text), is_ipv6(text)) == (0, False, False)
    address, zone, _ = text.partition('%')
    if not zone or is_ip(address) != 6:
        assert (number_v4(text), number_v6(text)) == (-1, -1)


def test_bl13_a_zone_of_any_text_is_dropped_from_a_number() -> None:
    # As Node's rules and socket addresses read it; is_ip is stricter.
    for zone in ('', 'eth0', 'a b', '\xe9', 'eth0%eth1', 'a/b'):
        assert number_v6(f'::1%{zone}') == 1
    assert number_v6('::1%a\0') == -1


@pytest.mark.parametrize(
    'value',
    [None, 0, 1, 4, 6, True, {}, [], float('nan'), b'127.0.0.1', ipaddress.ip_address('::1')],
)
def test_am34_no_text(value: object) -> None:
    assert (is_ip(value), is_ipv4(value), is_ipv6(value)) == (0, False, False)


def test_ex11_table() -> None:
    table = {
        '::1': (6, False, True),
        '127.0.0.1': (4, True, False),
        '127.000.000.001': (0, False, False),
        '127.0.0.1/24': (0, False, False),
        'fhqwhgads': (0, False, False),
    }
    assert {t: (is_ip(t), is_ipv4(t), is_ipv6(t)) for t in table} == table


def test_mf20_a_text_subclass_is_text() -> None:
    class Text(str):
        __slots__ = ()

    assert is_ip(Text('::1')) == 6


OCTET = '(?:0|[1-9][0-9]?|1[0-9][0-9]|2[0-4][0-9]|25[0-5])'
IPV4 = re.compile(rf'{OCTET}(?:\.{OCTET}){{3}}')


def reference(text: str) -> int:
    """The words of row MF-23, by splitting."""
    if IPV4.fullmatch(text):
        return 4
    text, percent, zone = text.partition('%')
    if percent and not re.fullmatch('[0-9a-zA-Z.:-]+', zone):
        return 0
    if text.count('::') > 1 or ':::' in text or ':' not in text:
        return 0
    left, gap, right = text.partition('::')
    groups = (left.split(':') if left else []) + (right.split(':') if right else [])
    count = len(groups)
    if groups and '.' in groups[-1] and (right or not gap):
        if not IPV4.fullmatch(groups.pop()):
            return 0
        count += 1
    if any(re.fullmatch('[0-9a-fA-F]{1,4}', group) is None for group in groups):
        return 0
    return 6 if (count < 8 if gap else count == 8) else 0


ALPHABET = '0123459afF::::....%x -\n\0\u0661g'
near_v4 = st.lists(st.sampled_from(['0', '1', '255', '256', '01', '', '-1', '9']), max_size=5).map(
    '.'.join
)
near_v6 = st.builds(
    lambda groups, tail: ':'.join(groups) + tail,
    st.lists(
        st.sampled_from(['', '', '0', '1', 'ffff', 'F', '12345', 'g', '1.2.3.4', '01.2.3.4']),
        max_size=10,
    ),
    st.sampled_from(['', '', '%lo', '%', '%a%b', '%-.:', '\n', '/64']),
)


@given(st.one_of(st.text(ALPHABET, max_size=20), near_v4, near_v6, st.text(max_size=6)))
@example('1:2:3:4:5:6:7::')
@example('::1%\n')
def test_mf23_equals_the_reference(text: str) -> None:
    assert is_ip(text) == reference(text)


@given(st.integers(0, 2**32 - 1))
def test_ipv4_text_and_number(number: int) -> None:
    text = str(ipaddress.IPv4Address(number))
    assert (text_v4(number), number_v4(text), is_ip(text)) == (text, number, 4)


@given(st.integers(0, 2**128 - 1) | st.integers(0, 2**36))
def test_ipv6_text_and_number(number: int) -> None:
    address = ipaddress.IPv6Address(number)
    for text in (text_v6(number), address.compressed, address.exploded, str(address).upper()):
        assert (number_v6(text), is_ip(text)) == (number, 6)
    assert number_v6(f'{address.compressed}%eth0') == number
