"""The processes of a fleet on one machine, and clients that ask it.

The servers are examples/fleet_server.py, behind haproxy with the configuration of that file.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ['CLIENTS', 'Load', 'Member', 'configuration', 'written']

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / 'examples' / 'fleet_server.py'
CLIENTS = 8
#: ms. Checks come every 100 ms; on a busy machine they are late.
DRAIN = 1500


def configuration(ports: list[int]) -> str:
    """That of the example, with these servers."""
    text = PROGRAM.read_text('utf-8').partition('backend fleet\n')[2].partition('\n\n')[0]
    lines = [line.strip() for line in text.splitlines() if not line.strip().startswith('server ')]
    lines += [f'server s{port} 127.0.0.1:{port}' for port in ports]
    return 'frontend f\nbind {fd}\ndefault_backend fleet\nbackend fleet\n' + '\n'.join(lines) + '\n'


class Member:
    """One of the servers."""

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self.port = 0
        self.process: Any = None

    async def start(self) -> None:
        source = os.environ.get('PYTHONPATH') or str(ROOT / 'src')
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, '-W', 'error', str(PROGRAM), str(self.journal),
            '--port', str(self.port), '--drain', str(DRAIN),
            env={**os.environ, 'PYTHONPATH': source}, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        line = (await self.process.stdout.readline()).decode()
        self.port = int(line.rpartition(':')[2])

    async def end(self, number: int) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        # Not wait() alone: the pipe has to be closed too.
        await self.process.stdout.read()
        return int(await self.process.wait())


class Load:
    """Clients that ask until each request has its answer, at one balancer or the other."""

    def __init__(self, fronts: list[int]) -> None:
        self.fronts = fronts
        self.numbers = itertools.count()
        self.over = False
        self.answered: set[int] = set()
        #: Why a request had to be sent again.
        self.again: list[str] = []
        self._progress = asyncio.Condition()

    async def client(self) -> None:
        while not self.over:
            attempt = number = next(self.numbers)
            while not await self.ask(number, self.fronts[attempt % len(self.fronts)]):
                attempt += 1
            async with self._progress:
                self.answered.add(number)
                self._progress.notify_all()

    async def ask(self, number: int, port: int) -> bool:
        try:
            reader, writer = await asyncio.open_connection('127.0.0.1', port)
            try:
                writer.write(b'request %d\n' % number)
                answer = await reader.read()
            finally:
                writer.close()
        except OSError as error:
            self.again.append(repr(error))
            await asyncio.sleep(0.01)  # a balancer that is gone refuses at once
            return False
        if answer != b'done for 127.0.0.1: request %d\n' % number:
            self.again.append(repr(answer))
            return False
        return True

    async def reach(self, count: int) -> None:
        async with self._progress:
            await self._progress.wait_for(lambda: len(self.answered) >= count)


def written(members: Iterable[Member]) -> set[int]:
    """The numbers of the requests that are in their journals."""
    text = b''.join(member.journal.read_bytes() for member in members).decode()
    return {int(number) for number in re.findall(r'request (\d+)\n', text)}
