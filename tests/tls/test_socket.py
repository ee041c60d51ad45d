"""TLS sockets and servers against each other: the handshake, data, both ends."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest

from tailrace import events, net, stream, tls
from tailrace.errors import NodeError

from .conftest import Certificates


async def serving(certs: Certificates, listener: Any = None, **options: Any) -> tls.Server:
    server = tls.create_server({**certs.server, **options}, listener)
    await server.listen(0, '127.0.0.1')
    return server


def port_of(server: net.Server) -> int:
    return int(server.address().port)


async def client(server: net.Server, certs: Certificates, **options: Any) -> tls.TLSSocket:
    return await tls.connect(port_of(server), '127.0.0.1', {'ca': certs.ca, **options})


async def stop(server: net.Server, *sockets: net.Socket) -> None:
    for sock in sockets:
        sock.destroy()
        await sock.wait_closed()
    await server.close_all(deadline=1000)


@pytest.mark.parametrize('version', ['TLSv1.2', 'TLSv1.3'])
def test_echo_in_both_versions(run: Any, certs: Certificates, version: str) -> None:
    async def main() -> None:
        server = await serving(certs, lambda sock: sock.pipe(sock), max_version=version)
        sock = await client(server, certs)
        assert sock.get_protocol() == version
        assert (sock.authorized, sock.authorization_error, sock.encrypted) == (True, None, True)
        sock.write(b'hello')
        assert await sock.read_exactly(5) == b'hello'
        big = bytes(range(256)) * 4096
        sock.end(big)
        assert b''.join([chunk async for chunk in sock]) == big
        await sock.wait_closed()
        await stop(server)

    run(main)


def test_events_come_in_nodes_order(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        seen: list[str] = []
        server = await serving(certs, lambda sock: sock.end('bye'))
        server.on('connection', lambda: seen.append('server connection'))
        server.on('secureConnection', lambda: seen.append('server secureConnection'))
        sock = tls.connect(port_of(server), '127.0.0.1', {'ca': certs.ca})
        for event in ('connect', 'ready', 'secure', 'secureConnect', 'data', 'end', 'close'):
            sock.on(event, lambda *_, event=event: seen.append(event))
        await sock.wait_closed()
        mine = [event for event in seen if not event.startswith('server')]
        assert mine == ['connect', 'ready', 'secure', 'secureConnect', 'data', 'end', 'close']
        assert [event for event in seen if event.startswith('server')] == [
            'server connection',
            'server secureConnection',
        ]
        await stop(server)

    run(main)


@pytest.mark.parametrize('version', ['TLSv1.2', 'TLSv1.3'])
def test_what_is_written_before_the_handshake_goes_out_after_it(
    run: Any, certs: Certificates, version: str
) -> None:
    async def main() -> None:
        server = await serving(certs, lambda sock: sock.pipe(sock), max_version=version)
        sock = tls.connect(port_of(server), '127.0.0.1', {'ca': certs.ca})
        sock.write('a')
        sock.write('b')
        sock.end('c')
        assert [chunk async for chunk in sock] == [b'abc']
        await stop(server)

    run(main)


def test_half_close(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        async def serve(sock: Any) -> None:
            got = b''.join([chunk async for chunk in sock.iterator(destroy_on_return=False)])
            sock.end(b'got ' + got)

        server = await serving(certs, serve, allow_half_open=True)
        sock = await client(server, certs, allow_half_open=True)
        sock.end(b'everything')
        assert b''.join([chunk async for chunk in sock]) == b'got everything'
        await stop(server)

    run(main)


def test_the_writes_of_one_tick_are_one_record(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        chunks: list[bytes] = []
        server = await serving(certs, lambda sock: sock.on('data', chunks.append))
        sock = await client(server, certs)
        for part in (b'one ', b'two ', b'three'):
            sock.write(part)
        while b''.join(chunks) != b'one two three':
            await asyncio.sleep(0)
        assert chunks == [b'one two three']
        await stop(server, sock)

    run(main)


def test_a_wrong_host_an_unknown_issuer_and_an_expired_certificate(
    run: Any, certs: Certificates
) -> None:
    async def main() -> None:
        server = await serving(certs)
        failures: list[str] = []
        server.on('tlsClientError', lambda error: failures.append(error.code))
        for options, code in (
            ({'ca': certs.ca, 'servername': 'other.example'}, 'ERR_TLS_CERT_ALTNAME_INVALID'),
            ({'ca': certs.stranger.cert_pem.bytes()}, 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'),
        ):
            with pytest.raises(tls.TLSCertificateError) as caught:
                await tls.connect(port_of(server), '127.0.0.1', options)
            assert caught.value.code == code
            assert isinstance(caught.value, ssl.SSLError)
            assert isinstance(caught.value, NodeError)
        assert '127.0.0.1' in str(caught.value)
        await stop(server)

    run(main)


def test_without_reject_unauthorized_it_connects_unverified(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        server = await serving(certs, lambda sock: sock.end('x'))
        sock = await tls.connect(
            port_of(server),
            '127.0.0.1',
            reject_unauthorized=False,
            ca=certs.stranger.cert_pem.bytes(),
        )
        assert not sock.authorized
        assert sock.authorization_error == 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'
        assert [chunk async for chunk in sock] == [b'x']
        await stop(server)

    run(main)


def test_alpn(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        server = await serving(
            certs, lambda sock: sock.end(str(sock.alpn_protocol)), alpn_protocols=['h2', 'x']
        )
        sock = await client(server, certs, ALPNProtocols=['x', 'h2'])
        assert sock.alpn_protocol == 'h2'
        assert [chunk async for chunk in sock] == [b'h2']
        sock = await client(server, certs)
        assert sock.alpn_protocol is False
        sock.destroy()
        errors: list[Any] = []
        server.on('tlsClientError', lambda error: errors.append(error.code))
        with pytest.raises(tls.TLSHandshakeError) as caught:
            await client(server, certs, alpn_protocols=['nothing'])
        assert caught.value.alert == 'no_application_protocol'
        assert errors == ['ERR_SSL_NO_APPLICATION_PROTOCOL']
        await stop(server)

    run(main)


def test_alpn_callback(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        asked: list[Any] = []

        def choose(offer: Any) -> Any:
            asked.append((offer.servername, offer.protocols))
            return {'a': 'a', 'bad': 'other'}.get(offer.protocols[-1])

        server = await serving(certs, lambda sock: sock.end(), alpn_callback=choose)
        codes: list[str] = []
        server.on('tlsClientError', lambda error: codes.append(error.code))
        sock = await client(server, certs, alpn_protocols=['b', 'a'], servername='localhost')
        assert sock.alpn_protocol == 'a'
        for refused in ('bad', 'none'):
            with pytest.raises(tls.TLSHandshakeError):
                await client(server, certs, alpn_protocols=[refused])
        assert asked[0] == ('localhost', ['b', 'a'])
        assert codes == ['ERR_TLS_ALPN_CALLBACK_INVALID_RESULT', 'ERR_SSL_NO_APPLICATION_PROTOCOL']
        await stop(server, sock)

    run(main)


@pytest.mark.parametrize('kind', ['callback', 'value', 'coroutine', 'later', 'add_context'])
def test_sni_chooses_the_certificate(run: Any, certs: Certificates, kind: str) -> None:
    async def main() -> None:
        other = tls.create_secure_context(certs.issue('*.other.example'))

        def with_callback(name: str, done: Any) -> None:
            done(None, other if name.endswith('other.example') else None)

        def later(name: str, done: Any) -> None:
            asyncio.get_running_loop().call_soon(done, None, other)

        async def coroutine(name: str) -> Any:
            await asyncio.sleep(0)
            return other

        choices = {
            'callback': with_callback,
            'value': lambda name: other,
            'coroutine': coroutine,
            'later': later,
        }
        server = await serving(
            certs, lambda sock: sock.end(sock.servername), sni_callback=choices.get(kind)
        )
        if kind == 'add_context':
            server.add_context('*.other.example', other)
        sock = await client(server, certs, servername='a.other.example')
        assert sock.get_peer_certificate().subjectaltname == 'DNS:*.other.example'
        assert [chunk async for chunk in sock] == [b'a.other.example']
        await stop(server)

    run(main)


@pytest.mark.parametrize('how', ['error', 'raises', 'nonsense'])
def test_an_sni_callback_that_fails_ends_that_connection(
    run: Any, certs: Certificates, how: str
) -> None:
    async def main() -> None:
        def choose(name: str, done: Any) -> None:
            if how == 'raises':
                raise LookupError('no')
            done(LookupError('no') if how == 'error' else None, 'nonsense')

        server = await serving(certs, sni_callback=choose)
        failed = events.once(server, 'tlsClientError')
        with pytest.raises(tls.TLSHandshakeError):
            await client(server, certs, servername='localhost')
        error, _ = await failed
        if how == 'nonsense':
            assert error.code == 'ERR_TLS_INVALID_CONTEXT'
        else:
            assert isinstance(error, LookupError)
        assert server.handshake_failures == 1
        await stop(server)

    run(main)


def test_client_certificates(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        def serve(sock: Any) -> None:
            sock.end(f'{sock.authorized} {sock.get_peer_certificate().subjectaltname}')

        server = await serving(certs, serve, request_cert=True, ca=certs.ca)
        sock = await client(server, certs, **certs.client)
        assert [chunk async for chunk in sock] == [b'True DNS:client.example']
        failed = events.once(server, 'tlsClientError')
        sock = tls.connect(port_of(server), '127.0.0.1', {'ca': certs.ca})
        sock.on('error', lambda: None)
        error, _ = await failed
        assert error.code == 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE'
        await sock.wait_closed()
        await stop(server)

    run(main)


@pytest.mark.parametrize('version', ['TLSv1.2', 'TLSv1.3'])
def test_a_session_is_resumed(run: Any, certs: Certificates, version: str) -> None:
    async def main() -> None:
        server = await serving(certs, lambda sock: sock.pipe(sock), max_version=version)
        context = tls.create_secure_context(ca=certs.ca)
        got: list[Any] = []
        first = tls.connect(port_of(server), '127.0.0.1', secure_context=context)
        first.on('session', got.append)
        await first
        first.write('x')
        await first.read_exactly(1)
        assert got
        second = await tls.connect(
            port_of(server), '127.0.0.1', secure_context=context, session=got[-1]
        )
        assert second.is_session_reused()
        assert not first.is_session_reused()
        await stop(server, first, second)

    run(main)


def test_rotation_leaves_open_connections_alone(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        server = await serving(certs, lambda sock: sock.pipe(sock))
        old = await client(server, certs)
        server.set_secure_context(certs.issue('127.0.0.1', 'new.example'))
        new = await client(server, certs)
        assert 'new.example' in new.get_peer_certificate().subjectaltname
        assert 'new.example' not in old.get_peer_certificate().subjectaltname
        old.write('still here')
        assert await old.read_exactly(10) == b'still here'
        with pytest.raises(NodeError):
            server.set_secure_context(cert='-----BEGIN nonsense', key='-----BEGIN nonsense')
        third = await client(server, certs)
        assert 'new.example' in third.get_peer_certificate().subjectaltname
        await stop(server, old, new, third)

    run(main)


def test_truncation_is_an_error_or_the_end(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        def cut(sock: Any) -> None:
            sock.write('half')
            # Below TLS: the FIN goes out without a close_notify.
            sock.once('data', lambda: sock._handle._lower.shutdown(lambda code: None))

        server = await serving(certs, cut)
        for allow in (False, True):
            sock = await client(server, certs, allow_truncation=allow)
            assert await sock.read_exactly(4) == b'half'
            sock.write('now')
            if allow:
                assert [chunk async for chunk in sock] == []
            else:
                with pytest.raises(tls.TLSTruncatedError) as caught:
                    await sock.read_exactly(1)
                assert caught.value.code == 'ERR_TLS_TRUNCATED'
                assert isinstance(caught.value, EOFError)
            sock.destroy()
        await stop(server)

    run(main)


def test_destroy_says_goodbye_if_nothing_is_lost(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        def serve(sock: Any) -> None:
            sock.write('all')
            sock.destroy()

        server = await serving(certs, serve)
        sock = await client(server, certs)
        assert [chunk async for chunk in sock] == [b'all']
        await stop(server)

    run(main)


@pytest.mark.parametrize(
    'garbage',
    [
        b'GET / HTTP/1.1\r\n\r\n', b'\0' * 64, b'\x16\x03\x01\xff\xff' + b'x' * 64,
        b'SSH-2.0-x\r\n', b'\x15\x03\x03\0\x02\x02\x28',
    ],
)  # fmt: skip
def test_garbage_ends_that_connection_only(run: Any, certs: Certificates, garbage: bytes) -> None:
    async def main() -> None:
        server = await serving(certs, lambda sock: sock.pipe(sock))
        failed = events.once(server, 'tlsClientError')
        _, writer = await asyncio.open_connection('127.0.0.1', port_of(server))
        writer.write(garbage)
        error, _ = await failed
        assert error.code.startswith(('ERR_SSL_', 'ECONN'))
        assert '127.0.0.1' in str(error)
        writer.close()
        await asyncio.wait([asyncio.ensure_future(writer.wait_closed())])
        good = await client(server, certs)
        good.write('fine')
        assert await good.read_exactly(4) == b'fine'
        await stop(server, good)

    run(main)


def test_a_client_that_says_nothing_is_given_up(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        server = await serving(certs, handshake_timeout=20)
        failed = events.once(server, 'tlsClientError')
        plain = await net.connect(port_of(server), '127.0.0.1')
        plain.on('error', lambda: None)
        plain.write(b'\x16\x03\x01\x02\0\x01')  # the beginning of a ClientHello
        error, _ = await failed
        assert error.code == 'ERR_TLS_HANDSHAKE_TIMEOUT'
        plain.resume()
        await plain.wait_closed()
        await stop(server)

    run(main)


@pytest.mark.parametrize('way', ['connect', 'start_tls', 'a pair'])
def test_a_server_that_says_nothing_is_given_up(run: Any, certs: Certificates, way: str) -> None:
    async def main() -> None:
        silent = await net.create_server(lambda sock: sock.resume()).listen(0, '127.0.0.1')
        port = silent.address().port
        options: Any = {'ca': certs.ca, 'handshake_timeout': 20}
        waiting: Any
        if way == 'connect':
            waiting = tls.connect(port, '127.0.0.1', options)
        elif way == 'start_tls':
            sock = await net.connect(port, '127.0.0.1')
            waiting = sock.start_tls(server_hostname='localhost', **options)
        else:
            ours, theirs = stream.duplex_pair()
            theirs.resume()
            waiting = tls.connect(socket=ours, **options)
        with pytest.raises(tls.TLSHandshakeError, match='did not finish') as caught:
            await waiting
        assert caught.value.code == 'ERR_TLS_HANDSHAKE_TIMEOUT'
        assert await silent.close_all(deadline=5000) == 0

    run(main)


def test_the_handshake_timeout_ends_with_the_handshake(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        server = await serving(certs, lambda sock: sock.pipe(sock), handshake_timeout=0)
        for wait in (0, 5000):
            sock = await client(server, certs, handshake_timeout=wait)
            assert sock._handshake_timer is None
            sock.destroy()
        await stop(server)

    run(main)


def test_a_client_that_leaves_in_the_handshake(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        server = await serving(certs)
        failed = events.once(server, 'tlsClientError')
        plain = await net.connect(port_of(server), '127.0.0.1')
        plain.destroy()
        error, _ = await failed
        assert error.code == 'ECONNRESET'
        assert 'before the TLS handshake' in str(error)
        await stop(server)

    run(main)


def test_a_server_that_leaves_in_the_handshake(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        server = await net.create_server(lambda sock: sock.end()).listen(0, '127.0.0.1')
        with pytest.raises(ConnectionResetError) as caught:
            await client(server, certs)
        assert caught.value.code == 'ECONNRESET'  # type: ignore[attr-defined]
        await stop(server)

    run(main)


def test_start_tls_takes_what_was_read(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        async def serve(sock: Any) -> None:
            assert await sock.read_line() == b'STARTTLS\n'
            sock.write('go\n')
            secured = await tls.start_tls(sock, server_side=True, **certs.server)
            secured.write(await secured.read_line())
            secured.end()
            await secured.wait_closed()

        server = await net.create_server(serve).listen(0, '127.0.0.1')
        sock = await net.connect(port_of(server), '127.0.0.1')
        sock.write('STARTTLS\n')
        assert await sock.read_line() == b'go\n'
        secured = await tls.start_tls(sock, server_hostname='localhost', ca=certs.ca)
        secured.write('secret\n')
        assert await secured.read_line() == b'secret\n'
        assert [chunk async for chunk in secured] == []
        assert await server.close_all(deadline=5000) == 0

    run(main)


def test_start_tls_with_the_hello_pipelined(run: Any, certs: Certificates) -> None:
    """The client's hello comes in one segment with the line before it."""

    async def main() -> None:
        async def serve(sock: Any) -> None:
            assert await sock.read_line() == b'STARTTLS\n'
            secured = await tls.start_tls(sock, server_side=True, **certs.server)
            secured.end(await secured.read_line())

        server = await net.create_server(serve).listen(0, '127.0.0.1')
        context = ssl.create_default_context(cadata=certs.ca)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        raw = context.wrap_bio(incoming, outgoing, server_hostname='localhost')
        with pytest.raises(ssl.SSLWantReadError):
            raw.do_handshake()
        sock = await net.connect(port_of(server), '127.0.0.1')
        sock.write(b'STARTTLS\n' + outgoing.read())
        while True:
            try:
                raw.do_handshake()
                break
            except ssl.SSLWantReadError:
                incoming.write(await anext(sock.iterator(destroy_on_return=False)))
        raw.write(b'secret\n')
        sock.write(outgoing.read())
        got = b''
        while got != b'secret\n':
            incoming.write(await anext(sock.iterator(destroy_on_return=False)))
            while incoming.pending:
                try:
                    got += raw.read(100)
                except ssl.SSLWantReadError:
                    break
        await stop(server, sock)

    run(main)


def test_over_an_in_memory_pair_and_over_tls(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        from tailrace.testing import memory_pair

        here, there = memory_pair()
        inner = tls.TLSSocket(there, is_server=True, **certs.server)
        outer = tls.connect(socket=here, servername='localhost', ca=certs.ca)
        await outer
        await inner
        second_inner = tls.TLSSocket(inner, is_server=True, **certs.server)
        second = await tls.connect(socket=outer, servername='localhost', ca=certs.ca)
        second.end('twice')
        assert [chunk async for chunk in second_inner] == [b'twice']
        second_inner.end()
        second.resume()
        await second.wait_closed()
        for sock in (outer, inner):
            sock.destroy()

    run(main)


def test_a_unix_socket(run: Any, certs: Certificates, tmp_path: Any) -> None:
    async def main() -> None:
        server = tls.create_server(certs.server, lambda sock: sock.end('unix'))
        await server.listen(path=str(tmp_path / 's'))
        sock = await tls.connect(path=str(tmp_path / 's'), servername='localhost', ca=certs.ca)
        assert [chunk async for chunk in sock] == [b'unix']
        await stop(server)

    run(main)


def test_async_for_and_coroutine_handlers(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        server = await serving(certs)
        sock = tls.connect(port_of(server), '127.0.0.1', {'ca': certs.ca})
        async for accepted in server:
            assert accepted.get_protocol() == 'TLSv1.3'
            accepted.end('one')
            break
        assert [chunk async for chunk in sock] == [b'one']
        await stop(server)

    run(main)


def test_a_handler_that_raises_ends_its_connection_only(
    run: Any, certs: Certificates, caplog: Any
) -> None:
    async def main() -> None:
        async def serve(sock: Any) -> None:
            if await sock.read_line() == b'raise\n':
                raise ZeroDivisionError
            sock.end('fine')

        server = await serving(certs, serve)
        bad = await client(server, certs)
        bad.on('error', lambda: None)
        bad.write('raise\n')
        bad.resume()
        await bad.wait_closed()
        good = await client(server, certs)
        good.write('x\n')
        assert [chunk async for chunk in good] == [b'fine']
        await stop(server)
        assert 'ZeroDivisionError' in caplog.text
        assert isinstance(run.unhandled.pop()['exception'], ZeroDivisionError)

    run(main)


def test_backpressure_and_pausing(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        block = b'x' * 65536

        async def serve(sock: Any) -> None:
            for _ in range(64):
                if not sock.write(block):
                    await sock.drain()
            sock.end()

        server = await serving(certs, serve)
        sock = await client(server, certs)
        total = 0
        async for chunk in sock:
            total += len(chunk)
        assert total == 64 * len(block)
        await stop(server)

    run(main)


def test_onread(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        got = bytearray()

        def read(count: int, buffer: Any) -> None:
            got.extend(buffer[:count])

        server = await serving(certs, lambda sock: sock.end(b'0123456789' * 10))
        sock = tls.connect(
            {
                'port': port_of(server), 'host': '127.0.0.1', 'ca': certs.ca,
                'onread': {'buffer': bytearray(7), 'callback': read},
            }
        )  # fmt: skip
        await sock
        await events.once(sock, 'close')
        assert bytes(got) == b'0123456789' * 10
        await stop(server)

    run(main)


def test_what_is_known_of_the_peer(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        server = await serving(certs, lambda sock: sock.resume())
        sock = await client(server, certs)
        cert = sock.get_peer_certificate(True)
        assert (
            cert.subjectaltname == 'DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1'
        )
        assert cert.asn1Curve == 'prime256v1'
        assert cert.bits == 256
        assert not cert.ca
        assert cert.issuerCertificate.ca
        assert cert.fingerprint256.count(':') == 31
        assert cert.valid_to.endswith(' GMT')
        assert sock.get_cipher().version == 'TLSv1.3'
        assert sock.get_certificate() is None
        assert sock.get_x509_certificate() is None
        assert sock.get_peer_x509_certificate().serial_number == int(cert.serialNumber, 16)
        for refused in (sock.renegotiate, sock.get_tls_ticket):
            with pytest.raises(tls.TLSOptionError):
                refused()
        await stop(server, sock)

    run(main)


@pytest.mark.parametrize(
    ('options', 'code'),
    [
        ({'cert': 5}, 'ERR_INVALID_ARG_TYPE'),
        ({'key': 'x' * 5 + '-----BEGIN'}, 'ERR_INVALID_ARG_VALUE'),
        ({'ca': '-----BEGIN nonsense'}, 'ERR_INVALID_ARG_VALUE'),
        ({'min_version': 'SSLv3'}, 'ERR_INVALID_ARG_VALUE'),
        ({'min_version': 'TLSv1.3', 'max_version': 'TLSv1.2'}, 'ERR_INVALID_ARG_VALUE'),
        ({'ciphers': 'nonsense'}, 'ERR_INVALID_ARG_VALUE'),
        ({'ecdh_curve': 'nonsense'}, 'ERR_INVALID_ARG_VALUE'),
        ({'ticket_keys': b'x' * 48}, 'ERR_TLS_OPTION_UNSUPPORTED'),
        ({'session_timeout': 5}, 'ERR_TLS_OPTION_UNSUPPORTED'),
        ({'certificate_compression': True}, 'ERR_TLS_OPTION_UNSUPPORTED'),
        ({'request_cert': True, 'reject_unauthorized': False}, 'ERR_TLS_OPTION_UNSUPPORTED'),
        ({'alpn_protocols': 5}, 'ERR_INVALID_ARG_TYPE'),
        ({'alpn_protocols': ['']}, 'ERR_INVALID_ARG_VALUE'),
        ({'sni_callback': 5}, 'ERR_INVALID_ARG_TYPE'),
        ({'handshake_timeout': 'x'}, 'ERR_INVALID_ARG_TYPE'),
        ({'max_send_fragment': 1}, 'ERR_OUT_OF_RANGE'),
        ({'secure_context': 5}, 'ERR_INVALID_ARG_TYPE'),
    ],
)
def test_bad_options_are_refused_at_once(options: Any, code: str) -> None:
    with pytest.raises(NodeError) as caught:
        tls.create_server(options)
    assert caught.value.code == code


def test_a_ready_context(run: Any, certs: Certificates, tmp_path: Any) -> None:
    async def main() -> None:
        (tmp_path / 'all.pem').write_text(certs.server['cert'] + certs.server['key'])
        theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        theirs.load_cert_chain(tmp_path / 'all.pem')
        server = tls.create_server(secure_context=theirs, on_error='log')
        server.on('secureConnection', lambda sock: sock.end('x'))
        await server.listen(0, '127.0.0.1')
        ours = ssl.create_default_context(cadata=certs.ca)
        sock = await tls.connect(port_of(server), '127.0.0.1', secure_context=ours)
        assert [chunk async for chunk in sock] == [b'x']
        with pytest.raises(tls.TLSCertificateError):
            await tls.connect(
                port_of(server), '127.0.0.1', secure_context=ours, servername='other.example'
            )
        await stop(server)

    run(main)


def test_files_and_passphrases(run: Any, certs: Certificates, tmp_path: Any) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(certs.server['key'].encode(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b'word'),
    )
    (tmp_path / 'cert.pem').write_text(certs.server['cert'])
    (tmp_path / 'key.pem').write_bytes(locked)

    async def main() -> None:
        files = {'cert': str(tmp_path / 'cert.pem'), 'key': tmp_path / 'key.pem'}
        server = tls.create_server({**files, 'passphrase': 'word'}, lambda sock: sock.end())
        await server.listen(0, '127.0.0.1')
        await stop(server, await client(server, certs))
        for wrong in ('other', None):
            with pytest.raises(NodeError) as caught:
                tls.create_server(files, passphrase=wrong)
            assert caught.value.code == 'ERR_INVALID_ARG_VALUE'

    run(main)


def test_any_duplex_can_be_given_to_a_server(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        from tailrace.testing import memory_pair

        server = tls.create_server(certs.server, lambda sock: sock.end('given'))
        here, there = memory_pair()
        server.emit('connection', there)
        sock = await tls.connect(socket=here, servername='localhost', ca=certs.ca)
        assert isinstance(sock, stream.Duplex)
        assert [chunk async for chunk in sock] == [b'given']

    run(main)


def test_a_cancelled_handshake_leaves_nothing(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        server = await net.create_server(lambda sock: sock.resume()).listen(0, '127.0.0.1')
        sock = await net.connect(port_of(server), '127.0.0.1')
        for attempt in (
            sock.start_tls(server_hostname='localhost', ca=certs.ca),
            tls.start_tls(
                await net.connect(port_of(server), '127.0.0.1'),
                server_hostname='localhost',
                ca=certs.ca,
            ),
        ):
            task = asyncio.ensure_future(attempt)
            for _ in range(3):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await server.close_all(deadline=5000) == 0

    run(main)
