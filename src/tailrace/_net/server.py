"""``Server``: accepts connections on TCP or on a Unix socket.

This file begins to listen (``listening.py`` finds out where) and makes a socket of what was
accepted. What a server does beyond that is in the classes below it, one a file, from the top:
``serving.py`` (``async for``, closing), ``handling.py`` (handlers, and what they raise),
``population.py`` (the count, ``max_connections``, 'close'), ``counting.py`` (figures),
``guarded.py`` (limits), ``proxied.py`` (PROXY headers), ``failing.py`` (``on_error``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from .._addr import BlockList
from .._handles import ListenHandle, StreamHandle
from .._names import Record, node_names
from .._stream.marks import get_default_high_water_mark, mark_of
from .._validate import check_number, milliseconds
from ..errors import state_error
from . import channels
from .descriptor import Descriptor
from .listening import Listening
from .options import listen_call, server_call
from .settings import checked_block_list, keep_alive
from .socket import Socket
from .typed_server import TypedServer

if TYPE_CHECKING:
    from .._proxy import ProxyHeader
    from .option_types import Listenable, ListenOptions, OnConnect
    from .server_types import OnConnection, ServerOptions

__all__ = ['Server', 'create_server']

_T = TypeVar('_T', bound='Server')


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
        self._handle = None
        self._pending = set()
        self._path: str | None = None
        self._has_listened = False
        self._refed = True
        self._init_population(opts.get('max_connections'))
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
