"""BlockList, row by row. What Node does is from traces of v24.21 unless a row says otherwise."""

import json
from typing import Any

import pytest

from tailrace._addr import BlockList, SocketAddress
from tailrace.errors import NodeError

from .node_table import CHECKS, TABLE


def v4(address: str, port: int = 0) -> SocketAddress:
    return SocketAddress(address=address, port=port)


def v6(address: str) -> SocketAddress:
    return SocketAddress(address=address, family='ipv6')


@pytest.fixture
def bl() -> BlockList:
    return BlockList()


@pytest.fixture
def full() -> BlockList:
    """A list with a rule of every kind and family."""
    bl = BlockList()
    bl.add_address('1.2.3.4')
    bl.add_range('10.0.0.1', '10.0.0.9')
    bl.add_subnet('192.168.7.9', 16)
    bl.add_address('2001:DB8:0::1', 'ipv6')
    bl.add_subnet('fe80::1', 10, 'ipv6')
    bl.add_range('::1', '::ff', 'ipv6')
    return bl


FULL = [
    'Address: IPv6 2001:db8::1',
    'Address: IPv4 1.2.3.4',
    'Subnet: IPv6 fe80::1/10',
    'Subnet: IPv4 192.168.7.9/16',
    'Range: IPv6 ::1-::ff',
    'Range: IPv4 10.0.0.1-10.0.0.9',
]


def test_bl01_bl02_empty(bl: BlockList) -> None:
    assert bl.check('1.2.3.4') is False
    assert bl.check('::1', 'ipv6') is False
    assert (bl.rules, bl.size) == ([], 0)


def test_bl03_address(bl: BlockList) -> None:
    assert bl.add_address('123.123.123.123') is None  # type: ignore[func-returns-value]
    bl.add_address('2001:db8::1', 'ipv6')
    bl.add_address('1.1.1.1', 'IPv4')
    assert bl.check('123.123.123.123') is True
    assert not bl.check('123.123.123.122')
    assert not bl.check('123.123.123.124')
    assert bl.check('2001:DB8:0:0::1', 'ipv6')
    assert not bl.check('2001:db8::2', 'ipv6')
    assert not bl.check('2001:db8::', 'ipv6')
    assert bl.check('1.1.1.1', 'IPV4')


def test_bl04_range_is_inclusive(bl: BlockList) -> None:
    bl.add_range('10.0.0.1', '10.0.0.10')
    found = [bl.check(f'10.0.0.{n}') for n in range(12)]
    assert found == [False, *[True] * 10, False]


@pytest.mark.parametrize(
    ('low', 'high', 'type'),
    [('0.0.0.0', '255.255.255.255', 'ipv4'), ('::', 'ffff:' * 7 + 'ffff', 'ipv6')],
)
def test_bl04_both_ends_of_the_space(bl: BlockList, low: str, high: str, type: str) -> None:
    bl.add_address(low, type)
    bl.add_address(high, type)
    assert bl.check(low, type)
    assert bl.check(high, type)
    bl.add_range(low, high, type)
    assert bl.check('128.0.0.0' if type == 'ipv4' else '8000::', type)
    bl.remove_address(low, type)
    bl.remove_address(high, type)
    assert bl.check(low, type)
    assert bl.check(high, type)
    bl.remove_range(low, high, type)
    assert not bl.check(low, type)
    assert not bl.check(high, type)


def test_bl05_backward_range(full: BlockList) -> None:
    cases: list[tuple[Any, ...]] = [
        ('2.0.0.9', '2.0.0.1'),
        ('::2', '::1', 'ipv6'),
        (v4('2.0.0.9'), v4('2.0.0.1')),
        (v4('2.0.0.1'), v6('::ffff:2.0.0.9')),
        (v6('::1'), '2.0.0.1'),
    ]
    for case in cases:
        with pytest.raises(NodeError) as caught:
            full.add_range(*case)
        assert caught.value.code == 'ERR_INVALID_ARG_VALUE', case
    assert full.rules == FULL


def test_bl05_range_of_one(bl: BlockList) -> None:
    bl.add_range('2.0.0.1', '2.0.0.1')
    assert [bl.check(f'2.0.0.{n}') for n in range(3)] == [False, True, False]


def test_bl06_subnet(bl: BlockList) -> None:
    bl.add_subnet('8592:757c:efae:4e45::', 64, 'ipv6')
    bl.add_subnet('192.168.5.77', 24)
    bl.add_subnet('9.9.9.9', 32)
    assert bl.check('8592:757c:efae:4e45:ffff::1', 'ipv6')
    assert not bl.check('8592:757c:efae:4e46::', 'ipv6')
    assert not bl.check('8592:757c:efae:4e44:ffff:ffff:ffff:ffff', 'ipv6')
    assert bl.check('192.168.5.0')
    assert bl.check('192.168.5.255')
    assert not bl.check('192.168.4.255')
    assert not bl.check('192.168.6.0')
    assert [bl.check(f'9.9.9.{n}') for n in (8, 9, 10)] == [False, True, False]


def test_bl07_prefix_bounds(full: BlockList) -> None:
    cases: list[tuple[Any, Any, str, str]] = [
        ('10.0.0.0', 33, 'ipv4', 'ERR_OUT_OF_RANGE'),
        ('10.0.0.0', -1, 'ipv4', 'ERR_OUT_OF_RANGE'),
        ('10.0.0.0', 1.5, 'ipv4', 'ERR_OUT_OF_RANGE'),
        ('10.0.0.0', float('nan'), 'ipv4', 'ERR_OUT_OF_RANGE'),
        ('::', 129, 'ipv6', 'ERR_OUT_OF_RANGE'),
        (v6('::5'), 129, 'ipv4', 'ERR_OUT_OF_RANGE'),
        (v4('10.0.0.0'), 64, 'ipv6', 'ERR_OUT_OF_RANGE'),
        ('10.0.0.0', '8', 'ipv4', 'ERR_INVALID_ARG_TYPE'),
        ('10.0.0.0', None, 'ipv4', 'ERR_INVALID_ARG_TYPE'),
        ('10.0.0.0', True, 'ipv4', 'ERR_INVALID_ARG_TYPE'),
    ]
    for net, prefix, type, code in cases:
        for method in (full.add_subnet, full.remove_subnet):
            with pytest.raises(NodeError) as caught:
                method(net, prefix, type)
            assert caught.value.code == code, (net, prefix, type)
    assert full.rules == FULL


def test_bl07_prefix_0_is_a_whole_family(bl: BlockList) -> None:
    bl.add_subnet('1.2.3.4', 0)
    assert bl.check('0.0.0.0')
    assert bl.check('255.255.255.255')
    assert bl.check('::ffff:9.9.9.9', 'ipv6')
    assert not bl.check('::1', 'ipv6')
    wide = BlockList()
    wide.add_subnet('::', 0, 'ipv6')
    assert wide.check('::1', 'ipv6')
    assert wide.check('ffff::', 'ipv6')
    assert wide.check('1.2.3.4')


def test_bl08_check_of_no_address_is_false(bl: BlockList) -> None:
    bl.add_subnet('0.0.0.0', 0)
    bl.add_subnet('::', 0, 'ipv6')
    for text in ('nope', '', '::1', '1.2.3.4/8', '1.2.3', '1.2.3.4\n', '01.2.3.4', '1.2.3.4\0'):
        assert bl.check(text) is False, text
    for text in ('1.2.3.4', '[::1]', '::1\n', '::1\0', '::1%a\0', ''):
        assert bl.check(text, 'ipv6') is False, text


def test_bl08_bl14_check_of_an_unknown_type(bl: BlockList) -> None:
    # As recorded: a type of no known family counts as 'ipv6'.
    bl.add_subnet('0.0.0.0', 0)
    bl.add_subnet('::', 0, 'ipv6')
    assert bl.check('1.2.3.4', 'ipv9') is False
    assert bl.check('::1', 'ipv9') is True


@pytest.mark.parametrize('text', ['::ffff:7b7b:7b7b', '::ffff:123.123.123.123', '::FFFF:7B7B:7B7B'])
def test_bl09_ipv4_rules_match_mapped_addresses(text: str) -> None:
    for add in (
        lambda bl: bl.add_address('123.123.123.123'),
        lambda bl: bl.add_range('123.123.123.123', '123.123.123.123'),
        lambda bl: bl.add_subnet('123.123.0.0', 16),
        lambda bl: bl.add_cidr('123.0.0.0/8'),
    ):
        bl = BlockList()
        add(bl)
        assert bl.check(text, 'ipv6')
        assert not bl.check(text)
        assert not bl.check('::123.123.123.123', 'ipv6')


def test_bl09_mapped_rules_match_ipv4(bl: BlockList) -> None:
    bl.add_address('::ffff:12.0.0.1', 'ipv6')
    bl.add_range('::ffff:13.0.0.1', '::ffff:13.0.0.9', 'ipv6')
    bl.add_subnet('::ffff:14.0.0.0', 104, 'ipv6')
    assert [bl.check(f'12.0.0.{n}') for n in range(3)] == [False, True, False]
    assert [bl.check(f'13.0.0.{n}') for n in (0, 1, 9, 10)] == [False, True, True, False]
    assert [bl.check(a) for a in ('13.255.255.255', '14.0.0.0', '14.255.255.255', '15.0.0.0')] == [
        False, True, True, False,
    ]  # fmt: skip
    assert bl.check('::ffff:13.0.0.5', 'ipv6')
    assert not bl.check('::13.0.0.5', 'ipv6')


def test_bl09_a_range_that_reaches_into_the_mapped_addresses(bl: BlockList) -> None:
    bl.add_range('::fffe:0:0', '::ffff:0.0.0.9', 'ipv6')
    bl.add_range('::ffff:255.255.255.250', '::1:0:0:5', 'ipv6')
    # A range with an end elsewhere is about IPv6: it blocks the mapped notation, not IPv4.
    assert [bl.check(f'::ffff:0.0.0.{n}', 'ipv6') for n in (0, 9, 10)] == [True, True, False]
    assert bl.check('::ffff:255.255.255.255', 'ipv6')
    assert not any(bl.check(address) for address in ('0.0.0.0', '0.0.0.9', '255.255.255.255'))
    assert bl.check('::fffe:1:1', 'ipv6')
    assert bl.check('::1:0:0:5', 'ipv6')
    assert not bl.check('::1:0:0:6', 'ipv6')
    bl.remove_range('::fffe:0:0', '::ffff:0.0.0.9', 'ipv6')
    assert not bl.check('::ffff:0.0.0.0', 'ipv6')
    assert bl.check('::ffff:255.255.255.255', 'ipv6')


def test_bl10_rules_is_a_fresh_list(full: BlockList) -> None:
    full.rules.clear()
    assert full.rules == FULL
    with pytest.raises(AttributeError):
        full.rules = []  # type: ignore[misc]


def test_bl11_am33_text_and_order(full: BlockList) -> None:
    assert full.rules == FULL
    full.add_address('1.2.3.4')
    assert full.rules == FULL
    full.add_range('9.0.0.1', '9.0.0.2')
    assert full.rules == [*FULL[:4], 'Range: IPv4 9.0.0.1-9.0.0.2', *FULL[4:]]


def test_bl11_an_address_is_one_rule_other_rules_repeat(bl: BlockList) -> None:
    for _ in range(2):
        bl.add_address('1.1.1.1')
        bl.add_address('::5', 'ipv6')
        bl.add_range('1.0.0.1', '1.0.0.2')
        bl.add_subnet('2.0.0.0', 8)
        bl.add_subnet('2.0.0.1', 8)
    assert bl.size == len(bl.rules) == 8
    assert bl.rules[2:6] == ['Subnet: IPv4 2.0.0.1/8', 'Subnet: IPv4 2.0.0.0/8'] * 2


@pytest.mark.parametrize('bulk', [False, True])
def test_bl11_an_address_in_both_notations_is_one_rule(bl: BlockList, bulk: bool) -> None:
    # Node shows the notation that came last.
    def add(text: str, type: str) -> None:
        if bulk:
            bl.add_addresses([text] * 40, type)
        else:
            bl.add_address(text, type)

    add('1.1.1.1', 'ipv4')
    add('::ffff:1.1.1.1', 'ipv6')
    assert bl.rules == ['Address: IPv6 ::ffff:1.1.1.1']
    add('2.2.2.2', 'ipv4')
    add('1.1.1.1', 'ipv4')
    assert bl.rules == ['Address: IPv4 2.2.2.2', 'Address: IPv4 1.1.1.1']
    bl.remove_address('::ffff:1.1.1.1', 'ipv6')
    assert bl.rules == ['Address: IPv4 2.2.2.2']
    assert not bl.check('1.1.1.1')


def test_bl12_is_block_list(bl: BlockList) -> None:
    assert BlockList.is_block_list(bl)
    assert not any(map(BlockList.is_block_list, ({}, None, BlockList, 'x', SocketAddress())))


ADDRESS_METHODS = ['add_address', 'remove_address']
BAD_ADDRESSES = [
    ('::1', 'ipv4'), ('1.2.3.4', 'ipv6'), ('localhost', 'ipv4'), ('', 'ipv4'), ('01.2.3.4', 'ipv4'),
    ('1.2.3.4\n', 'ipv4'), ('1.2.3.4\0', 'ipv4'), ('1.2.3.4%lo', 'ipv4'),
    ('[::1]', 'ipv6'), ('::1/64', 'ipv6'),
]  # fmt: skip


@pytest.mark.parametrize(('text', 'type'), BAD_ADDRESSES)
def test_bl13_bad_address(full: BlockList, text: str, type: str) -> None:
    good = '1.1.1.1' if type == 'ipv4' else '::1'
    calls: list[tuple[str, tuple[Any, ...]]] = [
        ('add_address', (text, type)),
        ('add_addresses', ([good, text], type)),
        ('add_range', (text, good, type)),
        ('add_range', (good, text, type)),
        ('add_subnet', (text, 8, type)),
        ('remove_address', (text, type)),
        ('remove_range', (text, good, type)),
        ('remove_subnet', (text, 8, type)),
    ]
    for name, args in calls:
        with pytest.raises(NodeError) as caught:
            getattr(full, name)(*args)
        assert caught.value.code == 'ERR_INVALID_ADDRESS', name
    assert full.rules == FULL


def test_bl13_bl16_a_zone_is_ignored(bl: BlockList) -> None:
    bl.add_address('fe80::1%eth0', 'ipv6')
    assert bl.rules == ['Address: IPv6 fe80::1']
    assert bl.check('fe80::1', 'ipv6')
    assert bl.check('fe80::1%lo', 'ipv6')


@pytest.mark.parametrize(
    ('type', 'code'),
    [
        ('ipv5', 'ERR_INVALID_ARG_VALUE'),
        ('inet', 'ERR_INVALID_ARG_VALUE'),
        ('', 'ERR_INVALID_ARG_VALUE'),
        (4, 'ERR_INVALID_ARG_TYPE'),
        (b'ipv4', 'ERR_INVALID_ARG_TYPE'),
        (['ipv4'], 'ERR_INVALID_ARG_TYPE'),
    ],
)
def test_bl14_bad_type(full: BlockList, type: Any, code: str) -> None:
    calls: list[tuple[str, tuple[Any, ...]]] = [
        ('add_address', ('1.1.1.1', type)),
        ('add_addresses', (['1.1.1.1'], type)),
        ('add_addresses', ([], type)),
        ('add_range', ('1.1.1.1', '1.1.1.2', type)),
        ('add_subnet', ('1.1.1.1', 8, type)),
        ('remove_address', ('1.1.1.1', type)),
        ('remove_range', ('1.1.1.1', '1.1.1.2', type)),
        ('remove_subnet', ('1.1.1.1', 8, type)),
    ]
    for name, args in calls:
        with pytest.raises(NodeError) as caught:
            getattr(full, name)(*args)
        assert caught.value.code == code, name
    if code == 'ERR_INVALID_ARG_TYPE':
        with pytest.raises(NodeError) as caught:
            full.check('1.1.1.1', type)
        assert caught.value.code == code
    assert full.rules == FULL


def test_gen05_type_none_is_the_default(bl: BlockList) -> None:
    bl.add_address('1.1.1.1', None)  # type: ignore[arg-type]
    assert bl.check('1.1.1.1', None)  # type: ignore[arg-type]


@pytest.mark.parametrize('value', [5, None, {}, b'1.2.3.4', b'\1\2\3\4', ['1.2.3.4'], True])
def test_bl15_wrong_type(full: BlockList, value: Any) -> None:
    calls: list[tuple[str, tuple[Any, ...]]] = [
        ('add_address', (value,)),
        ('add_addresses', (['1.1.1.1', value],)),
        ('add_range', (value, '1.1.1.2')),
        ('add_range', ('1.1.1.1', value)),
        ('add_subnet', (value, 8)),
        ('add_cidr', (value,)),
        ('add_cidrs', (['1.0.0.0/8', value],)),
        ('remove_address', (value,)),
        ('remove_range', (value, '1.1.1.2')),
        ('remove_subnet', (value, 8)),
        ('remove_cidr', (value,)),
        ('check', (value,)),
        ('check', (value, 'ipv6')),
    ]
    for name, args in calls:
        with pytest.raises(NodeError) as caught:
            getattr(full, name)(*args)
        assert caught.value.code == 'ERR_INVALID_ARG_TYPE', name
    assert full.rules == FULL


def test_bl16_socket_addresses(bl: BlockList) -> None:
    bl.add_address(v4('1.1.1.1', 99))
    bl.add_range(v4('2.0.0.1'), v4('2.0.0.9'))
    bl.add_range(v4('2.0.0.1'), '2.0.1.0')
    bl.add_subnet(v6('::5'), 124)
    bl.add_addresses([v6('::7:7'), '3.3.3.3'])
    assert bl.rules == [
        'Address: IPv4 3.3.3.3',
        'Address: IPv6 ::0.7.0.7',
        'Address: IPv4 1.1.1.1',
        'Subnet: IPv6 ::5/124',
        'Range: IPv4 2.0.0.1-2.0.1.0',
        'Range: IPv4 2.0.0.1-2.0.0.9',
    ]
    assert bl.check('1.1.1.1')
    assert bl.check(v4('1.1.1.1', 5))
    assert bl.check(v4('1.1.1.1'), 'ipv6')
    assert bl.check(v4('1.1.1.1'), 4)  # type: ignore[arg-type]
    assert bl.check('::a', 'ipv6')
    assert bl.check(v6('::5'))
    assert not bl.check(v6('::10'))
    bl.remove_address(v6('::7:7'), 'inet')
    bl.remove_subnet(v6('::5'), 124)
    assert not bl.check(v6('::5'))


def test_bl17_rules_are_live(bl: BlockList) -> None:
    assert not bl.check('127.0.0.1')
    bl.add_address('127.0.0.1')
    assert bl.check('127.0.0.1')
    bl.clear()
    assert not bl.check('127.0.0.1')


def test_ex06() -> None:
    bl = BlockList()
    bl.add_address('123.123.123.123')
    bl.add_range('10.0.0.1', '10.0.0.10')
    bl.add_subnet('8592:757c:efae:4e45::', 64, type='ipv6')
    assert bl.check('123.123.123.123')
    assert bl.check('10.0.0.3')
    assert not bl.check('222.111.111.222')
    assert bl.check('::ffff:7b7b:7b7b', type='ipv6')
    assert bl.check('::ffff:123.123.123.123', type='ipv6')


def test_ex06_node_names() -> None:
    bl: Any = BlockList()
    bl.addAddress('127.0.0.1')
    bl.addSubnet('8592:757c:efae:4e45::', 64, 'ipv6')
    cls: Any = BlockList
    assert cls.isBlockList(bl)
    assert len(bl.rules) == 2
    names = (
        'addAddresses addRange addCIDR addCIDRs removeAddress removeRange removeSubnet removeCIDR'
    )
    assert set(names.split()) | {'toJSON', 'fromJSON', 'PRIVATE_RANGES'} <= set(dir(bl))
    assert not [name for name in dir(bl) if 'PRIVATERANGES' in name]


# BX-04


def test_bx04_json_round_trip(full: BlockList) -> None:
    assert full.to_json() == FULL
    for data in (FULL, tuple(FULL), json.dumps(full.to_json())):
        again = BlockList()
        again.from_json(data)
        # Added in the order of the list, so within each kind the order turns round, as in Node.
        assert again.rules == [FULL[i] for i in (1, 0, 3, 2, 5, 4)]


def test_bx04_from_json_adds(full: BlockList) -> None:
    full.from_json(['Subnet: IPv4 7.0.0.0/8'])
    assert full.size == 7
    assert full.check('7.1.1.1')


def test_bx04_unrecognised_texts_are_skipped(bl: BlockList) -> None:
    bl.from_json(
        [
            'x', '', 'Address: IPv4 x', 'Address: IPv5 1.1.1.1', 'address: IPv4 1.1.1.1',
            'Address: ipv4 1.1.1.1', 'Address:  IPv4 1.1.1.1',
            'Address: IPv4 ::1', 'Subnet: IPv4 1.2.3.4',
            'Subnet: IPv4 1.2.3.4/', 'Subnet: IPv4 1.2.3.4/x', 'Range: IPv6 ::1-',
            'Subnet: IPv4 x/8', 'Range: IPv6 ::1 - ::5', 'Range: IPv4 1.1.1.1',
            'Range: IPv4 1.1.1.1-',
            'Range: IPv4 1.1.1.1-x', 'Range: IPv4 x-1.1.1.1', 'Address: IPv4 7.7.7.7',
            ' Address: IPv4 7.7.7.8 ', 'zzAddress: IPv4 7.7.7.9zz', 'Subnet: IPv4 1.2.3.4/08',
        ]
    )  # fmt: skip
    assert bl.rules == [
        'Address: IPv4 7.7.7.9',
        'Address: IPv4 7.7.7.8',
        'Address: IPv4 7.7.7.7',
        'Subnet: IPv4 1.2.3.4/8',
    ]


@pytest.mark.parametrize(
    'text',
    [
        *('Address: IPv4 300.1.1.1', 'Address: IPv6 :::', 'Address: IPv6 1.1.1.1'),
        *('Subnet: IPv4 999.1.1.1/8', 'Range: IPv4 1.1.1.1-1.1.1.300'),
    ],
)
def test_bx04_what_only_looks_like_an_address_is_refused(bl: BlockList, text: str) -> None:
    with pytest.raises(NodeError) as raised:
        bl.from_json(['Address: IPv4 7.7.7.7', text])
    assert raised.value.code == 'ERR_INVALID_ADDRESS'
    assert bl.rules == []


@pytest.mark.parametrize(
    ('data', 'code'),
    [
        (5, 'ERR_INVALID_ARG_TYPE'),
        (None, 'ERR_INVALID_ARG_TYPE'),
        ({}, 'ERR_INVALID_ARG_TYPE'),
        (b'[]', 'ERR_INVALID_ARG_TYPE'),
        ('5', 'ERR_INVALID_ARG_TYPE'),
        ('"x"', 'ERR_INVALID_ARG_TYPE'),
        ('{"a": 1}', 'ERR_INVALID_ARG_TYPE'),
        (['Address: IPv4 1.1.1.1', 5], 'ERR_INVALID_ARG_TYPE'),
        ([['Address: IPv4 1.1.1.1']], 'ERR_INVALID_ARG_TYPE'),
        ('x', 'ERR_INVALID_ARG_VALUE'),
        ('', 'ERR_INVALID_ARG_VALUE'),
        ('[' * 100_000, 'ERR_INVALID_ARG_VALUE'),
        (['Address: IPv4 1.1.1.1', 'Range: IPv4 1.2.3.4-1.2.3.1'], 'ERR_INVALID_ARG_VALUE'),
        (['Address: IPv4 1.1.1.1', 'Subnet: IPv4 1.2.3.4/33'], 'ERR_OUT_OF_RANGE'),
        (['Subnet: IPv6 ::/129'], 'ERR_OUT_OF_RANGE'),
    ],
)
def test_bx04_bad_data(full: BlockList, data: Any, code: str) -> None:
    with pytest.raises(NodeError) as caught:
        full.from_json(data)
    assert caught.value.code == code
    assert full.rules == FULL


# BX-05

BAD_CIDRS = [
    ('1.2.3.4', 'ERR_INVALID_ARG_VALUE'),
    ('', 'ERR_INVALID_ARG_VALUE'),
    ('1.2.3.4/', 'ERR_INVALID_ARG_VALUE'),
    ('1.2.3.4/08', 'ERR_INVALID_ARG_VALUE'),
    ('1.2.3.4/00', 'ERR_INVALID_ARG_VALUE'),
    ('1.2.3.4/-0', 'ERR_INVALID_ARG_VALUE'),
    ('1.2.3.4/ 8', 'ERR_INVALID_ARG_VALUE'),
    ('1.2.3.4/8 ', 'ERR_INVALID_ARG_VALUE'),
    ('1.2.3.4/8\n', 'ERR_INVALID_ARG_VALUE'),
    ('1.2.3.4/+8', 'ERR_INVALID_ARG_VALUE'),
    ('1.2.3.4/1e1', 'ERR_INVALID_ARG_VALUE'),
    ('1.2.3.4/0x8', 'ERR_INVALID_ARG_VALUE'),
    ('1.2.3.4/8.0', 'ERR_INVALID_ARG_VALUE'),
    ('1.2.3.4/\u0663', 'ERR_INVALID_ARG_VALUE'),
    ('1.2.3.4/255.0.0.0', 'ERR_INVALID_ARG_VALUE'),
    ('1.2.3.4/33', 'ERR_OUT_OF_RANGE'),
    ('1.2.3.4/128', 'ERR_OUT_OF_RANGE'),
    ('1.2.3.4/-1', 'ERR_OUT_OF_RANGE'),
    ('1.2.3.4/' + '9' * 5000, 'ERR_OUT_OF_RANGE'),
    ('::/129', 'ERR_OUT_OF_RANGE'),
    (' 1.2.3.4/8', 'ERR_INVALID_ADDRESS'),
    ('1.2.3.4/8/8', 'ERR_INVALID_ADDRESS'),
    ('/8', 'ERR_INVALID_ADDRESS'),
    ('x/8', 'ERR_INVALID_ADDRESS'),
    ('x/99', 'ERR_INVALID_ADDRESS'),
    ('[::]/8', 'ERR_INVALID_ADDRESS'),
]


@pytest.mark.parametrize(('cidr', 'code'), BAD_CIDRS)
def test_bx05_bad_cidr(full: BlockList, cidr: str, code: str) -> None:
    calls: list[tuple[Any, Any]] = [
        (full.add_cidr, cidr),
        (full.remove_cidr, cidr),
        (full.add_cidrs, ['5.0.0.0/8'] * 100 + [cidr]),
        (full.add_cidrs, iter(['5.0.0.0/8', cidr, '6.0.0.0/8'])),
    ]
    for method, value in calls:
        with pytest.raises(NodeError) as caught:
            method(value)
        assert caught.value.code == code, method
    assert full.rules == FULL
    assert not full.check('5.0.0.1')


def test_bx05_a_bad_item_is_named(bl: BlockList) -> None:
    with pytest.raises(NodeError) as caught:
        bl.add_cidrs(['1.0.0.0/8', '2.0.0.0/8', 'x/8'])
    assert any('cidrs[2]' in note for note in caught.value.__notes__)
    with pytest.raises(NodeError) as caught:
        bl.add_addresses(['1.0.0.0', 'x'])
    assert any('addresses[1]' in note for note in caught.value.__notes__)


def test_bx05_an_iterator_that_fails_changes_nothing(full: BlockList) -> None:
    def lines() -> Any:
        yield '5.0.0.0/8'
        raise LookupError

    with pytest.raises(LookupError):
        full.add_cidrs(lines())
    assert full.rules == FULL


@pytest.mark.parametrize('more', [0, 100])
def test_bx05_an_iterator_that_changes_the_list(full: BlockList, more: int) -> None:
    def lines() -> Any:
        yield '5.0.0.0/8'
        full.add_subnet('6.0.0.0', 8)
        full.add_address('6.0.0.1')
        yield '7.0.0.0/8'
        yield from ['8.0.0.0/8'] * more

    full.add_cidrs(lines())
    assert full.size == 10 + more
    assert all(full.check(f'{n}.0.0.0') for n in (5, 6, 7))
    full.remove_subnet('6.0.0.0', 8)
    assert [full.check(f'6.0.0.{n}') for n in range(3)] == [False, True, False]
    full.remove_address('6.0.0.1')
    assert not full.check('6.0.0.1')


def test_bx05_cidr(bl: BlockList) -> None:
    for cidr in ('10.0.0.1/8', '2001:DB8::/32', 'fe80::1%eth0/64', '::ffff:1.2.3.4/120', '::1/128'):
        bl.add_cidr(cidr)
    assert bl.rules == [
        'Subnet: IPv6 ::1/128',
        'Subnet: IPv6 ::ffff:1.2.3.4/120',
        'Subnet: IPv6 fe80::1/64',
        'Subnet: IPv6 2001:db8::/32',
        'Subnet: IPv4 10.0.0.1/8',
    ]
    assert bl.check('1.2.3.0')
    assert not bl.check('1.2.4.0')
    assert bl.check('10.255.255.255')


@pytest.mark.parametrize('make', [list, tuple, iter, lambda x: dict.fromkeys(x).keys()])
def test_bx05_bulk_takes_iterables(bl: BlockList, make: Any) -> None:
    bl.add_addresses(make(['1.1.1.1', '2.2.2.2']))
    bl.add_addresses(make(['::1', '::2']), 'ipv6')
    bl.add_cidrs(make(['3.0.0.0/8', '4::/16']))
    assert bl.rules == [
        'Address: IPv6 ::2',
        'Address: IPv6 ::1',
        'Address: IPv4 2.2.2.2',
        'Address: IPv4 1.1.1.1',
        'Subnet: IPv6 4::/16',
        'Subnet: IPv4 3.0.0.0/8',
    ]


@pytest.mark.parametrize('value', ['1.1.1.1', '1.0.0.0/8', b'x', None, 5, {'1.1.1.1': 1}])
def test_bx05_bulk_refuses_what_is_no_collection(full: BlockList, value: Any) -> None:
    for method in (full.add_addresses, full.add_cidrs):
        with pytest.raises(NodeError) as caught:
            method(value)
        assert caught.value.code == 'ERR_INVALID_ARG_TYPE'
    assert full.rules == FULL


def test_bx05_removal_is_exact_and_of_one(bl: BlockList) -> None:
    bl.add_cidrs(['1.0.0.0/8', '2.0.0.0/8', '1.0.0.0/8'])
    bl.remove_cidr('1.0.0.1/8')
    bl.remove_subnet('1.0.0.0', 9)
    bl.remove_range('1.0.0.0', '1.255.255.255')
    bl.remove_address('1.0.0.0')
    assert bl.size == 3
    bl.remove_cidr('1.0.0.0/8')
    # Of equal rules the most recent goes, as in Node.
    assert bl.rules == ['Subnet: IPv4 2.0.0.0/8', 'Subnet: IPv4 1.0.0.0/8']
    assert bl.check('1.2.3.4')
    bl.remove_subnet('1.0.0.0', 8)
    assert bl.rules == ['Subnet: IPv4 2.0.0.0/8']
    assert not bl.check('1.2.3.4')


def test_bx05_a_mapped_subnet_or_range_is_a_rule_of_its_own(bl: BlockList) -> None:
    bl.add_subnet('::ffff:1.1.1.0', 120, 'ipv6')
    bl.add_range('::ffff:1.1.1.0', '::ffff:1.1.1.9', 'ipv6')
    bl.remove_subnet('1.1.1.0', 24)
    bl.remove_range('1.1.1.0', '1.1.1.9')
    assert bl.size == 2
    bl.remove_subnet('::ffff:1.1.1.0', 120, 'ipv6')
    assert [bl.check(f'1.1.1.{n}') for n in (9, 10)] == [True, False]


def test_bx05_removal_uncovers_only_what_nothing_else_covers(bl: BlockList) -> None:
    bl.add_subnet('10.0.0.0', 8)
    bl.add_range('10.0.0.5', '10.0.0.9')
    bl.add_range('10.0.0.10', '10.0.0.20')
    bl.add_address('10.0.0.7')
    bl.remove_subnet('10.0.0.0', 8)
    found = [n for n in range(256) if bl.check(f'10.0.0.{n}')]
    assert found == list(range(5, 21))
    bl.remove_range('10.0.0.5', '10.0.0.9')
    found = [n for n in range(256) if bl.check(f'10.0.0.{n}')]
    assert found == [7, *range(10, 21)]


def test_bx05_a_backward_range_to_remove_is_unknown(full: BlockList) -> None:
    full.remove_range('10.0.0.9', '10.0.0.1')
    full.remove_range(v4('10.0.0.1'), v6('::1'))
    assert full.rules == FULL


def test_bx05_size_and_clear(full: BlockList) -> None:
    assert full.size == 6
    full.clear()
    assert (full.size, full.rules, full.check('1.2.3.4')) == (0, [], False)
    full.add_address('1.2.3.4')
    assert full.check('1.2.3.4')


def test_bx05_private_ranges(bl: BlockList) -> None:
    bl.add_cidrs(BlockList.PRIVATE_RANGES)
    assert bl.size == len(BlockList.PRIVATE_RANGES) == 8
    for text in ('10.1.2.3', '172.31.0.1', '192.168.0.1', '127.0.0.1', '169.254.1.1'):
        assert bl.check(text), text
    for text in ('::1', 'fe80::1', 'fc00::1', 'fdff::1', '::ffff:10.0.0.1'):
        assert bl.check(text, 'ipv6'), text
    for text in ('11.0.0.0', '172.32.0.0', '128.0.0.0', '8.8.8.8'):
        assert not bl.check(text), text
    with pytest.raises(TypeError):
        BlockList.PRIVATE_RANGES[0] = 'x'  # type: ignore[index]


def test_repr(full: BlockList) -> None:
    assert repr(full) == '<BlockList: 6 rules>'


def test_entries_for_servers(full: BlockList) -> None:
    cases = {
        '1.2.3.4': True,
        '1.2.3.5': False,
        '::ffff:1.2.3.4': True,
        'fe80::9%eth0': True,
        '2001:db8::1': True,
        '2001:db8::2': False,
        'x': False,
        '': False,
        'x:y': False,
    }
    assert {text: full._check_text(text) for text in cases} == cases
    assert full._check_packed(bytes((1, 2, 3, 4)))
    assert full._check_packed(bytes(10) + b'\xff\xff\1\2\3\4')
    assert full._check_packed(b'\xfe\x80' + bytes(14))
    assert not full._check_packed(bytes(16))
    assert not full._check_packed(bytes(4))


@pytest.mark.parametrize(('method', 'args', 'answers'), TABLE)
def test_bl09_families_and_mapped_addresses_as_in_node(
    bl: BlockList, method: str, args: tuple[Any, ...], answers: str
) -> None:
    getattr(bl, method)(*args)
    assert ''.join(str(int(bl.check(*asked))) for asked in CHECKS) == answers
    # In bulk the rules go another way.
    bulk = BlockList()
    bulk.add_cidrs(f'10.{n}.0.0/32' for n in range(40))
    bulk.from_json([*bl.rules, *(f'Address: IPv4 11.0.0.{n}' for n in range(40))])
    assert ''.join(str(int(bulk.check(*asked))) for asked in CHECKS) == answers
