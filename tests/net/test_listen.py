"""server.listen() in all its forms, and what it refuses (rows LS, PF-01 to PF-03)."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from tailrace import AbortController, AbortSignal, net
from tailrace._handles.listen import Listener
from tailrace.errors import (
    InvalidArgTypeError,
    InvalidArgValueError,
    NodeError,
    SocketBadPortError,
)

from .serving import (
    Heard,
    client,
    echo,
    free_port,
    kernel_option,
    server_on,
    started,
    stopped,
    turns,
)

IPV6 = socket.has_ipv6


async def serves(where: int | str, host: str = '127.0.0.1') -> bool:
    try:
        async with client(where, host) as one:
            return await one.ask(b'ping') == b'ping'
    except OSError:
        return False


def test_ls01_every_form_listens(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        bound = socket.create_server(('127.0.0.1', 0))
        heard = Heard()
        cb = heard.to('callback')
        forms: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
            ((), {}),
            ((cb,), {}),
            ((None, cb), {}),
            ((0,), {}),
            ((0, cb), {}),
            ((0, '127.0.0.1'), {}),
            ((0, '127.0.0.1', cb), {}),
            ((0, '127.0.0.1', 5, cb), {}),
            ((0, 5, cb), {}),
            ((str(tmp_path / '1'),), {}),
            ((str(tmp_path / '2'), cb), {}),
            ((str(tmp_path / '3'), 5, cb), {}),
            (({'port': 0},), {}),
            (({'port': 0, 'host': '127.0.0.1', 'backlog': 3}, cb), {}),
            (({'path': str(tmp_path / '4')}, cb), {}),
            ((bound,), {}),
            ((bound, 5, cb), {}),
            (({'handle': bound}, cb), {}),
            ((), {'port': 0}),
            ((), {'port': 0, 'callback': cb}),
            ((), {'path': str(tmp_path / '5'), 'callback': cb}),
            ((), {'handle': bound}),
            (({'port': 0},), {'host': '127.0.0.1', 'ipv6Only': False}),
            ((cb,), {'port': 0}),
        ]
        for args, options in forms:
            server = net.create_server(echo)
            told = Heard(server, 'listening')
            wanted = cb in args or 'callback' in options
            before = len(heard)
            assert server.listen(*args, **options) is server
            await told.until('listening')
            assert len(heard) - before == wanted, (args, options)
            where = server.address()
            assert await serves(where if isinstance(where, str) else where.port), (args, options)
            await stopped(server)
        bound.close()

    run(main)


def test_ls02_gen10_never_inside_the_call(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        server.listen(0, heard.to('callback'))
        assert heard == []
        await heard.until('callback')
        assert heard.names == ['listening', 'callback']
        await stopped(server)

    run(main)


def test_ls03_am05_callback_of_a_failed_listen_waits_for_the_next(run: Any) -> None:
    async def main() -> None:
        port, taken = free_port()
        server, heard = server_on()
        server.listen(port=port, host='127.0.0.1', callback=heard.to('first'))
        await heard.until('error')
        server.listen(0, heard.to('second'))
        await heard.until('second')
        assert heard.names == ['error', 'listening', 'first', 'second']
        await stopped(server)
        await started(server)
        assert heard.names.count('first') == heard.names.count('second') == 1
        await stopped(server)
        taken.close()

    run(main)


def test_ls03_gen06_what_is_no_function_is_no_callback(run: Any) -> None:
    async def main() -> None:
        server, _ = server_on()
        await server.listen(0, {'not': 'a function'})
        await stopped(server)
        await server.listen(port=0, callback=None)
        await stopped(server)

    run(main)


@pytest.mark.parametrize(
    ('args', 'options', 'wanted'),
    [
        ((0,), {}, 511),
        ((0, '127.0.0.1', 3), {}, 3),
        ((0, 3), {}, 3),
        (({'port': 0, 'backlog': 7},), {}, 7),
        (({'port': 0, 'backlog': 7}, 3), {}, 7),
        (({'port': 0, 'backlog': 0}, 3), {}, 3),
        ((), {'port': 0, 'backlog': 9}, 9),
        ((), {'port': 0, 'backlog': 0}, 511),
        ((), {'port': 0, 'backlog': None}, 511),
        ((), {'port': 0, 'backlog': 2.9}, 2),
        ((0, '127.0.0.1', 0), {}, 511),
        ((0, '127.0.0.1', None), {}, 511),
        ((0, '127.0.0.1', True), {}, 511),
    ],
)
def test_ls04_pf02_backlog(
    run: Any, monkeypatch: Any, args: tuple[Any, ...], options: dict[str, Any], wanted: int
) -> None:
    seen = []
    real = Listener.listen

    def listen(self: Listener, backlog: int) -> int:
        seen.append(backlog)
        return real(self, backlog)

    monkeypatch.setattr(Listener, 'listen', listen)

    async def main() -> None:
        server = net.create_server()
        await server.listen(*args, **options)
        await stopped(server)

    run(main)
    assert seen == [wanted]


def test_ls04_backlog_with_path_and_handle(run: Any, monkeypatch: Any, tmp_path: Path) -> None:
    seen = []
    real = Listener.listen
    monkeypatch.setattr(Listener, 'listen', lambda s, n: (seen.append(n), real(s, n))[1])

    async def main() -> None:
        bound = socket.create_server(('127.0.0.1', 0))
        for args in ((str(tmp_path / 's'), 4), (bound, 5)):
            server = await net.create_server().listen(*args)
            await stopped(server)
        bound.close()

    run(main)
    assert seen == [4, 5]


@pytest.mark.parametrize('odd', ['x', True, [3], float('inf'), float('nan'), {}, b'5', -1, None])
def test_ls04_a_backlog_that_is_no_number_is_not_given(run: Any, odd: Any) -> None:
    async def main() -> None:
        server = net.create_server()
        await server.listen(port=0, backlog=odd)
        await stopped(server)

    run(main)


def test_ls04_a_huge_backlog_is_the_kernels_to_cut(run: Any) -> None:
    async def main() -> None:
        server = await net.create_server().listen(port=0, backlog=2**40)
        await stopped(server)
        await server.listen(0, '127.0.0.1', 2**40)
        await stopped(server)

    run(main)


def test_ls05_pf01_reuseaddr_and_a_restart_with_connections_in_time_wait(run: Any) -> None:
    async def main() -> None:
        server = net.create_server(lambda sock: sock.end('x'))
        port = await started(server)
        assert kernel_option(server, socket.SOL_SOCKET, socket.SO_REUSEADDR) != 0
        async with client(port) as one:
            assert await one.rest() == b'x'  # the server's side closes first: it is in TIME_WAIT
        await stopped(server)
        await server.listen(port=port, host='127.0.0.1')
        await stopped(server)

    run(main)


def test_ls06_listening_again(run: Any) -> None:
    async def main() -> None:
        port, taken = free_port()
        server, heard = server_on()
        server.listen(port=port, host='127.0.0.1')
        await heard.until('error')
        server.listen(0)
        await heard.until('listening')
        heard.clear()
        server.close()
        server.listen(0)
        await heard.until('listening')
        assert heard.names == ['close', 'listening']
        await stopped(server)
        taken.close()

    run(main)


def test_ls06_listen_close_listen_in_one_tick(run: Any) -> None:
    """As Node 24 was seen to do: each listen() that finds the server open tells so."""

    async def main() -> None:
        server, heard = server_on()
        server.listen(0)
        server.close(heard.to('closed'))
        server.listen(0)
        await heard.until('close')
        await turns()
        assert heard.names == ['listening', 'close', 'closed', 'listening']
        assert server.listening
        await stopped(server)

    run(main)


def test_ls07_er01_listen_twice(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        server.listen(0)
        for call in (
            lambda: server.listen(0),
            lambda: server.listen(port=0, host='localhost'),
            lambda: server.listen('/tmp/never'),
        ):
            with pytest.raises(NodeError) as caught:
                call()
            assert caught.value.code == 'ERR_SERVER_ALREADY_LISTEN'
        await heard.until('listening')
        await turns()
        assert heard.names == ['listening']
        await stopped(server)

    run(main)


def test_ls07_while_a_host_is_looked_up_a_second_listen_overtakes_it(run: Any) -> None:
    """0.3: the recorded trace of Node wins over AM-04."""

    async def main() -> None:
        server, heard = server_on()
        server.listen(0, 'localhost', heard.to('first'))
        server.listen(0, '127.0.0.1', heard.to('second'))
        await heard.until('second')
        await turns()
        assert heard.names.count('listening') == 1
        assert heard.names.count('first') == heard.names.count('second') == 1
        await stopped(server)

    run(main)


def test_ls07_close_cancels_every_lookup_under_way(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        server.listen(0, 'localhost')
        server.listen(0, '127.0.0.1')
        server.close()
        await heard.until('close')
        await server.get_connections()
        await turns(20)
        assert heard.names == ['close']
        assert not server.listening

    run(main)


def test_ls08_er06_address_in_use(run: Any) -> None:
    async def main() -> None:
        port, taken = free_port()
        server, heard = server_on()
        server.listen(port=port, host='127.0.0.1')
        assert heard == []
        error = await heard.until('error')
        assert isinstance(error, OSError)
        assert error.errno == errno.EADDRINUSE
        assert (error.code, error.syscall) == ('EADDRINUSE', 'listen')
        assert (error.address, error.port) == ('127.0.0.1', port)
        assert not server.listening
        assert server.address() is None
        taken.close()

    run(main)


@pytest.mark.skipif(not IPV6, reason='no IPv6')
def test_ls08_am10_a_port_in_use_without_host_is_not_hidden_by_ipv4(run: Any) -> None:
    async def main() -> None:
        first = await net.create_server().listen(0)
        server, heard = server_on()
        server.listen(first.address().port)
        error = await heard.until('error')
        assert (error.code, error.address) == ('EADDRINUSE', '::')
        await stopped(first)

    run(main)


def test_ls09_ex05_retry_until_the_port_is_free(run: Any) -> None:
    async def main() -> None:
        port, taken = free_port()
        server = net.create_server(echo)
        heard = Heard(server, 'listening', 'close')

        def failed(error: Any) -> None:
            assert error.code == 'EADDRINUSE'
            heard.to('retry')()
            if heard.names.count('retry') == 3:
                taken.close()
            server.close()
            server.listen(port=port, host='127.0.0.1')

        server.on('error', failed)
        server.listen(port=port, host='127.0.0.1')
        await heard.until('listening')
        assert heard.names.count('retry') == 3
        assert await serves(port)
        await stopped(server)

    run(main)


def test_ls10_a_server_as_handle_shares_the_queue(run: Any) -> None:
    async def main() -> None:
        first = net.create_server(lambda sock: sock.end('first'))
        port = await started(first)
        second = net.create_server(lambda sock: sock.end('second'))
        await second.listen(first)
        assert second.address().port == port
        first._handle.pause()  # type: ignore[union-attr]
        async with client(port) as one:
            assert await one.rest() == b'second'
        await stopped(second)
        first._handle.resume()  # type: ignore[union-attr]
        async with client(port) as one:
            assert await one.rest() == b'first'
        await second.listen({'handle': first})
        await stopped(first)
        async with client(port) as one:
            assert await one.rest() == b'second'
        await stopped(second)

    run(main)


def test_ls10_a_path_server_as_handle_does_not_own_the_file(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / 's'
        first = net.create_server(echo)
        await started(first, str(path))
        second = net.create_server(echo)
        await second.listen(first)
        assert second.address() == str(path)
        await stopped(second)
        assert path.exists()
        assert await serves(str(path))
        await stopped(first)
        assert not path.exists()

    run(main)


def test_ls10_python_sockets_stay_their_owners(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        bound = socket.socket()
        bound.bind(('127.0.0.1', 0))
        unix = socket.socket(socket.AF_UNIX)
        unix.bind(str(tmp_path / 's'))
        for sock in (bound, unix):

            class HasFd:
                fd = sock.fileno()

            for handle in (sock, HasFd()):
                server = net.create_server(echo)
                await server.listen(handle)
                where = server.address()
                assert await serves(where if isinstance(where, str) else where.port)
                await stopped(server)
                assert os.fstat(sock.fileno())
        bound.close()
        unix.close()
        assert (tmp_path / 's').exists()

    run(main)


def test_ls10_ls11_a_descriptor_becomes_the_servers(run: Any) -> None:
    async def main() -> None:
        bound = socket.socket()
        bound.bind(('127.0.0.1', 0))
        port = bound.getsockname()[1]
        fd = bound.detach()
        server = net.create_server(echo)
        await server.listen({'fd': fd})
        assert server.address().port == port
        assert await serves(port)
        await stopped(server)
        with pytest.raises(OSError, match='Bad file descriptor'):
            os.fstat(fd)

    run(main)


@pytest.mark.parametrize('what', ['closed', 'file', 'udp', 'pipe'])
def test_ls11_a_descriptor_that_cannot_listen(run: Any, tmp_path: Path, what: str) -> None:
    async def main() -> None:
        ends: tuple[int, ...]
        if what == 'closed':
            ends = (9999,)
        elif what == 'file':
            ends = (os.open(tmp_path / 'f', os.O_CREAT | os.O_RDWR),)
        elif what == 'udp':
            ends = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach(),)
        else:
            ends = os.pipe()
        server, heard = server_on()
        server.listen({'fd': ends[0]})
        error = await heard.until('error')
        assert (error.code, error.syscall) == ('EINVAL', 'listen')
        if what != 'closed':
            for fd in ends:
                os.close(fd)  # a refused descriptor stays its owner's
        await server.listen(0)
        await stopped(server)

    run(main)


def test_ls11_a_connected_socket_cannot_listen(run: Any) -> None:
    async def main() -> None:
        one, other = socket.socketpair()
        server, heard = server_on()
        server.listen(one)
        assert (await heard.until('error')).code == 'EINVAL'
        one.send(b'still mine')
        assert other.recv(10) == b'still mine'
        one.close()
        other.close()

    run(main)


def test_ls10_a_connected_net_socket_is_a_handle_that_cannot_listen(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        port = await started(server)
        async with client(port) as one:
            sock = await heard.until('connection')
            second, told = server_on()
            second.listen(sock)
            assert (await told.until('error')).code == 'EINVAL'
            sock.end(b'fine')
            assert await one.rest() == b'fine'
            sock.resume()
        await stopped(server)

    run(main)


@pytest.mark.parametrize('bad', [object(), [1], b'path', (0, 1)])
def test_ls10_what_is_no_handle(run: Any, bad: Any) -> None:
    async def main() -> None:
        server = net.create_server()
        with pytest.raises((InvalidArgTypeError, InvalidArgValueError)):
            server.listen(bad)
        await server.listen(0)
        await stopped(server)

    run(main)


@pytest.mark.parametrize('closed', ['server', 'socket'])
def test_ls10_a_closed_handle(run: Any, closed: str) -> None:
    async def main() -> None:
        handle: Any
        if closed == 'server':
            handle = await net.create_server().listen(0)
            await stopped(handle)
        else:
            handle = socket.socket()
            handle.close()
        server, heard = server_on()
        try:
            server.listen(handle)
        except NodeError as error:
            assert error.code in ('ERR_INVALID_ARG_TYPE', 'ERR_INVALID_ARG_VALUE')  # noqa: PT017
        else:
            assert (await heard.until('error')).code == 'EINVAL'
        await server.listen(0)
        await stopped(server)

    run(main)


@pytest.mark.parametrize(
    ('args', 'options'),
    [
        (({},), {}),
        (({'host': '127.0.0.1'},), {}),
        (({'path': ''},), {}),
        (({'path': 5},), {}),
        (({'path': '5'},), {}),
        (({'path': None},), {}),
        (({'port': True},), {}),
        (({'port': []},), {}),
        ((True,), {}),
        ((False,), {}),
        (({'fd': -1},), {}),
        (({'fd': True},), {}),
        (({'fd': 'x'},), {}),
        ((), {'host': '127.0.0.1'}),
        ((), {'backlog': 5}),
        ((), {'path': ''}),
    ],
)
def test_ls12_ls13_am06_options_that_name_nothing(
    run: Any, args: tuple[Any, ...], options: dict[str, Any]
) -> None:
    async def main() -> None:
        server = net.create_server()
        with pytest.raises(InvalidArgValueError) as caught:
            server.listen(*args, **options)
        assert caught.value.code == 'ERR_INVALID_ARG_VALUE'
        assert not server.listening
        await server.listen(0)
        await stopped(server)

    run(main)


def test_gen04_unknown_and_contradicting_options() -> None:
    server = net.create_server()
    with pytest.raises(TypeError, match='ipv6_only'):
        server.listen(port=0, ipv6_ony=True)
    with pytest.raises(TypeError, match='two different values'):
        server.listen({'port': 0}, port=1)
    assert not server.listening


def test_gen04_the_mapping_is_not_changed_and_unknown_keys_do_not_matter(run: Any) -> None:
    async def main() -> None:
        options = {'port': 0, 'host': '127.0.0.1', 'ipv6Only': True, 'nonsense': 1}
        before = dict(options)
        server = await net.create_server().listen(options)
        assert options == before
        await stopped(server)

    run(main)


@pytest.mark.parametrize('exclusive', [True, False])
def test_ls14_ls27_ex09_exclusive_changes_nothing_outside_a_cluster(
    run: Any, exclusive: bool
) -> None:
    async def main() -> None:
        server = net.create_server(echo)
        server.listen({'host': 'localhost', 'port': 0, 'exclusive': exclusive})
        await server
        assert await serves(server.address().port, 'localhost')
        await stopped(server)

    run(main)


def test_ls15_host_binds_only_there(run: Any) -> None:
    async def main() -> None:
        server = net.create_server(echo)
        port = await started(server, {'port': 0, 'host': '127.0.0.1'})
        assert await serves(port)
        assert not await serves(port, '127.0.0.2')
        await stopped(server)

    run(main)


@pytest.mark.parametrize('bad', [5, 1.5, True, ['h'], b'h', {'a': 1}])
def test_ls15_host_is_text(run: Any, bad: Any) -> None:
    async def main() -> None:
        server = net.create_server()
        with pytest.raises(InvalidArgTypeError):
            server.listen(port=0, host=bad)
        await server.listen(0)
        await stopped(server)

    run(main)


@pytest.mark.skipif(not IPV6, reason='no IPv6')
def test_ls16_ipv6_only(run: Any) -> None:
    async def main() -> None:
        six = net.create_server(lambda sock: sock.end('six'))
        port = await started(six, port=0, host='::', ipv6_only=True)
        assert not await serves(port)
        four = net.create_server(lambda sock: sock.end('four'))
        await started(four, port=port, host='0.0.0.0')
        for host, who in (('127.0.0.1', b'four'), ('::1', b'six')):
            async with client(port, host) as one:
                assert await one.rest() == who
        await stopped(six)
        await stopped(four)
        await started(six, port=0, ipv6_only=True)
        assert six.address().address == '::'
        assert not await serves(six.address().port)
        await stopped(six)

    run(main)


def test_ls17_reuse_port(run: Any) -> None:
    async def main() -> None:
        one, two = net.create_server(), net.create_server()
        port = await started(one, port=0, host='127.0.0.1', reuse_port=True)
        assert await started(two, {'port': port, 'host': '127.0.0.1', 'reusePort': True}) == port
        three, heard = server_on()
        three.listen(port=port, host='127.0.0.1')
        assert (await heard.until('error')).code == 'EADDRINUSE'
        await stopped(one)
        await stopped(two)

    run(main)


def test_ls18_am09_port_wins_over_path(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        server = net.create_server()
        await started(server, {'port': 0, 'path': str(tmp_path / 's')})
        assert server.address().port > 0
        assert list(tmp_path.iterdir()) == []
        await stopped(server)

    run(main)


@pytest.mark.parametrize(
    'bad', [65536, -1, 1.5, float('nan'), float('inf'), '65536', '', ' ', '1.5', 'Infinity']
)
def test_ls19_er11_bad_ports(run: Any, bad: Any) -> None:
    async def main() -> None:
        server = net.create_server()
        for call in (lambda: server.listen(bad), lambda: server.listen(port=bad)):
            with pytest.raises(SocketBadPortError) as caught:
                call()
            assert caught.value.code == 'ERR_SOCKET_BAD_PORT'
            assert isinstance(caught.value, ValueError)
        with pytest.raises(SocketBadPortError):
            server.listen({'port': 'x'})
        assert not server.listening
        await server.listen(0)
        await stopped(server)

    run(main)


@pytest.mark.parametrize('spell', [str, float, hex, lambda p: f' {p} '])
def test_ls19_am07_numeric_text_is_a_port(run: Any, spell: Any) -> None:
    async def main() -> None:
        port, taken = free_port()
        taken.close()
        server = net.create_server()
        assert await started(server, spell(port), '127.0.0.1') == port
        await stopped(server)

    run(main)


def test_ls20_port_present_but_empty(run: Any) -> None:
    async def main() -> None:
        for args, options in (
            ((), {}),
            ((None,), {}),
            ((lambda: None,), {}),
            (({'port': None},), {}),
            ((), {'port': None}),
            ((None, '127.0.0.1'), {}),
        ):
            server = net.create_server()
            assert await started_as(server, args, options) > 0
            await stopped(server)

    async def started_as(server: Any, args: tuple[Any, ...], options: dict[str, Any]) -> int:
        await server.listen(*args, **options)
        return int(server.address().port)

    run(main)


def test_ls23_ab03_abort_is_a_close(run: Any) -> None:
    async def main() -> None:
        controller = AbortController()
        server, heard = server_on()
        await server.listen(port=0, host='127.0.0.1', signal=controller.signal)
        port = server.address().port
        async with client(port) as one:
            sock = await heard.until('connection')
            sock.pipe(sock)
            controller.abort()
            assert not server.listening
            assert await one.ask(b'goes on') == b'goes on'  # AM-66
            assert 'close' not in heard.names
        await heard.until('close')
        assert heard.names == ['listening', 'connection', 'close']

    run(main)


def test_ls23_am29_an_aborted_signal(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        for options in (
            {'port': 0},
            {'port': 0, 'host': '127.0.0.1'},
            {'port': 0, 'host': 'localhost'},
            {'path': str(tmp_path / 's')},
        ):
            server, heard = server_on()
            server.listen(**options, signal=AbortSignal.abort())
            await heard.until('close')
            await turns(10)
            assert heard.names == ['close']
            assert not server.listening
        assert list(tmp_path.iterdir()) == []

    run(main)


def test_ls23_abort_during_the_lookup(run: Any) -> None:
    async def main() -> None:
        controller = AbortController()
        server, heard = server_on()
        server.listen(port=0, host='localhost', signal=controller.signal)
        controller.abort()
        await heard.until('close')
        await turns(20)
        assert heard.names == ['close']

    run(main)


@pytest.mark.parametrize('bad', [1, 'x', True, [], AbortController()])
def test_ls23_signal_is_an_abort_signal(run: Any, tmp_path: Path, bad: Any) -> None:
    async def main() -> None:
        bound = socket.create_server(('127.0.0.1', 0))
        server = net.create_server()
        for options in (
            {'port': 0},
            {'port': 0, 'host': '127.0.0.1'},
            {'path': str(tmp_path / 's')},
            {'handle': bound},
            {'fd': bound.fileno()},
        ):
            with pytest.raises(InvalidArgTypeError):
                server.listen(**options, signal=bad)
            assert not server.listening
        assert list(tmp_path.iterdir()) == []
        bound.close()
        await server.listen(0)
        await stopped(server)

    run(main)


def test_ab06_the_signal_is_left_alone_when_the_server_closes(run: Any) -> None:
    async def main() -> None:
        controller = AbortController()
        signal = controller.signal
        server, heard = server_on()
        for _ in range(3):
            await server.listen(port=0, signal=signal)
            assert signal.listener_count('abort') == 1
            await stopped(server)
            assert signal.listener_count('abort') == 0
        listeners = server.event_names(), server.listener_count('close')
        controller.abort()
        await turns()
        assert (server.event_names(), server.listener_count('close')) == listeners
        assert heard.names == ['listening', 'close'] * 3

    run(main)


def test_ab06_failed_listens_leave_no_listener_on_the_signal(run: Any) -> None:
    async def main() -> None:
        port, taken = free_port()
        signal = AbortController().signal
        server, heard = server_on()
        for count in range(1, 4):
            server.listen(port=port, host='127.0.0.1', signal=signal)
            await heard.until('error', count)
        assert signal.listener_count('abort') == 0
        assert server.listener_count('close') == 1
        taken.close()

    run(main)


def test_ex07_an_aborted_controller_closes_a_listening_server(run: Any) -> None:
    async def main() -> None:
        controller = AbortController()
        server, heard = server_on()
        server.listen(port=0, host='localhost', signal=controller.signal)
        await heard.until('listening')
        controller.abort()
        await heard.until('close')
        assert server.listening is False

    run(main)


def open_sockets() -> int:
    folder = Path('/proc/self/fd')
    return sum(
        os.readlink(folder / name).startswith('socket:')
        for name in os.listdir(folder)
        if os.path.lexists(folder / name)
    )


@pytest.mark.skipif(not IPV6, reason='no IPv6')
def test_ls25_pf03_one_dual_stack_socket(run: Any) -> None:
    async def main() -> None:
        before = open_sockets()
        server, heard = server_on()
        port = await started(server, 0)
        assert open_sockets() == before + 1
        assert (server.address().address, server.address().family) == ('::', 'IPv6')
        assert kernel_option(server, socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 0
        async with client(port), client(port, '::1'):
            await heard.until('connection', 2)
            peers = {(s.remote_address, s.remote_family) for s in heard.all('connection')}
            assert peers == {('::ffff:127.0.0.1', 'IPv6'), ('::1', 'IPv6')}
            for sock in heard.all('connection'):
                sock.destroy()
        await stopped(server)

    run(main)


@pytest.mark.parametrize('code', ['EAFNOSUPPORT', 'EADDRNOTAVAIL'])
def test_ls25_am10_without_ipv6_it_is_ipv4(run: Any, monkeypatch: Any, code: str) -> None:
    from tailrace._handles.listen_tcp import TcpListener

    real = TcpListener.bind

    def bind(self: Any, address: str, port: int, family: int, only: bool, reuse: bool) -> int:
        if family == 6:
            return int(getattr(errno, code))
        return real(self, address, port, family, only, reuse)

    monkeypatch.setattr(TcpListener, 'bind', bind)

    async def main() -> None:
        server = net.create_server(echo)
        port = await started(server, 0)
        assert server.address().address == '0.0.0.0'
        assert await serves(port)
        await stopped(server)

    run(main)


def test_ls26_host_names(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        await started(server, 0, 'localhost')
        assert server.address().address in ('127.0.0.1', '::1')
        await stopped(server)
        server.listen(0, 'nohost.invalid')
        error = await heard.until('error')
        assert error.code in ('ENOTFOUND', 'EAI_AGAIN')
        assert (error.syscall, error.hostname) == ('getaddrinfo', 'nohost.invalid')
        server.listen(0, 'localhost')
        server.close(heard.to('closed'))
        assert (await heard.until('closed')).code == 'ERR_SERVER_NOT_RUNNING'
        await turns(20)
        assert not server.listening

    run(main)


def test_ls28_an_address_of_another_machine(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        server.listen(0, '192.0.2.1')
        error = await heard.until('error')
        assert (error.code, error.syscall, error.address) == (
            'EADDRNOTAVAIL',
            'listen',
            '192.0.2.1',
        )
        assert not server.listening
        await server.listen(0)
        await stopped(server)

    run(main)


def test_gen06_a_coroutine_function_as_callback(run: Any) -> None:
    async def main() -> None:
        heard = Heard()

        async def ready() -> None:
            await asyncio.sleep(0)
            heard.to('ready')()

        server = net.create_server()
        server.listen(0, ready)
        await heard.until('ready')
        await stopped(server)

    run(main)
