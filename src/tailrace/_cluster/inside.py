"""The cluster inside a worker: servers ask the primary for what they listen on.

Three kinds of handles come out, one for each policy: one that is fed by the primary, the primary's
own listening socket, and a socket of its own on the primary's port. This file refuses to know how
the primary chooses.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import _runtime, _timers
from .._handles import DONE, ListenHandle
from .._handles.engine import engine_of
from .._handles.listen import Listener, PipeListener, TcpListener
from .._handles.make import pipe, tcp
from .._handles.reading import RawSocket
from .._names import Record, node_names
from .._net.listening import set_share
from ..events import EventEmitter
from .ipc import PLAIN
from .places import GIVE, TOOK
from .process import Process
from .worker import Worker

__all__ = ['Inside', 'OwnWorker']


#: ms of rest for a worker that has no descriptors left.
STARVED = 100


def _ignore(*_: Any) -> None:
    pass


class Fed:
    """A listening handle without a descriptor: connections come from the primary (round robin)."""

    fd = -1

    def __init__(self, inside: Inside, reply: dict[str, Any], server: Any) -> None:
        self.runtime = _runtime.current()
        self.owner: object = None
        self.kind: str = reply['kind']
        self.on_connection: Callable[[Any], object] = _ignore
        self.on_accept_error: Callable[[int], object] = _ignore
        self._inside = inside
        self._place: int = reply['place']
        self._name: Any = reply['name']
        self._family = socket.AF_UNIX
        if self.kind == 'tcp':
            ipv6 = self._name[2] == 'IPv6'
            self._family = socket.AF_INET6 if ipv6 else socket.AF_INET
        self._server = server
        self._refed = True
        self._open = True
        self._paused = False
        self._refused = False

    def bind(self, address: str, port: int, family: int, ipv6_only: bool, reuse_port: bool) -> int:
        """The primary has bound it."""
        return DONE

    def bind_path(self, path: str) -> int:
        """The primary has bound it."""
        return DONE

    def chmod(self, bits: int) -> int:
        """The primary has done that."""
        return DONE

    def open(self, fd: int) -> int:
        """There is none to open."""
        return DONE

    def listen(self, backlog: int) -> int:
        """The primary listens already."""
        self._server._on_count = self._count_changed
        self._inside.places[self._place] = self
        self._update_hold()
        return DONE

    def incoming(self, fd: int) -> None:
        """A connection from the primary. It hears that we take it before we touch it."""
        accepted = self._open and not self._paused and self._server._has_room()
        self._inside.took(self._place, accepted)
        if not accepted:
            self._refused = self._open
            os.close(fd)
            return
        # Not ``stream.open(fd)``: what that asks and sets (five system calls) is known here. The
        # primary has accepted it non-blocking, recvmsg has made it close-on-exec.
        sock = RawSocket(self._family, socket.SOCK_STREAM, 0, fd)
        sock.setblocking(False)
        stream = tcp(self.runtime) if self.kind == 'tcp' else pipe(self.runtime)
        stream.adopt(sock)
        self.runtime.step(self.on_connection, (stream,), self.owner)

    def starve(self) -> None:
        """Connections were refused for want of descriptors: ask for more in a moment."""
        self._refused = True
        _timers.set_timeout(self._count_changed, STARVED).unref()

    def _count_changed(self) -> None:
        if self._refused and not self._paused and self._server._has_room():
            self._refused = False
            self._inside.tell({'act': 'room', 'place': self._place})

    def hand_down_no_delay(self, enable: bool) -> bool:
        """The listening socket is the primary's."""
        return False

    def pause(self) -> None:
        """Connections go to other workers meanwhile."""
        self._paused = True

    def resume(self) -> None:
        """Take connections again."""
        self._paused = False
        self._count_changed()

    def get_sock_name(self) -> Any:
        """The primary's address."""
        name: Any = self._name
        return tuple(name) if isinstance(self._name, list) else name

    def ref(self) -> None:
        """Hold the program while open (the default)."""
        self._refed = True
        self._update_hold()

    def unref(self) -> None:
        """Do not hold the program."""
        self._refed = False
        self._update_hold()

    def has_ref(self) -> bool:
        """Whether it holds the program."""
        return self._refed and self._open

    def _update_hold(self) -> None:
        if self._refed and self._open:
            self.runtime.hold(self)
        else:
            self.runtime.release(self)

    def close(self, done: Callable[[], object] | None = None) -> None:
        """Leave the place; what the primary has sent meanwhile is refused."""
        if self._open:
            self._open = False
            self._server._on_count = None
            self._inside.left(self._place)
            self._update_hold()
        if done is not None:
            engine_of(self.runtime).defer(done, (), self.owner)

    def describe(self) -> tuple[str, str]:
        """For active_resources."""
        return 'server', f'cluster place {self._place}: {self._name}'

    def __repr__(self) -> str:
        return f'<Fed {self._name} {"open" if self._open else "closed"}>'


if TYPE_CHECKING:
    _Listener = Listener
else:
    _Listener = object


class _Own(_Listener):
    """What a worker adds to a listening socket: its place, and rest while it is full."""

    _inside: Inside
    _place: int
    _server: Any
    _backlog: int
    _resting = False
    _stopped = False

    def place(self, inside: Inside, reply: dict[str, Any], server: Any) -> None:
        self._inside = inside
        self._place = reply['place']
        self._server = server
        self._backlog = reply['backlog']

    def listen(self, backlog: int) -> int:
        """LS-27: with the backlog of the first."""
        code = super().listen(self._backlog)
        if code == DONE:
            self._inside.places[self._place] = self
            self._server._on_count = self._count_changed
            self._count_changed()
        return code

    def _count_changed(self) -> None:
        self._resting = not self._server._has_room()
        self._apply()

    def pause(self) -> None:
        self._stopped = True
        self._apply()

    def resume(self) -> None:
        self._stopped = False
        self._apply()

    def _apply(self) -> None:
        if self._resting or self._stopped:
            super().pause()
        else:
            super().resume()

    def close(self, done: Callable[[], object] | None = None) -> None:
        if self.fd >= 0:
            self._server._on_count = None
            self._last_look()
            self._inside.left(self._place)
        super().close(done)

    def _last_look(self) -> None:
        """Nothing waits in a queue that others serve too."""


class SharedTcp(_Own, TcpListener):
    """The primary's listening socket."""


class SharedPipe(_Own, PipeListener):
    """The primary's listening socket on a path."""


class OwnTcp(SharedTcp):
    """A socket of this worker's own, with SO_REUSEPORT."""

    def _last_look(self) -> None:
        # What the kernel has put into this socket's own queue is lost to all others.
        if self.watching:
            self.ready_to_read()


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
