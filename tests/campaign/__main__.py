"""The fault campaign: every check, with the figures that go into docs/reliability.md.

    python -m tests.campaign [--short] [--loop asyncio|uvloop] [NAME...]

Without ``--short`` it takes minutes. Each check runs in a process of its own, under
``tailrace.run()``, prints a row of a table, and fails by an exception. The status is then 1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import tailrace

from . import connections, fleet, processes, programs
from .kit import ROOT, Figures

#: Name → (coroutine function of a count, the count of a short run).
CHECKS: dict[str, tuple[Callable[..., Any], int]] = {
    **connections.CHECKS,
    **processes.CHECKS,
    **programs.CHECKS,
    **fleet.CHECKS,
}


def play(name: str, short: bool, loop: str, count: int | None = None) -> Figures:
    """One check, here."""
    check, few = CHECKS[name]

    async def main() -> Figures:
        size = few if short else count
        figures: Figures = await (check() if size is None else check(size))
        return figures

    factory = None
    if loop == 'uvloop':
        import uvloop

        factory = uvloop.new_event_loop
    out: Figures = tailrace.run(main, loop_factory=factory)
    return out


def command(name: str, short: bool, loop: str) -> list[str]:
    words = [sys.executable, '-m', 'tests.campaign', '--here', '--loop', loop, name]
    return [*words, '--short'] if short else words


def environment() -> dict[str, str]:
    source = os.environ.get('PYTHONPATH') or str(ROOT / 'src')
    return {**os.environ, 'PYTHONPATH': source}


def main() -> int:
    parser = argparse.ArgumentParser(prog='python -m tests.campaign')
    parser.add_argument('names', nargs='*', help='default: all')
    parser.add_argument('--short', action='store_true', help='seconds instead of minutes')
    parser.add_argument('--loop', choices=('asyncio', 'uvloop'), default='asyncio')
    parser.add_argument('--count', type=int, help=argparse.SUPPRESS)
    parser.add_argument('--here', action='store_true', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if unknown := set(args.names) - CHECKS.keys():
        parser.error(f'no such check: {min(unknown)}; there are {", ".join(CHECKS)}')
    if args.here:
        print(json.dumps(play(args.names[0], args.short, args.loop, args.count)))
        return 0
    failed = 0
    print('| check | figures | seconds |\n|---|---|---|')
    for name in args.names or CHECKS:
        start = time.monotonic()
        done = subprocess.run(
            command(name, args.short, args.loop),
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        figures = done.stdout.strip().splitlines()[-1:] or ['']
        if done.returncode:
            failed += 1
            text = f'FAILED, status {done.returncode}'
        else:
            text = ', '.join(f'{key} {value:,}' for key, value in json.loads(figures[0]).items())
        print(f'| {name} | {text} | {time.monotonic() - start:.1f} |', flush=True)
    return min(failed, 1)


if __name__ == '__main__':
    sys.exit(main())
