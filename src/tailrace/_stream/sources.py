"""``Readable.from_``: a stream out of an iterable or an asynchronous iterable.

A plain iterable is read inside ``_read``; an asynchronous one by a task that ends when the stream
is full or done. Destroying the stream closes the iterator.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any

from .. import _running, _runtime
from .._validate import bad_type
from ..errors import StreamNullValuesError
from .readable import Readable

__all__ = ['readable_from']


class _FromIterable(Readable):
    """Pushes what a plain iterator gives, for as long as there is room."""

    def __init__(self, iterator: Any, options: dict[str, Any]) -> None:
        super().__init__(options)
        self._iterator = iterator
        self._inside = False

    def _read(self, size: int) -> None:
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
                more = self.push(value) and more
        finally:
            self._inside = False

    def _destroy(self, error: Any, callback: Any) -> None:
        close = getattr(self._iterator, 'close', None)
        # A generator that destroys its own stream is running and cannot be closed.
        if close is not None and not getattr(self._iterator, 'gi_running', False):
            close()
        callback(error)


class _FromAsyncIterable(Readable):
    """Pushes what an asynchronous iterator gives, from a task."""

    def __init__(self, iterator: Any, options: dict[str, Any]) -> None:
        super().__init__(options)
        self._iterator = iterator
        self._task: Any = None
        self._started = False

    def _read(self, size: int) -> None:
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
                more = self.push(value) and more
        except Exception as error:
            self.destroy(error)
        finally:
            self._task = None

    def _destroy(self, error: Any, callback: Any) -> None:
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


def readable_from(
    iterable: Any, options: Mapping[str, Any] | None, keywords: Mapping[str, Any]
) -> Readable:
    """See ``Readable.from_``."""
    merged = {'object_mode': True, 'high_water_mark': 1, **(options or {}), **keywords}
    for node, name in (('objectMode', 'object_mode'), ('highWaterMark', 'high_water_mark')):
        if node in merged:
            merged[name] = merged.pop(node)
    given: Any = iterable  # what was tested keeps its type
    if isinstance(iterable, (str, bytes, bytearray, memoryview)):
        return _FromIterable(iter([given]), merged)
    if isinstance(iterable, AsyncIterable):
        return _FromAsyncIterable(aiter(given), merged)
    if isinstance(iterable, Iterable):
        return _FromIterable(iter(given), merged)
    return bad_type('iterable', 'iterable', iterable)
