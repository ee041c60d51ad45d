"""Whom a server takes for authorized; sessions that are resumed; contexts that many share."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest

from tailrace import events, tls
from tailrace.errors import NodeError

from .authorities import Certificates, pem

Options = dict[str, Any]
NO_CERTIFICATE = 'UNABLE_TO_GET_ISSUER_CERT'
MISSING = 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE'
ISSUER = 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'
#: The same, where the client sends its authority along: OpenSSL finds it among those it trusts.
ROOT = 'SELF_SIGNED_CERT_IN_CHAIN'
UNVERIFIED = 'ERR_TLS_UNVERIFIED'


def of_server(certs: Certificates, tmp_path: Any, mode: ssl.VerifyMode) -> ssl.SSLContext:
    """A ready context for a server."""
    (tmp_path / 'all.pem').write_text(certs.server['cert'] + certs.server['key'])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / 'all.pem')
    context.load_verify_locations(cadata=certs.ca)
    context.verify_mode = mode
    return context


def of_client(certs: Certificates, mode: ssl.VerifyMode, names: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = names
    context.verify_mode = mode
    context.load_verify_locations(cadata=certs.ca)
    return context


class Asked:
    """A server that tells what it knows of each client, as its answer."""

    def __init__(self, options: Any = None, /, **keywords: Any) -> None:
        self.failed: list[str | None] = []
        self.seen: list[tuple[bool, str | None]] = []
        self.server = tls.create_server(options, self._serve, **keywords)
        self.server.on('tlsClientError', lambda error: self.failed.append(error.code))

    def _serve(self, sock: tls.TLSSocket) -> None:
        self.seen.append((sock.authorized, sock.authorization_error))
        sock.on('error', lambda: None)
        sock.end(b'x')

    async def listen(self) -> int:
        await self.server.listen(0, '127.0.0.1')
        return int(self.server.address().port)

    async def close(self) -> None:
        assert await self.server.close_all(deadline=5000) == 0


async def visit(port: int, certs: Certificates, **options: Any) -> tls.TLSSocket:
    """Connect, read to the end; an error is expected where the server refuses."""
    if 'secure_context' not in options:
        options.setdefault('ca', certs.ca)
    sock = tls.connect(port, '127.0.0.1', options)
    sock.on('error', lambda: None)
    sock.resume()
    sock.end()
    await sock.wait_closed()
    return sock


# -- client certificates --------------------------------------------------------------------------


def client_of(certs: Certificates, kind: str) -> Options:
    return {
        'none': dict,
        'good': lambda: certs.client,
        'through middle': lambda: pem(certs.middle.issue_cert('client.example')),
        'unknown': lambda: certs.unknown,
        'self-signed': lambda: certs.self_signed,
        'expired': lambda: certs.expired,
        'revoked': lambda: certs.revoked,
    }[kind]()


#: (client, with a crl): the code that the server tells; '' for those that are let in.
CODES = {
    'none': MISSING,
    'good': '',
    'through middle': '',
    'unknown': ISSUER,
    'self-signed': 'DEPTH_ZERO_SELF_SIGNED_CERT',
    'expired': 'CERT_HAS_EXPIRED',
    'revoked': '',
}


@pytest.mark.parametrize('version', ['TLSv1.2', 'TLSv1.3'])
@pytest.mark.parametrize('kind', CODES)
@pytest.mark.parametrize('rules', ['asks', 'asks, crl', 'asks, no ca', 'ready', 'optional', 'none'])
def test_every_rule_against_every_client(
    run: Any, certs: Certificates, tmp_path: Any, rules: str, kind: str, version: str
) -> None:
    async def main() -> None:
        lists = [certs.crl, certs.list_of(certs.middle)]
        options: Options = {
            'asks': lambda: {**certs.server, 'ca': certs.ca, 'request_cert': True},
            'asks, crl': lambda: {
                **certs.server, 'ca': certs.ca, 'request_cert': True, 'crl': lists,
            },
            'asks, no ca': lambda: {**certs.server, 'request_cert': True},
            'ready': lambda: {'secure_context': of_server(certs, tmp_path, ssl.CERT_REQUIRED)},
            'optional': lambda: {'secure_context': of_server(certs, tmp_path, ssl.CERT_OPTIONAL)},
            'none': lambda: {**certs.server, 'ca': certs.ca},
        }[rules]()  # fmt: skip
        asked = Asked(options)
        port = await asked.listen()
        await visit(port, certs, **client_of(certs, kind), max_version=version)
        await asked.close()
        code = CODES[kind]
        if rules == 'asks, no ca' and kind not in ('none', 'self-signed'):
            code = ISSUER if kind in ('unknown', 'through middle') else ROOT
        if rules == 'asks, crl' and kind == 'revoked':
            code = 'CERT_REVOKED'
        if rules == 'none':
            assert asked.seen == [(False, None)]
        elif rules == 'optional' and kind == 'none':
            assert asked.seen == [(False, NO_CERTIFICATE)]
        elif code:
            assert asked.seen == []
            assert asked.failed == [code]
        else:
            assert asked.seen == [(True, None)]
            assert asked.failed == []

    run(main)


def test_contradictions_with_a_ready_context_are_refused_at_once(
    certs: Certificates, tmp_path: Any
) -> None:
    none = of_server(certs, tmp_path, ssl.CERT_NONE)
    optional = of_server(certs, tmp_path, ssl.CERT_OPTIONAL)
    client = of_client(certs, ssl.CERT_REQUIRED)
    careless = of_client(certs, ssl.CERT_NONE)
    value, unsupported = 'ERR_INVALID_ARG_VALUE', 'ERR_TLS_OPTION_UNSUPPORTED'
    for options, code in (
        ({'secure_context': none, 'request_cert': True}, value),
        ({'secure_context': optional, 'request_cert': True}, value),
        ({'secure_context': client}, value),
        ({'secure_context': none, 'ca': certs.ca}, value),
        ({'secure_context': none, 'min_version': 'TLSv1.3'}, value),
        ({'secure_context': tls.create_secure_context(certs.server), **certs.server}, value),
        ({'secure_context': none, 'alpn_protocols': ['x']}, unsupported),
        ({'secure_context': none, 'alpn_callback': lambda _: 'x'}, unsupported),
        ({'secure_context': none, 'enable_trace': True}, unsupported),
    ):
        with pytest.raises(NodeError) as caught:
            tls.create_server(options)
        assert caught.value.code == code, options
    for options, code in (
        ({'secure_context': none}, value),
        ({'secure_context': client, 'reject_unauthorized': False}, value),
        ({'secure_context': careless, 'reject_unauthorized': True}, value),
        ({'secure_context': client, 'ca': certs.ca}, value),
        ({'secure_context': client, 'alpn_protocols': ['x']}, unsupported),
    ):
        with pytest.raises(NodeError) as caught:
            tls.connect(1, '127.0.0.1', options)
        assert caught.value.code == code, options
    asking = tls.create_server({**certs.server, 'ca': certs.ca, 'request_cert': True})
    for context in (none, optional, client):
        with pytest.raises(NodeError) as caught:
            asking.add_context('a.example', context)
        assert caught.value.code == value
        with pytest.raises(NodeError):
            asking.set_secure_context(context)
    with pytest.raises(NodeError):
        asking.set_secure_context(tls.create_secure_context(), ca=certs.ca)
    with pytest.raises(NodeError) as caught:
        asking.add_context('', certs.server)
    assert caught.value.code == 'ERR_TLS_REQUIRED_SERVER_NAME'


def test_a_ready_context_that_became_careless_is_noticed(
    run: Any, certs: Certificates, tmp_path: Any
) -> None:
    """It was checked when it was given; what counts is what it was for the connection."""

    async def main() -> None:
        theirs = of_server(certs, tmp_path, ssl.CERT_REQUIRED)
        asked = Asked(secure_context=theirs, request_cert=True)
        port = await asked.listen()
        theirs.verify_mode = ssl.CERT_NONE
        await visit(port, certs, **certs.client)
        assert (asked.seen, asked.failed) == ([], [NO_CERTIFICATE])
        theirs.verify_mode = ssl.CERT_REQUIRED
        await visit(port, certs, **certs.client)
        assert asked.seen == [(True, None)]
        await asked.close()

    run(main)


# -- SNI, and changes while it runs ---------------------------------------------------------------


@pytest.mark.parametrize('how', ['add_context', 'sni_callback'])
def test_another_name_does_not_loosen_the_rule(
    run: Any, certs: Certificates, tmp_path: Any, how: str
) -> None:
    """Contexts for other names know other authorities; the server asks all the same."""

    async def main() -> None:
        stranger = certs.stranger.cert_pem.bytes().decode()
        contexts = {
            'same.example': tls.create_secure_context(certs.server, ca=certs.ca),
            'other.example': tls.create_secure_context(certs.server, ca=stranger),
            'system.example': tls.create_secure_context(certs.server),
        }
        asking: Options = {**certs.server, 'ca': certs.ca, 'request_cert': True}
        if how == 'sni_callback':
            asking['sni_callback'] = lambda name: contexts.get(name)
        asked = Asked(asking)
        for name, context in contexts.items() if how == 'add_context' else ():
            asked.server.add_context(name, context)
        port = await asked.listen()
        names = {'check_server_identity': lambda host, cert: None}
        for name, cert, code in (
            ('localhost', certs.client, ''),
            ('localhost', certs.unknown, ISSUER),
            ('same.example', certs.client, ''),
            ('same.example', {}, MISSING),
            ('other.example', certs.client, ROOT),
            ('other.example', certs.unknown, ''),
            ('system.example', certs.client, ROOT),
            ('system.example', {}, MISSING),
        ):
            asked.seen.clear()
            asked.failed.clear()
            await visit(port, certs, servername=name, **names, **cert)
            expected = ([], [code]) if code else ([(True, None)], [])
            assert (asked.seen, asked.failed) == expected, (name, code)
        # A server that does not ask shares these contexts, and lets everybody in.
        other = Asked(certs.server, sni_callback=lambda name: contexts.get(name))
        port = await other.listen()
        for name in contexts:
            await visit(port, certs, servername=name, **names)
        assert other.seen == [(False, None)] * 3
        await asked.close()
        await other.close()

    run(main)


def test_an_sni_callback_with_a_context_that_does_not_ask_is_refused(
    run: Any, certs: Certificates, tmp_path: Any
) -> None:
    async def main() -> None:
        careless = of_server(certs, tmp_path, ssl.CERT_NONE)

        async def later(name: str) -> Any:
            return careless

        for callback in (lambda name: careless, later):
            asked = Asked(
                {**certs.server, 'ca': certs.ca, 'request_cert': True}, sni_callback=callback
            )
            port = await asked.listen()
            await visit(port, certs, servername='localhost', **certs.client)
            assert (asked.seen, asked.failed) == ([], ['ERR_INVALID_ARG_VALUE'])
            await asked.close()

    run(main)


def test_set_secure_context_changes_whom_it_trusts(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        asked = Asked({**certs.server, 'ca': certs.ca, 'request_cert': True})
        port = await asked.listen()
        await visit(port, certs, **certs.client)
        stranger = certs.stranger.cert_pem.bytes()
        asked.server.set_secure_context({**certs.server, 'ca': stranger})
        await visit(port, certs, **certs.client)
        await visit(port, certs, **certs.unknown)
        assert asked.seen == [(True, None)] * 2
        assert asked.failed == [ROOT]
        asked.server.set_secure_context(certs.server)  # the system's: not these
        for cert in (certs.client, certs.unknown, {}):
            await visit(port, certs, **cert)
        assert asked.failed == [ROOT, ROOT, ISSUER, MISSING]
        await asked.close()

    run(main)


def test_set_key_cert_is_for_one_connection_and_trusts_as_before(
    run: Any, certs: Certificates, tmp_path: Any
) -> None:
    async def main() -> None:
        new = certs.issue('localhost', '127.0.0.1', 'new.example')
        asked = Asked({**certs.server, 'ca': certs.ca, 'request_cert': True})

        def change(sock: tls.TLSSocket) -> None:
            with pytest.raises(NodeError):
                sock.set_key_cert(of_server(certs, tmp_path, ssl.CERT_NONE))
            sock.set_key_cert({**new, 'ca': certs.stranger.cert_pem.bytes()})
            assert 'new.example' in sock.get_certificate().subjectaltname

        asked.server.once('connection', change)
        port = await asked.listen()
        subjects: list[str] = []

        def noting(host: str, cert: Any) -> None:
            subjects.append(cert.subjectaltname)

        await visit(port, certs, check_server_identity=noting, **certs.client)
        asked.server.once('connection', change)
        await visit(port, certs, check_server_identity=noting, **certs.unknown)
        await visit(port, certs, check_server_identity=noting, **certs.client)
        assert ['new.example' in one for one in subjects] == [True, True, False]
        assert asked.seen == [(True, None)] * 2
        assert asked.failed == [ISSUER]
        await asked.close()

    run(main)


# -- sessions -------------------------------------------------------------------------------------


async def session_of(port: int, **options: Any) -> tuple[tls.TLSSocket, ssl.SSLSession]:
    sock = tls.connect(port, 'localhost', options)
    got = asyncio.ensure_future(events.once(sock, 'session'))
    sock.resume()
    (session,) = await got
    sock.destroy()
    await sock.wait_closed()
    return sock, session


@pytest.mark.parametrize('version', ['TLSv1.2', 'TLSv1.3'])
def test_a_resumed_session_is_good_for_its_host_only(
    run: Any, certs: Certificates, version: str
) -> None:
    async def main() -> None:
        asked = Asked(certs.server, max_version=version)
        port = await asked.listen()
        for made in (
            tls.create_secure_context(ca=certs.ca),
            of_client(certs, ssl.CERT_REQUIRED, names=True),
            of_client(certs, ssl.CERT_REQUIRED),
        ):
            base: Options = {'secure_context': made}
            first, session = await session_of(port, **base)
            assert (first.authorized, first.is_session_reused()) == (True, False)
            again = await visit(port, certs, session=session, servername='localhost', **base)
            assert (again.authorized, again.is_session_reused()) == (True, True)
            sock = tls.connect(port, '127.0.0.1', base, session=session, servername='b.example')
            with pytest.raises(tls.TLSCertificateError) as caught:
                await sock
            assert caught.value.code == 'ERR_TLS_CERT_ALTNAME_INVALID'
            assert sock.is_session_reused()
            assert not sock.authorized
            # A check of one's own is asked again too.
            sock = await tls.connect(
                port, '127.0.0.1', base, session=session, check_server_identity=lambda *_: None
            )
            assert sock.authorized
            sock.destroy()
            await sock.wait_closed()
        await asked.close()

    run(main)


@pytest.mark.parametrize('version', ['TLSv1.2', 'TLSv1.3'])
def test_a_session_that_was_not_verified_authorizes_nothing(
    run: Any, certs: Certificates, version: str
) -> None:
    async def main() -> None:
        asked = Asked(certs.unknown, max_version=version)
        port = await asked.listen()
        shared = tls.create_secure_context(ca=certs.ca)
        first, session = await session_of(port, secure_context=shared, reject_unauthorized=False)
        assert not first.authorized
        # Another rule about certificates is another ssl context: the session does not fit.
        with pytest.raises(NodeError) as caught:
            tls.connect(port, 'localhost', secure_context=shared, session=session)
        assert caught.value.code == 'ERR_INVALID_ARG_VALUE'
        sock = tls.TLSSocket(secure_context=shared, servername='localhost')
        with pytest.raises(NodeError):
            sock.set_session(session)
        again = await visit(
            port, certs, secure_context=shared, session=session, reject_unauthorized=False
        )
        assert (again.authorized, again.is_session_reused()) == (False, True)
        assert again.authorization_error == 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'
        # A ready context may be changed between the two.
        theirs = of_client(certs, ssl.CERT_NONE)
        _, session = await session_of(port, secure_context=theirs)
        theirs.verify_mode = ssl.CERT_REQUIRED
        sock = tls.connect(port, 'localhost', secure_context=theirs, session=session)
        with pytest.raises(tls.TLSCertificateError) as refused:
            await sock
        assert refused.value.code == UNVERIFIED
        assert sock.is_session_reused()
        await asked.close()

    run(main)


def test_a_session_from_before_certificates_were_asked_for(
    run: Any, certs: Certificates, tmp_path: Any
) -> None:
    """A server's ready context that begins to ask: the old tickets bring no certificate."""

    async def main() -> None:
        theirs = of_server(certs, tmp_path, ssl.CERT_NONE)
        asked = Asked(secure_context=theirs)
        port = await asked.listen()
        context = tls.create_secure_context(ca=certs.ca)
        _, session = await session_of(port, secure_context=context)
        theirs.verify_mode = ssl.CERT_REQUIRED
        sock = await visit(
            port, certs, secure_context=context, session=session, servername='localhost'
        )
        assert sock.is_session_reused()
        assert asked.seen == [(False, None)]
        assert asked.failed == [NO_CERTIFICATE]
        await asked.close()

    run(main)


def test_two_servers_with_one_context_do_not_share_their_guests(
    run: Any, certs: Certificates
) -> None:
    async def main() -> None:
        shared = tls.create_secure_context(certs.server, ca=certs.ca)
        open_one = Asked(secure_context=shared)
        asking = Asked(secure_context=shared, request_cert=True)
        first, second = await open_one.listen(), await asking.listen()
        mine = tls.create_secure_context(ca=certs.ca)
        _, session = await session_of(first, secure_context=mine)
        sock = await visit(second, certs, secure_context=mine, session=session)
        assert not sock.is_session_reused()
        assert asking.seen == []
        assert asking.failed == [MISSING]
        await open_one.close()
        await asking.close()

    run(main)


# -- choices of one connection stay there ---------------------------------------------------------


def test_protocols_of_one_connection_are_not_offered_by_another(
    run: Any, certs: Certificates
) -> None:
    async def main() -> None:
        asked = Asked(certs.server, alpn_protocols=['a', 'b'])
        port = await asked.listen()
        shared = tls.create_secure_context(ca=certs.ca)
        for protocols, agreed in ((['a'], 'a'), (None, False), (['b'], 'b'), ([], False)):
            sock = await tls.connect(
                port, 'localhost', secure_context=shared, alpn_protocols=protocols
            )
            assert sock.alpn_protocol == agreed
            sock.destroy()
            await sock.wait_closed()
        # The same on the server's side; the callback chooses for one connection only.
        both = tls.create_secure_context(certs.server)
        choosing = Asked(secure_context=both, alpn_callback=lambda offer: offer.protocols[-1])
        fixed = Asked(secure_context=both, alpn_protocols=['b'])
        silent = Asked(secure_context=both)
        for one, agreed in ((choosing, 'a'), (silent, False), (fixed, 'b'), (silent, False)):
            if not one.server.listening:
                await one.listen()
            sock = await tls.connect(
                one.server.address().port, 'localhost', ca=certs.ca, alpn_protocols=['b', 'a']
            )
            assert sock.alpn_protocol == agreed
            sock.destroy()
            await sock.wait_closed()
        for one in (asked, choosing, fixed, silent):
            await one.close()

    run(main)


def test_contexts_of_made_up_protocols_are_not_kept_for_ever(run: Any, certs: Certificates) -> None:
    async def main() -> None:
        context = tls.create_secure_context(certs.server)
        asked = Asked(secure_context=context, alpn_callback=lambda offer: offer.protocols[0])
        port = await asked.listen()
        for i in range(40):
            sock = await tls.connect(port, 'localhost', ca=certs.ca, alpn_protocols=[f'p{i}'])
            assert sock.alpn_protocol == f'p{i}'
            sock.destroy()
        assert len(context._made) <= 32
        await asked.close()

    run(main)


def test_a_context_keeps_what_it_was_made_with(
    run: Any, certs: Certificates, tmp_path: Any
) -> None:
    """Files and defaults that change later have no effect on it, whatever is made of it then."""

    async def main() -> None:
        for name in ('cert', 'key'):
            (tmp_path / name).write_text(certs.server[name])
        (tmp_path / 'ca').write_text(certs.ca)
        theirs = tls.create_secure_context(
            cert=str(tmp_path / 'cert'), key=str(tmp_path / 'key'), ca=str(tmp_path / 'ca')
        )
        system = tls.create_secure_context()
        for name in ('cert', 'key', 'ca'):
            (tmp_path / name).unlink()
        asked = Asked(secure_context=theirs, request_cert=True, alpn_protocols=['x'])
        port = await asked.listen()
        # The client's role of the same context, made only now.
        sock = await visit(port, certs, secure_context=theirs)
        assert sock.authorized
        assert asked.seen == [(True, None)]
        before = tls._defaults.ca
        tls.set_default_ca_certificates([certs.ca])
        try:
            sock = await visit(port, certs, secure_context=system)
            assert not sock.authorized
            sock = await visit(port, certs, secure_context=tls.create_secure_context(certs.client))
            assert sock.authorized
        finally:
            tls._defaults.ca = before
        await asked.close()

    run(main)


def test_tracing_one_connection_is_silent_about_others(
    run: Any, certs: Certificates, capfd: Any
) -> None:
    async def main() -> None:
        shared = tls.create_secure_context(certs.server, ca=certs.ca)
        asked = Asked(secure_context=shared)
        port = await asked.listen()
        sock = tls.connect(port, 'localhost', secure_context=shared)
        sock.enable_trace()
        sock.resume()
        await sock.wait_closed()
        assert 'CLIENT_HELLO' in capfd.readouterr().err
        with pytest.raises(NodeError) as caught:
            sock.enable_trace()
        assert caught.value.code == 'ERR_TLS_OPTION_UNSUPPORTED'
        await visit(port, certs, secure_context=shared)
        assert capfd.readouterr().err == ''
        await visit(port, certs, secure_context=shared, enable_trace=True)
        assert 'CLIENT_HELLO' in capfd.readouterr().err
        await asked.close()

    run(main)
