"""Any Duplex as a handle: TLS over in-memory pairs, other TLS sockets and a user's own streams.

What Node has as JSStreamSocket. It has no descriptor and no addresses, and refuses to know TLS.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from types import MethodType
from typing import Any

from .. import _runtime
from .._handles import DONE, PENDING
from .._listeners import OwnerCalls
from .._timers import soon

__all__ = ['DuplexHandle']


def _ignore(*_: Any) -> None:
    """Nobody is told."""


class DuplexHandle:
    """A StreamHandle over a Duplex; it takes the stream over and ends with it."""

    __slots__ = (
        '_closed', '_queued', '_refed', '_stream', '_told', 'active_at', 'buffer', 'bytes_read',
        'bytes_written', 'fd', 'kind', 'on_buffer', 'on_end', 'on_error', 'on_read', 'owner',
        'reading', 'runtime', 'stamping',
    )  # fmt: skip

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.runtime = _runtime.current()
        self.kind = 'stream'
        self.fd = -1
        self.owner: object = None
        self.on_read: Callable[[bytes], object] = _ignore
        self.on_end: Callable[[], object] = _ignore
        self.on_error: Callable[[int], object] = _ignore
        self.buffer: Any = None
        self.on_buffer: Any = _ignore
        self._told: Callable[[int], object] = _ignore
        self.bytes_read = self.bytes_written = 0
        self.reading = False
        self.stamping = False
        self.active_at = 0.0
        self._queued = 0
        self._closed = False
        self._refed = True
        stream.pause()
        stream.on('data', self._data)
        stream.on('end', self._end)
        stream.on('error', self._error)
        stream.on('close', self._gone)
        stream.pause()

    def give_to(self, owner: object, calls: OwnerCalls | None) -> None:
        self.owner = owner
        if calls is not None:
            self.on_read = MethodType(calls.read, owner)
            self.on_end = MethodType(calls.end, owner)
            self.on_error = MethodType(calls.error, owner)
            self.on_buffer = MethodType(calls.fill, owner)
            self._told = MethodType(calls.written, owner)

    def _stamp(self) -> None:
        if self.stamping:
            self.active_at = self.runtime.clock()

    def _data(self, chunk: Any) -> None:
        if self._closed:
            return
        data = chunk.encode() if isinstance(chunk, str) else bytes(chunk)
        self.bytes_read += len(data)
        self._stamp()
        if self.on_read(data) is False:
            self.read_stop()

    def _end(self) -> None:
        self.reading = False
        if not self._closed:
            self.on_end()

    def _error(self, error: Any = None) -> None:
        if not self._closed:
            self.on_error(getattr(error, 'errno', None) or errno.EIO)

    def _gone(self, *_: Any) -> None:
        if not self._closed and not getattr(self._stream, 'readable_ended', True):
            self.on_error(errno.ECONNRESET)

    def ref(self) -> None:
        self._refed = True
        getattr(self._stream, 'ref', _ignore)()

    def unref(self) -> None:
        self._refed = False
        getattr(self._stream, 'unref', _ignore)()

    def has_ref(self) -> bool:
        return self._refed

    def read_start(self) -> None:
        if not self.reading and not self._closed:
            self.reading = True
            self._stream.resume()

    def read_stop(self) -> None:
        if self.reading:
            self.reading = False
            self._stream.pause()

    @property
    def write_queue_size(self) -> int:
        return self._queued

    def write(self, data: Any, done: Callable[[int], object] | None) -> int:
        done = self._told if done is None else done
        if self._closed or self._stream.destroyed:
            return errno.EPIPE
        size = len(data)
        self.bytes_written += size
        self._queued += size

        def written(error: Any = None) -> None:
            self._queued -= size
            self._stamp()
            code = DONE if error is None else getattr(error, 'errno', None) or errno.EPIPE
            done(errno.ECANCELED if self._closed else code)

        self._stream.write(data, written)
        return PENDING

    def writev(self, chunks: list[Any], done: Callable[[int], object]) -> int:
        return self.write(b''.join(chunks), done)

    def shutdown(self, done: Callable[[int], object]) -> int:
        if self._closed:
            return errno.EBADF

        def ended(error: Any = None) -> None:
            done(DONE if error is None else errno.ENOTCONN)

        self._stream.end(ended)
        return PENDING

    def close(self, done: Callable[[], object] | None = None) -> None:
        if self._closed:
            return
        self._closed = True
        self.reading = False
        self._stream.off('data', self._data)
        # What waits in it, such as a close_notify, goes out first.
        if self._queued and not self._stream.destroyed:
            self._stream.end()
            self._stream.resume()
        elif not self._stream.destroyed:
            self._stream.destroy()
        if done is not None:
            soon(self.runtime, done)

    def reset(self, done: Callable[[], object] | None = None) -> int:
        if hasattr(self._stream, 'reset_and_destroy'):
            self._closed = True
            self._stream.reset_and_destroy()
            if done is not None:
                soon(self.runtime, done)
            return DONE
        return errno.ENOTSUP

    def get_sock_name(self) -> None:
        return None

    def get_peer_name(self) -> None:
        return None

    def set_no_delay(self, enable: bool) -> int:
        return DONE

    def set_keep_alive(self, enable: bool, delay: int, interval: int, count: int) -> int:
        return DONE

    def set_type_of_service(self, tos: int) -> int:
        return errno.ENOTSUP

    def get_type_of_service(self) -> int:
        return -errno.ENOTSUP
