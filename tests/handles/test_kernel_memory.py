"""The C module when memory runs out: each allocation of each call fails once.

A call either works or raises MemoryError; afterwards the connection works, no descriptor is lost.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Callable
from typing import Any

import pytest

from . import test_kernel
from .test_kernel import Pair, module, pair

__all__ = ['module', 'pair']

memory: Any = pytest.importorskip('_testcapi', reason='this interpreter has no _testcapi')
#: No call makes as many allocations.
MOST = 60


def failing_at(number: int, call: Callable[[], object]) -> bool:
    """Call with the allocation of that number failing; whether the call noticed."""
    noticed = False
    memory.set_nomemory(number, number + 1)
    try:
        call()
    except MemoryError:
        noticed = True
    finally:
        memory.remove_mem_hooks()
    return noticed


def through(call: Callable[[], object], prepare: Callable[[], object]) -> int:
    """Let every allocation of a call fail in turn; how many failures the call noticed."""
    noticed = 0
    for number in range(MOST):
        prepare()
        noticed += failing_at(number, call)
    return noticed


def descriptors() -> int:
    return len(os.listdir('/proc/self/fd'))


#: What they need is there already.
ALLOCATES_NOTHING = {'fileno', 'send', 'setsockopt'}

CALLS: dict[str, Callable[[Any], object]] = {
    'recv small': lambda ours: ours.recv(10),
    'recv middle': lambda ours: ours.recv(65_537),
    'recv large': lambda ours: ours.recv(1 << 20),
    'recv_into': lambda ours: ours.recv_into(bytearray(10)),
    'send': lambda ours: ours.send(b'x', socket.MSG_NOSIGNAL),
    'sendmsg': lambda ours: ours.sendmsg([b'x', bytearray(b'y')]),
    'sendmsg of many': lambda ours: ours.sendmsg([b'x'] * 100),
    'sendmsg with ancillary data': lambda ours: ours.sendmsg([b'x'], [], 0),
    'setsockopt': lambda ours: ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16),
    'getsockopt': lambda ours: ours.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF),
    'getpeername': lambda ours: ours.getpeername(),
    'getsockname': lambda ours: ours.getsockname(),
    'repr': repr,
    'fileno': lambda ours: ours.fileno(),
}


@pytest.mark.skipif(not os.path.isdir('/proc/self/fd'), reason='no /proc to count descriptors in')
@pytest.mark.parametrize('name', CALLS)
def test_a_call_without_memory_raises_and_loses_nothing(name: str) -> None:
    before = descriptors()
    made = Pair()
    ours, theirs = made.ours, made.theirs
    theirs.setblocking(False)

    def prepare() -> None:
        """There is something to receive, and room to send."""
        for end in (theirs, ours):
            with contextlib.suppress(BlockingIOError):
                end.recv(1 << 16)
        theirs.send(b'0123456789')

    noticed = through(lambda: CALLS[name](ours), prepare)
    assert noticed or name in ALLOCATES_NOTHING
    # It works as before.
    prepare()
    ours.send(b'last', socket.MSG_NOSIGNAL)
    assert theirs.recv(1 << 16)[-4:] == b'last'
    ours.close()
    theirs.close()
    assert descriptors() == before


def keep(kept: list[Any], make: Callable[[Any], Any], source: Any) -> Callable[[], None]:
    """A call that puts what it makes into a list, without an allocation of its own."""

    def call() -> None:
        kept[0] = make(source)

    return call


@pytest.mark.skipif(not os.path.isdir('/proc/self/fd'), reason='no /proc to count descriptors in')
@pytest.mark.parametrize('way', ['accept', 'Connection'])
def test_what_is_made_without_memory_is_closed(way: str) -> None:
    kernel = test_kernel.kernel
    before = descriptors()
    noticed = 0
    with socket.create_server(('127.0.0.1', 0)) as server:
        server.setblocking(False)
        for number in range(MOST):
            client = socket.create_connection(server.getsockname())
            select.select([server], [], [])
            kept: list[Any] = [None]
            if way == 'accept':
                noticed += failing_at(number, keep(kept, kernel.accept, server))
            else:
                fd = server.accept()[0].detach()
                if failing_at(number, keep(kept, kernel.Connection, fd)):
                    noticed += 1
                    os.close(fd)  # still ours: it was not taken
            if kept[0] is not None:
                kept[0].close()
            client.close()
    assert noticed
    assert descriptors() == before


@pytest.mark.skipif(not hasattr(select, 'epoll'), reason='no epoll')
def test_epoll_wait_without_memory_finds_the_events_again(pair: Pair) -> None:
    kernel = test_kernel.kernel
    poll = select.epoll()
    poll.register(pair.ours.fileno(), select.EPOLLIN)
    pair.theirs.send(b'x')
    wait = kernel.epoll_wait
    noticed = through(lambda: wait(poll.fileno(), 0, 256), lambda: None)
    assert noticed
    assert wait(poll.fileno(), 0, 256) == [(pair.ours.fileno(), select.EPOLLIN)]
    poll.close()
