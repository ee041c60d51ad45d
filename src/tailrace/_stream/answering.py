"""Which connection answers for a stream: an 'error' of it that is unheard is a failure of that one.

What a connection is piped into, and what is piped into a connection, works for it. A decoder that
is given nonsense by one client must not end the service of the others. A stream that several
connections are piped into works for none of them. This file refuses to know what a connection is:
it is a stream whose ``_answerer`` is itself.
"""

from __future__ import annotations

from typing import Any

__all__ = ['answerer_behind', 'engaged', 'join']


class _Nobody:
    """The answerer of what several connections share."""

    def _take_blame(self, error: BaseException) -> bool:
        return False


_NOBODY = _Nobody()


def join(source: Any, dest: Any) -> None:
    """``source`` is piped into ``dest``: that, and what it is piped into, works for its connection.

    The other way is looked up when it is needed, by :func:`answerer_behind`: a source keeps its
    pipes, while a destination that has failed does not know any more where it was fed from.
    """
    ask = getattr(source, '_answerer', None)
    found = None if ask is None else ask()
    if found is not None:
        _engage(dest, found)


def _engage(stream: Any, answerer: Any) -> None:
    engage = getattr(stream, '_engage', None)
    if engage is None or not engage(answerer):
        return
    for pipe in stream._pipes or ():
        _engage(pipe.dest, answerer)


def engaged(before: Any, answerer: Any) -> Any:
    """Who answers for a stream that one answered for ``before``, and ``answerer`` is to now."""
    return answerer if before is None or before is answerer else _NOBODY


def answerer_behind(stream: Any) -> Any:
    """The one connection that ``stream`` is piped into, through others perhaps; or None."""
    seen: set[int] = set()
    found: Any = None
    left = [stream]
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        ask = getattr(one, '_answerer', None)
        answerer = None if ask is None else ask()
        if answerer is None:
            left += [pipe.dest for pipe in getattr(one, '_pipes', None) or ()]
        elif found is None:
            found = answerer
        elif found is not answerer:
            return None  # it feeds several, and belongs to none of them
    return found
