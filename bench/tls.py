"""TLS echo: server CPU for one message of 1 KiB, beside its peers in one run.

    python bench/tls.py [MESSAGES]      needs uvloop and trustme; interleaved rounds, medians

Each server is a process of its own; the load comes from another one (uvloop's ssl, 20 connections).
What is compared is the server's CPU time, user and system, for one message: the load generator is
the limit of the rate.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONNECTIONS, ROUNDS, SIZE = 20, 5, 1024

SERVERS = {
    'tailrace': """
import sys; sys.path.insert(0, {src!r})
import tailrace
from tailrace import tls
async def main():
    def serve(sock):
        sock.on('error', lambda: None)
        sock.on('data', sock.write)
    server = tls.create_server(serve, cert={cert!r}, key={key!r}, allow_truncation=True)
    await server.listen(0, '127.0.0.1')
    print(server.address().port, flush=True)
    await server.wait_closed()
tailrace.run(main)
""",
    'asyncio Protocol': """
import asyncio, ssl, sys
{loop}
class Echo(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data): self.transport.write(data)
async def main():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain({cert!r}, {key!r})
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, '127.0.0.1', 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
{run}
""",
}
PLAIN = {'loop': '', 'run': 'asyncio.run(main())'}
UVLOOP = {'loop': 'import uvloop', 'run': 'uvloop.run(main())'}


def cpu_of(pid: int) -> float:
    """User and system CPU time of a process in seconds."""
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


async def load(port: int, ca: str, messages: int) -> None:
    """Messages over all connections, one at a time on each."""
    context = ssl.create_default_context(cafile=ca)
    message = bytes(SIZE)

    async def one(count: int) -> None:
        reader, writer = await asyncio.open_connection(
            '127.0.0.1', port, ssl=context, server_hostname='localhost'
        )
        for _ in range(count):
            writer.write(message)
            await reader.readexactly(SIZE)
        writer.close()

    await asyncio.gather(*(one(messages // CONNECTIONS) for _ in range(CONNECTIONS)))


def measure(program: str, ca: str, messages: int) -> tuple[float, float]:
    """Microseconds of the server's CPU for one message, and messages per second."""
    import uvloop

    with subprocess.Popen(
        [sys.executable, '-c', program], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        uvloop.run(load(port, ca, 400))
        before, began = cpu_of(server.pid), time.perf_counter()
        uvloop.run(load(port, ca, messages))
        took = time.perf_counter() - began
        used = cpu_of(server.pid) - before
        server.kill()
    return used / messages * 1e6, messages / took


def main() -> None:
    """Measure and print."""
    import trustme

    messages = int(sys.argv[1]) if sys.argv[1:] else 20_000
    with tempfile.TemporaryDirectory() as folder:
        names = {name: str(Path(folder) / f'{name}.pem') for name in ('ca', 'cert', 'key')}
        authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        made = authority.issue_cert('localhost')
        authority.cert_pem.write_to_path(names['ca'])
        made.private_key_pem.write_to_path(names['key'])
        for pem in made.cert_chain_pems:
            pem.write_to_path(names['cert'], append=True)
        src = os.environ.get('TAILRACE_SRC', str(ROOT / 'src'))
        programs = {
            'tailrace tls': SERVERS['tailrace'].format(src=src, **names),
            'uvloop Protocol ssl': SERVERS['asyncio Protocol'].format(**names, **UVLOOP),
            'asyncio Protocol ssl': SERVERS['asyncio Protocol'].format(**names, **PLAIN),
        }
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
        for _ in range(ROUNDS):
            for name, program in programs.items():
                found[name].append(measure(program, names['ca'], messages))
    peer = statistics.median(cpu for cpu, _ in found['uvloop Protocol ssl'])
    for name, rounds in found.items():
        cpu = statistics.median(cpu for cpu, _ in rounds)
        rate = statistics.median(rate for _, rate in rounds)
        print(f'{name:22} {cpu:6.1f} us CPU a message, {peer / cpu:5.2f} x uvloop, {rate:8.0f}/s')


if __name__ == '__main__':
    main()
