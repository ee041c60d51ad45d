"""AbortController and AbortSignal.

The signal only tells; whoever acts on it adds a listener and removes it when done.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from . import _runtime, _timers
from ._names import node_names
from ._validate import bad_type, milliseconds, out_of_range
from .errors import AbortError, NodeError
from .events import EventEmitter

__all__ = ['AbortController', 'AbortSignal', 'AbortTimeoutError', 'check_signal']


class AbortTimeoutError(NodeError, TimeoutError):
    """The reason of :meth:`AbortSignal.timeout`: the time is over."""

    code = 'ERR_TIMEOUT'
    name = 'TimeoutError'


class AbortReason(AbortError):
    """The reason of an abort for which none was given; its code is that of the DOM's AbortError."""

    code = 20  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__('This operation was aborted')


@node_names
class AbortSignal:
    """Tells that something is to stop. Made by an :class:`AbortController` or the functions here.

    Listeners: ``add_event_listener('abort', fn)``, ``on('abort', fn)``, ``once('abort', fn)`` or
    the attribute ``onabort``; each gets the signal. A listener that is added after the abort is
    not called: look at :attr:`aborted` first.
    """

    def __init__(self) -> None:
        self._emitter = EventEmitter()
        self._emitter.set_max_listeners(math.inf)
        self._aborted = False
        self._reason: Any = None
        self._cleanup: list[Callable[[], object]] = []
        #: A function called with the signal when it aborts, after the listeners.
        self.onabort: Callable[..., Any] | None = None

    @property
    def aborted(self) -> bool:
        """Whether the abort has happened."""
        return self._aborted

    @property
    def reason(self) -> Any:
        """Why: what was given to ``abort``, by default an AbortError; None before the abort."""
        return self._reason

    def throw_if_aborted(self) -> None:
        """Raise the reason if aborted; if it is no exception, an AbortError with it as cause."""
        if self._aborted:
            if isinstance(self._reason, BaseException):
                raise self._reason
            raise AbortError(cause=self._reason)

    def add_event_listener(self, event: str, listener: Any, *, once: bool = False) -> None:
        """Call ``listener(signal)`` at the abort. Adding the same function twice counts once."""
        if self._emitter.listener_count(event, listener) == 0:
            (self._emitter.once if once else self._emitter.on)(event, listener)

    def remove_event_listener(self, event: str, listener: Any) -> None:
        """Do not call ``listener``; unknown ones are ignored."""
        self._emitter.off(event, listener)

    def on(self, event: str, listener: Any) -> AbortSignal:
        """As :meth:`add_event_listener`; returns the signal."""
        self.add_event_listener(event, listener)
        return self

    def once(self, event: str, listener: Any) -> AbortSignal:
        """As :meth:`on`; the listener is removed before it runs."""
        self.add_event_listener(event, listener, once=True)
        return self

    def off(self, event: str, listener: Any) -> AbortSignal:
        """As :meth:`remove_event_listener`; returns the signal."""
        self.remove_event_listener(event, listener)
        return self

    def listener_count(self, event: str) -> int:
        """How many listeners ``event`` has."""
        return self._emitter.listener_count(event)

    def _abort(self, reason: Any) -> None:
        if self._aborted:
            return
        self._aborted = True
        self._reason = AbortReason() if reason is None else reason
        for undo in self._cleanup:
            undo()
        self._cleanup.clear()
        runtime = _runtime.current()
        listeners = self._emitter.listeners('abort')
        if self.onabort is not None:
            listeners.append(self.onabort)
        once = EventEmitter()
        for listener in listeners:
            once.on('abort', listener)
            # Every listener hears of the abort, whatever another one raises: what they raise is
            # uncaught, one by one, as with a DOM event target.
            try:
                once.emit('abort', self)
            except Exception as error:
                runtime.push(_raise, (error,))
            once.remove_all_listeners()
        self._emitter.remove_all_listeners('abort')

    @staticmethod
    def abort(reason: Any = None) -> AbortSignal:
        """A signal that is aborted already."""
        signal = AbortSignal()
        signal._abort(reason)
        return signal

    @staticmethod
    def timeout(ms: Any) -> AbortSignal:
        """A signal that aborts after ``ms`` ms (or a timedelta) with a TimeoutError.

        Its timer does not keep the program alive. Raises ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE.
        """
        delay = milliseconds('ms', ms)
        if delay > 2**53:
            out_of_range('ms', 'at most 2**53', ms)
        signal = AbortSignal()

        def over() -> None:
            signal._abort(AbortTimeoutError('the operation was aborted: its time is over'))

        timer = _timers.set_timeout(over, delay).unref()
        signal._cleanup.append(timer.close)
        return signal

    @staticmethod
    def any(signals: Iterable[AbortSignal]) -> AbortSignal:
        """A signal that aborts as soon as one of ``signals`` does, with its reason."""
        sources = list(signals)
        for source in sources:
            check_signal('signals', source)
        out = AbortSignal()
        for source in sources:
            if source.aborted:
                out._abort(source.reason)
                return out

        def follow(source: AbortSignal) -> None:
            out._abort(source.reason)

        for source in sources:
            source.add_event_listener('abort', follow)
            out._cleanup.append(lambda s=source: s.remove_event_listener('abort', follow))  # type: ignore[misc]
        return out

    def __repr__(self) -> str:
        return f'<AbortSignal {"aborted" if self._aborted else "not aborted"}>'

    if TYPE_CHECKING:  # Node's spellings; see node_names
        throwIfAborted = throw_if_aborted
        addEventListener = add_event_listener
        removeEventListener = remove_event_listener
        listenerCount = listener_count


def _raise(error: Exception) -> None:
    raise error


class AbortController:
    """Makes one :attr:`signal` and aborts it."""

    def __init__(self) -> None:
        self._signal = AbortSignal()

    @property
    def signal(self) -> AbortSignal:
        """The signal to hand out."""
        return self._signal

    def abort(self, reason: Any = None) -> None:
        """Abort the signal; repeated calls change nothing. ``reason``: default an AbortError."""
        self._signal._abort(reason)

    def __repr__(self) -> str:
        return f'<AbortController {self._signal!r}>'


def check_signal(name: str, value: Any) -> AbortSignal:
    """``value`` if it is an AbortSignal, else ERR_INVALID_ARG_TYPE."""
    if not isinstance(value, AbortSignal):
        bad_type(name, 'an AbortSignal', value)
    return value
