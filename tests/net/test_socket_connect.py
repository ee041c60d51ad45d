"""connect(): what its options refuse and what they do on real connections.

Rows CN, AF, MF-10 to MF-15.
"""

from __future__ import annotations

from typing import Any

import pytest

from tailrace import net
from tailrace.errors import NodeError

from .connected import Pair, gone
from .serving import Heard, server_on, stopped

LOCAL = {'port': 1, 'host': '127.0.0.1'}
NAMED = {'port': 1, 'host': 'a.name'}


@pytest.mark.parametrize(
    ('row', 'options', 'code'),
    [
        ('cn05', {}, 'ERR_MISSING_ARGS'),
        ('cn06', {**LOCAL, 'auto_select_family': 'x'}, 'ERR_INVALID_ARG_TYPE'),
        ('cn07', {**LOCAL, 'auto_select_family_attempt_timeout': 0}, 'ERR_OUT_OF_RANGE'),
        ('cn08', {**NAMED, 'family': 5}, 'ERR_INVALID_ARG_VALUE'),
        ('cn10', {'port': 1, 'host': 5}, 'ERR_INVALID_ARG_TYPE'),
        ('cn10', {'port': 1, 'host': 'a\0b'}, 'ERR_INVALID_ARG_VALUE'),
        ('cn13', {**LOCAL, 'local_address': 'x'}, 'ERR_INVALID_IP_ADDRESS'),
        ('cn13', {**LOCAL, 'local_address': []}, 'ERR_INVALID_IP_ADDRESS'),
        ('cn14', {**LOCAL, 'local_port': 'x'}, 'ERR_INVALID_ARG_TYPE'),
        ('cn14', {**LOCAL, 'local_port': 65536}, 'ERR_SOCKET_BAD_PORT'),
        ('cn15', {**NAMED, 'lookup': 5}, 'ERR_INVALID_ARG_TYPE'),
        ('cn17', {'port': 65536}, 'ERR_SOCKET_BAD_PORT'),
        ('cn17', {'port': 1.5}, 'ERR_SOCKET_BAD_PORT'),
        ('cn17', {'port': '1x'}, 'ERR_SOCKET_BAD_PORT'),
        ('cn17', {'port': True}, 'ERR_INVALID_ARG_TYPE'),
        ('cn22', {**LOCAL, 'block_list': {}}, 'ERR_INVALID_ARG_TYPE'),
        ('cn23', {'path': 5}, 'ERR_INVALID_ARG_TYPE'),
    ],
)
def test_bad_options_are_raised(row: str, options: dict[str, Any], code: str) -> None:
    sock = net.Socket()
    with pytest.raises(NodeError) as caught:
        sock.connect(options)
    assert caught.value.code == code


def test_cn01_cn02_cn04_cn18_cn19_forms(run: Any, pair: Pair) -> None:
    async def main() -> None:
        server, _ = server_on()
        where = await pair.listen(server)
        place = tuple(where.values())
        for args, options in (((where,), {}), (place, {}), ((), where)):
            told = Heard()
            sock = net.Socket()
            assert sock.connect(*args, told.to('connected'), **options) is sock
            await told.until('connected')
            assert sock.listener_count('connect') == 0
            await gone(sock)
        await stopped(server)

    run(main)


def test_cn22_am18_block_list_in_both_places(run: Any, tcp_pair: Pair) -> None:
    async def main() -> None:
        blocked = net.BlockList()
        blocked.add_subnet('127.0.0.0', 8)
        server, served = server_on()
        where = await tcp_pair.listen(server)
        for sock in (net.Socket(block_list=blocked), net.Socket()):
            heard = Heard(sock, 'error', 'close')
            options = {} if sock.block_list else {'block_list': blocked}
            sock.connect({**where, **options})
            assert (await heard.until('error')).code == 'ERR_IP_BLOCKED'
            assert await heard.until('close') is True
        assert 'connection' not in served.names
        await stopped(server)

    run(main)


def test_cn13_cn14_local_side(run: Any, tcp_pair: Pair) -> None:
    async def main() -> None:
        async with tcp_pair(local_address='127.0.0.3') as (client, accepted):
            assert client.local_address == '127.0.0.3'
            assert accepted.remote_address == '127.0.0.3'
            sock = net.Socket()
            heard = Heard(sock, 'error', 'close')
            taken = client.remote_port
            where = {'port': taken, 'host': '127.0.0.1'}
            sock.connect({**where, 'localAddress': '127.0.0.1', 'localPort': taken})
            error = await heard.until('error')
            assert (error.code, error.syscall) == ('EADDRINUSE', 'bind')
            await heard.until('close')
            assert sock._handle is None

    run(main)


def test_af01_to_af09_first_family_refuses(run: Any, tcp_pair: Pair) -> None:
    async def main() -> None:
        server, _ = server_on()
        where = await tcp_pair.listen(server)
        asked = []

        def lookup(host: str, options: Any, callback: Any) -> None:
            asked.append((host, options['all']))
            answers = (('::1', 6), ('127.0.0.1', 4))
            callback(None, [{'address': one, 'family': family} for one, family in answers])

        sock = net.Socket()
        heard = Heard(sock, 'lookup', 'connectionAttempt', 'connectionAttemptFailed', 'error')
        sock.connect(port=where['port'], host='two.addresses', lookup=lookup)
        await sock
        assert asked == [('two.addresses', True)]
        assert heard.names == [
            'lookup',
            'lookup',
            'connectionAttempt',
            'connectionAttemptFailed',
            'connectionAttempt',
        ]
        port = where['port']
        tried = [f'::1:{port}', f'127.0.0.1:{port}']
        assert sock.auto_select_family_attempted_addresses == tried
        await gone(sock)
        await stopped(server)

    run(main)


def test_connect_timeout_ends_everything(run: Any) -> None:
    async def main() -> None:
        sock = net.Socket()
        heard = Heard(sock, 'error', 'close')
        sock.connect(port=1, host='a.name', lookup=lambda *args: None, connect_timeout=20)
        assert (await heard.until('error')).code == 'ETIMEDOUT'
        assert await heard.until('close') is True

    run(main)
