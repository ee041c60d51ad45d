"""``Stream.pipe``: pipes of old-style streams, which are emitters of 'data', 'end' and 'close'.

A Readable has its own (``pipe.py``). This file knows events, ``write``, ``end``, ``pause`` and
``resume``, and no states.
"""

from __future__ import annotations

from typing import Any

from .._validate import bad_type

__all__ = ['pipe']


def pipe(source: Any, dest: Any, end: bool) -> Any:
    """Write what ``source`` emits as 'data' to ``dest``, until one of them is over."""
    if not callable(getattr(dest, 'on', None)):
        bad_type('dest', 'a stream', dest)
    over = False

    def data(chunk: Any = None) -> None:
        if getattr(dest, 'writable', None) and dest.write(chunk) is False:
            _call(source, 'pause')

    def drain() -> None:
        if getattr(source, 'readable', None):
            _call(source, 'resume')

    def ended() -> None:
        nonlocal over
        if not over:
            over = True
            dest.end()

    def closed() -> None:
        nonlocal over
        if not over:
            over = True
            _call(dest, 'destroy')

    def failed(emitter: Any) -> Any:
        def heard(error: Any = None) -> None:
            leave()
            if emitter.listener_count('error') == 0:
                emitter.emit('error', error)

        return heard

    source_failed, dest_failed = failed(source), failed(dest)

    def leave() -> None:
        for emitter, listeners in added:
            for event, listener in listeners:
                emitter.off(event, listener)

    source_hears = [('data', data), ('error', source_failed), ('end', leave), ('close', leave)]
    dest_hears = [('drain', drain), ('error', dest_failed), ('close', leave)]
    added = ((source, [*source_hears, ('end', ended), ('close', closed)]), (dest, dest_hears))
    source.on('data', data)
    dest.on('drain', drain)
    if end:
        source.on('end', ended)
        source.on('close', closed)
    # Before the listeners of others, so that whether there are any is seen after leaving.
    source.prepend_listener('error', source_failed)
    dest.prepend_listener('error', dest_failed)
    source.on('end', leave)
    source.on('close', leave)
    dest.on('close', leave)
    dest.emit('pipe', source)
    return dest


def _call(owner: Any, name: str) -> None:
    method = getattr(owner, name, None)
    if callable(method):
        method()
