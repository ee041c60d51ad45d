"""``stream.promises``: ``pipeline`` and ``finished`` to be awaited.

In Python the functions of ``stream`` can be awaited themselves; these refuse a callback, as Node's
do.
"""

from __future__ import annotations

from typing import Any

from . import finished as _finished
from . import pipeline as _pipeline

__all__ = ['finished', 'pipeline']


async def pipeline(*streams: Any, **options: Any) -> Any:
    """Connect streams, and wait until all are done. Options and errors as ``stream.pipeline``."""
    return await _pipeline.pipeline(*streams, **options)


async def finished(stream: Any, options: Any = None, /, **keywords: Any) -> None:
    """Wait until a stream is over. Options and errors as ``stream.finished``."""
    await _finished.finished(stream, options, **keywords)
