"""``BlockList``: the public face of the rules.

Arguments are checked and read here, completely, before anything changes: a call that raises has
changed nothing, also when it is the last of a million lines that is wrong. How rules are kept
and asked is behind ``rule_set``; sockets and servers are not known.

For servers, in this package only: :meth:`BlockList._check_text` and
:meth:`BlockList._check_packed` take a peer address of either family as the system gives it and
check no type of argument.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from socket import AF_INET, inet_pton
from typing import TYPE_CHECKING, ClassVar, NoReturn, TypeGuard, TypeVar

from tailrace._names import node_names
from tailrace._validate import bad_type, bad_value, check_int, check_str, out_of_range, shown
from tailrace.errors import InvalidAddressError, InvalidArgValueError, NodeError

from .intervals import covers_v4
from .ip import MAPPED, MASK32, number_v4, number_v6
from .rule_set import Batch, RuleSet
from .socket_address import SocketAddress

__all__ = ['BlockList']

_from_bytes = int.from_bytes
_MAPPED_END = MAPPED | MASK32
_PREFIXES = {str(n): n for n in range(129)}
_is_whole = re.compile(r'0|-?[1-9][0-9]*').fullmatch
_V4, _V6 = r'[0-9]{1,3}(?:\.[0-9]{1,3}){3}', r'[0-9a-fA-F:][0-9a-fA-F:.]{0,44}'
#: Kind, family, address, and the prefix or the other end; found anywhere in the text.
_rule_in = re.compile(
    rf'Address: IPv4 ({_V4})|Subnet: IPv4 ({_V4})/([0-9]{{1,3}})|Range: IPv4 ({_V4})-({_V4})'
    rf'|Address: IPv6 ({_V6})|Subnet: IPv6 ({_V6})/([0-9]{{1,3}})|Range: IPv6 ({_V6})-({_V6})'
).search
_T = TypeVar('_T')


@node_names
class BlockList:
    """Rules that say which addresses are blocked: single addresses, ranges and subnets.

    Given to a server or socket as ``block_list``, it is asked at each connection, so rules that
    come later count for later connections.

    In all methods an address is text or a :class:`SocketAddress`; ``type`` is the family of an
    address that is text, ``'ipv4'`` (default) or ``'ipv6'`` in any case, and is ignored for a
    SocketAddress, whose port and flow label play no role. A zone is ignored. The
    IPv4-mapped IPv6 addresses ``::ffff:a.b.c.d`` and their IPv4 addresses are the same addresses,
    in rules and in checks. An IPv6 range counts for IPv4 addresses only if both of its ends are
    such addresses, an IPv6 subnet if it lies among them or contains them all.

    Unless a method says otherwise, it raises ERR_INVALID_ARG_TYPE for an address that is neither
    text nor SocketAddress and for a ``type`` that is no text, ERR_INVALID_ARG_VALUE
    for a ``type`` of no known family and ERR_INVALID_ADDRESS for text that is no address of
    the family. A call that raises changes nothing.

    With n rules, ``check``, ``add_address``, ``add_range``, ``add_subnet``, ``add_cidr`` and the
    removals take O(log n) steps beside moving a few kilobytes; there is no rebuild after a change.
    """

    __slots__ = ('__weakref__', '_rules')

    #: Private, loopback, link-local and unique local networks, for ``add_cidrs``.
    PRIVATE_RANGES: ClassVar[tuple[str, ...]] = (
        '10.0.0.0/8',
        '172.16.0.0/12',
        '192.168.0.0/16',
        '127.0.0.0/8',
        '::1/128',
        '169.254.0.0/16',
        'fe80::/10',
        'fc00::/7',
    )

    def __init__(self) -> None:
        self._rules = RuleSet()

    # Adding

    def add_address(self, address: str | SocketAddress, type: str = 'ipv4') -> None:
        """Block one address. The same address, in either notation, is one rule."""
        self._rules.add('Address', *_read('address', address, type))

    def add_addresses(self, addresses: Iterable[str | SocketAddress], type: str = 'ipv4') -> None:
        """Block each address of an iterable, all or, on any error, none.

        Raises ERR_INVALID_ARG_TYPE also when ``addresses`` is no iterable, or is text.
        """
        many = _iterable('addresses', addresses)
        _family(type)
        batch = self._rules.batch()
        for i, address in enumerate(many):
            try:
                batch.put('Address', *_read('address', address, type))
            except NodeError as error:
                error.add_note(f'This is addresses[{i}]; no address was added.')
                raise
        self._rules.commit(batch)

    def add_range(
        self, start: str | SocketAddress, end: str | SocketAddress, type: str = 'ipv4'
    ) -> None:
        """Block every address from ``start`` to ``end``, both inclusive.

        Raises ERR_INVALID_ARG_VALUE also when ``end`` comes before ``start`` or is of the other
        family.
        """
        self._rules.add('Range', *_forward(start, end, type))

    def add_subnet(self, net: str | SocketAddress, prefix: int, type: str = 'ipv4') -> None:
        """Block all addresses that share the first ``prefix`` bits with ``net``.

        Bits of ``net`` behind the prefix are ignored by ``check`` and kept in ``rules``.

        Raises ERR_OUT_OF_RANGE for a prefix that is no whole number from 0 to 32 (IPv6: 128) and
        ERR_INVALID_ARG_TYPE for one that is no number.
        """
        self._rules.add('Subnet', *_read_subnet(net, prefix, type))

    def add_cidr(self, cidr: str) -> None:
        """Block a subnet written ``'10.0.0.0/8'`` or ``'fc00::/7'``.

        Raises ERR_INVALID_ARG_TYPE when ``cidr`` is no text, ERR_INVALID_ARG_VALUE when the prefix
        is missing or no plain decimal number, ERR_OUT_OF_RANGE when it is too long for the family,
        ERR_INVALID_ADDRESS when what stands before it is no address.
        """
        self._rules.add('Subnet', *_read_cidr(cidr))

    def add_cidrs(self, cidrs: Iterable[str]) -> None:
        """Block each subnet of an iterable, all or, on any error, none.

        Lines of a file need their line ends taken off: ``add_cidrs(map(str.strip, file))``. A
        million lines take some seconds.

        Raises as :meth:`add_cidr` does; ERR_INVALID_ARG_TYPE also when ``cidrs`` is no iterable, or
        is text.
        """
        batch = self._rules.batch()
        for i, cidr in enumerate(_iterable('cidrs', cidrs)):
            try:
                batch.put('Subnet', *_read_cidr(cidr))
            except NodeError as error:
                error.add_note(f'This is cidrs[{i}]; no subnet was added.')
                raise
        self._rules.commit(batch)

    # Removing

    def remove_address(self, address: str | SocketAddress, type: str = 'ipv4') -> None:
        """Remove the rule of one address, in either notation; no rule, no effect."""
        self._rules.remove('Address', *_read('address', address, type))

    def remove_range(
        self, start: str | SocketAddress, end: str | SocketAddress, type: str = 'ipv4'
    ) -> None:
        """Remove one rule with just this start and end; no such rule, no effect."""
        family, key = _read_range(start, end, type)
        if key >= 0:
            self._rules.remove('Range', family, key)

    def remove_subnet(self, net: str | SocketAddress, prefix: int, type: str = 'ipv4') -> None:
        """Remove one rule with just this net and prefix; no such rule, no effect.

        Raises as :meth:`add_subnet` does.
        """
        self._rules.remove('Subnet', *_read_subnet(net, prefix, type))

    def remove_cidr(self, cidr: str) -> None:
        """Remove one subnet rule given in CIDR text; no such rule, no effect.

        Raises as :meth:`add_cidr` does.
        """
        self._rules.remove('Subnet', *_read_cidr(cidr))

    def clear(self) -> None:
        """Remove all rules."""
        self._rules.clear()

    # Asking

    def check(self, address: str | SocketAddress, type: str = 'ipv4') -> bool:
        """Whether any rule blocks the address.

        Text that is no address of the family is not blocked; a ``type`` of no known family counts
        as ``'ipv6'``, as in Node. Raises only ERR_INVALID_ARG_TYPE.
        """
        if address.__class__ is str:
            # Fast paths: with a million rules checking an IPv4 address takes about 1 us, of which
            # writing number_v4 out saves 0.07, and an IPv6 address 1.5 us.
            if type == 'ipv4':
                if covers_v4 is not None:
                    return covers_v4(address, self._rules.cover_v4.lists)  # type: ignore[no-any-return]
                try:
                    number = _from_bytes(inet_pton(AF_INET, address), 'big')  # pyright: ignore[reportArgumentType]
                except (OSError, ValueError):
                    return False
                return self._rules.cover_v4.covers(number)
            if type == 'ipv6':
                return self._check_v6(number_v6(address))  # pyright: ignore[reportArgumentType]
        if isinstance(address, SocketAddress):
            version, number = address._key[:2]
            return self._rules.cover_v4.covers(number) if version == 4 else self._check_v6(number)
        if not isinstance(address, str):
            bad_type('address', 'text or a SocketAddress', address)
        if type is None or check_str('type', type).lower() == 'ipv4':
            number = number_v4(address)
            return number >= 0 and self._rules.cover_v4.covers(number)
        return self._check_v6(number_v6(address))

    def _check_v6(self, number: int) -> bool:
        if number > _MAPPED_END or 0 <= number < MAPPED:
            return self._rules.cover_v6.covers(number)
        return number >= 0 and (
            self._rules.cover_v4.covers(number & MASK32) or self._rules.cover_v6.covers(number)
        )

    def _check_text(self, host: str) -> bool:
        """Whether an address of either family, as ``getpeername`` gives it, is blocked."""
        if ':' in host:
            return self._check_v6(number_v6(host))
        if covers_v4 is not None:
            return covers_v4(host, self._rules.cover_v4.lists)  # type: ignore[no-any-return]
        number = number_v4(host)
        return number >= 0 and self._rules.cover_v4.covers(number)

    def _check_packed(self, address: bytes) -> bool:
        """Whether an address in network order, 4 or 16 bytes, is blocked."""
        if len(address) == 4:
            if covers_v4 is not None:
                return covers_v4(address, self._rules.cover_v4.lists)  # type: ignore[no-any-return]
            return self._rules.cover_v4.covers(_from_bytes(address, 'big'))
        return self._check_v6(_from_bytes(address, 'big'))

    @property
    def rules(self) -> list[str]:
        """The rules as text, a fresh list each time.

        ``'Address: IPv4 1.2.3.4'``, ``'Subnet: IPv6 fe80::/10'``, ``'Range: IPv6 ::1-::9'``.
        For people, not for programs: addresses come first, then subnets, then ranges, of each kind
        the most recent first, as in Node. An address that is added again is not repeated.
        """
        return self._rules.texts()

    @property
    def size(self) -> int:
        """How many rules there are."""
        return self._rules.size

    @staticmethod
    def is_block_list(value: object) -> bool:
        """True only for a BlockList."""
        return isinstance(value, BlockList)

    def __repr__(self) -> str:
        return f'<BlockList: {self.size} rules>'

    # JSON

    def to_json(self) -> list[str]:
        """The same as :attr:`rules`."""
        return self.rules

    def from_json(self, data: str | list[str] | tuple[str, ...]) -> None:
        """Add the rules in a list of rule texts, or in its JSON text, all or none.

        A text without a rule in it is skipped, as in Node. The rules are added in the order of the
        list, so the first of them becomes the oldest in :attr:`rules`.

        Raises ERR_INVALID_ARG_TYPE for anything but a list of text, ERR_INVALID_ARG_VALUE for text
        that is no JSON or a range that runs backwards, ERR_OUT_OF_RANGE for a prefix that is too
        long, ERR_INVALID_ADDRESS for what only looks like an address.
        """
        items: object = data
        if isinstance(data, str):
            import json  # 2 ms, which only this needs

            try:
                items = json.loads(data)
            except (ValueError, RecursionError) as error:
                raise InvalidArgValueError(f'data must be JSON, not {shown(data)}') from error
        if not _is_list(items):
            bad_type('data', 'a list of rule texts or its JSON text', items)
        texts = [check_str(f'data[{i}]', item) for i, item in enumerate(items)]
        batch = self._rules.batch()
        for text in texts:
            _put_rule(batch, text)
        self._rules.commit(batch)

    if TYPE_CHECKING:  # Node's spellings; see node_names
        addAddress = add_address
        addAddresses = add_addresses
        addRange = add_range
        addSubnet = add_subnet
        addCIDR = add_cidr
        addCIDRs = add_cidrs
        removeAddress = remove_address
        removeRange = remove_range
        removeSubnet = remove_subnet
        removeCIDR = remove_cidr
        isBlockList = is_block_list
        toJSON = to_json
        fromJSON = from_json


def _family(type: str | None) -> int:
    """4 or 6, out of the argument ``type``."""
    if type is None or type == 'ipv4':
        return 4
    if type == 'ipv6':
        return 6
    known = {'ipv4': 4, 'ipv6': 6}.get(check_str('type', type).lower())
    if known is None:
        bad_value('type', "'ipv4' or 'ipv6'", type)
    return known


def _read(name: str, address: object, type: str) -> tuple[int, int]:
    """Family and number of an address argument."""
    if isinstance(address, SocketAddress):
        return address._key[:2]
    if not isinstance(address, str):
        bad_type(name, 'text or a SocketAddress', address)
    family = _family(type)
    number = number_v4(address) if family == 4 else number_v6(address)
    if number < 0:
        _bad_address(name, address, f'IPv{family}')
    return family, number


def _read_range(start: object, end: object, type: str) -> tuple[int, int]:
    """Family and key of a range; the key is -1 if it is none."""
    family, first = _read('start', start, type)
    other, last = _read('end', end, type)
    if other != family or last < first:
        return family, -1
    return family, first << (32 if family == 4 else 128) | last


def _read_subnet(net: object, prefix: object, type: str) -> tuple[int, int]:
    family, number = _read('net', net, type)
    return family, number << 8 | check_int('prefix', prefix, 0, 32 if family == 4 else 128)


def _read_cidr(cidr: str) -> tuple[int, int]:
    if not isinstance(cidr, str):
        bad_type('cidr', 'text such as 10.0.0.0/8', cidr)
    net, slash, digits = cidr.rpartition('/')
    prefix = _PREFIXES.get(digits, -1)
    if not slash or (prefix < 0 and _is_whole(digits) is None):
        bad_value('cidr', 'an address and a prefix such as 10.0.0.0/8', cidr)
    if ':' in net:
        family, bits, number = 6, 128, number_v6(net)
    else:
        family, bits, number = 4, 32, number_v4(net)
    if number < 0:
        _bad_address('cidr', cidr, 'IP')
    if not 0 <= prefix <= bits:
        out_of_range('the prefix of cidr', f'from 0 to {bits}', cidr)
    return family, number << 8 | prefix


def _bad_address(name: str, value: str, wanted: str) -> NoReturn:
    raise InvalidAddressError(f'{name} must be an {wanted} address, not {shown(value)}')


def _iterable(name: str, value: Iterable[_T]) -> Iterator[_T]:
    """Any iterable but those that are one value to their reader."""
    given: object = value
    if isinstance(value, (str, bytes, bytearray, Mapping)) or not isinstance(value, Iterable):
        bad_type(name, 'a list or another iterable', given)
    return iter(value)


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, (list, tuple))


def _put_rule(batch: Batch, text: str) -> None:
    """Put the rule in this text into a batch; skip what looks like none."""
    found = _rule_in(text)
    if found is None:
        return
    kind, family = found[0].split(': IPv')
    type = 'ipv' + family[0]
    what = [group for group in found.groups() if group is not None]
    if kind == 'Address':
        batch.put('Address', *_read('data', what[0], type))
    elif kind == 'Subnet':
        batch.put('Subnet', *_read_subnet(what[0], int(what[1]), type))
    else:
        batch.put('Range', *_forward(what[0], what[1], type))


def _forward(start: object, end: object, type: str) -> tuple[int, int]:
    """Family and key of a range that does not run backwards."""
    family, key = _read_range(start, end, type)
    if key < 0:
        bad_value('start', f'an address of the same family as end, not after it ({end!r})', start)
    return family, key
