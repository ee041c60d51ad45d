"""Handles: one non-blocking descriptor each, and the contract between it and what is above.

Above this layer nobody knows an errno, a readiness event or a ``socket`` object; in it nobody knows
an event, a stream or an exception class of ours. **The contract:**

1. *Ownership.* A handle owns one non-blocking, close-on-exec descriptor from the moment it gets it
   until :meth:`Handle.close`. Nothing else closes it. A handle that is collected while it is open
   closes the descriptor and issues a ``ResourceWarning``.
2. *Results.* A request returns :data:`DONE` (0): it is complete, its callback will never be
   called; or :data:`PENDING` (-1): its callback will be called exactly once, later; or a positive
   errno: it failed at once, its callback will never be called. No callback runs inside the call.
3. *Callbacks* run through ``Runtime.enter`` (so ticks follow them) with ``handle.owner`` as the
   source of an exception. A callback of a request gets an errno, 0 for success.
4. *Closing.* ``close`` is idempotent. At once: the descriptor leaves the loop, then it is closed.
   Later, from the loop: callbacks of pending requests with ``ECANCELED`` in the order of the
   requests, then the close callback, exactly once. After ``close`` no other callback runs.
5. *Liveness.* After every callback the handle looks again whether it is still open and still
   reading before it goes on: the callback may have closed, stopped or replaced anything.
6. *Reading.* Between ``read_start`` and ``read_stop`` bytes go to ``on_read(data)``; when that
   returns ``False`` exactly, reading stops as if ``read_stop`` had been called. The end of
   the stream is ``on_end()``, a failure ``on_error(errno)``; after either, reading has stopped.
   One ``recv`` per readiness event; it asks for more after one that came back full.
7. *Writing.* ``write`` and ``writev`` converge in one place. They try to send at once. What the
   kernel does not take stays in order and is sent when the descriptor is writable; the bytes are
   kept as a snapshot (a caller's ``bytearray`` is copied, ``bytes`` are not). ``write_queue_size``
   is what waits. A write behind one that waits, waits. ``shutdown`` waits for the writes before it.
8. *Lifetime.* While a handle is ref'd and reads (or listens), or has a request under way (ref'd or
   not, as in libuv), it holds its runtime: see ``Runtime.hold``.
9. *No loop yet.* A handle works before its runtime has a loop: system calls are made at once,
   registrations with the loop wait in the engine until there is one.

Platform notes belong beside the call they explain, with errno and man page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from .._listeners import OwnerCalls
from .._runtime import Runtime

__all__ = ['DONE', 'PENDING', 'Handle', 'ListenHandle', 'SocketAddressInfo', 'StreamHandle']

#: The request is complete.
DONE: Final = 0
#: The request's callback will be called.
PENDING: Final = -1

#: Address, port and family ('IPv4' or 'IPv6') of an IP socket.
SocketAddressInfo = tuple[str, int, str]


class Handle(Protocol):
    """What every handle has."""

    runtime: Runtime
    #: 'tcp' or 'pipe'.
    kind: str
    #: The descriptor, -1 before there is one and after close.
    fd: int
    #: Who gets the blame for an exception of a callback: the Socket or Server.
    owner: object

    def ref(self) -> None:
        """Hold the program while active (the default)."""

    def unref(self) -> None:
        """Do not hold the program by being active; requests under way still do."""

    def has_ref(self) -> bool:
        """Whether an active handle holds the program."""
        ...

    def close(self, done: Callable[[], object] | None = None) -> None:
        """Rule 4."""


class StreamHandle(Handle, Protocol):
    """One connection, or one to be: TCP or Unix-domain."""

    on_read: Callable[[bytes], object]
    on_end: Callable[[], object]
    on_error: Callable[[int], object]
    #: If set, bytes are received into what ``buffer()`` returns (a writable memoryview or
    #: bytearray, asked for before the first read and after each chunk) and ``on_buffer(n, buf)`` is
    #: called instead of ``on_read``, with the same meaning of False.
    buffer: Callable[[], bytearray | memoryview] | None
    on_buffer: Callable[[int, bytearray | memoryview], object]

    bytes_read: int
    #: Bytes given to write, whether sent or still queued.
    bytes_written: int
    write_queue_size: int
    reading: bool
    #: Switched on by who wants to know: then ``active_at`` is the runtime's clock at the last read
    #: or progress of a write. Off, no clock is read.
    stamping: bool
    active_at: float

    def give_to(self, owner: object, calls: OwnerCalls | None) -> None:
        """Call ``calls`` for ``owner`` instead of the ``on_…`` callbacks; None: those again.

        Only then a write may be without a callback: ``calls.written`` is called.
        """

    def bind(self, address: str, port: int, family: int) -> int:
        """Bind a socket that is to connect (family 4 or 6); DONE or an errno."""
        ...

    def connect(self, address: str, port: int, family: int, done: Callable[[int], object]) -> int:
        """Connect to an IP address; for a pipe ``address`` is the path, port and family are 0."""
        ...

    def open(self, fd: int) -> int:
        """Take over a connected descriptor; DONE or an errno."""
        ...

    def read_start(self) -> None:
        """Rule 6; no effect while reading."""

    def read_stop(self) -> None:
        """Rule 6; no effect while not reading."""

    def write(
        self, data: bytes | bytearray | memoryview, done: Callable[[int], object] | None
    ) -> int:
        """Rule 7."""
        ...

    def writev(
        self, chunks: list[bytes | bytearray | memoryview], done: Callable[[int], object]
    ) -> int:
        """Rule 7: one vectored write (sendmsg, split at IOV_MAX)."""
        ...

    def shutdown(self, done: Callable[[int], object]) -> int:
        """Send a FIN once the queued writes are out (SHUT_WR)."""
        ...

    def reset(self, done: Callable[[], object] | None = None) -> int:
        """Close with an RST (SO_LINGER 1,0; PF-05); TCP only, else ENOTSUP; DONE or an errno."""
        ...

    def get_sock_name(self) -> SocketAddressInfo | None:
        """Own address; None for a pipe, without a descriptor, and when the kernel refuses."""
        ...

    def get_peer_name(self) -> SocketAddressInfo | None:
        """Peer address, as above."""
        ...

    def get_peer_key(self) -> bytes | None:
        """The peer's IP address as 4 bytes (a mapped one too) or 16; None if it is not known."""
        ...

    def set_no_delay(self, enable: bool) -> int:
        """TCP_NODELAY; DONE or an errno (pipes: DONE, no effect)."""
        ...

    def set_keep_alive(self, enable: bool, delay: int, interval: int, count: int) -> int:
        """SO_KEEPALIVE and, when enabling, TCP_KEEPIDLE (if delay >= 1 s), KEEPINTVL, KEEPCNT."""
        ...

    def set_type_of_service(self, tos: int) -> int:
        """IP_TOS or IPV6_TCLASS; DONE or an errno."""
        ...

    def get_type_of_service(self) -> int:
        """The value in force, or a negative errno."""
        ...


class ListenHandle(Handle, Protocol):
    """One bound socket that can listen: TCP or Unix-domain."""

    on_connection: Callable[[StreamHandle], object]
    #: accept() failed in a way that its caller should hear of; listening goes on.
    on_accept_error: Callable[[int], object]

    def bind(self, address: str, port: int, family: int, ipv6_only: bool, reuse_port: bool) -> int:
        """TCP: SO_REUSEADDR, IPV6_V6ONLY set explicitly, bind; DONE or an errno."""
        ...

    def bind_path(self, path: str) -> int:
        """Unix: bind the path (leading NUL: abstract, Linux only); DONE or an errno (EINVAL)."""
        ...

    def chmod(self, bits: int) -> int:
        """Set the mode of the socket file to exactly ``bits`` (0o444, 0o222, 0o666; LS-21)."""
        ...

    def open(self, fd: int) -> int:
        """Take over a bound or listening descriptor; DONE or an errno (EINVAL: not listenable)."""
        ...

    def listen(self, backlog: int) -> int:
        """listen(2) and start to accept; DONE or an errno."""
        ...

    def hand_down_no_delay(self, enable: bool) -> bool:
        """Set TCP_NODELAY for what will be accepted; False: to be set on each connection."""
        ...

    def pause(self) -> None:
        """Leave connections in the kernel's queue until :meth:`resume`."""

    def resume(self) -> None:
        """Accept again."""

    def get_sock_name(self) -> SocketAddressInfo | str | None:
        """Own address, for a pipe the path."""
        ...
