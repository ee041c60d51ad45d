"""Reading helpers against a model: any data, any cuts, any order of calls, any encoding.

The model holds all the text that is still to be read; a call takes from its front or, if it fails,
nothing at all.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace._stream.state import R_ENDED
from tailrace.errors import IncompleteReadError, LimitOverrunError
from tailrace.stream import PassThrough

TEXT = st.text(alphabet='ab\nä€𝄞\r', max_size=40)
CUTS = st.lists(st.integers(1, 7), max_size=20)
CALLS = st.lists(
    st.one_of(
        st.tuples(st.just('exactly'), st.integers(0, 12)),
        st.tuples(st.just('line'), st.one_of(st.none(), st.integers(1, 12))),
        st.tuples(
            st.sampled_from(['until \r\n', 'until b', 'until aa']),
            st.one_of(st.none(), st.integers(1, 12)),
        ),
        st.tuples(st.just('read'), st.integers(1, 5)),
        st.tuples(st.just('unshift'), st.sampled_from(['b', 'ä\n', 'xyz', '\r'])),
        st.tuples(st.just('cancel'), st.integers(1, 12)),
    ),
    max_size=12,
)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    out, at = [], 0
    for cut in cuts:
        out.append(data[at : at + cut])
        at += cut
    return [piece for piece in [*out, data[at:]] if piece]


class Model:
    """What the helpers document, on data that is all there."""

    def __init__(self, left: Any) -> None:
        self.left = left

    def take(self, size: int) -> Any:
        out, self.left = self.left[:size], self.left[size:]
        return out

    def exactly(self, size: int) -> Any:
        return self.take(size) if len(self.left) >= size else 'incomplete'

    def until(self, separator: Any, limit: int | None) -> Any:
        at = self.left.find(separator)
        end = at + len(separator)
        if at >= 0 and (limit is None or end <= limit):
            return self.take(end)
        if limit is not None and (at >= 0 or len(self.left) >= limit):
            return 'overrun'
        return 'incomplete'

    def line(self, limit: int | None) -> Any:
        at = self.left.find(self.left[:0] + ('\n' if isinstance(self.left, str) else b'\n'))
        end = at + 1 if at >= 0 else len(self.left)
        return self.take(end) if limit is None or end <= limit else 'overrun'


async def outcome(awaitable: Any) -> Any:
    try:
        return await awaitable
    except IncompleteReadError:
        return 'incomplete'
    except LimitOverrunError:
        return 'overrun'


async def play(
    text: str, cuts: list[int], calls: list[Any], encoding: str | None, mark: int
) -> None:
    data = text.encode('utf-16-le' if encoding == 'utf16le' else 'utf8')
    stream = PassThrough(high_water_mark=mark)
    if encoding is not None:
        stream.set_encoding(encoding)
    whole: Any = data if encoding is None else text
    model = Model(whole)

    def own(value: str) -> Any:
        return value if encoding is not None else value.encode()

    loop = asyncio.get_running_loop()
    waiting = pieces(data, cuts)

    def feed() -> None:
        if waiting:
            stream.write(waiting.pop(0))
            loop.call_soon(feed)
        else:
            stream.end()

    loop.call_soon(feed)
    for name, argument in calls:
        if name == 'exactly':
            assert await outcome(stream.read_exactly(argument)) == model.exactly(argument)
        elif name == 'line':
            assert await outcome(stream.read_line(limit=argument)) == model.line(argument)
        elif name.startswith('until'):
            separator = own(name.removeprefix('until '))
            got = await outcome(stream.read_until(separator, limit=argument))
            assert got == model.until(separator, argument)
        elif name == 'read':
            got = stream.read(argument)
            assert got is None or got == model.take(len(got))
        elif name == 'unshift':
            # Only what has not ended can be given something back.
            if not stream._r & R_ENDED:
                stream.unshift(
                    own(argument) if encoding is None else argument.encode(_codec(encoding))
                )
                model.left = own(argument) + model.left
        else:
            task = asyncio.ensure_future(stream.read_exactly(argument))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                assert await outcome(task) == model.exactly(argument)
    rest = own('')
    while chunk := await outcome(stream.read_line(limit=None)):
        rest += chunk
    assert rest == model.left
    if not any(name == 'read' for name, _ in calls):  # which raises it for good, as in Node
        assert stream.readable_high_water_mark == mark
    # Its listeners leave with the next tick.
    assert stream._framing is None or not stream._framing.busy
    stream.destroy()
    await stream.wait_closed()


def _codec(encoding: str) -> str:
    return 'utf-16-le' if encoding == 'utf16le' else 'utf8'


@pytest.mark.parametrize('encoding', [None, 'utf8', 'utf16le'])
@given(text=TEXT, cuts=CUTS, calls=CALLS, mark=st.sampled_from([0, 1, 5, 65536]))
@settings(max_examples=100, deadline=None)
def test_any_order_of_calls(
    encoding: str | None, text: str, cuts: list[int], calls: list[Any], mark: int
) -> None:
    asyncio.run(asyncio.wait_for(play(text, cuts, calls, encoding, mark), 5))
