"""The events of a socket, its timeout, and what happens when one connection follows another.

Rows SE, SK-42 to SK-48, CN-03, and those rows ST that only show on sockets.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tailrace import net
from tailrace.errors import NodeError, StateError

from .connected import Pair, gone
from .serving import Heard, server_on, stopped, turns

LIFE = (
    'lookup',
    'connectionAttempt',
    'connect',
    'ready',
    'data',
    'end',
    'finish',
    'error',
    'close',
)


def test_se01_se02_se06_se11_se13_order_of_a_life(run: Any, pair: Pair) -> None:
    async def main() -> None:
        server, served = server_on()
        sock = net.Socket()
        # Before connect(): on a Unix socket the first event comes inside it.
        heard = Heard(sock, *LIFE)
        sock.connect(await pair.listen(server))
        accepted = await served.until('connection')
        theirs = Heard(accepted, 'data', 'end', 'finish', 'close')
        sock.end(b'question')
        await theirs.until('data')
        await heard.until('close')
        assert heard.names == ['connectionAttempt', 'connect', 'ready', 'finish', 'end', 'close']
        assert heard[-1] == ('close', False)
        await theirs.until('close')
        assert theirs.names == ['data', 'end', 'finish', 'close']
        await stopped(server)

    run(main)


def test_se03_am57_cn25_attempt_arguments(run: Any, pair: Pair) -> None:
    async def main() -> None:
        server, _ = server_on()
        where = await pair.listen(server)
        sock = net.Socket()
        heard = Heard(sock, 'connectionAttempt', 'lookup')
        sock.connect(where)
        await sock
        if pair.kind == 'unix':
            assert heard == [('connectionAttempt', pair.path, None, None)]
        else:
            assert heard == [('connectionAttempt', '127.0.0.1', where['port'], 4)]
        await gone(sock)
        await stopped(server)

    run(main)


def test_se04_se09_cn20_refused(run: Any, pair: Pair) -> None:
    async def main() -> None:
        server, _ = server_on()
        where = await pair.listen(server)
        await stopped(server)
        sock = net.connect(where)
        heard = Heard(sock, 'connectionAttemptFailed', 'error', 'close')
        error = await heard.until('error')
        await heard.until('close')
        assert heard.names == ['connectionAttemptFailed', 'error', 'close']
        assert heard[0][-1] is error
        assert heard[-1] == ('close', True)
        assert error.syscall == 'connect'
        if pair.kind == 'unix':
            assert (error.code, error.address) == ('ENOENT', pair.path)
            assert isinstance(error, FileNotFoundError)
        else:
            assert (error.code, error.address, error.port) == (
                'ECONNREFUSED',
                '127.0.0.1',
                where['port'],
            )
            assert isinstance(error, ConnectionRefusedError)

    run(main)


def test_se06_am61_data_without_a_listener(run: Any, pair: Pair) -> None:
    async def main() -> None:
        async with pair() as (client, accepted):
            accepted.write(b'kept')
            while not client.readable_length:
                await asyncio.sleep(0)
            heard = Heard(client, 'data')
            assert await heard.until('data') == b'kept'
        async with pair() as (client, accepted):
            client.resume()
            accepted.end(b'lost')
            ended = Heard(client, 'end')
            await ended.until('end')
            assert client.bytes_read == 4
            assert client.readable_length == 0

    run(main)


def test_se07_st20_drain(run: Any, pair: Pair) -> None:
    async def main() -> None:
        async with pair() as (client, accepted):
            heard = Heard(client, 'drain')
            assert client.write(b'small') is True
            assert client.write(b'x' * 9_000_000) is False
            assert client.write(b'more') is False
            accepted.resume()
            await heard.until('drain')
            assert client.writable_length == 0
            await turns()
            assert heard.names == ['drain']

    run(main)


def test_se08_st26_the_peers_end_ends_us(run: Any, pair: Pair) -> None:
    async def main() -> None:
        async with pair() as (client, accepted):
            heard = Heard(client, 'end', 'finish', 'close')
            client.write(b'x' * 9_000_000)
            client.resume()
            accepted.end()
            await heard.until('end')
            assert client.writable_ended
            got = Heard(accepted, 'end')
            accepted.resume()
            await got.until('end')
            await heard.until('close')
            assert heard.names == ['end', 'finish', 'close']
            assert accepted.bytes_read == 9_000_000

    run(main)


def test_se08_sk03_half_open(run: Any, pair: Pair) -> None:
    async def main() -> None:
        async with pair(allow_half_open=True) as (client, accepted):
            heard = Heard(client, 'end', 'close')
            got = Heard(accepted, 'data', 'end', 'close')
            client.resume()
            accepted.end()
            await heard.until('end')
            await turns()
            assert client.ready_state == 'writeOnly'
            client.write(b'still ')
            client.end(b'here')
            await got.until('end')
            assert b''.join(got.all('data')) == b'still here'
            await heard.until('close')

    run(main)


def test_st35_one_error_for_both_sides(run: Any, tcp_pair: Pair) -> None:
    async def main() -> None:
        async with tcp_pair() as (client, accepted):
            told = Heard()
            heard = Heard(client, 'data', 'end', 'error', 'close')
            client.write(b'x' * 9_000_000, told.to('written'))
            accepted.reset_and_destroy()
            error = await heard.until('error')
            await heard.until('close')
            assert heard.names == ['error', 'close']
            assert (await told.until('written')).code == 'ECANCELED'
            assert client.errored is error
            assert not client.readable
            assert not client.writable

    run(main)


def test_st37_am69_end_waits_for_unread_data(run: Any, pair: Pair) -> None:
    async def main() -> None:
        async with pair() as (client, accepted):
            heard = Heard(client, 'end', 'close')
            accepted.end(b'unread')
            while not client.readable_length:
                await asyncio.sleep(0)
            await turns(20)
            assert heard == []
            assert client.read() == b'unread'
            await heard.until('close')
            assert heard.names == ['end', 'close']
        async with pair() as (client, accepted):
            heard = Heard(client, 'end', 'close')
            accepted.end()
            await heard.until('close')

    run(main)


def test_sk42_sk44_se12_ex08_timeout(run: Any, pair: Pair) -> None:
    async def main() -> None:
        async with pair() as (client, _):
            told = Heard(client, 'timeout', 'close')
            assert client.set_timeout(30, told.to('callback')) is client
            assert client.timeout == 30
            await told.until('callback')
            assert sorted(told.names) == ['callback', 'timeout']
            assert not client.destroyed
            assert client.listener_count('timeout') == 1
            client.set_timeout(timedelta(milliseconds=20))
            assert client.timeout == 20
            await told.until('timeout', 2)

    run(main)


def test_sk43_am40_no_timeout(run: Any, pair: Pair) -> None:
    async def main() -> None:
        async with pair() as (client, _):
            assert client.timeout is None
            heard = Heard(client, 'timeout')

            def callback() -> None:
                raise AssertionError

            client.set_timeout(10, callback)
            client.set_timeout(0, callback)
            assert client.timeout == 0
            assert client.listener_count('timeout') == 1
            await asyncio.sleep(0.03)
            assert heard == []

    run(main)


@pytest.mark.parametrize(
    ('value', 'code'),
    [
        (-1, 'ERR_OUT_OF_RANGE'),
        (float('nan'), 'ERR_OUT_OF_RANGE'),
        (float('inf'), 'ERR_OUT_OF_RANGE'),
        ('5', 'ERR_INVALID_ARG_TYPE'),
        (None, 'ERR_INVALID_ARG_TYPE'),
    ],
)
def test_sk45_sk46_bad_timeouts(value: Any, code: str) -> None:
    sock = net.Socket()
    with pytest.raises(NodeError) as caught:
        sock.set_timeout(value)
    assert caught.value.code == code
    with pytest.raises(NodeError) as caught:
        sock.set_timeout(10, 'no function')
    assert caught.value.code == 'ERR_INVALID_ARG_TYPE'
    assert sock.timeout is None


def test_sk46_a_timeout_that_is_too_long(run: Any) -> None:
    async def main() -> None:
        sock = net.Socket()
        with pytest.warns(RuntimeWarning, match='too long'):
            sock.set_timeout(2**31)
        assert sock.timeout == 2**31
        await gone(sock)
        sock.set_timeout(5)
        assert sock.timeout == 2**31

    run(main)


def test_cn03_one_socket_after_another_connection(run: Any, pair: Pair) -> None:
    async def main() -> None:
        server, _ = server_on()
        server.on(
            'connection', lambda sock: (sock.on('error', lambda error: None), sock.pipe(sock))
        )
        where = await pair.listen(server)
        sock = net.Socket()
        heard = Heard(sock, 'data', 'error', 'close')
        sock.set_encoding('latin1')
        ways = [
            lambda: sock.destroy(),
            lambda: sock.end(),
            lambda: sock.destroy(ValueError('x')),
            lambda: (sock.cork(), sock.write('never'), sock.destroy()),
            lambda: sock.set_timeout(5000).destroy(),
        ]
        for count, way in enumerate(ways, 1):
            sock.connect(where)
            assert (sock.destroyed, sock.bytes_read) == (False, 0)
            while sock.writable_corked:
                sock.uncork()
            await sock
            sock.write(f'{count}')
            assert await heard.until('data', count) == f'{count}'
            way()
            await heard.until('close', count)
            assert sock.destroyed
        assert len(heard.all('error')) == 1
        await stopped(server)

    run(main)


def test_cn03_reconnect_with_onread_and_half_open(run: Any, pair: Pair) -> None:
    async def main() -> None:
        server, _ = server_on()
        server.on('connection', lambda sock: sock.end(b'hello'))
        where = await pair.listen(server)
        got: list[bytes] = []
        options = {
            'buffer': bytearray(16),
            'callback': lambda count, into: got.append(bytes(into[:count])),
        }
        sock = net.Socket(onread=options, allow_half_open=True)
        heard = Heard(sock, 'end', 'close')
        for count in (1, 2, 3):
            sock.connect(where)
            await heard.until('end', count)
            await turns()
            assert sock.writable
            sock.end()
            await heard.until('close', count)
            assert got == [b'hello'] * count
        await stopped(server)

    run(main)


def test_cn03_am30_misuse(run: Any, pair: Pair) -> None:
    async def main() -> None:
        async with pair() as (client, accepted):
            with pytest.raises(NodeError) as caught:
                client.connect(1)
            assert caught.value.code == 'EISCONN'
            fresh = net.connect(path='/nowhere/at/all')
            with pytest.raises(NodeError) as caught:
                fresh.connect(1)
            assert caught.value.code == 'EALREADY'
            await gone(fresh)
            got = Heard(accepted, 'data')
            client.write(b'untouched')
            assert await got.until('data') == b'untouched'

    run(main)


@pytest.mark.parametrize(
    'event', ['connectionAttempt', 'connect', 'ready', 'data', 'end', 'finish']
)
def test_destroy_in_every_callback(run: Any, pair: Pair, event: str) -> None:
    async def main() -> None:
        server, served = server_on()
        sock = net.connect(await pair.listen(server))
        heard = Heard(sock, 'connect', 'data', 'end', 'error', 'close')
        sock.on('data', lambda data: sock.end())
        sock.on(event, lambda: sock.destroy())
        server.on('connection', lambda one: one.on('error', lambda error: None).end(b'x'))
        await heard.until('close')
        assert heard.names.count('close') == 1
        assert 'error' not in heard.names
        assert sock._handle is None
        await stopped(server)
        for accepted in served.all('connection'):
            await gone(accepted)

    run(main)


def test_awaiting_a_connection_that_fails(run: Any, pair: Pair) -> None:
    async def main() -> None:
        server, _ = server_on()
        where = await pair.listen(server)
        await stopped(server)
        with pytest.raises(OSError, match='connect') as caught:
            await net.connect(where)
        assert caught.value.code in ('ECONNREFUSED', 'ENOENT')
        sock = net.Socket()
        sock.destroy()
        with pytest.raises(StateError):
            await sock

    run(main)


def test_cn24_cancelling_destroys(run: Any) -> None:
    async def main() -> None:
        sock = net.connect(port=1, host='a.name', lookup=lambda *args: None)
        heard = Heard(sock, 'connect', 'error', 'close')

        async def wait() -> None:
            await sock

        task = asyncio.ensure_future(wait())
        await turns()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await heard.until('close')
        assert heard == [('close', False)]

    run(main)


def test_writes_from_data_listeners_under_back_pressure(run: Any, pair: Pair) -> None:
    async def main() -> None:
        total = 16_000_000
        async with pair({'allow_half_open': True}) as (client, accepted):
            sent = bytes(range(256)) * (total // 256)
            accepted.on('data', accepted.write)
            accepted.on('end', lambda: accepted.end())
            got = bytearray()
            ended = asyncio.Event()
            client.on('end', ended.set)
            client.end(sent)
            while not accepted.writable_length:
                await asyncio.sleep(0)
            client.on('data', got.extend)
            await ended.wait()
            assert bytes(got) == sent

    run(main)


def test_st13_iteration_does_not_lose_what_was_written(run: Any, pair: Pair) -> None:
    async def main() -> None:
        async with pair() as (client, accepted):
            got = 0
            ended = asyncio.Event()

            def on_data(data: bytes) -> None:
                nonlocal got
                got += len(data)

            accepted.end(b'go')
            async for chunk in client:
                assert chunk == b'go'
                client.write(b'x' * 9_000_000)
            assert client.writable_length
            accepted.on('data', on_data)
            accepted.on('end', ended.set)
            await ended.wait()
            assert got == 9_000_000
            await client.wait_closed()

    run(main)


def test_vectored_writes_of_text_and_bytes(run: Any, pair: Pair) -> None:
    async def main() -> None:
        async with pair() as (client, accepted):
            got = Heard(accepted, 'data', 'end')
            client.cork()
            for chunk in ('é', b'\x00', 'ff', bytearray(b'x'), '', b''):
                client.write(chunk, 'hex' if chunk == 'ff' else None)
            client.end('tail', 'utf16le')
            await got.until('end')
            want = 'é'.encode() + b'\x00\xffx' + 'tail'.encode('utf-16-le')
            assert b''.join(got.all('data')) == want
            assert client.bytes_written == len(want)

    run(main)


def test_sk29_sk48_gen11_an_unrefed_socket_lets_the_program_end() -> None:
    import tailrace

    seen = []

    def main() -> None:
        def connected() -> None:
            seen.append('connect')
            server.unref()
            sock.unref()

        server = net.create_server(lambda one: kept.append(one.unref()))
        server.listen(0, '127.0.0.1', lambda: None)
        server.on('listening', lambda: sock.connect(server.address().port, '127.0.0.1', connected))
        sock = net.Socket()
        sock.on('close', lambda: seen.append('close'))
        kept.extend((server, sock))

    kept: list[Any] = []
    tailrace.run(main)
    assert seen == ['connect']
    assert len(kept) >= 2
    for one in kept:
        one._handle.close()
