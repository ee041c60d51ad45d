"""``Endpoint``: a Duplex whose source and sink are a handle; what is under ``Socket``.

The hooks of the stream, the callbacks of the handle, and the life of one connection: connecting,
connected, closed, connected again. What happens between ``connect()`` and 'connect' is decided in
``connecting.py``. This file refuses to know addresses, descriptors and readiness.

Per received chunk the handle calls ``push_bytes`` of the stream itself, per written chunk the
stream calls ``write`` of the handle itself: no code of this file runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

from .. import _runtime
from .._abort import check_signal
from .._addr import BlockList
from .._coerce import absent
from .._handles import DONE, StreamHandle
from .._handles.make import guess_kind, pipe, tcp
from .._handles.prepared import PreparedTcp
from .._names import node_names
from .._stream.duplex import Duplex
from .._stream.encodings import byte_length, encode
from .._stream.link import (
    Link,
    attach,
    finish_soon,
    ignore_end,
    init_link,
    init_socket_stream,
)
from .._stream.state import (
    L_ALLOW_HALF_OPEN,
    L_AUTO_DESTROY,
    L_CLOSE_EMITTED,
    L_CLOSED,
    L_DESTROYED,
    L_ERROR_EMITTED,
    L_GONE,
    R_ABSENT,
    R_CONTINUOUS,
    R_DEAD,
    R_END_EMITTED,
    R_END_SCHEDULED,
    R_ENDED,
    R_ITERATED,
    R_NONE,
    R_PAUSED,
    R_READING,
    W_ABSENT,
    W_DEAD,
    W_ENDED,
    W_ENDING,
    W_FINAL_CALLED,
    W_FINISHED,
    W_PREFINISHED,
)
from .._stream.write import set_sink
from .._tally import clients
from .._validate import MAX_TIMEOUT, bad_type, bad_value, check_int
from ..errors import InvalidFDTypeError, MissingArgsError, state_error, system_error
from . import channels
from .bound import BoundSocket
from .clock import RuntimeClock
from .connect_report import Report
from .connecting import Connecting, check_plan
from .early import check_early
from .idle import Idle
from .introducing import check_introduction
from .settings import Settings, checked_block_list
from .unheard import SHOW_ORIGIN, remember_ends, remember_origin

__all__ = ['Endpoint']


_numbers = count(1)


@node_names
class Endpoint(Duplex):
    """A stream on a handle."""

    __slots__ = ()

    if TYPE_CHECKING:
        _handle: StreamHandle | None
        _under_way: Connecting | None
        _held_write: tuple[Any, Callable[[BaseException | None], object], int] | None
        _settings: Settings | None
        _block_list: BlockList | None
        _idle: Idle | None

    _read = Link._read_handle
    _final = Link._final_handle
    _destroy = Link._destroy_handle

    def _setup(self, options: dict[str, Any]) -> None:
        for name in ('object_mode', 'readable_object_mode', 'writable_object_mode'):
            if not absent(options.get(name)):
                bad_value(f'options.{name}', 'left out: a socket carries bytes', options[name])
        init_link(self)
        self._init_stream(
            {**options, 'allow_half_open': bool(options.get('allow_half_open')), 'signal': None},
            options.get('readable') is not False,
            options.get('writable') is not False,
        )
        init_socket_stream(self)
        if SHOW_ORIGIN:
            remember_origin(self)
        self._settings = Settings.of(options)
        self._block_list = checked_block_list(options.get('block_list'))
        self._take_onread(options.get('onread'))
        if not absent(options.get('handle')):
            self._adopt(options['handle'])
        elif options.get('fd') is not None:
            self._open(options['fd'])
        if not absent(options.get('signal')):
            self._follow_signal(check_signal('options.signal', options['signal']))
        handle = self._handle
        if handle is not None and (handle.kind == 'pipe' or handle.get_peer_name() is not None):
            if self._server is None and not self._connecting:
                clients.opened(self)
            self._take(0)

    def _open(self, fd: Any) -> None:
        number = check_int('options.fd', fd, 0, 2**31 - 1)
        kind = guess_kind(number)
        if kind is None:
            raise InvalidFDTypeError(f'descriptor {number} is no stream socket or pipe')
        runtime = _runtime.current()
        handle = tcp(runtime) if kind == 'tcp' else pipe(runtime)
        code = handle.open(number)
        if code != DONE:
            raise system_error(code, 'open')
        attach(self, handle)

    def _adopt(self, handle: Any) -> None:
        if isinstance(handle, BoundSocket):
            attach(self, handle.adopt_stream())
        elif hasattr(handle, 'read_start'):
            attach(self, handle)
        else:
            bad_type('options.handle', 'a handle or BoundSocket', handle)

    @property
    def connection_id(self) -> int:
        """A number for this socket in logs, unique in the process; given when it is first asked."""
        try:
            return self._connection_id
        except AttributeError:
            self._connection_id: int = next(_numbers)
            return self._connection_id

    if TYPE_CHECKING:  # Node's spelling; see node_names
        connectionId = connection_id

    # -- the handle -------------------------------------------------------------------------------

    def _give_up(self) -> StreamHandle | None:
        """Let go of the connection without closing it: another process gets it.

        None if there is none. From then on the socket is pending, and has no 'close'.
        """
        handle = self._handle
        if handle is None or self._connecting:
            return None
        handle.read_stop()
        self._stopped_reading()
        handle.give_to(None, None)
        handle.on_read = handle.on_end = handle.on_error = handle.on_buffer = ignore_end
        if self._idle is not None:
            self._idle.stop()
            self._idle = None
        self._timeout = 0
        set_sink(self, None)
        self._counted = (handle.bytes_read, handle.bytes_written)
        self._handle = None
        self._server = None
        clients.closed(self, self._counted[0], self._counted[1], None)
        return handle

    def _on_read_error(self, code: int) -> None:
        remember_ends(self)
        self.destroy(system_error(code, 'read'))

    def _sink_error(self, code: int) -> Exception:
        remember_ends(self)
        return system_error(code, 'write')

    def _take_onread(self, onread: Any) -> None:
        """``onread``: receive into the user's own buffer."""
        if onread is None:
            return
        options: Mapping[str, Any]
        if hasattr(onread, 'get'):
            options = onread
        else:
            options = {name: getattr(onread, name, None) for name in ('buffer', 'callback')}
        buffer, callback = options.get('buffer'), options.get('callback')
        if not callable(callback):
            return
        if callable(buffer):
            self._onread = buffer, callback
        elif isinstance(buffer, (bytearray, memoryview)):
            self._onread = _always(buffer), callback

    def _pause_source(self) -> None:
        self.pause()

    # -- hooks of the stream ----------------------------------------------------------------------

    def _stopped_reading(self) -> None:
        """The handle no longer reads by itself."""
        self._r &= ~R_READING

    def _write(self, chunk: Any, encoding: str, callback: Any) -> None:
        # Only here while there is no sink: connecting, or never connected.
        data = encode(chunk, encoding) if isinstance(chunk, str) else chunk
        if self._connecting:
            self._hold_write(data, callback, byte_length(chunk, encoding))
        elif self._handle is None:
            callback(state_error('ERR_SOCKET_CLOSED'))
        else:
            self._give(self._handle.write(data, _code_callback(callback, 'write')), callback)

    def _writev(self, chunks: list[tuple[Any, str]], callback: Any) -> None:
        parts = [encode(c, name) if isinstance(c, str) else c for c, name in chunks]
        if self._connecting:
            self._hold_write(parts, callback, sum(byte_length(c, name) for c, name in chunks))
        elif self._handle is None:
            callback(state_error('ERR_SOCKET_CLOSED'))
        else:
            code = self._handle.writev(parts, _code_callback(callback, 'write'))
            if code > 0:
                self._refused(None, None, sum(map(len, parts)))
            self._give(code, callback)

    def _hold_write(self, data: Any, callback: Any, size: int) -> None:
        self._held_write = (data, callback, size)
        self.once('connect', self._send_held)
        self.once('close', self._fail_held)

    def _send_held(self) -> None:
        self.off('close', self._fail_held)
        held, self._held_write = self._held_write, None
        handle = self._handle
        if held is None:
            return
        data, callback, _ = held
        if handle is None:
            callback(state_error('ERR_SOCKET_CLOSED'))
        else:
            done = _code_callback(callback, 'write')
            chunks: Any = data
            if isinstance(data, list):
                self._give(handle.writev(chunks, done), callback)
            else:
                self._give(handle.write(data, done), callback)

    def _fail_held(self) -> None:
        self.off('connect', self._send_held)
        held, self._held_write = self._held_write, None
        if held is not None:
            # Nobody will write it, and it goes on being counted, as in Node.
            self._counted = (self._counted[0], self._counted[1] + held[2])
            held[1](state_error('ERR_SOCKET_CLOSED_BEFORE_CONNECTION'))

    def _give(self, code: int, callback: Any) -> None:
        if code == DONE:
            callback(None)
        elif code > 0:
            callback(system_error(code, 'write'))

    def _refusal(self) -> Exception | None:
        ended_by_peer = self._r & (R_END_EMITTED | R_ABSENT) == R_END_EMITTED
        if self._w & W_ENDING and ended_by_peer and not self.allow_half_open:
            # SK-53: the peer's FIN ended us; a write after that is a broken pipe. No system call
            # has failed, so none is named.
            error = system_error('EPIPE', 'write')
            error.syscall = None
            return error
        return self._state_refusal()

    def _shut_down(self, handle: StreamHandle, callback: Any) -> None:
        code = handle.shutdown(lambda code: callback(_not_told(code)))
        if code > 0 and (error := _not_told(code)) is not None:
            callback(error)
        elif code >= DONE:
            finish_soon(self, callback)

    def _run(self) -> _runtime.Runtime:
        runtime = self._runtime
        if runtime is None:
            runtime = self._runtime = _runtime.current()
        return runtime

    # -- connecting -------------------------------------------------------------------------------

    def _connect(self, options: dict[str, Any], callback: Any) -> None:
        if self._under_way is not None and not self._life & L_DESTROYED:
            raise system_error('EALREADY', 'connect')
        bound = self._handle
        if bound is not None and not (bound.kind == 'tcp' and bound.get_peer_name() is None):
            raise system_error('EISCONN', 'connect')
        if self._life & L_DESTROYED:
            self._revive()
        elif bound is None and not self._connecting:
            self._reopen()
        if callback is not None:
            self.once('connect', callback)
        if options.get('port') is None and options.get('path') is None:
            raise MissingArgsError('connect() needs a port or a path: connect(PORT, HOST)')
        # As in Node: a connect that raises for its options leaves the socket connecting.
        self._connecting = True
        plan = check_plan(options)
        #: What it connects to, for who reads of a failure.
        self._aim = plan.path or (plan.host, plan.port, plan.literal)
        early = check_early(options, False)
        if early is not None and (bound is not None or plan.path is not None):
            bad_value('options', 'without options of TCP for a path or a bound socket', options)
        self._settings = Settings.of(options, self._settings)
        block_list = checked_block_list(options.get('block_list')) or self._block_list
        introduction = check_introduction(options.get('proxy_protocol'))
        runtime = self._run()
        if self._idle is not None:
            self._idle.touch()
        self._attempted = None
        if bound is not None:
            set_sink(self, None)
            self._handle = None
            bound.owner = self

        def open_handle(family: int) -> StreamHandle:
            handle: StreamHandle
            if early is not None:
                handle = PreparedTcp(runtime, early)
            else:
                handle = tcp(runtime) if family else pipe(runtime)
            handle.owner = self
            return handle

        clients.starts()
        if channels.connect_start.subscribers:
            channels.connect_start.publish({'socket': self, 'options': dict(options)})
        report = Report(self, block_list, introduction)
        machine = Connecting(plan, report, RuntimeClock(runtime, self), open_handle, self, bound)
        self._under_way = machine
        machine.start()

    def _reopen(self) -> None:
        """Forget what went wrong or was ended before there was a connection, as in Node.

        What waits to be written, and the ticks that will tell of the failure, stay.
        """
        self._error = None
        self._life &= ~(L_CLOSED | L_CLOSE_EMITTED | L_ERROR_EMITTED | L_GONE)
        self._r &= ~(R_DEAD | R_READING)
        if not self._r & R_ABSENT:
            self._r &= ~(R_ENDED | R_END_EMITTED)
        self._w &= ~(W_DEAD | W_FINAL_CALLED | W_PREFINISHED)
        if not self._w & W_ABSENT:
            self._w &= ~(W_ENDING | W_ENDED | W_FINISHED)

    def _revive(self) -> None:
        """Make a destroyed socket new for another connection; listeners and modes stay.

        So does what waits on both sides, as in Node: chunks that were received and not read, and
        the callbacks of what was never written, which the ticks under way will tell.
        """
        self._reopen()
        self._life &= L_ALLOW_HALF_OPEN | L_AUTO_DESTROY
        self._r &= ~(R_END_SCHEDULED | R_CONTINUOUS | R_ITERATED | R_NONE)
        self._counted = (0, 0)
        self._names = None
        self._runtime = None
        # No longer one of the server that accepted it, which would count it off twice.
        self._server = None
        if self._timeout:
            self._start_idle()

    def _start_idle(self) -> None:
        """Begin to watch for :attr:`timeout` ms without activity."""
        if self._timeout:
            self._idle = Idle(self._run(), min(self._timeout, MAX_TIMEOUT), self._expired)
            self._idle.watch(self._handle)

    def _expired(self) -> None:
        server = self._server
        (clients.tally if server is None else server._tally).timeouts += 1
        try:
            self.emit('timeout')
        except Exception as error:
            self._run().uncaught(error, self)

    def _connected(self, handle: StreamHandle) -> None:
        """The connection is there: 'connect' (for which what had to wait listens too), 'ready'."""
        machine, self._under_way = self._under_way, None
        self._attempted = machine.attempted if machine is not None else None
        self._connecting = False
        attach(self, handle)
        if self._idle is not None:
            self._idle.touch()
        if self._settings is not None:
            self._settings.apply(handle)
        else:
            handle.set_no_delay(True)
        clients.opened(self)
        if channels.connect_end.subscribers:
            channels.connect_end.publish({'socket': self})
        self.emit('connect')
        self.emit('ready')
        if self._handle is handle and not self._r & (R_PAUSED | R_ABSENT):
            self._take(0)


def _not_told(code: int) -> Exception | None:
    """What went wrong in telling the peer of the end: if it is gone already, nothing."""
    error = None if code == DONE else system_error(code, 'shutdown')
    return None if error is None or error.code == 'ENOTCONN' else error


def _code_callback(
    callback: Callable[[BaseException | None], object], syscall: str
) -> Callable[[int], object]:
    """A handle's callback (an errno) out of a stream's (an exception)."""

    def done(code: int) -> None:
        callback(None if code == DONE else system_error(code, syscall))

    return done


def _always(buffer: Any) -> Callable[[], Any]:
    return lambda: buffer
