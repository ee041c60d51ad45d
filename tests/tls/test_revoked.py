"""Revoked certificates: ``crl``, also with OpenSSL's own programs at the other end."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from pathlib import Path
from typing import Any

import pytest

from tailrace import events, tls
from tailrace.errors import NodeError

from .authorities import Certificates

VERSIONS = ['TLSv1.2', 'TLSv1.3']
PIPE = asyncio.subprocess.PIPE
needs_openssl = pytest.mark.skipif(shutil.which('openssl') is None, reason='openssl is not there')


async def verdict(port: int, **options: Any) -> str:
    """'authorized', or the code of the refusal."""
    try:
        sock = await tls.connect(port, '127.0.0.1', servername='localhost', **options)
    except tls.TLSCertificateError as error:
        return str(error.code)
    assert sock.authorized
    sock.destroy()
    await sock.wait_closed()
    return 'authorized'


def test_lists_of_every_kind(run: Any, certs: Certificates, tmp_path: Path) -> None:
    async def main() -> None:
        root, middle = certs.authority, certs.middle
        middle_pem = middle.cert_pem.bytes().decode()
        empty = certs.list_of(root)
        others = certs.list_of(certs.stranger, certs.chain['cert'])
        (tmp_path / 'crl.pem').write_text(certs.crl)
        ports = []
        servers = []
        for pair in (certs.server, certs.revoked, certs.chain):
            server = tls.create_server(pair, lambda sock: sock.resume())
            await server.listen(0, '127.0.0.1')
            servers.append(server)
            ports.append(int(server.address().port))
        good, bad, chained = ports
        missing, revoked = 'UNABLE_TO_GET_CRL', 'CERT_REVOKED'
        for port, crl, expected in (
            (good, certs.crl, 'authorized'),
            (bad, certs.crl, revoked),
            (bad, certs.crl.encode(), revoked),
            (bad, tmp_path / 'crl.pem', revoked),
            (bad, [str(tmp_path / 'crl.pem')], revoked),
            (bad, [others, certs.crl], revoked),
            (bad, others + certs.crl, revoked),
            (bad, empty, 'authorized'),
            (bad, others, missing),
            (bad, certs.list_of(root, certs.revoked['cert'], age=9), 'CRL_HAS_EXPIRED'),
            (good, certs.list_of(root, age=-9), 'CRL_NOT_YET_VALID'),
            # Every certificate of the chain is looked up, as in Node.
            (chained, empty, missing),
            (chained, [empty, certs.list_of(middle)], 'authorized'),
            (chained, [empty, certs.list_of(middle, certs.chain['cert'])], revoked),
            (chained, [certs.list_of(root, middle_pem), certs.list_of(middle)], revoked),
        ):
            assert await verdict(port, ca=certs.ca, crl=crl) == expected
        for server in servers:
            assert await server.close_all(deadline=5000) == 0

    run(main)


def test_a_list_that_is_none_is_refused_at_once(certs: Certificates, tmp_path: Path) -> None:
    broken = certs.crl.replace('\n', '\nAAAA', 2)
    for crl in (broken, certs.ca, 'no list', b'', [b'\0'], 5):
        with pytest.raises((NodeError, FileNotFoundError)) as caught:
            tls.create_secure_context(ca=certs.ca, crl=crl)
        if isinstance(caught.value, NodeError):
            assert caught.value.code in ('ERR_INVALID_ARG_VALUE', 'ERR_INVALID_ARG_TYPE')


def test_revoking_while_the_server_runs(run: Any, certs: Certificates) -> None:
    """With ``set_secure_context``; who is connected stays, an old session does not count."""

    async def main() -> None:
        trust = {**certs.server, 'ca': certs.ca}
        server = tls.create_server({**trust, 'request_cert': True}, lambda sock: sock.pipe(sock))
        await server.listen(0, '127.0.0.1')
        port = server.address().port
        context = tls.create_secure_context(ca=certs.ca, **certs.revoked)
        before = tls.connect(port, 'localhost', secure_context=context)
        got = asyncio.ensure_future(events.once(before, 'session'))
        await before
        before.write('x')
        assert await before.read_exactly(1) == b'x'
        (session,) = await got
        server.set_secure_context(trust, crl=certs.crl)
        failed = asyncio.ensure_future(events.once(server, 'tlsClientError'))
        sock = tls.connect(port, 'localhost', secure_context=context, session=session)
        sock.on('error', lambda: None)
        sock.resume()
        error, _ = await failed
        assert error.code == 'CERT_REVOKED'
        await sock.wait_closed()
        assert not sock.is_session_reused()
        before.write('y')
        assert await before.read_exactly(1) == b'y'
        before.destroy()
        assert await server.close_all(deadline=5000) == 0

    run(main)


# -- OpenSSL's programs ---------------------------------------------------------------------------


class Files:
    """Certificates and lists as files."""

    def __init__(self, folder: Path, certs: Certificates) -> None:
        self.folder = folder
        self.ca = self.write('ca', certs.ca)
        self.crl = self.write('crl', certs.crl)

    def write(self, name: str, text: str) -> str:
        path = self.folder / f'{name}.pem'
        path.write_text(text)
        return str(path)

    def pair(self, name: str, pair: dict[str, str]) -> list[str]:
        cert, key = self.write(f'{name}-cert', pair['cert']), self.write(f'{name}-key', pair['key'])
        return ['-cert', cert, '-key', key]


@pytest.fixture
def files(tmp_path: Path, certs: Certificates) -> Files:
    return Files(tmp_path, certs)


@needs_openssl
@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('kind', ['server', 'revoked'])
def test_s_server_that_is_revoked(
    run: Any, certs: Certificates, files: Files, kind: str, version: str
) -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec(
            'openssl', 's_server', '-accept', '0', *files.pair(kind, getattr(certs, kind)),
            '-naccept', '1', '-' + version.lower().replace('v', '').replace('.', '_'),
            stdin=PIPE, stdout=PIPE, stderr=PIPE,
        )  # fmt: skip
        port = int((await until(process, b'ACCEPT ')).rpartition(b':')[2])
        trust = {'ca': files.ca, 'crl': files.crl, 'servername': 'localhost'}
        if kind == 'server':
            sock = await tls.connect(port, '127.0.0.1', trust)
            assert (sock.authorized, sock.get_protocol()) == (True, version)
            sock.write('fine\n')
            await until(process, b'fine\n')
            sock.destroy()
            await sock.wait_closed()
        else:
            sock = tls.connect(port, '127.0.0.1', trust)
            sock.write('secret')
            with pytest.raises(tls.TLSCertificateError) as caught:
                await sock
            assert caught.value.code == 'CERT_REVOKED'
            assert not sock.authorized
        out, told = await process.communicate()
        assert b'secret' not in out
        assert (b'alert certificate revoked' in told) == (kind == 'revoked')

    run(main)


async def until(process: asyncio.subprocess.Process, start: bytes) -> bytes:
    """The first line of its output that begins so."""
    assert process.stdout is not None
    line = b''
    while not line.startswith(start):
        line = await process.stdout.readline()
        assert line
    return line


@needs_openssl
@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('kind', ['client', 'revoked'])
def test_s_client_that_is_revoked(
    run: Any, certs: Certificates, files: Files, kind: str, version: str
) -> None:
    async def main() -> None:
        server = tls.create_server(
            {
                **certs.server, 'ca': certs.ca, 'crl': files.crl, 'request_cert': True,
                'max_version': version,
            },
            lambda sock: sock.end(f'authorized {sock.authorized}\n'),
        )  # fmt: skip
        failed: list[str | None] = []
        server.on('tlsClientError', lambda error: failed.append(error.code))
        await server.listen(0, '127.0.0.1')
        process = await asyncio.create_subprocess_exec(
            'openssl', 's_client', '-connect', f'127.0.0.1:{server.address().port}',
            '-CAfile', files.ca, '-quiet', '-verify_return_error',
            *files.pair(kind, getattr(certs, kind)), stdin=PIPE, stdout=PIPE, stderr=PIPE,
        )  # fmt: skip
        out, told = await process.communicate()
        assert await server.close_all(deadline=5000) == 0
        if kind == 'client':
            assert (out, failed) == (b'authorized True\n', [])
        else:
            assert (out, failed) == (b'', ['CERT_REVOKED'])
            assert b'alert certificate revoked' in told

    run(main)


@needs_openssl
def test_s_client_that_knows_the_list(run: Any, certs: Certificates, files: Files) -> None:
    """The other way: OpenSSL finds our certificate revoked, and the server says who told it."""

    async def main() -> None:
        server = tls.create_server(certs.revoked, lambda sock: sock.end('hello'))
        failed = asyncio.ensure_future(events.once(server, 'tlsClientError'))
        await server.listen(0, '127.0.0.1')
        process = await asyncio.create_subprocess_exec(
            'openssl', 's_client', '-connect', f'127.0.0.1:{server.address().port}',
            '-CAfile', files.ca, '-CRL', files.crl, '-crl_check', '-verify_return_error',
            stdin=PIPE, stdout=PIPE, stderr=PIPE,
        )  # fmt: skip
        error, _ = await failed
        assert isinstance(error, ssl.SSLError)
        assert (error.code, error.alert) == (
            'ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED',
            'certificate_revoked',
        )
        await process.communicate()
        assert await server.close_all(deadline=5000) == 0

    run(main)
