"""The operators of Readable: ``map``, ``filter``, ``reduce`` and the others.

Each reads its stream as ``async for`` does, so what the stream holds is asked for as it is needed,
and a loop that is left destroys the stream. Those that give a stream give ``Readable.from_`` of a
generator. This file refuses to know how streams buffer.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from .. import _runtime
from .._abort import AbortController, AbortSignal, check_signal
from .._coerce import number_of
from .._listeners import Listener
from .._names import Record, merge_options, node_names
from .._validate import bad_type, check_callable, check_int, is_mapping, out_of_range
from ..errors import AbortError, MissingArgsError

__all__ = ['Operators']

_MISSING: Any = object()
#: What a function of ``for_each`` and ``filter`` leaves out of the result.
_NOTHING: Any = object()
_END: Any = object()


class _Options:
    """Checked options of an operator."""

    __slots__ = ('concurrency', 'mark', 'signal')

    def __init__(self, where: str, options: Any, keywords: Mapping[str, Any], most: bool) -> None:
        if options is not None and not is_mapping(options):
            bad_type('options', 'a mapping', options)
        known = ('concurrency', 'high_water_mark', 'signal') if most else ('signal',)
        given = merge_options(where, options, keywords, known)
        self.signal: AbortSignal | None = None
        if given.get('signal') is not None:
            self.signal = check_signal('options.signal', given['signal'])
        self.concurrency = 1
        if given.get('concurrency') is not None:
            count = _number(given['concurrency'])
            if isinstance(count, float) and math.isfinite(count):
                count = math.floor(count)
            self.concurrency = check_int('options.concurrency', count, 1, 2**53)
        self.mark = self.concurrency - 1
        if given.get('high_water_mark') is not None:
            mark = _number(given['high_water_mark'])
            if isinstance(mark, float) and math.isfinite(mark):
                mark = math.floor(mark)
            self.mark = check_int('options.high_water_mark', mark, 0, 2**53)

    def check(self) -> None:
        """Raise AbortError if the signal has aborted."""
        if self.signal is not None and self.signal.aborted:
            raise AbortError(cause=self.signal.reason)


def _number(value: Any) -> Any:
    """Text of a number as that number."""
    return number_of(value) if isinstance(value, str) else value


async def _value(result: Any) -> Any:
    awaited: Any = result  # a checker narrows the other name to an Awaitable of no known type
    return await awaited if isinstance(result, Awaitable) else awaited


class _Mapping:
    """Calls a function for each chunk, ``concurrency`` at once; results come in order."""

    def __init__(self, source: Any, function: Callable[..., Any], options: _Options) -> None:
        self.source = source
        self.options = options
        self.listener = Listener(function, False)
        self.function = function
        self.controller = AbortController()
        #: Futures of results, in order; _END at the end.
        self.queue: deque[Any] = deque()
        self.running = 0
        self.over = False
        self.pump_waits: Any = None
        self.reader_waits: Any = None

    def wake(self, name: str) -> None:
        future = getattr(self, name)
        setattr(self, name, None)
        if future is not None and not future.done():
            future.set_result(None)

    async def wait(self, name: str) -> None:
        future = _runtime.new_future()
        setattr(self, name, future)
        await future

    async def one(self, value: Any, future: Any) -> None:
        given = (value, Record(signal=self.controller.signal))
        try:
            result = await _value(self.function(*self.listener.fit(given)))
        except Exception as error:
            if not future.done():
                future.set_result((None, error))
        else:
            if not future.done():
                future.set_result((result, None))
        finally:
            self.running -= 1
            self.wake('pump_waits')

    async def pump(self) -> None:
        limit = self.options.mark + self.options.concurrency
        error: BaseException | None = None
        try:
            async for value in self.source.iterator():
                if self.over:
                    return
                self.options.check()
                future = _runtime.new_future()
                self.queue.append(future)
                self.running += 1
                _runtime.spawn(self.one(value, future))
                self.wake('reader_waits')
                while not self.over and (
                    len(self.queue) >= limit or self.running >= self.options.concurrency
                ):
                    await self.wait('pump_waits')
        except Exception as failure:
            error = failure
        future = _runtime.new_future()
        future.set_result((_END, error))
        self.queue.append(future)
        self.wake('reader_waits')

    async def results(self) -> AsyncIterator[Any]:
        options = self.options
        signal = options.signal
        aborted: list[Any] = []

        def abort(_: Any = None) -> None:
            aborted.append(None)
            self.controller.abort(signal.reason if signal is not None else None)
            self.wake('reader_waits')

        if signal is not None:
            signal.add_event_listener('abort', abort)
        pump = None
        try:
            options.check()
            pump = _runtime.spawn(self.pump())
            while True:
                while self.queue:
                    options.check()
                    value, error = await self.queue[0]
                    options.check()
                    if error is not None:
                        raise error
                    if value is _END:
                        return
                    if value is not _NOTHING:
                        yield value
                    self.queue.popleft()
                    self.wake('pump_waits')
                options.check()
                await self.wait('reader_waits')
        finally:
            self.over = True
            if signal is not None:
                signal.remove_event_listener('abort', abort)
            self.controller.abort()
            if pump is not None:
                pump.cancel()
            if not self.source.destroyed:
                self.source.destroy()


def _mapped(source: Any, function: Any, options: _Options) -> AsyncIterator[Any]:
    return _Mapping(source, function, options).results()


def _fit(function: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    listener = Listener(function, False)

    def call(value: Any, options: Any) -> Any:
        return function(*listener.fit((value, options)))

    return call


def _filtering(function: Callable[..., Any]) -> Callable[[Any, Any], Awaitable[Any]]:
    call = _fit(function)

    async def keep(value: Any, options: Any) -> Any:
        return value if await _value(call(value, options)) else _NOTHING

    return keep


def _chunks(source: Any) -> Any:
    return source.iterator()


def _count(number: Any) -> int | float:
    """JavaScript's ToIntegerOrInfinity, negative refused."""
    given, number = number, _number(number)
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        bad_type('number', 'a number', given)
    if number != number and isinstance(given, str):
        bad_type('number', 'a number', given)
    if number != number:
        return 0
    if number < 0:
        out_of_range('number', 'a number that is not negative', number)
    return number if number == math.inf else int(number)


@node_names
class Operators:
    """The operators, for a Readable to derive from."""

    __slots__ = ()

    def _stream_of(self, chunks: AsyncIterator[Any]) -> Any:
        """A Readable of these: defined by Readable."""
        raise NotImplementedError

    def map(self, fn: Callable[..., Any], options: Any = None, /, **keywords: Any) -> Any:
        """A stream of what ``fn(chunk, {signal})``, plain or a coroutine function, gives.

        Options: ``concurrency`` (default 1: how many calls at once; the order stays), ``signal``,
        ``high_water_mark`` (results that may wait, default ``concurrency`` - 1). An exception of
        ``fn`` destroys both streams. Raises ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE.
        """
        check_callable('fn', fn)
        return self._stream_of(_mapped(self, fn, _Options('map', options, keywords, True)))

    def filter(self, fn: Callable[..., Any], options: Any = None, /, **keywords: Any) -> Any:
        """A stream of the chunks for which ``fn(chunk, {signal})`` is true. As :meth:`map`."""
        check_callable('fn', fn)
        given = _Options('filter', options, keywords, True)
        return self._stream_of(_mapped(self, _filtering(fn), given))

    def flat_map(self, fn: Callable[..., Any], options: Any = None, /, **keywords: Any) -> Any:
        """A stream of the items of what ``fn`` gives: iterables, asynchronous ones or streams."""
        check_callable('fn', fn)
        given = _Options('flat_map', options, keywords, True)

        async def items() -> AsyncIterator[Any]:
            async for result in _mapped(self, fn, given):
                if hasattr(result, '__aiter__'):
                    async for item in result:
                        yield item
                else:
                    for item in result:
                        yield item

        return self._stream_of(items())

    def drop(self, number: float, options: Any = None, /, **keywords: Any) -> Any:
        """A stream without the first ``number`` chunks. Option: ``signal``."""
        given = _Options('drop', options, keywords, False)
        left = _count(number)

        async def rest() -> AsyncIterator[Any]:
            nonlocal left
            given.check()
            async for chunk in _chunks(self):
                given.check()
                left -= 1
                if left < 0:
                    yield chunk

        return self._stream_of(rest())

    def take(self, number: float, options: Any = None, /, **keywords: Any) -> Any:
        """A stream of the first ``number`` chunks, which destroys this one. Option: ``signal``."""
        given = _Options('take', options, keywords, False)
        left = _count(number)

        async def first() -> AsyncIterator[Any]:
            nonlocal left
            given.check()
            chunks = _chunks(self)
            try:
                async for chunk in chunks:
                    given.check()
                    if left > 0:
                        yield chunk
                    left -= 1
                    if left <= 0:
                        return
            finally:
                await chunks.aclose()

        return self._stream_of(first())

    async def for_each(
        self, fn: Callable[..., Any], options: Any = None, /, **keywords: Any
    ) -> None:
        """Call ``fn(chunk, {signal})`` for each chunk; awaited, done when all calls are.

        Options and errors as :meth:`map`.
        """
        check_callable('fn', fn)
        call = _fit(fn)

        async def each(value: Any, given: Any) -> Any:
            await _value(call(value, given))
            return _NOTHING

        async for _ in _mapped(self, each, _Options('for_each', options, keywords, True)):
            pass

    async def to_array(self, options: Any = None, /, **keywords: Any) -> list[Any]:
        """All chunks as a list. Option: ``signal``."""
        given = _Options('to_array', options, keywords, False)
        out: list[Any] = []
        async for chunk in _chunks(self):
            given.check()
            out.append(chunk)
        return out

    async def some(self, fn: Callable[..., Any], options: Any = None, /, **keywords: Any) -> bool:
        """Whether ``fn`` is true for a chunk; the first one destroys the stream. As :meth:`map`."""
        check_callable('fn', fn)
        given = _Options('some', options, keywords, True)
        return await self._first(_filtering(fn), given, _MISSING) is not _MISSING

    async def every(self, fn: Callable[..., Any], options: Any = None, /, **keywords: Any) -> bool:
        """Whether ``fn`` is true for all chunks; the first other one destroys the stream."""
        check_callable('fn', fn)
        call = _fit(fn)

        async def unlike(value: Any, given: Any) -> Any:
            return _NOTHING if await _value(call(value, given)) else value

        given = _Options('every', options, keywords, True)
        return await self._first(unlike, given, _MISSING) is _MISSING

    async def find(self, fn: Callable[..., Any], options: Any = None, /, **keywords: Any) -> Any:
        """The first chunk for which ``fn`` is true, or None; the stream is destroyed at it."""
        check_callable('fn', fn)
        given = _Options('find', options, keywords, True)
        return await self._first(_filtering(fn), given, None)

    async def _first(self, fn: Callable[..., Any], options: _Options, default: Any) -> Any:
        results: Any = _mapped(self, fn, options)
        try:
            async for result in results:
                return result
        finally:
            await results.aclose()
        return default

    async def reduce(
        self,
        fn: Callable[..., Any],
        initial: Any = _MISSING,
        options: Any = None,
        /,
        **keywords: Any,
    ) -> Any:
        """``fn(total, chunk, {signal})`` over all chunks, one after the other.

        The first total is ``initial``, or the first chunk. Option: ``signal``. Raises
        ERR_MISSING_ARGS for an empty stream without ``initial``.
        """
        check_callable('fn', fn)
        given = _Options('reduce', options, keywords, False)
        listener = Listener(fn, False)
        controller = AbortController()
        total: Any = initial
        try:
            given.check()
            async for chunk in _chunks(self):
                given.check()
                if total is _MISSING:
                    total = chunk
                else:
                    call = (total, chunk, Record(signal=controller.signal))
                    total = await _value(fn(*listener.fit(call)))
        except BaseException:
            source: Any = self
            if not source.destroyed:
                source.destroy()
            raise
        finally:
            controller.abort()
        if total is _MISSING:
            raise MissingArgsError('reduce of an empty stream needs an initial value')
        return total

    if TYPE_CHECKING:  # Node's spellings; see node_names
        flatMap = flat_map
        forEach = for_each
        toArray = to_array
