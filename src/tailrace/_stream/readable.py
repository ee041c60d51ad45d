"""``Readable``: the public reading side."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from .._compiled import public_name
from .._names import node_names
from .._validate import bad_type, is_mapping
from .._waiting import as_exception
from . import pipe as _pipe
from .describe import describe
from .framing import Framing
from .iterate import Chunks
from .operators import Operators
from .sources import source_of
from .state import (
    L_DESTROYED,
    L_ERROR_EMITTED,
    R_ABSENT,
    R_DID_READ,
    R_END_EMITTED,
    R_OBJECT,
    R_PAUSED,
    R_STOPPED,
)
from .stream import Stream, pipe_end, stream_options
from .write import WriteSide

__all__ = ['Readable']


@node_names
class Readable(Operators, Framing, Stream):
    """A source of chunks: ``bytes``, text after :meth:`set_encoding`, anything in object mode.

    Options (a mapping or keywords): ``high_water_mark`` (bytes, default 65536; objects, default
    16), ``encoding``, ``object_mode``, ``signal``, ``auto_destroy``, ``emit_close``, and the hooks
    ``construct(callback)``, ``read(size)`` and ``destroy(error, callback)`` for use without a
    subclass. ``construct`` runs first: all else waits until it has called back.

    Events: 'data' (chunk), 'readable', 'end', 'pause', 'resume', 'error' (error), 'close'.
    """

    def __init__(self, options: Mapping[str, Any] | None = None, /, **keywords: Any) -> None:
        self._init_stream(stream_options('Readable', options, keywords), True, False)

    @staticmethod
    def from_(
        iterable: Any, options: Mapping[str, Any] | None = None, /, **keywords: Any
    ) -> Readable:
        """A stream of the items of an iterable or asynchronous iterable.

        Text and bytes are one chunk. Options: those of Readable, with ``object_mode`` True and
        ``high_water_mark`` 1 by default. An exception of the iterable destroys the stream with it;
        destroying the stream closes the iterator. Items must not be None
        (ERR_STREAM_NULL_VALUES). Raises ERR_INVALID_ARG_TYPE if it cannot be iterated.
        """
        source, merged = source_of(iterable, options, keywords)
        stream = Readable(merged, read=source.read, destroy=source.destroy)
        source.stream = stream
        return stream

    def _stream_of(self, chunks: Any) -> Any:
        return Readable.from_(chunks)

    def wrap(self, stream: Any, /) -> Self:
        """Read from an old-style stream, which emits 'data' and 'end'.

        Returns this stream. Its 'error' and 'close' end this one too.
        """
        if not callable(getattr(stream, 'on', None)):
            bad_type('stream', 'an emitter of data and end', stream)
        held = False

        def data(chunk: Any) -> None:
            nonlocal held
            if not self.push(chunk) and callable(getattr(stream, 'pause', None)):
                held = True
                stream.pause()

        def read(size: int) -> None:
            nonlocal held
            if held and callable(getattr(stream, 'resume', None)):
                held = False
                stream.resume()

        stream.on('data', data)
        stream.on('end', lambda: self.push(None))

        def failed(error: Any = None) -> None:
            self.destroy(as_exception(error))

        def closed(*_: Any) -> None:
            self.destroy()

        stream.on('error', failed)
        stream.on('close', closed)
        self._hooks = {**(self._hooks or {}), 'read': read}
        return self

    def compose(self, stream: Any, /, *streams: Any) -> Any:
        """This stream and others in a row as one: :func:`stream.compose`."""
        # By name: what composes streams is made of this class.
        made = importlib.import_module('.compose', __package__)
        return made.compose(self, stream, *streams)

    #: What waits, or has just waited, for read_exactly & co.
    _framing: Any = None

    if TYPE_CHECKING:

        def push(self, chunk: Any, encoding: str | None = None) -> bool:
            """A chunk from the source, or None for its end; False: the buffer is full.

            A chunk after the end: 'error' ERR_STREAM_PUSH_AFTER_EOF. Text is of ``encoding``
            (utf8).
            """
            raise NotImplementedError

        def unshift(self, chunk: Any, encoding: str | None = None) -> bool:
            """Put a chunk in front of what is buffered; False: the buffer is full.

            After 'end': 'error' ERR_STREAM_UNSHIFT_AFTER_END_EVENT.
            """
            raise NotImplementedError

    else:
        push = public_name(WriteSide, '_push', 'push')
        unshift = public_name(WriteSide, '_put_back', 'unshift')

    def read(self, size: int | None = None, /) -> Any:
        """Take what is buffered: all of it, or exactly ``size`` units, or None if there is less.

        Once the source has ended, ``read(size)`` gives the rest even if it is shorter.
        ``read(0)`` takes nothing but may fetch more. Emits 'data' with what it returns. Raises
        ERR_INVALID_ARG_TYPE if ``size`` is no number.
        """
        return self._take(size)

    def pause(self) -> Self:
        """Stop 'data' events until :meth:`resume`; emits 'pause'."""
        self._pause()
        return self

    def resume(self) -> Self:
        """Let data flow; without a 'data' listener it is dropped; emits 'resume'."""
        self._resume()
        return self

    def is_paused(self) -> bool:
        """Whether :meth:`pause` was called and not undone."""
        return bool(self._r & R_PAUSED or self._r & R_STOPPED)

    def set_encoding(self, encoding: str | None = None, /) -> Self:
        """Give text instead of bytes from now on, decoded across chunk borders.

        ``None`` and empty text mean utf8. What is buffered is converted.
        Raises ERR_UNKNOWN_ENCODING.
        """
        self._set_encoding('utf8' if encoding in (None, '') else encoding)
        return self

    def pipe(
        self, dest: Any, options: Mapping[str, Any] | None = None, /, *, end: bool = True
    ) -> Any:
        """Send everything to ``dest``; returns ``dest``.

        ``dest`` is paused for as long as its ``write`` says so; it is ended with this stream
        unless ``end`` is False. Errors are not passed on. ``dest`` emits 'pipe' (source).
        """
        return _pipe.pipe(self, dest, pipe_end(options, end))

    def unpipe(self, dest: Any = None, /) -> Any:
        """Stop sending to ``dest``, or to all; each emits 'unpipe'."""
        return _pipe.unpipe(self, dest)

    def iterator(
        self, options: Mapping[str, Any] | None = None, /, *, destroy_on_return: bool = True
    ) -> Chunks:
        """The chunks, for ``async for``.

        With ``destroy_on_return=False`` leaving the loop early leaves the stream usable.
        """
        if options is not None:
            if not is_mapping(options):
                bad_type('options', 'a mapping', options)
            for name in ('destroyOnReturn', 'destroy_on_return'):
                destroy_on_return = options.get(name, destroy_on_return) is not False
        return Chunks(self, destroy_on_return)

    def __aiter__(self) -> Chunks:
        return Chunks(self, True)

    @property
    def readable(self) -> bool:
        """Whether it is safe to read: False after 'end', an error or destroy."""
        return not self._r & (R_ABSENT | R_END_EMITTED) and not self._life & (
            L_DESTROYED | L_ERROR_EMITTED
        )

    @property
    def readable_flowing(self) -> bool | None:
        """The mode: True flowing, False stopped, None not chosen yet."""
        return self._flowing()

    @property
    def readable_length(self) -> int:
        """How much is buffered: bytes, characters or objects."""
        return self._r_len

    @property
    def readable_buffer(self) -> list[Any]:
        """The chunks that are buffered, first to come first: a fresh list."""
        return list(self._r_buf or ())

    @property
    def readable_high_water_mark(self) -> int:
        """How much may be buffered, in bytes or objects, before the source is left alone."""
        return self._r_hwm

    @property
    def readable_object_mode(self) -> bool:
        """Whether chunks are objects."""
        return bool(self._r & R_OBJECT)

    @property
    def readable_encoding(self) -> str | None:
        """The encoding set with :meth:`set_encoding`."""
        return self._r_encoding

    @property
    def readable_ended(self) -> bool:
        """Whether 'end' was emitted."""
        return bool(self._r & R_END_EMITTED)

    @property
    def readable_aborted(self) -> bool:
        """Whether the stream was destroyed or failed before 'end'."""
        gone = self._life & L_DESTROYED or self._error is not None
        return bool(gone and not self._r & (R_ABSENT | R_END_EMITTED))

    @property
    def readable_did_read(self) -> bool:
        """Whether any data was taken out."""
        return bool(self._r & R_DID_READ)

    def __repr__(self) -> str:
        return f'<{type(self).__name__} {describe(self)}>'

    if TYPE_CHECKING:  # Node's spellings; see node_names
        isPaused = is_paused
        setEncoding = set_encoding
        readableFlowing = readable_flowing
        readableLength = readable_length
        readableBuffer = readable_buffer
        readableHighWaterMark = readable_high_water_mark
        readableObjectMode = readable_object_mode
        readableEncoding = readable_encoding
        readableEnded = readable_ended
        readableAborted = readable_aborted
        readableDidRead = readable_did_read
