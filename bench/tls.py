"""TLS beside its peers in one run: server CPU for one operation, and memory of idle connections.

    python bench/tls.py [--quick] [--rows echo,bulk,handshake,resumed,idle] [--build NAME=DIR]

It needs a C compiler with OpenSSL's headers, trustme and uvloop. Node is taken from the variable
TAILRACE_BENCH_NODE or from PATH; without it that peer is left out. Each server is a process of its
own, on one core, and the load (``c/tls_loadgen.c``) on the other. What is compared is the server's
time on its core (schedstat): the load is the limit of the rate, and other programs disturb a rate
more. Rounds are interleaved; a ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
C = ROOT / 'bench' / 'c'
BUILD = ROOT / 'build' / 'bench'

TAILRACE = """
import sys; sys.path.insert(0, {src!r})
import tailrace
from tailrace import tls
def serve(sock):
    sock.on('error', lambda: None)
    sock.on('data', sock.write)
async def main():
    server = tls.create_server(serve, cert={cert!r}, key={key!r}, allow_truncation=True)
    await server.listen(0, '127.0.0.1')
    print(server.address().port, flush=True)
    await server.wait_closed()
tailrace.run(main)
"""
PROTOCOL = """
import asyncio, ssl
{loop}
class Echo(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data): self.transport.write(data)
async def main():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain({cert!r}, {key!r})
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)
    server = await loop.create_server(Echo, '127.0.0.1', 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
{run}
"""
NODE = """
const tls = require('tls'), fs = require('fs')
const files = {{ cert: fs.readFileSync({cert!r}), key: fs.readFileSync({key!r}) }}
const server = tls.createServer(files, (sock) => {{
  sock.on('error', () => {{}})
  sock.on('data', (data) => sock.write(data))
}})
server.on('tlsClientError', () => {{}})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
"""

#: The arguments of the load, and how many operations that is; warm-up, then what is measured.
ROWS: dict[str, tuple[list[str], list[str]]] = {
    'echo': (['echo', '100', '1024', '10'], ['echo', '100', '1024', '300']),
    'bulk': (['echo', '10', '102400', '5'], ['echo', '10', '102400', '150']),
    'handshake': (['handshake', '100'], ['handshake', '1500']),
    'resumed': (['resumed', '100'], ['resumed', '1500']),
    'idle': (['idle', '1'], ['idle', '1000']),
}


def built(name: str) -> str:
    """The path of a program of C."""
    BUILD.mkdir(parents=True, exist_ok=True)
    to, source = BUILD / name, C / f'{name}.c'
    if not to.exists() or to.stat().st_mtime < source.stat().st_mtime:
        compiler = os.environ.get('CC', 'cc')
        subprocess.run([compiler, '-O2', '-o', to, source, '-lssl', '-lcrypto'], check=True)
    return str(to)


def on_core(pid: int) -> float:
    """Seconds that a process has been on a core."""
    files = Path(f'/proc/{pid}/task').glob('*/schedstat')
    return sum(int(one.read_text().split()[0]) for one in files) / 1e9


def memory(pid: int) -> int:
    """KiB of anonymous memory that are resident."""
    for line in Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith('RssAnon'):
            return int(line.split()[1])
    raise LookupError('RssAnon')


@contextmanager
def serving(command: list[str], core: int) -> Iterator[tuple[int, int]]:
    """A server: its process id and port."""
    pinned = ['taskset', '-c', str(core), *command]
    with subprocess.Popen(pinned, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.pid, int(server.stdout.readline())
        finally:
            server.kill()


def measure(command: list[str], row: str, cores: tuple[int, int], scale: float) -> float:
    """Microseconds of one operation; of 'idle' KiB of one connection."""
    warm, words = ROWS[row]
    words = [*words[:-1], str(max(1, int(int(words[-1]) * scale)))]
    with serving(command, cores[0]) as (pid, port):
        load = ['taskset', '-c', str(cores[1]), built('tls_loadgen'), str(port)]
        if row == 'idle':
            return idle(load, pid, int(words[-1]))
        subprocess.run([*load, *warm], check=True, stdout=subprocess.DEVNULL)
        before = on_core(pid)
        done = subprocess.run([*load, *words], check=True, stdout=subprocess.PIPE, text=True)
        return (on_core(pid) - before) / int(done.stdout) * 1e6


def idle(load: list[str], pid: int, count: int) -> float:
    """KiB that each of many idle connections costs."""
    found: list[int] = []
    held: list[subprocess.Popen[str]] = []
    for more in (100, count):
        one = subprocess.Popen(
            [*load, 'idle', str(more)], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        held.append(one)
        assert one.stdout is not None
        one.stdout.readline()
        found.append(memory(pid))
    for one in held:
        one.kill()
        one.communicate()
    return (found[1] - found[0]) / count


def peers(names: dict[str, str], builds: dict[str, str]) -> dict[str, list[str]]:
    """The commands of the servers."""
    python = [sys.executable, '-c']
    out = {
        f'tailrace {name}'.rstrip(): [*python, TAILRACE.format(src=src, **names)]
        for name, src in builds.items()
    }
    uvloop = {'loop': 'import uvloop', 'run': 'uvloop.run(main())'}
    plain = {'loop': '', 'run': 'asyncio.run(main())'}
    out['uvloop'] = [*python, PROTOCOL.format(**names, **uvloop)]
    out['asyncio'] = [*python, PROTOCOL.format(**names, **plain)]
    node = os.environ.get('TAILRACE_BENCH_NODE') or shutil.which('node')
    if node:
        out['node'] = [node, '-e', NODE.format(**names)]
    out['c'] = [built('tls_server'), names['cert'], names['key']]
    return out


def main() -> None:
    """Measure and print."""
    import trustme

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rows', default=','.join(ROWS))
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--quick', action='store_true')
    parser.add_argument('--peers')
    parser.add_argument('--build', action='append', default=[], metavar='NAME=DIR')
    given = parser.parse_args()
    rounds, scale = (3, 0.3) if given.quick else (given.rounds, 1.0)
    cores = sorted(os.sched_getaffinity(0))
    pair = (cores[0], cores[-1])
    with tempfile.TemporaryDirectory() as folder:
        names = {name: str(Path(folder) / f'{name}.pem') for name in ('cert', 'key')}
        made = trustme.CA(key_type=trustme.KeyType.ECDSA).issue_cert('localhost')
        made.private_key_pem.write_to_path(names['key'])
        for pem in made.cert_chain_pems:
            pem.write_to_path(names['cert'], append=True)
        builds = {'': str(ROOT / 'src'), **dict(one.split('=', 1) for one in given.build)}
        all_peers = peers(names, builds)
        if given.peers:
            all_peers = {name: all_peers[name] for name in given.peers.split(',')}
        for row in given.rows.split(','):
            found: dict[str, list[float]] = {name: [] for name in all_peers}
            for _ in range(rounds):
                for name, command in all_peers.items():
                    found[name].append(measure(command, row, pair, scale))
            print(f'{row}: {"KiB a connection" if row == "idle" else "us CPU each"}')
            for name, values in found.items():
                ratios = ''.join(
                    f'  x {base} {ratio(found[base], values):5.2f}'
                    for base in ('uvloop', 'node', 'c')
                    if base in found and base != name
                )
                print(f'  {name:20} {statistics.median(values):7.1f} {ratios}', flush=True)


def ratio(base: list[float], values: list[float]) -> float:
    """How many times less than a peer, in the same round."""
    return statistics.median(b / v for b, v in zip(base, values, strict=True))


if __name__ == '__main__':
    main()
