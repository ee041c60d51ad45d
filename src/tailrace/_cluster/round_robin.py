"""Round robin: the primary accepts and hands each connection to a worker in turn.

Who is next: the worker with the fewest connections that it has not taken over yet, of those the one
whose turn it is. So idle workers alternate, and one that is stuck does not collect connections.

A worker says that it takes a connection over before it touches it. Until then the primary keeps its
own descriptor: a connection that a worker refuses (it is full, CL-06) or never took because it died
goes to another one, unread. When all are full the queue waits here, and behind it in the
kernel's backlog.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from .. import _runtime, _timers
from .._handles import StreamHandle
from .places import Answer, Place

__all__ = ['RoundRobin']

#: Connections that one worker is given before it has taken over the first.
WINDOW = 32
#: Connections that wait here before accepting stops, and before it goes on.
FULL, ROOM = 128, 64
#: ms until a failed hand-over (too many descriptors in flight) is tried again.
REST = 50


class Given(Protocol):
    """A worker, as far as this file knows one."""

    def give(self, place: int, fds: Sequence[int], failed: Any) -> None:
        """Send connections; ``failed()`` is called later if they could not be sent."""


class _Member:
    __slots__ = ('batch', 'full', 'in_flight', 'worker')

    def __init__(self, worker: Any) -> None:
        self.worker = worker
        #: What it was sent and has not answered, in order; and what it will be sent with the tick.
        self.in_flight: deque[StreamHandle] = deque()
        self.batch: list[StreamHandle] = []
        self.full = False

    @property
    def load(self) -> int:
        return len(self.in_flight) + len(self.batch)


class RoundRobin(Place):
    """One listening socket in the primary and the workers it feeds."""

    policy = 'rr'

    def __init__(self, number: int, key: str, handle: Any, what: dict[str, Any]) -> None:
        super().__init__(number, key, handle, what)
        self._ring: list[_Member] = []
        self._next = 0
        #: Workers that get nothing more and have not answered for all they were sent.
        self._leaving: list[_Member] = []
        self._queue: deque[StreamHandle] = deque()
        self._paused = False
        self._flushing = False

    def start(self) -> int:
        self.handle.on_connection = self._accepted
        return self.handle.listen(self.backlog)

    # -- who takes part -----------------------------------------------------------------------

    def add(self, worker: Any, answer: Answer) -> None:
        super().add(worker, answer)
        self._ring.append(_Member(worker))
        self._distribute()

    def remove(self, worker: Any, dead: bool) -> None:
        for member in [*self._ring, *self._leaving]:
            if member.worker is worker:
                self._remove(member, dead)
        super().remove(worker, dead)

    def _remove(self, member: _Member, dead: bool) -> None:
        back = member.batch
        member.batch = []
        if dead:
            back = [*member.in_flight, *back]
            member.in_flight.clear()
        if member in self._ring:
            at = self._ring.index(member)
            del self._ring[at]
            if at < self._next:
                self._next -= 1
            if member.in_flight:
                self._leaving.append(member)
        elif not member.in_flight and member in self._leaving:
            self._leaving.remove(member)
        self._put_back(back)

    def _put_back(self, handles: list[StreamHandle]) -> None:
        if handles:
            self._queue.extendleft(reversed(handles))
            self._distribute()
        self._drop_orphans()

    def maybe_close(self) -> None:
        super().maybe_close()
        self._drop_orphans()

    def _drop_orphans(self) -> None:
        """Nobody listens any more: what waits is closed, as the kernel does with its backlog."""
        if self.handle.fd < 0:
            while self._queue:
                self._queue.popleft().close()

    # -- connections --------------------------------------------------------------------------

    def _accepted(self, handle: StreamHandle) -> None:
        self._queue.append(handle)
        self._distribute()

    def _choose(self) -> _Member | None:
        ring = self._ring
        count = len(ring)
        best, least = -1, WINDOW
        for i in range(count):
            at = (self._next + i) % count
            member = ring[at]
            if not member.full and member.load < least:
                best, least = at, member.load
                if not least:
                    break
        if best < 0:
            return None
        self._next = (best + 1) % count
        return ring[best]

    def _distribute(self) -> None:
        queue = self._queue
        while queue:
            member = self._choose()
            if member is None:
                break
            member.batch.append(queue.popleft())
            if not self._flushing:
                self._flushing = True
                _runtime.current().push(self._flush, ())
        if self._paused:
            if len(queue) <= ROOM and self.handle.fd >= 0:
                self._paused = False
                self.handle.resume()
        elif len(queue) >= FULL and self.handle.fd >= 0:
            self._paused = True
            self.handle.pause()

    def _flush(self) -> None:
        self._flushing = False
        for member in list(self._ring):
            if member.batch:
                self._send(member)

    def _send(self, member: _Member) -> None:
        batch, member.batch = member.batch, []
        member.in_flight.extend(batch)

        def failed() -> None:
            for handle in batch:
                if handle in member.in_flight:
                    member.in_flight.remove(handle)
                    self._queue.append(handle)
            _timers.set_timeout(self._distribute, REST)

        member.worker.give(self.number, [handle.fd for handle in batch], failed)

    def took(self, worker: Any, accepted: bool) -> None:
        """The worker's answer to the oldest connection that it was sent."""
        for member in [*self._ring, *self._leaving]:
            if member.worker is worker and member.in_flight:
                handle = member.in_flight.popleft()
                if accepted:
                    handle.close()
                    self._settled(member)
                else:
                    member.full = True
                    self._settled(member)
                    self._put_back([handle])
                return

    def _settled(self, member: _Member) -> None:
        if not member.in_flight and member in self._leaving:
            self._leaving.remove(member)
        if self._queue:
            self._distribute()

    def room(self, worker: Any) -> None:
        """The worker has room again."""
        for member in self._ring:
            if member.worker is worker:
                member.full = False
        self._distribute()

    @property
    def waiting(self) -> int:
        """Connections that no worker has been given."""
        return len(self._queue)

    @property
    def unanswered(self) -> int:
        """Connections that workers have been given and not answered for."""
        return sum(member.load for member in [*self._ring, *self._leaving])
