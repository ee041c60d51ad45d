"""BlockList against a naive list of intervals and against ``ipaddress``.

Blocks are made tiny here, so that a few rules split and join them.
"""

import ipaddress
import random
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace._addr import BlockList, sorted_blocks
from tailrace._addr.ip import MAPPED, text_v4, text_v6

SPACE = {4: 2**32, 6: 2**128}
MASK32 = 2**32 - 1


def text_of(family: int, number: int) -> str:
    return text_v4(number) if family == 4 else text_v6(number)


@contextmanager
def small_blocks(size: int) -> Iterator[None]:
    before = sorted_blocks.BLOCK
    sorted_blocks.BLOCK = size
    try:
        yield
    finally:
        sorted_blocks.BLOCK = before


class Naive:
    """A list of (kind, family, first number, last number or prefix); IPv4 is counted as mapped."""

    def __init__(self) -> None:
        self.rules: list[tuple[str, int, int, int]] = []

    @staticmethod
    def known_as(rule: tuple[str, int, int, int]) -> tuple[str, int, int, int]:
        """The rule, but an address of IPv4 in one notation only."""
        kind, family, a, _ = rule
        if kind == 'Address' and family == 6 and a >> 32 == 0xFFFF:
            return 'Address', 4, a & MASK32, 0
        return rule

    def add(self, rule: tuple[str, int, int, int]) -> None:
        rule = self.known_as(rule)
        if rule[0] != 'Address' or rule not in self.rules:
            self.rules.append(rule)

    def remove(self, rule: tuple[str, int, int, int]) -> None:
        rule = self.known_as(rule)
        if rule in self.rules:
            self.rules.remove(rule)

    def spans(self) -> list[tuple[int, int, bool]]:
        """First and last as IPv6 numbers, and whether the rule counts for IPv4."""
        out = []
        for kind, family, a, b in self.rules:
            if kind == 'Subnet':
                hosts = SPACE[family] // 2**b - 1
                first, last = a & ~hosts, a | hosts
            else:
                first, last = a, (b if kind == 'Range' else a)
            shift = MAPPED if family == 4 else 0
            mapped = [MAPPED <= number <= MAPPED | MASK32 for number in (first, last)]
            meets = first <= MAPPED | MASK32 and last >= MAPPED
            speaks = family == 4 or (meets if kind == 'Subnet' else all(mapped))
            out.append((first + shift, last + shift, speaks))
        return out

    def check(self, family: int, number: int) -> bool:
        point = number + (MAPPED if family == 4 else 0)
        return any(
            first <= point <= last and (speaks or family == 6)
            for first, last, speaks in self.spans()
        )


def apply(bl: BlockList, verb: str, rule: tuple[str, int, int, int]) -> None:
    kind, family, a, b = rule
    type = f'ipv{family}'
    text = text_of(family, a)
    if kind == 'Address':
        (bl.add_address if verb == 'add' else bl.remove_address)(text, type)
    elif kind == 'Range':
        (bl.add_range if verb == 'add' else bl.remove_range)(text, text_of(family, b), type)
    elif a & 1:
        (bl.add_cidr if verb == 'add' else bl.remove_cidr)(f'{text}/{b}')
    else:
        (bl.add_subnet if verb == 'add' else bl.remove_subnet)(text, b, type)


def points(family: int) -> st.SearchStrategy[int]:
    """Numbers that meet each other: both ends, the mapped addresses, and a small crowd."""
    top = SPACE[family] - 1
    special = [0, 1, top, top - 1, top // 2, top // 2 + 1]
    if family == 6:
        special += [MAPPED, MAPPED - 1, MAPPED + MASK32, MAPPED + MASK32 + 1, MAPPED + 5, 2**64]
    near = st.integers(0, 24).map(lambda n: 0x0A000000 + n)
    if family == 6:
        near |= st.integers(0, 24).map(lambda n: MAPPED + 0x0A000000 + n)
        near |= st.integers(0, 6).map(lambda n: (0x20010DB8 << 96) + (n << 64) + n)
    return st.one_of(near, near, st.sampled_from(special), st.integers(0, top))


def rules() -> st.SearchStrategy[tuple[str, int, int, int]]:
    def of(family: int) -> st.SearchStrategy[tuple[str, int, int, int]]:
        bits = 32 if family == 4 else 128
        pair = st.tuples(points(family), points(family)).map(sorted)
        return st.one_of(
            points(family).map(lambda a: ('Address', family, a, 0)),
            pair.map(lambda p: ('Range', family, p[0], p[1])),
            st.builds(
                lambda a, b: ('Subnet', family, a, b),
                points(family),
                st.integers(bits - 6, bits) | st.integers(0, bits),
            ),
        )

    return of(4) | of(6)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just('add'), st.lists(rules(), min_size=1, max_size=12)),
        st.tuples(st.just('bulk'), st.lists(rules(), min_size=1, max_size=60)),
        st.tuples(st.just('remove'), st.lists(st.integers(0, 10**6), min_size=1, max_size=20)),
        st.tuples(st.just('remove unknown'), st.lists(rules(), min_size=1, max_size=3)),
    ),
    max_size=8,
)


def bulk(bl: BlockList, naive: Naive, new: list[tuple[str, int, int, int]]) -> None:
    """Add addresses and subnets in bulk, the ranges through from_json."""
    for family in (4, 6):
        some = [r for r in new if r[0] == 'Address' and r[1] == family]
        bl.add_addresses([text_of(family, r[2]) for r in some], f'ipv{family}')
    bl.add_cidrs(f'{text_of(r[1], r[2])}/{r[3]}' for r in new if r[0] == 'Subnet')
    bl.from_json(
        [f'Range: IPv{f} {text_of(f, a)}-{text_of(f, b)}' for k, f, a, b in new if k == 'Range']
    )
    for rule in new:
        naive.add(rule)


def compare(bl: BlockList, naive: Naive, probes: set[int]) -> None:
    spans = naive.spans()
    edges = {edge + d for span in spans for edge in span[:2] for d in (-1, 0, 1)} | probes
    for point in edges:
        if 0 <= point < 2**128:
            meet = [speaks for first, last, speaks in spans if first <= point <= last]
            assert bl.check(text_v6(point), 'ipv6') == bool(meet), text_v6(point)
            if point >> 32 == 0xFFFF:
                assert bl.check(text_v4(point & MASK32)) == any(meet)
    assert bl.size == len(bl.rules) == len(naive.rules)
    words = Counter(text.split(':')[0] for text in bl.rules)
    assert words == Counter(kind for kind, *_ in naive.rules)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.sets(points(6), max_size=8))
def test_equals_a_naive_list_through_changes(
    steps: list[tuple[str, list]], probes: set[int]
) -> None:
    with small_blocks(12):
        bl, naive = BlockList(), Naive()
        for verb, what in steps:
            if verb == 'bulk':
                bulk(bl, naive, what)
            for item in what:
                if verb == 'add':
                    apply(bl, 'add', item)
                    naive.add(item)
                elif verb == 'remove' and naive.rules:
                    item = naive.rules[item % len(naive.rules)]
                if verb.startswith('remove') and not isinstance(item, int):
                    apply(bl, 'remove', item)
                    naive.remove(item)
            compare(bl, naive, probes)
        random.Random(1).shuffle(naive.rules)
        for rule in list(naive.rules):
            apply(bl, 'remove', rule)
        assert bl.rules == []
        for cover in (bl._rules.cover_v4, bl._rules.cover_v6):
            # Everything taken away: one step, at 0 and of height 0, is left.
            assert list(cover.entries()) == [(0, -cover._bases[0])]


networks = st.builds(
    lambda family, number, bits: (family, number, min(bits, 32) if family == 4 else bits),
    st.just(4),
    st.integers(0, 2**32 - 1),
    st.integers(0, 32),
) | st.tuples(st.just(6), st.integers(0, 2**128 - 1), st.integers(0, 128))


@settings(max_examples=150, deadline=None)
@given(st.lists(networks, max_size=40), st.lists(networks, max_size=20), st.booleans())
def test_subnets_equal_ipaddress(
    nets: list[tuple[int, int, int]], probes: list[tuple[int, int, int]], at_once: bool
) -> None:
    cidrs = [f'{text_of(family, number)}/{bits}' for family, number, bits in nets]
    bl = BlockList()
    if at_once:
        bl.add_cidrs(cidrs)
    else:
        for cidr in cidrs:
            bl.add_cidr(cidr)
    known = [ipaddress.ip_network(cidr, strict=False) for cidr in cidrs]
    for family, number, _ in probes:
        address = ipaddress.ip_address(text_of(family, number))
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            continue
        # IPv6 rules over ::ffff:0:0/96 match IPv4 too (BL-09).
        mapped = address if family == 6 else ipaddress.IPv6Address(MAPPED + number)
        expected = any(address in net or mapped in net for net in known)
        assert bl.check(str(address), f'ipv{family}') == expected
    for net in known:
        type = f'ipv{net.version}'
        assert bl.check(str(net.network_address), type)
        assert bl.check(str(net.broadcast_address), type)


def random_rules(rng: random.Random, count: int) -> list[tuple[str, int, int, int]]:
    """Rules that overlap, nest and touch: numbers come from a few crowds and the ends."""
    crowds = {
        family: [0, SPACE[family] - 4096, *(rng.randrange(SPACE[family] - 9999) for _ in range(6))]
        for family in (4, 6)
    }
    crowds[6] += [MAPPED - 2048, MAPPED + crowds[4][3], MAPPED + MASK32 - 2048]
    out = []
    for _ in range(count):
        family = rng.choice((4, 4, 6))
        bits = 32 if family == 4 else 128
        a = rng.choice(crowds[family]) + rng.randrange(4096)
        kind = rng.choice(('Address', 'Address', 'Subnet', 'Subnet', 'Range'))
        if kind == 'Address':
            out.append((kind, family, a, 0))
        elif kind == 'Subnet':
            wide = rng.random() < 0.01
            out.append(
                (kind, family, a, rng.randint(0, bits) if wide else bits - rng.randint(0, 8))
            )
        else:
            wide = rng.random() < 0.01
            b = rng.randrange(SPACE[family]) if wide else min(a + rng.randrange(64), 2**bits - 1)
            out.append((kind, family, min(a, b), max(a, b)))
    return out


def random_set(seed: int, checks: int) -> int:
    """Make, change and ask one rule set; returns how many checks were compared."""
    rng = random.Random(seed)
    new = random_rules(rng, rng.randint(1, 2000))
    bl, naive = BlockList(), Naive()
    alone = new[: len(new) // 8]
    for rule in alone:
        apply(bl, 'add', rule)
    bulk(bl, naive, new[len(alone) :])
    addresses = {Naive.known_as(rule) for rule in new if rule[0] == 'Address'}
    naive.rules = [rule for rule in new if rule[0] != 'Address'] + sorted(addresses)
    rng.shuffle(naive.rules)
    for rule in naive.rules[: len(naive.rules) // 8]:
        apply(bl, 'remove', rule)
    del naive.rules[: len(naive.rules) // 8]
    assert bl.size == len(naive.rules)

    spans = naive.spans()
    edges = [edge + rng.randint(-1, 1) for span in spans for edge in span[:2]] or [0]
    asked = [
        rng.choice(edges) if rng.random() < 0.8 else rng.choice(edges) + rng.randint(-5000, 5000)
        for _ in range(checks)
    ]
    asked = sorted(min(max(point, 0), 2**128 - 1) for point in asked)
    # The naive side: each rule marks the asked points it holds, with no look at other rules.
    marks, marks_v4 = bytearray(checks), bytearray(checks)
    for first, last, speaks in spans:
        low, high = bisect_left(asked, first), bisect_right(asked, last)
        marks[low:high] = b'\1' * (high - low)
        if speaks:
            marks_v4[low:high] = b'\1' * (high - low)
    for point, mark, mark_v4 in zip(asked, marks, marks_v4, strict=True):
        if point >> 32 == 0xFFFF and point & 1:
            assert bl.check(text_v4(point & MASK32)) == mark_v4, (seed, text_v6(point))
        else:
            assert bl.check(text_v6(point), 'ipv6') == mark, (seed, text_v6(point))
    return checks


@pytest.mark.parametrize('part', range(4))
def test_a_thousand_random_sets_a_million_checks(part: int) -> None:
    with small_blocks(32):
        total = sum(random_set(seed, 1000) for seed in range(part * 250, part * 250 + 250))
    assert total == 250_000


def test_the_naive_marks_are_the_naive_list() -> None:
    """Guards the comparison above: a wrong answer of the list turns it red."""

    class Wrong(BlockList):
        def check(self, address: object, type: str = 'ipv4') -> bool:
            return super().check(address, type) and address != wrong  # type: ignore[arg-type]

    rng = random.Random(0)
    rule = random_rules(rng, 1)[0]
    naive = Naive()
    naive.add(rule)
    bl = Wrong()
    apply(bl, 'add', rule)
    wrong = text_v6(naive.spans()[0][0])
    with pytest.raises(AssertionError):
        compare(bl, naive, set())
