"""Clients that know exactly what became of each connection. Plain asyncio: not what is tested."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter

REPLY = 5000
#: Seconds after which a connection counts as hanging.
PATIENCE = 20


async def one(port: int, number: int) -> str:
    """'whole', 'refused', 'reset', 'short' (its end came early) or 'wrong'; raises if it hangs."""
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection('127.0.0.1', port, limit=1 << 20)
            try:
                writer.write(struct.pack('!I', number))
                data = await reader.read(-1)
            finally:
                writer.transport.abort()
    except ConnectionRefusedError:
        return 'refused'
    except (ConnectionResetError, BrokenPipeError):
        return 'reset'
    if len(data) < REPLY:
        return 'short'
    return 'whole' if data == struct.pack('!I', number) * (REPLY // 4) else 'wrong'


async def many(port: int, total: int, at_once: int) -> Counter[str]:
    """What became of so many connections."""
    out: Counter[str] = Counter()
    numbers = iter(range(total))

    async def client() -> None:
        for number in numbers:
            out[await one(port, number)] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(client())
    return out


#: The server's side of it, for a program.
SERVER = f"""
    def connection(sock):
        def data(chunk):
            sock.end(chunk * {REPLY // 4})
        sock.once('data', data)
        sock.on('error', lambda: None)

    def target(worker):
        server = net.create_server(connection, allow_half_open=True)
        server.listen(0, '127.0.0.1', lambda: say('up', os.getpid(), server.address().port))
"""
