"""Python's own ways to serve, and every way to stop: ``async for``, ``close``, ``close_all``.

What a server does with the connections that it has accepted, beyond emitting 'connection' and
running coroutine handlers (``handling.py``). It refuses to know how they are accepted
(``server.py``) and where it listens (``listening.py``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Coroutine, Generator
from typing import TYPE_CHECKING, Any, TypeVar

from .. import _runtime, _timers
from .._collected import collected_of
from .._listeners import adapt
from .._names import node_names
from .._validate import MAX_TIMEOUT, milliseconds, out_of_range
from .._waiting import first_of
from ..errors import state_error
from .guarded import LOOPS
from .handling import Handlers

if TYPE_CHECKING:
    from .._stream.typed import OnDone
    from .listening import Listening
    from .socket import Socket

__all__ = ['Connections', 'Serving']

_T = TypeVar('_T', bound='Serving')


@node_names
class Serving(Handlers):
    """The part of :class:`Server` that is iterated, waited for and closed; not used by itself."""

    #: Calls of listen() whose outcome was not told yet: looking up, or a tick away from it.
    _pending: set[Listening]

    def _init_serving(self) -> None:
        self._init_handlers()
        self._arrivals: Arrivals | None = None

    def _add(self, event: Any, function: Any, once: bool, first: bool) -> None:
        super()._add(event, function, once, first)
        if event == self._served and self._arrivals is not None:
            self._arrivals.hold_back()

    # -- async for --------------------------------------------------------------------------------

    def __aiter__(self) -> Connections:
        """The connections, for ``async for sock in server``.

        Accepting is held back while no loop waits: what is not taken stays in the kernel's queue.
        Several loops share the connections. Listeners of 'connection' are called as well. Ends
        when the server is closed. A loop that was left closes nothing; accepting goes on with
        another loop, or if the server has 'connection' listeners. Raises ERR_SERVER_NOT_RUNNING if
        the server has never listened, and what ``await listen()`` raises if it is about to.
        """
        return Connections(self)

    # -- waiting ----------------------------------------------------------------------

    def __await__(self: _T) -> Generator[Any, None, _T]:
        return self._wait_listening().__await__()

    async def _wait_listening(self: _T) -> _T:
        """Listening, or the error raised; cancelling it closes the server."""
        if not self._pending:
            if self._handle is None:
                raise state_error('ERR_SERVER_NOT_RUNNING')
            return self
        try:
            while self._pending:
                # A 'close' may be that of a close() before this listen().
                await first_of(self, 'listening', 'close')
        except BaseException as error:
            if not isinstance(error, Exception):  # cancelled
                self.close()
            raise
        if self._handle is None:
            raise state_error('ERR_SERVER_NOT_RUNNING')
        return self

    async def serve_forever(self) -> None:
        """Wait until the server is closed, with all its connections ended ('close').

        Cancelling it closes the server: nothing is accepted any more, connections go on. Raises
        ERR_SERVER_NOT_RUNNING if it does not listen, and what ``await listen()`` raises if it is
        about to.
        """
        await self._wait_listening()
        try:
            await first_of(self, 'close', error=False)
        except BaseException:
            if self._handle is not None:
                self.close()
            raise

    async def wait_closed(self) -> None:
        """Wait until the server is closed and its connections have ended; closes nothing itself.

        Returns at once if the server does not listen and has no connections.
        """
        if self._handle is not None or self._pending or self._connections:
            await first_of(self, 'close', error=False)

    # -- closing ----------------------------------------------------------------------------------

    def close(self: _T, callback: OnDone | None = None) -> _T:
        """Stop accepting; connections go on.

        'close' is emitted when the last one has ended. ``callback`` is called then: without an
        error, or with ERR_SERVER_NOT_RUNNING if the server was not open.
        """
        handle = self._handle
        if callable(callback):
            done = adapt(callback)
            if handle is None:
                self.once('close', lambda: done(state_error('ERR_SERVER_NOT_RUNNING')))
            else:
                self.once('close', lambda: done())
        for attempt in self._pending:
            attempt.cancel()
        self._pending.clear()
        if handle is not None:
            self._handle = None
            handle.close()
        if self._arrivals is not None:
            self._arrivals.stop()
        self._emit_close_if_drained()
        return self

    async def close_all(self, deadline: Any = None) -> int:
        """Shut down gracefully; returns how many connections had to be destroyed.

        Stops accepting, emits 'serverClosing' on every connection, for protocols that say goodbye,
        and lets the connections finish. ``deadline`` (ms or a timedelta; None, the default: wait as
        long as it takes; 0: at once) later what is left is destroyed, which cancels coroutine
        handlers. Returns when all connections have ended and all handlers are
        done. A server that is not open has nothing to do, which is fine.

        Cancelling it stops the deadline; the server stays closed and its connections go on.
        Raises ERR_INVALID_ARG_TYPE or ERR_OUT_OF_RANGE for ``deadline``.
        """
        limit = None if deadline is None else milliseconds('deadline', deadline)
        if limit is not None and limit > MAX_TIMEOUT:
            out_of_range('deadline', f'at most {MAX_TIMEOUT} ms', deadline)
        destroyed = 0

        def expire() -> None:
            nonlocal destroyed
            for sock in left:
                if sock in self._sockets:
                    destroyed += 1
                    sock.destroy()
            for one in awaited:
                destroyed += one.end()

        was_open = self._handle is not None or bool(self._pending)
        if was_open:
            self.close()
        #: Not those of another listen() meanwhile.
        left = list(self._sockets)
        awaited = [] if self._headers is None else list(self._headers.awaited)
        for sock in left:
            if not sock.destroyed:
                self._say_closing(sock)
        timer = None
        if limit == 0:
            expire()
        elif limit is not None and (left or awaited):
            timer = _timers.Timer(_runtime.current(), expire, max(1.0, limit), (), False)
        try:
            if was_open or self._connections:
                await first_of(self, 'close', error=False)
            await self._handlers_done()
        finally:
            if timer is not None:
                timer.close()
        return destroyed

    def _say_closing(self, sock: Socket) -> None:
        try:
            sock.emit('serverClosing')
        except Exception as error:
            self._listener_failed(sock, error)

    def async_dispose(self) -> Coroutine[Any, Any, None]:
        """Close at once; what is returned is awaited until closed. ``async with`` ends with it."""
        closing = self._handle is not None or bool(self._pending)
        if closing:
            self.close()
        return self._disposed(closing or bool(self._connections))

    async def _disposed(self, wait: bool) -> None:
        if wait:
            await first_of(self, 'close', error=False)

    async def __aenter__(self: _T) -> _T:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.async_dispose()

    if TYPE_CHECKING:  # Node's spellings; see node_names
        serveForever = serve_forever
        waitClosed = wait_closed
        closeAll = close_all
        asyncDispose = async_dispose


class Arrivals:
    """Hands new connections to the ``async for`` loops over one server, one at a time.

    While no loop waits the listening socket is paused: connections stay in the kernel's queue.
    """

    __slots__ = ('_ready', '_server', '_waiting', 'collected', 'expected', 'loops')

    def __init__(self, server: Serving) -> None:
        self._server = server
        self.loops = 0
        #: Loops that a finaliser may still have to tell of.
        self.expected = 0
        self.collected = collected_of(_runtime.current())
        self._waiting: deque[Any] = deque()
        #: Connections whose loop was cancelled at the moment they came.
        self._ready: deque[Socket] = deque()

    def take_over(self) -> None:
        """Begin with what was accepted before the first loop, and nobody has heard of."""
        sockets = self._server._sockets
        for sock in [sock for sock, heard in sockets.items() if not heard]:
            sockets[sock] = True
            self._ready.append(sock)

    def _for_listeners(self) -> bool:
        """Whether all loops were left, and there are listeners to go on with."""
        return not self.loops and bool(self._server.listener_count(self._server._served))

    def left(self) -> None:
        """One of the loops was left."""
        self.loops -= 1
        self._over()
        self.hold_back()

    def begin(self) -> None:
        """One more loop, whose end perhaps only its finaliser tells."""
        self.loops += 1
        self.expected += 1
        self.collected.expect()

    def _over(self) -> None:
        if self.expected:
            self.expected -= 1
            self.collected.over()

    def hold_back(self) -> None:
        """Accept if and only if somebody waits."""
        self._server._hold_back(LOOPS, not (self._waiting or self._for_listeners()))

    def offer(self, sock: Socket) -> None:
        """A connection was accepted."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(sock)
                break
        else:
            if not self._for_listeners():
                if self._server._handle is None:
                    sock.destroy()  # its header or handshake was complete after the server's close
                else:
                    self._ready.append(sock)
        self.hold_back()

    def stop(self) -> None:
        """The server was closed: the loops end, what none of them took is destroyed."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
        while self._ready:
            self._ready.popleft().destroy()
        while self.expected:
            self._over()

    async def take(self) -> Socket | None:
        """The next connection; None when the server is closed."""
        server = self._server
        if self._ready:
            return self._ready.popleft()
        if server._handle is None and server._pending:
            await server._wait_listening()
        if server._handle is None:
            return None
        future: Any = _runtime.new_future()
        self._waiting.append(future)
        self.hold_back()
        try:
            taken: Socket | None = await future
            return taken
        except BaseException:
            # Cancelled, perhaps at the very moment a connection came: that must not get lost.
            sock = future.result() if future.done() and not future.cancelled() else None
            if sock is not None:
                if server._handle is None:
                    sock.destroy()
                else:
                    self._ready.appendleft(sock)
            raise
        finally:
            if future in self._waiting:
                self._waiting.remove(future)
            self.hold_back()


class Connections:
    """Asynchronous iterator over the connections of a server: one loop of ``async for``."""

    __slots__ = ('_arrivals', '_server')

    def __init__(self, server: Serving) -> None:
        self._server = server
        self._arrivals: Arrivals | None = None

    def __aiter__(self) -> Connections:
        return self

    async def __anext__(self) -> Socket:
        arrivals = self._arrivals
        if arrivals is None:
            arrivals = self._arrivals = self._begin()
        sock = await arrivals.take()
        if sock is None:
            raise StopAsyncIteration
        return sock

    def _begin(self) -> Arrivals:
        server = self._server
        if server._arrivals is None:
            if server._handle is None and not server._pending and not server._has_listened:
                raise state_error('ERR_SERVER_NOT_RUNNING')
            server._arrivals = Arrivals(server)
            server._arrivals.take_over()
        server._arrivals.begin()
        return server._arrivals

    async def aclose(self) -> None:
        """Leave the loop: what ``break`` does when the iterator is collected."""
        self._leave()

    def _leave(self) -> None:
        arrivals, self._arrivals = self._arrivals, None
        if arrivals is not None:
            arrivals.left()

    def __del__(self) -> None:
        arrivals, self._arrivals = self._arrivals, None
        # Of a closed server nothing is left to clean up.
        if arrivals is not None and arrivals.expected:
            arrivals.collected.leave(arrivals.left, ())
