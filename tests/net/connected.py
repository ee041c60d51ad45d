"""Two connected sockets of the library, over TCP or a Unix socket, for the tests of sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tailrace import net

from .serving import Heard, started, stopped


async def gone(sock: Any) -> None:
    """Destroy and wait for 'close'."""
    sock.destroy()
    await sock.wait_closed()


async def eof(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the other side ends."""
    return await reader.read()


class Pair:
    """Makes connected pairs on one kind of connection."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.path = str(folder / 's.sock')

    async def listen(self, server: Any) -> dict[str, Any]:
        """Listen; returns where to connect to."""
        if self.kind == 'unix':
            await started(server, self.path)
            return {'path': self.path}
        return {'port': await started(server), 'host': '127.0.0.1'}

    @asynccontextmanager
    async def __call__(
        self, server_options: dict[str, Any] | None = None, **options: Any
    ) -> AsyncIterator[tuple[Any, Any]]:
        """A connected client and the server's socket; both are gone at the end."""
        server = net.create_server(server_options or {})
        heard = Heard(server, 'connection')
        where = await self.listen(server)
        client = net.connect({**where, **options})
        await client
        accepted = await heard.until('connection')
        try:
            yield client, accepted
        finally:
            await gone(client)
            await gone(accepted)
            await stopped(server)
