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
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import build, launch

ROOT = Path(__file__).resolve().parent.parent
PEER = ROOT / 'bench' / 'peers' / 'tailrace_cluster.py'
POLICIES = ('rr', 'none', 'reuseport')
MODES = (('echo', 100, 1024), ('connect', 32, 16))
#: Additions for every message in the third column: about 100 us of Python.
WORK = 10_000
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


def cpu_seconds(pid: int) -> float:
    """proc(5): the first number of schedstat is the time on a processor, in ns."""
    return int(Path(f'/proc/{pid}/schedstat').read_text().split()[0]) / 1e9


def play(
    loadgen: str, policy: str, workers: int, work: int, options: argparse.Namespace
) -> dict[str, Any]:
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as notes:
        command = [sys.executable, str(PEER), '--workers', str(workers), '--policy', policy]
        command += ['--notes', notes, '--cores', ','.join(map(str, cores[:workers]))]
        command += ['--work', str(work), *(['--uvloop'] if options.uvloop else [])]
        env = {'PYTHONPATH': str(ROOT / 'src')}
        with launch.server(command, env=env) as (primary, port):
            pids = [int(path.name) for path in Path(notes).iterdir()]
            out: dict[str, Any] = {}
            for mode, connections, size in MODES:
                before, own = sum(map(cpu_seconds, pids)), cpu_seconds(primary.pid)
                begin = time.monotonic()
                result = launch.generate(
                    [
                        *(loadgen, mode, '--port', str(port), '--watch', str(primary.pid)),
                        *('--connections', str(connections), '--size', str(size)),
                        *('--warmup', '300', '--duration', str(options.duration)),
                    ],
                    core=None if workers > 1 else cores[-1],
                    seconds=60,
                )
                wall = time.monotonic() - begin
                used = (sum(map(cpu_seconds, pids)) - before) / wall
                out[mode] = {
                    'rate': result['rate'],
                    'per_cpu_second': result['rate'] / used,
                    'primary': 100 * (cpu_seconds(primary.pid) - own) / wall,
                }
                if work:
                    break
            out['share'] = share_of(primary, Path(notes))
    return out


def share_of(primary: subprocess.Popen[str], notes: Path) -> list[float]:
    """Which part of all connections each worker had, the largest first."""
    primary.send_signal(signal.SIGUSR1)
    deadline = time.monotonic() + 2
    counts = [0]
    while time.monotonic() < deadline and not all(counts):
        time.sleep(0.02)
        counts = [int(path.read_text() or 0) for path in notes.iterdir()]
    return sorted((count / max(1, sum(counts)) for count in counts), reverse=True)


def main() -> int:
    options = arguments()
    launch.descriptors()
    try:
        loadgen = str(build.build()['loadgen'])
    except build.BuildError as failure:
        print(failure, file=sys.stderr)
        return 1
    print(f'{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, medians of {options.rounds}')
    print(HEADING)
    for policy in options.policies.split(','):
        alone = 0.0
        for workers in (1, 2):
            plain = [play(loadgen, policy, workers, 0, options) for _ in range(options.rounds)]
            heavy = [play(loadgen, policy, workers, WORK, options) for _ in range(options.rounds)]
            work = median(heavy, 'echo', 'rate')
            alone = alone or work
            share = ' '.join(f'{part:.1%}' for part in plain[-1]['share'])
            print(
                f'{policy:10} {workers:7} | {median(plain, "echo", "rate"):8.0f} '
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
