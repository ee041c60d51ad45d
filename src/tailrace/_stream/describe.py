"""A stream's state in a few words, for ``repr``."""

from __future__ import annotations

from typing import Any

from .state import L_CLOSE_EMITTED, L_DESTROYED

__all__ = ['describe']


def describe(stream: Any) -> str:
    """The stream's state, and how much is buffered on each side that it has."""
    life: int = stream._life
    words = ['closed' if life & L_CLOSE_EMITTED else 'destroyed' if life & L_DESTROYED else 'open']
    if hasattr(stream, 'readable_length'):
        mode = {None: 'idle', True: 'flowing', False: 'paused'}[stream.readable_flowing]
        words.append('ended' if stream.readable_ended else f'{mode} {stream.readable_length} read')
    if hasattr(stream, 'writable_length'):
        if stream.writable_finished:
            words.append('finished')
        else:
            words.append(f'{stream.writable_length} to write')
            if stream.writable_ended:
                words.append('ending')
    return ', '.join(words)
