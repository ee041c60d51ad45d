"""A file among the writes of a socket.

The transfer stands in the stream's queue like a chunk: what is written later waits behind it, and
``end()`` too. While one is there the stream has no sink, so that every chunk comes to the hook
``_write``, where this one is told apart. Which bytes the kernel sends and which are read here is
decided when its turn comes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from .. import _runtime
from .._handles import DONE
from .._handles.facts import FileSource
from .._listeners import adapt
from .._stream.write import set_sink, write_any
from .._validate import bad_type, bad_value, check_callable, check_int, out_of_range
from ..errors import state_error, system_error
from .clock import RuntimeClock

__all__ = ['FileTransfer']

#: What is read of a file at once where the kernel does not send it itself.
PIECE = 262144
_MOST = 2**63 - 1
#: What sendfile(2) says where it cannot, and reading can.
_NOT_SENT = ('EINVAL', 'ENOSYS', 'EOPNOTSUPP', 'ENOTSUP', 'ENOTSOCK', 'EBUSY')


class FileTransfer:
    """A file on its way, made by ``Socket.send_file``; ``await`` it for the number of bytes sent.

    ``sent`` and ``size`` are bytes. Awaiting raises what went wrong; cancelling that destroys the
    socket.
    """

    __slots__ = (
        '_at',
        '_callback',
        '_done',
        '_error',
        '_handle',
        '_off',
        '_over',
        '_progress',
        '_sock',
        '_source',
        '_waiters',
        'sent',
        'size',
    )

    def __init__(
        self, sock: Any, file: Any, offset: int, count: int | None, progress: Any, callback: Any
    ) -> None:
        if isinstance(file, bool) or not (
            isinstance(file, (str, bytes, int))
            or hasattr(file, '__fspath__')
            or (hasattr(file, 'read') and hasattr(file, 'seek'))
        ):
            bad_type('file', 'a path, a descriptor or a binary file', file)
        offset = check_int('offset', offset, 0, _MOST)
        if count is not None:
            count = check_int('count', count, 0, _MOST)
        self._progress = None if progress is None else adapt(check_callable('progress', progress))
        self._callback = None if callback is None else adapt(check_callable('callback', callback))
        refusal = sock._refusal()
        if refusal is None and sock._handle is None and not sock._connecting:
            refusal = state_error('ERR_SOCKET_CLOSED')
        if refusal is not None:
            raise refusal
        try:
            self._source = FileSource(file)
        except OSError as error:
            path = file if isinstance(file, str) or hasattr(file, '__fspath__') else None
            raise system_error(error, 'open', path=None if path is None else str(path)) from error
        except ValueError as error:  # a NUL in a path, a closed file
            bad_value('file', f'usable ({error})', file)
        if offset > self._source.size:
            self._source.close()
            out_of_range('offset', f'at most the size of the file, {self._source.size}', offset)
        left = self._source.size - offset
        #: How many bytes are sent in the end, and so far.
        self.size: int = left if count is None else min(left, count)
        self.sent: int = 0
        self._sock = sock
        self._at = offset
        self._handle: Any = None
        #: The stream's callback, once it is this one's turn.
        self._done: Callable[[BaseException | None], object] | None = None
        self._error: BaseException | None = None
        self._over = self._off = False
        self._waiters: list[Any] = []
        sock._sending += 1
        set_sink(sock, None)
        if sock._connecting:
            # Before what was written while connecting is sent, and this behind it.
            sock.prepend_once_listener('connect', self._keep_sink_away)
        write_any(sock, self, 'buffer', self.size, self._finished, None)

    def __len__(self) -> int:
        return self.size

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        state = 'done' if self._over else 'sending' if self._done is not None else 'waiting'
        return f'<FileTransfer {state}, {self.sent} of {self.size} bytes>'

    def _keep_sink_away(self) -> None:
        if not self._off:
            set_sink(self._sock, None)

    # -- its turn ---------------------------------------------------------------------------------

    def start(self, done: Callable[[BaseException | None], object]) -> None:
        """Everything before it is out; ``done(error)`` is the stream's."""
        self._done = done
        if self._sock._connecting:
            self._sock.once('connect', self._begin)
            self._sock.once('close', self._never)
        else:
            self._begin()

    def _never(self) -> None:
        self._sock.off('connect', self._begin)
        self._end(state_error('ERR_SOCKET_CLOSED_BEFORE_CONNECTION'))

    def _begin(self) -> None:
        sock = self._sock
        sock.off('close', self._never)
        handle = self._handle = sock._handle
        if handle is None:
            self._end(state_error('ERR_SOCKET_CLOSED'))
        elif not self.size:
            self._end(None)
        elif self._source.fd >= 0 and _sends_files(handle):
            code = handle.send_file(
                self._source.fd, self._at, self.size, self._moved, self._kernel_done
            )
            if code >= 0:
                self._kernel_done(code)
        else:
            self._soon()

    def _kernel_done(self, code: int) -> None:
        if code == DONE:
            self._end(None)
            return
        error = system_error(code, 'sendfile')
        if error.code in _NOT_SENT and not self.sent and self._sock._handle is self._handle:
            self._soon()
        else:
            self._end(self._reason(error))

    def _reason(self, error: Any) -> BaseException:
        if error.code == 'ECANCELED':  # closed meanwhile; what for is the stream's error
            return self._sock.errored or state_error('ERR_STREAM_DESTROYED')
        return error  # type: ignore[no-any-return]

    def _moved(self, size: int) -> None:
        self.sent += size
        self._at += size
        if self._progress is not None:
            self._progress(self.sent, self.size)

    # -- reading ----------------------------------------------------------------------------------

    def _soon(self) -> None:
        """The next piece, after the others had their turn."""
        RuntimeClock(self._handle.runtime, self._sock).soon(self._next)

    def _next(self) -> None:
        if self._over:
            return
        handle = self._handle
        if self._sock._handle is not handle:
            self._end(self._sock.errored or state_error('ERR_STREAM_DESTROYED'))
            return
        try:
            piece = self._source.piece(self._at, min(PIECE, self.size - self.sent))
        except (OSError, ValueError) as error:
            failed = system_error(error if isinstance(error, OSError) else 'EBADF', 'read')
            failed.__cause__ = error
            self._end(failed)
            return
        if not piece:
            self._end(system_error('ENODATA', 'read'))
            return

        def written(code: int) -> None:
            if code == DONE:
                self._went(len(piece))
            else:
                self._end(self._reason(system_error(code, 'write')))

        code = handle.write(piece, written)
        if code >= 0:
            written(code)

    def _went(self, size: int) -> None:
        self._moved(size)
        if self._over:
            return
        if self.sent < self.size:
            self._soon()
        else:
            self._end(None)

    # -- the end ----------------------------------------------------------------------------------

    def _end(self, error: BaseException | None) -> None:
        """Tell the stream, once."""
        done, self._done = self._done, None
        if done is not None:
            self._error = error
            self._count_off()
            done(error)

    def _count_off(self) -> None:
        if self._off:
            return
        self._off = True
        sock = self._sock
        sock._sending -= 1
        if not sock._sending and sock._handle is not None and not sock._connecting:
            set_sink(sock, sock._handle)

    def _finished(self, error: BaseException | None = None) -> None:
        """The stream's last word: sent, failed, or never begun."""
        self._over = True
        self._error = error
        self._count_off()
        self._source.close()
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        if self._callback is not None:
            self._callback(error)

    def __await__(self) -> Generator[Any, None, int]:
        return self._wait().__await__()

    async def _wait(self) -> int:
        sock = self._sock
        if not self._over:
            waiter = _runtime.new_future()
            self._waiters.append(waiter)
            # Whoever waits here takes the error.
            sock.on('error', _ignore)
            try:
                await waiter
            except BaseException:
                if not self._over:
                    sock.destroy()
                raise
            finally:
                sock.off('error', _ignore)
        if self._error is not None:
            raise self._error
        return self.sent


def _sends_files(handle: object) -> bool:
    # Its own method: one that wraps another has what that one has, and would pass it by.
    return hasattr(type(handle), 'send_file')


def _ignore(_: object = None) -> None:
    """An 'error' that the await raises."""
