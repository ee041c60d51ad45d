"""What a codec is: the protocol that the streams ask of it, whoever wrote it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar, runtime_checkable

__all__ = ['Codec', 'Decoder']

_T_co = TypeVar('_T_co', covariant=True)
_T = TypeVar('_T')


@runtime_checkable
class Decoder(Protocol[_T_co]):
    """The reading half of a codec: cuts one stream of bytes into frames.

    Made by :meth:`Codec.decoder`, for one stream. It holds the beginning of a frame whose rest has
    not come yet, and nothing more.
    """

    def feed(self, data: bytes, /) -> Iterable[_T_co]:
        """The frames that ``data`` completes, in their order; often a generator.

        What is returned is read to its end before the next call. Bytes that make no frame are an
        exception, raised after the frames before them were given; then nothing is called again.
        """
        ...

    def finish(self) -> Iterable[_T_co]:
        """The frames that the end of the stream completes, or an exception if one is torn."""
        ...


@runtime_checkable
class Codec(Protocol[_T]):
    """How messages are framed. Anything that has these two methods is one.

    A codec holds no state of a stream: one object serves any number of connections.

    ::

        class Records:
            '''Records of 16 bytes: a number each.'''

            def encode(self, frame, /):
                return frame.to_bytes(16)

            def decoder(self):
                return RecordDecoder()
    """

    def encode(self, frame: _T, /) -> bytes:
        """The bytes of one frame. An exception says that it cannot be framed."""
        ...

    def decoder(self) -> Decoder[_T]:
        """A new decoder, for one stream."""
        ...
