"""A fleet behind two balancers, and any of the six taken away under load, again and again."""

from __future__ import annotations

import asyncio
import random
import signal
import tempfile
from contextlib import ExitStack
from pathlib import Path

from ..proxy.balancers import HAPROXY, running_haproxy
from ..proxy.fleet import CLIENTS, Load, Member, configuration, written
from .kit import Figures

#: Requests that are answered between two events.
BETWEEN = 50


async def fleet(count: int = 40) -> Figures:
    """Two haproxy, four servers: drained, killed and started again; no accepted request is lost.

    Of the ``count`` events one in four is a drain, which no client may notice, one in eight is the
    death of a balancer, the others are that of a server.
    """
    if HAPROXY is None:
        return {'not possible here': 1}
    chance = random.Random(13)
    drains = servers = balancers = 0
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        members = [Member(folder / f'journal{i}') for i in range(4)]
        await asyncio.gather(*(member.start() for member in members))
        config = configuration([member.port for member in members])
        fronts = [
            stack.enter_context(running_haproxy(folder, config, f'haproxy{i}')) for i in range(2)
        ]
        load = Load([front.port for front in fronts])
        clients = [asyncio.ensure_future(load.client()) for _ in range(CLIENTS)]
        await load.reach(BETWEEN)
        for number in range(count):
            if number % 8 == 7:
                which = chance.randrange(2)
                fronts[which].kill()
                balancers += 1
                await load.reach(len(load.answered) + BETWEEN)
                fronts[which] = stack.enter_context(
                    running_haproxy(folder, config, f'haproxy{number}')
                )
                load.fronts[which] = fronts[which].port
            elif number % 4 == 1:
                # Those that were answered late because of what happened before are through.
                await load.reach(len(load.answered) + BETWEEN)
                before = len(load.again)
                member = chance.choice(members)
                assert await member.end(signal.SIGTERM) == 0
                assert load.again[before:] == [], 'a client has noticed a drain'
                drains += 1
                await member.start()
            else:
                member = chance.choice(members)
                assert await member.end(signal.SIGKILL) == -signal.SIGKILL
                servers += 1
                await load.reach(len(load.answered) + BETWEEN)
                await member.start()
            await load.reach(len(load.answered) + BETWEEN)
        load.over = True
        await asyncio.gather(*clients)
        assert await asyncio.gather(*(m.end(signal.SIGTERM) for m in members)) == [0] * 4
        lost = load.answered - written(members)
    assert not lost, f'{len(lost)} requests were answered and are in no journal'
    return {
        'requests': len(load.answered),
        'servers drained': drains,
        'servers killed': servers,
        'balancers killed': balancers,
        'sent again': len(load.again),
        'lost': 0,
    }


CHECKS = {'a fleet': (fleet, 8)}
