"""``Socket``: the public face of one connection.

What it does is in ``endpoint.py``; here are the names that users call, what they take and give.
Where each method lives, ``write`` and ``pause`` too: the table in ``docs/design.md``.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, overload

from .._names import Record, node_names
from .._stream.describe import describe
from .._stream.encodings import encode
from .._stream.state import L_DESTROYED, L_GONE, R_ENDED, W_ENDING, W_FINISHED
from .._stream.writable import Writable
from .._validate import (
    MAX_TIMEOUT,
    bad_type,
    check_callable,
    check_int,
    is_mapping,
    milliseconds,
    shown,
)
from .._waiting import first_of
from ..errors import InvalidHandleTypeError, state_error, system_error
from .descriptor import OwnDescriptor
from .endpoint import checked_block_list
from .leaving import Patience
from .options import connect_call, socket_call
from .settings import Settings, keep_alive
from .typed_socket import TypedSocket
from .unheard import place, told_of

if TYPE_CHECKING:
    from .._addr import BlockList
    from .._proxy import ProxyHeader
    from .._stream.typed import OnDone
    from .option_types import Chunk, ConnectOptions, Duration, OnConnect, SocketOptions

__all__ = ['Socket']

_S = TypeVar('_S', bound='Socket')


@node_names
class Socket(OwnDescriptor, TypedSocket):
    """One connection: TCP, or a Unix-domain socket.

    Made by :func:`connect`, by a server for its 'connection' listeners, or by hand and then
    connected with :meth:`connect`. ``await socket`` waits until it is connected.

    Options (a mapping or keywords; a plain int is ``fd``): ``fd`` or ``handle`` to wrap something
    that exists, ``allow_half_open`` (default False), ``readable`` and ``writable`` (with ``fd``;
    default True), ``onread`` ({buffer, callback}), ``signal``, ``high_water_mark`` and its one-side
    forms (bytes, default 65536), ``no_delay`` (default True), ``keep_alive``,
    ``keep_alive_initial_delay`` (ms), ``type_of_service``, ``block_list``. Raises
    ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_INVALID_FD_TYPE.

    Events: 'lookup' (error, address, family, host), 'connectionAttempt' (ip, port, family),
    'connectionAttemptFailed' (ip, port, family, error), 'connectionAttemptTimeout' (ip, port,
    family), 'connect', 'ready', 'data' (chunk), 'end', 'drain', 'finish', 'timeout', 'error'
    (error), 'close' (had_error), 'serverClosing' (its server is about to end: finish), and those of
    Duplex.
    """

    def __init__(
        self, options: int | Mapping[str, Any] | None = None, /, **keywords: Unpack[SocketOptions]
    ) -> None:
        self._setup(socket_call('Socket', options, dict(keywords)))

    # -- connecting and closing -------------------------------------------------------------------

    @overload
    def connect(
        self,
        port_number: int | str,
        host_name: str | None = None,
        listener: OnConnect | None = None,
        /,
        **options: Unpack[ConnectOptions],
    ) -> Self: ...

    @overload
    def connect(
        self,
        port_or_path: int | str,
        listener: OnConnect | None,
        /,
        **options: Unpack[ConnectOptions],
    ) -> Self: ...

    @overload
    def connect(
        self,
        options: Mapping[str, Any],
        listener: OnConnect | None = None,
        /,
        **keywords: Unpack[ConnectOptions],
    ) -> Self: ...

    @overload
    def connect(
        self, listener: OnConnect | None = None, /, **options: Unpack[ConnectOptions]
    ) -> Self: ...

    def connect(self, *args: Any, **options: Unpack[ConnectOptions]) -> Self:
        """Start connecting; returns the socket.

        Forms: ``connect(port[, host][, listener])``, ``connect(path[, listener])``,
        ``connect(options[, listener])``, or keywords: ``port``, ``host`` (default 'localhost'),
        ``path``, ``local_address``, ``local_port``, ``family`` (0, 4, 6), ``hints``, ``lookup``,
        ``auto_select_family``, ``auto_select_family_attempt_timeout`` (ms, default 250),
        ``connect_timeout`` (ms), ``block_list``, ``no_delay``, ``keep_alive``,
        ``keep_alive_initial_delay`` (ms), ``proxy_protocol`` (a ProxyHeader that is sent first of
        all, or 1 or 2 for one with this connection's own addresses); ``fast_open``,
        ``bind_to_device``, ``mark`` and ``transparent``, see :doc:`Down to the socket
        </howto/sockets>`. The listener is called once at 'connect'.

        Emits 'connect' and 'ready', or 'error' and 'close'. Raises ERR_MISSING_ARGS,
        ERR_INVALID_ARG_TYPE, ERR_SOCKET_BAD_PORT, ERR_INVALID_IP_ADDRESS, ERR_OUT_OF_RANGE at once,
        and EALREADY or EISCONN if the socket is in use. After 'close' the socket may be
        connected again.
        """
        plain, callback = connect_call('connect', args, dict(options))
        self._connect(plain, callback)
        return self

    def reset_and_destroy(self) -> Self:
        """Close with a TCP reset; the peer gets ECONNRESET.

        While connecting it happens as soon as the connection is there. A socket that is neither
        is destroyed with ERR_SOCKET_CLOSED. Raises ERR_INVALID_HANDLE_TYPE on a Unix socket.
        """
        if self._under_way is not None and not self._life & L_DESTROYED:
            if self._under_way.to_path:
                raise InvalidHandleTypeError('a Unix socket cannot be reset')
            self._when_connected(self._reset)
        elif self._handle is not None:
            if self._handle.kind != 'tcp':
                raise InvalidHandleTypeError('a Unix socket cannot be reset')
            self._reset()
        else:
            self.destroy(state_error('ERR_SOCKET_CLOSED'))
        return self

    def _reset(self) -> None:
        self._reset_asked = True
        self.destroy()

    def destroy_soon(self) -> None:
        """Destroy as soon as everything is written; ends the writing side."""
        if self.writable:
            self.end()
        if self._w & W_FINISHED:
            self.destroy()
        else:
            self.once('finish', self._destroy_now)

    def _destroy_now(self) -> None:
        self.destroy()

    @overload
    def end(
        self,
        chunk: Chunk | None = None,
        encoding: str | None = None,
        callback: OnDone | None = None,
    ) -> Self: ...

    @overload
    def end(self, chunk: Chunk | None, callback: OnDone, /) -> Self: ...

    @overload
    def end(self, callback: OnDone, /) -> Self: ...

    def end(self, chunk: Any = None, encoding: Any = None, callback: Any = None) -> Self:
        """Write ``chunk`` (if any), then send a FIN; the peer may go on sending.

        Forms and errors as ``Writable.end``. While connecting the FIN waits for the connection.
        """
        Writable.end(self, chunk, encoding, callback)
        server = self._server
        if server is not None and self in server._waited_for:
            server._has_ended(self)
        return self

    def pause(self) -> Self:
        """Stop 'data' events; the kernel's buffer fills and the sender slows down."""
        self._pause()
        handle = self._handle
        if self._onread is not None and handle is not None:
            handle.read_stop()
            self._stopped_reading()
        return self

    def resume(self) -> Self:
        """Go on after :meth:`pause`."""
        if self._onread is not None and self._handle is not None and not self._connecting:
            self._start_reading()
        self._resume()
        return self

    def read(self, size: int | None = None, /) -> Any:
        """Take what is buffered, as ``Readable.read``."""
        if self._onread is not None and self._handle is not None and not self._connecting:
            self._start_reading()
        return self._take(size)

    # -- timeout and socket options ---------------------------------------------------------------

    def set_timeout(self, timeout: Duration, callback: OnConnect | None = None, /) -> Self:
        """Emit 'timeout' after ``timeout`` ms (or a timedelta) without activity.

        The connection is not closed. 0 switches it off, and takes ``callback`` away. ``callback``
        becomes a one-time 'timeout' listener. Raises ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE.
        """
        if self._life & L_DESTROYED:
            return self
        ms = milliseconds('timeout', timeout)
        if ms > MAX_TIMEOUT:
            warnings.warn(
                f'{shown(ms)} ms is too long; 2**31 - 1 is used', RuntimeWarning, stacklevel=2
            )
        if callback is not None:
            check_callable('callback', callback)
        self._timeout = ms
        if self._idle is not None:
            self._idle.stop()
            self._idle = None
        if ms == 0:
            if callback is not None:
                self.off('timeout', callback)
        else:
            self._start_idle()
            if callback is not None:
                self.once('timeout', callback)
        return self

    def set_no_delay(self, no_delay: bool = True, /) -> Self:
        """Switch Nagle's algorithm off (True) or on (False); remembered until connected."""
        if self._handle is not None:
            self._handle.set_no_delay(bool(no_delay))
        else:
            self._remembered().no_delay = bool(no_delay)
        return self

    def set_keep_alive(
        self,
        enable: bool | Mapping[str, Any] = False,
        initial_delay: Duration | None = 0,
        interval: Duration | None = None,
        count: int | None = None,
        **options: Any,
    ) -> Self:
        """Switch keep-alive probes on or off; remembered until connected.

        ``initial_delay`` (ms): silence before the first probe; ``interval`` (ms) between probes;
        ``count`` of them. A delay of a second or more comes with an interval of 1 s and 10 probes
        unless they are given; below that, or with an interval under a second, all three stay as
        the system has them (Linux: 2 h, 75 s, 9). Also one mapping of these four.

        Raises ERR_INVALID_ARG_TYPE or ERR_OUT_OF_RANGE.
        """
        if options.keys() - {'initialDelay'}:
            raise TypeError(f'set_keep_alive() got an unexpected keyword: {min(options)!r}')
        initial_delay = options.get('initialDelay', initial_delay)
        if is_mapping(enable):
            given = enable
            enable = given.get('enable', False)
            initial_delay = given.get('initialDelay', given.get('initial_delay', 0))
            interval, count = given.get('interval'), given.get('count')
        delay, every, probes = keep_alive(initial_delay, interval, count)
        if self._handle is not None:
            self._handle.set_keep_alive(bool(enable), delay, every, probes)
        else:
            settings = self._remembered()
            settings.keep_alive = bool(enable)
            settings.delay, settings.interval, settings.count = delay, every, probes
        return self

    def set_type_of_service(self, tos: int, /) -> Self:
        """Set IP_TOS or IPV6_TCLASS, 0 to 255; remembered until connected.

        Raises ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, or the system's error.
        """
        if tos != tos:
            bad_type('tos', 'a number', tos)
        value = check_int('tos', tos, 0, 255)
        self._remembered().tos = value
        if self._handle is not None and self._handle.kind == 'tcp':
            code = self._handle.set_type_of_service(value)
            if code > 0:
                raise system_error(code, 'setTypeOfService')
        return self

    def get_type_of_service(self) -> int:
        """The value in force, or the one remembered; 0 by default."""
        if self._handle is not None and self._handle.kind == 'tcp':
            value = self._handle.get_type_of_service()
            if value < 0:
                raise system_error(-value, 'getTypeOfService')
            return value
        return (self._settings.tos or 0) if self._settings is not None else 0

    def _remembered(self) -> Settings:
        if self._settings is None:
            self._settings = Settings()
        return self._settings

    def ref(self) -> Self:
        """Keep the program alive while open (the default); see ``tailrace.run``."""
        return self._set_ref(True)

    def unref(self) -> Self:
        """Let the program end although this socket is open."""
        return self._set_ref(False)

    def _set_ref(self, ref: bool) -> Self:
        handle = self._handle
        if handle is not None:
            if ref:
                handle.ref()
            else:
                handle.unref()
        elif self._under_way is None:
            self.once('connect', self.ref if ref else self.unref)
            return self
        self._refed = ref
        return self

    # -- what it is -------------------------------------------------------------------------------

    @property
    def server(self) -> Any:
        """The server that accepted this socket, or None."""
        return self._server

    #: Set by a server, see proxied.py.
    _proxy_header: ProxyHeader | None = None

    @property
    def proxy_header(self) -> ProxyHeader | None:
        """The :class:`~tailrace.proxy_protocol.ProxyHeader` that a server has read, or None."""
        return self._proxy_header

    @property
    def block_list(self) -> BlockList | None:
        """The BlockList given to the constructor, or None; may be set."""
        return self._block_list

    @block_list.setter
    def block_list(self, value: BlockList | None) -> None:
        self._block_list = checked_block_list(value)

    @property
    def connecting(self) -> bool:
        """Whether ``connect()`` is under way."""
        return self._connecting

    @property
    def pending(self) -> bool:
        """Whether the socket is not connected: not yet, or no more."""
        return self._handle is None or self._connecting

    @property
    def ready_state(self) -> str:
        """'opening', 'open', 'readOnly', 'writeOnly' or 'closed'."""
        if self._connecting:
            return 'opening'
        if self.readable:
            return 'open' if self.writable else 'readOnly'
        return 'writeOnly' if self.writable else 'closed'

    @property
    def timeout(self) -> int | float | None:
        """What was given to :meth:`set_timeout`, in ms; None if nothing was.

        May be set, as in Node; only :meth:`set_timeout` starts or stops the timer.
        """
        return self._timeout

    @timeout.setter
    def timeout(self, value: int | float | None) -> None:
        self._timeout = value

    @property
    def auto_select_family_attempted_addresses(self) -> list[str] | None:
        """``'ip:port'`` of each address tried, if there were several to try."""
        found = self._attempted if self._under_way is None else self._under_way.attempted
        return None if found is None else list(found)

    @property
    def bytes_read(self) -> int:
        """Bytes received on this connection."""
        return self._counted[0] if self._handle is None else self._handle.bytes_read

    @property
    def bytes_written(self) -> int:
        """Bytes written on this connection, the queued ones included."""
        count = self._counted[1] if self._handle is None else self._handle.bytes_written
        if self._held_write is not None:
            data = self._held_write[0]
            parts: Any = data
            if not isinstance(data, list):
                parts = [data]
            count += sum(map(len, parts))
        for chunk, encoding, _, _ in self._w_buf or ():
            count += len(encode(chunk, encoding) if isinstance(chunk, str) else chunk)
        return count

    @property
    def buffer_size(self) -> int | None:
        """Deprecated: :attr:`writable_length`; None before connect()."""
        warnings.warn('buffer_size: use writable_length', DeprecationWarning, stacklevel=2)
        if self._handle is None and not self._connecting:
            return None
        return self.writable_length

    def address(self) -> Record:
        """Own ``{address, family, port}``; empty without an IP connection."""
        info = self._name(False)
        if info is None:
            return Record()
        return Record(address=info[0], family=info[2], port=info[1])

    def _name(self, peer: bool) -> Any:
        """Own or the peer's (address, port, family), asked of the system once."""
        names = self._names
        if names is None:
            if self._handle is None:
                # While it connects the own address is known already.
                machine = self._under_way
                trying = None if peer or machine is None else machine.trying
                return None if trying is None else trying.get_sock_name()
            names = self._names = [None, None]
        if names[peer] is None and self._handle is not None:
            handle = self._handle
            names[peer] = handle.get_peer_name() if peer else handle.get_sock_name()
        return names[peer]

    @property
    def local_address(self) -> str | None:
        """Own IP address; None when not connected, destroyed, or on a Unix socket."""
        name = self._name(False)
        return None if name is None else str(name[0])

    @property
    def local_port(self) -> int | None:
        """Own port, or None."""
        name = self._name(False)
        return None if name is None else int(name[1])

    @property
    def local_family(self) -> str | None:
        """'IPv4', 'IPv6' or None."""
        name = self._name(False)
        return None if name is None else str(name[2])

    @property
    def remote_address(self) -> str | None:
        """The peer's IP address; None without one; once read it stays."""
        name = self._name(True)
        return None if name is None else str(name[0])

    @property
    def remote_port(self) -> int | None:
        """The peer's port, or None."""
        name = self._name(True)
        return None if name is None else int(name[1])

    @property
    def remote_family(self) -> str | None:
        """'IPv4', 'IPv6' or None."""
        name = self._name(True)
        return None if name is None else str(name[2])

    def _resource_details(self) -> dict[str, Any]:
        """For :func:`tailrace.active_resources`."""
        if self._connecting:
            state = 'connecting'
        elif self._w & W_FINISHED:
            state = 'waiting for the peer'
        elif self._w & W_ENDING:
            state = 'ended'
        else:
            state = 'ended by the peer' if self._r & R_ENDED else 'reading'
        return {
            'peer': place(self._name(True)),
            'local': place(self._name(False)),
            'state': state,
            'queued': self.writable_length,
            'unread': self.readable_length,
        }

    # -- failing ----------------------------------------------------------------------------------

    def _take_blame(self, error: BaseException) -> bool:
        """A listener of this socket has raised; whether that is dealt with (see ``failing.py``)."""
        server = self._server
        return server is not None and bool(server._connection_failed(self, error))

    def _answerer(self) -> Any:
        return self if self._server is not None else None

    def _engage(self, answerer: Any) -> bool:
        return False  # one that the program has connected is its own affair, whatever feeds it

    def _who(self) -> str:
        return told_of(self)

    def on_rejection(self, error: Exception, event: Any, /, *args: Any) -> None:
        server = self._server
        too_late = event == 'error' or bool(self._life & L_DESTROYED)
        if not (too_late and server is not None and server._connection_failed(self, error)):
            super().on_rejection(error, event, *args)

    def __repr__(self) -> str:
        words = [type(self).__name__]
        handle = self._handle
        if self._connecting:
            words.append('connecting')
        elif handle is not None:
            words.append(f'fd={handle.fd}')
            if self.remote_address is not None:
                words.append(f'{place(self._name(False))} -> {place(self._name(True))}')
        words.append(f'{self.ready_state}, {describe(self)}')
        return f'<{" ".join(words)}>'

    # -- awaiting ---------------------------------------------------------------------------------

    def __await__(self: _S) -> Generator[Any, None, _S]:
        return self._wait_connected().__await__()

    async def wait_closed(self) -> None:
        """Wait until 'close'; an error of the connection is not raised here.

        After ``end()`` nothing that is unread keeps it waiting. If a server's coroutine handler
        waits here, the connection is finished as if it had returned, see :class:`Server`. Elsewhere
        data that nobody reads is dropped after a second, and 'close' comes when the peer has closed
        its side.
        """
        if self._life & L_GONE:
            return
        server = self._server
        patience = None
        if not self._life & L_DESTROYED and (server is None or not server._handler_waits(self)):
            patience = Patience(self)
        try:
            await first_of(self, 'close', error=False)
        finally:
            if patience is not None:
                patience.stop()
            if server is not None:
                server._waited_for.discard(self)

    async def start_tls(
        self,
        context: Any = None,
        /,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        **options: Any,
    ) -> Any:
        """Begin TLS on this connection (STARTTLS): :func:`tailrace.tls.start_tls`.

        Gives a :class:`tailrace.tls.TLSSocket` when the handshake is complete; use that from then
        on. Bytes that were read already belong to TLS, and what was written goes out before.
        """
        # By name: this layer knows nothing of the one that builds TLS on it.
        tls = importlib.import_module('tailrace.tls')
        return await tls.start_tls(
            self, context, server_side=server_side, server_hostname=server_hostname, **options
        )

    async def _wait_connected(self: _S) -> _S:
        """Connected, or the error raised; cancelling it destroys the socket."""
        if self._handle is not None and not self._connecting:
            return self
        if self._life & L_GONE:
            raise self._error or state_error('ERR_SOCKET_CLOSED')
        # Destroyed, but its 'error' is still to come: who waits here takes it.
        destroyed = self._life & L_DESTROYED
        try:
            event = await first_of(self, 'connect', 'close')
        except BaseException as error:
            if not isinstance(error, Exception):  # cancelled
                self.destroy()
            raise
        if event == 'close':
            code = 'ERR_SOCKET_CLOSED' if destroyed else 'ERR_SOCKET_CLOSED_BEFORE_CONNECTION'
            raise self._error or state_error(code)
        return self

    if TYPE_CHECKING:  # Node's spellings; see node_names
        startTls = start_tls
        resetAndDestroy = reset_and_destroy
        destroySoon = destroy_soon
        setTimeout = set_timeout
        setNoDelay = set_no_delay
        setKeepAlive = set_keep_alive
        waitClosed = wait_closed
        setTypeOfService = set_type_of_service
        getTypeOfService = get_type_of_service
        proxyHeader = proxy_header
        blockList = block_list
        readyState = ready_state
        autoSelectFamilyAttemptedAddresses = auto_select_family_attempted_addresses
        bytesRead = bytes_read
        bytesWritten = bytes_written
        bufferSize = buffer_size
        localAddress = local_address
        localPort = local_port
        localFamily = local_family
        remoteAddress = remote_address
        remotePort = remote_port
        remoteFamily = remote_family
