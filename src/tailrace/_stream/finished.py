"""When a stream is done (ST-32), and when it may be written again."""

from __future__ import annotations

from typing import Any

from .._waiting import first_of
from ..errors import state_error
from .state import L_CLOSE_EMITTED, L_DESTROYED

__all__ = ['drained']


async def drained(stream: Any) -> None:
    """Wait while the stream needs a 'drain'; see ``Writable.drain``."""
    if stream._life & L_DESTROYED:
        raise stream._error or state_error('ERR_STREAM_PREMATURE_CLOSE')
    if not stream.writable_need_drain:
        return
    await first_of(stream, 'drain', 'close', 'finish')
    if stream._error is not None:
        raise stream._error
    if stream._life & L_CLOSE_EMITTED and not stream.writable_finished:
        raise state_error('ERR_STREAM_PREMATURE_CLOSE')
