"""Plays generated programs on tailrace and compares them with Node, or with what Node once said.

    python tests/differential/compare.py 1-300       against Node (NODE24 or `node` 24)
    python tests/differential/compare.py --record 1-300 and keep the traces
    python tests/differential/compare.py --recorded 60  60 of the kept ones, by the day's seed
    ... --source DIR --loop uvloop       another copy of tailrace, another loop

Node runs each program several times; one that does not repeat itself there is dropped. A program
that differs is played again twice: what differs, differs each time. Exit code 1 if any does.
"""

from __future__ import annotations

import argparse
import datetime
import json
import lzma
import os
import random
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CORPUS = HERE.parent / 'conformance' / 'corpus'
#: The player wants scenarios in folders.
GROUP = 'generated'
KEPT = HERE / 'traces.json.xz'
sys.path[:0] = [str(HERE), str(CORPUS.parent)]

from play import player  # type: ignore[import-not-found]  # noqa: E402
from programs import program  # type: ignore[import-not-found]  # noqa: E402

__all__ = ['compare', 'kept', 'node', 'todays', 'traces_of_node']

Traces = dict[int, Any]


def node() -> str | None:
    """A Node 24 to ask, or None."""
    path = os.environ.get('NODE24') or shutil.which('node')
    if path is None:
        return None
    said = subprocess.run([path, '--version'], capture_output=True, text=True, check=False)
    return path if said.stdout.startswith('v24.') else None


def kept() -> Traces:
    """What Node said when the traces were recorded."""
    return {int(seed): trace for seed, trace in json.loads(lzma.open(KEPT).read()).items()}


def todays(count: int, among: list[int] | None = None) -> list[int]:
    """Seeds that change with the day; printed, so that a failure can be had again."""
    day = datetime.date.today().toordinal()
    rng = random.Random(day)
    if among is not None:
        return sorted(rng.sample(among, min(count, len(among))))
    first = 10_000_000 + day * 1000
    return list(range(first, first + count))


def _home(folder: Path, seeds: list[int]) -> None:
    for kind in ('scenarios', 'expected'):
        (folder / kind / GROUP).mkdir(parents=True)
    shutil.copy(CORPUS / 'record.mjs', folder)
    for seed in seeds:
        text = json.dumps(program(seed))
        (folder / 'scenarios' / GROUP / f'p{seed}.json').write_text(text, 'utf-8')


def traces_of_node(binary: str, seeds: list[int], runs: int = 3) -> Traces:
    """What Node does, without the programs that it does not repeat."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        _home(home, seeds)
        subprocess.run(
            [binary, home / 'record.mjs', '--accept', '--runs', str(runs), '--loaded', '0'],
            capture_output=True,
            check=False,
            env={**os.environ, 'NODE_NO_WARNINGS': '1'},
        )
        written = (home / 'expected' / GROUP).iterdir()
        found = {int(path.stem[1:]): json.loads(path.read_text('utf-8')) for path in written}
    return {seed: found[seed] for seed in seeds if seed in found}


def compare(traces: Traces, source: str, loop: str = 'asyncio', jobs: int = 2) -> dict[int, Any]:
    """Play the programs on tailrace; the seeds that differ, and how."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        _home(home, list(traces))
        for seed, trace in traces.items():
            (home / 'expected' / GROUP / f'p{seed}.json').write_text(json.dumps(trace), 'utf-8')
        os.environ['CF_LOOP'] = loop
        replay = player(home)

        def play(seed: int) -> Any:
            for _ in range(3):
                status, problems, _ = replay.run_one(
                    f'{GROUP}/p{seed}', {'path': source, 'strict': False}
                )
                if status == 'ok':
                    return None
            return [status, *problems]

        with ThreadPoolExecutor(jobs) as pool:
            results = dict(zip(traces, pool.map(play, traces), strict=True))
    return {seed: result for seed, result in results.items() if result is not None}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('seeds', nargs='?', default='1-30')
    parser.add_argument('--record', action='store_true')
    parser.add_argument('--recorded', type=int)
    parser.add_argument('--source', default=str(HERE.parents[1] / 'src'))
    parser.add_argument('--loop', default='asyncio')
    parser.add_argument('--jobs', type=int, default=2)
    options = parser.parse_args()
    if options.recorded is not None:
        known = kept()
        traces = {seed: known[seed] for seed in todays(options.recorded, list(known))}
    else:
        binary = node()
        if binary is None:
            print('no Node 24: set NODE24, or play --recorded N')
            return 2
        first, _, last = options.seeds.partition('-')
        traces = traces_of_node(binary, list(range(int(first), int(last or first) + 1)))
        if options.record:
            with lzma.open(KEPT, 'wt') as file:
                json.dump(traces, file)
    different = compare(traces, options.source, options.loop, options.jobs)
    for seed, problems in different.items():
        print(seed, json.dumps(program(seed)['steps']), *problems, sep='\n  ')
    print(f'{len(traces)} programs, {len(different)} different ({options.loop})')
    return 1 if different else 0


if __name__ == '__main__':
    sys.exit(main())
