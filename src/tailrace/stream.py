"""Streams: Node's ``stream`` module. Every function also has its Node name (``addAbortSignal``)."""

from __future__ import annotations

import typing as _typing

from ._names import module_names as _module_names
from ._stream import promises
from ._stream.compose import compose
from ._stream.duplex import Duplex, PassThrough, Transform
from ._stream.finished import finished
from ._stream.marks import get_default_high_water_mark, set_default_high_water_mark
from ._stream.pipeline import add_abort_signal, pipeline
from ._stream.questions import (
    destroy,
    duplex_pair,
    is_destroyed,
    is_disturbed,
    is_errored,
    is_readable,
    is_writable,
)
from ._stream.readable import Readable
from ._stream.stream import Stream
from ._stream.writable import Writable

__all__ = [
    'Duplex',
    'PassThrough',
    'Readable',
    'Stream',
    'Transform',
    'Writable',
    'add_abort_signal',
    'compose',
    'destroy',
    'duplex_pair',
    'finished',
    'get_default_high_water_mark',
    'is_destroyed',
    'is_disturbed',
    'is_errored',
    'is_readable',
    'is_writable',
    'pipeline',
    'promises',
    'set_default_high_water_mark',
]

if _typing.TYPE_CHECKING:  # Node's spellings
    addAbortSignal = add_abort_signal
    duplexPair = duplex_pair
    isDestroyed = is_destroyed
    isDisturbed = is_disturbed
    isErrored = is_errored
    isReadable = is_readable
    isWritable = is_writable
    getDefaultHighWaterMark = get_default_high_water_mark
    setDefaultHighWaterMark = set_default_high_water_mark
else:
    # One mechanism for all; a type checker would take every name for one of these.
    __getattr__, __dir__ = _module_names(__name__, __all__, globals())
