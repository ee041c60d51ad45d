"""Measures tailrace beside its peers and prints the table (how and what: bench/README.md).

This file decides the order of things (rounds, rotation, what is skipped) and writes the result; how
a server is started or a row is played is in `harness`.
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness import build, launch, peers, rows, stats, table
from harness.launch import Failed
from harness.peers import Peer, Tools
from harness.rows import Row, Setting

RESULTS = Path(__file__).resolve().parent / 'results'
DOCS = Path(__file__).resolve().parent.parent / 'docs'
FORMAT = 1
PAGE = """\
<!-- Written by ./run bench. -->
# The benchmark

How it was measured, and how to repeat it: `bench/README.md` in the sources. Every figure is of one
run on one machine, with all peers in turn; compare ratios, not rates.

![All rows: shares of the C server, or the figures themselves](bench.svg)

"""


def pair(text: str) -> tuple[str, str]:
    name, separator, directory = text.partition('=')
    if not separator or not name or not Path(directory).is_dir():
        raise argparse.ArgumentTypeError(f'NAME=DIRECTORY is wanted, not {text!r}')
    return name, directory


def count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'a number of 1 or more is wanted, not {text!r}')
    return int(text)


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='bench', description='Measure tailrace beside its peers.', allow_abbrev=False
    )
    parser.add_argument('--quick', action='store_true', help='3 short rounds: a look, not a figure')
    parser.add_argument('--rounds', type=count, help='rounds of every row (default 5)')
    parser.add_argument('--duration', type=count, metavar='MS', help='window (default 1500 ms)')
    parser.add_argument('--warmup', type=count, metavar='MS', help='before it (default 300 ms)')
    parser.add_argument(
        '--retries', type=int, default=2, metavar='N', help='of a disturbed measurement (default 2)'
    )
    parser.add_argument('--rows', metavar='A,B', help='only these rows')
    parser.add_argument('--peers', metavar='A,B', help='only these peers, and c as their base')
    parser.add_argument('--json', type=Path, metavar='FILE', default=RESULTS / 'latest.json')
    parser.add_argument('--python', default=sys.executable, help="the peers' interpreter")
    parser.add_argument('--node', help=f'node (else {peers.NODE_VARIABLE}, else PATH)')
    parser.add_argument(
        '--build',
        type=pair,
        action='append',
        default=[],
        metavar='NAME=DIR',
        help='another build of tailrace, imported from DIR, measured as tailrace@NAME',
    )
    parser.add_argument(
        '--no-compiled', action='store_true', help='do not make the compiled build by oneself'
    )
    parser.add_argument(
        '--docs', action='store_true', help='put the table and the plot into docs/ as well'
    )
    parser.add_argument('--cores', metavar='S,G', help="the server's core and the generator's")
    parser.add_argument('--verify', action='store_true', help='compare every byte of every echo')
    parser.add_argument('--list', action='store_true', help='list rows and peers, measure nothing')
    options = parser.parse_args(words)
    options.rounds = options.rounds or (3 if options.quick else 5)
    options.duration = options.duration or (300 if options.quick else 1500)
    options.warmup = options.warmup or (100 if options.quick else 300)
    options.builds = dict(options.build)
    options.package = not (options.builds or options.no_compiled)
    if options.package:
        options.builds['compiled'] = str(build.PACKAGE)
    try:
        options.rows = rows.choose(options.rows)
        names = options.peers.split(',') if options.peers else None
        if names is not None and 'c' not in names:
            names.insert(0, 'c')
        options.peers = peers.select(peers.with_builds(options.builds), names)
        options.cores = launch.cores(options.cores)
    except ValueError as error:
        parser.error(str(error))
    return options


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def peers_of(row: Row, available: dict[str, Peer]) -> list[Peer]:
    """The row's peers that can run, in the row's order, each build after the plain one."""
    return [peer for name in row.peers for peer in available.values() if peer.base_name == name]


def measure(row: Row, peer: Peer, setting: Setting, retries: int) -> dict[str, Any]:
    """One measurement; a disturbed one is repeated and the least disturbed taken.

    What decides is what other programs took, never the figure itself.
    """
    best = row.measure(peer, setting)
    for _ in range(retries):
        if not stats.disturbed(best):
            break
        again = row.measure(peer, setting)
        if again['taken'] < best['taken']:
            best = again
    return best


def play(
    row: Row,
    field: list[Peer],
    setting: Setting,
    rounds: int,
    skipped: list[dict[str, Any]],
    retries: int = 0,
) -> dict[str, list[dict[str, Any] | None]]:
    """All rounds of one row, peers interleaved; a peer that fails is left out from then on."""
    measured: dict[str, list[dict[str, Any] | None]] = {peer.name: [] for peer in field}
    failed: set[str] = set()
    for number in range(rounds):
        for peer in stats.rotated(field, number):
            one = None
            if peer.name not in failed:
                try:
                    one = measure(row, peer, setting, retries)
                except Failed as failure:
                    failed.add(peer.name)
                    skipped.append({'row': row.name, 'peer': peer.name, 'reason': str(failure)})
                    say(f'  {peer.name}: {failure}')
            measured[peer.name].append(one)
        say(f'  {row.name}: round {number + 1} of {rounds}')
    return measured


def row_result(
    row: Row, measured: dict[str, list[dict[str, Any] | None]], field: list[Peer]
) -> dict[str, Any]:
    summary = stats.summary(measured, row.base)
    values = {name: entry['values'] for name, entry in summary.items()}
    # More messages a second is less time for each; the other rows have no such counterpart.
    cpu: dict[str, stats.Values] | None = None
    if row.higher_is_better:
        cpu = {
            name: [None if one is None else one.get('cpu_us') for one in entry['rounds']]
            for name, entry in summary.items()
        }
    subjects = [peer.name for peer in field if peer.base_name in row.subjects]
    verdicts = [
        verdict
        for target in row.targets
        for subject in subjects
        if (verdict := stats.judge(target, subject, values, cpu)) is not None
    ]
    return {
        'title': row.title,
        'unit': row.unit,
        'higher_is_better': row.higher_is_better,
        'base': row.base,
        'wanted': [target.text() for target in row.targets],
        'goals': [[target.op, target.factor, target.against] for target in row.targets],
        'peers': summary,
        'targets': verdicts,
    }


def processor() -> str:
    try:
        for line in Path('/proc/cpuinfo').read_text().splitlines():
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def commit() -> str | None:
    result = subprocess.run(
        ['git', '-C', str(peers.ROOT), 'describe', '--always', '--dirty'],
        capture_output=True,
        text=True,
    )
    return result.stdout.strip() or None


def circumstances(options: argparse.Namespace, versions: dict[str, str]) -> dict[str, Any]:
    good, python = peers.output_of(
        [options.python, '-c', 'import platform; print(platform.python_version())']
    )
    return {
        'format': FORMAT,
        'when': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
        'commit': commit(),
        'processor': processor(),
        'cores': os.cpu_count(),
        'server_core': options.cores[0],
        'generator_core': options.cores[1],
        'kernel': platform.release(),
        'system': platform.system(),
        'load_before': os.getloadavg()[0],
        'python': python if good else None,
        'versions': dict(sorted(versions.items())),
        'quick': options.quick,
        'rounds': options.rounds,
        'duration_ms': options.duration,
        'warmup_ms': options.warmup,
        'retries': options.retries,
        'builds': sorted(options.builds),
    }


def available_peers(
    wanted: dict[str, Peer], tools: Tools, skipped: list[dict[str, Any]], versions: dict[str, str]
) -> dict[str, Peer]:
    found = {}
    for name, peer in wanted.items():
        reason = peers.missing(peer, tools, versions)
        if reason is None:
            found[name] = peer
        else:
            skipped.append({'row': None, 'peer': name, 'reason': reason})
            say(f'without {name}: {reason}')
    return found


def main(words: list[str] | None = None) -> int:
    options = arguments(words)
    if options.list:
        for row in options.rows:
            print(f'{row.name:12} {row.title}\n{"":12} {", ".join(row.peers)}')
        return 0
    try:
        built = build.build()
    except build.BuildError as error:
        say(f'bench: {error}')
        return 1
    launch.descriptors()
    tools = Tools(
        str(built['server']),
        str(built['loadgen']),
        options.python,
        peers.find_node(options.node),
    )
    server_core, generator_core = options.cores
    setting = Setting(
        tools, options.warmup, options.duration, server_core, generator_core, options.verify
    )
    skipped: list[dict[str, Any]] = []
    versions: dict[str, str] = {}
    if options.package:
        try:
            build.package(options.python)
        except build.BuildError as error:
            skipped.append({'row': None, 'peer': 'tailrace@compiled', 'reason': str(error)})
            say(f'without tailrace@compiled: {error}')
            options.peers = {
                name: peer for name, peer in options.peers.items() if not name.endswith('@compiled')
            }
    available = available_peers(options.peers, tools, skipped, versions)
    result: dict[str, Any] = {**circumstances(options, versions), 'rows': {}, 'skipped': skipped}
    if options.cores[0] == options.cores[1]:
        say('bench: one core only; server and generator share it and the figures say little')
    for row in options.rows:
        field = peers_of(row, available)
        measured = {}
        if field:
            measured = play(row, field, setting, options.rounds, skipped, options.retries)
        result['rows'][row.name] = row_result(row, measured, field)
    result['load_after'] = os.getloadavg()[0]
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + '\n')
    print(table.document(result))
    say(f'bench: {options.json}')
    return publish(result, options) if options.docs else 0


def publish(result: dict[str, Any], options: argparse.Namespace) -> int:
    """Write docs/benchmark.md, and beside it the plot, drawn by `plot.py`."""
    page = DOCS / 'benchmark.md'
    # One level up: on a page the rows are the sections.
    page.write_text(PAGE + table.document(result).replace('### ', '## '), 'utf-8')
    say(f'bench: {page}')
    command = [sys.executable, str(Path(__file__).with_name('plot.py')), str(options.json)]
    return subprocess.run([*command, '--out', str(DOCS / 'bench')]).returncode


if __name__ == '__main__':
    sys.exit(main())
