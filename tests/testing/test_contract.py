"""The contract of a Duplex, run against every pair there is; and that it notices offences."""

from __future__ import annotations

from typing import Any

import pytest

from tailrace import Duplex, testing
from tailrace.testing import CLAUSES, Faults

PAIRS: dict[str, Any] = {
    'memory': testing.memory_pair,
    'sockets in memory': testing.socket_pair,
    'slow and split': lambda **o: testing.socket_pair(
        Faults(delay=1, split=4096, short_writes=5000), Faults(split=3000), **o
    ),
    'tcp': testing.tcp_pair,
    'unix': testing.unix_pair,
}


@pytest.mark.parametrize('clause', CLAUSES)
@pytest.mark.parametrize('kind', PAIRS)
def test_pair_keeps_the_contract(run: Any, kind: str, clause: str) -> None:
    async def main() -> None:
        assert await testing.check_duplex(PAIRS[kind], clauses=[clause]) == [clause]

    run(main)


class Broken(Duplex):
    """One end of a pair with one thing wrong."""

    peer: Broken
    fault = ''

    def _read(self, size: int) -> None:
        pass

    def _write(self, chunk: bytes, encoding: str, callback: Any) -> None:
        if self.fault == 'loses':
            chunk = chunk[1:]
        self.peer.push(chunk)
        callback(None)

    def _final(self, callback: Any) -> None:
        if self.fault != 'never ends':
            self.peer.push(None)
        callback(None)


def broken(fault: str) -> Any:
    def make(**options: Any) -> Any:
        one, two = Broken(options), Broken(options)
        one.peer, two.peer = two, one
        one.fault = two.fault = fault
        return one, two

    return make


@pytest.mark.parametrize(
    ('fault', 'clause'),
    [
        ('loses', 'everything_arrives_in_order'),
        ('never ends', 'the_end_of_one_side_ends_both'),
        ('no back pressure', 'back_pressure_reaches_the_writer'),
        ('silent destroy', 'the_peer_notices_a_destroyed_end'),
    ],
)
def test_offence_is_noticed(
    run: Any, fault: str, clause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tailrace._testing import contract

    monkeypatch.setattr(contract, 'PATIENCE', 0.3)

    async def main() -> None:
        with pytest.raises(AssertionError, match=clause):
            await testing.check_duplex(broken(fault), clauses=[clause])

    run(main)
