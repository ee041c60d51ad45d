"""Who may connect: how many connections a peer has open, and how often it comes.

Arithmetic on addresses and a clock. A peer is an address and the network around it: /24 of IPv4,
/64 of IPv6, which is what one customer of a provider usually has. This file refuses to know
sockets, servers and the loop.

Memory is bounded whoever comes: what is limited is counted in at most two entries for each open
connection, and rates are remembered for ``PEERS`` addresses and networks, of which the oldest are
forgotten first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from .._addr.ip import packed
from .._validate import bad_type, check_number, milliseconds, out_of_range

__all__ = ['PEERS', 'Limiter', 'Rate', 'count_limit', 'network_of']

#: How many addresses and networks the rates are remembered for: about 11 MB when all are taken.
PEERS: Final = 65536
_HALF: Final = PEERS // 2


def network_of(key: bytes) -> bytes:
    """The network of a packed address: 3 bytes of IPv4, 8 of IPv6."""
    return key[:3] if len(key) == 4 else key[:8]


def count_limit(name: str, value: Any) -> int | float | None:
    """A limit on a count: None or a number that is not negative; ERR_OUT_OF_RANGE if it is."""
    if value is None:
        return None
    number = check_number(name, value)
    if not number >= 0:
        out_of_range(name, 'not negative', value)
    return None if number == math.inf else number


class Rate:
    """At most ``count`` in any ``ms``, a burst of them included.

    Kept as the time at which the next one is due if they came evenly (the generic cell rate
    algorithm): one number for each peer, nothing to be done as time passes.
    """

    __slots__ = ('interval', 'slack')

    def __init__(self, count: float, ms: float) -> None:
        #: Seconds between two that come evenly.
        self.interval: float = ms / 1000 / count
        #: How many seconds one may come before it is due.
        self.slack: float = max(0.0, ms / 1000 - self.interval)

    @classmethod
    def of(cls, name: str, value: Any) -> Rate | None:
        """A rate out of a number (a second) or a pair (count, ms); None for None.

        Raises ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE.
        """
        if value is None:
            return None
        # Any: compiled, a name keeps the type of the first thing it is given.
        given: Any = value
        count: Any = value
        ms: Any = 1000
        if isinstance(value, (tuple, list)):
            if len(given) != 2:
                bad_type(name, 'a number, or a pair of a count and a time in ms', given)
            count, ms = given
        if isinstance(count, bool) or not isinstance(count, (int, float)):
            bad_type(name, 'a number, or a pair of a count and a time in ms', given)
        if not 0 < count < math.inf:
            out_of_range(name, 'greater than 0', given)
        period = milliseconds(name, ms)
        if not period:
            out_of_range(name, 'a rate in a time that is longer than 0 ms', given)
        try:
            return cls(float(count), float(period))
        except OverflowError:
            out_of_range(name, 'a rate of numbers that a float can hold', given)


class Limiter:
    """Admits connections by the address they come from; see ``PEERS`` for the memory it takes.

    ``clock()`` gives seconds.
    """

    __slots__ = (
        '_clock',
        '_older',
        '_open',
        '_recent',
        'address_rate',
        'full',
        'key',
        'network',
        'network_rate',
        'per_address',
        'per_network',
    )

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        #: Open connections from each address and network.
        self._open: dict[bytes, int] = {}
        # When the next one is due, by address and network, in two halves: when the newer is full
        # it becomes the older, and what was in the older and did not come again is forgotten.
        self._recent: dict[bytes, float] = {}
        self._older: dict[bytes, float] = {}
        self.per_address: int | float | None = None
        self.per_network: int | float | None = None
        self.address_rate: Rate | None = None
        self.network_rate: Rate | None = None
        #: Whether too many bytes are queued for anybody to be admitted.
        self.full = False
        #: Whom the last call has admitted, for :meth:`release_key`.
        self.key: bytes = b''
        self.network: bytes = b''

    @property
    def about_peers(self) -> bool:
        """Whether any limit needs an address."""
        counting = self.per_address is not None or self.per_network is not None
        return counting or self.address_rate is not None or self.network_rate is not None

    def admit(self, address: str | None) -> str | None:
        """Count a connection from ``address``, or say which limit forbids it (its Node name).

        None is a peer without an address: no limit on peers counts for it. What was admitted must
        be released; what was not has left no trace.
        """
        return self.admit_key(None if address is None else packed(address), self._clock())

    def admit_key(self, key: bytes | None, now: float) -> str | None:
        """:meth:`admit`, by whoever has the address as bytes and has looked at the clock."""
        if self.full:
            return 'maxQueuedBytes'
        if key is None:
            self.key = self.network = b''
            return None
        counts = self._open
        self.key = key
        network = self.network = network_of(key)
        of_network, of_address = 0, 0
        if self.per_network is not None:
            of_network = counts.get(network, 0)
            if of_network >= self.per_network:
                return 'maxConnectionsPerNetwork'
        if self.per_address is not None:
            of_address = counts.get(key, 0)
            if of_address >= self.per_address:
                return 'maxConnectionsPerAddress'
        of_networks, of_addresses = self.network_rate, self.address_rate
        network_due, due = now, now
        if of_networks is not None:
            network_due = self._due(network, now)
            if network_due - now > of_networks.slack:
                return 'maxRatePerNetwork'
        if of_addresses is not None:
            due = self._due(key, now)
            if due - now > of_addresses.slack:
                return 'maxRatePerAddress'
            self._remember(key, due + of_addresses.interval)
        if of_networks is not None:
            self._remember(network, network_due + of_networks.interval)
        if self.per_network is not None:
            counts[network] = of_network + 1
        if self.per_address is not None:
            counts[key] = of_address + 1
        return None

    def forget(self) -> None:
        """Nobody has a connection open any more, or all are counted again."""
        self._open.clear()

    def count(self, address: str) -> None:
        """Count a connection that is open already."""
        key = self.key = packed(address)
        network = self.network = network_of(key)
        if self.per_network is not None:
            self._open[network] = self._open.get(network, 0) + 1
        if self.per_address is not None:
            self._open[key] = self._open.get(key, 0) + 1

    def release(self, address: str | None) -> None:
        """A connection that was admitted from ``address`` is closed."""
        if address is not None:
            key = packed(address)
            self.release_key(key, network_of(key))

    def release_key(self, key: bytes, network: bytes) -> None:
        """:meth:`release`, by whoever has kept :attr:`key` and :attr:`network`."""
        counts = self._open
        if self.per_network is not None:
            left = counts.get(network, 0) - 1
            if left > 0:
                counts[network] = left
            else:
                counts.pop(network, None)
        if self.per_address is not None:
            left = counts.get(key, 0) - 1
            if left > 0:
                counts[key] = left
            else:
                counts.pop(key, None)

    def remembered(self) -> int:
        """How many addresses and networks are in the tables."""
        return len(self._open) + len(self._recent) + len(self._older)

    def _due(self, key: bytes, now: float) -> float:
        due = self._recent.get(key)
        if due is None:
            due = self._older.get(key, now)
        return due if due > now else now

    def _remember(self, key: bytes, due: float) -> None:
        if len(self._recent) >= _HALF:
            self._older, self._recent = self._recent, {}
        self._recent[key] = due
