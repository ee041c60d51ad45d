"""httpx, uvicorn and websockets over tailrace's TLS, each with somebody else at the other end."""

from __future__ import annotations

import asyncio
import os
import ssl
from typing import Any

import pytest

from tailrace import tls
from tailrace.adapters import asyncio as face

from ..tls.authorities import Certificates
from .test_libraries import h11_handler


@pytest.fixture(scope='module')
def certs() -> Certificates:
    return Certificates()


def trusting(certs: Certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=certs.ca)


def test_httpx_on_our_tls(run: Any, certs: Certificates) -> None:
    httpx = pytest.importorskip('httpx')
    httpcore = pytest.importorskip('httpcore')
    from httpcore._backends.anyio import AnyIOStream

    from tailrace.adapters import anyio as anyio_face

    class Stream(AnyIOStream):  # type: ignore[misc]
        async def start_tls(
            self, ssl_context: Any, server_hostname: Any = None, timeout: Any = None
        ) -> Any:
            plain = self._stream.socket
            secured = await plain.start_tls(ssl_context, server_hostname=server_hostname)
            return Stream(anyio_face.ByteStream(secured))

    class Backend(httpcore.AsyncNetworkBackend):  # type: ignore[misc]
        async def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> Any:
            return Stream(await anyio_face.connect(port, host))

    async def main() -> None:
        server = tls.create_server(certs.server, h11_handler, allow_half_open=True)
        await server.listen(0, '127.0.0.1')
        url = f'https://localhost:{server.address().port}'
        transport = httpx.AsyncHTTPTransport()
        transport._pool = httpcore.AsyncConnectionPool(
            network_backend=Backend(), ssl_context=trusting(certs)
        )
        async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
            for size in (0, 1, 300_000):
                data = os.urandom(size)
                answer = await client.post(f'{url}/{size}', content=data)
                assert (answer.status_code, answer.content) == (200, data[::-1])
                assert answer.headers['x-target'] == f'/{size}'
        assert await server.close_all(deadline=5000) == 0

    run(main)


def test_uvicorn_serves_https(run: Any, certs: Certificates) -> None:
    uvicorn = pytest.importorskip('uvicorn')
    from uvicorn.protocols.http.h11_impl import H11Protocol
    from uvicorn.server import ServerState

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = b''
        while (event := await receive()).get('more_body'):
            body += event['body']
        body += event['body']
        said = f'{scope["scheme"]} {scope["client"][0]} '.encode()
        await send({'type': 'http.response.start', 'status': 200, 'headers': []})
        await send({'type': 'http.response.body', 'body': said + body})

    async def main() -> None:
        config = uvicorn.Config(app, log_config=None)
        config.load()
        state = ServerState()

        def protocol() -> Any:
            return H11Protocol(config=config, server_state=state, app_state={})

        server = await face.start_server(protocol, 0, '127.0.0.1', **certs.server)
        # An asyncio client that ends its side first, as by TLS it can only at the end.
        reader, writer = await asyncio.open_connection(
            '127.0.0.1', server.address().port, ssl=trusting(certs), server_hostname='localhost'
        )
        for _ in range(2):
            head = b'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n'
            writer.write(head + b'a' * 200_000)
            answer = await reader.readuntil(b'\r\n\r\n')
            assert answer.startswith(b'HTTP/1.1 200 OK\r\n')
            got = b''
            while not got.endswith(b'0\r\n\r\n'):
                got += await reader.read(65536)
            assert b'https 127.0.0.1 a' in got
            assert got.count(b'a') >= 200_000
        writer.close()
        await writer.wait_closed()
        await server.close_all(deadline=5000)

    run(main)


def test_websockets_on_our_tls(run: Any, certs: Certificates) -> None:
    """Its protocol without I/O at our server, its asyncio client at the other end."""
    pytest.importorskip('websockets')
    from websockets.asyncio.client import connect
    from websockets.frames import Opcode
    from websockets.server import ServerProtocol

    async def serve(sock: Any) -> None:
        protocol = ServerProtocol()
        async for chunk in sock.iterator(destroy_on_return=False):
            protocol.receive_data(chunk)
            for event in protocol.events_received():
                if hasattr(event, 'path'):
                    protocol.send_response(protocol.accept(event))
                elif event.opcode is Opcode.BINARY:
                    protocol.send_binary(event.data[::-1])
            for data in protocol.data_to_send():
                if data:
                    sock.write(data)
            await sock.drain()
        sock.end()

    async def main() -> None:
        server = tls.create_server(certs.server, serve, allow_half_open=True)
        await server.listen(0, '127.0.0.1')
        url = f'wss://localhost:{server.address().port}/'
        async with connect(url, ssl=trusting(certs), proxy=None, compression=None) as there:
            for size in (1, 100_000):
                data = os.urandom(size)
                await there.send(data)
                assert await there.recv() == data[::-1]
        assert await server.close_all(deadline=5000) == 0

    run(main)
