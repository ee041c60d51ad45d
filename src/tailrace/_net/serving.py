"""Python's own ways to serve: coroutine handlers, ``async for``, graceful shutdown.

What a server does with the connections that it has accepted, beyond emitting 'connection'. It
refuses to know how they are accepted (``server.py``) and where it listens (``listening.py``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

from .. import _runtime, _timers
from .._collected import collected_of
from .._names import node_names
from .._stream.stream import Stream
from .._validate import MAX_TIMEOUT, milliseconds, out_of_range
from .._waiting import first_of
from ..errors import state_error
from .counting import Counting
from .failing import GONE, is_ours, leaves
from .guarded import LOOPS
from .leaving import LINGER, Leavers, has_ended, is_left

if TYPE_CHECKING:
    from .listening import Listening
    from .socket import Socket

__all__ = ['Connections', 'Serving']


@node_names
class Serving(Counting):
    """The part of :class:`Server` that deals with coroutines; not used by itself."""

    #: The event whose listeners are the handlers of connections.
    _served: str = 'connection'

    if TYPE_CHECKING:
        _pending: set[Listening]
        _has_listened: bool

        def close(self) -> Any:
            """Defined by Server."""

        async def _wait_listening(self) -> Any: ...

        def _listener_failed(self, sock: Socket, error: Exception) -> None: ...

    def _init_serving(self) -> None:
        #: The open connections in their order, and whether a listener or loop was told of it.
        self._sockets: dict[Socket, bool] = {}
        #: The tasks of coroutine handlers.
        self._handlers: set[Any] = set()
        #: Their runs for connections of our own, until those are closed.
        self._handlings: dict[Socket, list[Handling]] = {}
        #: The connection that is being announced.
        self._announced: Any = None
        self._arrivals: Arrivals | None = None
        #: ms
        self.linger: int | float = LINGER
        #: Connections whose handler is done with them.
        self._leavers: Leavers | None = None
        #: Connections whose handler waits in wait_closed().
        self._waited_for: set[Socket] = set()

    def _leave(self, sock: Socket) -> None:
        """Nobody in the program will end this connection."""
        if self._leavers is None:
            self._leavers = Leavers(self)
        self._leavers.add(sock)

    def _handler_waits(self, sock: Socket) -> bool:
        """A task begins to wait in ``wait_closed()``: whether it is a handler of the connection.

        If so it is released as soon as program or peer have ended it.
        """
        task = _runtime.current_task()
        if task is None or all(run._task is not task for run in self._handlings.get(sock, ())):
            return False
        self._waited_for.add(sock)
        self._has_ended(sock)
        return True

    def _has_ended(self, sock: Socket) -> None:
        """Its handler waits in ``wait_closed()``; has it ended, and nobody reads?"""
        if has_ended(sock) and is_left(sock):
            self._leave(sock)

    def _connection_gone(self, sock: Socket) -> None:
        """'close' of a connection is emitted now."""
        for handling in self._handlings.pop(sock, ()):
            handling._closed()

    def _add(self, event: Any, function: Any, once: bool, first: bool) -> None:
        super()._add(event, function, once, first)
        if event == self._served and self._arrivals is not None:
            self._arrivals.hold_back()

    # -- coroutine handlers -----------------------------------------------------------------------

    def _starter(self, event: Any, function: Callable[..., Any]) -> Callable[..., Any]:
        if event != self._served:
            return super()._starter(event, function)

        def start(*args: Any) -> None:
            sock = args[0] if args else self._announced
            if isinstance(sock, Stream):
                Handling(self, sock, function(*args))
            else:
                # Somebody emits 'connection' by hand, with something else.
                _runtime.spawn(function(*args), lambda e: self._rejected(e, event, args))

        return start

    def _returned(self, event: Any, coroutine: Any, args: tuple[Any, ...]) -> None:
        sock = args[0] if args else self._announced
        if event == self._served and isinstance(sock, Stream):
            Handling(self, sock, coroutine)
        else:
            super()._returned(event, coroutine, args)

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

    # -- waiting and closing ----------------------------------------------------------------------

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

    async def _handlers_done(self) -> None:
        me = _runtime.current_task()
        while left := [task for task in self._handlers if task is not me]:
            future = _runtime.new_future()

            def done(_: Any, future: Any = future) -> None:
                if not future.done():
                    future.set_result(None)

            left[0].add_done_callback(done)
            try:
                await future
            finally:
                left[0].remove_done_callback(done)

    if TYPE_CHECKING:  # Node's spellings; see node_names
        serveForever = serve_forever
        waitClosed = wait_closed
        closeAll = close_all


class Handling:
    """One run of a coroutine handler for one connection.

    The task is cancelled when the connection has been closed and the handler is still running two
    turns of the loop later: what it awaited of the socket has told it by then, and a handler that
    ends with the connection is not disturbed. When the handler returns and leaves nothing behind by
    which the connection could go on (a listener, a pipe, a task that reads), the connection is
    ended and closed (``leaving.py``). When it fails, the socket is destroyed with its error, which
    thereby goes to the socket's 'error' listeners; where there is none, the server's ``on_error``
    says what happens (``failing.py``). That the connection broke while the handler used it is
    reported once; that the program itself destroyed it is no news. A handler that somebody else
    cancels leaves no connection behind.
    """

    __slots__ = ('_server', '_sock', '_task')

    def __init__(self, server: Serving, sock: Any, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._server = server
        self._sock = sock
        self._task = _runtime.spawn(coroutine, self._failed)
        if getattr(sock, '_server', None) is server:
            # Not as a listener, which remove_all_listeners() would take away.
            server._handlings.setdefault(sock, []).append(self)
        else:
            sock.on('close', self._closed)
        server._handlers.add(self._task)
        self._task.add_done_callback(self._done)

    def _closed(self) -> None:
        runtime = _runtime.current()
        _timers.soon(runtime, _timers.soon, runtime, self._cancel)

    def _cancel(self) -> None:
        if not self._task.done():
            self._task.cancel()

    def _done(self, _: Any) -> None:
        server, sock = self._server, self._sock
        server._handlers.discard(self._task)
        if self in (runs := server._handlings.get(sock, [])):
            runs.remove(self)
            if not runs:
                del server._handlings[sock]
        sock.off('close', self._closed)
        if sock.destroyed:
            return
        if self._task.cancelled():
            sock.destroy()
        elif (
            server._arrivals is None
            and sock not in server._handlings
            and getattr(sock, '_server', None) is server
            and sock._handle is not None
            and is_left(sock)
        ):
            server._leave(sock)

    def _failed(self, error: Exception) -> None:
        server, sock = self._server, self._sock
        policy = server._policy()
        heard = not all(map(is_ours, sock.listeners('error')))
        if not sock.destroyed:
            if heard or policy == 'raise':
                sock.destroy(error)
            else:
                server._connection_failed(sock, error)
            return
        causes = [one for one in leaves(error) if getattr(one, 'code', None) not in GONE]
        if causes and all(one is sock.errored for one in causes):
            # The connection broke under a handler that did not catch it: news, but no reason to
            # end a program that serves others. ECANCELED: the program itself destroyed it.
            if heard or getattr(causes[0], 'code', None) == 'ECANCELED':
                return
            if policy == 'raise':
                _runtime.current().report(cast('Exception', causes[0]), sock)
            else:
                server._report(sock, causes[0], policy)
        elif causes and not server._connection_failed(sock, error):
            raise error


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
