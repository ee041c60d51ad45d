"""Asking the ``lookup`` of a connect, whatever kind of function it is (CN-15, DN-08).

Three kinds, told apart by what the function declares:

- Node's: ``lookup(host, options, callback)``: three positional parameters or any number. It answers
  by calling ``callback(error, address, family)``, with ``all`` ``callback(error, list)``, at once or
  later. What it raises comes out of the connect, as in Node.
- a plain function of fewer: what it returns is the answer, what it raises the error.
- a coroutine function, or one that returns an awaitable: likewise.

A returned answer may be an address, ``(address, family)``, ``{address, family}`` or a list of these;
an answer by callback is taken as it is, as in Node: the asker finds out whether it is any good.

This file refuses to know what an answer is for.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from .. import _runtime
from .._addr.ip import is_ip
from .._names import Record
from ..errors import AbortError, UnhandledError
from ..events import Listener, is_coroutine_function
from .lookup import lookup, lookup_error

__all__ = ['Resolution', 'entries']

#: ``answer(error, address, family)``; with ``all`` address is the list and family None.
Answer = Callable[[Exception | None, Any, Any], object]


class Resolution:
    """One question to a ``lookup`` function; ``answer`` is called at most once.

    ``options`` for the function are ``{family, hints, all}``: None for what was not asked.
    """

    __slots__ = ('__weakref__', '_answer', '_every', '_host', '_runtime', '_under_way')

    def __init__(
        self,
        function: Callable[..., Any] | None,
        host: str,
        *,
        family: int | None,
        hints: int,
        every: bool,
        answer: Answer,
    ) -> None:
        self._answer: Answer | None = answer
        self._host = host
        self._every = every
        self._runtime = _runtime.current()
        #: What to abandon or cancel.
        self._under_way: Any = None
        options = Record(family=family, hints=hints, all=True if every else None)
        if function is None:
            self._under_way = lookup(host, options, self._called_back)
            return
        listener = Listener(function, True)
        if listener.at_most >= 3:
            result = function(*listener.fit((host, options, self._called_back)))
            if is_coroutine_function(function):
                self._await(result, by_callback=True)
            return
        try:
            result = function(*listener.fit((host, options)))
        except Exception as error:
            self._runtime.push(self._take, (lookup_error(error, host), None, None))
            return
        if inspect.isawaitable(result):
            self._await(result, by_callback=False)
        else:
            self._runtime.push(self._returned, (result,))

    def abandon(self) -> None:
        """Never answer. The system's lookup is abandoned, a coroutine is cancelled."""
        self._answer = None
        self._runtime.release(self)
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            stop = getattr(under_way, 'abandon', None) or under_way.cancel
            stop()

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

    # -- coroutines -------------------------------------------------------------------------

    def _await(self, awaitable: Awaitable[Any], *, by_callback: bool) -> None:
        # It is a request under way: without a hold the program would end before its answer.
        self._runtime.hold(self)
        self._runtime.with_loop(lambda _: self._spawn(awaitable, by_callback))

    def _spawn(self, awaitable: Awaitable[Any], by_callback: bool) -> None:
        task = _runtime.spawn(self._run(awaitable, by_callback))
        if self._answer is None and not by_callback:
            task.cancel()
        else:
            self._under_way = task

    async def _run(self, awaitable: Awaitable[Any], by_callback: bool) -> None:
        enter = self._runtime.enter
        try:
            result = await awaitable
        except Exception as error:
            enter(self._take, (lookup_error(error, self._host), None, None), None)
        except BaseException as error:
            # Cancelled by somebody else; after abandon() there is no answer to give.
            enter(self._take, (AbortError(cause=error), None, None), None)
            raise
        else:
            if by_callback:
                self._runtime.release(self)
            else:
                enter(self._returned, (result,), None)


def entries(answers: Any) -> list[tuple[Any, Any]]:
    """(address, family) of each answer of a list; what is none of the shapes: (None, None).

    A mapping ``{address, family}``, a pair, or an address alone.
    """
    if not isinstance(answers, (list, tuple)):
        return []
    out: list[tuple[Any, Any]] = []
    for one in answers:
        if isinstance(one, Mapping):
            out.append((one.get('address'), one.get('family')))
        elif isinstance(one, tuple) and len(one) == 2:
            out.append(one)
        elif isinstance(one, str):
            out.append((one, is_ip(one) or None))
        else:
            out.append((None, None))
    return out
