"""Connected pairs of sockets for tests, on TCP and on Unix sockets."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tailrace import Server, Socket, net

KINDS = ('tcp', 'unix')


@asynccontextmanager
async def listening(kind: str = 'tcp', *args: Any, **options: Any) -> AsyncIterator[Server]:
    """A server that listens; what is left of it at the end is destroyed."""
    server = net.create_server(*args, **options)
    folder = tempfile.mkdtemp()
    try:
        if kind == 'tcp':
            await server.listen(0, '127.0.0.1')
        else:
            await server.listen(os.path.join(folder, 's'))
        yield server
    finally:
        await server.close_all(0)
        shutil.rmtree(folder)


def place(server: Server) -> dict[str, Any]:
    """Where to connect to."""
    where = server.address()
    if isinstance(where, str):
        return {'path': where}
    return {'port': where['port'], 'host': '127.0.0.1'}


async def dial(server: Server, **options: Any) -> Socket:
    """A connected client."""
    return await net.connect({**place(server), **options})


@asynccontextmanager
async def connected(kind: str = 'tcp', **options: Any) -> AsyncIterator[tuple[Socket, Socket]]:
    """(client, server's side), both with the options given."""
    async with listening(kind, options) as server:
        arrivals = aiter(server)
        client = await dial(server, **options)
        accepted = await anext(arrivals)
        await arrivals.aclose()
        try:
            yield client, accepted
        finally:
            for sock in (client, accepted):
                if not sock.destroyed:
                    sock.destroy()
                await sock.wait_closed()
