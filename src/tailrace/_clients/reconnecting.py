"""A connection that is made again when it is lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from .. import _runtime, _timers
from .._names import node_names
from .._net.socket import Socket
from .._validate import check_callable, check_int
from .._waiting import first_of
from ..errors import state_error
from ..events import EventEmitter
from .attempt import duration, open_connection
from .backoff import Backoff, check_backoff

__all__ = ['Reconnecting']


@node_names
class Reconnecting(EventEmitter):
    """Keeps one connection: connects, and connects again when it is lost or refused.

    ``connect()`` makes a connection: it returns a Socket that is connecting, as ``net.connect`` and
    ``tls.connect`` do, or an awaitable of a connected one, for a greeting or a log-in. It is called
    once for each attempt. It begins at once, and goes on until :meth:`close`.

    ``backoff`` says how long to wait between attempts; a connection that lasted ``stable`` ms
    (default 5000) makes the next wait a first one. ``connect_timeout`` (ms, default 10000; None: no
    limit) bounds an attempt, so that a server that accepts and says nothing counts as a failure.
    ``attempts`` is how many failures in a row end it (default None: never).

    Events: 'connect' (socket) for every connection, 'disconnect' (error or None) when one has
    closed, 'retry' (failures, ms, error) before each wait, 'error' (error) when it gives up, and
    'close'. Errors of a connection and of attempts need no listener.

    ``async for sock in client:`` gives each connection in turn, as long as nobody has closed the
    client. Leaving the loop closes nothing; ``async with client:`` does at its end.

    Raises ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, and RuntimeError without a running loop.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        /,
        *,
        backoff: Backoff | None = None,
        attempts: int | None = None,
        connect_timeout: float | timedelta | None = 10_000,
        stable: float | timedelta = 5_000,
    ) -> None:
        super().__init__()
        self._connect = check_callable('connect', connect)
        self._backoff = check_backoff(backoff)
        self._attempts = None if attempts is None else check_int('attempts', attempts, 1, 2**31)
        self._connect_timeout = duration('connect_timeout', connect_timeout)
        self._stable = duration('stable', stable) or 0
        self._socket: Socket | None = None
        self._failures = 0
        self._closed = False
        self._over = False
        self._failed: BaseException | None = None
        self._waiters: deque[Any] = deque()
        #: Who will raise the failure if it gives up: those who wait, or loops.
        self._takers = 0
        self._task: Any = _runtime.spawn(self._run(), self._crashed)
        self._task.add_done_callback(self._finish)

    # -- what it does -----------------------------------------------------------------------------

    async def _run(self) -> None:
        while not self._closed:
            try:
                sock = await open_connection(self._connect, self._connect_timeout)
            except Exception as error:
                if not await self._failed_with(error):
                    return
            else:
                await self._serve(sock)

    async def _serve(self, sock: Socket) -> None:
        clock = _runtime.current().clock
        began = clock()
        seen: list[Any] = []

        def remember(error: Any = None) -> None:
            seen.append(error)

        sock.on('error', remember)
        self._socket = sock
        try:
            self._wake()
            self.emit('connect', sock)
            if not sock.closed:
                await first_of(sock, 'close', error=False)
        finally:
            self._socket = None
            if not sock.destroyed:
                sock.destroy()
        error = seen[0] if seen else None
        if (clock() - began) * 1000 >= self._stable:
            self._failures = 0
        self.emit('disconnect', error)
        if not self._closed:
            await self._failed_with(error or state_error('ERR_SOCKET_CLOSED'), lost=True)

    async def _failed_with(self, error: BaseException, lost: bool = False) -> bool:
        """Wait until the next attempt; False if there is none."""
        failures = self._failures
        self._failures += 1
        if not lost and self._attempts is not None and self._failures >= self._attempts:
            self._failed = error
            self._closed = True
            return False
        wait = self._backoff.delay(failures)
        self.emit('retry', self._failures, wait, error)
        if self._closed:
            return False
        future = _runtime.new_future()
        timer = _timers.Timer(_runtime.current(), _done, max(wait, 1), (future,), False)
        try:
            await future
        finally:
            timer.close()
        return not self._closed

    def _finish(self, _: Any) -> None:
        self._closed = self._over = True
        heard = self._takers > 0
        self._wake()
        _runtime.current().enter(self._tell, (heard,), self)

    def _tell(self, heard: bool) -> None:
        try:
            if self._failed is not None and (not heard or self.listener_count('error')):
                self.emit('error', self._failed)
        finally:
            self.emit('close')

    def _crashed(self, error: Exception) -> None:
        """A listener has raised."""
        _runtime.current().uncaught(error, self)

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, deque()
        for waiter in waiters:
            _done(waiter)

    # -- what users call --------------------------------------------------------------------------

    @property
    def socket(self) -> Socket | None:
        """The connection, or None while there is none."""
        return self._socket

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._socket is not None

    @property
    def closed(self) -> bool:
        """Whether it was closed, or has given up."""
        return self._closed

    @property
    def failures(self) -> int:
        """Failures in a row, of attempts and of connections that did not last."""
        return self._failures

    async def connection(self) -> Socket:
        """The connection; waits until there is one.

        Raises the last failure if it gives up, or has given up; ERR_SOCKET_CLOSED if it is closed.
        Cancelling leaves it going.
        """
        while True:
            if self._socket is not None and not self._socket.destroyed:
                return self._socket
            if self._over or self._closed:
                raise self._failed or state_error('ERR_SOCKET_CLOSED', 'the client is closed')
            self._takers += 1
            try:
                await self._something()
            finally:
                self._takers -= 1

    async def _something(self) -> None:
        future = _runtime.new_future()
        self._waiters.append(future)
        try:
            await future
        finally:
            if future in self._waiters:
                self._waiters.remove(future)

    def close(self) -> Self:
        """Stop, and destroy the connection; 'close' follows. Again: no effect.

        To let what was written go out, end the socket before, and wait for its 'close'.
        """
        if not self._closed:
            self._closed = True
            self._task.cancel()
            if self._socket is not None:
                self._socket.destroy()
        return self

    async def wait_closed(self) -> None:
        """Wait until it is closed, or has given up; raises nothing for that."""
        while not self._over:
            await self._something()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        await self.wait_closed()

    def __aiter__(self) -> _Connections:
        return _Connections(self)

    def __repr__(self) -> str:
        if self._closed:
            state = 'closed'
        elif self._socket is not None:
            state = f'connected, {self._socket!r}'
        else:
            state = f'not connected, {self._failures} failures'
        return f'<Reconnecting {state}>'

    if TYPE_CHECKING:  # Node's spellings; see node_names
        waitClosed = wait_closed


class _Connections:
    """Each connection once; the end when the client is closed, its failure if it gives up."""

    def __init__(self, client: Reconnecting) -> None:
        self._client = client
        self._last: Socket | None = None
        self._counted = False

    def __aiter__(self) -> _Connections:
        return self

    async def __anext__(self) -> Socket:
        client = self._client
        if not self._counted:
            self._counted = True
            client._takers += 1
        while True:
            sock = client.socket
            if sock is not None and sock is not self._last and not sock.destroyed:
                self._last = sock
                return sock
            if client._over:
                if client._failed is not None:
                    raise client._failed
                raise StopAsyncIteration
            await client._something()


def _done(future: Any) -> None:
    if not future.done():
        future.set_result(None)
