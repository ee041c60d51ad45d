"""Awaiting events of any emitter: ``events.once`` and ``events.on``.

Both listen from the call on, so nothing that is emitted before the ``await`` is lost. The emitter
holds on to an :class:`Ear`, the caller to what awaits it: who drops that takes the listeners away.
This file refuses to know what an emitter is beyond what ``_event_sources.py`` says.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from . import _collected, _runtime
from ._event_sources import Emitter, Target, checked, face
from ._validate import check_int, shown
from .errors import AbortError, UnhandledError

if TYPE_CHECKING:
    import asyncio

__all__ = ['on', 'once']


_ONCE = ('signal',)
_ON = ('close', 'high_water_mark', 'low_water_mark', 'signal')
#: What no queue reaches: JavaScript's largest whole number.
_MOST = 2**53 - 1


def once(
    emitter: Emitter | Target,
    event: Any,
    options: Mapping[str, Any] | None = None,
    /,
    *,
    signal: Any = None,
) -> Coroutine[Any, Any, list[Any]]:
    """The next ``event`` from this call on; awaiting it gives the list of its arguments.

    It listens at once: an event between the call and the ``await`` counts. An ``'error'`` event
    before it raises its error, unless that is what is waited for. ``signal`` is an AbortSignal: its
    abort raises AbortError. It can be awaited again, and given to ``asyncio.create_task``,
    ``wait_for`` and ``gather``. Cancelling removes the listeners, and so does dropping it before it
    was awaited; an error that it took from the emitter by then goes to the loop's exception
    handler. ``emitter`` may be an AbortSignal or another object with ``add_event_listener``; its
    'error' events are nothing special. Options may be a mapping. Raises ERR_INVALID_ARG_TYPE.
    """
    given = checked('once', options, {'signal': signal}, _ONCE)
    return Occurrence(Ear(emitter, event, given.get('signal'), (), True))


def on(
    emitter: Emitter | Target,
    event: Any,
    options: Mapping[str, Any] | None = None,
    /,
    *,
    signal: Any = None,
    close: Iterable[Any] | None = None,
    high_water_mark: int | None = None,
    low_water_mark: int | None = None,
) -> AsyncIterator[list[Any]]:
    """Iterate over every ``event`` from this call on: yields the list of its arguments.

    Events are queued until they are taken; none is lost. An ``'error'`` event, or the abort of
    ``signal``, raises after what is queued; an event named in ``close`` ends the iteration after
    what is queued. Leaving the loop, ``aclose()`` and dropping the iterator remove the listeners.

    ``high_water_mark`` (events, default: no limit): when more wait, ``emitter.pause()`` is called,
    and ``emitter.resume()`` once fewer than ``low_water_mark`` (default 1) do. ``emitter`` may be
    an event target, as for :func:`once`. Options may be a mapping. Raises ERR_INVALID_ARG_TYPE or
    ERR_OUT_OF_RANGE, and AbortError if ``signal`` was aborted before.
    """
    keywords = {
        'close': close,
        'high_water_mark': high_water_mark,
        'low_water_mark': low_water_mark,
        'signal': signal,
    }
    given = checked('on', options, keywords, _ON)
    high, low = given.get('high_water_mark'), given.get('low_water_mark')
    ear = Ear(emitter, event, given.get('signal'), tuple(given.get('close') or ()), False)
    if ear.error is not None:
        raise ear.error
    try:
        if high is not None:
            ear.high = check_int('options.high_water_mark', high, 1, _MOST)
        if low is not None:
            ear.low = check_int('options.low_water_mark', low, 1, _MOST)
    except Exception:
        ear.stop()
        raise
    return Series(ear)


def _as_exception(error: Any) -> BaseException:
    if isinstance(error, BaseException):
        return error
    return UnhandledError(f"'error' was emitted with {shown(error)}", error)


class Ear:
    """The listeners, what they have heard, and who waits for it."""

    __slots__ = (
        '_close',
        '_collected',
        '_emitter',
        '_event',
        '_signal',
        '_single',
        '_target',
        '_waiting',
        'error',
        'heard',
        'high',
        'low',
        'over',
        'paused',
        'runtime',
    )

    def __init__(
        self, emitter: Any, event: Any, signal: Any, close: tuple[Any, ...], single: bool
    ) -> None:
        self._emitter, self._target = face(emitter)
        emitter = self._emitter
        self._event = event
        self._signal = signal
        self._close = close
        self._single = single
        self._waiting: list[asyncio.Future[None]] = []
        self._collected = _collected.collected_of(_runtime.current())
        self.heard: deque[list[Any]] = deque()
        #: More waiting events than this pause the emitter, fewer than `low` resume it.
        self.high: int = _MOST
        self.low: int = 1
        self.paused = False
        self.error: BaseException | None = None
        #: Where an 'error' event came when nobody waited, until somebody asks.
        self.runtime: _runtime.Runtime | None = None
        #: Whether nothing more will be heard.
        self.over = False
        if signal is not None:
            if signal.aborted:
                self.over = True
                self.error = AbortError(cause=signal.reason)
                return
            signal.add_event_listener('abort', self._aborted)
        self._collected.expect()
        try:
            emitter.on(event, self._arrived)
            if event != 'error' and not self._target:
                emitter.on('error', self._failed)
            for name in close:
                emitter.on(name, self._ended)
        except BaseException:
            self.stop()
            raise

    def _arrived(self, *args: Any) -> None:
        if not self.over:
            self.heard.append(list(args))
            # Who waits already takes one each.
            if not self.paused and len(self.heard) - len(self._waiting) > self.high:
                self.paused = True
                self.about.pause()
            self._tell(self._single)

    def taken(self) -> None:
        """One event less waits."""
        if self.paused and len(self.heard) < self.low and not self.over:
            self.paused = False
            self.about.resume()

    @property
    def about(self) -> Any:
        """What was given to listen to."""
        return self._emitter.target if self._target else self._emitter

    def _failed(self, error: Any = None) -> None:
        if not self.over:
            self.error = _as_exception(error)
            if not self._waiting:
                self.runtime = _runtime.current()
                self._collected.expect()
            self._tell(True)

    def _aborted(self, _: Any = None) -> None:
        if not self.over:
            self.error = AbortError(cause=self._signal.reason)
            self._tell(True)

    def _ended(self, *_: Any) -> None:
        self._tell(True)

    def _tell(self, over: bool) -> None:
        if over:
            self.stop()
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    def stop(self) -> None:
        """Hear nothing more."""
        if not self.over:
            self._forget()
            self._collected.over()

    def _forget(self) -> None:
        self.over = True
        emitter = self._emitter
        emitter.off(self._event, self._arrived)
        if self._event != 'error' and not self._target:
            emitter.off('error', self._failed)
        for name in self._close:
            emitter.off(name, self._ended)
        if self._signal is not None:
            self._signal.remove_event_listener('abort', self._aborted)

    def next(self) -> Generator[Any, None, None]:
        """Wait until something has happened since the last look."""
        future: asyncio.Future[None] = _runtime.new_future()
        self._waiting.append(future)
        try:
            yield from future.__await__()
        finally:
            self._waiting.remove(future)

    def given_up(self) -> None:
        """Somebody who waited does so no more; hear nothing more if that was the last one."""
        if not self._waiting:
            self.stop()

    def looked(self) -> None:
        """Somebody has asked: an error that came is theirs."""
        if self.runtime is not None:
            self.runtime = None
            self._collected.over()

    def collected(self) -> None:
        """For a finaliser: nobody will ever look."""
        later = self.runtime is not None
        if not self.over:
            if self._event == 'readable' or 'removeListener' in self._emitter.event_names():
                later = True
            else:
                # Nobody is told of it and no loop is touched: at once, as `break` does in Node.
                self._forget()
                self._collected.leave(self._collected.over, ())
        if later:
            self._collected.leave(self.dropped, ())

    def dropped(self) -> None:
        """Nobody will ever look."""

        self.stop()
        runtime, error = self.runtime, self.error
        self.looked()
        if runtime is None or error is None:
            return
        if runtime.loop is None:
            warnings.warn(
                f'an error that events.once() or events.on() took was lost: {error!r}',
                RuntimeWarning,
                stacklevel=3,
            )
        elif isinstance(error, Exception):
            runtime.report(error, self.about)


class Occurrence(Coroutine[Any, Any, list[Any]]):
    """What :func:`once` returns: awaitable, and a coroutine for those who insist on one."""

    __slots__ = ('__weakref__', '_ear', '_steps')

    def __init__(self, ear: Ear) -> None:
        self._ear = ear
        self._steps: Generator[Any, Any, list[Any]] | None = None

    def __await__(self) -> Generator[Any, Any, list[Any]]:
        ear = self._ear
        try:
            while not ear.over:
                yield from ear.next()
        except BaseException:
            ear.given_up()
            raise
        ear.looked()
        if ear.heard:
            return list(ear.heard[0])
        if ear.error is not None:
            raise ear.error
        import asyncio

        raise asyncio.CancelledError('an earlier await of it was cancelled')

    def _running(self) -> Generator[Any, Any, list[Any]]:
        steps = self._steps
        if steps is None:
            steps = self._steps = self.__await__()
        return steps

    def send(self, value: Any, /) -> Any:
        """As of a coroutine: go on."""
        return self._running().send(value)

    def throw(self, kind: Any, value: Any = None, trace: Any = None, /) -> Any:
        """As of a coroutine: go on with an exception."""
        self._ear.looked()
        try:
            return self._running().throw(value if value is not None else kind)
        except BaseException:
            self._ear.given_up()
            raise

    def close(self) -> None:
        """As of a coroutine: stop listening."""
        self._ear.looked()
        if self._steps is not None:
            self._steps.close()
        self._ear.given_up()

    def __repr__(self) -> str:
        ear = self._ear
        state = 'over' if ear.over else 'waiting'
        return f'<once {ear._event!r} of {ear.about!r}, {state}>'

    def __del__(self) -> None:
        self._ear.collected()


class Series(AsyncIterator[list[Any]]):
    """What :func:`on` returns."""

    __slots__ = ('__weakref__', '_ear')

    def __init__(self, ear: Ear) -> None:
        self._ear = ear

    async def __anext__(self) -> list[Any]:
        ear = self._ear
        while not ear.heard and not ear.over:
            await _Next(ear)
        ear.looked()
        if ear.heard:
            found = ear.heard.popleft()
            ear.taken()
            return found
        error, ear.error = ear.error, None
        if error is not None:
            raise error
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Leave the loop: what ``break`` does when the iterator is collected."""
        ear = self._ear
        ear.heard.clear()
        ear.dropped()
        ear.looked()
        ear.error = None
        ear._tell(True)

    def __repr__(self) -> str:
        ear = self._ear
        state = 'over' if ear.over else 'listening'
        return f'<on {ear._event!r} of {ear.about!r}, {state}, {len(ear.heard)} queued>'

    def __del__(self) -> None:
        self._ear.collected()


class _Next:
    __slots__ = ('_ear',)

    def __init__(self, ear: Ear) -> None:
        self._ear = ear

    def __await__(self) -> Generator[Any, None, None]:
        return self._ear.next()
