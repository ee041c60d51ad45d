"""Frames: lines, length prefixes and other ways to put messages on a stream of bytes.

A codec says how a message is written: :class:`Lines`, :class:`Delimiter`, :class:`LengthPrefixed`,
:class:`Fixed`, :class:`JsonLines`, :class:`Netstrings`, or an object of yours with the two methods
of :class:`Codec`. :class:`FramedStream` makes a stream of messages of a socket;
:class:`FrameDecoder` and :class:`FrameEncoder` are one way each, for ``pipe`` and ``pipeline``.

Codecs need no stream: ``codec.encode(frame)`` gives bytes, ``codec.decoder().feed(data)`` frames.
Each has a limit, and what exceeds it is an error with a code (:mod:`tailrace.errors`).
"""

from ._framing.codec import Codec, Decoder
from ._framing.counted import Fixed, LengthPrefixed, Netstrings
from ._framing.separated import Delimiter, JsonLines, Lines
from ._framing.streams import FrameDecoder, FramedStream, FrameEncoder

__all__ = [
    'Codec',
    'Decoder',
    'Delimiter',
    'Fixed',
    'FrameDecoder',
    'FrameEncoder',
    'FramedStream',
    'JsonLines',
    'LengthPrefixed',
    'Lines',
    'Netstrings',
]
