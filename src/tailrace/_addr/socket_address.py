"""An address with port, family and flow label, as a value.

It knows how such a value is checked, parsed, compared and shown. It refuses to know sockets:
nothing here is ever bound or resolved.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from tailrace._names import Record, merge_options, node_names
from tailrace._validate import bad_type, bad_value, check_int, check_port, check_str
from tailrace.errors import InvalidAddressError

from .ip import number_v4, number_v6, text_v4, text_v6

__all__ = ['SocketAddress']

_OPTIONS = ('address', 'family', 'flowlabel', 'port')

#: AM-31. The port has at most five digits; a longer text is no port, however many zeros it has.
_match = re.compile(r'(?:\[([^]]*)]|([^]:[]*))(?::([0-9]{0,5}))?').fullmatch


class SocketAddressOptions(TypedDict, total=False):
    """Keywords of :class:`SocketAddress`."""

    address: str | None
    family: str | None
    flowlabel: int | None
    port: int | str | None


@node_names
class SocketAddress:
    """An immutable socket address.

    Options, as keywords or in one mapping:

    - ``address`` (str): default ``'127.0.0.1'``, for family ``'ipv6'`` ``'::'``. A zone
      is accepted and dropped, as Node does.
    - ``family`` (str): ``'ipv4'`` (default) or ``'ipv6'``, in any case.
    - ``flowlabel`` (int): 0 (default) to 0xFFFFF; reads 0 for family ``'ipv4'``.
    - ``port`` (int or decimal text): 0 (default) to 65535.

    Raises ERR_INVALID_ARG_TYPE for options that are no mapping, an address that is no text or a
    flow label that is no number; ERR_INVALID_ARG_VALUE for another family; ERR_INVALID_ADDRESS
    for text that is no address of the family; ERR_OUT_OF_RANGE for the flow label;
    ERR_SOCKET_BAD_PORT for the port.

    Values compare equal, and hash alike, when all four parts are equal. They are ordered by
    family (IPv4 first), then address as a number, then port, then flow label.
    """

    __slots__ = ('_address', '_key')

    _address: str
    _key: tuple[int, int, int, int]

    def __init__(
        self,
        options: Mapping[str, Any] | None = None,
        **keywords: Unpack[SocketAddressOptions],
    ) -> None:
        if options is not None and not isinstance(options, Mapping):
            bad_type('options', 'a mapping', options)
        given = merge_options('SocketAddress', options, keywords, _OPTIONS)
        family = given.get('family')
        if family is None:
            version = 4
        elif isinstance(family, str) and family.lower() in ('ipv4', 'ipv6'):
            version = int(family[-1])
        else:
            bad_value('family', "'ipv4' or 'ipv6'", family)
        address = given.get('address')
        if address is not None:
            check_str('address', address)
        port = given.get('port')
        port = 0 if port is None else check_port('port', port)
        label = given.get('flowlabel')
        # An IPv4 address has none, so only what is no flow label at all is refused for it.
        most = 0xFFFFF if version == 6 else 0xFFFFFFFF
        label = 0 if label is None else check_int('flowlabel', label, 0, most)
        # The address last: Node's order, which decides the code when several are wrong.
        if address is None:
            number = 0x7F000001 if version == 4 else 0
        else:
            number = _number(version, address)
        self._set(version, number, port, label)

    def _set(self, version: int, number: int, port: int, label: int) -> None:
        self._address = text_v4(number) if version == 4 else text_v6(number)
        self._key = (version, number, port, label if version == 6 else 0)

    @classmethod
    def _make(cls, version: int, number: int, port: int = 0, label: int = 0) -> SocketAddress:
        """One from checked parts."""
        self = cls.__new__(cls)
        self._set(version, number, port, label)
        return self

    @property
    def address(self) -> str:
        """Canonical text of the address: lower case, compressed IPv6."""
        return self._address

    @property
    def family(self) -> Literal['ipv4', 'ipv6']:
        """``'ipv4'`` or ``'ipv6'``."""
        return 'ipv4' if self._key[0] == 4 else 'ipv6'

    @property
    def flowlabel(self) -> int:
        """The IPv6 flow label, 0 for IPv4."""
        return self._key[3]

    @property
    def port(self) -> int:
        """The port."""
        return self._key[2]

    @staticmethod
    def parse(input: str) -> SocketAddress | None:
        """The address in ``'1.2.3.4'``, ``'1.2.3.4:80'``, ``'[::1]'`` or ``'[::1]:80'``.

        Strict: a literal without zone, IPv6 in brackets, a decimal port of up to five
        digits; no port, or an empty one, is 0. Anything else gives None.

        Raises ERR_INVALID_ARG_TYPE when ``input`` is no text.
        """
        found = _match(check_str('input', input))
        if found is None:
            return None
        six, four, digits = found.groups()
        port = int(digits) if digits else 0
        if port > 65535:
            return None
        if six is None:
            number = number_v4(four)
        else:
            number = -1 if '%' in six else number_v6(six)
        if number < 0:
            return None
        return SocketAddress._make(4 if six is None else 6, number, port)

    @staticmethod
    def is_socket_address(value: object) -> bool:
        """True only for a SocketAddress."""
        return isinstance(value, SocketAddress)

    def to_json(self) -> Record:
        """The four parts as a mapping: address, port, family, flowlabel."""
        return Record(
            address=self.address, port=self.port, family=self.family, flowlabel=self.flowlabel
        )

    def __repr__(self) -> str:
        text = f'SocketAddress(address={self.address!r}, family={self.family!r}, port={self.port}'
        return f'{text}, flowlabel={self.flowlabel})' if self.flowlabel else f'{text})'

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, SocketAddress) else NotImplemented

    def __lt__(self, other: object) -> bool:
        return self._key < other._key if isinstance(other, SocketAddress) else NotImplemented

    def __le__(self, other: object) -> bool:
        return self._key <= other._key if isinstance(other, SocketAddress) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self._key > other._key if isinstance(other, SocketAddress) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return self._key >= other._key if isinstance(other, SocketAddress) else NotImplemented

    if TYPE_CHECKING:  # Node's spellings; see node_names
        isSocketAddress = is_socket_address
        toJSON = to_json


def _number(version: int, text: str) -> int:
    number = number_v4(text) if version == 4 else number_v6(text)
    if number < 0:
        raise InvalidAddressError(f'{text!r} is not an IPv{version} address')
    return number
