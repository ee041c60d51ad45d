"""BoundSocket: bound in its constructor, adopted once (row BX-01)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import warnings
from pathlib import Path
from typing import Any

import pytest

from tailrace import net
from tailrace.errors import NodeError

from .serving import Heard, client, echo, free_port, server_on, stopped


def code_of(call: Any) -> str:
    with pytest.raises(NodeError) as caught:
        call()
    return caught.value.code


def test_bx01_bound_at_once_and_listened_on(run: Any) -> None:
    async def main() -> None:
        bound = net.BoundSocket(host='127.0.0.1', port=0)
        where = bound.address()
        assert where == {'address': '127.0.0.1', 'family': 'IPv4', 'port': where.port}
        assert where.port > 0
        assert bound.fd() >= 0
        assert bound.is_pipe is bound.isPipe is False
        server = net.create_server(echo)
        await server.listen(bound)
        assert server.address() == where
        async with client(where.port) as one:
            assert await one.ask(b'x') == b'x'
        for method in (bound.address, bound.fd):
            assert code_of(method) == 'ERR_SOCKET_HANDLE_ADOPTED'
        assert repr(bound) == '<BoundSocket adopted>'
        bound.close()
        assert server.listening
        other = net.create_server()
        assert code_of(lambda: other.listen(bound)) == 'ERR_SOCKET_HANDLE_ADOPTED'
        assert code_of(lambda: net.Socket(handle=bound)) == 'ERR_SOCKET_HANDLE_ADOPTED'
        await stopped(server)

    run(main)


def test_bx01_without_a_host_it_is_dual_stack(run: Any) -> None:
    async def main() -> None:
        bound = net.BoundSocket()
        assert bound.address().address in ('::', '0.0.0.0')
        server = await net.create_server(echo).listen({'handle': bound})
        async with client(server.address().port) as one:
            assert await one.ask(b'x') == b'x'
        await stopped(server)

    run(main)


def test_bx01_a_path(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / 's'
        bound = net.BoundSocket({'path': str(path)})
        assert path.is_socket()
        assert bound.is_pipe
        assert bound.address() == str(path)
        assert repr(bound) == f'<BoundSocket {path}>'
        server = await net.create_server(echo).listen(bound)
        assert server.address() == str(path)
        async with client(str(path)) as one:
            assert await one.ask(b'x') == b'x'
        await stopped(server)
        assert not path.exists()
        with net.BoundSocket(path=str(path)):
            assert path.is_socket()
        assert not path.exists()

    run(main)


def test_bx01_a_socket_connects_from_it(run: Any) -> None:
    async def main() -> None:
        server, heard = server_on()
        await server.listen(port=0, host='127.0.0.1')
        bound = net.BoundSocket(host='127.0.0.1')
        port = bound.address().port
        sock = net.Socket(handle=bound)
        told = Heard(sock, 'connect', 'close')
        sock.connect(server.address().port, '127.0.0.1')
        await told.until('connect')
        assert sock.local_port == port
        assert (await heard.until('connection')).remote_port == port
        sock.destroy()
        await told.until('close')
        heard.all('connection')[0].destroy()
        await stopped(server)

    run(main)


def test_bx01_a_socket_connects_from_a_bound_path(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        server = net.create_server(lambda sock: sock.end('path'))
        await server.listen(str(tmp_path / 'server'))
        bound = net.BoundSocket(path=str(tmp_path / 'client'))
        sock = net.Socket({'handle': bound})
        told = Heard(sock, 'close')
        assert code_of(bound.address) == 'ERR_SOCKET_HANDLE_ADOPTED'
        sock.destroy()
        await told.until('close')
        await stopped(server)

    run(main)


@pytest.mark.parametrize(
    ('options', 'code'),
    [
        ({'port': -1}, 'ERR_SOCKET_BAD_PORT'),
        ({'port': 65536}, 'ERR_SOCKET_BAD_PORT'),
        ({'port': 1.5}, 'ERR_SOCKET_BAD_PORT'),
        ({'port': 'x'}, 'ERR_SOCKET_BAD_PORT'),
        ({'port': True}, 'ERR_SOCKET_BAD_PORT'),
        ({'host': 'localhost'}, 'ERR_INVALID_ARG_VALUE'),
        ({'host': ''}, 'ERR_INVALID_ARG_VALUE'),
        ({'host': 5}, 'ERR_INVALID_ARG_TYPE'),
        ({'path': 5}, 'ERR_INVALID_ARG_TYPE'),
        ({'path': 's', 'port': 0}, 'ERR_INVALID_ARG_VALUE'),
        ({'path': 's', 'host': '::'}, 'ERR_INVALID_ARG_VALUE'),
        ({'host': '192.0.2.1'}, 'EADDRNOTAVAIL'),
        ({'path': 'x' * 200}, 'EINVAL'),
        ({'path': '/nowhere/at/all'}, ('ENOENT', 'EACCES')),
    ],
)
def test_bx01_everything_wrong_is_raised_at_once(options: dict[str, Any], code: Any) -> None:
    assert code_of(lambda: net.BoundSocket(options)) in (code if type(code) is tuple else (code,))


@pytest.mark.parametrize('bad', [5, 'x', [], True])
def test_bx01_options_are_a_mapping(bad: Any) -> None:
    assert code_of(lambda: net.BoundSocket(bad)) == 'ERR_INVALID_ARG_TYPE'


@pytest.mark.parametrize('keyword', ['backlog', 'signal', 'exclusive', 'fd', 'nonsense'])
def test_bx01_what_it_does_not_know_is_a_type_error(keyword: str) -> None:
    with pytest.raises(TypeError, match=keyword):
        net.BoundSocket(**{keyword: 1})


def test_bx01_system_errors_say_bind() -> None:
    port, taken = free_port()
    with taken, pytest.raises(OSError, match='EADDRINUSE') as caught:
        net.BoundSocket(host='127.0.0.1', port=port)
    error: Any = caught.value
    assert (error.syscall, error.address, error.port) == ('bind', '127.0.0.1', port)


def test_bx01_ipv6_only_and_reuse_port() -> None:
    for _ in range(20):
        with net.BoundSocket(host='::', ipv6_only=True) as six:
            try:
                net.BoundSocket(host='0.0.0.0', port=six.address().port).close()
            except OSError as error:
                # Of IPv4, anybody else's: the next one may be free. Without the option all fail.
                refused = error
            else:
                break
    else:
        raise refused
    with net.BoundSocket(host='127.0.0.1', reusePort=True) as one:
        port = one.address().port
        with net.BoundSocket(host='127.0.0.1', port=port, reuse_port=True) as two:
            assert two.address() == one.address()


def test_bx01_close_gives_the_address_up_and_is_idempotent(run: Any) -> None:
    async def main() -> None:
        bound = net.BoundSocket(host='127.0.0.1')
        port, fd = bound.address().port, bound.fd()
        bound.close()
        bound.close()
        with pytest.raises(OSError, match='Bad file descriptor'):
            os.fstat(fd)
        with socket.socket() as again:
            again.bind(('127.0.0.1', port))
        server, heard = server_on()
        server.listen(bound)
        assert (await heard.until('error')).code == 'EINVAL'
        await server.listen(0)
        await stopped(server)

    run(main)


def test_bx01_forgotten_it_warns() -> None:
    bound = net.BoundSocket(host='127.0.0.1')
    fd = bound.fd()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        del bound
        gc.collect()
    assert [w.category for w in caught] == [ResourceWarning]
    with pytest.raises(OSError, match='Bad file descriptor'):
        os.fstat(fd)


def test_bx01_without_a_loop_and_then_with_one() -> None:
    bound = net.BoundSocket(host='127.0.0.1')

    async def main() -> bytes:
        server = await net.create_server(echo).listen(bound)
        async with client(server.address().port) as one:
            got = await one.ask(b'x')
        await stopped(server)
        return got

    # The object is bound to no loop before it is adopted.
    assert asyncio.run(main()) == b'x'


def _fails(host: Any, options: Any, callback: Any) -> None:
    callback(OSError('no such name'))


def _raises(host: Any, options: Any, callback: Any) -> None:
    raise OSError('no such name')


def _silent(host: Any, options: Any, callback: Any) -> None:
    """Never answers."""


def _nothing(host: Any, options: Any, callback: Any) -> None:
    callback(None, [], 4)


BLOCKED = net.BlockList()
BLOCKED.add_address('127.0.0.1')


@pytest.mark.parametrize(
    'options',
    [
        {'host': '127.0.0.1'},
        {'host': 'a.test', 'lookup': _silent},
        {'host': 'a.test', 'lookup': _silent, 'connect_timeout': 1},
        {'host': 'a.test', 'lookup': _fails},
        {'host': 'a.test', 'lookup': _raises},
        {'host': 'a.test', 'lookup': _nothing},
        {'host': '127.0.0.1', 'block_list': BLOCKED},
    ],
    ids=['destroyed', 'silent', 'too late', 'fails', 'raises', 'nothing', 'blocked'],
)
def test_what_comes_to_no_attempt_gives_the_address_up(run: Any, options: dict[str, Any]) -> None:
    """Whatever ends the connect before: the socket closes the bound descriptor."""

    async def main() -> None:
        bound = net.BoundSocket(host='127.0.0.1', port=0)
        fd = bound.fd()
        sock = net.Socket(handle=bound)
        sock.on('error', lambda error: None)
        with contextlib.suppress(OSError):  # what a lookup raises comes out
            sock.connect(port=1, **options)
        if options.get('lookup') in (None, _silent, _raises) and len(options) < 3:
            sock.destroy()
        await sock.wait_closed()
        with pytest.raises(OSError, match='Bad file descriptor'):
            os.fstat(fd)

    run(main)


def test_connecting_again_while_the_end_is_told_leaves_no_descriptor(run: Any) -> None:
    """Both sides have ended: the kernel knows no peer, and yet it is no bound socket."""

    async def main() -> None:
        server = await net.create_server(lambda sock: sock.resume().end(b'bye')).listen(
            0, '127.0.0.1'
        )
        port = server.address().port
        sock = net.Socket()
        fds: list[int] = []

        def again() -> None:
            fds.append(sock.fileno())
            sock.connect(port, '127.0.0.1')

        sock.on('error', lambda error: None)
        sock.once('end', again)
        sock.connect(port, '127.0.0.1')
        sock.resume().end(b'hello')
        await sock.wait_closed()
        with pytest.raises(OSError, match='Bad file descriptor'):
            os.fstat(fds[0])
        await server.close_all()

    run(main)
