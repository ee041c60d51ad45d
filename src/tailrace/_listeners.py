"""Listeners and callbacks: how many arguments they take, and whether they are coroutine functions.

JavaScript calls a function with more or fewer arguments than it declares; listeners rely on that.
What a function takes is found out once, when it is added. This file refuses to
know emitters.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import BuiltinFunctionType, CoroutineType, MethodType
from typing import Any, Final, cast

from . import _runtime

__all__ = ['Listener', 'OwnerCalls', 'adapt', 'is_coroutine_function']

_ANY = 1 << 30
_CONTAINERS: Final = frozenset({list, set, dict, deque})
# Final: compiled code has them at hand. Other names of a module are looked up: 130 instructions.
_BUILTIN: Final[Any] = BuiltinFunctionType
_METHOD: Final[Any] = MethodType


class Listener:
    """One added listener: the user's function and how to call it."""

    __slots__ = ('at_least', 'at_most', 'call', 'function', 'once', 'plain')

    def __init__(self, function: Callable[..., Any], once: bool) -> None:
        self.function = function
        #: What is called: the function, or what starts its coroutine.
        self.call: Callable[..., Any] = function
        #: 0: stays; 1: runs once; 2: has run, though an emit under way may still list it.
        self.once = 1 if once else 0
        self.at_least = 0
        self.at_most = _ANY
        # A bound method gives out the code of its function, whose first parameter is taken.
        if isinstance(function, _BUILTIN):
            # Of a list, set or deque. Others get everything: asking a compiled method of ours for
            # its signature would cost 300,000 instructions, and a connection adds several.
            builtin: Any = function
            owner = cast('Any', type(builtin.__self__))
            if owner in _CONTAINERS and getattr(function, '__text_signature__', None) is not None:
                self._ask_signature(function)
        else:
            code = getattr(function, '__code__', None)
            if code is not None:
                self._read_code(function, code, 1 if type(function) is _METHOD else 0)
            else:
                self._ask_signature(function)
        #: What an event with one argument calls, if it need not look at anything else.
        self.plain: Callable[..., Any] | None = None
        if not once and self.at_least <= 1 <= self.at_most:
            self.plain = function

    def _read_code(self, function: Any, code: Any, skipped: int) -> None:
        # CO_VARARGS 0x04, CO_COROUTINE 0x80: inspect.signature costs 20 us, this 0.5 us, and a
        # busy server adds listeners for every connection.
        plain = getattr(function, '__func__', function)
        count = code.co_argcount - skipped
        defaults = len(plain.__defaults__ or ())
        self.at_least = max(0, count - defaults)
        if not code.co_flags & 0x04:
            self.at_most = count
        if code.co_kwonlyargcount > len(plain.__kwdefaults__ or ()):
            self._refuse(function)

    def _ask_signature(self, function: Any) -> None:
        import inspect

        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            return  # without a signature it gets everything
        at_least = at_most = 0
        for p in parameters:
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
                at_most += 1
                at_least += p.default is p.empty
            elif p.kind is p.VAR_POSITIONAL:
                at_most = _ANY
            elif p.kind is p.KEYWORD_ONLY and p.default is p.empty:
                self._refuse(function)
        self.at_least, self.at_most = at_least, at_most

    def _refuse(self, function: object) -> None:
        raise TypeError(f'{function!r} has a required keyword-only parameter: no event gives one')

    def fit(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments cut or filled up to what the function declares."""
        count = len(args)
        if count > self.at_most:
            return args[: self.at_most]
        if count < self.at_least:
            return args + (None,) * (self.at_least - count)
        return args


class OwnerCalls:
    """What a handle calls for its owner: functions that take the owner first.

    One object for all owners of a kind. A bound method for each of them, made when a connection
    begins, would cost it 3,000 instructions and the garbage collector's attention.
    """

    __slots__ = ('end', 'error', 'fill', 'read', 'written')

    def __init__(
        self,
        read: Callable[[Any, bytes], object],
        end: Callable[[Any], object],
        error: Callable[[Any, int], object],
        fill: Callable[[Any, int, Any], object],
        written: Callable[[Any, int], object],
    ) -> None:
        #: Bytes came; False: stop reading.
        self.read = read
        #: The end of the stream came.
        self.end = end
        #: Reading failed, with this errno.
        self.error = error
        #: So many bytes came into the owner's buffer; False: stop reading.
        self.fill = fill
        #: A write that was given no callback is done, with this errno or 0.
        self.written = written


def is_coroutine_function(function: Any) -> bool:
    """Whether calling ``function`` makes a coroutine."""
    if isinstance(function, _BUILTIN):
        return False  # and in a compiled build `sock.write` is one
    code = getattr(function, '__code__', None)
    if code is not None:
        return bool(code.co_flags & 0x80)
    import inspect

    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, '__call__', None)  # noqa: B004
    )


def adapt(function: Callable[..., Any]) -> Callable[..., Any]:
    """A callback of a call: any number of arguments, and a coroutine function runs as a task.

    For callbacks of ``write``, ``close`` and the like, which are called once.
    """
    listener = Listener(function, True)
    if is_coroutine_function(function):

        def start(*args: Any) -> None:
            _runtime.spawn(function(*listener.fit(args)))

        return start

    def call(*args: Any) -> Any:
        result: Any = function(*listener.fit(args))
        if result is not None and type(result) is CoroutineType:
            _runtime.spawn(cast('Any', result))
            return None
        return result

    return call
