"""The cluster inside a worker: servers ask the primary for what they listen on.

They get one of three kinds of handles, one for each policy (``worker_handles.py``). This file
refuses to know how the primary chooses.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import _runtime
from .._handles import DONE, ListenHandle
from .._names import Record, node_names
from .._net.listening import set_share
from ..events import EventEmitter
from .ipc import PLAIN
from .places import GIVE, TOOK
from .process import Process
from .worker import Worker
from .worker_handles import Fed, OwnTcp, SharedPipe, SharedTcp

__all__ = ['Inside', 'OwnWorker']


class OwnWorker(Worker):
    """The worker, as it sees itself."""

    def __init__(self, number: int, process: Process, inside: Inside) -> None:
        super().__init__(number, process)
        self._inside = inside

    def disconnect(self) -> Worker:
        """Close all servers, wait for their connections, then close the channel."""
        self._inside.leave(True)
        return self

    def kill(self, signal: Any = None) -> None:
        """Leave at once, without waiting for connections."""
        self.exited_after_disconnect = True
        self._inside.exit_on_disconnect = True
        self._inside.tell({'act': 'leaving'})
        if self.process.connected:
            self.process.disconnect()
        else:
            raise SystemExit(0)


@node_names
class Inside(EventEmitter):
    """What ``cluster`` is in a worker. Events: 'disconnect'."""

    is_primary = False
    is_worker = True
    #: The primary's workers are not known here.
    workers: dict[int, Worker] = {}

    def __init__(self, number: int, process: Process, policy: int) -> None:
        super().__init__()
        self._process = process
        self.scheduling_policy = policy
        self.settings: dict[str, Any] = {}
        #: What this worker listens on: place → handle.
        self.places: dict[int, Any] = {}
        #: place → the indexes in use for its address, and the one that this place has.
        self._used: dict[int, tuple[set[int], int]] = {}
        #: Whether the process is to end as soon as the channel is closed.
        self.exit_on_disconnect = False
        #: How often each address was asked for: two servers on port 0 get two ports.
        self._indexes: dict[tuple[Any, ...], set[int]] = {}
        self._leaving = False
        #: Called when this worker begins to leave, before its servers are closed.
        self.on_leave: Callable[[], object] | None = None
        self.worker = OwnWorker(number, process, self)
        process._keep = True
        process._on_internal = self._internal
        process._on_plain = self._incoming
        process._before_disconnect = self._disconnected
        set_share(self._share)
        process._open()
        self.tell({'act': 'online'})

    def fork(self, env: Any = None, /) -> Worker:
        """Only the primary forks: RuntimeError."""
        raise RuntimeError('cluster.fork() is for the primary; this process is a worker')

    def setup_primary(self, options: Any = None, /, **keywords: Any) -> None:
        """Only in the primary: RuntimeError."""
        raise RuntimeError('cluster.setup_primary() is for the primary; this process is a worker')

    def disconnect(self, callback: Any = None, /) -> None:
        """Let this worker go: ``cluster.worker.disconnect()``."""
        if callable(callback):
            self.worker.once('disconnect', callback)
        self.worker.disconnect()

    def tell(self, message: dict[str, Any]) -> None:
        """A message to the primary's cluster."""
        self._process._open()
        self._process._tell(message)

    # -- listening --------------------------------------------------------------------------

    def _share(self, server: Any, what: dict[str, Any], done: Any) -> None:
        if what['family'] == -1 and what['address'] and not what['address'].startswith('\0'):
            what['address'] = os.path.abspath(what['address'])
        asked = (what['address'], what['port'], what['family'], what['fd'])
        used = self._indexes.setdefault(asked, set())
        index = next(i for i in range(len(used) + 1) if i not in used)
        used.add(index)

        def answered(reply: dict[str, Any] | None) -> None:
            if reply is None:
                return  # the primary is gone, and so will this worker be
            code, handle = self._handle_of(reply, what, server)
            if handle is None:
                used.discard(index)
            else:
                self._used[reply['place']] = (used, index)
                server.once('listening', lambda: self._listening(server, what))
            done(code, handle)

        self._process._ask({'act': 'query', 'index': index, **what}, answered)

    def _handle_of(
        self, reply: dict[str, Any], what: dict[str, Any], server: Any
    ) -> tuple[int, ListenHandle | None]:
        code = reply.get('error', DONE)
        if code != DONE:
            return code, None
        policy = reply['policy']
        if policy == 'rr':
            return DONE, Fed(self, reply, server)
        runtime = _runtime.current()
        handle: SharedTcp | SharedPipe | OwnTcp | None = None
        if policy == 'shared':
            fds = reply.get('fds')
            if not fds:
                code = errno.EMFILE
            else:
                handle = SharedTcp(runtime) if reply['kind'] == 'tcp' else SharedPipe(runtime)
                code = handle.open(fds[0])
                if code != DONE:
                    os.close(fds[0])
        else:
            handle = OwnTcp(runtime)
            address, port, family = reply['name']
            number = 6 if family == 'IPv6' else 4
            code = handle.bind(address, port, number, bool(what['ipv6_only']), True)
        if handle is None or code != DONE:
            self.tell({'act': 'close', 'place': reply['place']})
            return code, None
        handle.place(self, reply, server)
        return DONE, handle

    def _listening(self, server: Any, what: dict[str, Any]) -> None:
        self.worker.state = 'listening'
        where = server.address()
        port = where['port'] if isinstance(where, Record) else what['port']
        self.tell(
            {
                'act': 'listening',
                'address': what['address'],
                'port': port,
                'addressType': what['family'],
            }
        )

    def left(self, place: int) -> None:
        """A server here does not listen any more."""
        if place in self._used:
            used, index = self._used.pop(place)
            used.discard(index)
        self.places.pop(place, None)
        self.tell({'act': 'close', 'place': place})

    def took(self, place: int, accepted: bool) -> None:
        """Whether this worker takes over the oldest connection that it was sent."""
        channel = self._process._channel
        if channel is not None:
            channel.send(PLAIN, TOOK.pack(place, accepted))

    # -- what the primary says --------------------------------------------------------------

    def _internal(self, message: dict[str, Any], fds: list[int] | None, answer: Any) -> None:
        if message.get('act') == 'disconnect':
            self.leave(False)

    def _incoming(self, message: bytes, fds: list[int] | None) -> None:
        place, count = GIVE.unpack(message)
        if fds is None:
            # No descriptor is free here (recvmsg, MSG_CTRUNC): the primary still has its own.
            for _ in range(count):
                self.took(place, False)
            handle = self.places.get(place)
            if isinstance(handle, Fed):
                handle.starve()
            return
        rest = deque(fds)
        try:
            while rest:
                handle = self.places.get(place)
                if isinstance(handle, Fed):
                    handle.incoming(rest.popleft())
                else:
                    self.took(place, False)
                    os.close(rest.popleft())
        finally:
            for fd in rest:  # only after a SystemExit or KeyboardInterrupt
                os.close(fd)

    # -- leaving ----------------------------------------------------------------------------

    def leave(self, by_itself: bool) -> None:
        """Close the servers that came from the primary, then the channel (Node's order)."""
        self.worker.exited_after_disconnect = True
        if self._leaving:
            return
        self._leaving = True
        if self.on_leave is not None:
            self.on_leave()
        if by_itself:
            self.tell({'act': 'leaving'})
        servers = [handle.owner for handle in self.places.values()]
        waiting = len(servers)

        def closed() -> None:
            nonlocal waiting
            waiting -= 1
            if waiting <= 0 and self._process.connected:
                self._process.disconnect()

        if not servers:
            closed()
        for server in servers:
            server.close(closed)

    def _disconnected(self) -> None:
        worker = self.worker
        worker.state = 'disconnected'
        worker.emit('disconnect')
        if not worker.exited_after_disconnect or self.exit_on_disconnect:
            # The primary is gone: without it nobody would ever end this process.
            raise SystemExit(0)

    if TYPE_CHECKING:  # Node's spellings; see node_names
        isPrimary = is_primary
        isWorker = is_worker
        setupPrimary = setup_primary
