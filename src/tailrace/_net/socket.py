"""``Socket``: the public face of one connection.

What it does is in ``endpoint.py``; here and in the two classes below, ``tuned.py`` (options) and
``known.py`` (what can be asked), are the names that users call, what they take and give. Where each
method lives, ``write`` and ``pause`` too: the table in ``docs/design.md``.
"""

from __future__ import annotations

import importlib
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, overload

from .._names import node_names
from .._stream.state import L_DESTROYED, L_GONE, W_FINISHED
from .._stream.writable import Writable
from .._waiting import first_of
from ..errors import InvalidHandleTypeError, state_error
from .descriptor import OwnDescriptor
from .leaving import Patience
from .options import connect_call, socket_call
from .tuned import Tuned
from .unheard import told_of

if TYPE_CHECKING:
    from .._stream.typed import OnDone
    from .option_types import Chunk, ConnectOptions, OnConnect, SocketOptions

__all__ = ['Socket']

_S = TypeVar('_S', bound='Socket')


@node_names
class Socket(OwnDescriptor, Tuned):
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

    # -- failing ----------------------------------------------------------------------------------

    def _take_blame(self, error: BaseException) -> bool:
        """A listener of this socket has raised; whether that is dealt with (see ``failing.py``)."""
        server = self._server
        return server is not None and bool(server._connection_failed(self, error))

    def _emits_close(self) -> bool:
        return True  # by itself, when its handle is closed (see link.py)

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
        waitClosed = wait_closed
