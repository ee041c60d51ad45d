"""Rules that were read from Node by running it, each over its whole table."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from tailrace import dns, net
from tailrace.errors import NodeError

from .serving import stopped

PAGES = Path(__file__).parents[2] / 'docs' / 'howto'

linux = pytest.mark.skipif(sys.platform != 'linux', reason='the values of Linux')


def keep_alive_of(sock: Any) -> tuple[int, int, int, int]:
    with socket.fromfd(sock._handle.fd, socket.AF_INET, socket.SOCK_STREAM) as raw:
        tcp = socket.IPPROTO_TCP
        return (
            raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            raw.getsockopt(tcp, socket.TCP_KEEPIDLE),
            raw.getsockopt(tcp, socket.TCP_KEEPINTVL),
            raw.getsockopt(tcp, socket.TCP_KEEPCNT),
        )


#: Arguments of set_keep_alive; what the kernel has then: on, idle, interval, count.
KEEP_ALIVE: list[tuple[tuple[Any, ...], tuple[int, int, int, int]]] = [
    ((), (0, 7200, 75, 9)),
    ((True,), (1, 7200, 75, 9)),
    ((True, 999), (1, 7200, 75, 9)),
    ((True, 1000), (1, 1, 1, 10)),
    ((True, 5500), (1, 5, 1, 10)),
    ((True, -5), (1, 7200, 75, 9)),
    ((True, '1000'), (1, 1, 1, 10)),
    ((True, '0x7d0'), (1, 2, 1, 10)),
    ((True, 'x'), (1, 7200, 75, 9)),
    ((True, float('nan')), (1, 7200, 75, 9)),
    ((True, 1000, 500), (1, 7200, 75, 9)),
    ((True, 1000, 2000), (1, 1, 2, 10)),
    ((True, 1000, 2000, 3), (1, 1, 2, 3)),
    ((True, 0, 2000, 3), (1, 7200, 75, 9)),
    ((True, 32767000), (1, 32767, 1, 10)),
    (({'enable': True, 'initialDelay': 2000},), (1, 2, 1, 10)),
    ((False, 5000), (0, 7200, 75, 9)),
]


@linux
def test_sk49_what_keep_alive_sets_in_the_kernel(run: Any) -> None:
    async def main() -> None:
        server = await net.create_server(lambda peer: peer.resume()).listen(0, '127.0.0.1')
        for given, expected in KEEP_ALIVE:
            sock = await net.connect(server.address().port, '127.0.0.1')
            sock.set_keep_alive(*given)
            assert keep_alive_of(sock) == expected, given
            sock.destroy()
        for huge in (10**30, 10**400):
            sock = await net.connect(server.address().port, '127.0.0.1')
            sock.set_keep_alive(True, huge)
            assert keep_alive_of(sock)[0] == 1
            sock.destroy()
        await stopped(server)

    run(main)


def test_ls26_listen_and_connect_use_dns_lookup_as_found_at_the_call(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def lookup(host: str, options: Any, callback: Any) -> None:
        asked.append((host, options.get('all')))
        answer = [{'address': '127.0.0.1', 'family': 4}]
        callback(None, answer if options.get('all') else '127.0.0.1', 4)

    async def main() -> None:
        monkeypatch.setattr(dns, 'lookup', lookup)
        server = await net.create_server(lambda peer: peer.resume()).listen(0, 'here.test')
        assert server.address().address == '127.0.0.1'
        sock = await net.connect(server.address().port, 'there.test')
        sock.destroy()
        await stopped(server)

    run(main)
    assert asked == [('here.test', True), ('there.test', True)]


def test_cn_connect_goes_through_a_patched_method(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(net.Socket, 'connect', lambda self, *args: seen.append(args))
    net.connect(80, '127.0.0.1')
    assert seen[0][0]['port'] == 80


@pytest.mark.parametrize('address', ['127.0.0.1', '::1', 'fe80::1%lo'])
def test_ls24_an_ip_address_is_no_path_to_listen_on(address: str) -> None:
    with pytest.raises(NodeError, match=r'listen\(') as raised:
        net.create_server().listen(address, 8123)
    assert raised.value.code == 'ERR_INVALID_ARG_VALUE'


def link_local() -> str | None:
    try:
        with open('/proc/net/if_inet6', encoding='ascii') as file:
            for line in file:
                digits, *_, device = line.split()
                if digits.startswith('fe80'):
                    groups = ':'.join(digits[at : at + 4] for at in range(0, 32, 4))
                    return f'{groups}%{device}'
    except OSError:
        pass
    return None


@pytest.mark.skipif(link_local() is None, reason='no link-local address here')
def test_ls_a_scope_is_kept_wherever_an_address_is_shown(run: Any) -> None:
    host = str(link_local())
    scope = host.partition('%')[2]
    peers = []

    async def main() -> None:
        server = await net.create_server(peers.append).listen(0, host)
        shown = server.address()
        assert shown.address.endswith(f'%{scope}')
        sock = await net.connect(shown.port, shown.address)
        for address in (sock.remote_address, sock.local_address, sock.address().address):
            assert address.endswith(f'%{scope}')
        again = await net.connect(sock.remote_port, sock.remote_address)
        again.destroy()
        sock.destroy()
        for peer in peers:
            peer.destroy()
        await stopped(server)

    run(main)


def test_sk_connecting_forgets_what_failed_before(run: Any) -> None:
    """In Node a new handle makes the stream whole; what waits is told afterwards."""
    seen: list[Any] = []

    async def main() -> None:
        server = await net.create_server().listen(0, '127.0.0.1')
        sock = net.Socket()
        sock.on('error', lambda error: seen.append(('error', error.code)))
        sock.on('close', lambda had_error: seen.append(('close', had_error)))
        assert not sock.write('x', lambda error: seen.append(('w1', error.code)))
        sock.connect(server.address().port, '127.0.0.1')
        assert sock.errored is None
        assert sock.write('y', lambda error: seen.append(('w2', error.code)))
        await sock.wait_closed()
        await stopped(server)

    run(main)
    assert seen == [
        ('w1', 'ERR_SOCKET_CLOSED'),
        ('error', 'ERR_SOCKET_CLOSED'),
        ('close', True),
        ('w2', 'ERR_SOCKET_CLOSED_BEFORE_CONNECTION'),
    ]


@pytest.mark.parametrize('options', ['x', '5', [], [1], b'buf', True])
def test_gen05_options_that_are_no_mapping_are_refused(options: Any) -> None:
    for make in (net.Socket, net.Server, net.create_server, net.BoundSocket, net.SocketAddress):
        with pytest.raises(NodeError) as raised:
            make(options)
        assert raised.value.code == 'ERR_INVALID_ARG_TYPE', make


def test_connect_timeout_has_the_code_of_its_pages(run: Any) -> None:
    def lookup(host: str, options: Any, callback: Any) -> None:
        """Never answers."""

    async def main() -> None:
        with pytest.raises(TimeoutError) as raised:
            await net.connect(80, 'x.test', lookup=lookup, connect_timeout=20)
        assert raised.value.code == 'ETIMEDOUT'  # type: ignore[attr-defined]

    run(main)
    for page in ('timeouts', 'connecting'):
        text = (PAGES / f'{page}.md').read_text('utf-8')
        assert 'ETIMEDOUT' in text
        assert 'ERR_SOCKET_CONNECTION_TIMEOUT' not in text


@pytest.mark.parametrize('hosts', [['127.0.0.1'], ['127.0.0.1', '127.0.0.2']])
def test_sk_connecting_inside_an_attempt_that_failed(run: Any, hosts: list[str]) -> None:
    seen = []

    def lookup(host: str, options: Any, callback: Any) -> None:
        callback(None, [{'address': one, 'family': 4} for one in hosts])

    async def main() -> None:
        with socket.socket() as bound:  # bound and not listening: connections are refused
            bound.bind(('127.0.0.1', 0))
            sock = net.connect(bound.getsockname()[1], 'x.test', lookup=lookup)
            sock.on('connectionAttemptFailed', lambda *_: seen.append(sock.connecting))
            with pytest.raises(ConnectionRefusedError):
                await sock

    run(main)
    assert seen == ([False] if len(hosts) == 1 else [True, True])
