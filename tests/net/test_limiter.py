"""Who is admitted: addresses, networks, counts and rates, on a clock that the test moves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace import errors
from tailrace._addr.ip import packed
from tailrace._net.limiter import PEERS, Limiter, Rate, count_limit, network_of


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def limiter(**options: Any) -> tuple[Limiter, Clock]:
    clock = Clock()
    made = Limiter(clock)
    for name, value in options.items():
        setattr(made, name, value)
    return made, clock


@pytest.mark.parametrize(
    ('one', 'other', 'same_address', 'same_network'),
    [
        ('192.0.2.1', '192.0.2.1', True, True),
        ('192.0.2.1', '192.0.2.254', False, True),
        ('192.0.2.1', '192.0.3.1', False, False),
        ('192.0.2.1', '::ffff:192.0.2.1', True, True),
        ('192.0.2.1', '::ffff:c000:2ff', False, True),
        ('2001:db8::1', '2001:0db8:0:0::1', True, True),
        ('2001:db8::1', '2001:db8::2:1', False, True),
        ('2001:db8::1', '2001:db8:0:1::1', False, False),
        ('fe80::1%eth0', 'fe80::1%eth1', True, True),
        ('::1', '0.0.0.1', False, False),
    ],
)
def test_what_one_peer_is(one: str, other: str, same_address: bool, same_network: bool) -> None:
    assert (packed(one) == packed(other)) is same_address
    assert (network_of(packed(one)) == network_of(packed(other))) is same_network


@pytest.mark.parametrize('text', ['', 'localhost', '1.2.3', 'fe80::1::2', '1.2.3.4\0', '\ud800'])
def test_what_is_no_address_is_one_peer(text: str) -> None:
    assert packed(text) == b''


def test_a_count_for_each_address() -> None:
    one, _ = limiter(per_address=2)
    assert [one.admit('192.0.2.1') for _ in range(3)] == [None, None, 'maxConnectionsPerAddress']
    assert one.admit('::ffff:192.0.2.1') == 'maxConnectionsPerAddress'
    assert one.admit('192.0.2.2') is None
    one.release('::ffff:192.0.2.1')
    assert one.admit('192.0.2.1') is None


def test_a_count_for_each_network() -> None:
    one, _ = limiter(per_network=2)
    assert one.admit('2001:db8::1') is None
    assert one.admit('2001:db8::2') is None
    assert one.admit('2001:db8::3') == 'maxConnectionsPerNetwork'
    assert one.admit('2001:db8:0:1::1') is None
    one.release('2001:db8::2')
    assert one.admit('2001:db8::3') is None


def test_an_unknown_address_is_under_no_limit_of_peers() -> None:
    one, _ = limiter(per_address=0, per_network=0, address_rate=Rate(1, 1000))
    assert one.admit(None) is None
    one.release(None)
    assert not limiter()[0].about_peers
    assert one.about_peers
    one.full = True
    assert one.admit(None) == 'maxQueuedBytes'


def test_a_rate_allows_a_burst_and_then_comes_evenly() -> None:
    one, clock = limiter(address_rate=Rate(4, 2000))
    assert [one.admit('192.0.2.1') for _ in range(5)] == [None] * 4 + ['maxRatePerAddress']
    assert one.admit('192.0.2.2') is None
    clock.now += 0.5
    assert [one.admit('192.0.2.1') for _ in range(2)] == [None, 'maxRatePerAddress']
    clock.now += 2.0
    assert [one.admit('192.0.2.1') for _ in range(5)] == [None] * 4 + ['maxRatePerAddress']


def test_less_than_one_a_second() -> None:
    one, clock = limiter(network_rate=Rate(0.5, 1000))
    assert one.admit('192.0.2.1') is None
    clock.now += 1.5
    assert one.admit('192.0.2.7') == 'maxRatePerNetwork'
    clock.now += 0.5
    assert one.admit('192.0.2.7') is None


def test_what_is_refused_leaves_no_trace() -> None:
    one, clock = limiter(per_address=1, network_rate=Rate(2, 1000), address_rate=Rate(100, 1000))
    assert one.admit('192.0.2.1') is None
    before = one.remembered()
    assert one.admit('192.0.2.1') == 'maxConnectionsPerAddress'
    assert one.remembered() == before
    assert one.admit('192.0.2.2') is None
    assert one.admit('192.0.2.3') == 'maxRatePerNetwork'
    clock.now += 0.5
    assert one.admit('192.0.2.3') is None


@given(st.lists(st.floats(0, 0.4), max_size=60), st.integers(1, 5))
def test_no_window_ever_holds_more_than_twice_the_burst(gaps: list[float], count: int) -> None:
    """A burst after a rest, and what has come due meanwhile: never more than that in any window."""
    one, clock = limiter(address_rate=Rate(count, 1000))
    times = []
    for gap in gaps:
        clock.now += gap
        if one.admit('192.0.2.1') is None:
            times.append(clock.now)
    for start in times:
        assert sum(start <= at < start + 1 for at in times) <= 2 * count


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 600)), max_size=200))
def test_the_count_is_that_of_a_plain_model(steps: list[tuple[bool, int]]) -> None:
    one, _ = limiter(per_address=2, per_network=3)
    held: list[str] = []
    for comes, number in steps:
        address = f'192.0.{number // 256}.{number % 4}'
        if comes:
            network = address.rpartition('.')[0] + '.'
            full = held.count(address) >= 2 or sum(h.startswith(network) for h in held) >= 3
            assert (one.admit(address) is None) is not full
            if not full:
                held.append(address)
        elif held:
            one.release(held.pop(number % len(held)))
    for address in held:
        one.release(address)
    assert one.remembered() == 0


def test_many_addresses_do_not_grow_the_tables() -> None:
    one, _ = limiter(per_address=5, address_rate=Rate(5, 1000), network_rate=Rate(1000, 1000))
    most = 0
    for number in range(2 * PEERS):
        address = f'10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}'
        assert one.admit(address) is None
        one.release(address)
        most = max(most, one.remembered())
    assert PEERS // 2 < most <= PEERS + 2


def test_one_that_keeps_coming_is_not_forgotten() -> None:
    one, _ = limiter(address_rate=Rate(3, 3_600_000))
    for number in range(PEERS):
        if number % (PEERS // 8) == 0:
            told = one.admit('192.0.2.1')
        one.admit(f'10.0.{number >> 8 & 255}.{number & 255}')
    assert told == 'maxRatePerAddress'


@pytest.mark.parametrize(
    ('value', 'code'),
    [
        ('5', 'ERR_INVALID_ARG_TYPE'),
        (True, 'ERR_INVALID_ARG_TYPE'),
        ((1, 2, 3), 'ERR_INVALID_ARG_TYPE'),
        (('1', 2), 'ERR_INVALID_ARG_TYPE'),
        ((1, '2'), 'ERR_INVALID_ARG_TYPE'),
        (0, 'ERR_OUT_OF_RANGE'),
        (-1, 'ERR_OUT_OF_RANGE'),
        (float('nan'), 'ERR_OUT_OF_RANGE'),
        (float('inf'), 'ERR_OUT_OF_RANGE'),
        ((1, 0), 'ERR_OUT_OF_RANGE'),
        ((1, -5), 'ERR_OUT_OF_RANGE'),
    ],
)
def test_rates_that_make_no_sense(value: Any, code: str) -> None:
    with pytest.raises(errors.NodeError) as caught:
        Rate.of('rate', value)
    assert caught.value.code == code


def test_counts_that_make_no_sense() -> None:
    assert count_limit('n', None) is None
    assert count_limit('n', float('inf')) is None
    assert count_limit('n', 0) == 0
    for value, code in (
        ('1', 'ERR_INVALID_ARG_TYPE'),
        (-1, 'ERR_OUT_OF_RANGE'),
        (float('nan'), 'ERR_OUT_OF_RANGE'),
    ):
        with pytest.raises(errors.NodeError) as caught:
            count_limit('n', value)
        assert caught.value.code == code
