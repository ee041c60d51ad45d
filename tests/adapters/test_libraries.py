"""Real protocol libraries on tailrace sockets, against real servers where there are some."""

from __future__ import annotations

import asyncio
import glob
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tailrace import Socket, net
from tailrace.adapters import asyncio as face

from ..net.pairs import listening

# -- h11 and httpcore ----------------------------------------------------------------------------


async def h11_handler(sock: Socket) -> None:
    """An HTTP/1.1 server: the body sent back, backwards."""
    import h11

    connection = h11.Connection(h11.SERVER)

    async def next_event() -> Any:
        while (event := connection.next_event()) is h11.NEED_DATA:
            try:
                connection.receive_data(await anext(chunks))
            except StopAsyncIteration:
                connection.receive_data(b'')
        return event

    async with sock:
        chunks = aiter(sock)
        while True:
            request = await next_event()
            if not isinstance(request, h11.Request):
                return
            body = b''
            while isinstance(event := await next_event(), h11.Data):
                body += event.data
            length = str(len(body)).encode()
            headers = [(b'content-length', length), (b'x-target', request.target)]
            for part in (
                h11.Response(status_code=200, headers=headers),
                h11.Data(data=body[::-1]),
                h11.EndOfMessage(),
            ):
                sock.write(connection.send(part) or b'')
            await sock.drain()
            if connection.our_state is h11.MUST_CLOSE:
                sock.end()
                await sock.wait_closed()
                return
            connection.start_next_cycle()


def test_httpcore_through_its_network_backend(run: Any) -> None:
    httpcore = pytest.importorskip('httpcore')
    pytest.importorskip('h11')
    pytest.importorskip('anyio')
    from httpcore._backends.anyio import AnyIOStream

    from tailrace.adapters import anyio as anyio_face

    class Backend(httpcore.AsyncNetworkBackend):  # type: ignore[misc]
        async def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> Any:
            return AnyIOStream(await anyio_face.connect(port, host))

        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(seconds)

    async def main() -> None:
        async with listening('tcp', h11_handler) as server:
            url = f'http://127.0.0.1:{server.address().port}'
            async with httpcore.AsyncConnectionPool(network_backend=Backend()) as pool:
                for size in (0, 1, 300_000):
                    data = os.urandom(size)
                    answer = await pool.request('POST', f'{url}/{size}', content=data)
                    assert answer.status == 200
                    assert answer.content == data[::-1]
                    assert (b'x-target', b'/%d' % size) in answer.headers
                assert len(pool.connections) == 1  # one connection, kept alive
                answers = await asyncio.gather(
                    *(pool.request('POST', url, content=b'%d' % i) for i in range(10, 30))
                )
                assert [a.content for a in answers] == [
                    str(i)[::-1].encode() for i in range(10, 30)
                ]
            await server.close_all()

    run(main)


# -- aiohttp -------------------------------------------------------------------------------------


def test_aiohttp_server_is_a_protocol_factory(run: Any) -> None:
    pytest.importorskip('aiohttp')
    from aiohttp import web

    async def main() -> None:
        async def answer(request: Any) -> Any:
            body = await request.read()
            return web.Response(body=body.upper(), headers={'x-peer': str(request.remote)})

        http = web.Server(answer)
        server = await face.start_server(http, 0, '127.0.0.1')
        port = server.address().port
        client = await net.connect(port, '127.0.0.1')
        for _ in range(2):
            client.write(
                b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n' + b'a' * 200_000
            )
            head = await client.read_until(b'\r\n\r\n')
            assert head.startswith(b'HTTP/1.1 200 OK\r\n')
            assert b'x-peer: 127.0.0.1' in head
            assert await client.read_exactly(200_000) == b'A' * 200_000
        client.destroy()
        await http.shutdown(1)
        await server.close_all()

    run(main)


# -- redis ---------------------------------------------------------------------------------------


@asynccontextmanager
async def redis_server() -> AsyncIterator[str]:
    """The path of a real server's Unix socket."""
    program = shutil.which('redis-server')
    if program is None:
        pytest.skip('redis-server is not installed')
    folder = tempfile.mkdtemp()
    path = f'{folder}/redis'
    command = [program, '--port', '0', '--unixsocket', path, '--save', '', '--dir', folder]
    process = await asyncio.to_thread(
        subprocess.Popen, command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not accepts(path):
            assert process.poll() is None
            await asyncio.sleep(0.01)
        yield path
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait)
        shutil.rmtree(folder)
        await asyncio.get_running_loop().shutdown_default_executor()


def accepts(path: str) -> bool:
    """Whether somebody listens: the file is there with bind(), before listen()."""
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(path) == 0


def test_a_socket_file_alone_is_no_server(tmp_path: Path) -> None:
    path = str(tmp_path / 's')
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        assert not accepts(path)
        sock.listen()
        assert accepts(path)


async def ask(sock: Socket, *words: bytes) -> Any:
    """One command of RESP2: what a user writes with the reading helpers."""
    sock.write(b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%b\r\n' % (len(w), w) for w in words))
    return await reply(sock)


async def reply(sock: Socket) -> Any:
    line = (await sock.read_until(b'\r\n'))[:-2]
    kind, rest = line[:1], line[1:]
    if kind == b'$':
        size = int(rest)
        return None if size < 0 else (await sock.read_exactly(size + 2))[:-2]
    if kind == b'*':
        return [await reply(sock) for _ in range(int(rest))]
    return int(rest) if kind == b':' else rest


def test_resp_client_on_the_reading_helpers(run: Any) -> None:
    async def main() -> None:
        async with redis_server() as path, await net.connect(path=path) as sock:
            assert await ask(sock, b'PING') == b'PONG'
            big = os.urandom(2_000_000)
            assert await ask(sock, b'SET', b'big', big) == b'OK'
            assert await ask(sock, b'GET', b'big') == big
            assert await ask(sock, b'GET', b'none') is None
            assert await ask(sock, b'RPUSH', b'list', b'a', b'b') == 2
            assert await ask(sock, b'LRANGE', b'list', b'0', b'-1') == [b'a', b'b']

    run(main)


def test_redis_py_on_asyncio_streams_of_ours(run: Any) -> None:
    redis = pytest.importorskip('redis.asyncio')

    class Connection(redis.connection.UnixDomainSocketConnection):  # type: ignore[misc]
        async def _connect(self) -> None:
            self._reader, self._writer = await face.open_connection(path=self.path)
            await self.on_connect()

    async def main() -> None:
        async with redis_server() as path:
            pool = redis.ConnectionPool(connection_class=Connection, path=path)
            client = redis.Redis(connection_pool=pool)
            assert await client.set('name', 'tailrace')
            assert await client.get('name') == b'tailrace'
            values = await asyncio.gather(*(client.incr('n') for _ in range(20)))
            assert sorted(values) == list(range(1, 21))
            async with client.pubsub() as heard:
                await heard.subscribe('room')
                await client.publish('room', 'x' * 100_000)
                texts = []
                while len(texts) < 2:
                    message = await heard.get_message(timeout=5)
                    texts.append(message['data'])
                assert texts == [1, b'x' * 100_000]
            await client.aclose()
            await pool.disconnect()

    run(main)


# -- PostgreSQL ----------------------------------------------------------------------------------


def _postgres() -> Path | None:
    """The folder with its programs: on the PATH, or where Debian keeps each version."""
    named = [shutil.which('initdb')]
    packaged = sorted(
        glob.glob('/usr/lib/postgresql/*/bin/initdb'), key=lambda p: int(p.split('/')[4])
    )
    for initdb in [*named, *reversed(packaged)]:
        if initdb is not None and Path(initdb).resolve().with_name('postgres').exists():
            return Path(initdb).resolve().parent
    return None


@asynccontextmanager
async def postgres() -> AsyncIterator[int]:
    """The port of a real server."""
    programs = _postgres()
    if programs is None:
        pytest.skip('PostgreSQL is not installed')
    user = None
    if os.getuid() == 0:  # the server refuses to run as root
        user = 'postgres'
        if user not in {entry.pw_name for entry in pwd.getpwall()}:
            pytest.skip('PostgreSQL does not run as root, and there is no user postgres')
    folder = tempfile.mkdtemp()
    if user:
        shutil.chown(folder, user)
    quiet: dict[str, Any] = {
        'user': user,
        'cwd': folder,
        'stdout': subprocess.DEVNULL,
        'stderr': subprocess.DEVNULL,
    }
    init = [f'{programs}/initdb', '-D', f'{folder}/db', '-A', 'trust', '-U', 'me', '-N']
    await asyncio.to_thread(subprocess.run, init, check=True, **quiet)
    with_port = net.create_server()
    await with_port.listen(0, '127.0.0.1')
    port: int = with_port.address().port
    await with_port.close_all()
    command = [f'{programs}/postgres', '-D', f'{folder}/db', '-p', str(port), '-k', folder]
    process = await asyncio.to_thread(
        subprocess.Popen, [*command, '-c', 'listen_addresses=127.0.0.1', '-F'], **quiet
    )
    try:
        while True:
            assert process.poll() is None
            try:
                async with await net.connect(port, '127.0.0.1'):
                    break
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0)
        yield port
    finally:
        process.send_signal(3)
        await asyncio.to_thread(process.wait)
        shutil.rmtree(folder)
        await asyncio.get_running_loop().shutdown_default_executor()


class OurConnections:
    """A loop whose create_connection is tailrace's; everything else is the loop's own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_connection(self, factory: Any, host: str, port: int, **_: Any) -> Any:
        return await face.create_connection(factory, port, host)


def test_asyncpg_on_our_transport(run: Any) -> None:
    asyncpg = pytest.importorskip('asyncpg')

    async def main() -> None:
        async with postgres() as port:
            loop: Any = OurConnections(asyncio.get_running_loop())
            connection = None
            while connection is None:
                try:
                    connection = await asyncpg.connect(
                        host='127.0.0.1',
                        port=port,
                        user='me',
                        database='postgres',
                        ssl=False,
                        loop=loop,
                    )
                except asyncpg.CannotConnectNowError:  # it is starting up
                    await asyncio.sleep(0.05)
            transport = connection._transport
            assert isinstance(transport, face.SocketTransport)
            assert await connection.fetchval('select 6 * 7') == 42
            rows = await connection.fetch(
                "select i, repeat('x', 1000) t from generate_series(1, 5000) i"
            )
            assert [row['i'] for row in rows] == list(range(1, 5001))
            big = os.urandom(3_000_000)
            assert await connection.fetchval('select $1::bytea', big) == big
            await connection.close()
            assert transport.is_closing()

    run(main, timeout=50)
