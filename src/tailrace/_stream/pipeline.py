"""``pipeline``: connect streams so that all end together, and ``add_abort_signal``.

A stage that is no stream becomes one: an iterable and what a generator function returns are read
through ``Readable.from_``. Each connection is watched at both ends; the first failure that counts
destroys every stage, and the callback runs when the last watched end is over.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Sequence
from types import CoroutineType
from typing import Any, cast

from .. import _runtime
from .._abort import AbortController, AbortSignal, check_signal
from .._listeners import Listener, adapt, is_coroutine_function
from .._names import merge_options
from .._validate import bad_type, check_callable, is_mapping
from ..errors import AbortError, MissingArgsError, state_error
from .duplex import PassThrough
from .finished import watch
from .questions import is_readable
from .readable import Readable
from .state import (
    L_CLOSED,
    L_DESTROYED,
    L_ERROR_EMITTED,
    R_END_EMITTED,
    R_ENDED,
)
from .stream import Stream

__all__ = ['add_abort_signal', 'pipeline']

OPTIONS = frozenset({'callback', 'end', 'signal'})


def _follows(error: BaseException | None) -> bool:
    """Whether an error most likely only follows from another one, of another stage."""
    return getattr(error, 'code', None) in ('ERR_STREAM_PREMATURE_CLOSE', 'ABORT_ERR')


class Victim:
    """A stage that is destroyed when something fails, unless it is done."""

    __slots__ = ('done', 'stop', 'stream')

    def __init__(self, stream: Any, reading: bool, writing: bool) -> None:
        self.stream = stream
        self.done = False
        stream.on('close', self.closed)
        self.stop = watch(stream, self.over, reading, writing).stop

    def closed(self) -> None:
        self.done = True

    def over(self, error: BaseException | None) -> None:
        self.done = error is None

    def destroy(self, error: BaseException | None) -> None:
        if not self.done:
            self.done = True
            if not self.stream._life & L_DESTROYED:
                self.stream.destroy(error or state_error('ERR_STREAM_DESTROYED'))


class Pipeline:
    """The stages, how many of their ends are still open, and what went wrong first."""

    def __init__(self, end: bool, done: Callable[[BaseException | None, Any], object]) -> None:
        self.end = end
        self.done: Callable[[BaseException | None, Any], object] | None = done
        self.victims: list[Victim] = []
        #: What is undone at the last stream if all went well: it may still be read.
        self.at_last: list[Callable[[], object]] = []
        self.open = 0
        self.error: BaseException | None = None
        self.value: Any = None
        self.task: Any = None
        self.controller = AbortController()
        self.undo: Callable[[], object] | None = None

    # -- building -------------------------------------------------------------------------------

    def build(self, stages: list[Any]) -> Any:
        last = len(stages) - 1
        stream: Any = None
        for i, stage in enumerate(stages):
            is_last = i == last
            if isinstance(stage, Stream):
                after = None if is_last else stages[i + 1]
                if isinstance(after, Stream) and after._life & (L_CLOSED | L_DESTROYED):
                    raise state_error('ERR_STREAM_UNABLE_TO_PIPE')
                self.join(stage, not is_last, i > 0, is_last)
            made = self.made(stage, stream, i, is_last)
            if made is None:
                stream = self.proxy
                break
            if made is not stage:
                self.join(made, True, False, False)
                if stream is not None:
                    # What a generator function returns reads its source itself.
                    self.watch_end(stream, True, False)
                if is_last:
                    self.watch_end(made, True, False)
            elif stream is not None:
                self.connect(stream, made, is_last)
            stream = made
        return stream

    def made(self, stage: Any, source: Any, at: int, is_last: bool) -> Any:
        """The stream of a stage; None for a last function that consumes."""
        name = f'streams[{at}]'
        if isinstance(stage, Stream):
            if at and not hasattr(stage, 'write'):
                bad_type(name, 'writable', stage)
            if not is_last and not hasattr(stage, 'read'):
                bad_type(name, 'readable', stage)
            return stage
        if callable(stage):
            given = (
                (self.controller.signal,) if source is None else (source, self.controller.signal)
            )
            result = stage(*Listener(stage, False).fit(given))
            if isinstance(result, CoroutineType):
                coroutine = cast('Coroutine[Any, Any, Any]', result)
                if not is_last:
                    coroutine.close()
                    bad_type(f'what {name} returns', 'an asynchronous iterable', coroutine)
                self.consume(coroutine)
                return None
            if not isinstance(result, (AsyncIterable, Iterable)):
                bad_type(f'what {name} returns', 'an asynchronous iterable', result)
            return Readable.from_(result)
        if at == 0 and isinstance(stage, (AsyncIterable, Iterable)):
            return Readable.from_(stage)
        return bad_type(name, 'a stream, an iterable (the first one) or a function', stage)

    def join(self, stream: Any, reading: bool, writing: bool, is_last: bool) -> None:
        stays = is_last and bool(is_readable(stream))
        if reading or self.end:
            victim = Victim(stream, reading, writing)
            self.victims.append(victim)
            if stays:
                self.at_last.append(victim.stop)
        stream.on('error', self.heard)
        if stays:
            self.at_last.append(lambda: stream.off('error', self.heard))

    def connect(self, source: Any, dest: Any, is_last: bool) -> None:
        end = self.end or not is_last
        self.open += 2
        ended = False

        def closed() -> None:
            if not ended:
                self.fail(state_error('ERR_STREAM_PREMATURE_CLOSE'))

        dest.on('close', closed)
        source.pipe(dest, end=False)
        if end:

            def end_dest() -> None:
                nonlocal ended
                ended = True
                dest.end()

            if source._r & R_END_EMITTED:
                _runtime.current().push(end_dest, ())
            else:
                source.once('end', end_dest)
        else:
            self.over(None)

        def read(error: BaseException | None) -> None:
            early = getattr(error, 'code', None) == 'ERR_STREAM_PREMATURE_CLOSE'
            ended = source._r & R_ENDED and source._error is None
            if early and ended and not source._life & L_ERROR_EMITTED:
                # Closed before 'end', which still comes.
                source.once('end', self.over)
                source.once('error', self.over)
            else:
                self.over(error)

        watch(source, read, True, False)
        stop = watch(dest, self.over, False, True).stop
        if is_last and is_readable(dest):
            self.at_last.append(stop)

    def watch_end(self, stream: Any, readable: bool, writable: bool) -> None:
        self.open += 1
        watch(stream, self.over, readable, writable)

    def consume(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run the last function; its value comes out of a stream, as of any other stage."""
        self.open += 1
        proxy = self.proxy = PassThrough(object_mode=True)
        self.victims.append(Victim(proxy, False, True))

        async def consume() -> None:
            self.value = await coroutine

        def told(error: BaseException | None) -> None:
            if error is not None:
                proxy.on('error', _ignore)
                proxy.destroy(error)
            else:
                if self.value is not None:
                    proxy.write(self.value)
                if self.end:
                    proxy.end()
            _runtime.current().push(self.over, (error,))

        def ended(task: Any) -> None:
            error = AbortError() if task.cancelled() else task.exception()
            _runtime.current().enter(told, (error,), None)

        self.task = _runtime.spawn(consume(), _ignore)
        self.task.add_done_callback(ended)

    def follow(self, signal: AbortSignal) -> None:
        def abort(_: Any = None) -> None:
            self.fail(AbortError(cause=signal.reason))

        if signal.aborted:
            _runtime.current().push(abort, ())
        else:
            signal.add_event_listener('abort', abort)
            self.undo = lambda: signal.remove_event_listener('abort', abort)

    # -- ending ---------------------------------------------------------------------------------

    def heard(self, error: Any = None) -> None:
        """An 'error' event of a stage; those that only follow from another are left to it."""
        if error is not None and not _follows(error):
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Note what counts and destroy everything."""
        self.finish(error, False)

    def over(self, error: BaseException | None = None) -> None:
        """One watched end is over."""
        self.open -= 1
        self.finish(error, self.open == 0)

    def finish(self, error: BaseException | None, final: bool) -> None:
        if error is not None and (self.error is None or _follows(self.error)):
            self.error = error
        if self.error is None and not final:
            return
        victims, self.victims = self.victims, []
        for victim in victims:
            victim.destroy(self.error)
        undo, self.undo = self.undo, None
        if undo is not None:
            undo()
        if self.error is not None and self.task is not None:
            self.task.cancel()
        self.controller.abort(self.error)
        done = self.done
        if final and done is not None:
            self.done = None
            if self.error is None:
                for leave in self.at_last:
                    leave()
            _runtime.current().push(done, (self.error, self.value))


def _ignore(_: object = None) -> None:
    """The failure of a consumer is told through the pipeline."""


def pipeline(*stages: Any, **keywords: Any) -> Any:
    """Connect ``stages`` so that they end, and fail, together.

    ``stages``: two or more, or one list of them: a stream or an iterable first, then Duplex
    streams or asynchronous generator functions ``(source)``, at last a Writable, or a coroutine
    function ``(source)`` that consumes. A function may take an AbortSignal after the source; it
    aborts when the pipeline fails. A plain function at the end, or ``callback=``, is the callback:
    ``callback(error, value)`` with ``value`` what the last coroutine function returned; then the
    last stream is returned. Without a callback: an awaitable of that value.

    Options (keywords, or a mapping at the end): ``end`` (False: the last stream is not ended),
    ``signal`` (its abort destroys all). The first error destroys every stage, also those that are
    done with one side only. Raises ERR_MISSING_ARGS, ERR_INVALID_ARG_TYPE and, if a destination is
    closed already, ERR_STREAM_UNABLE_TO_PIPE.
    """
    rest: list[Any] = list(stages)
    callback = None
    if rest and _is_callback(rest[-1]):
        callback = rest.pop()
    mapping = None
    if rest and is_mapping(rest[-1]):
        mapping = rest.pop()
    given = merge_options('pipeline', mapping, keywords, OPTIONS)
    callback = given.get('callback') if callback is None else callback
    if len(rest) == 1 and isinstance(rest[0], (list, tuple)):
        rest = list(cast('Sequence[Any]', rest[0]))
    if len(rest) < 2:
        raise MissingArgsError('a pipeline needs at least two stages')
    signal = given.get('signal')
    if signal is not None:
        check_signal('options.signal', signal)
    if callback is not None:
        return _start(rest, given, adapt(check_callable('callback', callback)))[1]
    future = _runtime.new_future()

    def settle(error: BaseException | None, value: Any) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)

    line, _ = _start(rest, given, settle)

    def given_up(_: Any) -> None:
        if future.cancelled():
            line.fail(AbortError('nobody waits for the pipeline any more'))

    future.add_done_callback(given_up)
    return future


def _is_callback(value: Any) -> bool:
    if not callable(value) or isinstance(value, Stream):
        return False
    import inspect

    function = getattr(value, '__func__', value)
    return not (
        is_coroutine_function(value)
        or inspect.isasyncgenfunction(function)
        or inspect.isgeneratorfunction(function)
    )


def _start(stages: list[Any], given: dict[str, Any], done: Any) -> tuple[Pipeline, Any]:
    line = Pipeline(given.get('end') is not False, done)
    stream = line.build(stages)
    if given.get('signal') is not None:
        line.follow(given['signal'])
    return line, stream


def add_abort_signal(signal: Any, stream: Any) -> Any:
    """Destroy ``stream`` with an AbortError when ``signal`` aborts; returns the stream.

    Raises ERR_INVALID_ARG_TYPE.
    """
    check_signal('signal', signal)
    if not isinstance(stream, Stream):
        bad_type('stream', 'a stream', stream)
    stream._follow_signal(signal)
    return stream
