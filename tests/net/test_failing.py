"""One connection fails: what becomes of it, of the others, and of the program (``failing.py``)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import tailrace
from tailrace import Server, Socket, net
from tailrace.framing import FramedStream, Lines
from tailrace.stream import PassThrough, Readable, Transform, compose

from .pairs import dial, listening, place


class BoomError(Exception):
    pass


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Callable[[int], list[logging.LogRecord]]:
    """The package's log records of a level."""
    caplog.set_level(logging.DEBUG, 'tailrace')

    def of(level: int) -> list[logging.LogRecord]:
        return [one for one in caplog.records if one.name == 'tailrace' and one.levelno == level]

    return of


def boom(*_: Any) -> None:
    raise BoomError('by a listener')


async def boom_later(*_: Any) -> None:
    await asyncio.sleep(0)
    raise BoomError('by a coroutine')


async def fails(sock: Socket) -> None:
    raise BoomError('by a handler')


def on(event: str, function: Any, act: Callable[[Socket], object] = Socket.resume) -> Any:
    def handler(sock: Socket) -> None:
        sock.on(event, function)
        act(sock)

    return handler


def write(sock: Socket) -> None:
    sock.write(b'x', boom)


def hurry(sock: Socket) -> None:
    sock.set_timeout(1)


def broken() -> Transform:
    """A stream whose work fails with the first chunk."""
    return Transform(transform=boom)


def into(*streams: Callable[[], Any]) -> Any:
    """Pipe the connection into the first, that into the next, the last back."""

    def handler(sock: Socket) -> None:
        last: Any = sock
        for one in streams:
            last = last.pipe(one())
        last.pipe(sock)

    return handler


def into_backwards(sock: Socket) -> None:
    first, second = PassThrough(), broken()
    first.pipe(second)
    sock.pipe(first)
    sock.allow_half_open = False


def into_and_out(sock: Socket) -> None:
    """It fails when it is not piped into any more: while it is flushed."""
    sock.pipe(Transform(transform=_take, flush=boom)).resume()


def _take(chunk: Any, encoding: str, done: Any) -> None:
    done()


def out_of(*streams: Callable[[], Any]) -> Any:
    """Pipe something that fails into the connection, through others."""

    def handler(sock: Socket) -> None:
        source: Any = Readable(read=lambda _: source.destroy(BoomError('of a source')))
        last = source
        for one in streams:
            last = last.pipe(one())
        last.pipe(sock)

    return handler


def framed(sock: Socket) -> None:
    FramedStream(sock, Lines()).pipe(Transform(object_mode=True, transform=boom)).resume()


def listened_to(sock: Socket) -> None:
    sock.pipe(PassThrough(high_water_mark=1)).on('data', boom)


def listened_to_later(sock: Socket) -> None:
    through = PassThrough()
    sock.pipe(through)
    through.on('end', boom).resume()


#: Whatever a program may do for a connection that raises, and what the peer does.
WAYS: dict[str, Any] = {
    'coroutine handler': fails,
    'handler': boom,
    "'data' listener": on('data', boom),
    "'data' coroutine": on('data', boom_later),
    "'readable' listener": on('readable', boom, lambda sock: sock),
    "'end' listener": on('end', boom),
    "'end' coroutine": on('end', boom_later),
    "'close' listener": on('close', boom),
    "'close' coroutine": on('close', boom_later),
    "'error' listener": on('error', boom, lambda sock: sock.destroy(OSError('mine'))),
    "'error' coroutine": on('error', boom_later, lambda sock: sock.destroy(OSError('mine'))),
    "'timeout' listener": on('timeout', boom, hurry),
    "'finish' listener": on('finish', boom, Socket.end),
    'write callback': write,
    'end callback': lambda sock: sock.end(b'x', boom),
    'destroyed with an error': lambda sock: sock.destroy(BoomError('nobody listens')),
    "emits 'error'": lambda sock: sock.emit('error', BoomError('nobody listens')),
    "emits an 'error' that is none": lambda sock: sock.emit('error', 7),
    'piped into': into(broken),
    'piped into, far away': into(PassThrough, PassThrough, broken),
    'piped into, the other way round': into_backwards,
    'piped into, at its end': into_and_out,
    'piped into, composed': into(lambda: compose(PassThrough(), broken())),
    'piped out of': out_of(),
    'piped out of, far away': out_of(PassThrough, PassThrough),
    'piped out of, framed': framed,
    "'data' of what it is piped into": listened_to,
    "'end' of what it is piped into": listened_to_later,
}


async def ask(port: int, data: bytes = b'x') -> bytes:
    """What a plain client is answered until the end."""
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    try:
        writer.write(data)
        writer.write_eof()
        return await reader.read()
    except OSError:
        return b'reset'
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@contextmanager
def serving(way: str) -> Iterator[tuple[Server, list[Socket]]]:
    """A server whose first connection fails in some way and whose others are echoed."""
    seen: list[Socket] = []

    def handler(sock: Socket) -> Any:
        seen.append(sock)
        if len(seen) > 1:
            sock.pipe(sock)
            return None
        return WAYS[way](sock)

    async def coroutine(sock: Socket) -> None:
        result = handler(sock)
        if result is not None:
            await result

    yield net.create_server(coroutine if way == 'coroutine handler' else handler), seen


@pytest.mark.parametrize('foreign', [False, True], ids=['run', 'foreign loop'])
@pytest.mark.parametrize('way', WAYS)
def test_a_failing_connection_ends_alone_and_is_logged_once(
    loop_factory: Any, records: Any, way: str, foreign: bool
) -> None:
    async def main() -> None:
        with serving(way) as (server, seen):
            await server.listen(0, '127.0.0.1')
            port = server.address().port
            await ask(port)
            while not records(logging.ERROR) or not seen[0].closed:
                await asyncio.sleep(0)
            assert seen[0].destroyed
            assert await ask(port, b'served') == b'served'
            assert await server.close_all(1000) == 0

    if foreign:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.get_loop().set_exception_handler(lambda *_: pytest.fail('not for the loop'))
            runner.run(main())
    else:
        tailrace.run(main, loop_factory=loop_factory)
    (record,) = records(logging.ERROR)
    assert '127.0.0.1:' in record.getMessage()
    assert isinstance(record.exc_info[1], (BoomError, tailrace.errors.UnhandledError))


@pytest.mark.parametrize('place_of', ['server', 'run'])
def test_on_error_gets_the_error_and_the_socket_instead_of_the_log(
    loop_factory: Any, records: Any, place_of: str
) -> None:
    told: list[Any] = []
    policy: dict[str, Any] = {'on_error': lambda error, sock: told.append((error, sock))}

    async def main() -> None:
        server = net.create_server(fails, **(policy if place_of == 'server' else {}))
        await server.listen(0, '127.0.0.1')
        await ask(server.address().port)
        await server.close_all(1000)

    tailrace.run(main, loop_factory=loop_factory, **(policy if place_of == 'run' else {}))
    ((error, sock),) = told
    assert isinstance(error, BoomError)
    assert sock.destroyed
    assert sock.remote_address == '127.0.0.1'
    assert records(logging.ERROR) == []


@pytest.mark.parametrize('coroutine', [False, True])
def test_what_the_callback_raises_goes_to_the_loop(loop_factory: Any, coroutine: bool) -> None:
    told: list[Any] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: told.append(context['exception'])
        )

        def callback(error: BaseException) -> None:
            raise KeyError('of the callback')

        async def later(error: BaseException) -> None:
            raise KeyError('of the callback')

        server = net.create_server(fails).on_error(later if coroutine else callback)
        await server.listen(0, '127.0.0.1')
        await ask(server.address().port)
        await server.close_all(1000)
        while not told:
            await asyncio.sleep(0)

    tailrace.run(main, loop_factory=loop_factory)
    assert [type(one) for one in told] == [KeyError]


@pytest.mark.parametrize('way', sorted(WAYS.keys() - {"'error' listener", "'error' coroutine"}))
def test_deviation_nodes_rule_is_an_option(loop_factory: Any, records: Any, way: str) -> None:
    async def main() -> None:
        with serving(way) as (server, _):
            server.on_error('raise')
            await server.listen(0, '127.0.0.1')
            await ask(server.address().port)
            await asyncio.Event().wait()

    with pytest.raises((BoomError, tailrace.errors.UnhandledError)):
        tailrace.run(main, loop_factory=loop_factory)
    assert records(logging.ERROR) == []


def test_nodes_rule_for_the_whole_program(loop_factory: Any) -> None:
    async def main() -> None:
        server = await net.create_server(fails).listen(0, '127.0.0.1')
        await ask(server.address().port)
        await asyncio.Event().wait()

    with pytest.raises(BoomError):
        tailrace.run(main, loop_factory=loop_factory, on_error='raise')


@pytest.mark.parametrize('handler', [False, True])
def test_gen12_a_listener_of_a_program_without_main_follows_node(
    loop_factory: Any, records: Any, handler: bool
) -> None:
    """As recorded; a server that was given its handler is isolated there too."""
    server = net.create_server(boom) if handler else net.create_server().on('connection', boom)

    def connect() -> None:
        client = net.connect(server.address().port, '127.0.0.1')
        client.resume()
        client.on('close', lambda: server.close())

    server.listen(0, '127.0.0.1', connect)
    if handler:
        tailrace.run(loop_factory=loop_factory)
        assert len(records(logging.ERROR)) == 1
    else:
        with pytest.raises(BoomError):
            tailrace.run(loop_factory=loop_factory)


@pytest.mark.parametrize('foreign', [False, True])
def test_a_listener_added_with_on_is_isolated_under_main(
    loop_factory: Any, records: Any, foreign: bool
) -> None:
    async def main() -> None:
        server = net.create_server().on('connection', boom)
        await server.listen(0, '127.0.0.1')
        await ask(server.address().port)
        await server.close_all(1000)

    if foreign:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(main())
    else:
        tailrace.run(main, loop_factory=loop_factory)
    assert len(records(logging.ERROR)) == 1


def test_sockets_that_the_program_connects_keep_nodes_rule(loop_factory: Any) -> None:
    async def main() -> None:
        async with listening('tcp', lambda sock: sock.resume()) as server:
            client = await dial(server)
            client.destroy(BoomError('nobody listens'))
            await asyncio.Event().wait()

    with pytest.raises(BoomError):
        tailrace.run(main, loop_factory=loop_factory)


def test_an_accepted_socket_that_connects_elsewhere_is_the_programs_own(loop_factory: Any) -> None:
    async def main() -> None:
        async with listening() as server:
            taken: list[Socket] = []
            server.on('connection', taken.append)
            client = await dial(server)
            while not taken:
                await asyncio.sleep(0)
            taken[0].destroy()
            await taken[0].wait_closed()
            await taken[0].connect(place(server))
            client.destroy()
            taken[0].destroy(BoomError('nobody listens'))
            await asyncio.Event().wait()

    with pytest.raises(BoomError):
        tailrace.run(main, loop_factory=loop_factory)


def reset(raw: socket.socket) -> None:
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    raw.close()


async def read_exactly(sock: Socket) -> None:
    await sock.read_exactly(100)


async def answer_much(sock: Socket) -> None:
    sock.resume()
    for _ in range(100):
        sock.write(b'x' * 100_000)
        await sock.drain()


async def two_tasks(sock: Socket) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(read_exactly(sock))
        group.create_task(sock.wait_closed())


def flowing(sock: Socket) -> None:
    sock.resume()


@pytest.mark.parametrize('ending', ['reset', 'fin', 'close'])
@pytest.mark.parametrize('handler', [read_exactly, answer_much, two_tasks, flowing])
def test_an_ending_by_the_peer_is_no_failure(
    run: Any, records: Any, handler: Any, ending: str
) -> None:
    told: list[Any] = []

    async def main() -> None:
        async with listening('tcp', handler, on_error=lambda error: told.append(error)) as server:
            raw = socket.create_connection(('127.0.0.1', server.address().port))
            raw.sendall(b'abc')
            while not await server.get_connections():
                await asyncio.sleep(0)
            if ending == 'reset':
                reset(raw)
            elif ending == 'fin':
                raw.shutdown(socket.SHUT_WR)
                raw.settimeout(0)
                while await server.get_connections():
                    try:
                        raw.recv(1 << 20)
                    except OSError:
                        pass  # nothing there yet
                    await asyncio.sleep(0)
                raw.close()
            else:
                raw.close()
            while await server.get_connections():
                await asyncio.sleep(0)

    run(main)
    assert told == []
    assert records(logging.ERROR) == []


def test_the_error_of_another_connection_is_a_failure(run: Any, records: Any) -> None:
    """A proxy whose upstream resets: the same code, but not this connection's peer."""
    caught: list[Any] = []

    async def main() -> None:
        async with listening('tcp', lambda sock: sock.reset_and_destroy()) as upstream:

            async def proxy(sock: Socket) -> None:
                async with await dial(upstream) as other:
                    await other.read_exactly(1)

            async with listening('tcp', proxy, on_error=lambda e: caught.append(e)) as server:
                await ask(server.address().port)

    run(main)
    assert [error.code for error in caught] == ['ECONNRESET']


@pytest.mark.parametrize('error', [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize('coroutine', [False, True])
def test_interrupts_propagate(loop_factory: Any, error: Any, coroutine: bool) -> None:
    def handler(sock: Socket) -> None:
        raise error

    async def later(sock: Socket) -> None:
        raise error

    async def main() -> None:
        server = await net.create_server(later if coroutine else handler).listen(0, '127.0.0.1')
        client = await dial(server)
        await client.wait_closed()
        await asyncio.Event().wait()

    with pytest.raises(error):
        tailrace.run(main, loop_factory=loop_factory)


def test_a_handler_that_has_its_own_error_listener_hears_it_there(run: Any) -> None:
    told: list[Any] = []

    async def handler(sock: Socket) -> None:
        sock.on('error', told.append)
        raise BoomError

    async def main() -> None:
        async with listening('tcp', handler) as server:
            await ask(server.address().port)

    run(main)
    assert [type(error) for error in told] == [BoomError]


@pytest.mark.parametrize(
    ('value', 'code'),
    [('never', 'ERR_INVALID_ARG_VALUE'), (1, 'ERR_INVALID_ARG_TYPE'), ([], 'ERR_INVALID_ARG_TYPE')],
)
def test_a_policy_that_is_none_is_refused(value: Any, code: str) -> None:
    async def main() -> None:
        pytest.fail('not run')

    for call in (
        lambda: net.create_server(on_error=value),
        lambda: net.create_server({'onError': value}),
        lambda: net.create_server().on_error(value),
        lambda: tailrace.run(main, on_error=value),
        lambda: tailrace.run(main(), on_error=value),
    ):
        with pytest.raises(tailrace.errors.NodeError) as caught:
            call()
        assert caught.value.code == code


def test_a_drop_listener_that_raises_ends_nothing(run: Any) -> None:
    told: list[Any] = []

    async def main() -> None:
        async with listening('tcp', max_connections=0) as server:
            server.on('drop', boom).on_error(lambda error, sock: told.append((error, sock)))
            assert await ask(server.address().port) in (b'', b'reset')
            assert await ask(server.address().port) in (b'', b'reset')

    run(main)
    assert [(type(error), sock) for error, sock in told] == [(BoomError, None)] * 2


def test_a_dropped_connection_that_was_reset_has_all_fields(run: Any) -> None:
    """The kernel names no peer any more; a listener that asks for it must not fail."""
    dropped: list[Any] = []

    async def main() -> None:
        async with listening('tcp', max_connections=0) as server:
            server.on('drop', dropped.append)
            raw = socket.create_connection(('127.0.0.1', server.address().port))
            reset(raw)
            while not dropped:
                await asyncio.sleep(0)

    run(main)
    assert dropped[0].remote_address in (None, '127.0.0.1')
    assert dropped[0].local_address == '127.0.0.1'


def _blamed(server: Server) -> list[Any]:
    told: list[Any] = []
    server.on_error(lambda error, sock: told.append((type(error), sock)))
    return told


def test_what_several_connections_are_piped_into_is_the_programs_own(loop_factory: Any) -> None:
    """Its failure is no failure of one of them: an 'error' that is unhandled, as ever."""
    shared = PassThrough()
    seen: list[Socket] = []

    def handler(sock: Socket) -> None:
        seen.append(sock)
        sock.pipe(shared, end=False)

    async def main() -> None:
        server = net.create_server(handler)
        told = _blamed(server)
        await server.listen(0, '127.0.0.1')
        clients = [await net.connect(server.address().port, '127.0.0.1') for _ in range(2)]
        while len(seen) < 2:
            await asyncio.sleep(0)
        shared.destroy(BoomError('of both'))
        try:
            await asyncio.Event().wait()
        finally:
            assert told == []
            for one in (*clients, *seen):
                one.destroy()
            server.close()

    with pytest.raises(BoomError):
        tailrace.run(main, loop_factory=loop_factory)


def test_what_feeds_several_connections_is_the_programs_own(loop_factory: Any) -> None:
    source = Readable(read=lambda _: None)
    seen: list[Socket] = []

    def handler(sock: Socket) -> None:
        seen.append(sock)
        source.pipe(sock)

    async def main() -> None:
        server = net.create_server(handler)
        told = _blamed(server)
        await server.listen(0, '127.0.0.1')
        clients = [await net.connect(server.address().port, '127.0.0.1') for _ in range(2)]
        while len(seen) < 2:
            await asyncio.sleep(0)
        source.destroy(BoomError('of both'))
        try:
            await asyncio.Event().wait()
        finally:
            assert told == []
            for one in (*clients, *seen):
                one.destroy()
            server.close()

    with pytest.raises(BoomError):
        tailrace.run(main, loop_factory=loop_factory)


def test_a_connection_of_the_program_keeps_nodes_rule_in_a_pipe(loop_factory: Any) -> None:
    """It is the program that chose whom to connect to; a pipe from a client does not change it."""

    async def main() -> None:
        server = net.create_server(lambda sock: sock.pipe(net.connect(1, '127.0.0.1')))
        told = _blamed(server)
        await server.listen(0, '127.0.0.1')
        client = await net.connect(server.address().port, '127.0.0.1')
        try:
            await asyncio.Event().wait()
        finally:
            assert told == []
            client.destroy()
            for sock in list(server._sockets):
                sock.destroy()
            server.close()

    with pytest.raises(ConnectionRefusedError):
        tailrace.run(main, loop_factory=loop_factory)


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError('no words')

    __repr__ = __str__


def test_an_exception_without_words_is_logged_all_the_same(loop_factory: Any, records: Any) -> None:
    async def handler(sock: Socket) -> None:
        raise UnspeakableError

    async def main() -> None:
        server = await net.create_server(handler).listen(0, '127.0.0.1')
        assert await ask(server.address().port) in (b'', b'reset')
        await server.close_all(1000)

    tailrace.run(main, loop_factory=loop_factory)
    (record,) = records(logging.ERROR)
    assert 'UnspeakableError: (its text raised RuntimeError)' in record.getMessage()
