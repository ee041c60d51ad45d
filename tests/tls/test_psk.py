"""Pre-shared keys (Python 3.13): they stand for a certificate, and are no way around one."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from tailrace import tls

from .authorities import Certificates

pytestmark = pytest.mark.skipif(
    not hasattr(ssl.SSLContext, 'set_psk_client_callback'), reason='Python 3.13'
)

KEY = b'0123456789abcdef'
CIPHERS = 'PSK-AES128-GCM-SHA256:@SECLEVEL=0'
BOTH = f'{CIPHERS}:ECDHE-ECDSA-AES128-GCM-SHA256'


def of_client(identity: str = 'me', key: bytes = KEY, **more: Any) -> dict[str, Any]:
    def answer(hint: Any) -> Any:
        return {'identity': identity, 'psk': key}

    return {'psk_callback': answer, 'ciphers': BOTH, **more}


async def serving(**options: Any) -> tuple[tls.Server, list[tuple[bool, str | None]], list[bytes]]:
    seen: list[tuple[bool, str | None]] = []
    got: list[bytes] = []

    def serve(sock: tls.TLSSocket) -> None:
        seen.append((sock.authorized, sock.authorization_error))
        sock.on('data', got.append)
        sock.on('error', lambda: None)
        sock.end('x')

    server = tls.create_server(options, serve)
    await server.listen(0, '127.0.0.1')
    return server, seen, got


async def visit(server: tls.Server, **options: Any) -> tuple[tls.TLSSocket, Any]:
    sock = tls.connect(server.address().port, 'localhost', options)
    errors: list[Any] = []
    sock.on('error', errors.append)
    sock.end('secret')
    sock.resume()
    await sock.wait_closed()
    return sock, (errors[0].code if errors else None)


def keys(identity: str | None) -> bytes | None:
    return {'me': KEY}.get(str(identity))


def test_both_know_the_key(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        server, seen, got = await serving(psk_callback=keys, ciphers=CIPHERS)
        sock, code = await visit(server, **of_client())
        assert (sock.authorized, code) == (True, None)
        assert (seen, got) == ([(False, None)], [b'secret'])
        for wrong in (of_client('other'), of_client(key=b'x' * 16)):
            sock, code = await visit(server, **wrong)
            assert not sock.authorized
            assert code is not None
        assert got == [b'secret']
        assert await server.close_all(deadline=5000) == 0
        # A server that asks for certificates takes the key instead.
        server, seen, _ = await serving(
            psk_callback=keys, ciphers=CIPHERS, request_cert=True, ca=certs.ca
        )
        sock, code = await visit(server, **of_client())
        assert (sock.authorized, code, seen) == (True, None, [(True, None)])
        assert await server.close_all(deadline=5000) == 0

    run(main)


def test_a_server_that_answers_with_a_certificate_is_verified(
    run: Any, certs: Certificates
) -> None:
    """It does not know the key; any certificate will not do."""

    async def main() -> None:
        for cert, expected in (
            (certs.unknown, 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'),
            (certs.other_host, 'ERR_TLS_CERT_ALTNAME_INVALID'),
            (certs.server, None),
        ):
            server, _, got = await serving(**cert, ciphers=BOTH)
            sock, code = await visit(server, **of_client(ca=certs.ca))
            assert (sock.authorized, code) == (expected is None, expected)
            assert got == ([b'secret'] if expected is None else [])
            assert await server.close_all(deadline=5000) == 0

    run(main)
