"""Codecs as streams: pipes, pipelines, loops, and messages over every kind of socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

import tailrace
from tailrace import errors, net
from tailrace.framing import (
    Codec,
    Delimiter,
    FrameDecoder,
    FramedStream,
    FrameEncoder,
    JsonLines,
    LengthPrefixed,
    Lines,
    Netstrings,
)
from tailrace.stream import Readable, promises
from tailrace.testing import Faults, memory_pair, socket_pair

from ..net.pairs import KINDS, connected


class Numbers:
    """A codec of a user: numbers of two bytes."""

    def encode(self, frame: int, /) -> bytes:
        return frame.to_bytes(2, 'big')

    def decoder(self) -> NumberDecoder:
        return NumberDecoder()


class NumberDecoder:
    def __init__(self) -> None:
        self.left = b''

    def feed(self, data: bytes, /) -> Iterable[int]:
        data = self.left + data
        whole = len(data) // 2 * 2
        self.left = data[whole:]
        return [int.from_bytes(data[at : at + 2], 'big') for at in range(0, whole, 2)]

    def finish(self) -> Iterable[int]:
        if self.left:
            raise ValueError('half a number')
        return ()


def test_a_pipe_gives_frames(run: Any) -> None:
    async def main() -> None:
        source = Readable.from_([b'one\ntw', b'o\n', 'thrée'])
        frames: list[Any] = []
        decoder = source.pipe(FrameDecoder(Lines(encoding='utf8')))
        decoder.on('data', frames.append)
        await tailrace.once(decoder, 'end')
        assert frames == ['one', 'two', 'thrée']

    run(main)


def test_a_pipeline_there_and_back(run: Any) -> None:
    async def main() -> None:
        async def doubled(frames: AsyncIterator[Any]) -> AsyncIterator[Any]:
            async for frame in frames:
                yield frame * 2

        out: list[bytes] = []
        sink = tailrace.Writable(write=lambda chunk, enc, done: (out.append(chunk), done(None)))
        await promises.pipeline(
            Readable.from_([b'2:ab,', b'1:c', b',']),
            FrameDecoder(Netstrings()),
            doubled,
            FrameEncoder(LengthPrefixed(2)),
            sink,
        )
        assert b''.join(out) == b'\0\4abab\0\2cc'

    run(main)


def test_a_codec_of_a_user(run: Any) -> None:
    async def main() -> None:
        assert isinstance(Numbers(), Codec)
        client, server = socket_pair(Faults(split=1))
        there, here = FramedStream(client, Numbers()), FramedStream(server, Numbers())
        there.write(1)
        there.end(65535)
        assert [number async for number in here] == [1, 65535]
        here.end()
        assert [number async for number in there] == []
        await asyncio.gather(there.wait_closed(), here.wait_closed())
        assert client.closed
        assert server.closed

    run(main)


def test_frames_before_a_bad_one_are_given(run: Any) -> None:
    async def main() -> None:
        decoder = FrameDecoder(Lines(limit=3))
        decoder.end(b'one\ntwo\nthree\n')
        seen: list[Any] = []

        async def read() -> None:
            async for frame in decoder:
                seen.append(frame)

        with pytest.raises(errors.FrameTooLargeError) as caught:
            await read()
        assert caught.value.limit == 3
        assert decoder.destroyed
        flowing = FrameDecoder(Lines(limit=3))
        flowing.on('data', seen.append)
        flowing.on('error', lambda error: seen.append(error.code))
        flowing.end(b'one\ntwo\nthree\n')
        await flowing.wait_closed()
        assert seen[-3:] == [b'one', b'two', 'ERR_FRAME_TOO_LARGE']

    run(main)


def test_an_empty_frame_is_a_frame(run: Any) -> None:
    async def main() -> None:
        decoder = FrameDecoder(LengthPrefixed(1))
        decoder.end(b'\0\1a\0')
        assert [frame async for frame in decoder] == [b'', b'a', b'']

    run(main)


def test_null_is_told(run: Any) -> None:
    async def main() -> None:
        decoder = FrameDecoder(JsonLines())
        decoder.end('[null]\nnull\n')
        with pytest.raises(errors.StreamNullValuesError):
            _ = [frame async for frame in decoder]

    run(main)


def test_torn_at_the_end(run: Any) -> None:
    async def main() -> None:
        decoder = FrameDecoder(Delimiter(b'\0'))
        decoder.end(b'a\0b')
        with pytest.raises(EOFError) as caught:
            _ = [frame async for frame in decoder]
        assert getattr(caught.value, 'partial', None) == b'b'

    run(main)


def test_an_encoder_refuses(run: Any) -> None:
    async def main() -> None:
        encoder = FrameEncoder(Lines())
        failed = asyncio.ensure_future(encoder.wait_closed())
        codes: list[Any] = []
        encoder.on('error', lambda error: codes.append(error.code))
        encoder.write('a\nb')
        await failed
        assert codes == ['ERR_FRAME_INVALID']

    run(main)


@pytest.mark.parametrize(
    'make',
    [
        lambda: FrameDecoder(None),  # type: ignore[arg-type]
        lambda: FrameDecoder(Lines),  # type: ignore[arg-type]
        lambda: FrameEncoder(object()),  # type: ignore[arg-type]
        lambda: FramedStream(Readable(), Lines()),
        lambda: FramedStream(FrameDecoder(Lines()), Lines()),
        lambda: FramedStream(memory_pair()[0], 'lines'),  # type: ignore[arg-type]
        lambda: FramedStream(memory_pair()[0].set_encoding(), Lines()),
    ],
)
def test_wrong_arguments(run: Any, make: Any) -> None:
    async def main() -> None:
        with pytest.raises(errors.InvalidArgTypeError):
            make()

    run(main)


def test_options_and_names(run: Any) -> None:
    async def main() -> None:
        decoder = FrameDecoder(Lines(), {'readableHighWaterMark': 3})
        assert decoder.readable_high_water_mark == 3
        assert decoder.readable_object_mode
        assert not decoder.writable_object_mode
        assert decoder.codec == Lines()
        with pytest.raises(TypeError, match='high_water_mark'):
            FrameEncoder(Lines(), high_watermark=3)

    run(main)


@pytest.mark.parametrize('kind', KINDS)
def test_messages_over_sockets(run: Any, kind: str) -> None:
    async def main() -> None:
        async with connected(kind, allow_half_open=True) as (client, accepted):
            there, here = FramedStream(client, JsonLines()), FramedStream(accepted, JsonLines())
            assert there.stream is client
            sent = [{'n': n, 'text': 'ä' * n} for n in range(300)]

            async def send() -> None:
                for message in sent:
                    if not there.write(message):
                        await there.drain()
                there.end()

            async def echo() -> None:
                async for message in here:
                    if not here.write(message):
                        await here.drain()
                here.end()

            async with asyncio.TaskGroup() as group:
                group.create_task(send())
                group.create_task(echo())
                assert [message async for message in there] == sent
            await asyncio.gather(there.wait_closed(), here.wait_closed())

    run(main)


def test_who_does_not_read_holds_the_sender_back(run: Any, settle: Any) -> None:
    async def main() -> None:
        client, server = socket_pair(Faults(capacity=64))
        here = FramedStream(server, Lines())
        written = 0
        while client.write(b'0123456789\n' * 10):
            written += 1
        await settle()
        held = here.readable_length
        assert server.is_paused()
        assert client.writable_length > 0
        await settle()
        assert here.readable_length == held
        taken = 0
        client.end()
        async for line in here:
            assert line == b'0123456789'
            taken += 1
        assert taken == (written + 1) * 10
        await here.wait_closed()

    run(main)


def test_the_writer_is_held_back(run: Any, settle: Any) -> None:
    async def main() -> None:
        client, server = socket_pair(Faults(capacity=65536))
        there = FramedStream(client, LengthPrefixed(limit=None), writable_high_water_mark=2)
        assert there.write(bytes(500_000))
        assert not there.write(bytes(500_000 - 8))
        drained = asyncio.ensure_future(there.drain())
        await settle()
        assert not drained.done()
        server.resume()
        await drained
        there.resume().end()
        await asyncio.gather(there.wait_closed(), server.wait_closed())
        assert server.bytes_read == 1_000_000

    run(main)


@pytest.mark.parametrize('half_open', [False, True])
def test_the_end_of_the_peer(run: Any, half_open: bool) -> None:
    async def main() -> None:
        client, server = socket_pair(allow_half_open=half_open)
        here = FramedStream(server, Lines())
        client.end('last')
        assert [line async for line in here] == [b'last']
        assert here.writable == half_open
        if half_open:
            here.end('answer')
        client.resume()
        await here.wait_closed()
        await client.wait_closed()

    run(main)


@pytest.mark.parametrize('how', ['reset', 'destroy', 'cut'])
def test_a_connection_that_breaks(run: Any, how: str) -> None:
    async def main() -> None:
        client, server = socket_pair()
        client.on('error', lambda error: None)
        here = FramedStream(server, Lines())
        client.write('one\ntw')
        seen = []

        async def read() -> None:
            async for line in here:
                seen.append(line)
                if how == 'reset':
                    client.reset_and_destroy()
                elif how == 'destroy':
                    server.destroy()
                else:
                    here.write('x' * 70000)

        with pytest.raises(errors.NodeError) as caught:
            await read()
        assert seen == [b'one']
        assert (
            caught.value.code
            == {
                'reset': 'ECONNRESET',
                'destroy': 'ERR_STREAM_PREMATURE_CLOSE',
                'cut': 'ERR_FRAME_TOO_LARGE',
            }[how]
        )
        await here.wait_closed()
        assert server.destroyed
        client.destroy()

    run(main)


def test_destroying_takes_the_socket_with_it(run: Any) -> None:
    async def main() -> None:
        client, server = socket_pair()
        client.on('error', lambda error: None).resume()
        here = FramedStream(server, Lines())
        async with here:
            here.write('hello')
        assert server.closed
        with pytest.raises(errors.NodeError) as caught:
            FramedStream(server, Lines())
        assert caught.value.code == 'ERR_STREAM_DESTROYED'
        client.destroy()

    run(main)


def test_a_break_destroys_both(run: Any) -> None:
    async def main() -> None:
        client, server = socket_pair()
        client.on('error', lambda error: None)
        client.write('one\ntwo\n')
        here = FramedStream(server, Lines())
        async for line in here:
            assert line == b'one'
            break
        await here.wait_closed()
        assert server.destroyed
        client.destroy()

    run(main)


def test_an_unheard_failure_of_a_served_connection_is_that_ones(run: Any) -> None:
    async def main() -> None:
        failures: list[str] = []
        made: list[FramedStream] = []

        @net.create_server
        def server(sock: net.Socket) -> None:
            messages = FramedStream(sock, JsonLines())
            messages.on('data', lambda message: messages.write(message['n']))
            made.append(messages)

        server.on_error(lambda error, sock: failures.append(type(error).__name__))
        await server.listen(0, '127.0.0.1')
        port = server.address()['port']
        for bad in ('no json\n', '[]\n'):
            client = await net.connect(port, '127.0.0.1')
            client.on('error', lambda error: None)
            client.write(bad)
            assert await client.read_line() == b''
            await client.wait_closed()
        client = await net.connect(port, '127.0.0.1')
        client.write('{"n": 5}\n')
        assert await client.read_line() == b'5\n'
        client.end()
        await client.wait_closed()
        await server.close_all(0)
        assert all(one.destroyed for one in made)
        assert failures == ['FrameError', 'TypeError']

    run(main)


def _both(here: Any) -> None:
    here.stream.destroy()
    here.destroy()


def _both_later(here: Any) -> None:
    here.stream.destroy()
    tailrace.next_tick(here.destroy)


def _as_it_is_told(here: Any) -> None:
    here.stream.once('end', here.destroy)
    here.stream.resume()
    here.end()


@pytest.mark.parametrize(
    'act',
    [
        lambda here: here.destroy(),
        lambda here: here.destroy(ValueError('mine')),
        lambda here: here.stream.destroy(),
        lambda here: here.stream.destroy(ValueError('from below')),
        _both,
        _both_later,
        lambda here: (here.destroy(), here.stream.destroy()),
        lambda here: here.end(b'bye'),
        _as_it_is_told,
        lambda here: here.stream.destroy_soon(),
    ],
)
@pytest.mark.parametrize('kind', KINDS)
def test_close_comes_after_that_of_the_stream_below(run: Any, kind: str, act: Any) -> None:
    """Whoever ends which first: both close once, the stream of messages last."""

    async def main() -> None:
        async with connected(kind) as (client, server):
            here = FramedStream(server, Lines())
            order: list[str] = []
            server.on('close', lambda: order.append('below'))
            here.on('close', lambda: order.append('messages'))
            here.on('error', lambda error: None).resume()
            client.on('error', lambda error: None).resume().end()
            act(here)
            await here.wait_closed()
            await server.wait_closed()
            assert order == ['below', 'messages']

    run(main)
