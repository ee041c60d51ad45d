"""Asking the ``lookup`` of a connect, whatever kind of function it is.

Three kinds, told apart by what the function declares:

- Node's: ``lookup(host, options, callback)``: three positional parameters or any number. It
  answers by calling ``callback(error, address, family)``, with ``all`` ``callback(error, list)``,
  at once or later. What it raises comes out of the connect, as in Node.
- a plain function of fewer: what it returns is the answer, what it raises the error.
- a coroutine function, or one that returns an awaitable: likewise.

A returned answer may be an address, ``(address, family)``, ``{address, family}`` or a list of
these; an answer by callback is taken as it is, as in Node: the asker sees whether it is any good.

This file refuses to know what an answer is for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeGuard

from .. import _runtime
from .._addr.ip import is_ip
from .._listeners import Listener, is_coroutine_function
from .._names import Record
from .._validate import is_mapping
from ..errors import AbortError, UnhandledError
from .lookup import lookup, lookup_error

if TYPE_CHECKING:
    import asyncio

__all__ = ['Resolution', 'entries']

#: ``answer(error, address, family)``; with ``all`` address is the list and family None.
Answer = Callable[[Exception | None, Any, Any], object]


def _patched() -> Callable[..., Any] | None:
    """What a program has put in the place of the public ``dns.lookup``, as Node finds it; or None.

    The public name is in a layer above this one, so it is looked up and not imported.
    """
    public = sys.modules.get(f'{__name__.split(".")[0]}.dns')
    found = getattr(public, 'lookup', lookup)
    return None if found is lookup else found


class Resolution:
    """One question to a ``lookup`` function; ``answer`` is called at most once.

    ``owner`` is blamed for what a listener raises while it is told an answer that comes later.

    ``options`` for the function are ``{family, hints, all}``: None for what was not asked.
    """

    __slots__ = ('__weakref__', '_answer', '_every', '_host', '_owner', '_runtime', '_under_way')

    def __init__(
        self,
        function: Callable[..., Any] | None,
        host: str,
        *,
        family: int | None,
        hints: int,
        every: bool,
        answer: Answer,
        owner: object = None,
    ) -> None:
        self._answer: Answer | None = answer
        self._host = host
        self._every = every
        self._owner = owner
        self._runtime = _runtime.current()
        #: What abandon() stops: a lookup of the system, a coroutine, the task or future of one.
        self._under_way: Any = None
        options = Record(family=family, hints=hints, all=True if every else None)
        if function is None:
            function = _patched()
        if function is None:
            self._under_way = lookup(host, options, self._blamed(self._called_back))
            return
        listener = Listener(function, True)
        if listener.at_most >= 3:
            result = function(*listener.fit((host, options, self._called_back)))
            if is_coroutine_function(function):
                self._await(result, self._callback_task_done)
            return
        try:
            result = function(*listener.fit((host, options)))
        except Exception as error:
            self._runtime.push(self._blamed(self._failed), (error,))
            return
        import inspect

        if inspect.isawaitable(result):
            self._await(result, self._task_done)
        else:
            self._runtime.push(self._blamed(self._returned), (result,))

    @property
    def goes_on(self) -> bool:
        """Whether it answers by callback, so that nothing is saved by abandoning it."""
        return self._under_way is None

    def abandon(self) -> None:
        """Never answer. The system's lookup is abandoned, a coroutine is cancelled."""
        self._answer = None
        self._runtime.release(self)
        under_way, self._under_way = self._under_way, None
        for stop in ('abandon', 'cancel', 'close'):
            if hasattr(under_way, stop):
                getattr(under_way, stop)()
                break

    def describe(self) -> tuple[str, str]:
        return 'lookup', self._host

    def _called_back(self, error: Any = None, address: Any = None, family: Any = None) -> None:
        if error is not None and not isinstance(error, Exception):
            error = UnhandledError(f'the lookup failed with {error!r}', error)
        self._take(error, address, family)

    def _returned(self, result: Any) -> None:
        found = entries(result if isinstance(result, list) else [result])
        if self._every:
            self._take(None, found, None)
        else:
            self._take(None, *(found[0] if found else (None, None)))

    def _take(self, error: Exception | None, address: Any, family: Any) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            self._runtime.release(self)
            answer(error, address, family)

    def _failed(self, error: Exception) -> None:
        self._take(lookup_error(error, self._host), None, None)

    def _blamed(self, fn: Callable[..., object]) -> Callable[..., None]:
        """``fn``, with what a listener raises in it blamed on the owner (``Runtime.uncaught``)."""

        def call(*args: Any) -> None:
            try:
                fn(*args)
            except Exception as error:
                self._runtime.uncaught(error, self._owner)

        return call

    # -- coroutines -------------------------------------------------------------------------

    def _await(self, awaitable: Any, done: Callable[[asyncio.Future[Any]], None]) -> None:
        # It is a request under way: without a hold the program would end before its answer.
        self._runtime.hold(self)
        self._under_way = awaitable

        def start(loop: asyncio.AbstractEventLoop) -> None:
            import asyncio

            if self._under_way is awaitable:
                # The task runs the user's coroutine itself: cancelled before its first step, a
                # wrapper would leave the coroutine inside it never awaited.
                task = asyncio.ensure_future(awaitable, loop=loop)
                self._under_way = task
                task.add_done_callback(done)

        self._runtime.with_loop(start)

    def _task_done(self, task: asyncio.Future[Any]) -> None:
        if task.cancelled():
            self._enter(self._take, AbortError(), None, None)
            return
        error = task.exception()
        if isinstance(error, Exception):
            self._task_failed(error)
        elif error is None:
            self._enter(self._returned, task.result())

    def _callback_task_done(self, task: asyncio.Future[Any]) -> None:
        """The coroutine of a callback-style function is over; it may have answered before."""
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._task_failed(error)
        self._runtime.release(self)

    def _task_failed(self, error: Exception) -> None:
        if self._answer is None:
            # It has answered or was abandoned: nobody else would hear of this.
            self._runtime.enter(self._runtime.uncaught, (error, self._owner), None)
        else:
            self._enter(self._failed, error)

    def _enter(self, fn: Callable[..., object], *args: Any) -> None:
        self._runtime.enter(self._blamed(fn), args, None)


def entries(answers: Any) -> list[tuple[Any, Any]]:
    """(address, family) of each answer of a list; what is none of the shapes: (None, None).

    A mapping ``{address, family}``, a pair, or an address alone.
    """
    given: Any = answers
    if not isinstance(answers, (list, tuple)):
        return []
    out: list[tuple[Any, Any]] = []
    for one in given:
        if is_mapping(one):
            out.append((one.get('address'), one.get('family')))
        elif _is_pair(one):
            out.append(one)
        elif isinstance(one, str):
            out.append((one, is_ip(one) or None))
        else:
            out.append((None, None))
    return out


def _is_pair(value: Any) -> TypeGuard[tuple[Any, Any]]:
    given: Any = value
    return isinstance(value, tuple) and len(given) == 2
