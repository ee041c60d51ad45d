"""EventEmitter: Node's events for Python.

A listener may declare fewer arguments than the event has, or more (the rest is ``None``), and may
be a coroutine function. What a listener needs is found out once, when it is added; emitting to a
listener that takes what it is given costs one comparison and the call.

This file refuses to know streams, sockets and the loop.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import CoroutineType
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

from . import _runtime
from ._compiled import caller_level, mypyc_attr
from ._event_series import on, once
from ._event_sources import checked
from ._listeners import Listener, is_coroutine_function
from ._names import module_names, node_names
from ._validate import bad_type, check_bool, check_number, out_of_range, shown
from .errors import UnhandledError

__all__ = [
    'EventEmitter',
    'add_abort_listener',
    'capture_rejection_symbol',
    'capture_rejections',
    'default_max_listeners',
    'error_monitor',
    'get_event_listeners',
    'get_max_listeners',
    'listener_count',
    'on',
    'once',
    'set_capture_rejections',
    'set_default_max_listeners',
    'set_max_listeners',
]

#: More listeners than this for one event are most likely a leak: one warning.
default_max_listeners: int | float = 10

#: Whether emitters that do not say it themselves capture what their coroutine listeners raise;
#: changed by :func:`set_capture_rejections`. In Node it is False at first.
capture_rejections: bool = True

#: The name of the method that gets what a coroutine listener raises: the place of
#: :meth:`EventEmitter.on_rejection`. In Node it is a symbol.
capture_rejection_symbol: str = 'on_rejection'


class _ErrorMonitor:
    """The event that is emitted with every 'error' before it, and that handles nothing."""

    __slots__ = ()

    def __repr__(self) -> str:
        return 'error_monitor'


#: Listen for this to see errors without handling them: ``emitter.on(error_monitor, log)``.
error_monitor: _ErrorMonitor = _ErrorMonitor()

_MISSING: Final[Any] = object()
# Final: compiled code has these at hand, and looks other names up.
_callable: Final[Any] = callable
_COROUTINE: Final[Any] = CoroutineType


@mypyc_attr(allow_interpreted_subclasses=True)
class EventEmitter:
    """Named events with listeners that run in the order in which they were added.

    Event names are strings (any hashable works). Every method that adds or removes returns the
    emitter. An ``'error'`` event that nobody listens to raises its error out of :meth:`emit`.

    Events: ``'newListener'`` (event, listener) before a listener is added, ``'removeListener'``
    (event, listener) after one was removed.

    ``capture_rejections`` (default: :data:`capture_rejections`, True): exceptions of coroutine
    listeners go to :meth:`on_rejection`. If False they are uncaught: they end ``tailrace.run()``,
    and under another loop go to its exception handler. May be given in a mapping. Raises
    ERR_INVALID_ARG_TYPE.
    """

    __slots__ = ('_capture', '_events', '_max_listeners', '_warned')

    # Node's spellings (see node_names): types only, so that a compiler leaves them alone.
    addListener: ClassVar[Callable[..., Any]]
    prependListener: ClassVar[Callable[..., Any]]
    prependOnceListener: ClassVar[Callable[..., Any]]
    removeListener: ClassVar[Callable[..., Any]]
    removeAllListeners: ClassVar[Callable[..., Any]]
    rawListeners: ClassVar[Callable[[EventEmitter, Any], list[Callable[..., Any]]]]
    listenerCount: ClassVar[Callable[..., int]]
    eventNames: ClassVar[Callable[[EventEmitter], list[Any]]]
    setMaxListeners: ClassVar[Callable[..., Any]]
    getMaxListeners: ClassVar[Callable[[EventEmitter], int | float]]
    onRejection: ClassVar[Callable[..., None]]

    _events: dict[Any, Listener | tuple[Listener, ...]]
    _max_listeners: int | float
    _warned: frozenset[Any] | None

    def __init__(self, options: Any = None, /, *, capture_rejections: Any = None) -> None:
        # A listener alone is stored as itself, several as a tuple: never changed in place, so that
        # an emit under way goes on with the listeners it began with.
        self._events = {}
        self._max_listeners = -1
        self._warned = None
        if options is not None or capture_rejections is not None:
            given = {'capture_rejections': capture_rejections}
            self._capture_by(
                checked('EventEmitter', options, given, ('capture_rejections',)).get(
                    'capture_rejections'
                )
            )

    def _capture_by(self, option: Any) -> None:
        """Take the option ``capture_rejections``; None: as the module says."""
        if option is not None:
            # Set only here: an emitter that is made without the option pays nothing for it.
            self._capture: bool | None = check_bool('options.capture_rejections', option)

    # -- adding -----------------------------------------------------------------------------

    def on(self, event: Any, listener: Any = _MISSING, /) -> Any:
        """Add ``listener`` for ``event``; returns the emitter.

        Without a listener it is a decorator: ``@server.on('connection')``. The same
        function may be added several times. A coroutine function runs as a task; if it fails, the
        error is emitted as 'error' (a stream is destroyed with it, a server's 'connection'
        listener destroys the connection). Raises ERR_INVALID_ARG_TYPE if the listener cannot be
        called, TypeError if it has a required keyword-only parameter.
        """
        if listener is _MISSING:
            return self._decorator(event, False)
        self._add(event, listener, False, False)
        return self

    def add_listener(self, event: Any, listener: Any, /) -> Any:
        """The same as :meth:`on`."""
        self._add(event, listener, False, False)
        return self

    def once(self, event: Any, listener: Any = _MISSING, /) -> Any:
        """Add ``listener`` for the next ``event`` only; it is removed before it runs.

        Returns, raises, and is a decorator as :meth:`on`.
        """
        if listener is _MISSING:
            return self._decorator(event, True)
        self._add(event, listener, True, False)
        return self

    def prepend_listener(self, event: Any, listener: Any, /) -> Any:
        """Add ``listener`` before all others of ``event``."""
        self._add(event, listener, False, True)
        return self

    def prepend_once_listener(self, event: Any, listener: Any, /) -> Any:
        """Add ``listener`` before all others, for the next ``event`` only."""
        self._add(event, listener, True, True)
        return self

    def _decorator(self, event: Any, once: bool) -> Callable[[Any], Any]:
        def add(function: Any) -> Any:
            self._add(event, function, once, False)
            return function

        return add

    def _add(self, event: Any, function: Any, once: bool, first: bool) -> None:
        if not _callable(function):
            bad_type('listener', 'a function', function)
        listener = Listener(function, once)
        if is_coroutine_function(function):
            listener.call = self._starter(event, function)
            listener.plain = None
        events = self._events
        if 'newListener' in events:
            self.emit('newListener', event, function)
        try:
            old = events.get(event)
        except TypeError:
            _not_hashable(event)
        if old is None:
            events[event] = listener
            return
        both: tuple[Listener, ...]
        if isinstance(old, Listener):
            both = (listener, old) if first else (old, listener)
        else:
            both = (listener, *old) if first else (*old, listener)
        events[event] = both
        limit = self.get_max_listeners()
        if 0 < limit < len(both) and (self._warned is None or event not in self._warned):
            self._warned = (self._warned or frozenset()) | {event}
            warnings.warn(
                f'{len(both)} listeners for {event!r} on {self!r}: a leak? '
                'set_max_listeners() raises the limit',
                ResourceWarning,
                stacklevel=caller_level(),
            )

    def _starter(self, event: Any, function: Callable[..., Any]) -> Callable[..., Any]:
        def start(*args: Any) -> None:
            _runtime.spawn(function(*args), self._captured(event, args))

        return start

    def _returned(self, event: Any, coroutine: Any, args: tuple[Any, ...]) -> None:
        """A listener that is no coroutine function has given a coroutine: it is run like one's."""
        _runtime.spawn(coroutine, self._captured(event, args))

    def _captured(self, event: Any, args: tuple[Any, ...]) -> Callable[[Exception], object] | None:
        """Who gets the failure of a coroutine listener that is called now; None: uncaught."""
        own = getattr(self, '_capture', None)
        if not (capture_rejections if own is None else own):
            return None

        def failed(error: Exception) -> None:
            self.on_rejection(error, event, *args)

        return failed

    def on_rejection(self, error: Exception, event: Any, /, *args: Any) -> None:
        """Called when a coroutine listener of ``event`` raises; ``args`` is what it was given.

        May be overridden. An emitter emits 'error', a stream is destroyed with the error, a server
        destroys the connection whose 'connection' listener it was. What is raised here is an
        uncaught error, and so is what the listeners of that 'error' raise.
        """
        own = getattr(self, '_capture', None)
        self._capture = False
        try:
            self.emit('error', error)
        finally:
            self._capture = own

    # -- removing ---------------------------------------------------------------------------

    def off(self, event: Any, listener: Any, /) -> Any:
        """Remove the most recently added occurrence of ``listener``.

        Listeners are compared with ``==``, so a bound method is found again. An emit that is under
        way still calls it. Unknown listeners are ignored.
        """
        if not callable(listener):
            bad_type('listener', 'a function', listener)
        entry = self._entry(event)
        if entry is None:
            return self
        for one in reversed((entry,) if isinstance(entry, Listener) else entry):
            if one.function == listener:
                self._remove(event, one)
                break
        return self

    def remove_listener(self, event: Any, listener: Any, /) -> Any:
        """The same as :meth:`off`."""
        return self.off(event, listener)

    def _remove(self, event: Any, listener: Listener) -> None:
        entry = self._events.get(event)
        if entry is listener:
            del self._events[event]
        elif isinstance(entry, tuple) and listener in entry:
            at = len(entry) - 1 - entry[::-1].index(listener)
            rest = entry[:at] + entry[at + 1 :]
            self._events[event] = rest[0] if len(rest) == 1 else rest
        else:
            return
        if 'removeListener' in self._events:
            self.emit('removeListener', event, listener.function)

    def remove_all_listeners(self, event: Any = None, /) -> Any:
        """Remove the listeners of ``event``, or all of them."""
        if 'removeListener' not in self._events:
            if event is None:
                self._events.clear()
            elif self._entry(event) is not None:
                del self._events[event]
            return self
        if event is None:
            for name in [name for name in self.event_names() if name != 'removeListener']:
                self.remove_all_listeners(name)
            event = 'removeListener'
        for listener in reversed(self._listeners(event)):
            self._remove(event, listener)
        return self

    # -- emitting ---------------------------------------------------------------------------

    def emit(self, event: Any, /, *args: Any) -> bool:
        """Call the listeners of ``event`` with ``args``; True if there were any.

        They have all run when this returns. An exception that a listener raises propagates to the
        caller, and the listeners after it are not called. ``'error'`` without a listener raises
        ``args[0]``, or ERR_UNHANDLED_ERROR if that is not an exception.
        """
        try:
            entry = self._events.get(event)
        except TypeError:
            _not_hashable(event)
        if isinstance(event, str) and event == 'error':
            if error_monitor in self._events:
                self.emit(error_monitor, *args)
                entry = self._events.get(event)  # as they are after it
            if entry is None:
                self._unheard(args)
        if entry is None:
            return False
        if isinstance(entry, Listener):
            _call(self, event, entry, args)
        else:
            for listener in entry:
                _call(self, event, listener, args)
        return True

    def _take_once(self, event: Any, listener: Listener) -> bool:
        """Remove a once listener before its call; False if it has run already (re-entrancy)."""
        if listener.once == 2:
            return False
        listener.once = 2
        self._remove(event, listener)
        return True

    def _unheard(self, args: tuple[Any, ...]) -> None:
        error = args[0] if args else None
        if not isinstance(error, BaseException):
            error = UnhandledError(f"'error' without a listener: {shown(error)}", error)
        if not getattr(error, '__notes__', None):
            error.add_note(
                f"This is the 'error' event of {self._who()}, and nothing listens for it.\n"
                "To handle it: .on('error', listener)"
            )
        raise error

    def _who(self) -> str:
        """This object, for who reads that its error went unheard."""
        return f'a {type(self).__name__}'

    # -- asking -----------------------------------------------------------------------------

    def _entry(self, event: Any) -> Listener | tuple[Listener, ...] | None:
        try:
            return self._events.get(event)
        except TypeError:
            _not_hashable(event)

    def _listeners(self, event: Any) -> tuple[Listener, ...]:
        entry = self._entry(event)
        if entry is None:
            return ()
        return (entry,) if isinstance(entry, Listener) else entry

    def listeners(self, event: Any, /) -> list[Callable[..., Any]]:
        """The functions that listen for ``event``, in order: a fresh list."""
        return [listener.function for listener in self._listeners(event)]

    def raw_listeners(self, event: Any, /) -> list[Callable[..., Any]]:
        """As :meth:`listeners`; a once listener is given as what removes and calls it."""
        return [
            self._once_wrapper(event, one) if one.once else one.function
            for one in self._listeners(event)
        ]

    def _once_wrapper(self, event: Any, one: Listener) -> Callable[..., Any]:
        def wrapper(*args: Any) -> Any:
            return one.call(*one.fit(args)) if self._take_once(event, one) else None

        wrapper.listener = one.function  # type: ignore[attr-defined]
        return wrapper

    def listener_count(self, event: Any, listener: Any = None, /) -> int:
        """How many listeners ``event`` has, or how often ``listener`` is among them."""
        found = self._listeners(event)
        if listener is None:
            return len(found)
        return sum(one.function == listener for one in found)

    def event_names(self) -> list[Any]:
        """The events that have listeners, in the order of their first listener."""
        names = list(self._events)
        if error_monitor in self._events:  # symbols come last in JavaScript
            names.remove(error_monitor)
            names.append(error_monitor)
        return names

    # Any: a compiled function checks what is annotated, before ours and without the code.
    def set_max_listeners(self, n: Any, /) -> Any:
        """Warn when one event gets more than ``n`` listeners; 0 or infinity: never.

        Raises ERR_INVALID_ARG_TYPE or, for a negative number, ERR_OUT_OF_RANGE.
        """
        check_number('n', n)
        if not n >= 0:
            out_of_range('n', 'a number that is not negative', n)
        self._max_listeners = n
        return self

    def get_max_listeners(self) -> int | float:
        """The limit of this emitter, by default :data:`default_max_listeners` (10)."""
        return default_max_listeners if self._max_listeners < 0 else self._max_listeners


def _not_hashable(event: Any) -> NoReturn:
    bad_type('event', 'hashable, such as a string', event)


def _call(emitter: EventEmitter, event: Any, listener: Listener, args: tuple[Any, ...]) -> None:
    if listener.once and not emitter._take_once(event, listener):
        return
    call = listener.call
    if listener.at_least <= len(args) <= listener.at_most:
        result = call(*args)
    else:
        result = call(*listener.fit(args))
    if (
        result is not None
        and result is not True
        and result is not False
        and type(result) is _COROUTINE
    ):
        # A lambda, functools.partial or decorated function around a coroutine function.
        emitter._returned(event, result, args)


# Not a decorator: the class may be a compiled one.
node_names(EventEmitter)


def set_capture_rejections(value: Any) -> None:
    """Say what emitters do with failing coroutine listeners if they have no option for it.

    True (at first): :meth:`EventEmitter.on_rejection`. False: the failure is an uncaught error.
    Raises ERR_INVALID_ARG_TYPE.
    """
    global capture_rejections
    capture_rejections = check_bool('value', value)


def set_default_max_listeners(n: Any) -> None:
    """Set the limit of all emitters that have none of their own (10 at first)."""
    global default_max_listeners
    check_number('n', n)
    if not n >= 0:
        out_of_range('n', 'a number that is not negative', n)
    default_max_listeners = n


def _is_signal(value: Any) -> bool:
    """Whether it is an AbortSignal, which is made of this class."""
    return hasattr(value, 'add_event_listener') and hasattr(value, 'aborted')


def _listening(emitter: Any) -> EventEmitter:
    """The emitter itself, or that of an AbortSignal; else ERR_INVALID_ARG_TYPE."""
    if _is_signal(emitter):
        emitter = emitter._emitter
    if not isinstance(emitter, EventEmitter):
        bad_type('emitter', 'an EventEmitter or an AbortSignal', emitter)
    return emitter


def get_event_listeners(emitter: Any, event: Any) -> list[Callable[..., Any]]:
    """The functions that listen for ``event`` on an emitter or AbortSignal.

    Raises ERR_INVALID_ARG_TYPE.
    """
    return _listening(emitter).listeners(event)


def listener_count(emitter: Any, event: Any, listener: Any = None) -> int:
    """How many listeners ``event`` has, or how often ``listener`` is among them.

    ``emitter`` is an EventEmitter or an AbortSignal. Raises ERR_INVALID_ARG_TYPE.
    """
    found = get_event_listeners(emitter, event)
    return len(found) if listener is None else sum(one == listener for one in found)


def get_max_listeners(emitter: Any) -> int | float:
    """The limit of an emitter; for an AbortSignal 0, which is none, unless it was set.

    Raises ERR_INVALID_ARG_TYPE.
    """
    found = _listening(emitter)
    limit = found.get_max_listeners()
    return 0 if limit == float('inf') and _is_signal(emitter) else limit


def set_max_listeners(n: Any, *emitters: Any) -> None:
    """Set the limit of these emitters, or without any the default of all.

    Raises ERR_INVALID_ARG_TYPE or ERR_OUT_OF_RANGE; then nothing has changed.
    """
    check_number('n', n)
    if not n >= 0:
        out_of_range('n', 'a number that is not negative', n)
    for emitter in emitters:
        _listening(emitter)
    if not emitters:
        set_default_max_listeners(n)
    for emitter in emitters:
        _listening(emitter).set_max_listeners(n)


def add_abort_listener(signal: Any, listener: Callable[..., Any]) -> Callable[[], None]:
    """Call ``listener`` once when ``signal`` aborts, or on the next tick if it has.

    Returns a function that undoes it. Raises ERR_INVALID_ARG_TYPE.
    """
    if not _is_signal(signal):
        bad_type('signal', 'an AbortSignal', signal)
    if not callable(listener):
        bad_type('listener', 'a function', listener)
    call = Listener(listener, True)

    def aborted(event: Any = None) -> None:
        signal.remove_event_listener('abort', aborted)
        call.call(*call.fit((event,)))

    if signal.aborted:
        _runtime.current().push(aborted, ())
    else:
        signal.add_event_listener('abort', aborted)

    def undo() -> None:
        signal.remove_event_listener('abort', aborted)

    return undo


if TYPE_CHECKING:
    captureRejectionSymbol = capture_rejection_symbol
    captureRejections = capture_rejections
    defaultMaxListeners = default_max_listeners
    errorMonitor = error_monitor
    addAbortListener = add_abort_listener
    getEventListeners = get_event_listeners
    getMaxListeners = get_max_listeners
    listenerCount = listener_count
    setCaptureRejections = set_capture_rejections
    setMaxListeners = set_max_listeners
    setDefaultMaxListeners = set_default_max_listeners

# Node's spellings. Not by assignment: a type checker would take every name for one; and not behind
# TYPE_CHECKING: a compiler would leave it out.
globals()['__getattr__'], globals()['__dir__'] = module_names(__name__, __all__, globals())
