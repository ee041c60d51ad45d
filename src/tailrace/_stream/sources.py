"""``Readable.from_``: a stream out of an iterable or an asynchronous iterable.

A plain iterable is read inside ``_read``; an asynchronous one by a task that ends when the stream
is full or done. Destroying the stream closes the iterator.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any, Protocol

from .. import _running, _runtime
from .._validate import bad_type, is_mapping
from ..errors import StreamNullValuesError

__all__ = ['Source', 'Target', 'source_of']


class Target(Protocol):
    """The stream that a source fills."""

    def push(self, chunk: Any, /) -> bool:
        """Takes a chunk, or None for the end; False if there is no room for another."""
        ...

    def destroy(self, error: BaseException | None = None, /) -> Any:
        """Ends the stream."""
        ...


class Source(Protocol):
    """What a stream reads from, as the hooks ``read`` and ``destroy`` of its options."""

    stream: Target

    def read(self, size: int) -> None:
        """Pushes until the stream is full."""

    def destroy(self, error: Any, callback: Any) -> None:
        """Closes the iterator, then calls ``callback(error_or_None)``."""


class _FromIterable:
    """Pushes what a plain iterator gives, for as long as there is room."""

    stream: Target

    def __init__(self, iterator: Any) -> None:
        self._iterator = iterator
        self._inside = False

    def read(self, size: int) -> None:
        if self._inside:
            return
        self._inside = True
        try:
            more = True
            while more:
                try:
                    value = next(self._iterator)
                except StopIteration:
                    value = None
                    more = False
                else:
                    if value is None:
                        raise StreamNullValuesError('an iterable gave None, which no stream takes')
                more = self.stream.push(value) and more
        finally:
            self._inside = False

    def destroy(self, error: Any, callback: Any) -> None:
        close = getattr(self._iterator, 'close', None)
        # A generator that destroys its own stream is running and cannot be closed.
        if close is not None and not getattr(self._iterator, 'gi_running', False):
            close()
        callback(error)


class _FromAsyncIterable:
    """Pushes what an asynchronous iterator gives, from a task."""

    stream: Target

    def __init__(self, iterator: Any) -> None:
        self._iterator = iterator
        self._task: Any = None
        self._started = False

    def read(self, size: int) -> None:
        if self._task is None:
            self._started = True
            self._task = _runtime.spawn(self._pump())

    async def _pump(self) -> None:
        try:
            more = True
            while more:
                try:
                    value = await anext(self._iterator)
                except StopAsyncIteration:
                    value = None
                    more = False
                else:
                    if value is None:
                        raise StreamNullValuesError('an iterable gave None, which no stream takes')
                more = self.stream.push(value) and more
        except Exception as error:
            self.stream.destroy(error)
        finally:
            self._task = None

    def destroy(self, error: Any, callback: Any) -> None:
        if self._started:
            _runtime.spawn(self._close(error, callback))
        else:
            callback(error)

    async def _close(self, error: Any, callback: Any) -> None:
        task = self._task
        if task is not None:
            task.cancel()
            await _running.settled(task)
        close = getattr(self._iterator, 'aclose', None)
        failure = error
        if close is not None:
            try:
                await close()
            except Exception as problem:
                failure = error or problem
        callback(failure)


def source_of(
    iterable: Any, options: Mapping[str, Any] | None, keywords: Mapping[str, Any]
) -> tuple[Source, dict[str, Any]]:
    """The source for ``Readable.from_``, and the options of the stream."""
    if options is not None and not is_mapping(options):
        bad_type('options', 'a mapping', options)
    merged = {'object_mode': True, 'high_water_mark': 1, **(options or {}), **keywords}
    for node, name in (('objectMode', 'object_mode'), ('highWaterMark', 'high_water_mark')):
        if node in merged:
            merged[name] = merged.pop(node)
    given: Any = iterable  # what was tested keeps its type
    if isinstance(iterable, (str, bytes, bytearray, memoryview)):
        return _FromIterable(iter([given])), merged
    if isinstance(iterable, AsyncIterable):
        return _FromAsyncIterable(aiter(given)), merged
    if isinstance(iterable, Iterable):
        return _FromIterable(iter(given)), merged
    return bad_type('iterable', 'iterable', iterable)
