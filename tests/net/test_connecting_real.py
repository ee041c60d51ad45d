"""Connecting on the loopback interface: the same machine on real handles and the real clock."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tailrace import _runtime
from tailrace._handles import make
from tailrace._net.clock import RuntimeClock
from tailrace._net.connecting import Connecting, check_plan

MODES = [True, 'race']


class Peers:
    """Listening sockets on one port; what is not opened refuses."""

    def __init__(self) -> None:
        self.stack = ExitStack()
        first = self.stack.enter_context(socket.create_server(('127.0.0.1', 0)))
        self.port: int = first.getsockname()[1]

    def black_hole(self, host: str) -> None:
        """A listener whose queue is full: SYNs to it are dropped (tcp(7), listen(2))."""
        hole = self.stack.enter_context(socket.create_server((host, self.port), backlog=0))
        # One more than the backlog is taken; the next ones wait in the state SYN_SENT.
        for _ in range(3):
            filler = self.stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())


@pytest.fixture
def peers() -> Iterator[Peers]:
    out = Peers()
    with out.stack:
        yield out


class Said:
    def __init__(self) -> None:
        self.log: list[tuple[Any, ...]] = []
        self.end: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def lookup(self, *args: Any) -> None:
        pass

    def attempting(self, address: str, port: Any, family: Any) -> None:
        self.log.append(('try', address))

    def failed(self, address: str, port: Any, family: Any, error: Any) -> None:
        self.log.append(('failed', address, error.code))

    def timed_out(self, address: str, port: Any, family: Any) -> None:
        self.log.append(('timeout', address))

    def refuse(self, address: str, family: int) -> None:
        return None

    def connected(self, handle: Any) -> None:
        self.log.append(('connected', handle.get_peer_name()[0]))
        handle.close(lambda: self.end.set_result(None))

    def gave_up(self, error: Any) -> None:
        self.log.append(('gave up', error.code))
        self.end.set_result(error)


def start(peers: Peers, addresses: list[str], **options: Any) -> tuple[Said, Connecting]:
    runtime = _runtime.current()
    said = Said()

    def open_handle(family: int) -> Any:
        return make.tcp(runtime) if family else make.pipe(runtime)

    if addresses:
        options.setdefault('host', 'h')
        options['lookup'] = lambda host, options: addresses
    plan = check_plan({'port': peers.port, **options})
    connect = Connecting(plan, said, RuntimeClock(runtime, None), open_handle)
    connect.start()
    return said, connect


def play(peers: Peers, addresses: list[str], **options: Any) -> tuple[list[Any], Any]:
    async def main() -> tuple[list[Any], Any]:
        said, _ = start(peers, addresses, **options)
        error = await said.end
        while _runtime.current().holders:
            await asyncio.sleep(0)
        return said.log, error

    return asyncio.run(main())


@pytest.mark.parametrize('mode', MODES)
def test_af04_refused_then_connected_both_families(peers: Peers, mode: Any) -> None:
    log, _ = play(peers, ['::1', '127.0.0.1'], auto_select_family=mode)
    assert log == [
        ('try', '::1'),
        ('failed', '::1', 'ECONNREFUSED'),
        ('try', '127.0.0.1'),
        ('connected', '127.0.0.1'),
    ]


@pytest.mark.parametrize('mode', MODES)
def test_af05_a_black_hole_then_connected(peers: Peers, mode: Any) -> None:
    peers.black_hole('127.0.0.2')
    log, _ = play(
        peers,
        ['127.0.0.2', '127.0.0.1'],
        auto_select_family=mode,
        auto_select_family_attempt_timeout=20,
    )
    timeout = [('timeout', '127.0.0.2')] if mode is True else []
    assert log == [
        ('try', '127.0.0.2'),
        *timeout,
        ('try', '127.0.0.1'),
        ('connected', '127.0.0.1'),
    ]


@pytest.mark.parametrize('mode', MODES)
def test_af08_unreachable_and_refused(peers: Peers, mode: Any) -> None:
    # A broadcast address without SO_BROADCAST fails inside connect(2), on Linux with ENETUNREACH
    # or EACCES.
    log, error = play(peers, ['127.255.255.255', '127.0.0.3'], auto_select_family=mode)
    assert [entry[:2] for entry in log[:4]] == [
        ('try', '127.255.255.255'),
        ('failed', '127.255.255.255'),
        ('try', '127.0.0.3'),
        ('failed', '127.0.0.3'),
    ]
    assert [one.code for one in error.errors] == [log[1][2], 'ECONNREFUSED']


def test_cn20_one_refused_address(peers: Peers) -> None:
    log, error = play(peers, [], host='127.0.0.3')
    assert log == [
        ('try', '127.0.0.3'),
        ('failed', '127.0.0.3', 'ECONNREFUSED'),
        ('gave up', 'ECONNREFUSED'),
    ]
    assert isinstance(error, ConnectionRefusedError)
    assert (error.address, error.port) == ('127.0.0.3', peers.port)  # type: ignore[attr-defined]


def test_cn14_local_port_taken(peers: Peers) -> None:
    log, error = play(peers, [], host='127.0.0.1', local_address='127.0.0.1', local_port=peers.port)
    assert log == [('gave up', 'EADDRINUSE')]
    assert (error.syscall, error.address, error.port) == ('bind', '127.0.0.1', peers.port)


def test_cn20_a_path_that_is_not_there(peers: Peers, tmp_path: Any) -> None:
    path = str(tmp_path / 'nobody')
    log, _ = play(peers, [], path=path)
    assert log == [('try', path), ('failed', path, 'ENOENT'), ('gave up', 'ENOENT')]


def test_connect_timeout_of_a_black_hole(peers: Peers) -> None:
    peers.black_hole('127.0.0.2')
    log, error = play(peers, [], host='127.0.0.2', connect_timeout=20)
    assert log == [('try', '127.0.0.2'), ('timeout', '127.0.0.2'), ('gave up', 'ETIMEDOUT')]
    assert isinstance(error, TimeoutError)


@pytest.mark.parametrize('mode', MODES)
def test_cn24_abort_while_attempting(peers: Peers, mode: Any) -> None:
    peers.black_hole('127.0.0.2')

    async def main() -> list[Any]:
        said, connect = start(
            peers, ['127.0.0.2', '127.0.0.1'], auto_select_family=mode, connect_timeout=10_000
        )
        while not said.log:
            await asyncio.sleep(0)
        closed = asyncio.Event()
        assert connect.abort(closed.set)
        await closed.wait()
        assert not _runtime.current().holders
        return said.log

    assert asyncio.run(main()) == [('try', '127.0.0.2'), ('failed', '127.0.0.2', 'ECANCELED')]
