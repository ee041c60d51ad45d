"""How a connection comes to its handlers, and what becomes of it when they return or fail.

A plain handler is called, a coroutine function runs as a task. It refuses to know how connections
are accepted (``server.py``), and other ways to serve them (``serving.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

from .. import _runtime, _timers
from .._names import Record, node_names
from .._stream.stream import Stream
from ..events import EventEmitter
from .failing import GONE, is_ours, leaves
from .leaving import LINGER, Leavers, has_ended, is_left
from .population import Population

if TYPE_CHECKING:
    from .socket import Socket

__all__ = ['Handlers', 'Handling']


@node_names
class Handlers(Population):
    """The part of :class:`Server` that calls and runs handlers; not used by itself."""

    #: The event whose listeners are the handlers of connections.
    _served: str = 'connection'
    #: What hands connections to ``async for`` loops; known by ``serving.py`` only.
    _arrivals: Any = None

    def _init_handlers(self) -> None:
        #: The open connections in their order, and whether a listener or loop was told of it.
        self._sockets: dict[Socket, bool] = {}
        #: The tasks of coroutine handlers.
        self._handlers: set[Any] = set()
        #: Their runs for connections of our own, until those are closed.
        self._handlings: dict[Socket, list[Handling]] = {}
        #: The connection that is being announced.
        self._announced: Any = None
        #: ms
        self.linger: int | float = LINGER
        #: Connections whose handler is done with them.
        self._leavers: Leavers | None = None
        #: Connections whose handler waits in wait_closed().
        self._waited_for: set[Socket] = set()

    # -- announcing -------------------------------------------------------------------------------

    def _present(self, sock: Socket, event: str) -> None:
        """A connection is ready for the program."""
        self._sockets[sock] = event in self._events or self._arrivals is not None
        if self._arrivals is not None:
            self._arrivals.offer(sock)
        self._emit_arrival(event, sock)

    def _emit_arrival(self, event: str, sock: Socket) -> None:
        self._announced = sock
        try:
            self.emit(event, sock)
        except Exception as error:
            self._listener_failed(sock, error)
        self._announced = None

    def _listener_failed(self, sock: Socket, error: Exception) -> None:
        """A plain handler of the connection has raised."""
        runtime = _runtime.current()
        if self._as_node(runtime):
            runtime.die(error)
        elif not self._connection_failed(sock, error):
            runtime.uncaught(error, sock)

    def _as_node(self, runtime: _runtime.Runtime) -> bool:
        """Whether what a plain listener of this server raises ends the program.

        A listener that was added with on(), in a program that tailrace.run() runs without a main:
        written as for Node, where this ends the program, and recorded so.
        """
        return (
            runtime.as_node and not self._has_handler and self._on_error is runtime.on_error is None
        )

    def _announce(self, event: str, data: Record | None) -> None:
        """Emit 'drop' or 'reject': what a listener raises belongs to that connection."""
        try:
            self.emit(event, data)
        except Exception as error:
            runtime = _runtime.current()
            if self._as_node(runtime):
                runtime.die(error)
            elif not self._connection_failed(None, error):
                raise

    def _connection_closed(self, sock: Socket) -> None:
        self._connections -= 1
        self._sockets.pop(sock, None)
        if self._guard is not None:
            self._guard.closed(sock)
        if self._leavers is not None:
            self._leavers.drop(sock)
        if self._on_count is not None:
            self._on_count()
        if self._handle is None:
            self._emit_close_if_drained()

    # -- the end of one ---------------------------------------------------------------------------

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
                _runtime.spawn(function(*args), self._captured(event, args))

        return start

    def _returned(self, event: Any, coroutine: Any, args: tuple[Any, ...]) -> None:
        sock = args[0] if args else self._announced
        if event == self._served and isinstance(sock, Stream):
            Handling(self, sock, coroutine)
        else:
            super()._returned(event, coroutine, args)

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

    def __init__(self, server: Handlers, sock: Any, coroutine: Coroutine[Any, Any, Any]) -> None:
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
        own = type(server).on_rejection is not EventEmitter.on_rejection
        if own or 'on_rejection' in vars(server):
            server.on_rejection(error, server._served, sock)
            return
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
