"""A handle above another one: what TLS does not change, and who is told of what it does."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from types import MethodType
from typing import Any, Protocol

from .._listeners import OwnerCalls
from .._runtime import Runtime
from .engine import Engine

__all__ = ['Above', 'Owner', 'ignore']


class Owner(Protocol):
    """Who is told of the handshake: a TLS socket."""

    def _tls_begin(self, data: bytes | bytearray) -> Engine | None:
        """The engine, once there is enough of the peer's first bytes; it may come later."""

    def _tls_secure(self) -> None:
        """The handshake is complete."""

    def _tls_failed(self, error: ssl.SSLError) -> None:
        """OpenSSL has refused something; the alert is on its way."""

    def _tls_lost(self, truncated: bool) -> None:
        """The peer is gone without close_notify, or (``truncated`` False) before the handshake."""

    def _tls_post(self) -> None:
        """Records were read: data, or something else such as a session ticket."""


def ignore(*_: Any) -> None:
    """Nobody is told."""


class Above:
    """The fields of a StreamHandle, and the questions that the handle below answers."""

    __slots__ = (
        '_closed', '_failed', '_inside', '_lower', '_owner', '_told', 'buffer', 'bytes_read',
        'bytes_written', 'engine', 'kind', 'on_buffer', 'on_end', 'on_error', 'on_read', 'reading',
        'runtime',
    )  # fmt: skip

    def __init__(self, lower: Any, owner: Any, engine: Engine | None) -> None:
        self._lower = lower
        self._owner: Any = owner
        self.runtime: Runtime = lower.runtime
        self.kind: str = lower.kind
        #: None until the ClientHello has been read.
        self.engine = engine
        self.on_read: Callable[[bytes], object] = ignore
        self.on_end: Callable[[], object] = ignore
        self.on_error: Callable[[int], object] = ignore
        self._told: Callable[[int], object] = ignore
        self.buffer: Callable[[], bytearray | memoryview] | None = None
        self.on_buffer: Callable[[int, bytearray | memoryview], object] = ignore
        self.bytes_read = self.bytes_written = 0
        self.reading = False
        #: Whether data that came is being delivered.
        self._inside = False
        self._closed = self._failed = False

    def give_to(self, owner: object, calls: OwnerCalls | None) -> None:
        self.owner = owner
        if calls is not None:
            self.on_read = MethodType(calls.read, owner)
            self.on_end = MethodType(calls.end, owner)
            self.on_error = MethodType(calls.error, owner)
            self.on_buffer = MethodType(calls.fill, owner)
            self._told = MethodType(calls.written, owner)

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
