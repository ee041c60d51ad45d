"""``Writable``: the public writing side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, overload

from .._compiled import public_name
from .._names import node_names
from ..errors import state_error
from .describe import describe
from .encodings import canonical
from .finished import drained
from .state import (
    L_DESTROYED,
    R_NONE,
    W_ABSENT,
    W_ENDING,
    W_FINISHED,
    W_NEED_DRAIN,
    W_OBJECT,
)
from .stream import Stream, stream_options
from .write import WriteSide

if TYPE_CHECKING:
    from .typed import OnDone

__all__ = ['Writable']


@node_names
class Writable(Stream):
    """A destination of chunks.

    Options (a mapping or keywords): ``high_water_mark`` (bytes, default 65536; objects, default
    16), ``decode_strings`` (default True: text is encoded before ``_write``), ``default_encoding``
    (default utf8), ``object_mode``, ``signal``, ``auto_destroy``, ``emit_close``, and the hooks
    ``construct(callback)``, ``write(chunk, encoding, callback)``, ``writev(chunks, callback)``,
    ``final(callback)`` and ``destroy(error, callback)`` for use without a subclass. ``construct``
    runs first: all else waits until it has called back.

    Events: 'drain', 'finish', 'prefinish', 'pipe' (source), 'unpipe' (source), 'error', 'close'.
    """

    def __init__(self, options: Mapping[str, Any] | None = None, /, **keywords: Any) -> None:
        self._init_stream(stream_options('Writable', options, keywords), False, True)
        self._r |= R_NONE

    if TYPE_CHECKING:

        @overload
        def write(
            self, chunk: Any, encoding: str | None = None, callback: OnDone | None = None
        ) -> bool: ...

        @overload
        def write(self, chunk: Any, callback: OnDone, /) -> bool: ...

        def write(self, chunk: Any, encoding: Any = None, callback: Any = None) -> bool:
            """Write ``chunk``: str, or anything bytes-like.

            Returns False when the caller should wait for 'drain'; the data is queued all the same.
            ``encoding`` is for text, by default utf8. ``callback(error)`` runs when the chunk is
            written, or with the error that prevented it. Raises ERR_INVALID_ARG_TYPE,
            ERR_STREAM_NULL_VALUES or ERR_UNKNOWN_ENCODING.
            """
            raise NotImplementedError

    else:
        write = public_name(WriteSide, '_write_chunk', 'write')

    @overload
    def end(
        self, chunk: Any = None, encoding: str | None = None, callback: OnDone | None = None
    ) -> Self: ...

    @overload
    def end(self, chunk: Any, callback: OnDone, /) -> Self: ...

    def end(self, chunk: Any = None, encoding: Any = None, callback: Any = None) -> Self:
        """Write nothing after ``chunk`` (if any); then 'finish'.

        Forms: ``end()``, ``end(callback)``, ``end(chunk)``, ``end(chunk, callback)``,
        ``end(chunk, encoding, callback)``. The callback gets None at 'finish', or the error that
        prevented it: ERR_STREAM_ALREADY_FINISHED, ERR_STREAM_DESTROYED. A second call changes
        nothing. Raises what :meth:`write` raises.
        """
        self._do_end(chunk, encoding, callback)
        return self

    def cork(self) -> None:
        """Keep writes in memory until :meth:`uncork` was called as often."""
        self._do_cork()

    def uncork(self) -> None:
        """Undo one :meth:`cork`; the last one writes everything as one vectored write."""
        self._do_uncork()

    def set_default_encoding(self, encoding: str, /) -> Self:
        """The encoding of text given without one. Raises ERR_UNKNOWN_ENCODING."""
        name = encoding.lower() if isinstance(encoding, str) else encoding
        canonical(name)
        self._w_encoding = name
        return self

    async def drain(self) -> None:
        """Wait until more should be written: at once, unless ``write`` has returned False.

        Raises the error of the stream, or ERR_STREAM_PREMATURE_CLOSE if it is closed meanwhile.
        """
        await drained(self)

    def pipe(self, dest: Any, *_: Any, **__: Any) -> Any:
        """A stream that is only writable cannot be read: 'error' ERR_STREAM_CANNOT_PIPE."""
        self._fail(state_error('ERR_STREAM_CANNOT_PIPE'))
        return dest

    @property
    def writable(self) -> bool:
        """Whether it is safe to write: False after end(), an error or destroy."""
        return self._can_write()

    @property
    def writable_length(self) -> int:
        """How much waits to be written: bytes (characters of text not encoded yet) or objects."""
        return self._w_len

    @property
    def writable_buffer(self) -> list[tuple[Any, Any]]:
        """What waits behind the chunk being written, as (chunk, encoding): a fresh list."""
        return [(chunk, encoding) for chunk, encoding, _, _ in self._w_buf or ()]

    @property
    def writable_high_water_mark(self) -> int:
        """How much may wait, in bytes or objects, before ``write`` returns False."""
        return self._w_hwm

    @property
    def writable_object_mode(self) -> bool:
        """Whether chunks are objects."""
        return bool(self._w & W_OBJECT)

    @property
    def writable_need_drain(self) -> bool:
        """Whether ``write`` has returned False and 'drain' is still to come."""
        return bool(self._w & W_NEED_DRAIN) and not (self._life & L_DESTROYED or self._w & W_ENDING)

    @property
    def writable_corked(self) -> int:
        """How often :meth:`uncork` has to be called."""
        return self._corked

    @property
    def writable_ended(self) -> bool:
        """Whether :meth:`end` was called."""
        return bool(self._w & W_ENDING)

    @property
    def writable_finished(self) -> bool:
        """Whether 'finish' was emitted (it is being emitted, within its listeners)."""
        return bool(self._w & W_FINISHED)

    @property
    def writable_aborted(self) -> bool:
        """Whether the stream was destroyed or failed before 'finish'."""
        gone = self._life & L_DESTROYED or self._error is not None
        return bool(gone and not self._w & (W_FINISHED | W_ABSENT))

    def __repr__(self) -> str:
        return f'<{type(self).__name__} {describe(self)}>'

    if TYPE_CHECKING:  # Node's spellings; see node_names
        setDefaultEncoding = set_default_encoding
        writableLength = writable_length
        writableBuffer = writable_buffer
        writableHighWaterMark = writable_high_water_mark
        writableObjectMode = writable_object_mode
        writableNeedDrain = writable_need_drain
        writableCorked = writable_corked
        writableEnded = writable_ended
        writableFinished = writable_finished
        writableAborted = writable_aborted
