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
from .finished import watch
from .readable import Readable
from .state import L_CLOSED, L_DESTROYED, R_ABSENT, R_END_EMITTED, W_ABSENT
from .stream import Stream

__all__ = ['add_abort_signal', 'pipeline']

OPTIONS = frozenset({'callback', 'end', 'signal'})


def _follows(error: BaseException | None) -> bool:
    """Whether an error most likely only follows from another one, of another stage."""
    return getattr(error, 'code', None) in ('ERR_STREAM_PREMATURE_CLOSE', 'ABORT_ERR')


class Pipeline:
    """The stages, how many of their ends are still open, and what went wrong first."""

    def __init__(self, end: bool, done: Callable[[BaseException | None, Any], object]) -> None:
        self.end = end
        self.done: Callable[[BaseException | None, Any], object] | None = done
        self.streams: list[Any] = []
        #: Stages that are destroyed when something fails.
        self.victims: list[Any] = []
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
            made = self.made(stage, stream, i, i == last)
            if made is None:
                break
            if stream is not None and made is not stage:
                # What a generator function returns reads its source itself.
                self.watch_end(stream, True, False)
            elif stream is not None:
                self.connect(stream, made, i == last)
            self.join(made, i < last or self.end or made is not stage)
            stream = made
        if stream is not None and not isinstance(stages[last], Stream) and self.task is None:
            self.watch_end(stream, True, False)
        return stream

    def made(self, stage: Any, source: Any, at: int, is_last: bool) -> Any:
        """The stream of a stage; None for a last function that consumes."""
        name = f'streams[{at}]'
        if isinstance(stage, Stream):
            if at and stage._w & W_ABSENT:
                bad_type(name, 'writable', stage)
            if not is_last and stage._r & R_ABSENT:
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
                self.watch_end(source, True, False)
                return None
            if not isinstance(result, (AsyncIterable, Iterable)):
                bad_type(f'what {name} returns', 'an asynchronous iterable', result)
            return Readable.from_(result)
        if at == 0 and isinstance(stage, (AsyncIterable, Iterable)):
            return Readable.from_(stage)
        return bad_type(name, 'a stream, an iterable (the first one) or a function', stage)

    def join(self, stream: Any, destroy: bool) -> None:
        self.streams.append(stream)
        if destroy:
            self.victims.append(stream)
        stream.on('error', self.heard)

    def connect(self, source: Any, dest: Any, is_last: bool) -> None:
        if dest._life & (L_CLOSED | L_DESTROYED):
            raise state_error('ERR_STREAM_UNABLE_TO_PIPE')
        end = self.end or not is_last
        source.pipe(dest, end=end)
        self.watch_end(source, True, False)
        if end:
            self.watch_end(dest, False, True)

        def closed() -> None:
            if not source._r & R_END_EMITTED:
                self.fail(state_error('ERR_STREAM_PREMATURE_CLOSE'))

        dest.once('close', closed)

    def watch_end(self, stream: Any, readable: bool, writable: bool) -> None:
        self.open += 1
        watch(stream, self.over, readable, writable)

    def consume(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.open += 1

        async def consume() -> None:
            try:
                self.value = await coroutine
            except Exception as error:
                self.heard(error)
                raise

        def ended(task: Any) -> None:
            error = AbortError() if task.cancelled() else task.exception()
            _runtime.current().enter(self.over, (error,), None)

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

    def heard(self, error: BaseException) -> None:
        """An 'error' event of a stage; those that only follow from another are left to it."""
        if not _follows(error):
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Note what counts and destroy everything."""
        if _follows(error):
            # The cause may be known to its stream already, though its event is still to come.
            causes = (s._error for s in self.streams if s._error and not _follows(s._error))
            error = next(causes, error)
        if self.error is None or (_follows(self.error) and not _follows(error)):
            self.error = error
        victims, self.victims = self.victims, []
        for stream in victims:
            if not stream._life & L_DESTROYED and not self.is_done(stream):
                stream.destroy(self.error)
        if self.task is not None:
            self.task.cancel()
        self.controller.abort(self.error)

    @staticmethod
    def is_done(stream: Any) -> bool:
        return bool(stream._reading_is_over() and stream._writing_is_over())

    def over(self, error: BaseException | None = None) -> None:
        """One watched end is over."""
        self.open -= 1
        if error is not None:
            self.fail(error)
        done = self.done
        if self.open == 0 and done is not None:
            self.done = None
            if self.undo is not None:
                self.undo()
            for stream in self.streams:
                if stream.destroyed and stream.closed:
                    continue
                if self.error is None:
                    stream.off('error', self.heard)
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
