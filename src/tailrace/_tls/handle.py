"""TLS as a handle: the contract of ``_handles`` above another handle.

So everything a socket does with a handle (reading and pausing, the write queue, idle time,
half-close, handing over) is done with TLS in between, and no code of the socket knows. Plaintext
that is written in one tick goes out as one record and one system call; what is written while data
is being delivered goes out when the delivery is over.

This file refuses to know sockets, events and options; it asks its :class:`Owner`.
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Callable
from typing import Any, Protocol

from .._handles import DONE, PENDING
from .._runtime import Runtime
from .engine import Engine

__all__ = ['Owner', 'TLSHandle']

#: With more plaintext than this waiting, or with the kernel full, a write is encrypted at once and
#: waits.
ENOUGH = 65536


class Owner(Protocol):
    """Who is told of the handshake: a TLS socket."""

    def _tls_begin(self, data: bytes) -> Engine | None:
        """The engine, once there is enough of the peer's first bytes; it may come later."""

    def _tls_secure(self) -> None:
        """The handshake is complete."""

    def _tls_failed(self, error: ssl.SSLError) -> None:
        """OpenSSL has refused something; the alert is on its way."""

    def _tls_lost(self, truncated: bool) -> None:
        """The peer is gone without close_notify, or (``truncated`` False) before the handshake."""

    def _tls_post(self) -> None:
        """Records were read: data, or something else such as a session ticket."""


def _ignore(*_: Any) -> None:
    """Nobody is told."""


class TLSHandle:
    """A StreamHandle; see the contract in ``_handles/__init__.py``."""

    __slots__ = (
        '_client', '_closed',
        '_dones', '_due', '_ended', '_eof', '_failed', '_first', '_held', '_inside',
        '_lower', '_owner', '_plain', '_shutdown', '_size', 'allow_truncation', 'buffer',
        'bytes_read', 'bytes_written', 'engine', 'fragment', 'kind', 'on_buffer', 'on_end',
        'on_error', 'on_read', 'reading', 'runtime',
    )  # fmt: skip

    def __init__(self, lower: Any, owner: Any, engine: Engine | None) -> None:
        self._lower = lower
        self._owner: Any = owner
        self.runtime: Runtime = lower.runtime
        self.kind: str = lower.kind
        #: None until the ClientHello has been read.
        self.engine = engine
        self._client = engine is not None
        self.on_read: Callable[[bytes], object] = _ignore
        self.on_end: Callable[[], object] = _ignore
        self.on_error: Callable[[int], object] = _ignore
        self.buffer: Callable[[], bytearray | memoryview] | None = None
        self.on_buffer: Callable[[int, bytearray | memoryview], object] = _ignore
        self.bytes_read = self.bytes_written = 0
        self.reading = False
        self.fragment = 0
        self.allow_truncation = False
        #: Plaintext that waits to be encrypted, and the callbacks of the writes before the
        #: handshake.
        self._plain: list[bytes] = []
        self._size = 0
        self._dones: list[Callable[[int], object]] = []
        #: Plaintext that came while nobody read.
        self._held = b''
        #: The bytes before there was an engine.
        self._first = b''
        self._shutdown: Callable[[int], object] | None = None
        self._due = self._inside = self._closed = self._ended = self._eof = self._failed = False
        lower.owner = owner
        lower.on_read = self._received
        lower.on_end = self._lower_ended
        lower.on_error = self._lower_failed
        lower.buffer = None

    # -- what is passed on ------------------------------------------------------------------------

    @property
    def fd(self) -> int:
        return int(self._lower.fd)

    @property
    def owner(self) -> object:
        return self._owner

    @owner.setter
    def owner(self, value: Any) -> None:
        self._owner = self._lower.owner = value

    @property
    def stamping(self) -> bool:
        return bool(self._lower.stamping)

    @stamping.setter
    def stamping(self, value: bool) -> None:
        self._lower.stamping = value

    @property
    def active_at(self) -> float:
        return float(self._lower.active_at)

    def ref(self) -> None:
        self._lower.ref()

    def unref(self) -> None:
        self._lower.unref()

    def has_ref(self) -> bool:
        return bool(self._lower.has_ref())

    def get_sock_name(self) -> Any:
        return self._lower.get_sock_name()

    def get_peer_name(self) -> Any:
        return self._lower.get_peer_name()

    def set_no_delay(self, enable: bool) -> int:
        return int(self._lower.set_no_delay(enable))

    def set_keep_alive(self, enable: bool, delay: int, interval: int, count: int) -> int:
        return int(self._lower.set_keep_alive(enable, delay, interval, count))

    def set_type_of_service(self, tos: int) -> int:
        return int(self._lower.set_type_of_service(tos))

    def get_type_of_service(self) -> int:
        return int(self._lower.get_type_of_service())

    def __getattr__(self, name: str) -> Any:
        # What only some handles have.
        if name.startswith('_'):
            raise AttributeError(name)
        return getattr(self._lower, name)

    # -- the handshake ----------------------------------------------------------------------------

    def start(self, first: bytes = b'') -> None:
        """Begin: a client speaks first, a server waits. ``first``: what was read before."""
        if self.engine is not None and not first:
            self._handshake()
        if self._closed:
            return
        self._lower.read_start()
        if first:
            self.runtime.push(self._received, (first,))

    def begin(self, engine: Engine) -> None:
        """The engine for the bytes that were kept; for an owner that needed time."""
        if self._closed or self.engine is not None:
            return
        self.engine = engine
        first, self._first = self._first, b''
        self._lower.read_start()
        self._received(first)
        if self._eof and not self._closed:
            self._lower_ended()

    def refuse(self, alert: bytes) -> None:
        """Send an alert without an engine; the owner destroys the socket."""
        if not self._closed:
            self._failed = True
            self._lower.write(alert, _ignore)

    def _handshake(self) -> bool:
        """One step; whether data can be read now."""
        engine = self.engine
        assert engine is not None
        try:
            done = engine.handshake()
        except ssl.SSLError as error:
            self._fail(error)
            return False
        if not done:
            self._out()
            return False
        # The last flight waits for the first data, so that both go in one segment.
        self._owner._tls_secure()
        if self._closed:
            return False
        if self._shutdown is not None:
            shutdown, self._shutdown = self._shutdown, None
            code = self.shutdown(shutdown)
            if code != PENDING:
                shutdown(code)
        else:
            self._flush()
        if not self._closed and not self.reading:
            self._lower.read_stop()
        return not self._closed

    def _fail(self, error: ssl.SSLError) -> None:
        self._failed = True
        self._out()  # the alert
        self._lower.read_stop()
        self._owner._tls_failed(error)

    # -- reading ----------------------------------------------------------------------------------

    def read_start(self) -> None:
        if self.reading or self._closed:
            return
        self.reading = True
        if self._ended:
            return
        engine = self.engine
        if self._held or (engine is not None and engine.closed_by_peer):
            self.runtime.push(self._deliver_held, ())
        self._lower.read_start()

    def read_stop(self) -> None:
        self.reading = False
        engine = self.engine
        if engine is not None and engine.secure:
            self._lower.read_stop()

    def _received(self, data: bytes) -> object:
        engine = self.engine
        if self._failed:
            return None
        if engine is None:
            first = self._first = self._first + data if self._first else data
            engine = self._owner._tls_begin(first)
            if engine is None:
                return None
            self.engine = engine
            self._first, data = b'', first
        self._inside = True
        try:
            engine.feed(data)
            if not engine.secure and not self._handshake():
                return None
            try:
                plain = engine.receive()
            except ssl.SSLError as error:
                self._fail(error)
                return None
            if self._client:
                self._owner._tls_post()
            if plain or engine.closed_by_peer:
                self._deliver(plain)
        finally:
            self._inside = False
            if self._plain and engine.secure and not self._closed:
                self._flush()
            elif not self._closed:
                self._out()
        return None

    def _deliver_held(self) -> None:
        if self.reading and not self._closed:
            held, self._held = self._held, b''
            self._deliver(held)

    def _deliver(self, plain: bytes) -> None:
        if plain and (not self.reading or self._held):
            self._held += plain
            if self.reading:
                return
        elif plain:
            self.bytes_read += len(plain)
            if self.buffer is not None:
                self._fill(plain)
            elif self.on_read(plain) is False:
                self.read_stop()
        engine = self.engine
        if (
            engine is not None and engine.closed_by_peer and self.reading and not self._held
            and not self._ended and not self._closed
        ):  # fmt: skip
            self._ended = True
            self.reading = False
            self._lower.read_stop()
            self.on_end()

    def _fill(self, plain: bytes) -> None:
        view = memoryview(plain)
        while view and self.reading and not self._closed and self.buffer is not None:
            target = memoryview(self.buffer())
            count = min(len(target), len(view))
            target[:count] = view[:count]
            view = view[count:]
            if self.on_buffer(count, target.obj) is False:  # type: ignore[arg-type]
                self.read_stop()
        if view and not self._closed:
            self.bytes_read -= len(view)
            self._held = bytes(view) + self._held

    def _lower_ended(self) -> None:
        engine = self.engine
        self._eof = True
        if self._ended or self._closed or self._failed:
            return
        if engine is None or not engine.secure:
            if engine is None and self._first and not self._closed:
                # An owner that still chooses a context: it is told when it has.
                self._owner._tls_lost(False)
            else:
                self._owner._tls_lost(False)
        elif engine.closed_by_peer:
            if self.reading:
                self._deliver(b'')
        elif self.allow_truncation:
            engine.closed_by_peer = True
            if self.reading:
                self._deliver(b'')
        else:
            self._owner._tls_lost(True)

    def _lower_failed(self, code: int) -> None:
        engine = self.engine
        if (engine is None or not engine.secure) and code == errno.ECONNRESET:
            self._owner._tls_lost(False)
        else:
            self.on_error(code)

    # -- writing ----------------------------------------------------------------------------------

    @property
    def write_queue_size(self) -> int:
        return self._size + int(self._lower.write_queue_size)

    def write(self, data: Any, done: Callable[[int], object]) -> int:
        if self._closed or self._failed:
            return errno.EPIPE
        if type(data) is not bytes:
            data = bytes(data)
        size = len(data)
        self._plain.append(data)
        self._size += size
        self.bytes_written += size
        # Fast path: an answer inside the delivery of a message; it is flushed when that is over.
        if self._inside and self._size < ENOUGH and not self._lower.write_queue_size:
            engine = self.engine
            if engine is not None and engine.secure:
                return DONE
        return self._written(done)

    def writev(self, chunks: list[Any], done: Callable[[int], object]) -> int:
        if self._closed or self._failed:
            return errno.EPIPE
        for chunk in chunks:
            data = chunk if type(chunk) is bytes else bytes(chunk)
            self._plain.append(data)
            self._size += len(data)
            self.bytes_written += len(data)
        return self._written(done)

    def _written(self, done: Callable[[int], object]) -> int:
        """What is to become of plaintext that was just queued."""
        engine = self.engine
        if engine is None or not engine.secure:
            self._dones.append(done)
            return PENDING
        if self._size < ENOUGH and not self._lower.write_queue_size:
            if not self._inside and not self._due:
                self._due = True
                self.runtime.push(self._flush_due, ())
            return DONE
        return self._flush(done)

    def _flush_due(self) -> None:
        self._due = False
        if not self._closed and self._plain:
            self._flush()

    def _flush(self, done: Callable[[int], object] | None = None) -> int:
        """Encrypt what waits and give it to the handle below; the code of that write."""
        engine = self.engine
        # OpenSSL would go on with the handshake by itself, and send without our consent.
        if engine is None or self._failed or not engine.secure:
            return errno.EPIPE
        plain = self._plain
        if plain:
            data = plain[0] if len(plain) == 1 else b''.join(plain)
            self._plain = []
            self._size = 0
            if data:
                try:
                    engine.send(data, self.fragment)
                except ssl.SSLError as error:
                    self._fail(error)
                    return errno.EPIPE
        dones, self._dones = self._dones, []
        if not dones and done is None:
            return self._out()
        out = engine.outgoing
        if not out:
            code = DONE
        else:

            def written(code: int) -> None:
                for one in dones:
                    one(code)
                if done is not None:
                    done(code)

            code = int(self._lower.write(out, written))
        if code != PENDING and dones:
            self.runtime.push(_call_all, (dones, code))
        return code

    def _out(self) -> int:
        """Give what OpenSSL has made to the handle below."""
        engine = self.engine
        out = engine.outgoing if engine is not None else b''
        if not out:
            return DONE
        code = int(self._lower.write(out, self._out_failed))
        if code > 0:
            self.runtime.push(self._out_failed, (code,))
        return code

    def _out_failed(self, code: int) -> None:
        if code and not self._closed and not self._failed and code != errno.ECANCELED:
            self._lower_failed(code)

    # -- the end ----------------------------------------------------------------------------------

    def shutdown(self, done: Callable[[int], object]) -> int:
        """close_notify, then a FIN; the peer may go on sending."""
        engine = self.engine
        if self._closed:
            return errno.EBADF
        if engine is None or not engine.secure:
            self._shutdown = done
            return PENDING
        code = self._close_notify()
        if code > 0:
            return code
        return int(self._lower.shutdown(done))

    def _close_notify(self) -> int:
        engine = self.engine
        assert engine is not None
        if self._plain:
            self._flush()
        if self._failed or engine.closing:
            return DONE
        try:
            plain = engine.receive()
            if plain:
                self._held += plain
                if self.reading:
                    self.runtime.push(self._deliver_held, ())
            engine.close()
        except ssl.SSLError:
            # It can no longer say goodbye: the FIN alone remains.
            return DONE
        return self._out()

    def close(self, done: Callable[[], object] | None = None) -> None:
        if self._closed:
            self._lower.close(done)
            return
        engine = self.engine
        if engine is not None and engine.secure and not self._failed:
            if self._plain:
                self._flush()
            # Not with bytes lost in the queue: then the peer must see that something is missing.
            if not self._lower.write_queue_size:
                self._close_notify()
        self._closed = True
        self.reading = False
        dones, self._dones = self._dones, []
        shutdown, self._shutdown = self._shutdown, None
        if shutdown is not None:
            dones = [*dones, shutdown]
        if not dones:
            self._lower.close(done)
            return

        def closed() -> None:
            _call_all(dones, errno.ECANCELED)
            if done is not None:
                done()

        self._lower.close(closed)

    def reset(self, done: Callable[[], object] | None = None) -> int:
        code = int(self._lower.reset(done))
        if code == DONE:
            self._closed = True
            self.reading = False
        return code


def _call_all(dones: list[Callable[[int], object]], code: int) -> None:
    for done in dones:
        done(code)
