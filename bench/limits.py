"""What a server's limits cost when they are on: `python bench/limits.py [--build DIR]`.

Method: connections a second of the row `connect` (connect, 16 bytes there and back, close; 32 at a
time, from 64 source addresses), the C generator on a core of its own. Each round plays the server
without limits and with them one after the other, and each round begins with another one; a ratio is
taken within a round. The figures are the medians of the rounds: the rate, and the CPU time that the
kernel counts for the server, which other programs on the machine disturb little.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from harness import build, launch, peers, rows, table
from harness.peers import Peer, Tools

NAMES = ('off', 'count', 'peers', 'all')


def main() -> int:
    parser = argparse.ArgumentParser(description='What limits cost.', allow_abbrev=False)
    parser.add_argument('--build', type=Path, default=peers.ROOT / 'src', metavar='DIR')
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--duration', type=int, default=1500, metavar='MS')
    parser.add_argument('--cores', metavar='S,G')
    parser.add_argument('--json', type=Path, metavar='FILE')
    options = parser.parse_args()
    built = build.build()
    tools = Tools(str(built['server']), str(built['loadgen']), sys.executable, None)
    server_core, generator_core = launch.cores(options.cores)
    setting = rows.Setting(
        tools,
        duration=options.duration,
        server_core=server_core,
        generator_core=generator_core,
    )
    home = str(options.build.resolve())
    variants = [
        Peer(name, 'python', 'tailrace_limits.py', (name,), ('tailrace',), home) for name in NAMES
    ]
    seen: dict[str, list[dict[str, Any]]] = {name: [] for name in NAMES}
    for number in range(options.rounds):
        turn = number % len(variants)
        for peer in variants[turn:] + variants[:turn]:
            seen[peer.name].append(rows.traffic(peer, setting, 'connect', 32, 16))
    lines = []
    for name in NAMES:
        rates = [one['rate'] for one in seen[name]]
        cpu = [one['cpu_us'] for one in seen[name]]
        pairs = zip(seen[name], seen['off'], strict=True)
        more = [one['cpu_us'] / off['cpu_us'] - 1 for one, off in pairs]
        pairs = zip(seen[name], seen['off'], strict=True)
        less = [1 - one['rate'] / off['rate'] for one, off in pairs]
        lines.append(
            [
                name,
                f'{statistics.median(rates):,.0f}',
                f'{statistics.median(cpu):.2f}',
                f'{statistics.median(less):.1%}',
                f'{statistics.median(more):.1%}',
            ]
        )
    head = ['limits', 'connections/s', 'CPU us each', 'rate lost', 'CPU more']
    print(table.markdown(head, lines))
    if options.json is not None:
        options.json.write_text(json.dumps(seen, indent=1) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
