"""What the checks of the campaign share: clients in processes, and what a server keeps."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tailrace import Server, Socket, net

CLIENT = Path(__file__).with_name('client.py')
ROOT = Path(__file__).resolve().parent.parent.parent

Figures = dict[str, Any]


class Failures(logging.Handler):
    """Counts what the package logs as a failure: in a campaign there should be none."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1
        if self.count < 4:
            print(self.format(record), file=sys.stderr)

    def __enter__(self) -> Failures:
        logging.getLogger('tailrace').addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger('tailrace').removeHandler(self)


def memory() -> int:
    """Resident memory in KiB, after a collection."""
    gc.collect()
    return int(Path('/proc/self/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE') >> 10


def descriptors() -> int:
    return len(os.listdir('/proc/self/fd'))


def hears_interrupts() -> None:
    """Before exec: a background job of a shell ignores SIGINT, and what it starts does too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Client:
    """A process of ``client.py``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> str:
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode()

    async def result(self) -> Figures:
        """Let it close what it holds, and end."""
        assert self.process.stdin is not None
        self.process.stdin.write(b'\n')
        out: Figures = json.loads(await self.line())
        await self.process.wait()
        return out


@asynccontextmanager
async def client(mode: str, port: int, count: int) -> AsyncIterator[Client]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, CLIENT, mode, str(port), str(count)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Client(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def serving(
    handler: Callable[[Socket], Any], host: str = '127.0.0.1', **options: Any
) -> AsyncIterator[Server]:
    server = await net.create_server(handler, **options).listen(0, host, backlog=4096)
    try:
        yield server
    finally:
        await server.close_all(2000)


async def settled(server: Server) -> None:
    """Wait until no connection is left; one that hangs fails the check."""
    async with asyncio.timeout(30):
        while await server.get_connections():
            await asyncio.sleep(0.005)
    # The 'close' of the last one comes some turns after it was counted out, and what is there while
    # connections are read goes with it.
    for _ in range(20):
        await asyncio.sleep(0)


async def echo(sock: Socket) -> None:
    async for chunk in sock:
        if not sock.write(chunk):
            await sock.drain()
