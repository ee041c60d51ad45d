"""Places: what workers listen on together, and what the primary does for each way of sharing it.

A place is an address that the primary has bound, and the workers that use it. Here are those where
the kernel spreads connections: a shared listening socket (SCHED_NONE), and a port that every worker
binds for itself (SO_REUSEPORT). ``round_robin.py`` is the third. This file refuses to know how a
worker is talked to: ``answer(reply, fds)`` is given.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from .._handles import DONE, ListenHandle
from .._handles.make import open_listener, pipe_listener, tcp_listener
from .._runtime import Runtime
from ..errors import code_of

__all__ = ['GIVE', 'TOOK', 'Answer', 'Place', 'Reserved', 'Shared', 'bind']

#: What is said for every connection, in plain bytes: place and count to the worker, place and
#: whether it takes the connection over to the primary.
GIVE = struct.Struct('!IH')
TOOK = struct.Struct('!I?')

#: ``answer(reply, descriptors)``
Answer = Callable[[dict[str, Any], Sequence[int]], object]


def bind(runtime: Runtime, what: dict[str, Any], reuse_port: bool = False) -> ListenHandle | int:
    """A bound handle for what a worker asked for, or the errno; see ``listening.set_share``."""
    if what.get('fd') is not None:
        return open_listener(runtime, what['fd'], True)
    address, port, family = what['address'], what['port'], what['family']
    handle: ListenHandle
    if family == -1:
        handle = pipe_listener(runtime)
        code = handle.bind_path(address)
        if code == DONE and what.get('mode'):
            code = handle.chmod(what['mode'])
    else:
        handle = tcp_listener(runtime)
        only = bool(what.get('ipv6_only'))
        if address is None:
            # The rule of LS-25, as for a server that is no worker's.
            code = handle.bind('::', port, 6, only, reuse_port)
            if code != DONE and code_of(code) not in ('EADDRINUSE', 'EACCES'):
                code = handle.bind('0.0.0.0', port, 4, False, reuse_port)
        else:
            code = handle.bind(address, port, family, only, reuse_port)
    if code != DONE:
        handle.close()
        return code
    return handle


class Place:
    """An address and its users; ``policy`` names what a worker has to do to listen there."""

    policy = ''

    def __init__(self, number: int, key: str, handle: ListenHandle, what: dict[str, Any]) -> None:
        self.number = number
        self.key = key
        self.handle = handle
        self.path = what['address'] if what['family'] == -1 else None
        #: LS-27: the backlog of the first counts.
        self.backlog: int = what['backlog']
        self.users: list[Any] = []
        #: Whether it stays when the last user goes: others will come.
        self.pinned = False
        self.on_closed: Callable[[Place], object] = lambda _: None

    def start(self) -> int:
        """Listen, if that is the primary's part; DONE or an errno."""
        return DONE

    def _reply(self) -> dict[str, Any]:
        name = self.handle.get_sock_name()
        return {
            'place': self.number,
            'policy': self.policy,
            'name': list(name) if isinstance(name, tuple) else name,
            'kind': self.handle.kind,
            'backlog': self.backlog,
        }

    def add(self, worker: Any, answer: Answer) -> None:
        """One more user."""
        self.users.append(worker)
        answer(self._reply(), ())

    def remove(self, worker: Any, dead: bool) -> None:
        """The worker has closed its server, is about to go, or has died."""
        if worker in self.users:
            self.users.remove(worker)
            self.maybe_close()

    def unpin(self) -> None:
        """From now on the last user's leaving closes it."""
        self.pinned = False
        self.maybe_close()

    def maybe_close(self) -> None:
        """Close when nobody uses it any more."""
        if not self.users and not self.pinned and self.handle.fd >= 0:
            self.handle.close()
            self.on_closed(self)


class Shared(Place):
    """Every worker accepts from the one listening socket; the kernel decides who gets what."""

    policy = 'shared'

    def start(self) -> int:
        self.handle.pause()
        return self.handle.listen(self.backlog)

    def add(self, worker: Any, answer: Answer) -> None:
        self.users.append(worker)
        answer(self._reply(), (self.handle.fd,))


class Reserved(Place):
    """Every worker has a socket of its own with SO_REUSEPORT; the primary's is bound, not more.

    So the port stays the same for all, and an error of the bind is found here once.
    """

    policy = 'reuseport'
