"""A stream on a handle: what every connection goes through, from the accept to its 'close'.

The last of the compiled layers of a stream (see ``life.py``); ``Endpoint`` in the layer of sockets
adds what not every connection needs. It is here because the chain is one: compiled code reaches
the fields of a class directly, and those of an interpreted one by name.

The handle, the server and what a socket has under way while it connects are objects of other
layers; this file uses the few names of theirs that it calls and refuses to know the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from .._compiled import mypyc_attr
from .._listeners import Listener, OwnerCalls
from .._tally import Tally, clients, observers
from .._tick import Ticks
from .._timers import soon
from .encodings import canonical
from .life import emit, emit_value, init_life, ticks
from .read import init_read, push_bytes, push_chunk, take
from .state import (
    L_ALLOW_HALF_OPEN,
    L_AUTO_DESTROY,
    L_CLOSE_EMITTED,
    L_DESTROYED,
    L_EMIT_CLOSE,
    L_GONE,
    R_CONTINUOUS,
    R_END_EMITTED,
    R_ITERATED,
    R_NEED_READABLE,
    R_READING,
    R_STOPPED,
    R_SYNC,
    W_FINAL,
    W_KEEP_TEXT,
)
from .write import WriteSide, init_write, set_sink, sink_done, text_length

__all__ = ['Link', 'ignore_end']

#: How much text Node encodes on the stack, and what it reserves for each of JavaScript's units.
_STACK: Final = 16384
_STACK_WIDTHS: Final = {'utf8': 3, 'utf16le': 2, 'latin1': 1, 'ascii': 1}


def ignore_end(*_: Any) -> None:
    """Every socket listens for its own 'end' (Node's listenerCount('end') is 1 on a new one)."""


#: One object for all sockets: a listener is never changed once it was added.
_END_LISTENER: Final = Listener(ignore_end, False)
#: The names of closed sockets that nobody had asked for; without a handle none is put in.
_NO_NAMES: Final[list[Any]] = [None, None]


@mypyc_attr(allow_interpreted_subclasses=True)
class Link(WriteSide):
    """A Duplex whose source and sink is a handle, without its public names."""

    __slots__ = (
        '_attempted',
        '_block_list',
        '_connecting',
        '_counted',
        '_handle',
        '_held_write',
        '_idle',
        '_names',
        '_onread',
        '_refed',
        '_reset_asked',
        '_server',
        '_settings',
        '_timeout',
        '_under_way',
    )

    _attempted: list[str] | None
    _block_list: Any
    _connecting: bool
    _counted: Any
    _handle: Any
    _held_write: Any
    _idle: Any
    _names: list[Any] | None
    _onread: tuple[Callable[[], Any], Callable[..., Any]] | None
    _refed: bool
    _reset_asked: bool
    _server: Any
    _settings: Any
    _timeout: int | float | None
    _under_way: Any

    def _begin(self, handle: Any, server: Any, mark: int) -> None:
        """Set up a server's side of a new connection, and read if the server wants that."""
        init_link(self)
        init_life(self)
        init_read(self, mark, False)
        init_write(self, mark, False)
        if server.allow_half_open:
            self._life |= L_ALLOW_HALF_OPEN
        init_socket_stream(self)
        self._server = server
        attach(self, handle)
        if server.pause_on_connect:
            self._r |= R_STOPPED
        else:
            # The source has begun: what read(0) comes to then.
            self._r = (self._r & ~R_SYNC) | R_READING | R_NEED_READABLE
            handle.read_start()

    # -- the handle calls -------------------------------------------------------------------------

    def _on_read_error(self, code: int) -> None:
        """Defined by the socket."""
        raise NotImplementedError

    def _pause_source(self) -> None:
        """Defined by the socket: its ``pause()``."""
        raise NotImplementedError

    def _refused(self, chunk: Any, encoding: Any, size: int) -> None:
        # Node counts a write that fails, except for text that fits the buffer on the stack in
        # which it is encoded.
        if isinstance(chunk, str):
            width = _STACK_WIDTHS.get(canonical(encoding), 0)
            if width and text_length(chunk) * width <= _STACK:
                return
        self._handle.bytes_written += size

    # -- hooks of the stream: what a socket has as _read, _final and _destroy ---------------------

    def _read_handle(self, size: int) -> None:
        if self._handle is None or self._connecting:
            self._when_connected(self._start_reading)
        else:
            self._start_reading()

    def _start_reading(self) -> None:
        handle = self._handle
        if handle is not None and not handle.reading:
            self._r |= R_READING
            handle.read_start()

    def _when_connected(self, fn: Callable[[], object]) -> None:
        self.once('connect', fn)

    def _final_handle(self, callback: Any) -> None:
        if self._connecting:
            self._final_when_connected(callback)
            return
        handle = self._handle
        if handle is None:
            callback(None)
            return
        if self._r & R_END_EMITTED and self._life & L_AUTO_DESTROY and not handle.write_queue_size:
            # Both sides are done: 'finish' comes next and closes the descriptor, which sends the
            # same FIN. One system call less, the most expensive one of a short connection.
            finish_soon(self, callback)
        else:
            self._shut_down(handle, callback)

    def _shut_down(self, handle: Any, callback: Any) -> None:
        """Defined by the socket: send a FIN; ``callback(error_or_None)`` when it is out."""
        raise NotImplementedError

    def _final_when_connected(self, callback: Any) -> None:
        # Apart: compiled code makes the object for what a function keeps at the function's start.
        self._when_connected(lambda: self._final_handle(callback))

    def _destroy_handle(self, error: BaseException | None, callback: Any) -> None:
        began = self._connecting
        self._connecting = False
        if self._idle is not None:
            self._idle.stop()
            self._idle = None
        set_sink(self, None)
        machine, self._under_way = self._under_way, None
        handle, self._handle = self._handle, None
        if error is None:
            closed = self._closed_well
        elif self._r & R_ITERATED or not polled(self):
            closed = self._closed_by_error
        else:
            closed = self._closed_failed
        server = self._server
        if handle is not None:
            read, written = handle.bytes_read, handle.bytes_written
            self._counted = (read, written)
            if server is None:
                clients.closed(self, read, written, error)
            else:
                tally: Tally = server._tally
                tally.add(read, written, error)
            names = self._names
            peer = None if names is None else names[1]
            if peer is None and (
                (error is not None and server is not None) or observers.closed is not None
            ):
                peer = handle.get_peer_name()  # for the report
            self._names = _NO_NAMES if peer is None else [None, peer]
            if not (self._reset_asked and handle.reset(closed) == 0):
                handle.close(closed)
            self._reset_asked = False
            callback(error)
        elif machine is not None and machine.abort(closed):
            callback(error)
        elif machine is not None or began:
            # Also after a connect() that raised: Node has made a handle by then, and closes it.
            callback(error)
            soon(ticks(self), closed)
        else:
            callback(error)
            ticks(self).push(self._closed_unused, ())
        if observers.closed is not None and (handle is not None or machine is not None or began):
            observers.closed(self, error)
        server = self._server
        if server is not None:
            server._connection_closed(self)

    def _closed_well(self) -> None:
        mark_gone(self)
        emit_value(self, 'close', False)

    def _closed_by_error(self) -> None:
        # One turn of the loop later, as in Node: so that the task of an `async for` sees the error
        # before 'close', and for what a timer or a task has destroyed, behind the next events.
        soon(ticks(self), self._closed_failed)

    def _closed_failed(self) -> None:
        mark_gone(self)
        emit_value(self, 'close', True)

    def _closed_unused(self) -> None:
        # A socket that never had a handle: its 'close' has no argument.
        mark_gone(self)
        emit(self, 'close')


def on_eof(stream: Link) -> None:
    push_chunk(stream, None)
    if stream._r_len == 0:
        take(stream, 0)
    else:
        server = stream._server
        if server is not None and stream in server._waited_for:
            server._has_ended(stream)


def on_read_error(stream: Link, code: int) -> None:
    stream._on_read_error(code)


def on_filled(stream: Link, count: int, buffer: Any) -> object:
    if stream._onread is not None and stream._onread[1](count, buffer) is False:
        stream._pause_source()
        return False
    return None


_CALLS: Final = OwnerCalls(push_bytes, on_eof, on_read_error, on_filled, sink_done)


def finish_soon(stream: Link, callback: Any) -> None:
    # By its compiled base: an attribute of the interpreted class costs 190 instructions.
    gate: Ticks = ticks(stream)
    hung_up = gate.hung_up
    if stream._r & R_ITERATED or (hung_up >= 0 and hung_up != stream._handle.fd):
        # One turn of the loop later, so that the task of an `async for` sees the end before
        # 'finish', as in Node. And where another connection's peer has closed, that one is
        # finished first: its event says that its FIN is of no use any more.
        soon(ticks(stream), callback, None)
    else:
        # Never inside end(): what destroys the socket right after it prevents 'finish'.
        ticks(stream).push(callback, (None,))


def polled(stream: Link) -> bool:
    gate: Ticks = ticks(stream)
    return gate.polled


def mark_gone(stream: Link) -> None:
    """'close' is emitted now."""
    if not stream._life & L_DESTROYED:
        return  # connected again meanwhile, by an 'error' listener: this 'close' is the old one's
    stream._life |= L_CLOSE_EMITTED | L_GONE
    server = stream._server
    if server is not None and server._handlings:
        server._connection_gone(stream)


def init_link(stream: Link) -> None:
    stream._handle = None
    stream._server = None
    stream._connecting = False
    #: The Connecting machine while it works.
    stream._under_way = None
    stream._attempted = None
    #: The chunk that was written while connecting: (data, done).
    stream._held_write = None
    stream._settings = None
    stream._block_list = None
    stream._idle = None
    stream._timeout = None
    stream._refed = True
    stream._reset_asked = False
    #: bytes read and written of the last handle, once that is gone.
    stream._counted = (0, 0)
    #: Peer and own address, asked once.
    stream._names = None
    #: What gives the buffer to receive into, and what is told.
    stream._onread = None


def init_socket_stream(stream: Link) -> None:
    """What a socket's stream has beyond others; after the sides were set up."""
    stream._life &= ~L_EMIT_CLOSE
    stream._w |= W_KEEP_TEXT | W_FINAL
    stream._events['end'] = _END_LISTENER


def attach(stream: Link, handle: Any) -> None:
    """Make ``handle`` the source and sink of this stream."""
    stream._handle = handle
    stream._runtime = handle.runtime
    handle.give_to(stream, _CALLS)
    if stream._onread is not None:
        handle.buffer = stream._onread[0]
    stream._r |= R_CONTINUOUS
    set_sink(stream, handle)
    if not stream._refed:
        handle.unref()
    if stream._idle is not None:
        stream._idle.watch(handle)
    stream._names = None
