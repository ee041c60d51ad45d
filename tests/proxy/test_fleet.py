"""A fleet on one machine: two haproxy, four servers of ours, and any of them taken away under load.

The servers are examples/fleet_server.py. A request counts as accepted when its client has the
answer; it must be in a journal then, whatever was killed. A server that is drained costs no client
even a second try.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import ExitStack
from pathlib import Path

from .balancers import needs_haproxy, running_haproxy
from .fleet import CLIENTS, Load, Member, configuration, written


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
        assert load.answered == set(range(len(load.answered)))
        assert load.answered <= written(members)
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
