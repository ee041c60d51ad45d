"""``memory_pair``: two Duplex streams that are connected to each other, without a socket.

For tests, and for code that takes a stream. It behaves as a connected pair of sockets does: what
one end writes the other reads, later; a chunk is written when the other end has asked for it, so
that backpressure reaches the writer; ``end()`` is the other end's 'end'; destroying one end with
an error resets the other. This file refuses to know the loop but for "in its next iteration".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _runtime
from .._timers import soon
from ..errors import system_error
from .duplex import Duplex
from .state import L_DESTROYED, R_ENDED, R_READING, W_FINISHED

__all__ = ['MemoryEnd', 'memory_pair']

Done = Callable[[BaseException | None], object]


class MemoryEnd(Duplex):
    """One end; made by :func:`memory_pair`."""

    _peer: MemoryEnd

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        #: What the peer is writing: the chunk, and whom to tell.
        self._incoming: tuple[Any, Done] | None = None
        self._delivering = False

    def _read(self, size: int) -> None:
        self._deliver()

    def _write(self, chunk: Any, encoding: str, callback: Done) -> None:
        peer = self._peer
        if peer._life & L_DESTROYED:
            callback(system_error('EPIPE', 'write'))
            return
        peer._incoming = chunk, callback
        if peer._r & R_READING:
            peer._deliver()

    def _deliver(self) -> None:
        if self._incoming is not None and not self._delivering:
            self._delivering = True
            soon(_runtime.current(), self._hand_over)

    def _hand_over(self) -> None:
        self._delivering = False
        incoming, self._incoming = self._incoming, None
        if incoming is not None:
            chunk, callback = incoming
            self.push(chunk)
            callback(None)

    def _final(self, callback: Done) -> None:
        soon(_runtime.current(), self._peer._no_more)
        callback(None)

    def _no_more(self) -> None:
        if not self._r & R_ENDED and not self._life & L_DESTROYED:
            self.push(None)

    def _destroy(self, error: BaseException | None, callback: Done) -> None:
        peer = self._peer
        incoming, self._incoming = self._incoming, None
        outgoing, peer._incoming = peer._incoming, None
        if outgoing is not None:
            outgoing[1](error)
        if incoming is not None:
            incoming[1](system_error('EPIPE', 'write'))
        if error is not None:
            soon(_runtime.current(), peer._reset)
        elif not self._w & W_FINISHED:
            soon(_runtime.current(), peer._no_more)
        callback(error)

    def _reset(self) -> None:
        if not self._life & L_DESTROYED:
            self.destroy(system_error('ECONNRESET', 'read'))


def memory_pair(
    *, high_water_mark: int | None = None, allow_half_open: bool = True
) -> tuple[Duplex, Duplex]:
    """Two connected Duplex streams of bytes.

    ``high_water_mark``: for both sides of both, default 65536 bytes. ``allow_half_open``: with
    False an end that has read to the end ends its writing too, as a Socket does by default.
    Destroying an end without an error ends the other's reading; with an error the other fails with
    ECONNRESET; writing to a destroyed end fails with EPIPE.
    """
    options = {'high_water_mark': high_water_mark, 'allow_half_open': allow_half_open}
    one, two = MemoryEnd(dict(options)), MemoryEnd(dict(options))
    one._peer, two._peer = two, one
    # As a connected socket does, both fill their buffers before anybody asks.
    one.read(0)
    two.read(0)
    return one, two
