"""``compose`` and ``Duplex.from_``: one Duplex out of several streams, or out of other things."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Iterable
from typing import Any

from .. import _runtime
from .._listeners import Listener
from .._names import Record
from .._validate import bad_type, bad_value, is_mapping, shown
from ..errors import AbortError, InvalidArgTypeError, MissingArgsError
from .duplex import Duplex
from .pipeline import pipeline
from .questions import destroy, is_readable, is_writable
from .readable import Readable
from .stream import Stream

__all__ = ['compose', 'duplex_from']


class _Joined(Duplex):
    """Writes go to the first stream, what the last one gives comes out."""

    def __init__(self, head: Any, tail: Any, writable: bool, readable: bool) -> None:
        super().__init__(
            writable_object_mode=bool(getattr(head, 'writable_object_mode', False)),
            readable_object_mode=bool(getattr(tail, 'readable_object_mode', False)),
            writable=writable,
            readable=readable,
        )
        self._head, self._tail = head, tail
        self._drained: Any = None
        self._finished: Any = None
        self._closing: Any = None
        if writable:
            head.on('drain', self._head_drained)
            tail.once('finish', self._tail_finished)
        if readable:
            tail.on('readable', self._more)
            tail.on('end', lambda: self.push(None))

    def _head_drained(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None:
            drained(None)

    def _tail_finished(self) -> None:
        done, self._finished = self._finished, None
        if done is not None:
            done(None)

    def _write(self, chunk: Any, encoding: str, callback: Any) -> None:
        if self._head.write(chunk, None if encoding == 'buffer' else encoding):
            callback(None)
        else:
            self._drained = callback

    def _final(self, callback: Any) -> None:
        self._head.end()
        self._finished = callback
        if getattr(self._tail, 'writable_finished', False):
            self._tail_finished()

    def _more(self) -> None:
        self._read(0)

    def _read(self, size: int) -> None:
        while True:
            chunk = self._tail.read()
            if chunk is None or not self.push(chunk):
                return

    def _over(self, error: BaseException | None) -> None:
        """The chain has ended."""
        closing, self._closing = self._closing, None
        if closing is not None:
            closing(error)
        elif error is not None:
            self.destroy(error)
        elif not self.readable and not self.writable:
            self.destroy()

    def _destroy(self, error: Any, callback: Any) -> None:
        if error is None and self._finished is not None:
            error = AbortError()
        self._drained = self._finished = None
        if getattr(self._tail, 'destroyed', False) and getattr(self._head, 'destroyed', False):
            callback(error)
            return
        self._closing = callback
        if error is not None:
            # It is this stream's error; the pipeline may have done with its parts already.
            self._tail.once('error', _ignore)
            self._head.once('error', _ignore)
        destroy(self._tail, error)
        destroy(self._head, error)
        closing, self._closing = self._closing, None
        if closing is not None:
            closing(error)


def compose(*streams: Any) -> Any:
    """One Duplex that is all of these in a row: what is written goes through them and comes out.

    A function, generator function or iterable becomes a stream by :meth:`Duplex.from_`. Raises
    ERR_MISSING_ARGS, and ERR_INVALID_ARG_VALUE for one that cannot be read or written where it
    must.
    """
    if not streams:
        raise MissingArgsError('compose needs at least one stream')
    if len(streams) == 1:
        return duplex_from(streams[0])
    given = list(streams)
    made = [one if isinstance(one, Stream) else duplex_from(one) for one in given]
    last = len(made) - 1
    for at, one in enumerate(made):
        if at < last and not is_readable(one):
            bad_value(f'streams[{at}]', 'a stream that can be read', given[at])
        if at and not is_writable(one):
            bad_value(f'streams[{at}]', 'a stream that can be written', given[at])
    head, tail = made[0], made[-1]
    joined = _Joined(head, tail, bool(is_writable(head)), bool(is_readable(tail)))
    pipeline(*made, joined._over)
    return joined


def _ignore(_: Any = None) -> None:
    """Nobody waits for it."""


class _Written:
    """What is written to a Duplex, for a generator function to read."""

    def __init__(self) -> None:
        self.waiting: Any = None
        self.chunk: Any = None
        self.done: Any = None
        self.ended = False

    def put(self, chunk: Any, done: Any, ended: bool) -> None:
        self.chunk, self.done, self.ended = chunk, done, ended
        waiting, self.waiting = self.waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def chunks(self) -> AsyncIterator[Any]:
        while True:
            if self.done is None:
                self.waiting = _runtime.new_future()
                await self.waiting
            done: Any = self.done
            self.done = None
            chunk, ended = self.chunk, self.ended
            _runtime.current().push(done, (None,))
            if ended:
                return
            yield chunk


def _bad_return(wanted: str, value: Any) -> InvalidArgTypeError:
    error = InvalidArgTypeError(f'what the function returns must be {wanted}, not {shown(value)}')
    error.code = 'ERR_INVALID_RETURN_VALUE'
    return error


class _Function(Duplex):
    """A Duplex around a function of what is written."""

    def __init__(self, function: Any) -> None:
        written = _Written()
        signal_record = Record(signal=None)
        if isinstance(function, type):
            bad_type('body', 'a function of what is written', function)
        result = function(*Listener(function, False).fit((written.chunks(), signal_record)))
        gives = isinstance(result, (AsyncIterable, Iterable))
        if not gives and not isinstance(result, Awaitable):
            raise _bad_return('an iterable, a stream or an awaitable', result)
        super().__init__(object_mode=True, readable=gives)
        self._input = written
        self._result: Any = None
        self._task: Any = None
        if gives:
            self._result = Readable.from_(result)
            self._result.on('data', self._came)
            self._result.on('end', lambda: self.push(None))
            self._result.on('error', self.destroy)
            self._result.pause()
        else:
            self._task = _runtime.spawn(self._wait(result), self.destroy)

    async def _wait(self, result: Any) -> None:
        value = await result
        if value is not None:
            raise _bad_return('None', value)
        final: Any = getattr(self, '_finish', None)
        if final is not None:
            final(None)
        else:
            self._did_return = True

    _did_return = False

    def _came(self, chunk: Any) -> None:
        if not self.push(chunk):
            self._result.pause()

    def _read(self, size: int) -> None:
        if self._result is not None:
            self._result.resume()

    def _write(self, chunk: Any, encoding: str, callback: Any) -> None:
        self._input.put(chunk, callback, False)

    def _final(self, callback: Any) -> None:
        if self._task is None or self._did_return:
            self._input.put(None, callback, True)
            return
        self._finish = callback
        self._input.put(None, _ignore, True)

    def _destroy(self, error: Any, callback: Any) -> None:
        if self._result is not None:
            self._result.destroy()
        if self._task is not None and not self._task.done():
            self._task.cancel()
        callback(error)


class _Sides(Duplex):
    """A Duplex of a stream to read from and another one to write to, either may be missing."""

    def __init__(self, source: Any, target: Any) -> None:
        super().__init__(
            readable_object_mode=bool(getattr(source, 'readable_object_mode', False)),
            writable_object_mode=bool(getattr(target, 'writable_object_mode', False)),
            readable=source is not None and bool(is_readable(source)),
            writable=target is not None and bool(is_writable(target)),
        )
        self._source: Any = source
        self._target: Any = target
        self._drained: Any = None
        if target is not None:
            target.on('drain', self._target_drained)
            target.on('error', self.destroy)
        if source is not None:
            source.on('readable', self._more)
            source.on('end', lambda: self.push(None))
            source.on('error', self.destroy)

    def _target_drained(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None:
            drained(None)

    def _write(self, chunk: Any, encoding: str, callback: Any) -> None:
        if self._target.write(chunk, None if encoding == 'buffer' else encoding):
            callback(None)
        else:
            self._drained = callback

    def _final(self, callback: Any) -> None:
        self._target.once('finish', lambda: callback(None))
        self._target.end()

    def _more(self) -> None:
        self._read(0)

    def _read(self, size: int) -> None:
        if self._source is None:
            return
        while True:
            chunk = self._source.read()
            if chunk is None or not self.push(chunk):
                return

    def _destroy(self, error: Any, callback: Any) -> None:
        for one in (self._source, self._target):
            if one is not None and not one.destroyed:
                destroy(one, error)
        callback(error)


async def _one(awaitable: Any) -> AsyncIterator[Any]:
    value = await awaitable
    if value is not None:
        yield value


def _sides(body: Any) -> tuple[Any, Any]:
    if is_mapping(body):
        return body.get('readable'), body.get('writable')
    return body.readable, body.writable


def _reading(iterable: Any) -> Any:
    """A Duplex that can be read only."""
    source = Readable.from_(iterable)
    return _Sides(source, None)


def duplex_from(body: Any) -> Any:
    """See ``Duplex.from_``."""
    if isinstance(body, Duplex):
        return body
    if isinstance(body, Stream):
        can_read = is_readable(body) is not None
        return _Sides(body if can_read else None, None if can_read else body)
    if callable(body):
        return _Function(body)
    if isinstance(body, (str, bytes, bytearray, memoryview)):
        return _reading(body)
    if is_mapping(body) or (hasattr(body, 'readable') and hasattr(body, 'writable')):
        source, target = _sides(body)
        if source is not None and not isinstance(source, Stream):
            source = duplex_from(source)
        if target is not None and not isinstance(target, Stream):
            target = duplex_from(target)
        if source is None and target is None:
            bad_type('body', 'a mapping with a stream as readable or writable', body)
        return _Sides(source, target)
    if isinstance(body, Awaitable):
        return _reading(_one(body))
    if isinstance(body, (AsyncIterable, Iterable)):
        return _reading(body)
    return bad_type(
        'body', 'a stream, iterable, awaitable, function, or mapping of readable and writable', body
    )
