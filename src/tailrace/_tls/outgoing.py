"""The writing side of a TLS handle: plaintext is gathered, encrypted, and given to the one below.

What is written in one tick goes out as one record and one system call; what is written while data
is being delivered goes out when the delivery is over.
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Callable
from typing import Any

from .._handles import DONE, PENDING
from .above import Above
from .engine import Engine

__all__ = ['Outgoing', 'call_all']

#: With more plaintext than this waiting, or with the kernel full, a write is encrypted at once and
#: waits.
ENOUGH = 65536


class Outgoing(Above):
    """A handle that encrypts what is written to it; not used by itself."""

    __slots__ = ('_dones', '_due', '_plain', '_size', 'fragment')

    def __init__(self, lower: Any, owner: Any, engine: Engine | None) -> None:
        super().__init__(lower, owner, engine)
        self.fragment = 0
        #: Plaintext that waits to be encrypted, and the callbacks of the writes before the
        #: handshake.
        self._plain: list[bytes] = []
        self._size = 0
        self._dones: list[Callable[[int], object]] = []
        self._due = False

    def _fail(self, error: ssl.SSLError) -> None:
        """OpenSSL has refused: nothing more is encrypted."""
        raise NotImplementedError

    def _broken(self, code: int) -> None:
        """The handle below reports an error."""
        raise NotImplementedError

    @property
    def write_queue_size(self) -> int:
        return self._size + int(self._lower.write_queue_size)

    def write(self, data: Any, done: Callable[[int], object] | None) -> int:
        done = self._told if done is None else done
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
            self.runtime.push(call_all, (dones, code))
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
            self._broken(code)


def call_all(dones: list[Callable[[int], object]], code: int) -> None:
    """Complete these writes."""
    for done in dones:
        done(code)
