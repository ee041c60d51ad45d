"""Libraries for asyncio and anyio on tailrace's TLS: their ends meet ours, and Python's own."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
from pathlib import Path
from typing import Any

import pytest

from tailrace import net, tls
from tailrace.adapters import asyncio as face
from tailrace.errors import NodeError

from ..tls.authorities import Certificates
from .test_libraries import h11_handler


@pytest.fixture(scope='module')
def certs() -> Certificates:
    return Certificates()


def trusting(certs: Certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=certs.ca)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    big = os.urandom(1_000_000)
    writer.write(big)
    if writer.can_write_eof():
        writer.write_eof()
    assert await reader.readexactly(len(big)) == big
    writer.close()
    await writer.wait_closed()


def test_streams_both_ways(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        ours = await face.start_stream_server(echo, 0, '127.0.0.1', **certs.server)
        port = ours.address().port
        reader, writer = await face.open_connection(
            port, '127.0.0.1', ca=certs.ca, servername='localhost'
        )
        info = writer.get_extra_info
        assert info('tailrace').authorized
        assert info('peername') == ('127.0.0.1', port)
        assert info('ssl_object').version() == 'TLSv1.3'
        assert info('sslcontext').verify_mode == ssl.CERT_REQUIRED
        assert ('DNS', 'localhost') in info('peercert')['subjectAltName']
        assert info('cipher')[1] == 'TLSv1.3'
        assert info('compression') is None
        await talk(reader, writer)
        # asyncio's own client at our server ...
        reader, writer = await asyncio.open_connection(
            '127.0.0.1', port, ssl=trusting(certs), server_hostname='localhost'
        )
        writer.write(b'hello')
        assert await reader.readexactly(5) == b'hello'
        writer.close()
        await writer.wait_closed()
        assert await ours.close_all(deadline=5000) == 0

    run(main)


def test_a_protocol_at_asyncios_server(run: Any, certs: Certificates, tmp_path: Path) -> None:
    (tmp_path / 'all.pem').write_text(certs.server['cert'] + certs.server['key'])

    class Client(asyncio.Protocol):
        def __init__(self) -> None:
            self.got = b''
            self.lost = asyncio.get_running_loop().create_future()

        def data_received(self, data: bytes) -> None:
            self.got += data

        def connection_lost(self, error: Exception | None) -> None:
            self.lost.set_result(error)

    async def main() -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tmp_path / 'all.pem')

        async def answer(reader: Any, writer: Any) -> None:
            writer.write((await reader.readexactly(5)).upper())
            writer.close()

        theirs = await asyncio.start_server(answer, '127.0.0.1', 0, ssl=context)
        port = theirs.sockets[0].getsockname()[1]
        transport, protocol = await face.create_connection(
            Client, port, 'localhost', secure_context=trusting(certs)
        )
        transport.write(b'hello')
        assert await protocol.lost is None
        assert protocol.got == b'HELLO'
        theirs.close()
        await theirs.wait_closed()
        # For a server that is not who it should be no protocol is made.
        server = await face.start_server(Client, 0, '127.0.0.1', **certs.unknown)
        with pytest.raises(tls.TLSCertificateError):
            await face.create_connection(
                NotImplemented, server.address().port, 'localhost', ca=certs.ca
            )
        assert await server.close_all(deadline=5000) == 0

    run(main)


def test_a_transport_needs_the_handshake(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        server = await net.create_server(lambda sock: sock.resume()).listen(0, '127.0.0.1')
        sock = tls.connect(server.address().port, 'localhost', ca=certs.ca)
        sock.on('error', lambda: None)

        def early() -> None:
            with pytest.raises(NodeError) as caught:
                face.transport_for(sock, asyncio.Protocol())
            assert caught.value.code == 'ERR_SOCKET_CLOSED'
            sock.destroy()

        sock.on('connect', early)
        await sock.wait_closed()
        assert await server.close_all(deadline=5000) == 0

    run(main)


def test_a_ready_context_with_certificates_of_clients(
    run: Any, certs: Certificates, tmp_path: Path
) -> None:
    """As asyncio takes it: one ``ssl.SSLContext`` that says all."""

    async def main() -> None:
        (tmp_path / 'all.pem').write_text(certs.server['cert'] + certs.server['key'])
        (tmp_path / 'client.pem').write_text(certs.client['cert'] + certs.client['key'])
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=certs.ca)
        context.load_cert_chain(tmp_path / 'all.pem')
        context.verify_mode = ssl.CERT_REQUIRED
        served: list[Any] = []

        async def serve(reader: Any, writer: Any) -> None:
            served.append(writer.get_extra_info('peercert')['subjectAltName'])
            await echo(reader, writer)

        server = await face.start_stream_server(serve, 0, '127.0.0.1', secure_context=context)
        known = trusting(certs)
        known.load_cert_chain(tmp_path / 'client.pem')
        port = server.address().port
        await talk(*await face.open_connection(port, 'localhost', secure_context=known))
        assert served == [(('DNS', 'client.example'),)]
        reader, writer = await face.open_connection(
            port, 'localhost', secure_context=trusting(certs)
        )
        with pytest.raises(ssl.SSLError):
            await reader.read()
        writer.close()
        with pytest.raises(ssl.SSLError):
            await writer.wait_closed()
        assert len(served) == 1
        assert await server.close_all(deadline=5000) == 0

    run(main)


# -- libraries ------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which('curl') is None, reason='curl is not installed')
def test_aiohttp_serves_https(run: Any, certs: Certificates, tmp_path: Path) -> None:
    pytest.importorskip('aiohttp')
    from aiohttp import web

    (tmp_path / 'ca.pem').write_text(certs.ca)

    async def main() -> None:
        async def answer(request: Any) -> Any:
            body = await request.read()
            assert (request.scheme, request.secure) == ('https', True)
            return web.Response(body=body.upper(), headers={'x-peer': str(request.remote)})

        http = web.Server(answer)
        server = await face.start_server(http, 0, '127.0.0.1', **certs.server)
        port = server.address().port
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            'curl', '-sS', '--cacert', str(tmp_path / 'ca.pem'), '--data-binary', '@-', '-i',
            '-H', 'Expect:', '--resolve', f'localhost:{port}:127.0.0.1',
            f'https://localhost:{port}/', stdin=pipe, stdout=pipe, stderr=pipe,
        )  # fmt: skip
        out, told = await process.communicate(b'a' * 300_000)
        assert told == b''
        head, _, body = out.partition(b'\r\n\r\n')
        assert head.startswith(b'HTTP/1.1 200 OK\r\n')
        assert b'x-peer: 127.0.0.1' in head.lower()
        assert body == b'A' * 300_000
        await http.shutdown(1)
        await server.close_all(deadline=5000)

    run(main)


def test_aiohttps_client_at_our_server(run: Any, certs: Certificates) -> None:
    aiohttp = pytest.importorskip('aiohttp')

    async def main() -> None:
        server = tls.create_server(certs.server, h11_handler, allow_half_open=True)
        await server.listen(0, '127.0.0.1')
        url = f'https://localhost:{server.address().port}'
        connector = aiohttp.TCPConnector(ssl=trusting(certs))
        async with aiohttp.ClientSession(connector=connector) as session:
            for size in (0, 1, 300_000):
                data = os.urandom(size)
                async with session.post(f'{url}/{size}', data=data) as answer:
                    assert answer.status == 200
                    assert await answer.read() == data[::-1]
        assert await server.close_all(deadline=5000) == 0

    run(main)


def test_httpcore_with_https_on_our_tls(run: Any, certs: Certificates) -> None:
    httpcore = pytest.importorskip('httpcore')
    pytest.importorskip('h11')
    pytest.importorskip('anyio')
    from httpcore._backends.anyio import AnyIOStream

    from tailrace.adapters import anyio as anyio_face

    class Stream(AnyIOStream):  # type: ignore[misc]
        async def start_tls(
            self, ssl_context: Any, server_hostname: Any = None, timeout: Any = None
        ) -> Any:
            plain = self._stream.socket
            sock = await plain.start_tls(ssl_context, server_hostname=server_hostname)
            assert sock.authorized
            return Stream(anyio_face.ByteStream(sock))

    class Backend(httpcore.AsyncNetworkBackend):  # type: ignore[misc]
        async def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> Any:
            return Stream(await anyio_face.connect(port, host))

        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(seconds)

    async def main() -> None:
        server = tls.create_server(certs.server, h11_handler, allow_half_open=True)
        await server.listen(0, '127.0.0.1')
        url = f'https://localhost:{server.address().port}'
        async with httpcore.AsyncConnectionPool(
            network_backend=Backend(), ssl_context=trusting(certs)
        ) as pool:
            for size in (0, 1, 300_000):
                data = os.urandom(size)
                answer = await pool.request('POST', f'{url}/{size}', content=data)
                assert (answer.status, answer.content) == (200, data[::-1])
            assert len(pool.connections) == 1
        async with httpcore.AsyncConnectionPool(
            network_backend=Backend(), ssl_context=ssl.create_default_context()
        ) as pool:
            with pytest.raises(tls.TLSCertificateError):
                await pool.request('GET', url)
        assert await server.close_all(deadline=5000) == 0

    run(main)


def test_anyio_streams(run: Any, certs: Certificates) -> None:
    anyio = pytest.importorskip('anyio')
    from anyio.streams.tls import TLSAttribute, TLSStream

    from tailrace.adapters import anyio as anyio_face

    async def serve(stream: Any) -> None:
        async with stream:
            assert stream.extra(TLSAttribute.server_side)
            async for data in stream:
                await stream.send(data)
            await stream.send_eof()

    async def main() -> None:
        listener = await anyio_face.create_listener(
            0, '127.0.0.1', alpn_protocols=['x'], **certs.server
        )
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with anyio.create_task_group() as group:
            group.start_soon(listener.serve, serve)
            stream = await anyio_face.connect(
                port, '127.0.0.1', servername='localhost', ca=certs.ca, ALPNProtocols=['x']
            )
            async with stream:
                extra = stream.extra
                assert extra(TLSAttribute.alpn_protocol) == 'x'
                assert extra(TLSAttribute.tls_version) == 'TLSv1.3'
                assert extra(TLSAttribute.cipher)[1] == 'TLSv1.3'
                assert extra(TLSAttribute.standard_compatible)
                assert not extra(TLSAttribute.server_side)
                assert extra(TLSAttribute.peer_certificate)['subjectAltName']
                assert extra(TLSAttribute.peer_certificate_binary)[:1] == b'0'
                assert extra(TLSAttribute.channel_binding_tls_unique)
                assert extra(TLSAttribute.ssl_object).version() == 'TLSv1.3'
                assert extra(anyio.abc.SocketAttribute.remote_port) == port
                big = os.urandom(1_000_000)
                await stream.send(big)
                await stream.send_eof()  # half-close, which anyio's own TLS does not have
                assert b''.join([chunk async for chunk in stream]) == big
            # anyio's own TLS at our listener, and the other way round.
            theirs = await TLSStream.wrap(
                await anyio.connect_tcp('127.0.0.1', port),
                hostname='localhost',
                ssl_context=trusting(certs),
            )
            await theirs.send(b'hello')
            assert await theirs.receive() == b'hello'
            await theirs.aclose()
            await listener.aclose()
            group.cancel_scope.cancel()

    run(main)
