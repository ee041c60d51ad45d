"""Instructions per message of an echo by `read_exactly`, of tailrace and of asyncio's streams.

    python bench/experiments/framed_echo.py                  # needs valgrind; uvloop is optional
    PYTHONPATH=DIR python bench/experiments/framed_echo.py   # another build of tailrace

Every message is waited for: the server has answered all of them before the next ones are sent.
"""

import asyncio
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

BENCH = Path(__file__).resolve().parent.parent
SIZE = 1024


def serve_tailrace() -> None:
    import tailrace
    from tailrace import net

    async def echo(sock: Any) -> None:
        sock.write(await sock.read_exactly(1))
        try:
            while True:
                sock.write(await sock.read_exactly(SIZE))
        except tailrace.errors.IncompleteReadError:
            sock.end()

    server = net.create_server(echo)
    server.listen(0, '127.0.0.1', lambda: print(server.address()['port'], flush=True))
    tailrace.run()


async def serve_streams() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(1))
        try:
            while True:
                writer.write(await reader.readexactly(SIZE))
                await writer.drain()
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(echo, '127.0.0.1', 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def serve(kind: str) -> None:
    if kind == 'tailrace':
        serve_tailrace()
    elif kind == 'asyncio':
        asyncio.run(serve_streams())
    else:
        import uvloop

        uvloop.run(serve_streams())


def main() -> None:
    sys.path.insert(0, str(BENCH))
    import count

    env = {**os.environ, 'PYTHONHASHSEED': '0'}
    env.setdefault('PYTHONPATH', str(BENCH.parent / 'src'))
    for kind in ('tailrace', 'asyncio', 'uvloop'):
        if kind == 'uvloop' and importlib.util.find_spec('uvloop') is None:
            continue
        once, twice = (
            count.counted(
                [sys.executable, __file__, kind],
                env,
                connections=20,
                batches=batches,
                size=SIZE,
            )
            for batches in (25, 50)
        )
        print(f'{kind}: {count.per_message(once, twice, 500):,.0f}')


if __name__ == '__main__':
    serve(sys.argv[1]) if len(sys.argv) > 1 else main()
