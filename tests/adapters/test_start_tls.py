"""TLS in the middle of a connection: streams, transports, and asyncio's own TLS on ours."""

from __future__ import annotations

import asyncio
import os
import ssl
from typing import Any

import pytest

from tailrace import net, tls
from tailrace.adapters import asyncio as face
from tailrace.errors import NodeError

from ..tls.authorities import Certificates
from .test_tls import trusting

BIG = os.urandom(300_000)


@pytest.fixture(scope='module')
def certs() -> Certificates:
    return Certificates()


def of_server(certs: Certificates, tmp_path: Any) -> ssl.SSLContext:
    (tmp_path / 'all.pem').write_text(certs.server['cert'] + certs.server['key'])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / 'all.pem')
    return context


def serving_mail(context: Any, told: list[Any]) -> Any:
    """Says hello, obeys STARTTLS, then echoes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'220 hello\r\n')
        told.append(await reader.readline())
        writer.write(b'220 go ahead\r\n')
        try:
            await writer.start_tls(context)
        except OSError as error:
            told.append(getattr(error, 'code', None))
            return
        told.append(writer.get_extra_info('sslcontext') is not None)
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    return serve


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Any) -> None:
    assert await reader.readline() == b'220 hello\r\n'
    writer.write(b'STARTTLS\r\n')
    assert await reader.readline() == b'220 go ahead\r\n'
    await writer.start_tls(context, server_hostname='localhost')
    assert ('DNS', 'localhost') in writer.get_extra_info('peercert')['subjectAltName']
    writer.write(BIG)
    assert await reader.readexactly(len(BIG)) == BIG
    writer.write_eof()
    assert await reader.read() == b''
    writer.close()
    await writer.wait_closed()


def test_streams_begin_tls(run: Any, certs: Certificates, tmp_path: Any) -> None:
    async def main() -> None:
        for context in (of_server(certs, tmp_path), tls.create_secure_context(certs.server)):
            told: list[Any] = []
            server = await face.start_stream_server(serving_mail(context, told), 0, '127.0.0.1')
            port = server.address().port
            for trust in (trusting(certs), tls.create_secure_context(ca=certs.ca)):
                reader, writer = await face.open_connection(port, '127.0.0.1')
                await talk(reader, writer, trust)
            assert told == [b'STARTTLS\r\n', True] * 2
            assert await server.close_all(deadline=5000) == 0

    run(main)


def test_a_hello_that_the_reader_has_already(run: Any, certs: Certificates, tmp_path: Any) -> None:
    """It came in one segment with STARTTLS: CPython's own streams lost it for years."""

    async def main() -> None:
        told: list[Any] = []
        serve = serving_mail(of_server(certs, tmp_path), told)
        server = await face.start_stream_server(serve, 0, '127.0.0.1')
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = trusting(certs).wrap_bio(incoming, outgoing, False, 'localhost')
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        raw, plain = await asyncio.open_connection('127.0.0.1', server.address().port)
        plain.write(b'STARTTLS\r\n' + outgoing.read())
        assert await raw.readline() == b'220 hello\r\n'
        assert await raw.readline() == b'220 go ahead\r\n'
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                incoming.write(await raw.read(65536))
        plain.write(outgoing.read())
        client.write(b'x')
        plain.write(outgoing.read())
        while not (got := reading(client)):
            incoming.write(await raw.read(65536))
        assert got == b'x'
        assert told == [b'STARTTLS\r\n', True]
        with pytest.raises(ssl.SSLWantReadError):
            client.unwrap()
        plain.write(outgoing.read())
        plain.close()
        await plain.wait_closed()
        await server.close_all(deadline=5000)

    run(main)


def reading(client: ssl.SSLObject) -> bytes:
    try:
        return client.read(10)
    except ssl.SSLWantReadError:
        return b''


class Client(asyncio.Protocol):
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.got = b''
        self.made = 0
        self.heard = asyncio.Event()
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.made += 1

    def data_received(self, data: bytes) -> None:
        self.got += data
        self.heard.set()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set_result(error)


@pytest.mark.parametrize('paused', [False, True])
def test_a_protocol_begins_tls(run: Any, certs: Certificates, paused: bool) -> None:
    async def main() -> None:
        server = await net.create_server(upgrading(certs)).listen(0, '127.0.0.1')
        transport, protocol = await face.create_connection(
            Client, server.address().port, '127.0.0.1'
        )
        if paused:
            transport.pause_reading()
        same = await face.start_tls(
            transport, protocol, trusting(certs), server_hostname='localhost'
        )
        assert same is transport
        assert transport.is_reading() is not paused
        assert transport.get_extra_info('cipher')[1] == 'TLSv1.3'
        transport.resume_reading()
        await protocol.heard.wait()
        assert (protocol.made, protocol.got) == (1, b'secure')
        transport.close()
        assert await protocol.lost is None
        assert await server.close_all(deadline=5000) == 0

    run(main)


def upgrading(certs: Certificates) -> Any:
    async def serve(sock: net.Socket) -> None:
        try:
            secured = await sock.start_tls(server_side=True, **certs.server)
        except OSError:
            return
        secured.write(b'secure')
        secured.resume()
        await secured.wait_closed()

    return serve


def test_a_handshake_that_fails_is_told_to_both(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        server = await net.create_server(upgrading(certs)).listen(0, '127.0.0.1')
        port = server.address().port
        for context, name, error in (
            (ssl.create_default_context(), 'localhost', ssl.SSLCertVerificationError),
            (trusting(certs), 'other.example', ssl.SSLCertVerificationError),
        ):
            transport, protocol = await face.create_connection(Client, port, '127.0.0.1')
            with pytest.raises(error):
                await face.start_tls(transport, protocol, context, server_hostname=name)
            assert isinstance(await protocol.lost, error)
            assert transport.is_closing()
        await server.close_all(deadline=5000)

    run(main)


@pytest.mark.parametrize('end', ['cancel', 'abort', 'close', 'timeout'])
def test_a_handshake_that_ends_early(run: Any, certs: Certificates, end: str) -> None:
    async def main() -> None:
        silent = await net.create_server(lambda sock: sock.resume()).listen(0, '127.0.0.1')
        port = silent.address().port
        transport, protocol = await face.create_connection(Client, port, '127.0.0.1')
        task = asyncio.ensure_future(
            face.start_tls(
                transport, protocol, trusting(certs), server_hostname='localhost',
                ssl_handshake_timeout=0.02 if end == 'timeout' else None,
            )
        )  # fmt: skip
        await asyncio.sleep(0)
        if end == 'cancel':
            task.cancel()
        elif end != 'timeout':
            getattr(transport, end)()
        with pytest.raises((asyncio.CancelledError, NodeError)):
            await task
        error = await protocol.lost
        assert getattr(error, 'code', None) == (
            'ERR_TLS_HANDSHAKE_TIMEOUT' if end == 'timeout' else None
        )
        assert await silent.close_all(deadline=5000) == 0

    run(main)


def test_what_is_wrong_is_said_before_anything_changes(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        server = await net.create_server(lambda sock: sock.pipe(sock)).listen(0, '127.0.0.1')
        transport, protocol = await face.create_connection(
            Client, server.address().port, '127.0.0.1'
        )
        reader, writer = await face.open_connection(server.address().port, '127.0.0.1')
        context = trusting(certs)
        for call in (
            lambda: face.start_tls(object(), protocol, context),  # type: ignore[arg-type]
            lambda: face.start_tls(transport, protocol, True),
            lambda: face.start_tls(transport, protocol, context),  # no name
            lambda: face.start_tls(transport, protocol, context, ssl_handshake_timeout=-1),
            lambda: writer.start_tls(None),  # type: ignore[arg-type]
            lambda: writer.start_tls(context),
        ):
            with pytest.raises(NodeError):
                await call()
        transport.write(b'still there')
        await protocol.heard.wait()
        writer.write(b'so am I')
        assert await reader.readexactly(7) == b'so am I'
        transport.close()
        writer.close()
        await writer.wait_closed()
        assert await server.close_all(deadline=5000) == 0

    run(main)


def test_asyncios_own_tls_on_our_transport(run: Any, certs: Certificates, tmp_path: Any) -> None:
    """``loop.start_tls``: the standard loop takes our transports, uvloop says that it does not."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        context = of_server(certs, tmp_path)
        server = await net.create_server(upgrading(certs)).listen(0, '127.0.0.1')
        transport, protocol = await face.create_connection(
            Client, server.address().port, '127.0.0.1'
        )
        assert context.verify_mode == ssl.CERT_NONE
        call = loop.start_tls(transport, protocol, trusting(certs), server_hostname='localhost')
        if type(loop).__module__.startswith('uvloop'):
            with pytest.raises(TypeError, match='is not supported'):
                await call
            transport.close()
        else:
            made: Any = await call
            await protocol.heard.wait()
            made.write(BIG)
            assert protocol.got == b'secure'
            made.close()
        assert await protocol.lost is None
        await server.close_all(deadline=5000)

    run(main)
