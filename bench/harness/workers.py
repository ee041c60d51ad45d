"""Cluster workers under load: how a number of them is started, asked and counted.

It knows the command line of `peers/tailrace_cluster.py` and nothing of rounds, ratios and tables.
"""

import os
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import launch
from harness.peers import FOLDER

PEER = FOLDER / 'tailrace_cluster.py'
MODES = (('echo', 100, 1024), ('connect', 32, 16))
#: Additions for every message of the heavy kind: about 100 us of Python.
WORK = 10_000


@dataclass(frozen=True, slots=True)
class Plan:
    """Which program runs where; `duration` in ms."""

    python: str
    loadgen: str
    env: dict[str, str]
    duration: int
    uvloop: bool = False


def cpu_seconds(pid: int) -> float:
    """proc(5): the first number of schedstat is the time on a processor, in ns."""
    return int(Path(f'/proc/{pid}/schedstat').read_text().split()[0]) / 1e9


def play(plan: Plan, policy: str, workers: int, work: int) -> dict[str, Any]:
    """One cluster under load: `rate` and more for each mode; with `work` for the first only."""
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as notes:
        command = [plan.python, str(PEER), '--workers', str(workers), '--policy', policy]
        command += ['--notes', notes, '--cores', ','.join(map(str, cores[:workers]))]
        command += ['--work', str(work), *(['--uvloop'] if plan.uvloop else [])]
        with launch.server(command, env=plan.env) as (primary, port):
            pids = [int(path.name) for path in Path(notes).iterdir()]
            out: dict[str, Any] = {}
            for mode, connections, size in MODES:
                before, own = sum(map(cpu_seconds, pids)), cpu_seconds(primary.pid)
                begin = time.monotonic()
                result = launch.generate(
                    [
                        *(plan.loadgen, mode, '--port', str(port), '--watch', str(primary.pid)),
                        *('--connections', str(connections), '--size', str(size)),
                        *('--warmup', '300', '--duration', str(plan.duration)),
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
