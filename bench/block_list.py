"""What a BlockList costs: check, load, memory, and the first check after a change.

    python bench/block_list.py [--sizes 10,1000,100000,1000000] [--node PATH] [--json FILE]

Method. Rules are random CIDR blocks with the prefix lengths of published drop lists (IPv4: half
/32, else /16 to /31; IPv6: /32 to /64 and some /128 in 2000::/8), from a fixed seed. Half of the
asked addresses lie in a rule, half anywhere; all are text in random order: caches are cold, as
on a server. Each subject gets the same rules and addresses, in a process of its own, one after the
other. Times are CPU time, so that neighbours on the machine count less (though a shared cache still
does). Check times are the best of five rounds (Node three), mean per check; bytes are live Python
allocations (tracemalloc, our list only) and growth of the process (all). "Change and check" adds or
removes one rule and checks at once, 2,000 times (Node 200, wall time): median and worst. Subjects
that are not installed are named and left out.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from socket import AF_INET, AF_INET6, inet_ntop
from typing import Any

HERE = Path(__file__).resolve().parent
ASKED = 100_000

NODE = """
import { readFileSync } from 'node:fs';
import { BlockList } from 'node:net';
const { rules, asked, fresh, type } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const now = () => Number(process.hrtime.bigint());
const cpu = () => { const { user, system } = process.cpuUsage(); return (user + system) * 1e3; };
globalThis.gc?.();
const before = process.memoryUsage().rss;
const list = new BlockList();
let t = cpu();
for (const [net, prefix] of rules) list.addSubnet(net, prefix, type);
const load = (cpu() - t) / 1e9;
globalThis.gc?.();
const rss = process.memoryUsage().rss - before;
let best = Infinity, hits = 0;
for (let round = 0; round < 3; round++) {
  let n = 0; hits = 0;
  t = cpu();
  while (n < asked.length && (n < 20 || n % 1024 || cpu() - t < 1e9)) {
    if (list.check(asked[n++], type)) hits++;
  }
  best = Math.min(best, (cpu() - t) / n);
}
const changes = [];
for (const [net, prefix] of fresh.slice(0, 200)) {
  t = now();
  list.addSubnet(net, prefix, type);
  list.check(net, type);
  changes.push((now() - t) / 1000);
}
changes.sort((a, b) => a - b);
console.log(JSON.stringify({ version: process.version, load_s: load, check_ns: best,
  rss_bytes_per_rule: rss / rules.length, change_median_us: changes[100],
  change_worst_us: changes.at(-1) }));
"""


def make(family: int, count: int) -> dict[str, Any]:
    rng = random.Random(count * 10 + family)

    def text(number: int) -> str:
        if family == 4:
            return inet_ntop(AF_INET, number.to_bytes(4, 'big'))
        return inet_ntop(AF_INET6, number.to_bytes(16, 'big'))

    def anywhere() -> int:
        return rng.getrandbits(32) if family == 4 else 0x20 << 120 | rng.getrandbits(120)

    bits = 32 if family == 4 else 128
    lengths = [32] * 12 + [16, 20, 22, *[24] * 5, 27, 28, 29, 30, 31]
    if family == 6:
        lengths = [32, 36, *[48] * 4, *[56] * 3, *[64] * 6, 128, 128]

    def rule() -> tuple[int, int]:
        length = rng.choice(lengths)
        return anywhere() >> (bits - length) << (bits - length), length

    rules = [rule() for _ in range(count)]
    asked = []
    for _ in range(ASKED):
        number = anywhere()
        if rng.random() < 0.5:
            net, length = rng.choice(rules)
            number = net | (number & ((1 << (bits - length)) - 1))
        asked.append(text(number))
    return {
        'type': f'ipv{family}',
        'rules': [(text(net), length) for net, length in rules],
        'asked': asked,
        'fresh': [(text(net), length) for net, length in (rule() for _ in range(2000))],
    }


def rss() -> int:
    try:
        with open('/proc/self/statm') as file:
            return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')
    except OSError:
        return 0


def best_ns(check: Callable[[str], object], asked: list[str]) -> float:
    best = float('inf')
    for _ in range(5):
        start = time.process_time()
        for text in asked:
            check(text)
        best = min(best, time.process_time() - start)
    return best / len(asked) * 1e9


def timed_us(acts: list[Callable[[], object]]) -> tuple[float, float]:
    times = []
    for act in acts:
        start = time.process_time()
        act()
        times.append((time.process_time() - start) * 1e6)
    return statistics.median(times), max(times)


def tailrace(data: dict[str, Any]) -> dict[str, Any]:
    sys.path.insert(0, str(HERE.parent / 'src'))
    from tailrace._addr import BlockList

    lines = [f'{net}/{length}' for net, length in data['rules']]
    fresh = [(f'{net}/{length}', net) for net, length in data['fresh']]
    asked, type = data['asked'], data['type']
    gc.collect()
    before = rss()
    start = time.process_time()
    bl = BlockList()
    bl.add_cidrs(lines)
    load = time.process_time() - start
    gc.collect()
    grown = rss() - before
    if type == 'ipv4':
        check_ns = best_ns(bl.check, asked)
    else:
        check_ns = best_ns(partial(bl.check, type='ipv6'), asked)
    entry_ns = best_ns(bl._check_text, asked)

    def add(cidr: str, net: str) -> Callable[[], object]:
        return lambda: (bl.add_cidr(cidr), bl._check_text(net))

    def remove(cidr: str, net: str) -> Callable[[], object]:
        return lambda: (bl.remove_cidr(cidr), bl._check_text(net))

    add_median, add_worst = timed_us([add(*item) for item in fresh])
    remove_median, remove_worst = timed_us([remove(*item) for item in fresh])
    del bl
    gc.collect()
    tracemalloc.start()
    bl = BlockList()
    bl.add_cidrs(lines)
    gc.collect()
    live = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return {
        'load_s': load,
        'check_ns': check_ns,
        'server_entry_ns': entry_ns,
        'bytes_per_rule': live / len(lines),
        'rss_bytes_per_rule': grown / len(lines),
        'change_median_us': add_median,
        'change_worst_us': add_worst,
        'removal_median_us': remove_median,
        'removal_worst_us': remove_worst,
    }


def pytricia(data: dict[str, Any]) -> dict[str, Any]:
    import pytricia as module

    six = data['type'] == 'ipv6'
    lines = [f'{net}/{length}' for net, length in data['rules']]
    before = rss()
    start = time.process_time()
    tree = module.PyTricia(128, AF_INET6) if six else module.PyTricia(32)
    for line in lines:
        tree[line] = True
    load = time.process_time() - start
    grown = rss() - before
    check_ns = best_ns(tree.__contains__, data['asked'])

    def add(net: str, length: int) -> Callable[[], object]:
        return lambda: (tree.insert(f'{net}/{length}', True), net in tree)

    median, worst = timed_us([add(*item) for item in data['fresh']])
    return {
        'load_s': load,
        'check_ns': check_ns,
        'rss_bytes_per_rule': grown / len(lines),
        'change_median_us': median,
        'change_worst_us': worst,
    }


def radix(data: dict[str, Any]) -> dict[str, Any]:
    import radix as module

    lines = [f'{net}/{length}' for net, length in data['rules']]
    before = rss()
    start = time.process_time()
    tree = module.Radix()
    for line in lines:
        tree.add(line)
    load = time.process_time() - start
    grown = rss() - before
    check_ns = best_ns(tree.search_best, data['asked'])

    def add(net: str, length: int) -> Callable[[], object]:
        return lambda: (tree.add(f'{net}/{length}'), tree.search_best(net))

    median, worst = timed_us([add(*item) for item in data['fresh']])
    return {
        'load_s': load,
        'check_ns': check_ns,
        'rss_bytes_per_rule': grown / len(lines),
        'change_median_us': median,
        'change_worst_us': worst,
    }


SUBJECTS = {'tailrace': tailrace, 'pytricia': pytricia, 'radix': radix}


def node(path: str, data: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        script, given = Path(folder, 'run.mjs'), Path(folder, 'data.json')
        script.write_text(NODE)
        given.write_text(json.dumps(data))
        done = subprocess.run(
            [path, '--expose-gc', str(script), str(given)],
            capture_output=True,
            text=True,
            check=True,
        )
    return json.loads(done.stdout)


COLUMNS = [
    ('check_ns', 'check ns', '{:,.0f}'),
    ('server_entry_ns', 'server entry ns', '{:,.0f}'),
    ('load_s', 'load s', '{:.3f}'),
    ('bytes_per_rule', 'bytes/rule', '{:.0f}'),
    ('rss_bytes_per_rule', 'RSS/rule', '{:.0f}'),
    ('change_median_us', 'add+check us', '{:.1f}'),
    ('change_worst_us', 'worst', '{:,.0f}'),
    ('removal_median_us', 'remove+check us', '{:.1f}'),
    ('removal_worst_us', 'worst', '{:,.0f}'),
]


def table(rows: list[dict[str, Any]]) -> str:
    head = ['family', 'rules', 'subject', *(title for _, title, _ in COLUMNS)]
    lines = [head, ['---'] * len(head)]
    for row in rows:
        few = row['rules'] < 100_000
        cells = [row['family'], f'{row["rules"]:,}', row['subject']]
        for key, _, form in COLUMNS:
            shown = key in row and not (few and 'bytes' in key)
            cells.append(form.format(row[key]) if shown else '')
        lines.append(cells)
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('--sizes', default='10,1000,100000,1000000')
    parser.add_argument('--node', default=shutil.which('node'))
    parser.add_argument('--json', default=str(HERE / 'results' / 'block_list.json'))
    parser.add_argument('--one', nargs=3, metavar=('SUBJECT', 'FAMILY', 'RULES'))
    args = parser.parse_args()
    if args.one:
        subject, family, count = args.one
        data = make(int(family), int(count))
        print(json.dumps(node(args.node, data) if subject == 'node' else SUBJECTS[subject](data)))
        return
    subjects = ['tailrace']
    left_out = {}
    for name in ('pytricia', 'radix'):
        if importlib.util.find_spec(name):
            subjects.append(name)
        else:
            left_out[name] = 'not installed'
    if args.node:
        subjects.append('node')
    else:
        left_out['node'] = 'not found; give its path with --node'
    rows: list[dict[str, Any]] = []
    for family in ('4', '6'):
        for count in args.sizes.split(','):
            for subject in subjects:
                command = [sys.executable, __file__, '--one', subject, family, count]
                if args.node:
                    command += ['--node', args.node]
                done = subprocess.run(command, capture_output=True, text=True)
                row = {'family': f'ipv{family}', 'rules': int(count), 'subject': subject}
                if done.returncode:
                    print(f'{row}: {done.stderr.strip()[-300:]}', file=sys.stderr)
                    left_out[f'{subject} {family} {count}'] = 'failed'
                    continue
                rows.append(row | json.loads(done.stdout))
                print(table(rows[-1:]).splitlines()[-1], file=sys.stderr)
    about = {
        'python': platform.python_version(),
        'machine': platform.machine(),
        'system': platform.system(),
        'cpus': os.cpu_count(),
        'left_out': left_out,
    }
    print(table(rows))
    for name, why in left_out.items():
        print(f'{name}: left out, {why}')
    target = Path(args.json)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({'about': about, 'rows': rows}, indent=1) + '\n')


if __name__ == '__main__':
    main()
