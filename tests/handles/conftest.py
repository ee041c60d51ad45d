"""What the tests of the handle layer share: a log that can be awaited, and pairs of ends."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tailrace._handles import make
from tailrace._runtime import current


class Log(list[Any]):
    """A list that tells a waiting test when something was added."""

    def __init__(self) -> None:
        super().__init__()
        self._added = asyncio.Event()

    def add(self, entry: Any) -> None:
        self.append(entry)
        self._added.set()

    def to(self, name: str) -> Callable[..., None]:
        """A callback that logs its name and arguments."""
        return lambda *args: self.add((name, *args))

    async def until(self, done: Callable[[Log], object] | Any) -> None:
        """Wait until ``done(log)`` is true, or until the entry ``done`` is there."""
        check = done if callable(done) else lambda log: done in log
        while not check(self):
            self._added.clear()
            await self._added.wait()


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(('127.0.0.1', 0)) as server:
        one = socket.create_connection(server.getsockname())
        return one, server.accept()[0]


class Ends:
    """Makes an open handle and the raw socket at its other end, and closes what is left."""

    def __init__(self) -> None:
        self.raw: list[socket.socket] = []

    def __call__(self, kind: str, log: Log | None = None) -> tuple[Any, socket.socket]:
        one, other = tcp_pair() if kind == 'tcp' else socket.socketpair()
        handle = {'tcp': make.tcp, 'pipe': make.pipe, 'fds': make.fd_pipe}[kind](current())
        assert handle.open(one.detach()) == 0
        self.raw.append(other)
        if log is not None:
            handle.on_read = lambda data: log.add(('read', data))
            handle.on_end = log.to('end')
            handle.on_error = log.to('error')
        return handle, other

    def fill(self, handle: Any, log: Log, chunk: int = 65536) -> int:
        """Write until the kernel takes no more; how many bytes were given, what waits included."""
        total = 0
        while handle.write(b'f' * chunk, log.to('filled')) == 0:
            total += chunk
        return total + chunk


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    for sock in made.raw:
        sock.close()


@pytest.fixture(params=['tcp', 'pipe'])
def kind(request: pytest.FixtureRequest) -> str:
    value: str = request.param
    return value


@pytest.fixture
def make_log() -> type[Log]:
    return Log
