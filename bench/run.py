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
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness import build, launch, peers, rows, stats, table
from harness.launch import Failed
from harness.peers import Peer, Tools
from harness.rows import Row, Setting

#: With --against: the labels of the two builds.
NOW, THEN = 'now', 'before'
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
    parser.add_argument(
        '--json',
        type=Path,
        metavar='FILE',
        help='the result (default bench/results/latest.json; build/bench/latest.json with '
        '--quick, --rows, --peers or --against, which measure a part)',
    )
    parser.add_argument(
        '--against',
        metavar='REV',
        help='measure this checkout beside that commit, in turns; status 1 if a row got worse',
    )
    parser.add_argument(
        '--tolerance',
        type=float,
        default=0.05,
        help='how much worse a row may be with --against (0.05 is 5 %%)',
    )
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
    if options.json is None:
        part = options.quick or options.rows or options.peers or options.against
        options.json = (build.BUILD if part else RESULTS) / 'latest.json'
    if options.against:
        if options.build or options.peers or options.docs:
            parser.error('--against goes with --rows, --quick and the like, not with --build')
        options.builds = {NOW: '', THEN: ''}  # known once they are made
        options.package = False
    try:
        options.rows = rows.choose(options.rows)
        names = options.peers.split(',') if options.peers else None
        if names is not None and 'c' not in names:
            names.insert(0, 'c')
        options.peers = peers.select(peers.with_builds(options.builds), names)
        if options.against:
            options.peers = {
                name: peer for name, peer in options.peers.items() if name == 'c' or '@' in name
            }
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
    if options.against:
        try:
            two_builds(options)
        except build.BuildError as error:
            say(f'bench: {error}')
            return 1
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
    if options.against:
        lines, worse = comparison(result['rows'], options.tolerance)
        print(table.markdown(['row', 'peer', options.against, 'now', 'now : before'], lines))
        print('\n'.join(worse) or f'nothing is worse by more than {options.tolerance:.0%}')
        return 1 if worse else 0
    return publish(result, options) if options.docs else 0


def two_builds(options: argparse.Namespace) -> None:
    """Compile this checkout and that commit (as they are, with --no-compiled)."""
    then = build.revision(options.against, build.BUILD / 'against' / 'source')
    for label, root in ((NOW, build.ROOT), (THEN, then)):
        folder = root / 'src'
        if not options.no_compiled:
            folder = build.package(options.python, build.BUILD / 'against' / label, root)
        for name, peer in options.peers.items():
            if name.endswith(f'@{label}'):
                options.peers[name] = replace(peer, build=str(folder))


def comparison(rows: dict[str, Any], tolerance: float) -> tuple[list[list[str]], list[str]]:
    """Lines of a table, and a sentence for each row that got worse by more than `tolerance`.

    Judged by the server's CPU time of an operation, where there is one: on a machine that others
    use as well it says more than a rate. Each round compares the two as they ran one after the
    other; the median of the rounds counts.
    """
    lines, worse = [], []
    for name, row in rows.items():
        for peer, entry in row['peers'].items():
            if not peer.endswith(f'@{NOW}'):
                continue
            before = row['peers'].get(peer.removesuffix(NOW) + THEN)
            if before is None:
                continue
            key = 'cpu_us' if entry.get('cpu_us') and before.get('cpu_us') else 'value'
            now_values, then_values = (
                [None if one is None else one.get(key) for one in each['rounds']]
                for each in (entry, before)
            )
            found = stats.spread(stats.ratios(now_values, then_values))['median']
            if found is None:
                continue
            less_is_better = key == 'cpu_us' or not row['higher_is_better']
            unit = 'us CPU' if key == 'cpu_us' else row['unit']
            shown = [
                f'{stats.spread(values)["median"]:,.4g} {unit}'
                for values in (then_values, now_values)
            ]
            plain = peer.removesuffix(f'@{NOW}')
            lines.append([name, plain, *shown, f'{found:.3f}'])
            if (found if less_is_better else 1 / found) > 1 + tolerance:
                worse.append(f'{name}, {plain}: {found:.3f} times what {unit} it was')
    return lines, worse


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
