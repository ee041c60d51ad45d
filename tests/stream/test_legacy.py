"""Pipes of old-style streams: emitters of 'data', 'end' and 'close'. The order is Node's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tailrace import stream
from tailrace.events import EventEmitter


class Source(stream.Stream):
    readable = True

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def pause(self) -> None:
        self.said.append('pause')

    def resume(self) -> None:
        self.said.append('resume')


class Dest(EventEmitter):
    writable = True

    def __init__(self) -> None:
        super().__init__()
        self.said: list[Any] = []

    def write(self, chunk: Any) -> None:
        self.said.append(chunk)

    def end(self) -> None:
        self.said.append('end')

    def destroy(self) -> None:
        self.said.append('destroy')


def left(*emitters: EventEmitter) -> list[Any]:
    return [name for one in emitters for name in one.event_names()]


def test_a_full_destination_pauses_the_source() -> None:
    source, written = Source(), []
    waiting: list[Callable[[], None]] = []

    def write(chunk: bytes, encoding: str, done: Callable[[], None]) -> None:
        written.append(chunk)
        waiting.append(done)

    dest = stream.Writable(write=write, high_water_mark=2)
    piped: list[Any] = []
    dest.on('pipe', piped.append)
    assert source.pipe(dest) is dest
    assert piped == [source]
    source.emit('data', 'abc')
    assert source.said == ['pause']
    dest.emit('drain')
    assert source.said == ['pause', 'resume']
    source.emit('end')
    assert dest.writable_ended
    assert left(source, dest) == ['pipe']
    assert written == [b'abc']
    dest.destroy()


@pytest.mark.parametrize(
    ('event', 'end', 'said'),
    [
        ('end', True, ['end']),
        ('close', True, ['destroy']),
        ('end', False, []),
        ('close', False, []),
    ],
)
def test_the_end_of_the_source(event: str, end: bool, said: list[str]) -> None:
    source, dest = Source(), Dest()
    source.pipe(dest, {'end': end})
    source.emit('data', 1)
    source.emit(event)
    source.emit('end')
    source.emit('close')
    assert dest.said == [1, *said]
    assert left(source, dest) == []


@pytest.mark.parametrize('which', [0, 1])
def test_an_error_ends_the_pipe_and_is_raised_if_nobody_listens(which: int) -> None:
    both: tuple[Any, Any] = (Source(), Dest())
    both[0].pipe(both[1])
    with pytest.raises(LookupError):
        both[which].emit('error', LookupError())
    assert left(*both) == []
    both[0].pipe(both[1])
    heard: list[Any] = []
    both[which].on('error', heard.append)
    both[which].emit('error', LookupError())
    assert len(heard) == 1
    assert left(*both) == ['error']


@pytest.mark.parametrize('dest', [None, 1, {}])
def test_what_is_no_stream_is_refused(dest: Any) -> None:
    with pytest.raises(TypeError) as raised:
        stream.Stream().pipe(dest)
    assert raised.value.code == 'ERR_INVALID_ARG_TYPE'  # type: ignore[attr-defined]
