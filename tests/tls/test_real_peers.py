"""TLS against others: OpenSSL's command, Node.js, Python's blocking ssl and asyncio, both ways."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest

from tailrace import net, tls

from .conftest import Certificates

VERSIONS = ['TLSv1.2', 'TLSv1.3']
needs_openssl = pytest.mark.skipif(shutil.which('openssl') is None, reason='openssl is not there')
needs_node = pytest.mark.skipif(shutil.which('node') is None, reason='node is not installed')


class Files:
    """The certificates as files."""

    def __init__(self, folder: Path, certs: Certificates) -> None:
        self.ca, self.cert, self.key = (str(folder / n) for n in ('ca.pem', 'cert.pem', 'key.pem'))
        Path(self.ca).write_text(certs.ca)
        Path(self.cert).write_text(certs.server['cert'])
        Path(self.key).write_text(certs.server['key'])


@pytest.fixture
def files(tmp_path: Path, certs: Certificates) -> Files:
    return Files(tmp_path, certs)


async def echo_server(certs: Certificates, **options: Any) -> tls.Server:
    server = tls.create_server({**certs.server, **options}, lambda sock: sock.pipe(sock))
    await server.listen(0, '127.0.0.1')
    return server


async def program(*words: str | Path, stdin: bytes = b'') -> bytes:
    """What a command prints."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, stderr=pipe)
    out, _ = await process.communicate(stdin)
    return out


@needs_openssl
@pytest.mark.parametrize('version', VERSIONS)
def test_openssl_as_client(run: Any, certs: Certificates, files: Files, version: str) -> None:
    async def main() -> None:
        server = await echo_server(certs, alpn_protocols=['x'], max_version=version)
        port = server.address().port
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            'openssl', 's_client', '-connect', f'127.0.0.1:{port}', '-CAfile', files.ca,
            '-verify_return_error', '-servername', 'localhost', '-alpn', 'x', '-brief',
            stdin=pipe, stdout=pipe, stderr=pipe,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b'hello\n')
        assert await process.stdout.readline() == b'hello\n'
        process.stdin.close()
        _, told = await process.communicate()
        assert f'Protocol version: {version}'.encode() in told
        assert b'Verification: OK' in told
        assert await server.close_all(deadline=5000) == 0
        assert server.handshake_failures == 0

    run(main)


@needs_openssl
@pytest.mark.parametrize('version', VERSIONS)
def test_openssl_as_server(run: Any, certs: Certificates, files: Files, version: str) -> None:
    async def main() -> None:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            'openssl', 's_server', '-accept', '0', '-cert', files.cert, '-key', files.key,
            '-rev', '-' + version.lower().replace('v', '').replace('.', '_'),
            stdout=pipe, stderr=pipe,
        )  # fmt: skip
        assert process.stdout is not None
        line = b''
        while not line.startswith(b'ACCEPT'):
            line = await process.stdout.readline()
        port = int(line.rpartition(b':')[2])
        sock = await tls.connect(port, '127.0.0.1', ca=certs.ca)
        assert sock.get_protocol() == version
        sock.write('abc\n')
        assert await sock.read_line() == b'cba\n'
        sock.destroy()
        process.kill()
        await process.communicate()

    run(main)


NODE_CLIENT = """
const tls = require('tls'), fs = require('fs')
const [port, ca, version] = process.argv.slice(1)
const options = {port: +port, host: '127.0.0.1', ca: fs.readFileSync(ca), maxVersion: version}
const s = tls.connect(options,
  () => { console.log(s.authorized, s.getProtocol()); s.end('from node') })
s.on('data', d => console.log('data', String(d)))
s.on('end', () => console.log('end'))
s.on('close', e => console.log('close', e))
"""
NODE_SERVER = """
const tls = require('tls'), fs = require('fs')
const [cert, key, version] = process.argv.slice(1)
const files = {cert: fs.readFileSync(cert), key: fs.readFileSync(key)}
const s = tls.createServer({...files, maxVersion: version},
  c => { c.on('data', d => console.log('data', String(d)))
         c.on('end', () => { console.log('end'); s.close() })
         c.end('from node') })
s.listen(0, '127.0.0.1', () => console.log(s.address().port))
"""


@needs_node
@pytest.mark.parametrize('version', VERSIONS)
def test_node_as_client(run: Any, certs: Certificates, files: Files, version: str) -> None:
    async def main() -> None:
        server = await echo_server(certs)
        port = str(server.address().port)
        told = await program('node', '-e', NODE_CLIENT, port, files.ca, version)
        expected = f'true {version}\ndata from node\nend\nclose false\n'
        assert told.decode() == expected
        assert await server.close_all(deadline=5000) == 0

    run(main)


@needs_node
@pytest.mark.parametrize('version', VERSIONS)
def test_node_as_server(run: Any, certs: Certificates, files: Files, version: str) -> None:
    async def main() -> None:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            'node', '-e', NODE_SERVER, files.cert, files.key, version, stdout=pipe
        )
        assert process.stdout is not None
        port = int(await process.stdout.readline())
        # Node that ends inside 'secureConnection' sends no close_notify in TLS 1.3: OpenSSL refuses
        # it while the tickets are still to be sent.
        sock = await tls.connect(
            port, '127.0.0.1', ca=certs.ca, allow_half_open=True, allow_truncation=True
        )
        assert sock.get_protocol() == version
        got = b''.join([chunk async for chunk in sock.iterator(destroy_on_return=False)])
        assert got == b'from node'
        sock.end('after its end')
        out, _ = await process.communicate()
        assert out == b'data after its end\nend\n'
        await sock.wait_closed()

    run(main)


def context_for(certs: Certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=certs.ca)


BLOCKING = """
import socket, ssl, sys
port, ca = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
with socket.create_connection(('127.0.0.1', int(port))) as raw:
    with context.wrap_socket(raw, server_hostname='localhost') as sock:
        sock.sendall(b'x' * 100_000)
        got = b''
        while len(got) < 100_000:
            got += sock.recv(65536)
        sock.unwrap()
print(len(got))
"""


def test_blocking_ssl_as_client(run: Any, certs: Certificates, files: Files) -> None:
    async def main() -> None:
        server = await echo_server(certs)
        port = str(server.address().port)
        assert await program(sys.executable, '-c', BLOCKING, port, files.ca) == b'100000\n'
        assert await server.close_all(deadline=5000) == 0

    run(main)


def test_asyncio_as_client(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        server = await echo_server(certs)
        reader, writer = await asyncio.open_connection(
            '127.0.0.1', server.address().port, ssl=context_for(certs), server_hostname='localhost'
        )
        writer.write(b'hello')
        assert await reader.readexactly(5) == b'hello'
        writer.close()
        await writer.wait_closed()
        assert await server.close_all(deadline=5000) == 0

    run(main)


def test_asyncio_as_server(run: Any, certs: Certificates, files: Files) -> None:
    async def main() -> None:
        async def serve(reader: Any, writer: Any) -> None:
            writer.write(await reader.readexactly(5))
            writer.close()

        theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        theirs.load_cert_chain(files.cert, files.key)
        server = await asyncio.start_server(serve, '127.0.0.1', 0, ssl=theirs)
        port = server.sockets[0].getsockname()[1]
        sock = await tls.connect(port, '127.0.0.1', ca=certs.ca)
        sock.write('hello')
        assert [chunk async for chunk in sock] == [b'hello']
        server.close()
        await server.wait_closed()

    run(main)


def test_an_expired_certificate(run: Any, certs: Certificates) -> None:
    import datetime

    async def main() -> None:
        yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
        old = certs.issue('localhost', '127.0.0.1', not_after=yesterday)
        server = tls.create_server(old)
        await server.listen(0, '127.0.0.1')
        with pytest.raises(tls.TLSCertificateError) as caught:
            await tls.connect(server.address().port, '127.0.0.1', ca=certs.ca)
        assert caught.value.code == 'CERT_HAS_EXPIRED'
        await server.close_all(deadline=5000)

    run(main)


def test_many_half_finished_handshakes_are_bounded(run: Any, certs: Certificates) -> None:
    """A ClientHello's first bytes from 200 clients: nothing but a buffer of those bytes is kept."""

    async def main() -> None:
        server = await echo_server(certs, handshake_timeout=60_000)
        clients = []
        for _ in range(200):
            sock = await net.connect(server.address().port, '127.0.0.1')
            sock.on('error', lambda: None)
            sock.write(b'\x16\x03\x01\x02\x00\x01\x00\x01')
            clients.append(sock)
        good = await tls.connect(server.address().port, '127.0.0.1', ca=certs.ca)
        good.write('x')
        assert await good.read_exactly(1) == b'x'
        for sock in [*clients, good]:
            sock.destroy()
        await server.close_all(deadline=5000)

    run(main)
