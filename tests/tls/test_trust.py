"""Nothing is ``authorized`` that was not verified: every kind of rule against every kind of peer.

A peer that is refused gets none of the data that was written before, whatever was wrong with it.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from tailrace import net, tls
from tailrace.errors import NodeError

from .authorities import Certificates

needs_node = pytest.mark.skipif(shutil.which('node') is None, reason='node is not installed')

Options = dict[str, Any]

#: What a server shows.
PEERS: dict[str, Callable[[Certificates], Options]] = {
    'good': lambda c: c.server,
    'chain': lambda c: c.chain,
    'wrong host': lambda c: c.other_host,
    'expired': lambda c: c.expired,
    'unknown issuer': lambda c: c.unknown,
    'self-signed': lambda c: c.self_signed,
    'partial chain': lambda c: c.partial,
    'revoked': lambda c: c.revoked,
}


def ready(certs: Certificates, mode: ssl.VerifyMode, names: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = names
    context.verify_mode = mode
    context.load_verify_locations(cadata=certs.ca)
    return context


#: How a client decides.
CLIENTS: dict[str, Callable[[Certificates], Options]] = {
    'ca': lambda c: {'ca': c.ca},
    'ca, 0': lambda c: {'ca': c.ca, 'reject_unauthorized': 0},
    'ca and crl': lambda c: {'ca': c.ca, 'crl': [c.crl, c.list_of(c.middle)]},
    'no ca': lambda c: {},
    'ca []': lambda c: {'ca': []},
    'ca, False': lambda c: {'ca': c.ca, 'reject_unauthorized': False},
    'no ca, False': lambda c: {'reject_unauthorized': False},
    'ca and crl, False': lambda c: {
        'ca': c.ca,
        'crl': [c.crl, c.list_of(c.middle)],
        'reject_unauthorized': False,
    },
    'ready': lambda c: {'secure_context': ready(c, ssl.CERT_REQUIRED, True)},
    'ready, names off': lambda c: {'secure_context': ready(c, ssl.CERT_REQUIRED, False)},
    'ready, optional': lambda c: {'secure_context': ready(c, ssl.CERT_OPTIONAL, False)},
    'ready, none': lambda c: {'secure_context': ready(c, ssl.CERT_NONE, False)},
}

ISSUER = 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'
NAME = 'ERR_TLS_CERT_ALTNAME_INVALID'
UNVERIFIED = 'ERR_TLS_UNVERIFIED'
#: The code of the refusal with the authority's certificate; not here: accepted.
REFUSED = {
    'wrong host': NAME,
    'expired': 'CERT_HAS_EXPIRED',
    'unknown issuer': ISSUER,
    'self-signed': 'DEPTH_ZERO_SELF_SIGNED_CERT',
    'partial chain': ISSUER,
}


def expected(client: str, peer: str) -> tuple[str, str | None]:
    """('authorized', None), ('refused', code) or ('unverified', code)."""
    if client == 'ready, none':
        return 'unverified', NAME if peer == 'wrong host' else UNVERIFIED
    if client.endswith(', False'):
        # It goes on, and says what would have been the error.
        became, code = expected(client.removesuffix(', False'), peer)
        return ('unverified' if became == 'refused' else became), code
    if client in ('no ca', 'ca []'):
        return 'refused', REFUSED[peer] if peer == 'self-signed' else ISSUER
    if peer == 'revoked' and client == 'ca and crl':
        return 'refused', 'CERT_REVOKED'
    if client == 'ready' and peer == 'wrong host':
        return 'refused', 'HOSTNAME_MISMATCH'
    code = REFUSED.get(peer)
    return ('authorized', None) if code is None else ('refused', code)


class Watched:
    """A server that keeps what it gets."""

    def __init__(self, options: Options) -> None:
        self.got: list[bytes] = []
        self.ended = 0
        self.server = tls.create_server(options, self._serve)
        self.failed: list[str | None] = []
        self.server.on('tlsClientError', lambda error: self.failed.append(error.code))

    def _serve(self, sock: tls.TLSSocket) -> None:
        sock.on('data', self.got.append)
        sock.on('error', lambda: None)
        sock.end('hello')

    async def listen(self) -> int:
        await self.server.listen(0, '127.0.0.1')
        return int(self.server.address().port)

    async def close(self) -> None:
        assert await self.server.close_all(deadline=5000) == 0


async def outcome(sock: tls.TLSSocket) -> tuple[str, str | None, list[str]]:
    """What became of a client that has written a secret; with the events in their order."""
    seen: list[str] = []
    errors: list[Any] = []
    at_event: list[tuple[bool, str | None]] = []
    for event in ('secure', 'secureConnect', 'data', 'end', 'error', 'close'):
        sock.on(event, lambda *_, event=event: seen.append(event))
    sock.on('error', errors.append)
    sock.on('secureConnect', lambda: at_event.append((sock.authorized, sock.authorization_error)))
    assert (sock.authorized, sock.authorization_error) == (False, None)
    sock.end('secret')
    await sock.wait_closed()
    if errors:
        assert at_event == []
        assert not sock.authorized
        return 'refused', errors[0].code, seen
    assert at_event == [(sock.authorized, sock.authorization_error)]
    return ('authorized' if sock.authorized else 'unverified'), sock.authorization_error, seen


@pytest.mark.parametrize('version', ['TLSv1.2', 'TLSv1.3'])
@pytest.mark.parametrize('peer', PEERS)
@pytest.mark.parametrize('client', CLIENTS)
def test_every_rule_against_every_peer(
    run: Any, certs: Certificates, client: str, peer: str, version: str
) -> None:
    async def main() -> None:
        watched = Watched({**PEERS[peer](certs), 'max_version': version})
        port = await watched.listen()
        sock = tls.connect(port, '127.0.0.1', servername='localhost', **CLIENTS[client](certs))
        became, reason, seen = await outcome(sock)
        assert (became, reason) == expected(client, peer)
        await watched.close()
        if became == 'refused':
            assert seen == ['error', 'close']
            assert watched.got == []
            # In TLS 1.2 the server has completed its part when the client compares the name.
            late = version == 'TLSv1.2' and reason == NAME
            assert watched.server.handshake_failures == (not late)
        else:
            assert seen == ['secure', 'secureConnect', 'data', 'end', 'close']
            assert watched.got == [b'secret']

    run(main)


NODE = """
const tls = require('tls'), fs = require('fs')
const [ca, reject, ...ports] = process.argv.slice(1)
const ask = (port) => new Promise(done => {
  const s = tls.connect({port: +port, host: '127.0.0.1', servername: 'localhost',
                         ca: fs.readFileSync(ca), rejectUnauthorized: reject === 'true'},
    () => { done(s.authorized ? 'authorized' : s.authorizationError); s.destroy() })
  s.on('error', e => done(e.code))
})
Promise.all(ports.map(ask)).then(all => console.log(all.join('\\n')))
"""


@needs_node
@pytest.mark.parametrize('reject', ['true', 'false'])
def test_node_says_the_same_of_these_peers(
    run: Any, certs: Certificates, tmp_path: Any, reject: str
) -> None:
    """But where several things are wrong: see the page of deviations."""

    async def main() -> None:
        (tmp_path / 'ca.pem').write_text(certs.ca)
        servers = [Watched(make(certs)) for make in PEERS.values()]
        ports = [str(await one.listen()) for one in servers]
        process = await asyncio.create_subprocess_exec(
            *('node', '-e', NODE, str(tmp_path / 'ca.pem'), reject, *ports),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        told = dict(zip(PEERS, out.decode().split(), strict=True))
        rule = 'ca' if reject == 'true' else 'ca, False'
        ours = {peer: expected(rule, peer)[1] or 'authorized' for peer in PEERS}
        # Node goes on after the first thing that is wrong, and tells the last.
        for peer in ('unknown issuer', 'partial chain'):
            assert ours.pop(peer) == ISSUER
            assert told.pop(peer) == 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'
        assert told == ours
        for one in servers:
            await one.close()

    run(main)


# -- the name -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('options', 'became'),
    [
        ({'host': 'localhost'}, 'authorized'),
        ({'host': '127.0.0.1'}, 'authorized'),
        ({'host': '127.0.0.1', 'servername': 'localhost'}, 'authorized'),
        # '' sends no name; the certificate is compared with the host all the same.
        ({'host': 'localhost', 'servername': ''}, 'authorized'),
        ({'host': '127.0.0.1', 'servername': '127.0.0.1'}, 'authorized'),
        ({'host': '127.0.0.1', 'servername': '127.0.0.9'}, NAME),
        ({'host': '127.0.0.1', 'servername': 'other.example'}, NAME),
        ({'host': '127.0.0.1', 'servername': 'localhost.example'}, NAME),
    ],
)
def test_the_name_that_counts(run: Any, certs: Certificates, options: Options, became: str) -> None:
    async def main() -> None:
        watched = Watched(certs.server)
        port = await watched.listen()
        names: list[Any] = []
        watched.server.on('secureConnection', lambda sock: names.append(sock.servername))
        told = await outcome(tls.connect(port=port, ca=certs.ca, **options))
        assert (told[1] or told[0]) == became
        await watched.close()
        if became == 'authorized':
            asked = options.get('servername', options['host'])
            assert names == [asked if asked == 'localhost' else False]

    run(main)


def test_set_servername_does_not_change_whose_certificate_it_has_to_be(
    run: Any, certs: Certificates
) -> None:
    async def main() -> None:
        watched = Watched(certs.server)
        port = await watched.listen()
        for context in (None, ready(certs, ssl.CERT_REQUIRED, True)):
            trust: Options = {'ca': certs.ca} if context is None else {'secure_context': context}
            sock = tls.connect(port, '127.0.0.1', servername='other.example', **trust)
            sock.set_servername('localhost')
            assert (await outcome(sock))[:2] == ('refused', NAME)
            sock = tls.connect(port, 'localhost', **trust)
            sock.set_servername('')
            assert (await outcome(sock))[0] == 'authorized'
        assert watched.got == [b'secret'] * 2
        await watched.close()

    run(main)


def test_a_wrapped_socket_needs_a_name(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        watched = Watched(certs.server)
        port = await watched.listen()
        for options in (
            {'ca': certs.ca},
            {'secure_context': ready(certs, ssl.CERT_REQUIRED, True)},
        ):
            sock = await net.connect(port, '127.0.0.1')
            for name in (None, ''):
                with pytest.raises(NodeError) as caught:
                    await tls.start_tls(sock, server_hostname=name, **options)
                assert caught.value.code == 'ERR_INVALID_ARG_VALUE'
            with pytest.raises(NodeError):
                tls.TLSSocket(sock, options)
            secured = await sock.start_tls(server_hostname='localhost', **options)
            assert secured.authorized
            secured.destroy()
            await secured.wait_closed()
            # As in Node: whom it was not told, it takes for localhost.
            sock = await net.connect(port, '127.0.0.1')
            assert (await outcome(tls.connect(socket=sock, **options)))[0] == 'authorized'
        sock = await net.connect(port, '127.0.0.1')
        with pytest.raises(tls.TLSCertificateError) as refused:
            await sock.start_tls(server_hostname='other.example', ca=certs.ca)
        assert refused.value.code == NAME
        # Without a name, but with nothing that would be refused for it.
        sock = await net.connect(port, '127.0.0.1')
        secured = await sock.start_tls(ca=certs.ca, reject_unauthorized=False)
        assert (secured.authorized, secured.authorization_error) == (False, NAME)
        secured.destroy()
        await watched.close()

    run(main)


# -- check_server_identity ------------------------------------------------------------------------


class Mine(Exception):
    code = 'MINE'


def raises(host: str, cert: Any) -> None:
    raise Mine


async def coroutine(host: str, cert: Any) -> None:
    raise AssertionError('it is not run')


CHECKS: dict[str, tuple[Callable[..., Any], str | None]] = {
    'none': (lambda host, cert: None, None),
    'error': (lambda host, cert: Mine(), 'MINE'),
    'raises': (raises, 'MINE'),
    'no code': (lambda host, cert: ValueError('some text'), 'some text'),
    'false': (lambda host, cert: False, 'ERR_INVALID_RETURN_VALUE'),
    'true': (lambda host, cert: True, 'ERR_INVALID_RETURN_VALUE'),
    'coroutine': (coroutine, 'ERR_INVALID_RETURN_VALUE'),
}


@pytest.mark.parametrize('version', ['TLSv1.2', 'TLSv1.3'])
@pytest.mark.parametrize('client', ['ca', 'ca, False', 'ready', 'ready, none'])
@pytest.mark.parametrize('check', CHECKS)
def test_check_server_identity(
    run: Any, certs: Certificates, check: str, client: str, version: str
) -> None:
    async def main() -> None:
        watched = Watched({**certs.server, 'max_version': version})
        port = await watched.listen()
        function, code = CHECKS[check]
        asked: list[Any] = []

        def checking(host: str, cert: Any) -> Any:
            asked.append((host, cert.subjectaltname))
            return function(host, cert)

        sock = tls.connect(
            port, 'localhost', check_server_identity=checking, **CLIENTS[client](certs)
        )
        errors: list[Any] = []
        sock.on('error', errors.append)
        sock.end('secret')
        sock.resume()
        await sock.wait_closed()
        assert [host for host, _ in asked] == ['localhost']
        assert 'localhost' in asked[0][1]
        verified = client != 'ready, none'
        assert sock.authorized == (verified and code is None)
        assert sock.authorization_error == (code or (None if verified else UNVERIFIED))
        # Only reject_unauthorized=False lets a server pass that the check has refused.
        refused = code is not None and client != 'ca, False'
        assert len(errors) == refused
        await watched.close()
        assert watched.got == ([] if refused else [b'secret'])

    run(main)


def test_a_check_that_writes_or_destroys_sends_nothing(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        watched = Watched(certs.server)
        port = await watched.listen()
        versions = ['TLSv1.2', 'TLSv1.3']

        def writes(host: str, cert: Any) -> Exception:
            socks[-1].write(b'x' * 100_000)
            return Mine()

        def destroys(host: str, cert: Any) -> None:
            socks[-1].write('x')
            socks[-1].destroy()

        socks: list[tls.TLSSocket] = []
        for check, version in itertools.product((writes, destroys), versions):
            sock = tls.connect(
                port, 'localhost', ca=certs.ca, check_server_identity=check, max_version=version
            )
            sock.on('error', lambda: None)
            socks.append(sock)
            await sock.wait_closed()
            assert not sock.authorized
            assert sock.secure_connecting
        await watched.close()
        assert watched.got == []

    run(main)


# -- options --------------------------------------------------------------------------------------

SUITES = 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256'


@pytest.mark.parametrize(
    ('ciphers', 'versions', 'agreed'),
    [
        ('ECDHE-ECDSA-AES128-GCM-SHA256', {}, 'TLSv1.2'),
        (SUITES, {}, 'TLSv1.3'),
        (SUITES, {'max_version': 'TLSv1.2'}, 'ERR_INVALID_ARG_VALUE'),
        ('ECDHE-ECDSA-AES128-GCM-SHA256', {'min_version': 'TLSv1.3'}, 'ERR_INVALID_ARG_VALUE'),
        (f'{SUITES}:ECDHE-ECDSA-AES128-GCM-SHA256', {}, 'TLSv1.3'),
        (f'{SUITES}:ECDHE-ECDSA-AES128-GCM-SHA256', {'max_version': 'TLSv1.2'}, 'TLSv1.2'),
        ('TLS_AES_128_GCM_SHA256', {}, 'ERR_TLS_OPTION_UNSUPPORTED'),
    ],
)
def test_ciphers_decide_about_versions(
    run: Any, certs: Certificates, ciphers: str, versions: Options, agreed: str
) -> None:
    async def main() -> None:
        watched = Watched(certs.server)
        port = await watched.listen()
        options = {'ca': certs.ca, 'ciphers': ciphers, **versions}
        if agreed.startswith('ERR'):
            with pytest.raises(NodeError) as caught:
                tls.connect(port, 'localhost', options)
            assert caught.value.code == agreed
        else:
            sock = await tls.connect(port, 'localhost', options)
            assert sock.get_protocol() == agreed
            sock.destroy()
        # What cannot be had at both sides fails; nothing weaker is taken instead.
        if 'AES128' in ciphers and ':' not in ciphers and not versions:
            with pytest.raises(ssl.SSLError):
                await tls.connect(
                    port, 'localhost', ca=certs.ca, max_version='TLSv1.2', ciphers='AES128-SHA'
                )
        await watched.close()

    run(main)


def test_what_is_too_late(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        watched = Watched(certs.server)
        port = await watched.listen()
        sock = await tls.connect(port, 'localhost', ca=certs.ca)
        session = sock.get_session()
        for call in (
            lambda: sock.set_servername('x'),
            lambda: sock.set_session(session),
            lambda: sock.set_key_cert(certs.server),
            sock.enable_trace,
        ):
            with pytest.raises(NodeError) as caught:
                call()
            assert caught.value.code == 'ERR_TLS_OPTION_UNSUPPORTED'
        sock.destroy()
        await watched.close()

    run(main)


def test_a_socket_that_is_connected_again_is_judged_again(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        good, bad = Watched(certs.server), Watched(certs.unknown)
        ports = [await good.listen(), await bad.listen()]
        sock = await tls.connect(ports[0], 'localhost', ca=certs.ca)
        assert sock.authorized
        sock.destroy()
        await sock.wait_closed()
        at_connect: list[Any] = []
        errors: list[Any] = []
        sock.once('connect', lambda: at_connect.append((sock.authorized, sock.secure_connecting)))
        sock.on('error', errors.append)
        sock.connect(ports[1], 'localhost')
        sock.write('secret')
        await sock.wait_closed()
        assert at_connect == [(False, True)]
        assert [error.code for error in errors] == [ISSUER]
        assert not sock.authorized
        await good.close()
        await bad.close()
        assert bad.got == []

    run(main)


def test_a_certificate_among_the_revocation_lists_is_not_trusted(
    run: Any, certs: Certificates
) -> None:
    async def main() -> None:
        watched = Watched(certs.unknown)
        port = await watched.listen()
        stranger = certs.stranger.cert_pem.bytes().decode()
        crl = certs.crl + stranger + certs.list_of(certs.stranger)
        sock = tls.connect(port, 'localhost', ca=certs.ca, crl=crl)
        assert (await outcome(sock))[:2] == ('refused', ISSUER)
        with pytest.raises(NodeError) as caught:
            tls.create_secure_context(ca=certs.ca, crl=stranger)
        assert caught.value.code == 'ERR_INVALID_ARG_VALUE'
        await watched.close()

    run(main)


def test_a_server_without_any_certificate(run: Any, certs: Certificates) -> None:
    """An anonymous cipher suite: the handshake succeeds, and proves nothing."""

    async def main() -> None:
        anonymous = 'AECDH-AES128-SHA:@SECLEVEL=0'
        watched = Watched({'ciphers': anonymous})
        port = await watched.listen()
        options = {'ca': certs.ca, 'ciphers': anonymous}
        for more in ({}, {'check_server_identity': lambda host, cert: None}):
            sock = tls.connect(port, 'localhost', options, **more)
            assert (await outcome(sock))[:2] == ('refused', 'UNABLE_TO_GET_ISSUER_CERT')
        assert watched.got == []
        sock = tls.connect(port, 'localhost', options, reject_unauthorized=False)
        assert (await outcome(sock))[:2] == ('unverified', 'UNABLE_TO_GET_ISSUER_CERT')
        await watched.close()

    run(main)


def test_a_chain_links_by_names(run: Any, certs: Certificates) -> None:
    """A server may send what it likes behind its certificate: a stranger is no issuer."""

    async def main() -> None:
        stranger = certs.stranger.cert_pem.bytes().decode()
        own, middle = certs.chain['cert'].split('-----END CERTIFICATE-----\n')[:2]
        end = '-----END CERTIFICATE-----\n'
        mixed = {'cert': own + end + stranger + middle + end, 'key': certs.chain['key']}
        watched = Watched(mixed)
        port = await watched.listen()
        seen: list[Any] = []
        early: list[Any] = []

        def keep(host: str, cert: Any) -> None:
            seen.append(cert)

        for reject in (True, False):
            sock = tls.connect(
                port, 'localhost', ca=certs.ca, reject_unauthorized=reject,
                check_server_identity=keep,
            )  # fmt: skip
            sock.on('connect', lambda sock=sock: early.append(sock.get_peer_certificate()))
            assert (await outcome(sock))[0] == 'authorized'
        assert early == [{}, {}]
        for one in seen:
            middle_one = one.issuerCertificate
            root = middle_one.issuerCertificate
            assert (middle_one.subject, root.subject) == (one.issuer, middle_one.issuer)
            assert root.issuerCertificate is root
        await watched.close()

    run(main)


def test_only_ascii_letters_are_alike() -> None:
    cert = {'subjectaltname': 'DNS:kelvin.example'}
    assert tls.check_server_identity('KELVIN.Example.', cert) is None
    assert tls.check_server_identity('\N{KELVIN SIGN}elvin.example', cert) is not None


def test_start_tls_with_certificates_of_clients(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        told: list[Any] = []

        async def serve(sock: Any) -> None:
            try:
                secured = await sock.start_tls(
                    server_side=True, request_cert=True, ca=certs.ca, **certs.server
                )
            except tls.TLSError as error:
                told.append(error.code)
            else:
                told.append(secured.authorized)
                secured.end()
                await secured.wait_closed()

        server = await net.create_server(serve).listen(0, '127.0.0.1')
        for client in (certs.client, certs.unknown, {}):
            sock = await net.connect(server.address().port, '127.0.0.1')
            secured = tls.TLSSocket(sock, ca=certs.ca, servername='localhost', **client)
            secured.on('error', lambda: None)
            secured.resume()
            secured.end()
            await secured.wait_closed()
        assert await server.close_all(deadline=5000) == 0
        assert told == [True, ISSUER, 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE']

    run(main)
