"""Counts instructions per echoed message: `python bench/count.py` (see bench/README.md).

A count is repeatable where a time is not, so it can be a regression check. The server runs under
valgrind's callgrind; a client plays N messages, then in a second run 2N; the difference over N is
one message's cost, without start-up and shutdown. The server is stopped while a batch is sent, so
that it finds every connection ready at once and its loop's turns do not depend on chance.

It knows peers by their command line only and counts user-space instructions, never the kernel's.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import build, launch, peers, table
from harness.launch import Failed
from harness.peers import Peer, Tools

RESULTS = Path(__file__).resolve().parent / 'results'
START_SECONDS = 120.0
ANSWER_SECONDS = 120.0
DEFAULT_PEERS = 'c,uvloop-protocol,asyncio-protocol,asyncio-streams,tailrace'


def state(pid: int) -> str:
    """The process's state letter; the command name before it may hold spaces and brackets."""
    return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]


def suspend(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + 10
    while state(pid) != 'T':
        if time.monotonic() > deadline:
            raise Failed('the server does not stop')
        os.sched_yield()


def take(sock: socket.socket, size: int) -> None:
    left = size
    while left:
        chunk = sock.recv(left)
        if not chunk:
            raise Failed('the server closed a connection')
        left -= len(chunk)


def converse(port: int, pid: int, connections: int, batches: int, size: int) -> None:
    """`batches` times: one message on every connection, then all echoes."""
    message = bytes(index * 31 % 256 for index in range(size))
    socks = []
    try:
        for _ in range(connections):
            sock = socket.create_connection(('127.0.0.1', port), ANSWER_SECONDS)
            socks.append(sock)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(b'x')
            take(sock, 1)
        for _ in range(batches):
            suspend(pid)
            for sock in socks:
                sock.sendall(message)
            os.kill(pid, signal.SIGCONT)
            for sock in socks:
                take(sock, size)
    except OSError as error:
        raise Failed(f'{type(error).__name__}: {error}') from error
    finally:
        for sock in socks:
            sock.close()


def visit(port: int, pid: int, connections: int, batches: int, size: int) -> None:
    """`batches` times: connect `connections` times, one message and its echo on each, close."""
    message = bytes(size)
    try:
        for _ in range(batches):
            suspend(pid)
            socks = [
                socket.create_connection(('127.0.0.1', port), ANSWER_SECONDS)
                for _ in range(connections)
            ]
            for sock in socks:
                sock.sendall(message)
            os.kill(pid, signal.SIGCONT)
            for sock in socks:
                take(sock, size)
            suspend(pid)
            for sock in socks:
                sock.close()
            os.kill(pid, signal.SIGCONT)
    except OSError as error:
        raise Failed(f'{type(error).__name__}: {error}') from error


WORK = {'echo': converse, 'connect': visit}


def total(file: Path) -> int:
    """The instructions of a callgrind output file."""
    for line in file.read_text().splitlines():
        if line.startswith(('summary:', 'totals:')):
            return int(line.split()[1])
    raise Failed('callgrind wrote no total')


def counted(
    command: list[str],
    env: dict[str, str],
    *,
    connections: int,
    batches: int,
    size: int,
    work: str = 'echo',
) -> int:
    """Instructions of a server's life in which it echoed `connections x batches` messages."""
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / 'callgrind.out'
        wrapped = [
            *('valgrind', '--tool=callgrind', f'--callgrind-out-file={out}', '--quiet'),
            *command,
        ]
        # Addresses decide how tables of objects hash; without randomization they repeat.
        if shutil.which('setarch'):
            wrapped = ['setarch', '--addr-no-randomize', *wrapped]
        with launch.server(wrapped, env=env, start_seconds=START_SECONDS) as (process, port):
            WORK[work](port, process.pid, connections, batches, size)
            process.terminate()
            process.wait(ANSWER_SECONDS)
        if not out.exists():
            raise Failed('callgrind left no file')
        return total(out)


def per_message(once: int, twice: int, messages: int) -> float:
    """`twice` counted 2N messages, `once` N."""
    return (twice - once) / messages


def measure(peer: Peer, tools: Tools, options: argparse.Namespace) -> dict[str, Any]:
    env = {**peers.environment(peer), 'PYTHONHASHSEED': '0'}
    plan = {'connections': options.connections, 'size': options.size, 'work': options.work}
    command = tools.command(peer)
    once = counted(command, env, batches=options.batches, **plan)
    twice = counted(command, env, batches=2 * options.batches, **plan)
    messages = options.connections * options.batches
    return {'instructions': per_message(once, twice, messages), 'start_up': 2 * once - twice}


def regressions(
    measured: dict[str, dict[str, Any]], baseline: dict[str, dict[str, Any]], tolerance: float
) -> list[str]:
    """A line for each count that grew by more than `tolerance` (0.03 is 3%)."""
    found = []
    for name, entry in measured.items():
        known = baseline.get(name)
        if known is None:
            continue
        now, before = entry['instructions'], known['instructions']
        if now > before * (1 + tolerance):
            found.append(f'{name}: {now:,.0f} instructions a message, {before:,.0f} recorded')
    return found


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='count', description='Instructions per echoed message.', allow_abbrev=False
    )
    parser.add_argument('--peers', default=DEFAULT_PEERS, metavar='A,B')
    parser.add_argument('--connections', type=int, default=20)
    parser.add_argument('--batches', type=int, default=50)
    parser.add_argument(
        '--work',
        choices=sorted(WORK),
        default='echo',
        help='messages on open connections, or connections of one message each',
    )
    parser.add_argument('--size', type=int, default=1024, metavar='BYTES')
    parser.add_argument('--python', default=sys.executable)
    parser.add_argument('--node')
    parser.add_argument('--build', action='append', default=[], metavar='NAME=DIR')
    parser.add_argument('--json', type=Path, metavar='FILE', default=RESULTS / 'counts.json')
    parser.add_argument(
        '--check',
        type=Path,
        metavar='FILE',
        help='fail when a count grew over the one recorded there',
    )
    parser.add_argument('--tolerance', type=float, default=0.03, help='growth allowed (0.03)')
    options = parser.parse_args(words)
    try:
        builds = dict(text.split('=', 1) for text in options.build)
        known = peers.with_builds(builds)
        # Exact names: a family of slow counts is asked for by name or not at all.
        names = options.peers.split(',')
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ValueError(f'no peer {", ".join(unknown)}; there are {", ".join(known)}')
        options.peers = [known[name] for name in names]
    except ValueError as error:
        parser.error(str(error))
    if min(options.connections, options.batches, options.size) < 1:
        parser.error('--connections, --batches and --size begin at 1')
    return options


def main(words: list[str] | None = None) -> int:
    options = arguments(words)
    if shutil.which('valgrind') is None:
        print('count: skipped, valgrind is not installed')
        return 0
    try:
        built = build.build()
    except build.BuildError as error:
        print(f'count: {error}', file=sys.stderr)
        return 1
    tools = Tools(
        str(built['server']), str(built['loadgen']), options.python, peers.find_node(options.node)
    )
    versions: dict[str, str] = {}
    skipped: dict[str, str] = {}
    measured: dict[str, dict[str, Any]] = {}
    for peer in options.peers:
        reason = peers.missing(peer, tools, versions)
        try:
            if reason is not None:
                raise Failed(reason)
            measured[peer.name] = measure(peer, tools, options)
        except (Failed, subprocess.TimeoutExpired) as failure:
            skipped[peer.name] = str(failure)
    result = {
        'python': peers.output_of([options.python, '-VV'])[1],
        'machine': platform.machine(),
        'versions': versions,
        'connections': options.connections,
        'batches': options.batches,
        'size': options.size,
        'work': options.work,
        'peers': measured,
        'skipped': skipped,
    }
    lines = [
        [name, f'{entry["instructions"]:,.0f}', f'{entry["start_up"] / 1e6:,.0f} M']
        for name, entry in sorted(measured.items(), key=lambda item: item[1]['instructions'])
    ]
    print(table.markdown(['peer', 'instructions a message', 'start-up'], lines))
    for name, reason in skipped.items():
        print(f'skipped {name}: {reason}')
    if options.check is not None:
        recorded = json.loads(options.check.read_text())
        if recorded['python'] != result['python']:
            print(f'count: recorded with {recorded["python"]}, a count compares only within one')
        grown = regressions(measured, recorded['peers'], options.tolerance)
        print('\n'.join(grown) or 'no count grew')
        return 1 if grown else 0
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent=1) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
