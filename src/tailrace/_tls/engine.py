"""One TLS connection between byte strings: bytes from the peer in, plaintext out, and back.

OpenSSL works on two buffers in memory (``ssl.MemoryBIO``). This file refuses to know where bytes
come from and go to, and who waits for them. What the numbers in it cost was measured on CPython
3.12 with 1 KiB messages.
"""

from __future__ import annotations

import ssl
from typing import Any

__all__ = ['READ_SIZE', 'Engine']

#: Bytes of one read: SSL_read gives no more than one record, which has at most 16 KiB (RFC 8446
#: section 5.1). 256 KiB would make glibc map and unmap memory for every read, which costs three
#: times the rest of it.
READ_SIZE = 16384


class Engine:
    """A connection's TLS state. After an error (``ssl.SSLError``) only ``outgoing`` is of use."""

    __slots__ = (
        '_in', '_out', '_read', '_write', 'checked', 'closed_by_peer', 'closing', 'context', 'mode',
        'object', 'secure',
    )  # fmt: skip

    def __init__(
        self, context: ssl.SSLContext, server: bool, hostname: str | None, session: Any = None
    ) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context.wrap_bio(self._in, self._out, server, hostname, session)
        # Without the class around it, which only passes on: 1,100 instructions a message.
        inner: Any = getattr(self.object, '_sslobj', self.object)
        self._read, self._write = inner.read, inner.write
        # As they are now: a context may be changed later, which is without effect here.
        self.context = context
        self.mode = context.verify_mode
        #: The name that OpenSSL compares with the certificate, or None.
        self.checked = hostname if context.check_hostname else None
        #: Whether the handshake is complete and the peer accepted; the owner says so. Before that
        #: no plaintext passes in either direction.
        self.secure = False
        #: Whether our close_notify was made, and whether the peer's was read.
        self.closing = False
        self.closed_by_peer = False

    def feed(self, data: bytes) -> None:
        """Bytes from the peer."""
        self._in.write(data)

    def handshake(self) -> bool:
        """Go on with the handshake; True when OpenSSL has completed it."""
        try:
            self.object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def receive(self) -> bytes:
        """The plaintext of all whole records that were fed, in one piece; b'' if there is none."""
        read, pending = self._read, self._in
        parts: list[bytes] = []
        try:
            # Asking once more than there is raises: 4 us, where `pending` takes 0.1.
            while pending.pending:
                data = read(READ_SIZE)
                if not data:
                    self.closed_by_peer = True
                    break
                parts.append(data)
        except ssl.SSLWantReadError:
            pass  # what was left was part of a record, or a ticket
        except ssl.SSLZeroReturnError:
            self.closed_by_peer = True
        return parts[0] if len(parts) == 1 else b''.join(parts)

    def send(self, data: bytes, fragment: int = 0) -> None:
        """Encrypt plaintext into ``outgoing``; ``fragment``: bytes of a record, if not 0."""
        if fragment and len(data) > fragment:
            view = memoryview(data)
            for at in range(0, len(data), fragment):
                self._write(view[at : at + fragment])
        else:
            self._write(data)

    def close(self) -> None:
        """Make the close_notify; once, and only after :meth:`receive`.

        With plaintext undelivered OpenSSL would call it an error
        (APPLICATION_DATA_AFTER_CLOSE_NOTIFY) and end the connection.
        """
        if self.closing:
            return
        self.closing = True
        try:
            self.object.unwrap()
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass  # the peer's own is still to come, or came before

    @property
    def outgoing(self) -> bytes:
        """Take the bytes for the peer."""
        out = self._out
        return out.read() if out.pending else b''
