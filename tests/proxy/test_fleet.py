"""A fleet on one machine: two haproxy, four servers of ours, and any of them taken away under load.

The servers are examples/fleet_server.py. A request counts as accepted when its client has the
answer; it must be in a journal then, whatever was killed. A server that is drained costs no client
even a second try.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from .balancers import needs_haproxy, running_haproxy

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


@needs_haproxy
def test_no_request_is_lost_whoever_is_killed(tmp_path: Path) -> None:
    async def main() -> None:
        members = [Member(tmp_path / f'journal{i}') for i in range(4)]
        await asyncio.gather(*(member.start() for member in members))
        config = configuration([member.port for member in members])
        with ExitStack() as stack:
            fronts = [
                stack.enter_context(running_haproxy(tmp_path, config, f'haproxy{i}'))
                for i in range(2)
            ]
            load = Load([front.port for front in fronts])
            clients = [asyncio.ensure_future(load.client()) for _ in range(CLIENTS)]

            await load.reach(100)
            assert await members[0].end(signal.SIGTERM) == 0
            # Meanwhile the others have served; no client has noticed.
            assert load.again == []
            await members[0].start()

            await load.reach(len(load.answered) + 100)
            assert await members[1].end(signal.SIGKILL) == -signal.SIGKILL
            await load.reach(len(load.answered) + 100)
            fronts[0].kill()
            await load.reach(len(load.answered) + 100)
            load.over = True
            await asyncio.gather(*clients)

        rest = [members[0], *members[2:]]
        assert await asyncio.gather(*(m.end(signal.SIGTERM) for m in rest)) == [0, 0, 0]
        text = b''.join(member.journal.read_bytes() for member in members).decode()
        written = {int(number) for number in re.findall(r'request (\d+)\n', text)}
        assert load.answered == set(range(len(load.answered)))
        assert load.answered <= written
        # All four had a part in it.
        assert all(member.journal.stat().st_size for member in members)

    async def limited() -> None:
        async with asyncio.timeout(50):
            await main()

    asyncio.run(limited())


def test_the_examples_configuration_is_what_is_tested() -> None:
    text = configuration([1])
    for word in ('send-proxy-v2 check', 'tcp-check connect default', 'option redispatch 1'):
        assert word in text
