"""What a worker's servers listen with: a handle for each way in which the primary shares.

Fed by the primary (round robin), the primary's own listening socket, or a socket of the worker's
own on the primary's port. They know where connections come from, and when to rest; they refuse to
know how a handle was asked for (``inside.py``) and how the primary chooses.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from .. import _runtime, _timers
from .._handles import DONE
from .._handles.engine import engine_of
from .._handles.listen import Listener
from .._handles.listen_pipe import PipeListener
from .._handles.listen_tcp import TcpListener
from .._handles.make import pipe, tcp
from .._handles.reading import RawSocket

__all__ = ['Asking', 'Fed', 'OwnTcp', 'SharedPipe', 'SharedTcp']


class Asking(Protocol):
    """What the handles know of the cluster in this worker (``inside.Inside``)."""

    #: What this worker listens on: place → handle.
    places: dict[int, Any]

    def tell(self, message: dict[str, Any]) -> None:
        """A message to the primary's cluster."""

    def left(self, place: int) -> None:
        """A server here does not listen any more."""

    def took(self, place: int, accepted: bool) -> None:
        """Whether this worker takes over the oldest connection that it was sent."""


#: ms of rest for a worker that has no descriptors left.
STARVED = 100


def _ignore(*_: Any) -> None:
    pass


class Fed:
    """A listening handle without a descriptor: connections come from the primary (round robin)."""

    fd = -1

    def __init__(self, inside: Asking, reply: dict[str, Any], server: Any) -> None:
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

    _inside: Asking
    _place: int
    _server: Any
    _backlog: int
    _resting = False
    _stopped = False

    def place(self, inside: Asking, reply: dict[str, Any], server: Any) -> None:
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
