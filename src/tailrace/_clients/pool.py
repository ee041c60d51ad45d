"""Connections that are shared: who gets one, when one is made, and the end of all.

What becomes of a connection while nobody uses it is in ``idle.py``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from .. import _runtime, _timers
from .._listeners import adapt
from .._names import node_names
from .._net.socket import Socket
from .._validate import bad_value, check_callable, check_int
from ..errors import state_error
from ..events import EventEmitter
from .attempt import duration, open_connection, passes
from .idle import Idle, Kept, is_clean

__all__ = ['Pool', 'PoolCounts']


class PoolCounts(NamedTuple):
    """How many connections of a pool are lent, idle, being made or checked; and who waits."""

    lent: int
    idle: int
    opening: int
    waiting: int


class _Waiter:
    """Somebody who wants a connection."""

    __slots__ = ('done', 'timer')

    def __init__(self, done: Callable[[Any, Any], object]) -> None:
        self.done = done
        self.timer: Any = None

    def answer(self, error: BaseException | None, sock: Socket | None = None) -> None:
        if self.timer is not None:
            self.timer.close()
        self.done(error, sock)


@node_names
class Pool(EventEmitter):
    """Up to ``size`` connections, made when they are needed, lent to one user at a time.

    ``connect()`` makes one: it returns a Socket that is connecting, or an awaitable of a connected
    one, for a log-in. ``size`` is 10 unless given. A connection that has been idle for ``max_idle``
    (default 60000), or is older than ``max_age`` (default None: no limit), is closed;
    ``connect_timeout`` (default 10000) bounds the making of one. All are ms or a timedelta, None
    takes the limit away. ``check(sock)`` is asked before an idle connection is lent, within
    ``connect_timeout``; it may be a coroutine function, and one that gives False, raises or takes
    too long has the connection closed. ``max_waiting`` limits who waits (default None: no limit).

    ::

        async with pool.connection(timeout=500) as sock:
            sock.write(request)
            reply = await sock.read_line()

    Who has waited longest gets the next connection. What is given back is lent again only if it is
    as it was: open both ways, nothing unread, nothing unwritten, and no 'data' or 'readable'
    listener of its user. An idle connection that ends, or on which something comes, is closed.

    Events: 'open' (socket), 'discard' (socket, reason), 'close'. Reasons are 'age', 'idle',
    'unclean', 'check', 'broken' and 'closed'. Raises ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        /,
        *,
        size: int = 10,
        max_idle: float | timedelta | None = 60_000,
        max_age: float | timedelta | None = None,
        max_waiting: int | None = None,
        connect_timeout: float | timedelta | None = 10_000,
        check: Callable[[Socket], Any] | None = None,
    ) -> None:
        super().__init__()
        self._connect = check_callable('connect', connect)
        self._size = check_int('size', size, 1, 2**31)
        idle, age = duration('max_idle', max_idle), duration('max_age', max_age)
        self._max_waiting = (
            None if max_waiting is None else check_int('max_waiting', max_waiting, 0, 2**31)
        )
        self._connect_timeout = duration('connect_timeout', connect_timeout)
        self._checks = None if check is None else check_callable('check', check)
        self._kept: dict[Socket, Kept] = {}
        self._lent: set[Socket] = set()
        self._idle = Idle(self._kept, idle, age, self._discard)
        self._opening: dict[object, Any] = {}
        self._checking: dict[Socket, Any] = {}
        self._waiting: deque[_Waiter] = deque()
        self._closed = False
        self._over = False
        self._ends: list[Any] = []

    # -- getting one ------------------------------------------------------------------------------

    def request(
        self,
        callback: Callable[[BaseException | None, Socket | None], object],
        /,
        *,
        timeout: float | timedelta | None = None,
    ) -> Self:
        """Have ``callback(error, sock)`` called, later, with a connection; returns the pool.

        The event face of :meth:`acquire`: errors as there. Give the socket to :meth:`release`.
        """
        done = adapt(check_callable('callback', callback))
        ms = duration('timeout', timeout)
        runtime = _runtime.current()

        def answer(error: BaseException | None, sock: Socket | None) -> None:
            runtime.push(done, (error, sock), self)

        self._enqueue(_Waiter(answer), ms)
        return self

    async def acquire(self, *, timeout: float | timedelta | None = None) -> Socket:
        """A connection of one's own, until :meth:`release`; waits for its turn.

        Raises ERR_POOL_TIMEOUT after ``timeout`` ms (default None: no limit), ERR_POOL_FULL if
        ``max_waiting`` wait already, ERR_POOL_CLOSED, or the error of the attempt to connect.
        Cancelling it, also in the moment of its turn, loses no connection.
        """
        ms = duration('timeout', timeout)
        future = _runtime.new_future()

        def answer(error: BaseException | None, sock: Socket | None) -> None:
            # As a result: an exception that nobody takes would complain.
            if not future.done():
                future.set_result((error, sock))
            elif sock is not None:  # cancelled, and not told yet
                self.release(sock)

        waiter = _Waiter(answer)
        self._enqueue(waiter, ms)
        try:
            error, sock = await future
        except BaseException:
            if future.done() and not future.cancelled():
                _, sock = future.result()
                if sock is not None:
                    self.release(sock)
            elif waiter in self._waiting:
                self._waiting.remove(waiter)
                if waiter.timer is not None:
                    waiter.timer.close()
            raise
        if error is not None:
            raise error
        return sock  # type: ignore[no-any-return]

    @asynccontextmanager
    async def connection(
        self, *, timeout: float | timedelta | None = None
    ) -> AsyncGenerator[Socket]:
        """``async with pool.connection() as sock``: acquire, and release at the end.

        If the block raises or is cancelled the connection is closed: nobody knows how far its
        protocol was. Errors as :meth:`acquire`.
        """
        sock = await self.acquire(timeout=timeout)
        reuse = False
        try:
            yield sock
            reuse = True
        finally:
            self.release(sock, reuse=reuse)

    def release(self, sock: Socket, /, *, reuse: bool = True) -> None:
        """Give a connection back; with ``reuse=False`` it is closed.

        Raises ERR_INVALID_ARG_VALUE if it is not one that this pool has lent.
        """
        if sock not in self._lent:
            bad_value('sock', 'a connection that this pool has lent', sock)
        self._lent.discard(sock)
        now = _runtime.current().clock()
        if self._closed:
            self._discard(sock, 'closed')
        elif not reuse or not is_clean(sock):
            self._discard(sock, 'broken' if sock.destroyed else 'unclean')
        elif self._idle.is_old(sock, now):
            self._discard(sock, 'age')
        else:
            self._kept[sock].idle_since = now
            self._offer(sock)
        self._serve()

    # -- the queue --------------------------------------------------------------------------------

    def _enqueue(self, waiter: _Waiter, ms: float | None) -> None:
        if self._closed:
            waiter.answer(state_error('ERR_POOL_CLOSED'))
            return
        self._waiting.append(waiter)
        self._serve()
        if waiter not in self._waiting:
            return
        # Those for whom a connection is being made do not count as waiting.
        extra = len(self._waiting) - len(self._opening) - len(self._checking)
        if self._max_waiting is not None and extra > self._max_waiting:
            self._waiting.remove(waiter)
            waiter.answer(state_error('ERR_POOL_FULL'))
        elif ms is not None:
            waiter.timer = _timers.Timer(
                _runtime.current(), self._too_late, max(ms, 1), (waiter,), False
            )

    def _too_late(self, waiter: _Waiter) -> None:
        if waiter in self._waiting:
            self._waiting.remove(waiter)
            waiter.answer(state_error('ERR_POOL_TIMEOUT'))

    def _serve(self) -> None:
        """Set in motion what those who wait need: idle connections first, then new ones."""
        while self._idle and len(self._waiting) > len(self._checking):
            sock = self._idle.take()
            reason = self._idle.outlived(sock, _runtime.current().clock())
            if not is_clean(sock):
                reason = 'broken'
            if reason:
                self._discard(sock, reason)
            elif self._checks is None:
                self._lend(sock)
            else:
                self._checking[sock] = None
                task = _runtime.spawn(self._check(sock, self._checks))
                if sock in self._checking:
                    self._checking[sock] = task
                    # Also if it was cancelled before it began.
                    task.add_done_callback(partial(self._checked, sock, False))
        while (
            not self._closed
            and len(self._waiting) > len(self._opening) + len(self._checking)
            and len(self._kept) + len(self._opening) < self._size
        ):
            token = object()
            self._opening[token] = None
            task = _runtime.spawn(self._open(token))
            if token in self._opening:  # else it was quicker than this line
                self._opening[token] = task
                task.add_done_callback(partial(self._opened, token))

    def _opened(self, token: object, _: object) -> None:
        """Also of a task that was cancelled before it began."""
        if self._opening.pop(token, None) is not None:
            self._look_for_the_end()

    async def _open(self, token: object) -> None:
        try:
            sock = await open_connection(self._connect, self._connect_timeout)
        except Exception as error:
            self._opening.pop(token, None)
            if self._waiting:
                self._waiting.popleft().answer(error)
            self._serve()
            self._look_for_the_end()
            return
        self._opening.pop(token, None)
        if self._closed:
            sock.destroy()
            self._look_for_the_end()
            return
        self._kept[sock] = Kept(_runtime.current().clock())
        sock.on('error', _ignore)
        sock.once('close', lambda: self._gone(sock))
        self._tell('open', sock)
        self._offer(sock)
        self._serve()

    async def _check(self, sock: Socket, check: Callable[[Socket], Any]) -> None:
        self._checked(sock, await passes(check, sock, self._connect_timeout))

    def _checked(self, sock: Socket, good: bool, _: object = None) -> None:
        if sock not in self._checking:
            return
        del self._checking[sock]
        if self._closed or not good or not is_clean(sock):
            self._discard(sock, 'closed' if self._closed else 'check')
        else:
            self._offer(sock)
        self._serve()
        self._look_for_the_end()

    def _offer(self, sock: Socket) -> None:
        """To whoever has waited longest, or among the idle ones."""
        if sock not in self._kept or sock.destroyed:
            return
        if self._waiting:
            self._lend(sock)
        else:
            self._idle.add(sock)

    def _lend(self, sock: Socket) -> None:
        waiter = self._waiting.popleft()
        self._lent.add(sock)
        sock.ref()
        waiter.answer(None, sock)

    def _tell(self, *event: Any) -> None:
        # In a tick: what a listener raises must not keep a connection from who waits for it.
        _runtime.current().push(self.emit, event, self)

    # -- the end of one, and of all ---------------------------------------------------------------

    def _discard(self, sock: Socket, reason: str) -> None:
        if self._kept.pop(sock, None) is not None:
            self._tell('discard', sock, reason)
        sock.destroy()

    def _gone(self, sock: Socket) -> None:
        """It has closed by itself; who has it finds out."""
        if sock in self._lent:
            return  # counts until it is given back
        self._idle.remove(sock)
        self._discard(sock, 'broken')
        self._serve()
        self._look_for_the_end()

    @property
    def counts(self) -> PoolCounts:
        """How many connections are lent, idle, being made or checked, and how many wait."""
        opening = len(self._opening) + len(self._checking)
        return PoolCounts(len(self._lent), len(self._idle), opening, len(self._waiting))

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closed

    def close(self) -> Self:
        """Close what is idle, and what is lent when it is given back; 'close' when all are gone.

        Who waits gets ERR_POOL_CLOSED, and so does who asks from now on. Again: no effect.
        """
        if self._closed:
            return self
        self._closed = True
        self._idle.stop()
        while self._waiting:
            self._waiting.popleft().answer(state_error('ERR_POOL_CLOSED'))
        for task in [*self._opening.values(), *self._checking.values()]:
            if task is not None:
                task.cancel()
        while self._idle:
            self._discard(self._idle.take(), 'closed')
        self._look_for_the_end()
        return self

    def _look_for_the_end(self) -> None:
        if not self._closed or self._over or self._kept or self._opening:
            return
        self._over = True
        ends, self._ends = self._ends, []
        for end in ends:
            if not end.done():
                end.set_result(None)
        self._tell('close')

    async def wait_closed(self) -> None:
        """Wait until :meth:`close` was called and every connection has been given back."""
        if not self._over:
            future = _runtime.new_future()
            self._ends.append(future)
            try:
                await future
            finally:
                if future in self._ends:
                    self._ends.remove(future)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        await self.wait_closed()

    def __repr__(self) -> str:
        counts = self.counts
        state = 'closed, ' if self._closed else ''
        words = ', '.join(f'{number} {name}' for name, number in counts._asdict().items())
        return f'<Pool {state}{words}>'

    if TYPE_CHECKING:  # Node's spellings; see node_names
        waitClosed = wait_closed


def _ignore(_: object = None) -> None:
    """An error of a connection is told to whoever uses it, and closes one that nobody uses."""
