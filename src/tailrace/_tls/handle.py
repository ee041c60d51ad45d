"""TLS as a handle: the contract of ``_handles`` above another handle.

So everything a socket does with a handle (reading and pausing, the write queue, idle time,
half-close, handing over) is done with TLS in between, and no code of the socket knows.

Here are the handshake, reading and the end; ``outgoing.py`` writes, ``above.py`` is what TLS does
not change. They refuse to know sockets, events and options; they ask their ``Owner``.
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Callable
from typing import Any

from .._handles import DONE, PENDING
from .above import ignore
from .engine import Engine
from .outgoing import Outgoing, call_all

__all__ = ['TLSHandle']


#: With more bytes than this no more is read while the owner chooses a context: no client has
#: anything to say then.
MOST_FIRST = 1 << 18


class TLSHandle(Outgoing):
    """A StreamHandle; see the contract in ``_handles/__init__.py``."""

    __slots__ = ('_client', '_ended', '_eof', '_first', '_held', '_shutdown', 'allow_truncation')

    def __init__(self, lower: Any, owner: Any, engine: Engine | None) -> None:
        super().__init__(lower, owner, engine)
        self._client = engine is not None
        self.allow_truncation = False
        #: Plaintext that came while nobody read.
        self._held = b''
        #: The bytes before there was an engine.
        self._first: bytes | bytearray = b''
        self._shutdown: Callable[[int], object] | None = None
        self._ended = self._eof = False
        lower.give_to(owner, None)
        lower.on_read = self._received
        lower.on_end = self._lower_ended
        lower.on_error = self._lower_failed
        lower.buffer = None

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
        first, self._first = bytes(self._first), b''
        self._lower.read_start()
        self._received(first)
        if self._eof and not self._closed:
            self._lower_ended()

    def refuse(self, alert: bytes) -> None:
        """Send an alert without an engine; the owner destroys the socket."""
        if not self._closed:
            self._failed = True
            self._lower.write(alert, ignore)

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
            first = self._first
            if not isinstance(first, bytearray):
                first = self._first = bytearray()
            first += data
            engine = self._owner._tls_begin(first)
            if engine is None:
                if len(first) > MOST_FIRST:
                    self._lower.read_stop()
                return None
            self.engine = engine
            self._first, data = b'', bytes(first)
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
        # Both have said their ends: what becomes of the connection below is of no account.
        if engine is None or not (engine.closing and engine.closed_by_peer):
            self._broken(code)

    def _broken(self, code: int) -> None:
        engine = self.engine
        if (engine is None or not engine.secure) and code == errno.ECONNRESET:
            self._owner._tls_lost(False)
        else:
            self.on_error(code)

    # -- the end ----------------------------------------------------------------------------------

    def shutdown(self, done: Callable[[int], object]) -> int:
        """close_notify, then a FIN; the peer may go on sending."""
        engine = self.engine
        if self._closed:
            return errno.EBADF
        if engine is None or not engine.secure:
            self._shutdown = done
            return PENDING
        self._close_notify()
        return int(self._lower.shutdown(done))

    def _close_notify(self) -> None:
        engine = self.engine
        assert engine is not None
        if self._plain:
            self._flush()
        if self._failed or engine.closing:
            return
        try:
            plain = engine.receive()
            if plain:
                self._held += plain
                if self.reading:
                    self.runtime.push(self._deliver_held, ())
            engine.close()
        except ssl.SSLError:
            return  # it can no longer say goodbye: the FIN alone remains
        out = engine.outgoing
        if out:
            # A peer that is gone needs none. Data that is lost is told by its own writes.
            self._lower.write(out, ignore)

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
            call_all(dones, errno.ECANCELED)
            if done is not None:
                done()

        self._lower.close(closed)

    def reset(self, done: Callable[[], object] | None = None) -> int:
        code = int(self._lower.reset(done))
        if code == DONE:
            self._closed = True
            self.reading = False
        return code
