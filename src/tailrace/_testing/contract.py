"""The contract of a connected pair of Duplex streams, as something that can be run.

Each clause is one function: it gets a fresh pair and raises AssertionError. What holds for sockets
and for any other transport is here; addresses and options are not.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from ..errors import IncompleteReadError, NodeError
from .trace import Trace

__all__ = ['CLAUSES', 'check_duplex']

Clause = Callable[[Any, Any], Awaitable[None]]

#: Seconds a clause may take.
PATIENCE = 20.0

#: Clauses by name, each with whether its pair allows half-open ends.
CLAUSES: dict[str, tuple[bool, Clause]] = {}


def _clause(half_open: bool) -> Callable[[Clause], Clause]:
    def add(function: Clause) -> Clause:
        CLAUSES[function.__name__] = half_open, function
        return function

    return add


async def check_duplex(
    make_pair: Callable[..., Any], *, clauses: list[str] | None = None
) -> list[str]:
    """Check that the streams of a pair keep the contract of a Duplex; returns the clauses checked.

    ``make_pair(allow_half_open=...)`` returns (or is awaited for) two connected streams with the
    usual high-water marks; it is called once for each clause. ``clauses``: only these, by name (the
    keys of ``CLAUSES``). Raises AssertionError that names the clause and says what it wants; a
    clause that does not end within 20 s fails too. Streams are destroyed afterwards.
    """
    checked: list[str] = []
    for name, (half_open, clause) in CLAUSES.items():
        if clauses is not None and name not in clauses:
            continue
        made = make_pair(allow_half_open=half_open)
        one, two = await made if inspect.isawaitable(made) else made
        for stream in (one, two):
            # What becomes of the other end, when one fails, differs between transports.
            stream.on('error', _ignore)
        try:
            async with asyncio.timeout(PATIENCE):
                await clause(one, two)
        except AssertionError as error:
            raise AssertionError(f'{name} ({inspect.getdoc(clause)}): {error}') from error
        except TimeoutError as error:
            raise AssertionError(f'{name} ({inspect.getdoc(clause)}): does not end') from error
        finally:
            for stream in (one, two):
                stream.destroy()
                await stream.wait_closed()
        checked.append(name)
    return checked


def _code_into(codes: list[Any]) -> Callable[[Any], None]:
    def note(error: Any) -> None:
        codes.append(error.code)

    return note


def _ignore(_: object = None) -> None:
    """A clause looks at errors itself."""


def _want(condition: object, text: str) -> None:
    if not condition:
        raise AssertionError(text)


def _same(got: object, wanted: object, text: str) -> None:
    _want(got == wanted, f'{text}: {_short(got)} instead of {_short(wanted)}')


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 200 else f'{text[:100]}...{text[-50:]}'


async def _turns(count: int = 30) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def _rest(stream: Any) -> bytes:
    return b''.join([chunk async for chunk in stream])


def _pattern(size: int) -> bytes:
    return bytes(i * 7 % 251 for i in range(251)) * (size // 251 + 1)


@_clause(True)
async def everything_arrives_in_order(one: Any, two: Any) -> None:
    """What is written on either end is read on the other, whole and in order."""
    there, back = _pattern(300_000)[:300_000], _pattern(200_000)[11:200_000]

    async def send(stream: Any, data: bytes) -> None:
        for at in range(0, len(data), 7919):
            stream.write(data[at : at + 7919])
            await stream.drain()
        stream.end()

    got = await asyncio.gather(_rest(two), _rest(one), send(one, there), send(two, back))
    _same(got[0], there, 'the second end read')
    _same(got[1], back, 'the first end read')


@_clause(True)
async def text_and_buffers_are_written_as_bytes(one: Any, two: Any) -> None:
    """str is UTF-8 unless said otherwise, a bytearray is copied, empty chunks vanish."""
    data = bytearray(b'abc')
    one.write('é')
    one.write(data)
    data[:] = b'xyz'
    one.write(b'')
    one.write(memoryview(b'view'))
    one.end('ff', 'hex')
    _same(await _rest(two), 'é'.encode() + b'abcview\xff', 'read')


@_clause(True)
async def half_open_ends_one_direction_only(one: Any, two: Any) -> None:
    """end(): 'finish' here, 'end' there after all data; the other direction goes on."""
    trace = Trace(one=one, two=two)
    one.end(b'question')
    _same(await two.read_exactly(8), b'question', 'read before the end')
    await trace.wait_for('two:end')
    await trace.wait_for('one:finish')
    _want(two.writable and not two.destroyed, 'the end that read to the end can still write')
    two.end(b'answer')
    _same(await _rest(one), b'answer', 'read after the own end')
    await one.wait_closed()
    await two.wait_closed()
    _same(trace.count('one:error') + trace.count('two:error'), 0, "'error' events")


@_clause(False)
async def the_end_of_one_side_ends_both(one: Any, two: Any) -> None:
    """Without allow_half_open a stream that has read to the end ends and closes by itself."""
    trace = Trace(one=one, two=two)
    two.resume()
    one.resume()
    one.end(b'x')
    await one.wait_closed()
    await two.wait_closed()
    for label in ('one', 'two'):
        names = [event.name for event in trace.events if event.label == label]
        _same(names[-1], 'close', f"the last event of '{label}'")
        for name in ('end', 'finish', 'close'):
            _same(names.count(name), 1, f'{name!r} events of {label!r}')
    _want(one.destroyed and two.destroyed, 'both are destroyed')
    _same((one.errored, two.errored), (None, None), 'errored')


@_clause(True)
async def back_pressure_reaches_the_writer(one: Any, two: Any) -> None:
    """write() says False above the mark; 'drain' comes once, when the reader has made room."""
    two.pause()
    trace = Trace(one)
    size = 0
    while one.write(b'x' * 50_000):
        size += 50_000
        _want(size < 100_000_000, 'a reader that does not read stops the writer')
        await asyncio.sleep(0)
    size += 50_000
    for _ in range(3):
        one.write(b'y' * 50_000)
    await _turns()
    _want(one.writable_need_drain, 'writable_need_drain is True after a False')
    _same(trace.count('drain'), 0, "'drain' events before anything was read")
    waiting = asyncio.ensure_future(one.drain())
    await _turns()
    _want(not waiting.done(), 'drain() waits')
    data = await two.read_exactly(size + 150_000)
    await waiting
    _same(trace.count('drain'), 1, "'drain' events")
    _same(data.count(b'y'), 150_000, 'bytes written after a False that arrived')


@_clause(True)
async def write_callbacks_come_later_and_in_order(one: Any, two: Any) -> None:
    """The callback of a write never runs inside it; callbacks keep the order of the writes."""
    done: list[int] = []
    two.resume()
    for i in range(5):

        def wrote(error: Exception | None, i: int = i) -> None:
            done.append(i if error is None else -1)

        one.write(b'x' * 10_000, wrote)
    _same(done, [], 'callbacks that ran at once')
    finished = asyncio.get_running_loop().create_future()
    one.end(lambda: finished.set_result(None))
    await finished
    _same(done, [0, 1, 2, 3, 4], 'callbacks')


@_clause(True)
async def cork_holds_and_uncork_releases(one: Any, two: Any) -> None:
    """Between cork() and uncork() nothing is sent."""
    one.cork()
    one.write(b'a')
    one.write(b'b')
    await _turns()
    _same(two.readable_length, 0, 'bytes that came through')
    one.uncork()
    _same(await two.read_exactly(2), b'ab', 'read after uncork')


@_clause(True)
async def pause_stops_data(one: Any, two: Any) -> None:
    """While paused there is no 'data'; resume() goes on where it was, losing nothing."""
    got: list[bytes] = []
    ended = asyncio.get_running_loop().create_future()

    def take(chunk: bytes) -> None:
        _want(not two.is_paused(), "'data' while paused")
        got.append(chunk)
        two.pause()
        asyncio.get_running_loop().call_later(0.002, two.resume)

    two.on('data', take)
    two.on('end', lambda: ended.set_result(None))
    data = _pattern(400_000)
    one.end(data)
    await ended
    _same(b''.join(got), data, 'read')


@_clause(True)
async def readable_and_read(one: Any, two: Any) -> None:
    """'readable' says that read() has something; read(n) gives n or None; unshift puts back."""
    readable = asyncio.Event()
    two.on('readable', readable.set)
    one.write(b'12345')
    await readable.wait()
    while two.readable_length < 5:
        two.read(0)
        await asyncio.sleep(0)
    _same(two.read(9), None, 'read() of more than there is')
    _same(two.read(2), b'12', 'read(2)')
    two.unshift(b'12')
    _same(two.read(), b'12345', 'read() after unshift')


@_clause(True)
async def awaited_reads(one: Any, two: Any) -> None:
    """read_exactly, read_until and read_line work over any cut of the data."""
    for piece in (b'li', b'ne\nex', b'act-', b'-unt', b'il--rest'):
        one.write(piece)
        await asyncio.sleep(0)
    one.end()
    _same(await two.read_line(), b'line\n', 'read_line')
    _same(await two.read_exactly(5), b'exact', 'read_exactly')
    _same(await two.read_until(b'--'), b'--', 'read_until')
    _same(await two.read_until(b'--'), b'until--', 'read_until')
    try:
        await two.read_exactly(5)
        raise AssertionError('read_exactly beyond the end raises IncompleteReadError')
    except IncompleteReadError as error:
        _same(error.partial, b'rest', 'partial')
    _same(await two.read_line(), b'rest', 'the data is still there')
    _same(await two.read_line(), b'', 'read_line at the end')


@_clause(True)
async def a_cancelled_read_loses_nothing(one: Any, two: Any) -> None:
    """Cancelling an awaited read leaves the data to the next one."""
    reading = asyncio.ensure_future(two.read_exactly(10))
    one.write(b'12345')
    while two.readable_length < 5:
        await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    one.write(b'67890')
    _same(await two.read_exactly(10), b'1234567890', 'read')


@_clause(True)
async def an_encoding_decodes_across_cuts(one: Any, two: Any) -> None:
    """After set_encoding chunks are text, and a character is never torn."""
    two.set_encoding('utf8')
    text = 'añ€😀' * 3
    for i in range(len(text.encode())):
        one.write(text.encode()[i : i + 1])
        await asyncio.sleep(0)
    one.end()
    chunks = [chunk async for chunk in two]
    _want(all(isinstance(chunk, str) for chunk in chunks), 'chunks are text')
    _same(''.join(chunks), text, 'read')


@_clause(True)
async def write_after_end_fails(one: Any, two: Any) -> None:
    """A write after end() is ERR_STREAM_WRITE_AFTER_END: callback, 'error', destroyed."""
    trace = Trace(one)
    codes: list[Any] = []
    one.end(b'x')
    one.write(b'y', _code_into(codes))
    await one.wait_closed()
    _same(codes, ['ERR_STREAM_WRITE_AFTER_END'], 'what the callback got')
    _same([args[0].code for args in trace.args('error')], codes, "what 'error' told")
    _same(trace.count('close'), 1, "'close' events")


@_clause(True)
async def destroy_is_final(one: Any, two: Any) -> None:
    """destroy(): no more events but one 'close'; later calls change nothing; writes fail."""
    trace = Trace(one)
    chunks: list[bytes] = []
    one.on('data', chunks.append)
    two.write(b'never seen')
    one.destroy()
    one.destroy(KeyError('too late'))
    _want(one.destroyed, 'destroyed is True at once')
    _same(trace.count('close'), 0, "'close' events inside destroy()")
    codes: list[Any] = []
    one.write(b'x', _code_into(codes))
    await one.wait_closed()
    await _turns()
    _same([name for name in trace.names if name != 'resume'], ['close'], 'events')
    _same(chunks, [], "'data' after destroy()")
    _same(codes, ['ERR_STREAM_DESTROYED'], 'what the callback of a write got')
    _want(not one.readable and not one.writable, 'neither readable nor writable')


@_clause(True)
async def destroy_with_an_error_tells_it_once(one: Any, two: Any) -> None:
    """destroy(error): 'error' with it, then 'close', each once; errored keeps it."""
    trace = Trace(one)
    mine = KeyError('mine')
    one.destroy(mine)
    await one.wait_closed()
    _same(trace.names, ['error', 'close'], 'events')
    _want(trace.args('error')[0][0] is mine and one.errored is mine, 'the error is the one given')


@_clause(True)
async def the_peer_notices_a_destroyed_end(one: Any, two: Any) -> None:
    """A destroyed end is an end or an error for who reads at the other one, not silence."""
    reading = asyncio.ensure_future(_rest(two))
    await _turns()
    one.destroy()
    outcome = (await asyncio.gather(reading, return_exceptions=True))[0]
    _want(outcome == b'' or isinstance(outcome, (OSError, NodeError)), f'reading gave {outcome!r}')


@_clause(True)
async def leaving_a_loop_destroys_the_stream(one: Any, two: Any) -> None:
    """'break' out of ``async for`` destroys; with destroy_on_return=False it does not."""
    one.write(b'first')
    iterator = two.iterator(destroy_on_return=False)
    async for chunk in iterator:
        _want(chunk, 'chunks are not empty')
        break
    await iterator.aclose()
    _want(not two.destroyed, 'it goes on')
    one.write(b'second')
    async for _ in two:
        break
    await two.wait_closed()
    _want(two.destroyed, 'it is destroyed')


@_clause(True)
async def pipe_passes_everything_on(one: Any, two: Any) -> None:
    """pipe() respects backpressure and ends the destination with the source."""
    two.pipe(two)
    data = _pattern(600_000)
    one.end(data)
    _same(await _rest(one), data, 'the echo')
    await two.wait_closed()
