"""What can be listened to: emitters, and event targets such as an AbortSignal.

It refuses to know what is awaited of them (``_event_series.py``).
"""

from __future__ import annotations

from typing import Any, Protocol

from ._names import merge_options
from ._validate import bad_type, is_mapping

__all__ = ['Emitter', 'Target', 'checked', 'face']


class Emitter(Protocol):
    """What is needed of an emitter, such as ``events.EventEmitter``."""

    def on(self, event: Any, listener: Any, /) -> Any:
        """Adds a listener."""
        ...

    def off(self, event: Any, listener: Any, /) -> Any:
        """Removes a listener."""
        ...


class Target(Protocol):
    """What is needed of an event target, such as :class:`tailrace.AbortSignal`."""

    def add_event_listener(self, event: Any, listener: Any, /) -> Any:
        """Adds a listener."""
        ...

    def remove_event_listener(self, event: Any, listener: Any, /) -> Any:
        """Removes a listener."""
        ...


def checked(
    where: str, options: Any, keywords: dict[str, Any], known: tuple[str, ...]
) -> dict[str, Any]:
    """Options of a mapping and keywords together; ERR_INVALID_ARG_TYPE."""
    if options is not None and not is_mapping(options):
        bad_type('options', 'a mapping', options)
    given = {name: value for name, value in keywords.items() if value is not None}
    merged = merge_options(where, options, given, known)
    signal = merged.get('signal')
    if signal is not None and not (
        hasattr(signal, 'aborted') and hasattr(signal, 'add_event_listener')
    ):
        bad_type('options.signal', 'an AbortSignal', signal)
    return merged


class _TargetFace:
    """An event target as an emitter: it has no 'error' that would concern who listens."""

    __slots__ = ('off', 'on', 'target')

    def __init__(self, target: Any, add: Any, remove: Any) -> None:
        self.target = target
        self.on = add
        self.off = remove

    def event_names(self) -> list[Any]:
        """Nobody is told when a listener of a target is removed."""
        return []


def face(emitter: Any) -> tuple[Any, bool]:
    """An emitter, or an event target with an emitter's names; whether it is the latter."""
    target = _target(emitter)
    emits = callable(getattr(emitter, 'on', None)) and callable(getattr(emitter, 'off', None))
    if not emits and target is None:
        bad_type('emitter', 'an EventEmitter or an event target', emitter)
    if target is None or (emits and not hasattr(emitter, 'aborted')):
        return emitter, False
    return target, True  # an AbortSignal is a target that has `on` too


def _target(emitter: Any) -> _TargetFace | None:
    for add, remove in _TARGET:
        adds, removes = getattr(emitter, add, None), getattr(emitter, remove, None)
        if callable(adds) and callable(removes):
            return _TargetFace(emitter, adds, removes)
    return None


_TARGET = (
    ('add_event_listener', 'remove_event_listener'),
    ('addEventListener', 'removeEventListener'),
)
