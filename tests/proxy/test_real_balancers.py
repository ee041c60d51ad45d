"""Behind a real haproxy and a real nginx, and in front of them."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme

from tailrace import net, tls
from tailrace.proxy_protocol import ProxyHeader, TLVType

from .balancers import haproxy, needs_haproxy, needs_nginx, nginx

CLIENT = ProxyHeader(
    source_address='192.0.2.7', source_port=51234,
    destination_address='203.0.113.1', destination_port=443,
)  # fmt: skip
SIX = ProxyHeader(
    source_address='2001:db8::7', source_port=51234,
    destination_address='2001:db8::1', destination_port=443,
)  # fmt: skip
BELIEVED: dict[str, Any] = {'proxy_protocol': 'required', 'proxy_from': '127.0.0.1'}


class Seen(NamedTuple):
    """A connection at its beginning."""

    remote: tuple[Any, Any]
    local: tuple[Any, Any]
    header: Any


async def serving(make: Any = net.create_server, **options: Any) -> tuple[Any, int, list[Seen]]:
    """An echo server that believes this machine, its port, and the connections it has had."""
    seen: list[Seen] = []

    async def echo(sock: Any) -> None:
        remote = sock.remote_address, sock.remote_port
        local = sock.local_address, sock.local_port
        seen.append(Seen(remote, local, sock.proxy_header))
        async for chunk in sock:
            sock.write(chunk)

    server = make(echo, **BELIEVED, **options)
    await server.listen(0, '127.0.0.1')
    return server, server.address().port, seen


async def ask(port: int, **options: Any) -> Any:
    """A plain client's own address, after an answer."""
    reader, writer = await asyncio.open_connection('127.0.0.1', port, **options)
    writer.write(b'hello')
    assert await reader.readexactly(5) == b'hello'
    own = writer.get_extra_info('sockname')[:2]
    writer.close()
    try:
        await writer.wait_closed()
    except (ConnectionError, ssl.SSLError):
        pass
    return own


FORWARD = """
frontend f
    bind {fd}
    default_backend b
backend b
    server s 127.0.0.1:%d %s
"""


@needs_haproxy
@pytest.mark.parametrize(('options', 'version'), [('send-proxy', 1), ('send-proxy-v2', 2)])
def test_behind_haproxy(run: Any, tmp_path: Path, options: str, version: int) -> None:
    async def main() -> None:
        server, port, seen = await serving()
        with haproxy(tmp_path, FORWARD % (port, options)) as front:
            own = await ask(front)
            (one,) = seen
            assert (one.remote, one.local) == (own, ('127.0.0.1', front))
            assert one.header.version == version
            for _ in range(20):
                assert await ask(front) == seen[-1].remote
        assert server.proxy_failures == 0
        await server.close_all(1000)

    run(main)


#: A check that waits for an answer. One by TCP alone may be reset before it is accepted.
CHECK = """
backend b
    option tcp-check
    tcp-check connect default
    tcp-check send hello
    tcp-check expect string hello
"""


@needs_haproxy
@pytest.mark.parametrize(
    ('options', 'local'), [('send-proxy check', False), ('send-proxy-v2 check', True)]
)
def test_health_checks_of_haproxy(run: Any, tmp_path: Path, options: str, local: bool) -> None:
    async def main() -> None:
        server, port, seen = await serving()
        config = FORWARD.replace('\nbackend b\n', CHECK) % (port, f'{options} inter 20ms')
        with haproxy(tmp_path, config):
            while len(seen) < 3:
                await asyncio.sleep(0.01)
            for one in seen[:3]:
                assert one.header.local is local
                assert one.remote[0] == '127.0.0.1'
                assert one.local[1] == port
        assert server.proxy_failures == 0
        await server.close_all(1000)

    run(main)


@needs_haproxy
def test_a_haproxy_that_sends_no_header(run: Any, tmp_path: Path) -> None:
    """Its checks by TCP are not even accepted (reset in the handshake); a client is refused."""

    async def main() -> None:
        server, port, seen = await serving()
        reasons: set[str] = set()
        server.on('reject', lambda data: reasons.add(data.error.reason))
        with haproxy(tmp_path, FORWARD % (port, 'check inter 20ms')) as front:
            reader, writer = await asyncio.open_connection('127.0.0.1', front)
            writer.write(b'GET / HTTP/1.0\r\n\r\n')
            assert await reader.read() == b''
            writer.close()
            await writer.wait_closed()
            while 'invalid' not in reasons:
                await asyncio.sleep(0.01)
            assert server.proxy_failures == 1
        assert seen == []
        await server.close_all(1000)

    run(main)


WITH_TLS = """
frontend f
    bind {fd} ssl crt %(pem)s ca-file %(ca)s verify optional alpn h2,http/1.1
    unique-id-format %%ci-%%cp
    default_backend b
backend b
    server s 127.0.0.1:%(port)d send-proxy-v2-ssl-cn proxy-v2-options %(options)s
"""


@needs_haproxy
def test_what_haproxy_tells_of_tls(run: Any, tmp_path: Path) -> None:
    authority = trustme.CA()
    made = authority.issue_cert('localhost')
    mine = authority.issue_cert('client.example', common_name='the client')
    (tmp_path / 'pem').write_bytes(made.private_key_and_cert_chain_pem.bytes())
    authority.cert_pem.write_to_path(tmp_path / 'ca')

    async def main() -> None:
        server, port, seen = await serving()
        config = WITH_TLS % {
            'pem': tmp_path / 'pem',
            'ca': tmp_path / 'ca',
            'port': port,
            'options': 'crc32c,unique-id,authority,ssl,cert-cn,ssl-cipher,cert-sig,cert-key',
        }
        context = ssl.create_default_context()
        authority.configure_trust(context)
        context.set_alpn_protocols(['h2'])
        with haproxy(tmp_path, config) as front:
            await ask(front, ssl=context, server_hostname='localhost')
            mine.configure_cert(context)
            own = await ask(front, ssl=context, server_hostname='localhost')
        without, header = (one.header for one in seen)
        assert (header.authority, header.alpn) == ('localhost', 'h2')
        assert header.unique_id == f'{own[0]}-{own[1]}'.encode()
        assert header.tlv(TLVType.CRC32C) is not None
        assert without.ssl.used
        assert not without.ssl.verified
        info = header.ssl
        assert info.used
        assert info.verified
        assert (info.version, info.common_name) == ('TLSv1.3', 'the client')
        assert info.cipher.startswith('TLS_')
        assert (info.signature_algorithm, info.key_algorithm[:2]) == ('RSA-SHA256', 'RS') or (
            info.key_algorithm.startswith('EC')
        )
        await server.close_all(1000)

    run(main)


@needs_haproxy
def test_tls_through_haproxy(run: Any, tmp_path: Path) -> None:
    """The header comes before the ClientHello."""
    authority = trustme.CA()
    made = authority.issue_cert('localhost')
    pems = {
        'cert': b''.join(pem.bytes() for pem in made.cert_chain_pems),
        'key': made.private_key_pem.bytes(),
    }

    async def main() -> None:
        server, port, seen = await serving(tls.create_server, **pems)
        context = ssl.create_default_context()
        authority.configure_trust(context)
        with haproxy(tmp_path, FORWARD % (port, 'send-proxy-v2')) as front:
            own = await ask(front, ssl=context, server_hostname='localhost')
            assert seen[0].remote == own
        await server.close_all(1000)

    run(main)


class Nameless:
    """A Unix socket, as far as it matters."""

    remote_address = remote_port = local_address = local_port = None


@needs_haproxy
@pytest.mark.parametrize('given', [CLIENT, SIX], ids=['tcp4', 'tcp6'])
@pytest.mark.parametrize('version', [1, 2])
def test_in_front_of_haproxy(run: Any, tmp_path: Path, given: ProxyHeader, version: int) -> None:
    """haproxy reads our header, and tells our server what it has read."""
    header = ProxyHeader(
        version=version,
        source_address=given.source_address, source_port=given.source_port,
        destination_address=given.destination_address, destination_port=given.destination_port,
        tlvs=((TLVType.CRC32C, b''), (TLVType.UNIQUE_ID, b'7')) if version == 2 else (),
    )  # fmt: skip

    async def main() -> None:
        server, port, seen = await serving()
        config = FORWARD.replace('{fd}', '{fd} accept-proxy') % (port, 'send-proxy-v2')
        with haproxy(tmp_path, config) as front:
            sock = await net.connect(front, '127.0.0.1', proxy_protocol=header)
            sock.write('hello')
            assert await sock.read_exactly(5) == b'hello'
            assert seen[0].header == given
            sock.end()
            await sock.wait_closed()
            # Of version 2, haproxy refuses PROXY without addresses, so ours says LOCAL.
            nothing = ProxyHeader.of(Nameless(), version)
            for what in (version, nothing, ProxyHeader(local=True)):
                sock = await net.connect(front, '127.0.0.1', proxy_protocol=what)
                sock.write('hello')
                assert await sock.read_exactly(5) == b'hello'
                assert seen[-1].remote[1] == sock.local_port
                sock.end()
                await sock.wait_closed()
        await server.close_all(1000)

    run(main)


@needs_haproxy
def test_haproxy_refuses_a_wrong_checksum_of_ours(run: Any, tmp_path: Path) -> None:
    """So that the test above says something: it does look at the checksum."""

    async def main() -> None:
        server, port, seen = await serving()
        config = FORWARD.replace('{fd}', '{fd} accept-proxy') % (port, 'send-proxy-v2')
        with haproxy(tmp_path, config) as front:
            reader, writer = await asyncio.open_connection('127.0.0.1', front)
            writer.write(b'\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13' + bytes(12) + b'\3\0\4oops')
            try:
                assert await reader.read() == b''
            except ConnectionError:
                pass
            writer.close()
        assert seen == []
        await server.close_all(1000)

    run(main)


@needs_nginx
def test_behind_nginx(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        server, port, seen = await serving()
        config = f'server {{ listen {{listen}}; proxy_pass 127.0.0.1:{port}; proxy_protocol on; }}'
        with nginx(tmp_path, config) as front:
            for _ in range(5):
                own = await ask(front)
                assert (seen[-1].remote, seen[-1].local) == (own, ('127.0.0.1', front))
                assert seen[-1].header.version == 1
        assert server.proxy_failures == 0
        await server.close_all(1000)

    run(main)


SAY = (
    'server { listen {listen} proxy_protocol; return "$proxy_protocol_addr '
    '$proxy_protocol_port $proxy_protocol_server_addr $proxy_protocol_server_port"; }'
)


@needs_nginx
@pytest.mark.parametrize('given', [CLIENT, SIX], ids=['tcp4', 'tcp6'])
@pytest.mark.parametrize('version', [1, 2])
def test_in_front_of_nginx(run: Any, tmp_path: Path, given: ProxyHeader, version: int) -> None:
    header = ProxyHeader(
        version=version,
        source_address=given.source_address, source_port=given.source_port,
        destination_address=given.destination_address, destination_port=given.destination_port,
    )  # fmt: skip
    ends = (
        given.source_address, given.source_port,
        given.destination_address, given.destination_port,
    )  # fmt: skip

    async def main() -> None:
        with nginx(tmp_path, SAY) as front:
            sock = net.connect(front, '127.0.0.1', proxy_protocol=header)
            said = b''.join([chunk async for chunk in sock])
            assert said.decode() == ' '.join(map(str, ends))
            sock = net.connect(front, '127.0.0.1', proxy_protocol=version)
            said = b''.join([chunk async for chunk in sock])
            assert said.decode().startswith('127.0.0.1 ')
            assert said.decode().endswith(f' {front}')

    run(main)
