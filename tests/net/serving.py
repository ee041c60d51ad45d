"""What the tests of servers share: recorded events that can be awaited, and plain clients.

The clients are asyncio's own streams or raw sockets, so that a server is never judged by a socket
of the same library.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tailrace import net


class Heard(list[Any]):
    """The events of an emitter in their order, as ``(name, *arguments)``; they can be awaited."""

    def __init__(self, emitter: Any = None, *events: str) -> None:
        super().__init__()
        self._added = asyncio.Event()
        for event in events:
            emitter.on(event, self.to(event))

    def to(self, name: str) -> Any:
        """A listener that records a call under ``name``."""

        def listener(*args: Any) -> None:
            self.append((name, *args))
            self._added.set()

        return listener

    @property
    def names(self) -> list[str]:
        return [entry[0] for entry in self]

    def all(self, name: str) -> list[Any]:
        """The first argument of every ``name`` so far."""
        return [entry[1] if len(entry) > 1 else None for entry in self if entry[0] == name]

    async def until(self, name: str, count: int = 1) -> Any:
        """Wait for the ``count``-th ``name``; returns its first argument."""
        while self.names.count(name) < count:
            self._added.clear()
            await self._added.wait()
        return self.all(name)[count - 1]


async def turns(count: int = 5) -> None:
    """Let the loop run everything that is due."""
    for _ in range(count):
        await asyncio.sleep(0)


async def started(server: Any, *args: Any, **options: Any) -> int:
    """Listen on 127.0.0.1 (or as told) and wait for 'listening'; returns the port."""
    heard = Heard(server, 'listening')
    if not args and not options:
        options = {'port': 0, 'host': '127.0.0.1'}
    server.listen(*args, **options)
    await heard.until('listening')
    where = server.address()
    return 0 if isinstance(where, str) else int(where.port)


async def stopped(server: Any) -> None:
    """Close and wait for 'close'."""
    heard = Heard(server, 'close')
    server.close()
    await heard.until('close')


class Client:
    """An asyncio stream client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.port: int = (writer.get_extra_info('sockname') or (0, 0))[1:2][0]

    async def ask(self, data: bytes) -> bytes:
        """Send and wait for as many bytes."""
        self.writer.write(data)
        return await self.reader.readexactly(len(data))

    async def rest(self) -> bytes:
        """What comes until the server ends; a reset counts as an end."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b''

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            pass


@asynccontextmanager
async def client(where: int | str, host: str = '127.0.0.1') -> AsyncIterator[Client]:
    """A connection to a port or to a path."""
    if isinstance(where, str):
        raw = socket.socket(socket.AF_UNIX)  # uvloop's own connect refuses abstract names
        raw.connect(where)
        one = Client(*await asyncio.open_unix_connection(sock=raw))
    else:
        one = Client(*await asyncio.open_connection(host, where))
    try:
        yield one
    finally:
        await one.close()


def echo(sock: Any) -> None:
    sock.pipe(sock)


def free_port(host: str = '127.0.0.1') -> tuple[int, socket.socket]:
    """A port that is taken by the socket given with it, which listens."""
    taken = socket.create_server((host, 0))
    return int(taken.getsockname()[1]), taken


def kernel_option(sock: Any, level: int, name: int) -> int:
    """A socket option as the kernel has it."""
    raw = socket.socket(fileno=sock._handle.fd)
    try:
        return raw.getsockopt(level, name)
    finally:
        raw.detach()


def server_on(**options: Any) -> tuple[net.Server, Heard]:
    """A server and what it says."""
    server = net.create_server(**options)
    heard = Heard(server, 'listening', 'connection', 'drop', 'reject', 'error', 'close')
    return server, heard
