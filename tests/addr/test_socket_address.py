"""SocketAddress, row by row."""

import copy
import itertools
import pickle
from typing import Any

import pytest

from tailrace._addr import SocketAddress
from tailrace.errors import NodeError


def parts(address: SocketAddress | None) -> tuple[str, int, str] | None:
    return address and (address.address, address.port, address.family)


def code_of(*args: Any, **options: Any) -> str:
    with pytest.raises(NodeError) as caught:
        SocketAddress(*args, **options)
    return caught.value.code


def test_sa01_defaults() -> None:
    a = SocketAddress()
    assert (a.address, a.port, a.family, a.flowlabel) == ('127.0.0.1', 0, 'ipv4', 0)


def test_sa02_mapping_and_keywords() -> None:
    options = {'port': 80, 'unknown': 1, 'family': 'ipv6'}
    a = SocketAddress(options, address='::2')
    assert parts(a) == ('::2', 80, 'ipv6')
    assert options == {'port': 80, 'unknown': 1, 'family': 'ipv6'}
    assert SocketAddress({'port': 80}).port == SocketAddress(port=80).port == 80


@pytest.mark.parametrize('options', ['x', 5, [], True, b'x'])
def test_sa02_options_must_be_a_mapping(options: object) -> None:
    assert code_of(options) == 'ERR_INVALID_ARG_TYPE'


def test_sa02_unknown_keyword_names_the_nearest() -> None:
    with pytest.raises(TypeError, match="'flowlabel'"):
        SocketAddress(flowlabl=1)  # type: ignore[call-arg]


def test_sa02_one_option_twice() -> None:
    with pytest.raises(TypeError, match='port'):
        SocketAddress({'port': 1}, port=2)


def test_sa03_address() -> None:
    assert SocketAddress(family='ipv6').address == '::'
    assert code_of(address='::1') == 'ERR_INVALID_ADDRESS'
    assert code_of(address='1.2.3.4', family='ipv6') == 'ERR_INVALID_ADDRESS'
    for bad in ('', '1.2.3', '01.2.3.4', '1.2.3.4\n', '1.2.3.4\0', 'localhost', '1.2.3.4%lo'):
        assert code_of(address=bad) == 'ERR_INVALID_ADDRESS', bad
    for bad in ('[::1]', '::1\0'):
        assert code_of(address=bad, family='ipv6') == 'ERR_INVALID_ADDRESS', bad
    for wrong in (1, b'1.2.3.4', ['1.2.3.4']):
        assert code_of(address=wrong) == 'ERR_INVALID_ARG_TYPE', wrong


def test_sa03_a_zone_is_dropped() -> None:
    assert SocketAddress(address='fe80::1%eth0', family='ipv6').address == 'fe80::1'


def test_sa04_family() -> None:
    assert SocketAddress(family='IPv6', address='::1').family == 'ipv6'
    assert SocketAddress(family='IPV4').family == 'ipv4'
    for bad in ('x', 'ipv5', 'inet', '', 4, 6, True):
        assert code_of(family=bad) == 'ERR_INVALID_ARG_VALUE', bad


def test_sa05_am32_flowlabel() -> None:
    assert SocketAddress(family='ipv6', flowlabel=12345).flowlabel == 12345
    assert SocketAddress(family='ipv6', flowlabel=0xFFFFF).flowlabel == 0xFFFFF
    assert SocketAddress(flowlabel=12345).flowlabel == 0
    for family in ('ipv4', 'ipv6'):
        for bad in (-1, 2**32, 1.5, float('nan'), float('inf')):
            assert code_of(family=family, flowlabel=bad) == 'ERR_OUT_OF_RANGE', bad
        for wrong in ('x', '5', True, []):
            assert code_of(family=family, flowlabel=wrong) == 'ERR_INVALID_ARG_TYPE', wrong

    # IPv4 has no flow label, so that it is too long for one does not matter.
    assert SocketAddress(flowlabel=0x100000).flowlabel == 0
    assert code_of(family='ipv6', flowlabel=0x100000) == 'ERR_OUT_OF_RANGE'


def test_sa03_the_address_is_read_last() -> None:
    assert code_of(address='bad', port=-1) == 'ERR_SOCKET_BAD_PORT'
    assert code_of(address='bad', flowlabel=-1) == 'ERR_OUT_OF_RANGE'
    assert code_of(address=5, port=-1) == 'ERR_INVALID_ARG_TYPE'


def test_sa06_port() -> None:
    assert [SocketAddress(port=p).port for p in (0, 65535, '80', 443.0)] == [0, 65535, 80, 443]
    for bad in (-1, 65536, 1.5, 'http', '', True, float('nan'), [80]):
        assert code_of(port=bad) == 'ERR_SOCKET_BAD_PORT', bad


def test_sa07_canonical_text() -> None:
    def six(text: str) -> str:
        return SocketAddress(family='ipv6', address=text).address

    assert six('2001:DB8:0:0::1') == '2001:db8::1'
    assert six('1:0:3:4:5:6:7:8') == '1:0:3:4:5:6:7:8'
    assert six('::FFFF:102:304') == '::ffff:1.2.3.4'


@pytest.mark.parametrize('name', ['address', 'family', 'flowlabel', 'port', 'toJSON', 'other'])
def test_sa07_to_sa10_immutable(name: str) -> None:
    a = SocketAddress(port=3)
    with pytest.raises(AttributeError):
        setattr(a, name, 4)
    assert a == SocketAddress(port=3)


def test_sa11_parse() -> None:
    assert parts(SocketAddress.parse('123.1.2.3:1234')) == ('123.1.2.3', 1234, 'ipv4')
    assert parts(SocketAddress.parse('[1::1]:1234')) == ('1::1', 1234, 'ipv6')
    assert parts(SocketAddress.parse('1.2.3.4')) == ('1.2.3.4', 0, 'ipv4')
    assert parts(SocketAddress.parse('[1::1]')) == ('1::1', 0, 'ipv6')
    assert parts(SocketAddress.parse('[::FFFF:1.2.3.4]:65535')) == ('::ffff:1.2.3.4', 65535, 'ipv6')


def test_am31_port_80_and_empty_port() -> None:
    assert parts(SocketAddress.parse('1.2.3.4:80')) == ('1.2.3.4', 80, 'ipv4')
    assert parts(SocketAddress.parse('1.2.3.4:')) == ('1.2.3.4', 0, 'ipv4')
    assert parts(SocketAddress.parse('[::1]:')) == ('::1', 0, 'ipv6')
    assert parts(SocketAddress.parse('1.2.3.4:00080')) == ('1.2.3.4', 80, 'ipv4')


@pytest.mark.parametrize(
    'text',
    [
        '', ':', ':80', '[]', '[]:80', 'localhost', 'localhost:80', '::1', '::1:1234', '1::1:1234',
        '1.2.3.4:65536', '1.2.3.4:99999', '1.2.3.4:000080', '1.2.3.4:' + '9' * 5000,
        '1.2.3.4:abc', '1.2.3.4:-1', '1.2.3.4:+1', '1.2.3.4: 80', '1.2.3.4:80 ', ' 1.2.3.4',
        '1.2.3.4:80\n', '1.2.3.4\n', '1.2.3.4\0:80', '1.2.3.4:8_0', '1.2.3.4:\u0661', '1.2.3.4:1.0',
        '256.1.1.1', '1.2.3', '1.2.3:80', '0x7f.1', '01.2.3.4', '1.2.3.4:80:90', '1.2.3.4/8',
        'http://1.2.3.4', 'user@1.2.3.4:80', '1.2.3.4:80/x', '1.2.3.4?x',
        '[::1', '::1]', '[1.2.3.4]:80', '[::1]80', '[::1]:99999', '[[::1]]', '[::1]:80:90',
        '[fe80::1%lo]', '[fe80::1%lo]:1', '[::1/64]', '[localhost]',
    ],
)  # fmt: skip
def test_sa12_parse_refuses(text: str) -> None:
    assert SocketAddress.parse(text) is None


@pytest.mark.parametrize('value', [5, None, b'1.2.3.4', ['1.2.3.4']])
def test_sa12_parse_wants_text(value: Any) -> None:
    with pytest.raises(NodeError) as caught:
        SocketAddress.parse(value)
    assert caught.value.code == 'ERR_INVALID_ARG_TYPE'


def test_bx06_is_socket_address() -> None:
    assert SocketAddress.is_socket_address(SocketAddress())
    others = ({}, None, SocketAddress, '127.0.0.1', ('127.0.0.1', 0))
    assert not any(map(SocketAddress.is_socket_address, others))


def test_bx06_to_json() -> None:
    a = SocketAddress(address='::1', family='ipv6', port=5, flowlabel=7)
    json = {'address': '::1', 'port': 5, 'family': 'ipv6', 'flowlabel': 7}
    assert dict(a.to_json()) == json
    assert SocketAddress(a.to_json()) == a


def test_gen02_node_names() -> None:
    a: Any = SocketAddress(port=5)
    assert a.toJSON() == a.to_json()
    assert SocketAddress.isSocketAddress(a)  # type: ignore[attr-defined]


def test_equal_values_hash_alike() -> None:
    a = SocketAddress(address='2001:DB8::1', family='ipv6', port=1, flowlabel=2)
    b = SocketAddress(address='2001:db8:0::1', family='IPv6', port='1', flowlabel=2)
    assert a == b
    assert hash(a) == hash(b)
    assert len({a, b, SocketAddress()}) == 2
    assert a != a.address


def test_total_order_family_address_port_label() -> None:
    def six(address: str, port: int = 0, label: int = 0) -> SocketAddress:
        return SocketAddress(address=address, family='ipv6', port=port, flowlabel=label)

    ordered = [
        SocketAddress(address='9.0.0.0', port=99),
        SocketAddress(address='10.0.0.0', port=1),
        SocketAddress(address='10.0.0.0', port=2),
        six('::1'),
        six('::1', 0, 1),
        six('::1', 1),
        six('::ffff:9.0.0.0'),
        six('2001::'),
    ]
    backward = list(reversed(ordered))
    assert sorted(backward) == ordered
    for (i, a), (j, b) in itertools.product(enumerate(ordered), repeat=2):
        assert (a < b, a <= b, a > b, a >= b, a == b) == (i < j, i <= j, i > j, i >= j, i == j)
    for compare in ('__lt__', '__le__', '__gt__', '__ge__', '__eq__'):
        assert getattr(ordered[0], compare)('9.0.0.0') is NotImplemented


def test_repr_is_a_call_that_makes_it_again() -> None:
    for a in (SocketAddress(port=8), SocketAddress(address='::1', family='ipv6', flowlabel=5)):
        assert eval(repr(a), {'SocketAddress': SocketAddress}) == a
    assert repr(SocketAddress()) == "SocketAddress(address='127.0.0.1', family='ipv4', port=0)"


def test_copy_and_pickle() -> None:
    a = SocketAddress(address='::1', family='ipv6', port=5, flowlabel=7)
    assert copy.copy(a) == copy.deepcopy(a) == pickle.loads(pickle.dumps(a)) == a
