"""The PROXY protocol below TLS: the header comes before the ClientHello, on both sides."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tailrace import net, tls
from tailrace.errors import NodeError
from tailrace.proxy_protocol import ProxyHeader, build

from .conftest import Certificates

HEADER = ProxyHeader(
    source_address='192.0.2.7', source_port=51234,
    destination_address='203.0.113.1', destination_port=443,
)  # fmt: skip
HERE: dict[str, Any] = {'proxy_protocol': 'required', 'proxy_from': '127.0.0.1'}


def ends(sock: Any) -> tuple[Any, ...]:
    return sock.remote_address, sock.remote_port, sock.local_address, sock.local_port


EXPECTED = ('192.0.2.7', 51234, '203.0.113.1', 443)


@pytest.mark.parametrize('options', [{}, {'pause_on_connect': True}], ids=['', 'paused'])
def test_the_header_comes_before_the_handshake(
    run: Any, certs: Certificates, options: dict[str, Any]
) -> None:
    async def main() -> None:
        seen = []

        def serve(sock: Any) -> None:
            seen.append((ends(sock), sock.proxy_header))
            sock.pipe(sock)
            sock.resume()

        server = tls.create_server({**certs.server, **HERE, **options}, serve)
        connections = []
        server.on('connection', lambda sock: connections.append(ends(sock)))
        await server.listen(0, '127.0.0.1')
        sock = await tls.connect(
            server.address().port, '127.0.0.1', ca=certs.ca, proxy_protocol=HEADER
        )
        sock.write('hello')
        assert await sock.read_exactly(5) == b'hello'
        assert seen == [(EXPECTED, HEADER)]
        assert connections == [EXPECTED]
        assert sock.bytes_written == 5
        sock.destroy()
        await sock.wait_closed()
        await server.close_all(1000)

    run(main)


def test_a_failed_handshake_names_the_client(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        server = tls.create_server({**certs.server, **HERE})
        errors = []
        failed = asyncio.Event()

        def told(error: Any, sock: Any) -> None:
            errors.append((str(error), sock.remote_address))
            failed.set()

        server.on('tlsClientError', told)
        await server.listen(0, '127.0.0.1')
        reader, writer = await asyncio.open_connection('127.0.0.1', server.address().port)
        writer.write(build(HEADER) + b'GET / HTTP/1.1\r\n\r\n')
        await failed.wait()
        try:
            await reader.read()
        except ConnectionError:
            pass
        writer.close()
        ((text, address),) = errors
        assert '192.0.2.7:51234' in text
        assert address == '192.0.2.7'
        await server.close_all(1000)

    run(main)


def test_without_the_header_no_handshake_begins(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        server = tls.create_server({**certs.server, **HERE})
        rejected = []
        server.on('reject', rejected.append)
        await server.listen(0, '127.0.0.1')
        with pytest.raises(NodeError) as caught:
            await tls.connect(server.address().port, '127.0.0.1', ca=certs.ca)
        assert caught.value.code == 'ECONNRESET'
        assert rejected[0].error.reason == 'invalid'
        assert (server.handshake_failures, server.proxy_failures) == (0, 1)
        await server.close_all(1000)

    run(main)


def test_start_tls_keeps_what_the_proxy_said(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        seen = []

        async def serve(sock: Any) -> None:
            assert await sock.read_exactly(5) == b'start'
            secured = await sock.start_tls(server_side=True, **certs.server)
            seen.append((ends(secured), secured.proxy_header))
            secured.end(await secured.read_exactly(5))
            await secured.wait_closed()

        server = net.create_server(serve, **HERE)
        await server.listen(0, '127.0.0.1')
        sock = await net.connect(server.address().port, '127.0.0.1', proxy_protocol=HEADER)
        sock.write('start')
        secured = await sock.start_tls(server_hostname='localhost', ca=certs.ca)
        secured.write('hello')
        assert b''.join([chunk async for chunk in secured]) == b'hello'
        assert seen == [(EXPECTED, HEADER)]
        await secured.wait_closed()
        await server.close_all(1000)

    run(main)


def test_over_a_socket_that_is_there_no_header_can_come_first(
    run: Any, certs: Certificates
) -> None:
    async def main() -> None:
        sock = net.Socket()
        with pytest.raises(NodeError) as caught:
            tls.connect(socket=sock, ca=certs.ca, proxy_protocol=2)
        assert caught.value.code == 'ERR_INVALID_ARG_VALUE'
        sock.destroy()

    run(main)


def test_a_handshake_after_the_close_of_a_server_that_is_iterated(
    run: Any, certs: Certificates
) -> None:
    """The loop has ended: nobody will take the connection, so it is closed."""

    async def main() -> None:
        server = tls.create_server(certs.server)
        await server.listen(0, '127.0.0.1')
        accepted = asyncio.Event()
        server.on('connection', lambda _: accepted.set())

        async def serve() -> None:
            async for sock in server:
                sock.destroy()

        task = asyncio.ensure_future(serve())
        await asyncio.sleep(0)
        sock = net.connect(server.address().port, '127.0.0.1')
        await accepted.wait()
        server.close()
        await task
        secured = tls.TLSSocket(sock, ca=certs.ca, servername='localhost')
        secured.on('error', lambda _: None)
        secured.resume()
        await secured.wait_closed()
        await server.wait_closed()

    run(main)
