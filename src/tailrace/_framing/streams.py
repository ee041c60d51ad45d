"""Codecs as streams: a Transform for each way, and a Duplex of messages over a Duplex of bytes.

This file knows streams and the codec protocol. It refuses to know any codec of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .._names import node_names
from .._stream.duplex import Duplex, Transform
from .._stream.state import L_GONE
from .._validate import bad_type
from ..errors import StreamNullValuesError, state_error
from .codec import Codec
from .limits import as_bytes

__all__ = ['FrameDecoder', 'FrameEncoder', 'FramedStream']


def _check_codec(codec: Any) -> Codec[Any]:
    if isinstance(codec, type) or not (
        callable(getattr(codec, 'encode', None)) and callable(getattr(codec, 'decoder', None))
    ):
        bad_type('codec', 'an object with encode(frame) and decoder()', codec)
    return codec  # type: ignore[no-any-return]


def _push_all(stream: Any, frames: Iterable[Any]) -> bool:
    """Push frames until there are no more, or a listener has destroyed the stream.

    False: its buffer is full.
    """
    room = True
    for frame in frames:
        if frame is None:
            raise StreamNullValuesError('a frame is None, which a stream cannot carry')
        room = stream.push(frame)
        if stream.destroyed:
            break
    return room


def _to_bytes(codec: Codec[Any], frame: Any) -> bytes:
    return as_bytes(codec.encode(frame), 'what encode() returns')


@node_names
class FrameDecoder(Transform):
    """A Transform that takes bytes and gives the frames of ``codec``.

    Reading is in object mode: each 'data' event, each turn of ``async for`` is one frame, and
    ``readable_high_water_mark`` counts frames (default 16). Writing takes bytes, or text (utf8).
    The other options are those of Transform. What is no frame, or longer than the codec's limit,
    destroys the stream with the codec's error; the frames before it are given out. A 'data'
    listener that raises destroys it too, with its exception.

    ::

        sock.pipe(FrameDecoder(Lines())).on('data', print)

    Raises ERR_INVALID_ARG_TYPE if ``codec`` is none.
    """

    def __init__(
        self, codec: Codec[Any], options: Mapping[str, Any] | None = None, /, **keywords: Any
    ) -> None:
        self._codec = _check_codec(codec)
        self._decoder_of_frames = codec.decoder()
        super().__init__(options, **{'readable_object_mode': True, **keywords})

    @property
    def codec(self) -> Codec[Any]:
        """The codec."""
        return self._codec

    def _transform(self, chunk: Any, encoding: str, callback: Callable[..., Any]) -> None:
        try:
            _push_all(self, self._decoder_of_frames.feed(bytes(chunk)))
        except Exception as error:
            callback(error)
        else:
            callback(None)

    def _flush(self, callback: Callable[..., Any]) -> None:
        try:
            _push_all(self, self._decoder_of_frames.finish())
        except Exception as error:
            callback(error)
        else:
            callback(None)


@node_names
class FrameEncoder(Transform):
    """A Transform that takes frames and gives their bytes as ``codec`` writes them.

    Writing is in object mode: one ``write`` is one frame, and ``writable_high_water_mark`` counts
    frames (default 16). The other options are those of Transform. A frame that the codec refuses
    destroys the stream with the codec's error.

    Raises ERR_INVALID_ARG_TYPE if ``codec`` is none.
    """

    def __init__(
        self, codec: Codec[Any], options: Mapping[str, Any] | None = None, /, **keywords: Any
    ) -> None:
        self._codec = _check_codec(codec)
        super().__init__(options, **{'writable_object_mode': True, **keywords})

    @property
    def codec(self) -> Codec[Any]:
        """The codec."""
        return self._codec

    def _transform(self, chunk: Any, encoding: str, callback: Callable[..., Any]) -> None:
        try:
            data = _to_bytes(self._codec, chunk)
        except Exception as error:
            callback(error)
        else:
            callback(None, data)


@node_names
class FramedStream(Duplex):
    """Messages over a Duplex of bytes, such as a socket: what is written and read are frames.

    ``stream`` is any Duplex of bytes without an encoding; it belongs to this one from now on. Its
    'error' and 'close' are this stream's, the end of its reading side is the end here, and
    :meth:`end` and :meth:`destroy` end and destroy it. Backpressure goes through both ways: it is
    paused while nobody reads frames, and ``write`` returns False when ``writable_high_water_mark``
    frames (default 16) wait because it is full.

    ``write(frame)`` raises nothing for a frame that the codec refuses: that destroys both streams
    with the codec's error, as do bytes that are no frame and a 'data' listener that raises. On the
    socket of a server an 'error' without a listener is a failure of that one connection
    (``server.on_error``). The options are those of Duplex;
    ``object_mode`` is always on, and ``allow_half_open`` is that of ``stream``.

    ::

        async for message in FramedStream(sock, JsonLines()):
            ...

    Raises ERR_INVALID_ARG_TYPE if ``stream`` is no Duplex of bytes or ``codec`` no codec, and
    ERR_STREAM_DESTROYED.
    """

    def __init__(
        self,
        stream: Any,
        codec: Codec[Any],
        options: Mapping[str, Any] | None = None,
        /,
        **keywords: Any,
    ) -> None:
        if not isinstance(stream, Duplex):
            bad_type('stream', 'a Duplex of bytes', stream)
        if stream.readable_object_mode or stream.writable_object_mode or stream.readable_encoding:
            bad_type('stream', 'a Duplex of bytes, without an encoding', stream)
        if stream.destroyed:
            raise state_error('ERR_STREAM_DESTROYED')
        self._codec = _check_codec(codec)
        self._frames = codec.decoder()
        self._inner = stream
        self._waiting: Callable[..., Any] | None = None
        self._did_end = False
        half_open = stream.allow_half_open
        defaults = {'allow_half_open': half_open, 'readable_high_water_mark': 16}
        super().__init__(options, **{**defaults, **keywords, 'object_mode': True})
        stream.on('data', self._on_data)
        stream.on('drain', self._on_drain)
        if stream.readable_ended:
            self._on_end()
        else:
            stream.once('end', self._on_end)
        stream.on('error', self._on_error)
        stream.once('close', self._on_close)

    @property
    def codec(self) -> Codec[Any]:
        """The codec."""
        return self._codec

    @property
    def stream(self) -> Any:
        """The stream of bytes below."""
        return self._inner

    # -- reading ----------------------------------------------------------------------------------

    def _read(self, size: int) -> None:
        if self._inner.is_paused():
            self._inner.resume()

    def _on_data(self, chunk: Any) -> None:
        if self.destroyed:
            return
        try:
            room = _push_all(self, self._frames.feed(chunk))
        except Exception as error:
            self.destroy(error)
        else:
            if not room:
                self._inner.pause()

    def _on_end(self) -> None:
        if self.destroyed:
            return
        try:
            _push_all(self, self._frames.finish())
        except Exception as error:
            self.destroy(error)
        else:
            self._did_end = True
            self.push(None)

    # -- writing ----------------------------------------------------------------------------------

    def _write(self, chunk: Any, encoding: str, callback: Any) -> None:
        if self._inner.destroyed:
            callback(self._inner.errored or state_error('ERR_STREAM_DESTROYED'))
            return
        try:
            data = _to_bytes(self._codec, chunk)
        except Exception as error:
            callback(error)
            return
        if self._inner.write(data):
            callback(None)
        else:
            self._waiting = callback

    def _on_drain(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting(None)

    def _final(self, callback: Any) -> None:
        inner = self._inner
        if inner.writable_finished:
            callback(None)
        elif inner.writable_ended:  # with its reading side, say
            inner.once('finish', lambda: callback(None))
        else:
            inner.end(callback)

    # -- the end ----------------------------------------------------------------------------------

    def _on_error(self, error: Any) -> None:
        self.destroy(error)

    def _on_close(self) -> None:
        # Frames that have come can still be read, if the bytes ended as they should.
        if not self._did_end or self._waiting is not None:
            self.destroy(state_error('ERR_STREAM_PREMATURE_CLOSE'))
        elif self.readable_ended and not self.writable_finished:
            self.destroy(None if self.writable_ended else state_error('ERR_STREAM_PREMATURE_CLOSE'))

    def _destroy(self, error: Any, callback: Any) -> None:
        self._waiting = None
        inner = self._inner
        # Not `inner.closed`: that is true some ticks before its 'close'.
        if inner._life & L_GONE or not inner._emits_close():
            inner.destroy(error)
            callback(error)
        else:
            inner.once('close', lambda: callback(error))
            inner.destroy(error)

    def _answerer(self) -> Any:
        # For the socket of a server this is the failure of one connection, and reported as one.
        return self._inner._answerer()

    def _engage(self, answerer: Any) -> bool:
        return bool(self._inner._engage(answerer))

    def _take_blame(self, error: BaseException) -> bool:
        return bool(self._inner._take_blame(error))

    def _who(self) -> str:
        return f'a {type(self).__name__} over {self._inner._who()}'
