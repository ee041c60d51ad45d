"""Listening: accept, and what to do when there is no descriptor for a connection.

This file refuses to know what is done with a connection: it hands over an open handle that does
not read yet; and how an address is bound (``listen_tcp.py``, ``listen_pipe.py``).
"""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any, Final

from .._compiled import mypyc_attr
from .._runtime import Runtime
from .._timers import Timer
from . import DONE
from .calls import accept
from .engine import READ, Engine, Watched, engine_of
from .reading import RawSocket, code_of, ignore
from .stream import Stream
from .tcp import take_socket

__all__ = ['Listener']

# Kept: when the last objects go, the module sys has lost its names, and a compiled function that
# fails then takes the interpreter with it.
_finalizing: Final = sys.is_finalizing

#: Connections taken for one readiness event, so that a flood cannot starve what is connected.
MAX_ACCEPT: Final = 64
#: How long accepting rests when nothing can be done about an error, in ms.
BACK_OFF: Final = 100
_MAX_BACKLOG: Final = 2**31 - 1

# Errors of one connection that died in the queue, not of the listener: try the next one.
# ECONNABORTED: POSIX accept(); EPROTO: POSIX (STREAMS), Linux. accept(2), "Error handling": Linux
# passes already-pending network errors of the new socket on: ENETDOWN, EPROTO, ENOPROTOOPT,
# EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH, to be treated like EAGAIN. EPERM: a
# firewall rule forbids the connection (accept(2)). ECONNRESET, ETIMEDOUT: the peer gave up first
# (accept(2) lists ETIMEDOUT among what "various Linux kernels" return).
_NEXT: Final = frozenset(
    getattr(errno, name)
    for name in (
        'ECONNABORTED',
        'EPROTO',
        'ENETDOWN',
        'ENOPROTOOPT',
        'EHOSTDOWN',
        'ENONET',
        'EHOSTUNREACH',
        'EOPNOTSUPP',
        'ENETUNREACH',
        'EPERM',
        'ECONNRESET',
        'ETIMEDOUT',
    )
    if hasattr(errno, name)
)
# No descriptor: of the process (EMFILE), of the system (ENFILE).
_NO_DESCRIPTOR: Final = frozenset((errno.EMFILE, errno.ENFILE))


def _open_spare() -> int:
    try:
        return os.open(os.devnull, os.O_RDONLY)
    except OSError:
        return -1


@mypyc_attr(allow_interpreted_subclasses=True)
class Listener(Watched):
    """What listening on TCP and on Unix sockets share.

    The policy without descriptors: each listener keeps one spare. On EMFILE and ENFILE it
    gives the spare up, accepts with the descriptor so won, closes the connection at once (its
    client sees an end instead of waiting for ever), and takes the spare back. The first such
    failure of an episode goes to ``on_accept_error``; the episode ends with the next connection
    that is accepted normally. If the spare cannot be had, and on every other lasting error
    (ENOBUFS, ENOMEM, ...), accepting rests for 100 ms and goes on.
    """

    __slots__ = (
        '_engine',
        '_episode',
        '_held',
        '_listening',
        '_paused',
        '_refed',
        '_retry',
        '_sock',
        '_spare',
        # Apart: pyright takes what is callable and named in a plain list for a method.
        *('on_accept_error', 'on_connection'),
    )

    kind: str = 'listener'

    def __init__(self, runtime: Runtime) -> None:
        Watched.__init__(self, runtime)
        self._sock: Any = None
        self._spare = -1
        self._engine: Engine = engine_of(runtime)
        self.on_connection: Callable[[Any], object] = ignore
        self.on_accept_error: Callable[[int], object] = ignore
        self._refed = True
        self._held = False
        self._listening = False
        self._paused = False
        self._episode = False
        self._retry: Timer | None = None

    def _new_stream(self) -> Stream:
        raise NotImplementedError

    # -- lifetime (rule 8) ------------------------------------------------------------------

    def ref(self) -> None:
        self._refed = True
        self._update_hold()

    def unref(self) -> None:
        self._refed = False
        self._update_hold()

    def has_ref(self) -> bool:
        return self._refed and self._sock is not None

    def _update_hold(self) -> None:
        wanted = self._refed and self._listening
        if wanted is not self._held:
            self._held = wanted
            if wanted:
                self.runtime.hold(self)
            else:
                self.runtime.release(self)

    def describe(self) -> tuple[str, str]:
        """For active_resources."""
        return 'server', ''

    def __repr__(self) -> str:
        state = 'no descriptor' if self._sock is None else f'fd={self.fd}'
        if self._listening:
            state += ' listening'
        if self._paused:
            state += ' paused'
        return f'<{type(self).__name__} {state}>'

    def __del__(self) -> None:
        if self._sock is not None and not _finalizing():
            try:
                warnings.warn(f'unclosed handle {self.kind} fd={self.fd}', ResourceWarning, 2, self)
            finally:
                self._release()

    # -- listening --------------------------------------------------------------------------

    def listen(self, backlog: int) -> int:
        """EADDRINUSE can come here too: SO_REUSEADDR lets two bind as long as neither listens."""
        if self._sock is None:
            return errno.EINVAL
        try:
            self._sock.listen(min(backlog, _MAX_BACKLOG))
        except OSError as error:
            return code_of(error)
        self._listening = True
        if self._spare < 0:
            self._spare = _open_spare()
        self._update_watch()
        self._update_hold()
        return DONE

    def hand_down_no_delay(self, enable: bool) -> bool:
        return False

    def waiting(self) -> int:
        """How many connections wait to be accepted; -1 if the system does not tell."""
        return -1

    def pause(self) -> None:
        """Leave connections in the kernel's queue until :meth:`resume`; the handle stays active."""
        self._paused = True
        self._update_watch()

    def resume(self) -> None:
        self._paused = False
        self._update_watch()

    def _update_watch(self) -> None:
        wanted = self._listening and not self._paused and self._retry is None
        self._engine.watch(self, READ if wanted else 0)

    def ready_to_read(self) -> None:
        turns = MAX_ACCEPT
        while turns and self.watching:
            turns -= 1
            try:
                connection = accept(self._sock, self.fd)
            except OSError as error:
                code = code_of(error)
                if code in _NEXT:
                    continue
                self._accept_failed(code)
                return
            if connection is None:
                return
            self._episode = False
            stream = self._new_stream()
            stream.adopt(connection)
            self.runtime.step(self.on_connection, (stream,), self.owner)

    def _accept_failed(self, code: int) -> None:
        report = not self._episode
        self._episode = True
        if code not in _NO_DESCRIPTOR or not self._refuse_one():
            self._retry = Timer(self.runtime, self._rested, BACK_OFF, (), False).unref()
            self._update_watch()
        if report:
            self.runtime.step(self.on_accept_error, (code,), self.owner)

    def _refuse_one(self) -> bool:
        """Accept one connection with the spare descriptor and close it; whether that worked."""
        if self._spare < 0:
            self._spare = _open_spare()
            return self._spare >= 0
        os.close(self._spare)
        self._spare = -1
        try:
            connection = accept(self._sock, self.fd)
        except OSError as error:
            worked = code_of(error) in _NEXT
        else:
            if connection is not None:
                connection.close()
            worked = True
        self._spare = _open_spare()
        return worked and self._spare >= 0

    def _rested(self) -> None:
        self._retry = None
        self._update_watch()

    # -- closing (rule 4) -------------------------------------------------------------------

    def _release(self) -> None:
        """Close the descriptors."""
        sock, self._sock = self._sock, None
        self.fd = -1
        try:
            sock.close()
        except OSError:
            pass  # close(2): the descriptor is gone whatever it says
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1

    def abandon(self) -> None:
        self.close()

    def close(self, done: Callable[[], object] | None = None) -> None:
        source = self.owner
        if self._sock is not None:
            self._listening = False
            self._update_watch()
            self._update_hold()
            if self._retry is not None:
                self._retry.close()
                self._retry = None
            self.on_connection = self.on_accept_error = ignore
            self._release()
        if done is not None:
            self._engine.defer(done, (), source)

    def detach(self) -> RawSocket:
        """Before listening: give the bound socket away."""
        sock: RawSocket = self._sock
        self._sock = None
        self.fd = -1
        return sock

    def move(self, runtime: Runtime) -> None:
        """Before listening: belong to another loop than that of the time of binding."""
        self.runtime = runtime
        self._engine = engine_of(runtime)

    def _take(self, fd: int, families: tuple[int, ...]) -> int:
        if self._sock is not None:
            return errno.EINVAL
        found = take_socket(fd, families)
        if isinstance(found, int):
            return errno.EINVAL  # LS-11: whatever it is that it is not
        self._sock = found
        self.fd = fd
        return DONE
