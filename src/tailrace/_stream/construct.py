"""``_construct``: what a stream does before anything else, such as opening a file.

Until it has called back the source is not asked, what is written waits, and destroying waits too.
This file refuses to know what is opened.
"""

from __future__ import annotations

from typing import Any

from ..errors import state_error
from .life import fail, release, ticks
from .state import L_DESTROYED, L_UNBUILT, R_UNBUILT, W_UNBUILT

__all__ = ['begin_construct']


def begin_construct(stream: Any) -> None:
    """Call ``_construct`` on the next tick."""
    stream._life |= L_UNBUILT
    stream._r |= R_UNBUILT
    stream._w |= W_UNBUILT
    ticks(stream).push_for(_construct_nt, stream)


def _construct_nt(stream: Any) -> None:
    called = False

    def built(error: BaseException | None = None) -> None:
        nonlocal called
        if called:
            fail(stream, error or state_error('ERR_MULTIPLE_CALLBACK', 'constructed twice'))
            return
        called = True
        stream._life &= ~L_UNBUILT
        stream._r &= ~R_UNBUILT
        stream._w &= ~W_UNBUILT
        if stream._life & L_DESTROYED:
            cause, callback = stream._late_destroy
            release(stream, cause or error, callback)
        elif error is not None:
            fail(stream, error, True)
        else:
            stream._built()

    def done(error: BaseException | None = None) -> None:
        ticks(stream).push(built, (error,), stream)

    try:
        stream._construct(done)
    except Exception as failure:
        done(failure)
