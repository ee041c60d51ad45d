"""The descriptor of sockets and servers: options, credentials, TCP_INFO, early options, files."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from tailrace import net
from tailrace._handles import facts
from tailrace.errors import InvalidArgTypeError, InvalidArgValueError, NodeError, OutOfRangeError
from tailrace.testing import socket_pair

from .pairs import KINDS, connected, dial, listening

LINUX = sys.platform == 'linux'
ROOT = hasattr(os, 'geteuid') and os.geteuid() == 0
linux = pytest.mark.skipif(not LINUX, reason='only Linux has these options')


@pytest.mark.parametrize('kind', KINDS)
def test_fileno_and_options(run: Any, kind: str) -> None:
    async def main() -> None:
        async with connected(kind) as (client, accepted):
            for sock in (client, accepted):
                assert os.fstat(sock.fileno())
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
                raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE, 4)
                assert int.from_bytes(raw, sys.byteorder) == socket.SOCK_STREAM
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, bytes(16))
                # Nothing was taken from the socket by looking at it.
                assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
            server = accepted.server
            assert server.fileno() >= 0
            assert server.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) != 0
            client.write('still there\n')
            assert await accepted.read_line() == b'still there\n'
        assert client.fileno() == -1
        assert server.fileno() == -1

    run(main)


def test_without_a_descriptor(run: Any) -> None:
    async def main() -> None:
        sock = net.Socket()
        assert sock.fileno() == -1
        assert sock.peer_credentials is None
        assert sock.get_extra_info('peername') is None
        assert sock.get_extra_info('peername', 'nobody') == 'nobody'
        for call in (
            lambda: sock.getsockopt(1, 1),
            lambda: sock.setsockopt(1, 1, 1),
            lambda: sock.tcp_info(),
            lambda: net.create_server().getsockopt(1, 1),
        ):
            with pytest.raises(NodeError) as caught:
                call()
            assert caught.value.code == 'ERR_SOCKET_CLOSED'
        one, other = socket_pair()
        assert one.fileno() == -1
        assert one.get_extra_info('tcp_info') is None
        one.destroy()
        other.destroy()

    run(main)


def test_wrong_options(run: Any) -> None:
    async def main() -> None:
        async with connected() as (client, _):
            for call in (
                lambda: client.getsockopt('1', 1),  # type: ignore[arg-type]
                lambda: client.setsockopt(1, 1, 'on'),  # type: ignore[arg-type]
                lambda: client.get_extra_info(5),  # type: ignore[arg-type]
            ):
                with pytest.raises(InvalidArgTypeError):
                    call()
            with pytest.raises(OutOfRangeError):
                client.getsockopt(1, 1, -1)
            with pytest.raises(NodeError) as caught:
                client.setsockopt(socket.SOL_SOCKET, 9999, 1)
            assert caught.value.code == 'ENOPROTOOPT'
            assert getattr(caught.value, 'syscall', None) == 'setsockopt'

    run(main)


def test_extra_info(run: Any) -> None:
    async def main() -> None:
        async with connected() as (client, accepted):
            assert client.get_extra_info('sockname') == accepted.get_extra_info('peername')
            assert client.get_extra_info('fileno') == client.fileno()
            assert accepted.get_extra_info('server') is accepted.server
            assert client.get_extra_info('peercred') is None
            assert client.get_extra_info('no such thing', 3) == 3
            assert client.getExtraInfo('ssl_object') is None

    run(main)


def test_peer_credentials(run: Any) -> None:
    async def main() -> None:
        async with connected('unix') as (client, accepted):
            expected = net.PeerCredentials(os.getpid(), os.getuid(), os.getgid())
            assert accepted.peer_credentials == expected
            assert client.peerCredentials == expected
            assert accepted.get_extra_info('peercred') == expected
            with pytest.raises(NodeError) as caught:
                client.tcp_info()
            assert caught.value.code in ('EOPNOTSUPP', 'ENOTSUP')
        async with connected('tcp') as (client, accepted):
            assert client.peer_credentials is None

    run(main)


def test_tcp_info(run: Any) -> None:
    async def main() -> None:
        async with connected() as (client, accepted):
            client.write(b'x' * 5000)
            assert await accepted.read_exactly(5000)
            accepted.write(b'y')
            assert await client.read_exactly(1) == b'y'
            info = client.tcp_info()
            assert info.state == 'established'
            assert 0 < info.rtt < 10_000
            assert info.retransmit_timeout > 0
            assert info.congestion_window > 0
            assert info.segment_size > 0
            if LINUX:
                assert info.bytes_acked == 5001  # the SYN counts
                assert info.bytes_received == 1
                assert info.total_retransmits == info.bytes_retransmitted == info.lost == 0
                assert info.path_mtu is not None
                assert info.last_sent is not None
            with pytest.raises(AttributeError):
                info.rtt = 0  # type: ignore[misc]
            assert accepted.tcpInfo().state == 'established'
            client.end()
            accepted.resume()
            await client.wait_closed()

    run(main)


def test_tcp_info_of_other_systems() -> None:
    numbers = [0] * 24
    numbers[0], numbers[2], numbers[13], numbers[15] = 204_000, 1448, 1500, 250
    numbers[17], numbers[18], numbers[23] = 0x7FFFFFFF, 10, 3
    old = facts._HEAD.pack(8, 0, 2, 0, 0, 0, 0, 0, *numbers)
    info = facts._linux_info(old)
    assert isinstance(info, facts.TcpInfo)
    assert (info.state, info.rtt, info.retransmit_timeout) == ('close-wait', 0.25, 204.0)
    assert (info.retransmits, info.total_retransmits) == (2, 3)
    assert (info.slow_start_threshold, info.congestion_window) == (None, 10)
    assert (info.min_rtt, info.bytes_acked, info.delivery_rate) == (None, None, None)
    assert isinstance(facts._linux_info(old[:50]), int)
    words = [0, 0, 230, 1448, 28960, 14480, 0, 0, 0, 5, 7, 2, 0]
    mac = facts._MACOS_INFO.pack(4, 0, 0, 0, *words, 9, 900, 100, 8, 800, 0, 1)
    info = facts._macos_info(mac)
    assert isinstance(info, facts.TcpInfo)
    assert (info.state, info.rtt, info.rtt_variance) == ('established', 7.0, 2.0)
    assert (info.congestion_window, info.slow_start_threshold) == (10, 20)
    assert (info.bytes_acked, info.bytes_received, info.total_retransmits) == (800, 800, 1)
    assert isinstance(facts._macos_info(mac[:50]), int)


# -- before bind and connect ----------------------------------------------------------------------


@linux
def test_early_options_of_a_server(run: Any) -> None:
    async def main() -> None:
        server = net.create_server()
        await server.listen(0, '127.0.0.1', fast_open=7, defer_accept=1500, bind_to_device='lo')
        assert server.getsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN) == 7
        # The kernel makes a number of retransmissions of the seconds, and seconds of that again.
        assert server.getsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT) >= 2
        device = server.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16)
        assert device.rstrip(b'\0') == b'lo'
        client = await net.connect(server.address()['port'], '127.0.0.1', bind_to_device='lo')
        device = client.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16)
        assert device.rstrip(b'\0') == b'lo'
        client.destroy()
        await server.close_all(0)

    run(main)


@linux
def test_fast_open_connects(run: Any) -> None:
    async def main() -> None:
        async with listening() as server:
            server.on('connection', lambda sock: sock.pipe(sock))
            client = await dial(server, fast_open=True, auto_select_family=False)
            client.end('hello')
            assert [chunk async for chunk in client] == [b'hello']

    run(main)


@linux
@pytest.mark.skipif(not ROOT, reason='these need the right to change the network')
def test_mark_and_transparent(run: Any) -> None:
    async def main() -> None:
        try:
            async with listening() as server:
                client = await dial(server, mark=5, transparent=True)
                assert client.getsockopt(socket.SOL_SOCKET, socket.SO_MARK) == 5
                assert client.getsockopt(socket.IPPROTO_IP, 19) == 1
                client.destroy()
        except PermissionError:
            pytest.skip('this root may not change the network')

    run(main)


@linux
def test_what_the_system_refuses_is_an_error_of_the_connect(run: Any) -> None:
    async def main() -> None:
        async with listening() as server:
            with pytest.raises(NodeError) as caught:
                await dial(server, bind_to_device='nosuchdevice0')
            assert caught.value.code in ('ENODEV', 'EPERM')
            other = net.create_server()
            with pytest.raises(NodeError) as caught:
                await other.listen(0, bind_to_device='nosuchdevice0')
            assert caught.value.code in ('ENODEV', 'EPERM')

    run(main)


@pytest.mark.parametrize(
    ('options', 'error'),
    [
        ({'bind_to_device': 5}, InvalidArgTypeError),
        ({'bind_to_device': ''}, InvalidArgValueError),
        ({'bind_to_device': 'x' * 16}, InvalidArgValueError),
        ({'mark': -1}, OutOfRangeError),
        ({'mark': '5'}, InvalidArgTypeError),
        ({'fast_open': 'yes'}, InvalidArgTypeError),
        ({'transparent': 1}, InvalidArgTypeError),
    ],
)
def test_wrong_early_options(run: Any, options: dict[str, Any], error: type[Exception]) -> None:
    async def main() -> None:
        sock = net.Socket()
        with pytest.raises(error):
            sock.connect(1, '127.0.0.1', **options)
        sock.destroy()
        with pytest.raises(error):
            net.create_server().listen(0, **options)

    run(main)


def test_early_options_have_no_place_on_a_path(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        sock = net.Socket()
        with pytest.raises(InvalidArgValueError):
            sock.connect(path=str(tmp_path / 's'), mark=1)
        sock.destroy()
        with pytest.raises(InvalidArgValueError):
            net.create_server().listen(path=str(tmp_path / 's'), fast_open=True)
        with pytest.raises(OutOfRangeError):
            net.create_server().listen(0, defer_accept=-1)

    run(main)


def test_what_this_system_does_not_have(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, '_LINUX', False)
    monkeypatch.setattr(facts, '_number', lambda name: -1)

    async def main() -> None:
        for options in ({'fast_open': True}, {'mark': 1}, {'transparent': True}):
            with pytest.raises(NodeError) as caught:
                net.create_server().listen(0, **options)  # type: ignore[call-overload]
            assert caught.value.code == 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM'

    run(main)


# -- socket files ---------------------------------------------------------------------------------


def test_the_mode_of_a_socket_file(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / 's'
        for mode in (0o600, 0o660, 0o777, 0o666):
            server = await net.create_server().listen(path=str(path), mode=mode)
            assert stat.S_IMODE(path.stat().st_mode) == mode
            await server.close_all(0)

    run(main)


def test_the_owner_of_a_socket_file(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / 's'
        server = await net.create_server().listen(
            path=str(path), mode=0o660, user=os.getuid(), group=os.getgid()
        )
        assert (path.stat().st_uid, path.stat().st_gid) == (os.getuid(), os.getgid())
        await server.close_all(0)
        if ROOT:
            server = await net.create_server().listen(path=str(path), user='nobody', group=12345)
            import pwd

            assert path.stat().st_uid == pwd.getpwnam('nobody').pw_uid
            assert path.stat().st_gid == 12345
            await server.close_all(0)
        else:
            with pytest.raises(PermissionError) as caught:
                net.create_server().listen(path=str(path), user=0)
            assert getattr(caught.value, 'syscall', None) == 'chown'
        assert not path.exists()

    run(main)


@pytest.mark.parametrize(
    ('options', 'error'),
    [
        ({'mode': 0o1777}, OutOfRangeError),
        ({'mode': '0660'}, InvalidArgTypeError),
        ({'user': 'no such user'}, InvalidArgValueError),
        ({'group': True}, InvalidArgTypeError),
        ({'user': -1}, OutOfRangeError),
        ({'group': 1.5}, InvalidArgTypeError),
    ],
)
def test_wrong_modes_and_owners(
    run: Any, tmp_path: Path, options: dict[str, Any], error: type[Exception]
) -> None:
    async def main() -> None:
        with pytest.raises(error):
            net.create_server().listen(path=str(tmp_path / 's'), **options)
        assert not (tmp_path / 's').exists()
        await asyncio.sleep(0)

    run(main)


@linux
def test_an_abstract_name_has_no_mode(run: Any) -> None:
    async def main() -> None:
        with pytest.raises(InvalidArgValueError):
            net.create_server().listen(path='\0tailrace-mode', mode=0o600)

    run(main)
