"""Measures cluster workers: one beside two, and the three ways of sharing connections.

    bench/cluster.py [--uvloop] [--rounds N] [--duration MS] [--policies rr,none,reuseport]

For each policy and number of workers: echoes a second (100 connections, 1 KiB), connections a
second (connect, 16 bytes there and back, close), and how the connections were shared. The generator
needs a core too: on a machine with two it shares one with a worker, and what two workers reach
there is less than what they could. So there is a column of echoes that cost a worker about 100 us
each ("working", and "x": over one worker), beside which the generator is nothing. And beside the
rate stands what one second of a worker's processor time yields; n cores reach n times that, as long
as the primary keeps up ("primary": its time in percent of one core while connections are made).
"""

import argparse
import os
import statistics
import sys
from pathlib import Path
from typing import Any

from harness import build, launch, workers

ROOT = Path(__file__).resolve().parent.parent
POLICIES = ('rr', 'none', 'reuseport')
HEADING = (
    f'{"policy":10} {"workers":>7} | {"echo/s":>8} {"per cpu s":>9} | {"working":>8} {"x":>5} '
    f'| {"connect/s":>9} {"per cpu s":>9} {"primary":>8} | share'
)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Measure cluster workers.')
    parser.add_argument('--uvloop', action='store_true')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--duration', type=int, default=1500, metavar='MS')
    parser.add_argument('--policies', default=','.join(POLICIES))
    return parser.parse_args()


def main() -> int:
    options = arguments()
    launch.descriptors()
    try:
        loadgen = str(build.build()['loadgen'])
    except build.BuildError as failure:
        print(failure, file=sys.stderr)
        return 1
    plan = workers.Plan(
        sys.executable,
        loadgen,
        {'PYTHONPATH': str(ROOT / 'src')},
        options.duration,
        options.uvloop,
    )
    print(f'{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, medians of {options.rounds}')
    print(HEADING)
    for policy in options.policies.split(','):
        alone = 0.0
        for number in (1, 2):
            plain = [workers.play(plan, policy, number, 0) for _ in range(options.rounds)]
            heavy = [
                workers.play(plan, policy, number, workers.WORK) for _ in range(options.rounds)
            ]
            work = median(heavy, 'echo', 'rate')
            alone = alone or work
            share = ' '.join(f'{part:.1%}' for part in plain[-1]['share'])
            print(
                f'{policy:10} {number:7} | {median(plain, "echo", "rate"):8.0f} '
                f'{median(plain, "echo", "per_cpu_second"):9.0f} | {work:8.0f} {work / alone:5.2f} '
                f'| {median(plain, "connect", "rate"):9.0f} '
                f'{median(plain, "connect", "per_cpu_second"):9.0f} '
                f'{median(plain, "connect", "primary"):7.0f}% | {share}',
                flush=True,
            )
    return 0


def median(rounds: list[dict[str, Any]], mode: str, field: str) -> float:
    return statistics.median(one[mode][field] for one in rounds)


if __name__ == '__main__':
    sys.exit(main())
