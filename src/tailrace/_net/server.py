"""``Server``: accepts connections on TCP or on a Unix socket.

Where it listens is found out in ``listening.py``; this file owns the connections' count, the limits
on them, and the order of 'listening', 'connection', 'drop' and 'close'.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Coroutine, Generator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar, Unpack, overload

from .. import _runtime
from .._addr import BlockList
from .._handles import ListenHandle, StreamHandle
from .._listeners import adapt
from .._names import Record, node_names
from .._stream.marks import get_default_high_water_mark, mark_of
from .._validate import bad_type, check_number, milliseconds
from .._waiting import first_of
from ..errors import state_error
from . import channels
from .descriptor import Descriptor
from .endpoint import checked_block_list
from .listening import Listening
from .options import listen_call, server_call
from .settings import keep_alive
from .socket import Socket
from .typed_server import TypedServer

if TYPE_CHECKING:
    from .._proxy import ProxyHeader
    from .._stream.typed import OnDone
    from .option_types import Listenable, ListenOptions, OnConnect
    from .server_types import OnConnection, OnCount, ServerOptions

__all__ = ['Server', 'create_server']

_T = TypeVar('_T', bound='Server')


class Holder(Protocol):
    """A child process that holds connections of a server."""

    def count(self, done: Callable[[Exception | None, int], object]) -> None:
        """Call ``done(error, count)`` later: how many of them are open there."""

    def when_empty(self, done: Callable[[], object]) -> None:
        """Call ``done()`` once none is open there any more, or the child has ended."""


_new_socket = Socket.__new__


@node_names
class Server(Descriptor, TypedServer):
    """A TCP or IPC server; what ``listen()`` is given decides which.

    ``Server([options][, listener])``. Options (a mapping or keywords): ``allow_half_open`` (default
    False), ``pause_on_connect`` (default False), ``no_delay`` (default True), ``keep_alive``
    (default False), ``keep_alive_initial_delay`` (ms, default 0), ``high_water_mark`` (bytes,
    default 65536), ``block_list``, ``max_connections`` (default None: no limit), ``linger`` (ms,
    default 2000; see below), and the limits, all off by default and described where they are
    attributes: ``max_connections_per_address``, ``max_connections_per_network``,
    ``max_rate_per_address``, ``max_rate_per_network``, ``max_accept_rate``, ``max_queued_bytes``,
    ``min_read_rate``, ``min_read_window``. They are attributes too; changing one affects later
    connections. ``on_error`` (default None) is the policy for a connection that fails, see
    :meth:`on_error`.

    Behind a balancer: ``proxy_protocol='required'`` (default 'off') reads a header of the PROXY
    protocol, version 1 or 2, before a connection is presented, whose addresses are the client's
    then. ``proxy_from`` says which peers are believed: an address, a subnet or a list of them,
    ``'unix:'`` for peers on a Unix socket, or a BlockList of addresses. ``proxy_timeout`` (ms, 1 or
    more, default 5000) limits the wait for the header. Others are closed with a 'reject', whose
    ``reason`` is 'proxyProtocol' and whose ``error`` says why, and counted in
    :attr:`proxy_failures`.

    ``listener(socket)`` is called for each connection; a coroutine function runs as a task. If it
    fails, its socket is destroyed with the error, which is logged unless the socket has an 'error'
    listener; the server goes on. Once it has returned, or waits in ``sock.wait_closed()`` after
    ``sock.end()`` or the peer's end, and left nothing behind that reads (a listener of another
    event than 'error' and 'close', a pipe, a task), the connection is finished: what was written
    goes out, then a FIN, and unread input is dropped. It is closed when the peer closes its side,
    at the latest ``linger`` to twice ``linger`` ms after the FIN; a peer that takes nothing of what
    was written for 30 s is given up. Handlers that are no coroutine functions keep Node's rule: the
    connection stays until somebody ends it.

    Raises ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE; for ``proxy_from`` also
    ERR_MISSING_ARGS, ERR_INVALID_ADDRESS.

    Events: 'listening', 'connection' (socket), 'drop' (data), 'reject' (data), 'error' (error),
    'close'. 'drop': a connection was closed because of a limit. ``data.reason`` is the option that
    did it, in Node's spelling ('maxConnections', 'maxRatePerAddress' …); the other fields are
    ``local_address``, ``local_port``, ``local_family`` and the same of ``remote``. On a Unix socket
    there are no addresses, and ``data`` is None for 'maxConnections', as in Node.
    """

    allow_half_open: bool = False
    pause_on_connect: bool = False
    no_delay: bool = True
    keep_alive: bool = False
    #: ms
    keep_alive_initial_delay: Any = 0
    high_water_mark: int | float = 0
    block_list: BlockList | None = None
    #: ms
    linger: int | float

    @overload
    def __init__(self, listener: OnConnection, /, **keywords: Unpack[ServerOptions]) -> None: ...

    @overload
    def __init__(
        self,
        options: Mapping[str, Any] | None = None,
        listener: OnConnection | None = None,
        /,
        **keywords: Unpack[ServerOptions],
    ) -> None: ...

    def __init__(
        self,
        options: Any = None,
        listener: Any = None,
        /,
        **keywords: Unpack[ServerOptions],
    ) -> None:
        super().__init__()
        opts, callback = server_call(options, listener, dict(keywords))
        self.allow_half_open = bool(opts.get('allow_half_open'))
        self.pause_on_connect = bool(opts.get('pause_on_connect'))
        self.no_delay = opts.get('no_delay') is None or bool(opts['no_delay'])
        #: What TCP_NODELAY is on a socket that was just accepted; None: off.
        self._handed_down: bool | None = None
        self.keep_alive = bool(opts.get('keep_alive'))
        delay = opts.get('keep_alive_initial_delay')
        if delay is not None and not hasattr(delay, 'total_seconds'):
            check_number('options.keep_alive_initial_delay', delay)
        self.keep_alive_initial_delay = 0 if delay is None else delay
        mark = opts.get('high_water_mark')
        if mark is not None:
            mark = check_number('options.high_water_mark', mark)
        self.high_water_mark = get_default_high_water_mark() if mark is None or mark < 0 else mark
        self.block_list = checked_block_list(opts.get('block_list'))
        self._max_connections: int | float | None = None
        #: In a cluster worker: who hears that the count or the limit has changed.
        self._on_count: Callable[[], object] | None = None
        self.max_connections = opts.get('max_connections')
        self._drop_max_connection: bool | None = None
        self._handle: ListenHandle | None = None
        #: Calls of listen() whose outcome was not told yet: looking up, or a tick away from it.
        self._pending: set[Listening] = set()
        self._path: str | None = None
        self._has_listened = False
        self._connections = 0
        #: Child processes that were sent connections of this server, see :meth:`_handed_over`.
        self._holders: list[Holder] = []
        self._sent_to_children = False
        self._refed = True
        self._init_serving()
        self._init_failing(opts.get('on_error'))
        self._init_proxied(opts)
        self._init_guarded(opts)
        linger = opts.get('linger')
        if linger is not None:
            self.linger = milliseconds('options.linger', linger)
        if callback is not None:
            self._has_handler = True
            self.on(self._served, callback)

    # -- listening --------------------------------------------------------------------------------

    @overload
    def listen(
        self: _T,
        port_number: int | str | None = None,
        host_name: str | None = None,
        queue_length: int | None = None,
        listener: OnConnect | None = None,
        /,
        **options: Unpack[ListenOptions],
    ) -> _T: ...

    @overload
    def listen(
        self: _T,
        port_number: int | str | None,
        host_name: str | None,
        listener: OnConnect,
        /,
        **options: Unpack[ListenOptions],
    ) -> _T: ...

    @overload
    def listen(
        self: _T,
        port_or_path: int | str | None,
        queue_length: int | None,
        listener: OnConnect | None = None,
        /,
        **options: Unpack[ListenOptions],
    ) -> _T: ...

    @overload
    def listen(
        self: _T,
        port_or_path: int | str | None,
        listener: OnConnect,
        /,
        **options: Unpack[ListenOptions],
    ) -> _T: ...

    @overload
    def listen(self: _T, listener: OnConnect, /, **options: Unpack[ListenOptions]) -> _T: ...

    @overload
    def listen(
        self: _T,
        options: Mapping[str, Any],
        listener: OnConnect | None = None,
        /,
        **keywords: Unpack[ListenOptions],
    ) -> _T: ...

    @overload
    def listen(
        self: _T,
        handle: Listenable,
        queue_length: int | None = None,
        listener: OnConnect | None = None,
        /,
        **options: Unpack[ListenOptions],
    ) -> _T: ...

    @overload
    def listen(
        self: _T, handle: Listenable, listener: OnConnect, /, **options: Unpack[ListenOptions]
    ) -> _T: ...

    def listen(self: _T, *args: Any, **options: Unpack[ListenOptions]) -> _T:
        """Start listening; returns the server.

        Forms: ``listen([port[, host[, backlog]]][, callback])``, ``listen(path[, backlog][,
        callback])``, ``listen(handle[, backlog][, callback])``, ``listen(options[, callback])``, or
        keywords: ``port`` (default 0: any free one), ``host`` (default: all addresses, IPv6 with
        IPv4 where there is IPv6), ``path``, ``backlog`` (default 511), ``ipv6_only``,
        ``reuse_port``, ``exclusive``, ``readable_all``, ``writable_all``, ``fd``, ``handle``,
        ``from_systemd`` (name or True: the socket that the service manager has opened; where there
        is no manager the rest counts), ``signal``; ``mode`` (bits), ``user`` and ``group`` (names
        or numbers) of the file of a path; ``fast_open``, ``defer_accept``, ``bind_to_device``,
        ``mark`` and ``transparent``, see :doc:`Down to the socket </howto/sockets>`. ``callback``
        is called once at 'listening'.

        Emits 'listening', or 'error' (EADDRINUSE, EACCES, EADDRNOTAVAIL, EINVAL, ENOTFOUND …) with
        the syscall 'listen'. Raises ERR_SERVER_ALREADY_LISTEN, ERR_INVALID_ARG_VALUE,
        ERR_INVALID_ARG_TYPE, ERR_SOCKET_BAD_PORT at once. ``await server.listen(...)`` waits for
        the outcome.
        """
        plain, callback = listen_call(args, dict(options))
        if self._handle is not None:
            raise state_error('ERR_SERVER_ALREADY_LISTEN')
        if callback is not None:
            self.once('listening', callback)
        if channels.listen_start.has_subscribers:
            channels.listen_start.publish({'server': self, 'options': dict(plain)})
        overtaken = list(self._pending)
        Listening(self, plain).start()
        for attempt in overtaken:
            # Still looking its host up; its callback runs at the 'listening' of this call.
            attempt.cancel()
            self._pending.discard(attempt)
        return self

    def _bound(self, handle: ListenHandle, path: str | None) -> None:
        """``listening.py`` has a listening handle for us."""
        self._handle = handle
        self._path = path
        self._has_listened = True
        self._listens()
        handle.owner = self
        handle.on_connection = self._incoming
        handle.on_accept_error = self._accept_failed
        self._handed_down = self.no_delay if handle.hand_down_no_delay(self.no_delay) else None
        if not self._refed:
            handle.unref()
        if self._arrivals is not None:
            self._arrivals.hold_back()
        if self._held_back:
            handle.pause()

    def _failed(self, attempt: Listening, error: Exception) -> None:
        self._pending.discard(attempt)
        if channels.listen_error.has_subscribers:
            channels.listen_error.publish({'server': self, 'error': error})
        self.emit('error', error)

    def _listening_nt(self, attempt: Listening) -> None:
        self._pending.discard(attempt)
        if self._handle is not None:
            if channels.listen_end.has_subscribers:
                channels.listen_end.publish({'server': self})
            self.emit('listening')

    @property
    def listening(self) -> bool:
        """Whether the server listens."""
        return self._handle is not None

    def address(self) -> Any:
        """Where the server listens.

        ``{address, family, port}`` on TCP, the path on a Unix socket, None when not listening.
        """
        if self._handle is None:
            return self._path
        if self._handle.kind == 'pipe':
            return self._path if self._path is not None else self._handle.get_sock_name()
        info = self._handle.get_sock_name()
        if not isinstance(info, tuple):
            return None
        return Record(address=info[0], family=info[2], port=info[1])

    # -- connections ------------------------------------------------------------------------------

    def _mark(self) -> int:
        """The high-water mark of a connection; anybody may have set the attribute to anything."""
        return mark_of({'high_water_mark': self.high_water_mark}, 'readable', False)

    def _incoming(self, handle: StreamHandle, header: ProxyHeader | None = None) -> Socket | None:
        """A connection was accepted, or has its header now; None: it has come to no socket."""
        guard = self._guard
        if header is None:
            if guard is not None and guard.pace is not None:
                guard.accepted()
            limit = self._max_connections
            if limit is not None and self._connections >= limit:
                self._drop(handle, 'maxConnections')
                return None
            if self._headers is not None:
                self._headers.take(handle)
                return None
        try:
            if self.block_list is not None and self._blocked(handle):
                return None
            if guard is not None and (reason := guard.arrived(handle)) is not None:
                self._drop(handle, reason)
                return None
        except BaseException:  # an attribute was set to something unusable
            handle.close()
            raise
        try:
            if self.no_delay is not self._handed_down:
                handle.set_no_delay(bool(self.no_delay))
            if self.keep_alive:
                handle.set_keep_alive(True, *keep_alive(self.keep_alive_initial_delay))
            mark = self.high_water_mark
            sock = self._connection(
                handle, mark if type(mark) is int and mark >= 0 else self._mark()
            )
        except BaseException:  # as above
            handle.close()
            if guard is not None:
                guard.undo()
            raise
        self._connections += 1
        if header is not None:
            sock._proxy_header = header
        if guard is not None:
            guard.keep(sock)
        if self._on_count is not None:
            self._on_count()
        if channels.server_socket.subscribers:
            channels.server_socket.publish({'socket': sock})
        self._arrived(sock)
        return sock

    def _connection(self, handle: StreamHandle, mark: int) -> Socket:
        """The socket of a connection that was accepted."""
        sock = _new_socket(Socket)
        sock._begin(handle, self, mark)
        return sock

    def _arrived(self, sock: Socket) -> None:
        """A connection is there and counted."""
        self._present(sock, 'connection')

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

    def _has_room(self) -> bool:
        """In a cluster worker: whether a connection may come here rather than go elsewhere."""
        limit = self._max_connections
        return limit is None or self._connections < limit or bool(self._drop_max_connection)

    def _handed_over(self, holder: Holder) -> None:
        """A connection went to a child process: it counts there now."""
        self._sent_to_children = True
        if holder not in self._holders:
            self._holders.append(holder)
        self._connections -= 1
        if self._on_count is not None:
            self._on_count()
        self._emit_close_if_drained()

    def _holder_gone(self, holder: Holder) -> None:
        """That child has ended, or holds none any more and never will."""
        if holder in self._holders:
            self._holders.remove(holder)

    @overload
    def get_connections(self, callback: None = None) -> Coroutine[Any, Any, int]: ...

    @overload
    def get_connections(self, callback: OnCount) -> Self: ...

    def get_connections(self, callback: Any = None) -> Any:
        """How many connections are open: to ``callback(error, count)``, later.

        Connections that were sent to child processes are asked for there: one that ends
        meanwhile has none; one that cannot be asked gives ERR_CHILD_CLOSED_BEFORE_REPLY.
        Returns the server; without a callback an awaitable of the count.
        """
        if callback is None:
            return self._count()
        if not callable(callback):
            bad_type('callback', 'a function', callback)
        self._ask_count(adapt(callback))
        return self

    def _ask_count(self, done: Callable[[Exception | None, int | None], object]) -> None:
        total, waiting = self._connections, len(self._holders)
        if not waiting:
            _runtime.current().push(done, (None, total))
            return
        failure: Exception | None = None

        def counted(error: Exception | None, count: int) -> None:
            nonlocal total, waiting, failure
            total += count
            failure = failure or error
            waiting -= 1
            if not waiting:
                done(failure, None if failure is not None else total)

        for holder in list(self._holders):
            holder.count(counted)

    async def _count(self) -> int:
        if not self._holders:
            return self._connections
        future = _runtime.new_future()

        def done(error: Exception | None, count: int | None) -> None:
            if not future.done():
                if error is not None:
                    future.set_exception(error)
                else:
                    future.set_result(count)

        self._ask_count(done)
        return int(await future)

    @property
    def connections(self) -> int | None:
        """Deprecated: :meth:`get_connections`.

        None before the server has ever listened, and once a socket was sent to a child.
        """
        warnings.warn('connections: use get_connections()', DeprecationWarning, stacklevel=2)
        return self._connections if self._has_listened and not self._sent_to_children else None

    @property
    def max_connections(self) -> int | float | None:
        """Connections beyond this are dropped; None: no limit, 0: all are."""
        return self._max_connections

    @max_connections.setter
    def max_connections(self, value: int | float | None) -> None:
        if value is not None:
            value = check_number('max_connections', value)
            if value != value or value == float('inf'):
                value = None
        self._max_connections = value
        if self._on_count is not None:
            self._on_count()

    @property
    def drop_max_connection(self) -> bool | None:
        """In a cluster worker: drop what is beyond the limit instead of passing it on."""
        return self._drop_max_connection

    @drop_max_connection.setter
    def drop_max_connection(self, value: bool | None) -> None:
        self._drop_max_connection = value
        if self._on_count is not None:
            self._on_count()

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

    def _emit_close_if_drained(self) -> None:
        if self._handle is not None or self._connections:
            return
        waiting = len(self._holders)
        if not waiting:
            _runtime.current().push(self._close_nt, ())
            return

        def empty() -> None:
            nonlocal waiting
            waiting -= 1
            if not waiting and self._handle is None and not self._connections:
                _runtime.current().push(self._close_nt, ())

        for holder in list(self._holders):
            holder.when_empty(empty)

    def _close_nt(self) -> None:
        self._is_over()
        self.emit('close')

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

    # -- lifetime ---------------------------------------------------------------------------------

    def ref(self: _T) -> _T:
        """Keep the program alive while listening (the default); see ``tailrace.run``."""
        self._refed = True
        if self._handle is not None:
            self._handle.ref()
        return self

    def unref(self: _T) -> _T:
        """Let the program end although the server listens."""
        self._refed = False
        if self._handle is not None:
            self._handle.unref()
        return self

    # -- Python's own ways ------------------------------------------------------------------------

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

    def __repr__(self) -> str:
        place = self.address()
        if isinstance(place, Record):
            host = f'[{place.address}]' if place.family == 'IPv6' else place.address
            place = f'{host}:{place.port}'
        state = f'listening on {place}' if self._handle is not None else 'not listening'
        return f'<{type(self).__name__} {state}, {self._connections} connections>'

    if TYPE_CHECKING:  # Node's spellings; see node_names
        allowHalfOpen: bool
        pauseOnConnect: bool
        noDelay: bool
        keepAlive: bool
        keepAliveInitialDelay: Any
        highWaterMark: int | float
        blockList: BlockList | None
        getConnections = get_connections
        maxConnections = max_connections
        dropMaxConnection = drop_max_connection
        asyncDispose = async_dispose


@overload
def create_server(listener: OnConnection, /, **keywords: Unpack[ServerOptions]) -> Server: ...


@overload
def create_server(
    options: Mapping[str, Any] | None = None,
    listener: OnConnection | None = None,
    /,
    **keywords: Unpack[ServerOptions],
) -> Server: ...


def create_server(
    options: Any = None, listener: Any = None, /, **keywords: Unpack[ServerOptions]
) -> Server:
    """Make a server; it listens once :meth:`Server.listen` is called.

    Arguments as of :class:`Server`.
    """
    return Server(options, listener, **keywords)
