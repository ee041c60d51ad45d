"""Socket: making one, what it says of itself, ending it (rows SK)."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
import warnings
import weakref
from typing import Any

import pytest

from tailrace import AbortController, net
from tailrace.errors import AbortError, NodeError
from tailrace.stream import Duplex, Readable, Writable

from .connected import Pair, gone
from .serving import Heard, server_on, started, stopped, turns

RESET = struct.pack('ii', 1, 0)


def code_of(call: Any, *args: Any, **options: Any) -> str:
    """The code of the error that a call raises."""
    with pytest.raises(NodeError) as caught:
        call(*args, **options)
    return caught.value.code


def quiet_server() -> tuple[Any, Heard]:
    """A server whose sockets may fail."""
    server, served = server_on()
    server.on('connection', lambda sock: sock.on('error', lambda error: None))
    return server, served


def test_sk01_st01_what_a_socket_is() -> None:
    sock = net.Socket()
    assert isinstance(sock, Duplex)
    assert all(issubclass(net.Socket, one) for one in (Duplex,))
    assert isinstance(sock, Readable)
    assert isinstance(sock, Writable)


def test_sk02_sk04_fd_is_owned(run: Any) -> None:
    async def main() -> None:
        for make in (lambda fd: net.Socket(fd), lambda fd: net.Socket(fd=fd)):
            near, far = socket.socketpair()
            with far:
                sock = make(near.detach())
                heard = Heard(sock, 'data', 'end', 'close')
                far.sendall(b'in')
                assert await heard.until('data') == b'in'
                sock.write(b'out')
                assert far.recv(10) == b'out'
                await gone(sock)
                assert far.recv(1) == b''

    run(main)


@pytest.mark.parametrize(
    ('fd', 'code'),
    [
        ('x', 'ERR_INVALID_ARG_TYPE'),
        (-1, 'ERR_OUT_OF_RANGE'),
        (1.5, 'ERR_OUT_OF_RANGE'),
    ],
)
def test_sk04_bad_fd(fd: Any, code: str) -> None:
    assert code_of(net.Socket, fd=fd) == code


def test_sk04_a_file_stays_the_callers(run: Any, tmp_path: Any) -> None:
    async def main() -> None:
        with (tmp_path / 'file').open('wb') as file:
            assert code_of(net.Socket, fd=file.fileno()) == 'ERR_INVALID_FD_TYPE'
            file.write(b'still open')

    run(main)


def test_sk05_sk06_am26_sides_of_an_fd(run: Any) -> None:
    async def main() -> None:
        for name, state in (('readable', 'writeOnly'), ('writable', 'readOnly'), ('', 'open')):
            near, far = socket.socketpair()
            with far:
                sock = net.Socket(fd=near.detach(), **({name: False} if name else {}))
                assert sock.ready_state == state
                await gone(sock)

    run(main)


@pytest.mark.parametrize(
    ('sides', 'state'),
    [
        ({'readable': False}, 'writeOnly'),
        ({'writable': False}, 'readOnly'),
        ({'readable': False, 'writable': False}, 'closed'),
        ({'readable': 0, 'writable': None}, 'open'),
    ],
)
def test_am62_a_side_that_is_left_out_is_left_out_without_fd_too(sides: Any, state: str) -> None:
    sock = net.Socket(sides)
    assert sock.ready_state == state
    assert (sock.readable, sock.writable) == (
        sides.get('readable') is not False,
        sides.get('writable') is not False,
    )


def test_sk07_sk08_ex04_onread_reuses_one_buffer(run: Any, pair: Pair) -> None:
    async def main() -> None:
        buffer = bytearray(4096)
        got: list[tuple[int, bytes]] = []
        full = asyncio.Event()

        def on_read(count: int, into: Any) -> None:
            assert into is buffer
            got.append((count, bytes(into[:count])))
            if sum(count for count, _ in got) == 5000:
                full.set()

        async with pair(onread={'buffer': buffer, 'callback': on_read}) as (client, accepted):
            silent = Heard(client, 'data', 'readable')
            accepted.write(b'x' * 5000)
            await full.wait()
            assert b''.join(data for _, data in got) == b'x' * 5000
            assert max(count for count, _ in got) <= 4096
            ended = Heard(client, 'end')
            accepted.end()
            await ended.until('end')
            assert silent == [] or silent.names == ['readable']

    run(main)


def test_sk09_am27_onread_false_pauses(run: Any, pair: Pair) -> None:
    async def main() -> None:
        got: list[bytes] = []
        called = asyncio.Event()

        def on_read(count: int, into: Any) -> bool:
            got.append(bytes(into[:count]))
            called.set()
            return False

        options = {'buffer': lambda: bytearray(2), 'callback': on_read}
        async with pair(onread=options) as (client, accepted):
            heard = Heard(client, 'pause')
            accepted.write(b'abcd')
            await called.wait()
            await turns()
            assert got == [b'ab']
            assert client.is_paused()
            assert heard.names == ['pause']
            called.clear()
            client.resume()
            await called.wait()
            assert got == [b'ab', b'cd']

    run(main)


def test_sk07_incomplete_onread_is_ignored() -> None:
    for onread in (
        {},
        {'buffer': bytearray(1)},
        {'callback': print},
        5,
        {'buffer': 1, 'callback': print},
    ):
        assert net.Socket(onread=onread)._onread is None


def test_sk10_ab04_signal(run: Any, pair: Pair) -> None:
    async def main() -> None:
        controller = AbortController()
        async with pair(signal=controller.signal) as (client, _):
            heard = Heard(client, 'error', 'close')
            controller.abort('why')
            error = await heard.until('error')
            assert await heard.until('close') is True
            assert isinstance(error, AbortError)
            assert error.code == 'ABORT_ERR'
            assert error.cause == 'why'

    run(main)


def test_sk10_am29_aborted_already(run: Any) -> None:
    async def main() -> None:
        controller = AbortController()
        controller.abort()
        server, served = server_on()
        port = await started(server)
        sock = net.connect(port=port, host='127.0.0.1', signal=controller.signal)
        assert sock.destroyed
        heard = Heard(sock, 'error', 'close', 'connect')
        await heard.until('close')
        assert heard.names == ['error', 'close']
        await stopped(server)
        assert 'connection' not in served.names

    run(main)


def test_sk10_wrong_signal() -> None:
    assert code_of(net.Socket, signal='x') == 'ERR_INVALID_ARG_TYPE'


def test_sk11_st30_marks_and_object_mode() -> None:
    sock = net.Socket(high_water_mark=7)
    assert (sock.readable_high_water_mark, sock.writable_high_water_mark) == (7, 7)
    for name in ('object_mode', 'readableObjectMode', 'writable_object_mode'):
        assert code_of(net.Socket, {name: True}) == 'ERR_INVALID_ARG_VALUE'
    for bad in (-1, 1.5, 'x', True, float('nan')):
        assert code_of(net.Socket, {'highWaterMark': bad}) == 'ERR_INVALID_ARG_VALUE'


def test_sk12_sk39_sk40_sk41_am41_options_on_the_wire(run: Any, tcp_pair: Pair) -> None:
    def value(sock: Any, level: int, name: int) -> int:
        near = socket.socket(fileno=sock._handle.fd)
        try:
            return near.getsockopt(level, name)
        finally:
            near.detach()

    async def main() -> None:
        options = {'noDelay': True, 'keepAlive': True, 'keepAliveInitialDelay': 7900}
        async with tcp_pair(**options) as (client, accepted):
            assert value(client, socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert value(client, socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert value(client, socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 7
            assert value(client, socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 1
            assert value(client, socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 10
            assert client.set_no_delay(False) is client
            assert not value(client, socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert client.set_keep_alive(False) is client
            assert not value(client, socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert value(accepted, socket.IPPROTO_TCP, socket.TCP_NODELAY)
            accepted.set_no_delay(False)
            assert not value(accepted, socket.IPPROTO_TCP, socket.TCP_NODELAY)

    run(main)


def test_bx02_bx03_type_of_service_and_probes(run: Any, tcp_pair: Pair) -> None:
    async def main() -> None:
        async with tcp_pair(type_of_service=16) as (client, _):
            assert client.get_type_of_service() == 16
            assert client.set_type_of_service(32) is client
            assert client.get_type_of_service() == 32
            client.set_keep_alive(True, 2000, 3000, 4)
            near = socket.socket(fileno=client._handle.fd)
            found = [
                near.getsockopt(socket.IPPROTO_TCP, name)
                for name in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            ]
            near.detach()
            assert found == [2, 3, 4]

    run(main)
    sock = net.Socket()
    assert sock.get_type_of_service() == 0
    assert code_of(sock.set_type_of_service, 256) == 'ERR_OUT_OF_RANGE'
    assert code_of(sock.set_type_of_service, 'x') == 'ERR_INVALID_ARG_TYPE'
    assert code_of(sock.set_keep_alive, True, 0, 0, 0) == 'ERR_OUT_OF_RANGE'


def test_sk13_sk24_to_sk26_sk30_to_sk32_names(run: Any, tcp_pair: Pair) -> None:
    async def main() -> None:
        async with tcp_pair() as (client, accepted):
            assert client.address() == {
                'address': '127.0.0.1',
                'family': 'IPv4',
                'port': client.local_port,
            }
            assert (client.local_address, client.local_family) == ('127.0.0.1', 'IPv4')
            assert (client.remote_address, client.remote_family) == ('127.0.0.1', 'IPv4')
            assert client.local_port == accepted.remote_port
            assert client.remote_port == accepted.local_port
            client.destroy()
            assert client.address() == {}
            assert client.local_address is None
            assert client.local_port is None
        for name in ('local_address', 'local_port', 'local_family', 'remote_address'):
            assert getattr(net.Socket(), name) is None

    run(main)


def test_sk13_a_unix_socket_has_no_names(run: Any, unix_pair: Pair) -> None:
    async def main() -> None:
        async with unix_pair() as (client, accepted):
            for sock in (client, accepted):
                assert sock.address() == {}
                assert sock.local_address is None
                assert sock.remote_address is None
                assert sock.remote_family is None
                assert sock.remote_port is None

    run(main)


def test_sk15_am36_gen18_buffer_size_is_deprecated(run: Any, pair: Pair) -> None:
    async def main() -> None:
        async with pair() as (client, accepted):
            accepted.pause()
            client.write(b'x' * 16_000_000)
            with pytest.warns(DeprecationWarning, match='writable_length'):
                size = client.buffer_size
            assert size == client.writable_length > 0

    run(main)


def test_sk16_to_sk18_am37_counting(run: Any, pair: Pair) -> None:
    async def main() -> None:
        async with pair() as (client, accepted):
            assert (client.bytes_read, client.bytes_written) == (0, 0)
            heard = Heard(accepted, 'data')
            client.write('é')
            client.cork()
            client.write('é')
            assert client.bytes_written == 4
            client.uncork()
            while accepted.bytes_read < 4:
                await heard.until('data', len(heard) + 1)
            client.destroy()
            assert client.bytes_written == 4

    run(main)


def test_sk19_sk28_sk51_am38_am39_states(run: Any, pair: Pair) -> None:
    async def main() -> None:
        server, _ = server_on()
        where = await pair.listen(server)
        sock = net.Socket()
        assert (sock.connecting, sock.pending, sock.ready_state) == (False, True, 'open')
        states: list[Any] = []
        sock.on('connect', lambda: states.append((sock.connecting, sock.pending, sock.ready_state)))
        sock.connect(where)
        assert (sock.connecting, sock.pending, sock.ready_state) == (True, True, 'opening')
        await sock
        assert states == [(False, False, 'open')]
        sock.end()
        assert sock.ready_state == 'readOnly'
        sock.destroy()
        assert (sock.pending, sock.ready_state, sock.destroyed) == (True, 'closed', True)
        await sock.wait_closed()
        await stopped(server)

    run(main)


def test_sk20_sk21_st24_destroy_is_idempotent(run: Any, pair: Pair) -> None:
    async def main() -> None:
        async with pair() as (client, _):
            heard = Heard(client, 'error', 'close')
            error = ValueError('mine')
            assert client.destroy(error) is client
            client.destroy(ValueError('late'))
            assert client.destroyed
            await client.wait_closed()
            assert heard == [('error', error), ('close', True)]
            assert client.errored is error

    run(main)


def test_sk22_am56_destroy_soon_writes_everything(run: Any, pair: Pair) -> None:
    async def main() -> None:
        async with pair() as (client, accepted):
            count = 0
            ended = asyncio.Event()

            def on_data(data: bytes) -> None:
                nonlocal count
                count += len(data)

            accepted.on('data', on_data)
            accepted.on('end', ended.set)
            client.write(b'x' * 9_000_000)
            assert client.destroy_soon() is None
            assert not client.destroyed
            await ended.wait()
            assert count == 9_000_000
            await client.wait_closed()

    run(main)


def test_sk23_st16_st17_end_forms(run: Any, pair: Pair) -> None:
    async def main() -> None:
        for args in ((), (b'abc',), ('616263', 'hex')):
            async with pair() as (client, accepted):
                done = Heard()
                got = Heard(accepted, 'data', 'end')
                client.on('finish', done.to('finish'))
                assert client.end(*args, done.to('callback')) is client
                await got.until('end')
                await done.until('finish')
                assert done.names == ['callback', 'finish']
                assert got.all('data') == ([b'abc'] if args else [])

    run(main)


def test_sk33_am43_reset(run: Any, tcp_pair: Pair) -> None:
    async def main() -> None:
        async with tcp_pair() as (client, accepted):
            heard = Heard(accepted, 'error', 'close')
            own = Heard(client, 'error', 'close')
            assert client.reset_and_destroy() is client
            assert (await heard.until('error')).code == 'ECONNRESET'
            await heard.until('close')
            assert own == [('close', False)] or await own.until('close') is False
            assert heard.names == ['error', 'close']

    run(main)


def test_sk33_reset_after_end(run: Any, tcp_pair: Pair) -> None:
    async def main() -> None:
        async with tcp_pair() as (client, accepted):
            accepted.on('error', lambda error: None)
            heard = Heard(client, 'error', 'close')
            client.end(b'x')
            client.reset_and_destroy()
            await heard.until('close')
            assert heard == [('close', False)]
            assert client._handle is None

    run(main)


def test_sk34_reset_while_connecting(run: Any, tcp_pair: Pair) -> None:
    async def main() -> None:
        server, _ = quiet_server()
        sock = net.connect(await tcp_pair.listen(server))
        heard = Heard(sock, 'connect', 'error', 'close')
        sock.reset_and_destroy()
        assert not sock.destroyed
        await heard.until('close')
        assert heard.names == ['connect', 'close']
        await stopped(server)

    run(main)


def test_sk35_reset_of_nothing(run: Any) -> None:
    async def main() -> None:
        sock = net.Socket()
        heard = Heard(sock, 'error', 'close')
        sock.reset_and_destroy()
        assert (await heard.until('error')).code == 'ERR_SOCKET_CLOSED'
        await heard.until('close')
        sock.reset_and_destroy()
        await turns()
        assert heard.names == ['error', 'close']

    run(main)


def test_sk36_reset_of_a_unix_socket(run: Any, unix_pair: Pair) -> None:
    async def main() -> None:
        async with unix_pair() as (client, _):
            assert code_of(client.reset_and_destroy) == 'ERR_INVALID_HANDLE_TYPE'
            assert not client.destroyed

    run(main)


def test_sk27_sk37_st31_pausing_reaches_the_sender(run: Any, pair: Pair) -> None:
    async def main() -> None:
        async with pair() as (client, accepted):
            accepted.pause()
            total = 16_000_000
            assert client.write(b'x' * total) is False
            while accepted.readable_length < accepted.readable_high_water_mark:
                await asyncio.sleep(0)
            await turns(20)
            # The reader stopped at its mark, so the writer's memory holds the rest.
            assert accepted.readable_length < 1_000_000
            assert client.writable_length == total
            seen = 0
            done = asyncio.Event()

            def on_data(data: bytes) -> None:
                nonlocal seen
                seen += len(data)
                if seen == total:
                    done.set()

            accepted.on('data', on_data)
            assert accepted.resume() is accepted
            await done.wait()
            await client.drain()
            assert client.writable_length == 0

    run(main)


def test_sk38_am55_encoding(run: Any, pair: Pair) -> None:
    async def main() -> None:
        async with pair() as (client, accepted):
            assert client.set_encoding() is client
            heard = Heard(client, 'data')
            accepted.write('€'.encode()[:1])
            await turns()
            accepted.write('€'.encode()[1:])
            assert await heard.until('data') == '€'
            assert code_of(client.set_encoding, 'nope') == 'ERR_UNKNOWN_ENCODING'

    run(main)


def test_sk49_gen14_writes_are_snapshots(run: Any, pair: Pair) -> None:
    async def main() -> None:
        async with pair() as (client, accepted):
            got = Heard(accepted, 'data', 'end')
            data = bytearray(b'abc')
            client.cork()
            client.write(data)
            client.write(memoryview(b'def'))
            client.write('6768', 'hex')
            data[:] = b'xyz'
            client.end()
            await got.until('end')
            assert b''.join(got.all('data')) == b'abcdefgh'

    run(main)


def test_sk52_write_without_a_connection(run: Any) -> None:
    async def main() -> None:
        sock = net.Socket()
        heard = Heard(sock, 'error', 'close')
        told = Heard()
        assert not sock.write(b'x', told.to('written'))
        await heard.until('close')
        assert heard.all('error')[0].code == 'ERR_SOCKET_CLOSED'
        assert told[0][1].code == 'ERR_SOCKET_CLOSED'

    run(main)


def test_sk52_held_writes_keep_their_order(run: Any, pair: Pair) -> None:
    async def main() -> None:
        server, served = server_on()
        where = await pair.listen(server)
        sock = net.connect(where)
        sock.write(b'1')
        sock.write('2')
        sock.once('connect', lambda: sock.write(b'4'))
        sock.write(b'3', lambda error: sock.end(b'5'))
        accepted = await served.until('connection')
        got = Heard(accepted, 'data', 'end')
        await got.until('end')
        assert b''.join(got.all('data')) == b'12345'
        await sock.wait_closed()
        await stopped(server)

    run(main)


def test_sk52_destroyed_before_the_connection(run: Any, pair: Pair) -> None:
    async def main() -> None:
        server, _ = quiet_server()
        sock = net.connect(await pair.listen(server))
        told = Heard()
        sock.write(b'x', told.to('one'))
        sock.write(b'y', told.to('two'))
        sock.destroy()
        await sock.wait_closed()
        codes = {name: error.code for name, error in told}
        assert codes == dict.fromkeys(('one', 'two'), 'ERR_SOCKET_CLOSED_BEFORE_CONNECTION')
        await stopped(server)

    run(main)


def test_sk53_write_after_the_peers_end(run: Any, pair: Pair) -> None:
    async def main() -> None:
        async with pair() as (client, accepted):
            heard = Heard(client, 'error')
            told = Heard()

            def ended() -> None:
                client.end()
                assert client.write(b'x', told.to('written')) is False

            client.on('end', ended)
            accepted.end()
            error = await heard.until('error')
            assert error.code == 'EPIPE'
            assert error.syscall is None
            assert await told.until('written') is error

    run(main)


def test_sk54_gen14_bad_chunks(run: Any, pair: Pair) -> None:
    async def main() -> None:
        async with pair() as (client, _):
            assert code_of(client.write, 5) == 'ERR_INVALID_ARG_TYPE'
            assert code_of(client.write, None) == 'ERR_STREAM_NULL_VALUES'
            assert code_of(client.write, 'x', 'nope') == 'ERR_UNKNOWN_ENCODING'
            assert code_of(client.end, {}) == 'ERR_INVALID_ARG_TYPE'
            assert client.writable

    run(main)


def test_sk55_async_with(run: Any, pair: Pair) -> None:
    async def main() -> None:
        async with pair() as (client, _):
            heard = Heard(client, 'error', 'close')
            async with client as same:
                assert same is client
            assert heard.names[-1] == 'close'
            assert isinstance(client.errored, AbortError)

    run(main)


def test_gen16_chaining(run: Any, pair: Pair) -> None:
    async def main() -> None:
        async with pair() as (client, _):
            for name in (
                'ref',
                'unref',
                'pause',
                'resume',
                'set_encoding',
                'set_no_delay',
                'destroy',
            ):
                assert getattr(client, name)() is client

    run(main)


def test_gen13_bx10_coroutine_listener_fails(run: Any, pair: Pair) -> None:
    async def main() -> None:
        async with pair() as (client, accepted):
            heard = Heard(client, 'error', 'close')

            async def on_data(data: bytes) -> None:
                raise ValueError('no')

            client.on('data', on_data)
            accepted.write(b'x')
            assert str(await heard.until('error')) == 'no'
            await heard.until('close')

    run(main)


@pytest.mark.parametrize('event', ['connect', 'ready', 'data', 'end', 'finish', 'close'])
def test_a_listeners_exception_destroys_its_socket(run: Any, pair: Pair, event: str) -> None:
    async def main() -> None:
        server, served = server_on()
        sock = net.connect(await pair.listen(server))

        def listener() -> None:
            raise ValueError(event)

        sock.on('data', lambda data: sock.end())
        sock.on(event, listener)
        accepted = await served.until('connection')
        accepted.on('error', lambda error: None)
        accepted.end(b'x')
        accepted.resume()
        await accepted.wait_closed()
        await stopped(server)
        await turns()
        assert sock.closed

    run(main)
    assert [str(context['exception']) for context in run.unhandled] == [event]
    run.unhandled.clear()


@pytest.mark.leaks
def test_an_unclosed_socket_warns_and_is_collected(run: Any, tcp_pair: Pair) -> None:
    async def main() -> None:
        near, far = socket.socketpair()
        with far:
            sock = net.Socket(fd=near.detach())
            sock.pause()
            dead = weakref.ref(sock)
            sock._handle.read_stop()
            await turns()
            del sock
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter('always')
                gc.collect()
            assert dead() is None
            assert [one.category for one in caught] == [ResourceWarning]
            assert far.recv(1) == b''

    run(main)


def test_repr_says_where_it_is_connected_to(run: Any, pair: Pair) -> None:
    async def main() -> None:
        assert 'open' in repr(net.Socket())
        async with pair() as (client, _):
            assert f'fd={client._handle.fd}' in repr(client)
            if pair.kind == 'tcp':
                assert f'127.0.0.1:{client.remote_port}' in repr(client)
            client.destroy()
            assert 'destroyed' in repr(client)

    run(main)
