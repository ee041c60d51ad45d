"""The options of ``events.on`` and ``events.once``: as in Node, as a mapping or as keywords."""

from __future__ import annotations

from typing import Any

import pytest

from tailrace import AbortController, events
from tailrace.stream import Readable, Writable


class Source(events.EventEmitter):
    """Notes when it is paused."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def pause(self) -> None:
        self.said.append('pause')

    def resume(self) -> None:
        self.said.append('resume')


@pytest.mark.parametrize(
    'options',
    [{'highWaterMark': 2, 'lowWaterMark': 2}, {'high_water_mark': 2, 'low_water_mark': 2}],
)
def test_more_than_the_mark_pauses_and_less_resumes(run: Any, options: dict[str, int]) -> None:
    async def main() -> None:
        source = Source()
        heard = events.on(source, 'x', options)
        for number in range(4):
            source.emit('x', number)
        assert source.said == ['pause']
        assert [await anext(heard) for _ in range(2)] == [[0], [1]]
        assert source.said == ['pause']
        assert await anext(heard) == [2]
        assert source.said == ['pause', 'resume']
        await heard.aclose()  # type: ignore[attr-defined]

    run(main)


@pytest.mark.parametrize('name', ['high_water_mark', 'low_water_mark'])
@pytest.mark.parametrize(
    ('value', 'code'),
    [('1', 'ERR_INVALID_ARG_TYPE'), (0, 'ERR_OUT_OF_RANGE'), (1.5, 'ERR_OUT_OF_RANGE')],
)
def test_bad_marks_are_refused_and_leave_no_listener(name: str, value: Any, code: str) -> None:
    source = Source()
    with pytest.raises((TypeError, ValueError)) as caught:
        events.on(source, 'x', {name: value})
    assert caught.value.code == code  # type: ignore[attr-defined]
    assert source.event_names() == []


@pytest.mark.parametrize('function', [events.on, events.once])
@pytest.mark.parametrize('options', [1, 'x', {'signal': 1}])
def test_bad_options_are_refused(function: Any, options: Any) -> None:
    with pytest.raises(TypeError) as caught:
        function(Source(), 'x', options)
    assert caught.value.code == 'ERR_INVALID_ARG_TYPE'  # type: ignore[attr-defined]


def test_options_may_be_a_mapping(run: Any) -> None:
    async def main() -> None:
        source = Source()
        controller = AbortController()
        waiting = events.once(source, 'x', {'signal': controller.signal})
        heard = events.on(source, 'x', {'close': ['end']})
        source.emit('x', 1)
        source.emit('end')
        assert await waiting == [1]
        assert [one async for one in heard] == [[1]]

    run(main)


def test_the_buffers_of_streams_can_be_seen(run: Any) -> None:
    async def main() -> None:
        r = Readable(read=lambda size: None)
        r.push(b'a')
        r.push(b'b')
        assert r.readable_buffer == [b'a', b'b']
        w = Writable(write=lambda *_: None, decode_strings=False)
        assert w.writable_buffer == []
        w.write('a')
        w.write('b', 'latin1')
        assert w.writable_buffer == [('b', 'latin1')]
        r.destroy()
        w.destroy()

    run(main)
