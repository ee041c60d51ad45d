"""Tools for testing protocols that are built on tailrace.

- :func:`socket_pair`: two real sockets connected in memory, with :class:`Faults` if wanted: delay,
  splitting, short writes, a cut, a reset or an end after n bytes. :func:`tcp_pair` and
  :func:`unix_pair` are the same over the kernel, :func:`memory_pair` two plain Duplex streams.
- :class:`Trace`: records events.
- :class:`FakeClock`: timers go by a time that the test moves. :class:`VirtualTimeLoop`: an event
  loop on which waiting takes no time, asyncio's own timers included.
- :func:`check_duplex`: the contract of a Duplex, to be run against a stream class of your own.
"""

from ._stream.memory import memory_pair
from ._testing.clock import FakeClock
from ._testing.contract import CLAUSES, check_duplex
from ._testing.faults import Faults
from ._testing.pairs import socket_pair, tcp_pair, unix_pair
from ._testing.trace import Event, Trace
from ._testing.virtual import VirtualTimeLoop

__all__ = [
    'CLAUSES',
    'Event',
    'FakeClock',
    'Faults',
    'Trace',
    'VirtualTimeLoop',
    'check_duplex',
    'memory_pair',
    'socket_pair',
    'tcp_pair',
    'unix_pair',
]
